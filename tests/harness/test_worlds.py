"""Several worlds in one server by URL prefix."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

import cloudstack_mock
from cloudstack_mock import Cloud, CloudStackClient, ConfigError, Settings, World, WorldPlan, WorldsError, load_settings
from mgmt.api.inprocess import InProcessServer

URL = "https://cloud.example.org/client/api"


@pytest.fixture(scope="module")
def lab() -> None:
    """Worlds that this module shares start threads when they need them."""


@pytest.fixture(autouse=True)
def shares_worlds(lab: None) -> None:
    """See `lab`."""


@pytest.fixture(scope="module", params=["memory", "sockets"])
def first(request: pytest.FixtureRequest) -> Iterator[Cloud]:
    with cloudstack_mock.activate(
        URL, transport=request.param, other_urls=["http://127.0.0.1:"], seed=3, admin=True
    ) as cloud:
        yield cloud


@pytest.fixture(scope="module")
def one(first: Cloud) -> Cloud:
    return first.add_world("one", seed=WorldPlan().zone("one-zone").cluster(hosts=1, vddk=1), clock="manual")


@pytest.fixture(scope="module")
def two(first: Cloud) -> Cloud:
    return first.add_world("two", seed=WorldPlan().zone("two-zone").cluster(hosts=2), profile="4.20")


def zone_of(cloud: Cloud, session: requests.Session, key: str) -> str:
    wanted = {"command": "listZones", "response": "json", "sessionkey": key}
    answer = session.get(cloud.url, params=wanted)
    answer.raise_for_status()
    return str(answer.json()["listzonesresponse"]["zone"][0]["name"])


def logged_in(cloud: Cloud, session: requests.Session) -> str:
    login = {"command": "login", "username": cloud.username, "password": cloud.password, "response": "json"}
    return str(session.post(cloud.url, data=login).json()["loginresponse"]["sessionkey"])


def test_each_has_its_own_seed_for_the_same_client(first: Cloud, one: Cloud, two: Cloud) -> None:
    """The same client library meets another world at another prefix; what is made in one is in no other."""
    assert one.url == URL.replace("/client", "/worlds/one/client")
    zones = [cloud.client.listZones()["zone"][0]["name"] for cloud in (first, one, two)]
    assert zones == ["lab-zone", "one-zone", "two-zone"]
    assert [cloud.client.listHosts(type="Routing")["count"] for cloud in (first, one, two)] == [3, 1, 2]
    two.import_vm("web01")
    assert [cloud.client.listVirtualMachines(listall=True).get("count", 0) for cloud in (first, one, two)] == [0, 0, 1]
    assert two.saw("ConvertInstanceCommand").once()
    assert one.saw("ConvertInstanceCommand").never()
    assert [each.client.listCapabilities()["capability"]["cloudstackversion"] for each in (one, two)] == [
        "4.22.1.0",
        "4.20.2.0",
    ]


def test_logins_are_apart(first: Cloud, one: Cloud, two: Cloud) -> None:
    """One session of a caller may be logged in to all worlds at once: cookies have their world's path."""
    with requests.Session() as session:
        keys = [logged_in(cloud, session) for cloud in (first, one, two)]
        found = [zone_of(cloud, session, key) for cloud, key in zip((first, one, two), keys, strict=True)]
        assert found == ["lab-zone", "one-zone", "two-zone"]
        paths = {cookie.path for cookie in session.cookies if cookie.name == "JSESSIONID"}
        assert paths == {"/client", "/worlds/one/client", "/worlds/two/client"}
        one.reset()
        with pytest.raises(requests.HTTPError):
            zone_of(one, session, keys[1])
        assert zone_of(two, session, keys[2]) == "two-zone"


def test_clocks_are_apart(one: Cloud, two: Cloud) -> None:
    """A clock that is moved moves its own world only."""
    before = two.clock.now()
    begun = one.clock.now()
    one.clock.advance(hours=14)
    assert one.clock.now() - begun >= 14 * 3600
    assert two.clock.now() - before < 3600


