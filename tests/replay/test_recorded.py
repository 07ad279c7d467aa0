"""Every exchange of `data/exchanges.jsonl.xz`, recorded from a real 4.22 server, is sent again and compared.

Errors must be equal in status, headers, key, codes and text (UUIDs are not compared); lists and objects in key, field
names and types. What differs stands in `data/differences.yaml` with its reason.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import lzma
import random
import re
import zlib
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import pytest
import yaml
from sqlalchemy import text
from werkzeug.test import Client, TestResponse

from mgmt.api.app import create_wsgi
from mgmt.api.integration import create_integration_wsgi
from mgmt.api.signature import sign
from mgmt.cli.exchanges import shape_of
from mgmt.config import Settings
from mgmt.providers import Providers, RealClock
from mgmt.store.models import (
    Account,
    AsyncJob,
    Cluster,
    Domain,
    Host,
    Network,
    NetworkOffering,
    PhysicalNetwork,
    Pod,
    Role,
    ServiceOffering,
    StoragePool,
    Template,
    User,
    Zone,
)

IS_ONE_STORY = True  # an exchange finds what those before it have made
DATA = Path(__file__).parent / "data"
EXCHANGES: list[dict[str, Any]] = [
    json.loads(line) for line in lzma.decompress((DATA / "exchanges.jsonl.xz").read_bytes()).splitlines()
]
LISTED: dict[str, Any] = yaml.safe_load((DATA / "differences.yaml").read_text(encoding="utf-8"))
VERSION = "4.22.0.0-SNAPSHOT"
START = datetime(2026, 11, 23, 0, 24, 8, tzinfo=UTC).timestamp()
UUID = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
COOKIE_VALUE = re.compile("(JSESSIONID|sessionkey)=[^;]+")
COMPARED_HEADERS = ("Content-Type", "X-Description", "Vary", "Content-Encoding", "Allow", "Location", "Set-Cookie")
BEFORE_THE_ZONE = ("endpoint:", "signing:", "session:")
# These go on with the session of the exchange before.
WITH_THE_SAME_SESSION = {
    "session:sess-after-nocmd",
    "session:sess-after-emptycmd",
    "session:sess-cookie-only-js-2",
    "session:sess-and-signed-after",
    "session:login-again-old",
    "session:login-fail-old",
}
# Entities of the recorded installation that have a counterpart in the lab.
COUNTERPARTS: dict[str, tuple[type[Any], int]] = {
    "06fb02d4-df56-446b-bb1a-d2d6e11e243b": (Zone, 0),
    "dbbe8b68-63a8-4d5e-8cc8-4cb66030d9b7": (Pod, 0),
    "ef046d42-ccbc-4e06-a92e-9179b2776ac7": (Cluster, 0),
    "8126e615-e756-4eea-834a-a38358a52151": (Cluster, 0),
    "58694ee1-505e-42cf-bcf3-d0fbaba45694": (Host, 0),
    "7bf3cd9e-0857-4648-b967-69978d669019": (Host, 1),
    "472f002c-e6d2-11f1-b0c4-02fc00000001": (Domain, 0),
    "30cd4008-5b46-4458-9495-18007d3d6756": (PhysicalNetwork, 0),
}


class StillClock:
    """A clock at a time of the recording."""

    def __init__(self, at: float = START) -> None:
        self.at = at

    def now(self) -> float:
        return self.at

    monotonic = now

    def sleep(self, duration_s: float) -> None:
        raise AssertionError("nothing waits")

    def wait(self, event: Any, timeout_s: float | None) -> bool:
        return bool(event.wait(0))


@pytest.fixture(scope="module")
def replays(request: pytest.FixtureRequest) -> Iterator[Any]:
    """`replays(name)`: the world for a recorded exchange, of the recorded release at the recorded time."""
    opened: dict[str, Any] = {}

    def world_of(name: str) -> Replay:
        own = name.partition(":")[0]
        own = own if own in PREPARED else ""
        if own not in opened:
            settings = Settings(port=0, agent_port=0, agents="none", vcenter="none", profile="4.22.0")
            clock = RealClock() if own in WITH_JOBS else StillClock(START + LATER_S.get(own, 0))
            providers = Providers(clock=clock, random=random.Random(3))
            if own in WITH_HOSTS:
                hosts = Settings(port=0, agent_port=0, vcenter="none", clock="manual", profile="4.22.0")
                worlds = request.getfixturevalue("whole_opener")(hosts)
            else:
                worlds = request.getfixturevalue("opener")(settings, providers)
            world = next(worlds)
            world.server.services.cloudstack_version = VERSION
            replay = Replay(world)
            opened[own] = (replay, worlds)
            if own:
                PREPARED[own](replay)
        replay, _ = opened[own]
        assert isinstance(replay, Replay)
        return replay

    for own in WITH_JOBS:  # before the first test, which may leave no thread behind
        world_of(f"{own}:")
    yield world_of
    for _, worlds in opened.values():
        assert next(worlds, None) is None


class Replay:
    """Sends recorded requests to a world."""

    def __init__(self, world: Any) -> None:
        self.world = world
        self.session: dict[str, str] = {}
        self.values: dict[str, str] = {}  # by placeholder
        self.secrets: dict[str, str] = {}  # by placeholder of the API key
        with world.server.services.store.session() as session:
            session.query(User).filter(User.username == "admin").update({"timezone": "UTC"})
            self.ids = {
                recorded: session.query(model).order_by(model.id).all()[number].uuid
                for recorded, (model, number) in COUNTERPARTS.items()
            }

    def hide_zones(self, hidden: bool) -> None:
        """Most of the exchanges were recorded before there was a zone."""
        with self.world.server.services.store.session() as session:
            removed = datetime(2026, 1, 1) if hidden else None
            session.query(Zone).update({"removed": removed})

    def send(self, exchange: Mapping[str, Any]) -> TestResponse:
        for change in BEFORE.get(exchange["name"], ()):
            change(self)
        if exchange["name"].startswith("jobs:") and exchange["name"].endswith(ENDED):
            self.world.clock.run_until(self.ids[dict(exchange["query"])["jobid"]])
        key, secret = self.world.keys["admin"]
        self._prepare_session(exchange)
        password = "password"
        values = {
            "ADMIN_API_KEY": key,
            "ADMIN_PASSWORD": password,
            "MD5_OF_ADMIN_PASSWORD": hashlib.md5(password.encode()).hexdigest(),
            "SESSIONKEY": self.session.get("sessionkey", ""),
            **self.values,
        }
        query, form = exchange.get("query") or [], exchange.get("form")
        fields = form if isinstance(form, list) else []
        # of a repeated name the client signs the first value, of a name in query and form that of the query
        signer = dict(query).get("apiKey")
        secret = self.secrets.get(signer or "", secret)
        sent = {name: self._filled(value, values) for name, value in [*reversed(fields), *reversed(query)]}
        sent.pop("signature", None)
        values["SIGNATURE"] = SIGNERS.get(exchange["name"], sign)({n: v or "" for n, v in sent.items()}, secret)
        headers = {name: self._cookies(value) for name, value in dict(exchange.get("request_headers") or {}).items()}
        content_type = headers.pop("Content-Type", "application/x-www-form-urlencoded" if form else None)
        pairs = [(name, self._filled(value, values)) for name, value in query]
        body = urlencode([(name, self._filled(value, values)) for name, value in fields]) if fields else form
        client = self.world.client() if "port" not in exchange else self._integration_client()
        answer: TestResponse = client.open(
            exchange["path"],
            method=exchange["method"],
            query_string=RAW_QUERIES.get(exchange["name"]) or encoded(pairs),
            data=body,
            content_type=content_type or None,
            headers=headers,
            base_url="http://127.0.0.1:8080",
        )
        if exchange.get("ids") and answer.status_code == 200:
            self._learn(exchange["ids"], answer)
        return answer

    def _integration_client(self) -> Client:
        services, dispatcher = self.world.server.services, self.world.app.extensions["dispatcher"]
        app = create_integration_wsgi(
            dispatcher, lambda: services.settings.get_text("json.content.type") or "application/json; charset=UTF-8"
        )
        return Client(app)

    def _learn(self, recorded: Mapping[str, str], answer: TestResponse) -> None:
        """What the recorded ids of new entities and jobs are here; jobs are waited for."""
        (fields,) = json.loads(answer.get_data()).values()
        for name, uuid in recorded.items():
            ours = fields.get(name)
            ours = ours[0] if isinstance(ours, list) and ours else ours
            ours = ours.get("id") if isinstance(ours, dict) else ours
            if isinstance(ours, str):
                self.ids[uuid] = ours
        if self.world.clock is not None:
            self.world.clock.advance(seconds=0)  # what waits for nothing ends, and what waits goes on waiting
        elif "jobid" in fields and "jobstatus" not in fields:
            assert self.world.server.services.jobs.wait(fields["jobid"], 60)

    def _filled(self, value: str | None, values: Mapping[str, str]) -> str | None:
        if value is None:
            return None
        return UUID.sub(lambda match: self._counterpart(match[0]), values.get(value, value))

    def _counterpart(self, recorded: str) -> str:
        ours = self.ids.get(recorded.lower())
        if ours is None:
            return recorded
        return ours.upper() if recorded.isupper() else ours

    def _prepare_session(self, exchange: Mapping[str, Any]) -> None:
        if exchange["name"].startswith("errors:date-"):  # there is an event to list
            self.world.client().post(
                "/client/api", data={"command": "login", "username": "admin", "password": "password"}
            )
        if "SESSION" in str(exchange.get("request_headers")) and exchange["name"] not in WITH_THE_SAME_SESSION:
            login = {"command": "login", "username": "admin", "password": "password"}
            if exchange["name"].startswith(("roles:", "misc:2fa")):
                login |= {"username": "user1", "domain": "D1"}
            answer = self.world.client().post("/client/api?response=json", data=login)
            cookies = [each.partition(";")[0].partition("=") for each in answer.headers.getlist("Set-Cookie")]
            self.session = {name: value for name, _, value in cookies}
            if exchange["name"] == "session:sess-unknown-js":
                self.session["JSESSIONID"] = "node0unknown.node0"

    def _cookies(self, value: str) -> str:
        session = self.session.get("JSESSIONID", "")
        value = value.replace("node0SESSION.node0", session).replace("node0SESSION", session.partition(".")[0])
        return value.replace("SESSIONKEY", self.session.get("sessionkey", ""))


# The people of the recorded installation, in a world of their own.
RECORDED = {
    "D1": "fee9d313-0f5d-4582-a527-5772ac5bc06b",
    "admin": "4730d2e8-e6d2-11f1-b0c4-02fc00000001",
    "user1": "f357d19a-3b0f-40bd-a3e9-7582f02b8e97",
    "roadmin": "0720a77f-b1dc-4984-a6cc-8695ad95e5b1",
    "suadmin": "9d825751-522a-4895-82cf-ba78c6bf1cc7",
    "rouser": "55b8d800-aa87-4c63-810a-2a8f57217a60",
}
ROLES = {
    "563f34b3-e6d2-11f1-b0c4-02fc00000001": "Root Admin",
    "563fd572-e6d2-11f1-b0c4-02fc00000001": "Resource Admin",
    "56404ffa-e6d2-11f1-b0c4-02fc00000001": "Domain Admin",
    "5640fc31-e6d2-11f1-b0c4-02fc00000001": "User",
    "5b132601-e6d2-11f1-b0c4-02fc00000001": "Read-Only Admin - Default",
    "5b13bfe3-e6d2-11f1-b0c4-02fc00000001": "Support Admin - Default",
}


def prepare_people(replay: Replay) -> None:
    """Make the fourth account the recorded one, so that the numbers in texts are the recorded ones."""
    replay.values["USER_PASSWORD"] = "password"
    with replay.world.server.services.store.session() as session:
        roles = {role.name: role for role in session.query(Role)}
        replay.ids |= {recorded: roles[name].uuid for recorded, name in ROLES.items()}
        reading = roles["Read-Only User - Default"].uuid
        domain = session.get(Domain, 2)
        domain.name, domain.path = "D1", "/D1/"
        account = session.get(Account, 4)
        account.name, account.type, account.role = "user1", 0, roles["User"]
        (user,) = session.query(User).filter(User.account_id == 4)
        user.username, user.firstname, user.lastname, user.timezone = "user1", "F", "L", "UTC"
        replay.ids |= {RECORDED["D1"]: domain.uuid, RECORDED["user1"]: user.uuid}
        replay.ids[RECORDED["admin"]] = session.query(User).filter(User.username == "admin").one().uuid
    domain_uuid = replay.ids[RECORDED["D1"]]
    fields = {"firstname": "F", "lastname": "L", "email": "x@x", "password": "password", "domainid": domain_uuid}
    for name, kind in (("dadmin1", {"accounttype": "2"}), ("rouser", {"roleid": reading})):
        status, _, _ = replay.world.answer("createAccount", username=name, **kind, **fields)
        assert status == 200
    _, _, started = replay.world.answer("disableUser", id=replay.ids[RECORDED["user1"]])
    replay.ids["1cb95135-6be9-4eb8-9fb7-0bcfe75edbb6"] = started["jobid"]
    with replay.world.server.services.store.session() as session:
        session.query(AsyncJob).update({"id": 17, "status": 1})


def name_cluster(replay: Replay) -> None:
    """Give the first cluster the name of the recorded one."""
    with replay.world.server.services.store.session() as session:
        session.query(Cluster).order_by(Cluster.id).first().name = "C0"


def give_key(name: str) -> Callable[[Replay], None]:
    """Give a user the key that its placeholder stands for."""

    def change(replay: Replay) -> None:
        with replay.world.server.services.store.session() as session:
            user = session.query(User).filter(User.username == name).one()
            user.api_key, user.secret_key = f"{name}-key", f"{name}-secret"
            placeholder = f"{name.upper()}_API_KEY"
            replay.values[placeholder], replay.secrets[placeholder] = user.api_key, user.secret_key
            replay.ids[RECORDED.get(name, name)] = user.uuid

    return change


def remove_vmware_cluster(replay: Replay) -> None:
    """The recorded server had refused it."""
    with replay.world.server.services.store.session() as session:
        session.query(Cluster).filter(Cluster.name == "V0").delete()


def set_user(state: str) -> Callable[[Replay], None]:
    """What a job does that nobody runs here."""

    def change(replay: Replay) -> None:
        with replay.world.server.services.store.session() as session:
            session.query(User).filter(User.username == "user1").one().state = state

    return change


def prepare_zones(replay: Replay) -> None:
    """Let jobs run, and the installation have no zone of the recorded name."""
    replay.world.server.services.jobs.start()


def prepare_misc(replay: Replay) -> None:
    """The people, with keys, and the recorded cluster's name."""
    prepare_people(replay)
    for name in ("user1", "dadmin1"):
        give_key(name)(replay)
    name_cluster(replay)
    with replay.world.server.services.store.session() as session:
        session.query(Zone).order_by(Zone.id).first().name = "Sandbox-simulator"


