"""The admin endpoints over real sockets: each one, its refusals, its access, and the document that describes them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from click.testing import CliRunner

from cloudstack_mock import ApiClient, Settings, World
from mgmt.admin.access import refusal
from mgmt.admin.routes import ROUTES
from mgmt.api.face import FaceRequest
from mgmt.cli import main
from mgmt.config import ConfigError

TOKEN = "a-token-of-sixteen-or-more"


class Admin:
    """A world with admin endpoints, and how a test asks them."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.ready = world.ready()
        self.url = str(self.ready["admin"])
        self.http = requests.Session()
        self.client = ApiClient(str(self.ready["api"]), str(self.ready["api_key"]), str(self.ready["secret_key"]))
        self.document = self.ask("GET", "/openapi.json")

    def raw(self, method: str, path: str, **options: Any) -> requests.Response:
        return self.http.request(method, self.url + path, timeout=60, **options)

    def ask(self, method: str, path: str, body: Any = None, *, status: int | None = None, **query: Any) -> Any:
        answer = self.raw(method, path, json=body, params=query)
        assert answer.status_code == status or (status is None and answer.ok), answer.text
        content = answer.json()
        if path != "/openapi.json":
            self._fits(method, path, answer.status_code, content)
        return content

    def _fits(self, method: str, path: str, status: int, content: Any) -> None:
        """The answer is one that the document has for that endpoint."""
        known = next(
            operations[method.lower()]
            for place, operations in self.document["paths"].items()
            if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", place), "/mock" + path) and method.lower() in operations
        )
        schema = known["responses"][str(status)]["content"]["application/json"]["schema"]
        check(schema, content, self.document["components"]["schemas"])


def check(schema: dict[str, Any], value: Any, models: dict[str, Any]) -> None:
    """The value is as a schema of the document says: the part of JSON schema that the document uses."""
    if "$ref" in schema:
        schema = models[schema["$ref"].rpartition("/")[2]]
    kinds = schema.get("type", [])
    types = {"string": str, "integer": int, "number": (int, float), "boolean": bool, "object": dict, "array": list}
    if kinds:
        allowed = [kinds] if isinstance(kinds, str) else kinds
        assert (value is None and "null" in allowed) or isinstance(value, types[allowed[0]]), (schema, value)  # type: ignore[arg-type]
    if "properties" in schema:
        assert set(schema["required"]) <= value.keys() <= set(schema["properties"]), (schema, value)
        for name, entry in value.items():
            check(schema["properties"][name], entry, models)
    if kinds == "array":
        for entry in value:
            check(schema["items"], entry, models)


@pytest.fixture(scope="module")
def admin() -> Iterator[Admin]:
    settings = Settings(port=0, agent_port=0, clock="automatic", admin=True, extensions=True)
    with World(settings) as world:
        shared = Admin(world)
        yield shared
        shared.client.close()
        shared.http.close()


def test_the_document_describes_every_endpoint(admin: Admin) -> None:
    """Every endpoint is in the OpenAPI document with its answers, and every reference in it leads somewhere."""
    document = admin.document
    assert document["openapi"] == "3.1.0"
    described = {(method.upper(), path) for path, operations in document["paths"].items() for method in operations}
    assert described == {(route.method, "/mock" + route.path) for route in ROUTES}
    references = set(re.findall(r'"#/components/schemas/(\w+)"', json.dumps(document)))
    assert references == document["components"]["schemas"].keys()
    assert admin.ask("GET", "/openapi.json") == admin.raw("GET", "/").json()


def test_worlds_and_seed(admin: Admin) -> None:
    """The world is named with its addresses, and what the ready file holds can be had."""
    world = admin.ask("GET", "/worlds")["worlds"][0]
    assert (world["seed"], world["api"], world["admin"]) == ("lab", admin.ready["api"], admin.url)
    assert admin.ask("GET", "/seed")["ready"] == json.loads(json.dumps(admin.ready))