def test_everything_carries_the_prefix(first: Cloud, one: Cloud) -> None:
    """Redirects, pages, errors, OpenAPI documents and admin endpoints begin with it."""

    def get(path: str) -> requests.Response:
        if not first.world.in_memory:
            return requests.get(one.world.server.root_url + path, allow_redirects=False, timeout=60)
        assert isinstance(first.world.server.http, InProcessServer)
        result = first.world.server.http.call("GET", "http://127.0.0.1/worlds/one" + path, [], b"")
        made = requests.Response()
        made.status_code, made._content = result.status, result.body
        made.headers.update(dict(result.headers))
        return made

    assert get("/some").headers["Location"].endswith("/worlds/one/client/some")
    assert get("/client").headers["Location"].endswith("/worlds/one/client/")
    assert "/worlds/one/client/api" in get("/client/").text
    assert "/worlds/one/client/nothing" in get("/client/nothing").text
    assert get("/client/openapi.json").json()["servers"] == [{"url": "/worlds/one"}]
    assert get("/mock/openapi.json").json()["servers"] == [{"url": "/worlds/one"}]
    assert one.world.ready()["admin"] == f"{one.world.server.root_url}/mock"
    assert str(one.world.ready()["api"]).endswith("/worlds/one/client/api")
    worlds = {each["name"]: each for each in get("/mock/worlds").json()["worlds"]}
    assert {"", "one"} <= worlds.keys()
    assert worlds["one"]["clock"] == "manual"


def test_nothing_of_a_deleted_world_is_left(first: Cloud) -> None:
    """Its threads, sockets and files go with it, and its prefix says which worlds are there."""

    def held() -> tuple[set[str], set[int]]:
        return {str(path) for path in Path(os.environ.get("TMPDIR", "/tmp")).glob("cloudstack-mock-*")}, {
            thread.ident or 0 for thread in threading.enumerate()
        }

    before = held()
    descriptors = len(list(Path("/proc/self/fd").iterdir()))
    brief = first.add_world("brief")
    url = brief.url
    assert brief.client.listZones()["count"] == 1
    client = CloudStackClient(url, brief.api_key, brief.secret_key, await_job=lambda _: None)
    first.remove_world("brief")
    files, threads = held()
    assert files <= before[0]
    assert threads <= before[1]
    assert len(list(Path("/proc/self/fd").iterdir())) <= descriptors
    with pytest.raises(requests.RequestException):  # refused in memory, 404 on a port
        client.listZones()
    client.close()
    if not first.world.in_memory:
        answer = requests.get(f"{first.world.server.root_url}/worlds/brief/client/api", timeout=60)
        assert (answer.status_code, answer.json()["text"][:24]) == (404, "there is no world 'brief")


def test_the_example_of_the_page(first: Cloud) -> None:
    """The Python block of docs/worlds.md runs as it stands."""
    page = (Path(__file__).resolve().parents[2] / "docs" / "worlds.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    names: dict[str, Any] = {}
    if first.world.in_memory:
        exec(compile(block.replace("cloud.example", "page.example"), "docs/worlds.md", "exec"), names)
        names["test_two_worlds"]()


def test_worlds_of_the_settings(tmp_path: Path) -> None:
    """`world = NAME=SEED` starts them with the server; its ready file has their addresses, and they end with it."""
    with World(Settings(port=0, agent_port=0, agents="none", vcenter="none", world=("a=lab", "b=lab"))) as world:
        ready = world.ready()["worlds"]
        assert {name: each["api"] for name, each in ready.items()} == {
            name: f"{world.server.root_url}/worlds/{name}/client/api" for name in ("a", "b")
        }
    with pytest.raises(ConfigError, match="each name once"):
        load_settings(options={"world": ["a=lab", "a=lab"]})


@pytest.mark.parametrize(
    ("name", "options", "error"),
    [
        ("two words", {}, "expected 1 to 64 letters"),
        ("one", {}, "there is a world 'one' already"),
        ("new", {"port": 1}, "port: of the server"),
        ("new", {"clock": "late"}, "clock = 'late' cannot be used"),
    ],
)
def test_worlds_that_cannot_be(first: Cloud, one: Cloud, name: str, options: dict[str, Any], error: str) -> None:
    """Names that are taken or none, and settings of the whole server, are refused with the reason."""
    with pytest.raises((WorldsError, ConfigError), match=error):
        first.add_world(name, **options)