def prepare_imports(replay: Replay) -> None:
    """Let jobs run beside a cluster of simulators, with the recorded offering, pool, domain, network and numbers."""
    give_key("user")(replay)
    replay.values["USER1_API_KEY"] = "user-key"
    replay.secrets["USER1_API_KEY"] = "user-secret"
    with replay.world.server.services.store.session() as session:
        session.query(Cluster).update({"hypervisor_type": "Simulator"})
        session.query(Host).update({"hypervisor_type": "Simulator"})
        first = session.query(Cluster).order_by(Cluster.id).first()
        session.add(
            Cluster(uuid="second", name="C1", zone_id=first.zone_id, pod_id=first.pod_id, hypervisor_type="None")
        )
        session.execute(text("INSERT INTO sqlite_sequence (name, seq) VALUES ('vm_instance', 5)"))
        domain = session.get(Domain, 2)
        domain.name, domain.path = "D1", "/D1/"
        session.get(Account, 4).name = "user1"
        replay.ids |= {
            RECORDED["D1"]: domain.uuid,
            "4b99fd92-a3b8-4c43-aaaa-66d1dd54bb09": session.get(ServiceOffering, 1).uuid,
            "7c07ec9b-a3c6-3466-ab5a-f5669ead0b22": session.get(StoragePool, 1).uuid,
            "cfe57bbd-1ebf-40e7-b58a-ea166015eff7": session.get(Network, 1).uuid,
        }
    replay.world.server.services.jobs.start()