def test_worlds_are_made_saved_and_ended(admin: Admin) -> None:
    """A world that another one was saved as is started beside it, has endpoints of its own, and is gone at the end."""
    admin.client.call("updateConfiguration", name="alert.wait", value="77")
    saved = admin.ask("POST", "/save")
    admin.ask("POST", "/reset")
    assert saved["masked"] == ["lab-dc"]
    assert "VMware1!lab" not in saved["document"]
    wanted = {"name": "beside", "document": saved["document"], "settings": {"clock": "manual"}}
    made = admin.ask("POST", "/worlds", wanted, status=201)["ready"]
    assert admin.ask("GET", "/worlds/beside")["ready"] == made
    assert made["api"] == admin.url.replace("/mock", "/worlds/beside/client/api")
    names = [(each["name"], each["clock"]) for each in admin.ask("GET", "/worlds")["worlds"]]
    assert names == [("", "automatic"), ("beside", "manual")]
    own = requests.get(f"{made['admin']}/openapi.json", timeout=60).json()
    assert own["servers"] == [{"url": "/worlds/beside"}]
    before = requests.get(f"{made['admin']}/clock", timeout=60).json()["now"]
    assert requests.post(f"{made['admin']}/clock", json={"advance_s": 60}, timeout=60).json()["now"] - before == 60
    client = ApiClient(made["api"], made["api_key"], made["secret_key"])
    (found,) = client.call("listConfigurations", name="alert.wait")["configuration"]
    assert (found["value"], setting(admin) == "77") == ("77", False)
    client.close()
    admin.ask("DELETE", "/worlds/beside")
    assert admin.ask("GET", "/worlds/beside", status=404)["text"] == "there is no world 'beside': there are none"
    assert requests.get(f"{made['admin']}/clock", timeout=60).json()["text"].startswith("there is no world")


def test_the_worlds_command(admin: Admin, tmp_path: Path) -> None:
    """`cloudstack-mock worlds` makes, lists, saves and ends them; refusals are the server's words."""

    def run(*words: str) -> tuple[int, str]:
        result = CliRunner().invoke(main, ["worlds", "--url", admin.url, *words])
        return result.exit_code, result.output

    file = tmp_path / "saved.yaml"
    assert run("save", str(file)) == (0, "not saved: the password of the VMware datacenter lab-dc\n")
    assert file.stat().st_mode & 0o777 == 0o600
    status, url = run("create", "again", "--seed", str(file), "--set", "clock=manual", "--set", "agents=none")
    assert (status, url.strip()) == (0, admin.url.replace("/mock", "/worlds/again/client/api"))
    assert re.search(r"^again .*saved\.yaml +manual +http://.*/worlds/again/client/api$", run("list")[1], re.MULTILINE)
    assert run("save", str(file), "--world", "again")[0] == 0
    assert "No such file or directory" in run("save", str(tmp_path / "nowhere" / "saved.yaml"))[1]
    status, output = run("create", "again")
    assert (status, "there is a world 'again' already" in output) == (1, True)
    assert run("delete", "again") == (0, "")
    assert "there is no world 'again'" in run("delete", "again")[1]
    assert "no seed of this name" in run("create", "other", "--seed", "nowhere")[1]


def test_reset_snapshot_and_restore(admin: Admin) -> None:
    """A snapshot keeps what is there, a restore takes the world back to it, a reset to its start."""
    admin.client.call("updateConfiguration", name="alert.wait", value="77")
    admin.ask("POST", "/snapshot", {"name": "with 77"})
    assert admin.ask("GET", "/snapshots")["snapshots"] == ["with 77"]
    admin.client.call("updateConfiguration", name="alert.wait", value="78")
    admin.ask("POST", "/restore", {"name": "with 77"})
    assert setting(admin) == "77"
    admin.ask("POST", "/reset")
    assert setting(admin) != "77"
    assert "there are with 77" in admin.ask("POST", "/restore", {"name": "none"}, status=404)["text"]


def setting(admin: Admin) -> str:
    (found,) = admin.client.call("listConfigurations", name="alert.wait")["configuration"]
    return str(found["value"])