def prepare_jobs(replay: Replay) -> None:
    """The recorded offerings and the template, and a cluster whose hosts are as simulators."""
    with replay.world.server.services.store.session() as session:
        isolated = session.query(NetworkOffering).filter(NetworkOffering.guest_type == "Isolated").first()
        replay.ids |= {
            "4b99fd92-a3b8-4c43-aaaa-66d1dd54bb09": session.get(ServiceOffering, 1).uuid,
            "77a0351e-e6d2-11f1-b0c4-02fc00000001": session.get(Template, 2).uuid,
            "a95b7cf5-83dd-4e53-ae52-99d47c73278e": isolated.uuid,
        }
    replay.world.clock.advance(minutes=2)  # the hosts' figures are there


def setting(**values: str) -> Callable[[Replay], None]:
    """Change settings, whose dots are written as two underlines, and start the API anew."""

    def change(replay: Replay) -> None:
        services = replay.world.server.services
        with services.store.session() as session:
            for name, value in values.items():
                services.settings.set(session, name.replace("__", "."), value)
        replay.world.app = create_wsgi(services)

    return change


PREPARED: dict[str, Callable[[Replay], None]] = {
    "roles": prepare_people,
    "zone-setup": prepare_zones,
    "misc": prepare_misc,
    "import": prepare_imports,
    "integration-port": prepare_zones,
    "jobs": prepare_jobs,
}
LATER_S = {"misc": 20 * 60}
WITH_JOBS = frozenset({"zone-setup", "import", "integration-port", "jobs"})
WITH_HOSTS = frozenset({"jobs"})
ENDED = ("-poll-final", ":done", ":pending-second-result", ":pending-reboot-result")  # jobs that had ended by then
BEFORE: dict[str, tuple[Callable[[Replay], None], ...]] = {
    "errors:cluster-dup": (name_cluster,),
    "roles:registerUserKeys-roadmin": (give_key("roadmin"),),
    "roles:registerUserKeys-suadmin": (give_key("suadmin"),),
    "roles:registerUserKeys-rouser": (give_key("rouser"),),
    "roles:user-denied": (give_key("user1"), give_key("dadmin1")),
    "roles:disabled-sig": (set_user("disabled"),),
    "roles:login-user": (set_user("enabled"),),
    "misc:skloc-CookieOrParameter-both": (setting(api__sessionkey__check__locations="CookieOrParameter"),),
    "misc:skloc-ParameterOnly-both": (setting(api__sessionkey__check__locations="ParameterOnly"),),
    "misc:after": (setting(api__sessionkey__check__locations="CookieAndParameter"),),
    "import:addCluster-bad": (remove_vmware_cluster,),
    # the line that set the list is not in the recording
    "import:imp-extra-ok": (setting(convert__vmware__instance__to__kvm__extra__params__allowed__list="root"),),
    "misc:json-ct": (
        setting(
            json__content__type="text/javascript; charset=UTF-8",
            enable__secure__session__cookie="true",
            enforce__post__requests__and__timestamps="true",
        ),
    ),
    "misc:2fa-login": (
        setting(
            json__content__type="application/json; charset=UTF-8",
            enable__secure__session__cookie="false",
            enforce__post__requests__and__timestamps="false",
        ),
    ),
}