def test_the_clock_is_moved(admin: Admin) -> None:
    """The clock tells its time, moves on by seconds and until a job ends; what it cannot do is refused."""
    before = admin.ask("GET", "/clock")
    assert before["mode"] == "automatic"
    after = admin.ask("POST", "/clock", {"advance_s": 3600})
    assert after["now"] - before["now"] >= 3600
    assert "expected advance_s or run_until_job" in admin.ask("POST", "/clock", {}, status=400)["text"]
    assert admin.ask("POST", "/clock", {"run_until_job": "gone"}, status=404)["text"] == "there is no job 'gone'"
    assert "advance_s" in admin.ask("POST", "/clock", {"advance_s": -1}, status=400)["text"]


def test_faults_journal_and_leaks(admin: Admin) -> None:
    """A fault is armed by name, happens to an import, is seen in the journal, and leaves what the leaks show."""
    known = {fault["name"]: fault for fault in admin.ask("GET", "/faults/known")["faults"]}
    assert known["guest.no_root"]["id"] == "F-61"
    armed = admin.ask("POST", "/faults", {"name": "guest.no_root", "choices": {"vm": "web01"}, "times": 1}, status=201)
    (shown,) = admin.ask("GET", "/faults")["faults"]
    assert (shown["id"], shown["fired"]) == (armed["id"], 0)
    job = admin.client.call("importVm", **parameters(admin))["jobid"]
    admin.ask("POST", "/clock", {"run_until_job": job})
    assert admin.client.call("queryAsyncJobResult", jobid=job)["jobstatus"] == 2
    (shown,) = admin.ask("GET", "/faults")["faults"]
    assert shown["fired"] == 1
    (entry,) = admin.ask("GET", "/journal", kind="fault")["entries"]
    assert (entry["name"], entry["fields"]["effect"]) == ("guest.no_root", "exit")
    assert admin.ask("GET", "/journal", after=entry["number"], kind="fault")["entries"] == []
    assert len(admin.ask("GET", "/journal", limit=2)["entries"]) == 2
    secret = str(admin.world.vcenter.password) if admin.world.vcenter is not None else ""
    assert secret not in admin.raw("GET", "/journal").text
    report = admin.ask("GET", "/leaks", job=job)
    assert [leak["kind"] for leak in report["leaks"]] == ["mount"]
    admin.ask("DELETE", f"/faults/{armed['id']}")
    assert admin.ask("GET", "/faults")["faults"] == []


def parameters(admin: Admin) -> dict[str, Any]:
    call = admin.client.call
    vcenter = call("listVmwareDcs", zoneid=admin.ready["zone_id"])["VMwareDC"][0]["id"]
    vms = call("listVmwareDcVms", existingvcenterid=vcenter, keyword="web01")["unmanagedinstance"]
    host = next(vm["hostname"] for vm in vms if vm["name"] == "web01")
    source = call("listVmwareDcVms", existingvcenterid=vcenter, hostname=host, instancename="web01")
    (vm,) = source["unmanagedinstance"]
    return {
        "name": "web01",
        "zoneid": admin.ready["zone_id"],
        "clusterid": admin.ready["cluster_id"],
        "hypervisor": "KVM",
        "importsource": "vmware",
        "existingvcenterid": vcenter,
        "serviceofferingid": call("listServiceOfferings", name="Medium Instance")["serviceoffering"][0]["id"],
        "nicnetworklist[0].nic": vm["nic"][0]["id"],
        "nicnetworklist[0].network": call("listNetworks", listall=True, type="L2")["network"][0]["id"],
        "datadiskofferinglist[0].disk": vm["disk"][1]["id"],
        "datadiskofferinglist[0].diskOffering": call("listDiskOfferings", name="Custom Disk")["diskoffering"][0]["id"],
    }


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "text"),
    [
        ("POST", "/worlds", {"name": "two words"}, 400, "name"),
        ("POST", "/worlds", {"name": "x", "settings": {"port": 1}}, 400, "port: of the server, not of a world in it"),
        ("POST", "/worlds", {"name": "x", "settings": {"colour": 1}}, 400, "expected one of the settings"),
        ("POST", "/worlds", {"name": "x", "seed": "lab", "document": "a: 1"}, 400, "one of seed and document"),
        ("POST", "/worlds", {"name": "x", "document": "a: 1"}, 409, "seed.yaml"),
        ("POST", "/faults", {"name": "vddk.crush"}, 400, "near it are vddk.crash"),
        ("POST", "/faults", {}, 400, "Missing data for required field"),
        ("POST", "/faults", {"name": "vddk.crash", "colour": 1}, 400, "Unknown field"),
        ("POST", "/faults", {"name": "vddk.crash", "choices": {"times": 1}}, 400, "stands beside choices"),
        ("POST", "/faults", {"name": "vddk.crash", "times": "x"}, 400, "expected a number above 0 or 'always'"),
        ("POST", "/faults", {"name": "vddk.crash", "after": 99}, 404, "no armed fault has the id 99: there are none"),
        ("DELETE", "/faults/99", None, 404, "no armed fault has the id 99"),
        ("GET", "/fault", None, 404, "near it are /mock/faults"),
        ("PUT", "/clock", None, 405, "expected GET or POST"),
        (
            "POST",
            "/faults",
            {"name": "vddk.crash", "choices": {"host": "kmv1"}},
            400,
            "no host 'kmv1': near it",
        ),
        ("POST", "/faults", {"name": "vddk.crash", "choices": {"vm": "wbe01"}}, 400, "near it are web01"),
        ("POST", "/faults", {"name": "host.not_up", "choices": {"name": "kvm9"}}, 400, "near it are kvm"),
        ("GET", "/journal?limit=0", None, 400, "limit"),
        ("GET", "/journal?kind=bogus", None, 400, "Must be one of: api, job, agent"),
    ],
)
def test_refusals(admin: Admin, method: str, path: str, body: Any, status: int, text: str) -> None:
    """What cannot be had is refused with the reason in JSON."""
    answer = admin.raw(method, path, json=body)
    assert answer.status_code == status, answer.text
    assert answer.json()["status"] == status
    assert text in answer.json()["text"]


def test_a_body_that_is_no_json(admin: Admin) -> None:
    """A body that cannot be read is refused, and one that is too large."""
    assert "no JSON" in admin.raw("POST", "/faults", data=b"{").json()["text"]
    assert admin.raw("POST", "/faults", data=b" " * (1024 * 1024 + 1)).status_code == 413


def test_a_web_page_is_refused(admin: Admin) -> None:
    """What a browser sends for a page, or for a name that leads to this machine, is not answered."""
    assert admin.raw("GET", "/clock", headers={"Origin": "https://evil.example"}).status_code == 403
    assert admin.raw("GET", "/clock", headers={"Host": "evil.example"}).status_code == 403


@pytest.mark.parametrize(
    ("changes", "token", "status"),
    [
        ({}, None, None),
        ({"peer": None, "host": "cloud.example.org"}, None, None),
        ({"peer": "::1", "host": "[::1]:8080"}, None, None),
        ({"peer": "192.0.2.7"}, None, 403),
        ({"peer": "192.0.2.7"}, TOKEN, 401),
        ({"authorization": f"Bearer {TOKEN}", "peer": "192.0.2.7", "host": "cloud.example.org"}, TOKEN, None),
        ({"authorization": "Bearer another-token-of-some-length"}, TOKEN, 401),
        ({"authorization": f"Basic {TOKEN}"}, TOKEN, 401),
    ],
)
def test_access(changes: dict[str, Any], token: str | None, status: int | None) -> None:
    """Callers of this machine may; others need the token, and with a token everybody does."""
    request = FaceRequest("GET", "/clock", **({"peer": "127.0.0.1", "host": "localhost:8080"} | changes))
    found = refusal(request, token)
    assert (found[0] if found is not None else None) == status