def encoded(pairs: list[tuple[str, str | None]]) -> str:
    """A query line; a value of None is a name without `=`."""
    return "&".join(quote(name) if value is None else f"{quote(name)}={quote(value, safe='')}" for name, value in pairs)


# What the recording does not hold: these lines are no UTF-8, or no percent encoding.
RAW_QUERIES = {
    "endpoint:bad-pct": "command=listZones&response=json&name=%zz",
    "endpoint:bad-utf8": "command=listZones&response=json&name=%ff%fe",
}


def canonical(
    parameters: Mapping[str, str], secret: str, *, encode: Callable[[str], str] = lambda text: quote(text, safe="*"),
    sorted_by: Callable[[str], str] = str,
) -> str:  # fmt: skip
    """A signature made in another way than the server's."""
    names = sorted(parameters, key=sorted_by)
    text = "&".join(f"{name}={encode(parameters[name])}" for name in names).lower()
    return base64.b64encode(hmac.new(secret.encode(), text.encode(), hashlib.sha1).digest()).decode()


SIGNERS: dict[str, Callable[[Mapping[str, str], str], str]] = {
    "endpoint:repeat-query-last": lambda parameters, secret: sign({**parameters, "username": "zzz"}, secret),
    "endpoint:gzip-err": lambda parameters, secret: sign(parameters, "wrong"),
    "signing:bad-sig": lambda parameters, secret: sign(parameters, "wrong"),
    "signing:bad-sig-xml": lambda parameters, secret: sign(parameters, "wrong"),
    "signing:enc-star-python": lambda p, secret: canonical(p, secret, encode=lambda text: quote(text, safe="")),
    "signing:enc-plus": lambda p, secret: canonical(p, secret, encode=lambda text: text.replace(" ", "+")),
    "signing:enc-slash": lambda p, secret: canonical(p, secret, encode=lambda text: quote(text, safe="/")),
    "signing:sort-lower": lambda p, secret: canonical(p, secret, sorted_by=str.lower),
    "signing:sort-Zap-lower": lambda p, secret: canonical(p, secret, sorted_by=str.lower),
    "signing:sig-nopad": lambda parameters, secret: sign(parameters, secret).rstrip("="),
    "signing:sig-urlsafe": lambda parameters, secret: (
        sign(parameters, secret).replace("+", "-").replace("/", "_").replace("=", "-")
    ),
    "signing:sig-ws": lambda parameters, secret: sign(parameters, secret) + "\n",
    "signing:empty-apikey-unsigned-extra": lambda p, secret: sign({n: v for n, v in p.items() if n != "foo"}, secret),
}