BARE: dict[str, Any] = {"port": 0, "agent_port": 0, "agents": "none", "vcenter": "none"}


def test_without_the_option_they_are_not_there() -> None:
    """A server without --admin answers `/mock/` like any other path, and its ready file names none."""
    with World(Settings(**BARE)) as world:
        assert "admin" not in world.ready()
        url = world.server.api_url.rpartition("/client/")[0] + "/mock/clock"
        assert requests.get(url, timeout=60, allow_redirects=False).status_code == 301


def test_beyond_loopback_a_token_is_needed() -> None:
    """A server that listens elsewhere refuses to start with admin endpoints and no token; with one it asks for it."""
    with pytest.raises(ConfigError, match=r"admin_token too: host = '0\.0\.0\.0' is no"):
        World(Settings(**BARE, host="0.0.0.0", admin=True))
    with World(Settings(**BARE, admin=True, admin_token=TOKEN)) as world:
        url = f"{world.ready()['admin']}/clock"
        refused = requests.get(url, timeout=60)
        assert (refused.status_code, refused.headers["WWW-Authenticate"]) == (401, "Bearer")
        assert requests.get(url, timeout=60, headers={"Authorization": f"Bearer {TOKEN}"}).status_code == 200
        assert (
            "401"
            in requests.get(
                f"{world.ready()['admin']}/openapi.json", timeout=60, headers={"Authorization": f"Bearer {TOKEN}"}
            ).json()["paths"]["/mock/clock"]["get"]["responses"]
        )


def test_the_example_in_python(admin: Admin) -> None:
    """The Python example of docs/admin.md runs as it stands, and the page names every endpoint."""
    page = (Path(__file__).resolve().parents[2] / "docs" / "admin.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    names: dict[str, Any] = {"ADMIN": admin.url}
    exec(compile(block, "docs/admin.md", "exec"), names)
    names["test_a_blocked_port_is_told"]()
    for route in ROUTES:
        assert f"/mock{re.sub(r'{(.*)}', lambda found: found[1].upper(), route.path)}" in page, route.path


def test_the_fault_command(admin: Admin, tmp_path: Path) -> None:
    """`cloudstack-mock fault` arms, lists and takes back; refusals are the server's words."""
    ready = tmp_path / "ready.json"
    ready.write_text(json.dumps(admin.ready))

    def run(*words: str, to: tuple[str, ...] = ("--ready-file", str(ready))) -> tuple[int, str]:
        result = CliRunner().invoke(main, ["fault", *to, *words])
        return result.exit_code, result.output

    status, number = run("arm", "vddk.crash,vm=web01,times=2,signal=11")
    assert status == 0
    status, second = run("arm", "guest.no_root", "--after", number.strip())
    _, listed = run("list")
    assert re.search(rf"^{number.strip()} +vddk\.crash +0 +signal=11,vm=web01$", listed, re.MULTILINE)
    assert run("clear", second.strip())[0] == 0
    assert "guest.no_root" not in run("list")[1]
    assert run("clear") == (0, "")
    assert run("list") == (0, f"{'number':8}{'name':32}{'happened':10}choices\n")
    assert "F-46  vddk.crash" in run("list", "--known")[1]
    status, output = run("arm", "vddk.crush")
    assert status == 1
    assert "near it are vddk.crash" in output
    assert run("arm", "vddk.crash,after=1")[1].startswith("Error: 'after': one fault after another is")
    status, output = run("arm", "vddk.crash,vm=later-*")
    assert status == 0
    assert "warning: vddk.crash: nothing fits vm = 'later-*' yet" in output
    assert run("clear") == (0, "")
    assert "is needed" in run("list", to=())[1]
    assert "no answer from" in run("list", to=("--url", "http://127.0.0.1:9/mock"))[1]
    api = str(admin.ready["api"])
    assert "start the server with --admin" in run("list", to=("--url", api + "x/mock"))[1]
    ready.write_text("{}")
    assert "names no admin endpoints" in run("list")[1]