def found_differences(exchange: Mapping[str, Any], answer: TestResponse, shapes: Any) -> list[str]:
    """In which ways an answer is not the recorded one."""
    found = []
    if answer.status != f"{exchange['status']} {exchange['reason']}":
        found.append(f"status {answer.status}")
    recorded: dict[str, list[str]] = {}
    for name, value in exchange["headers"]:
        recorded.setdefault(name, []).append(comparable(value))
    for name in COMPARED_HEADERS:
        ours = [comparable(value) for value in answer.headers.getlist(name)]
        if ours != recorded.get(name, []):
            found.append(f"header {name}: {ours}, not {recorded.get(name, [])}")
    if exchange.get("security_headers") and len(answer.headers.getlist("content-security-policy")) != 5:
        found.append("no security headers")
    body = answer.get_data()
    text = (zlib.decompress(body, 47) if answer.headers.get("Content-Encoding") == "gzip" else body).decode()
    if "body" in exchange:
        # a page of the web UI is kept without its text
        if exchange["body"] is not None and comparable(text) != comparable(exchange["body"]):
            found.append(f"body {text[:300]}")
        return found
    if "result" in exchange:
        found += result_differences(exchange["result"], text)
    (kind,) = exchange["shape"]
    shape = shape_of(text)
    if shape is None or kind not in shape:
        return [*found, f"body {text[:300]}"]
    if kind == "xml":
        return found + [f"{path} is missing" for path in exchange["shape"]["xml"] if path not in shape["xml"]]
    return found + list(shapes.differences(exchange["shape"]["json"], shape["json"]))


def result_differences(recorded: Mapping[str, Any], text: str) -> list[str]:
    """In which ways the error of a job is not the recorded one."""
    (job,) = json.loads(text).values()
    ours = job.get("jobresult", {})
    return [
        f"{name} of the result is {ours.get(name)}, not {value}"
        for name, value in recorded.items()
        if comparable(str(ours.get(name))) != comparable(str(value))
    ]


def comparable(text: str) -> str:
    """`text` without what every installation has of its own."""
    return COOKIE_VALUE.sub(r"\1=*", UUID.sub("<uuid>", text))


@pytest.mark.parametrize("exchange", EXCHANGES, ids=lambda exchange: exchange["name"])
def test_recorded_exchange(exchange: dict[str, Any], replays: Any, shapes: Any) -> None:
    """The answer is the recorded one, or differs in just what is listed."""
    name = exchange["name"]
    replay = replays(name)
    replay.hide_zones(name.startswith(BEFORE_THE_ZONE))
    found = found_differences(exchange, replay.send(exchange), shapes)
    listed = LISTED["exchanges"].get(name)
    if listed is None:
        assert found == []
    elif "missing" in listed:
        assert [each.removesuffix(" is missing") for each in found] == listed["missing"].split()
    else:
        assert found, f"{name} is equal now: take it out of differences.yaml"
        if listed["reason"] == "empty world":
            (key,) = next(iter(exchange["shape"].values()))
            lists = [each for each in found if re.fullmatch(rf"{key}\.\w+ is missing", each)]
            assert (found, len(found)) == (lists, 2)
