"""A small world behind the HTTP edge: two domains, a few users, a zone, and commands made for these tests."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from types import SimpleNamespace
from typing import Any, cast

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.test import TestResponse

from mgmt.api.app import create_wsgi
from mgmt.api.signature import sign
from mgmt.commands import asyncjobs, collect, discovery, password_reset, session
from mgmt.commands.declaration import (
    ADMIN_ONLY,
    ALL_ROLES,
    Bound,
    Call,
    Declaration,
    EventSpec,
    Fields,
    Listing,
    Result,
    Success,
    command,
)
from mgmt.commands.fields import (
    Boolean,
    Date,
    Integer,
    ListOf,
    ListParams,
    Long,
    MapParam,
    Out,
    Params,
    Response,
    Str,
    Uuid,
)
from mgmt.commands.services import Services
from mgmt.inventory.passwords import hash_password
from mgmt.inventory.settings import GlobalSettings
from mgmt.jobs.runner import JobRunner
from mgmt.observe.journal import Journal
from mgmt.observe.redaction import Redactor
from mgmt.providers import Providers
from mgmt.quirks import Quirks
from mgmt.store.database import Store
from mgmt.store.models import (
    Account,
    Domain,
    ManagementServer,
    Role,
    User,
    Zone,
)

CREATED = datetime(2026, 3, 1, 10, 15, 30)
VERSION = "4.22.0.0-SNAPSHOT"
START_S = 1795395426.0  # 2026-11-23T00:57:06+0000
MANAGEMENT_SERVER_UUID = "73fbcaa8-c53b-4175-90dd-2257954d5ca5"

ROOT_UUID = "472f002c-e6d2-11f1-b0c4-02fc00000001"
D1_UUID = "fee9d313-0f5d-4582-a527-5772ac5bc06b"
ZONE_UUID = "06fb02d4-df56-446b-bb1a-d2d6e11e243b"
USER_UUIDS = {
    "admin": "4730d2e8-e6d2-11f1-b0c4-02fc00000001",
    "user1": "f357d19a-3b0f-40bd-a3e9-7582f02b8e97",
    "dadmin1": "5b132601-e6d2-11f1-b0c4-02fc00000009",
    "disabled1": "5b132601-e6d2-11f1-b0c4-02fc0000000a",
}


class ZoneOut(Response):
    id = Out("string", "id")
    name = Out("string", "name")
    allocationstate = Out("string", "state")
    details = Out("map", "details")
    tags = Out("set", "tags")
    created = Out("date", "creation")


class ListZonesParams(ListParams):
    id = Uuid("id", entity="zone")
    ids = ListOf("ids", Uuid("id", entity="zone"), since="4.19.0")
    name = Str("name")
    managementserverid = Uuid("server", entity="managementserver", since="4.21.0")


class ListHostsParams(ListParams):
    id = Uuid("id", entity="host")
    domainid = Uuid("domain", entity="domain")
    managementserverid = Uuid("server", entity="managementserver", since="4.21.0")


class UpdateHostParams(Params):
    id = Uuid("id", entity="zone", required=True)
    name = Str("name", since="4.15")
    annotation = Str("annotation", java_name="hostAnnotation")
    hosttags = ListOf("tags", Str("tag"))


class ProbeParams(ListParams):
    text = Str("text")
    number = Integer("number")
    size = Long("size")
    flag = Boolean("flag", default=False)
    startdate = Date("date")
    enddate = Date("date", end_of_day=True)
    day = Date("date", date_only=True)
    details = MapParam("details")
    numbers = ListOf("numbers", Integer("number"))


class ConfigureParams(Params):
    name = Str("name", required=True)
    mode = Str("what to do", required=True)
    password = Str("a secret")


class Recorder:
    """What the test commands were called with, and what the next call is to do."""

    def __init__(self) -> None:
        self.bound: list[Bound] = []
        self.result: Result = Success()
        self.error: Exception | None = None
        self.hides_zones = False
        self.gate: Callable[[Call], None] = lambda call: None

    def call(self, call: Call, bound: Bound) -> Result:
        self.bound.append(bound)
        self.gate(call)
        if self.error is not None:
            raise self.error
        return self.result


def make_commands(recorder: Recorder) -> tuple[Declaration, ...]:
    """Commands with the names that recorded exchanges use."""

    @command("listZones", params=ListZonesParams, response=ZoneOut, description="zones", object_name="zone",
             is_list=True, roles=ALL_ROLES)  # fmt: skip
    def list_zones(call: Call, bound: Bound) -> Result:
        zones = [each for each in call.db.query(Zone) if bound["name"] in (None, each.name)]
        zones = [each for each in zones if bound["id"] in (None, each.id)]
        zones = [] if recorder.hides_zones else zones
        items = [{"id": each.uuid, "name": each.name, "dns2": None} for each in zones]
        window = items[bound.paging.offset :][: bound.paging.limit]
        return Listing(window, len(items))

    @command("updateHost", params=UpdateHostParams, response=ZoneOut, description="host", object_name="host",
             roles=ADMIN_ONLY)  # fmt: skip
    def update_host(call: Call, bound: Bound) -> Result:
        return recorder.call(call, bound)

    @command("listHosts", params=ListHostsParams, response=ZoneOut, description="hosts", object_name="host",
             is_list=True, roles=ADMIN_ONLY)  # fmt: skip
    def list_hosts(call: Call, bound: Bound) -> Result:
        return recorder.call(call, bound)

    @command(
        "listUsers",
        params=ListHostsParams,
        response=ZoneOut,
        description="users",
        object_name="user",
        is_list=True,
        roles=ALL_ROLES,
    )
    def list_users(call: Call, bound: Bound) -> Result:
        return recorder.call(call, bound)

    @command("listEvents", params=ProbeParams, response=ZoneOut, description="probe", object_name="event",
             is_list=True, roles=ALL_ROLES)  # fmt: skip
    def list_events(call: Call, bound: Bound) -> Result:
        return recorder.call(call, bound)

    @command("importVm", params=ConfigureParams, response=ZoneOut, description="job", object_name="virtualmachine",
             is_async=True, roles=ALL_ROLES, java_class="org.apache.cloudstack.api.command.admin.vm.ImportVmCmd",
             event=EventSpec("VM.IMPORT", lambda bound: f"Importing unmanaged VM: {bound['name']}", "importing VM",
                             resource_type="VirtualMachine"))  # fmt: skip
    def import_vm(call: Call, bound: Bound) -> Result:
        assert call.session is None and call.job_uuid
        return recorder.call(call, bound)

    @command("stopVirtualMachine", params=Params, response=ZoneOut, description="job", object_name="virtualmachine",
             is_async=True, roles=ALL_ROLES, job_instance_type="VirtualMachine",
             java_class="org.apache.cloudstack.api.command.admin.vm.StopVMCmdByAdmin")  # fmt: skip
    def stop_vm(call: Call, bound: Bound) -> Result:
        return recorder.call(call, bound)

    @command("updateVMAffinityGroup", params=UpdateHostParams, response=ZoneOut, description="odd name",
             object_name="virtualmachine", response_name="updatevirtualmachineresponse")  # fmt: skip
    def odd_name(call: Call, bound: Bound) -> Result:
        return recorder.call(call, bound)

    @command("getLoose", params=Params, response=None, description="fields", roles=ALL_ROLES)
    def loose(call: Call, bound: Bound) -> Result:
        return Fields({"a": 1, "b": None})

    return (list_zones, update_host, list_hosts, list_users, list_events, import_vm, stop_vm, odd_name, loose)


class StillClock:
    """A clock that a test moves; it stands still otherwise."""

    def __init__(self) -> None:
        self.time_s = START_S

    def now(self) -> float:
        return self.time_s

    def monotonic(self) -> float:
        return self.time_s

    def sleep(self, duration_s: float) -> None:
        self.time_s += duration_s

    def wait(self, event: Any, timeout_s: float | None) -> bool:
        return bool(event.wait(timeout_s))


@dataclass
class Edge:
    """One server's HTTP edge and what a test needs around it."""

    services: Services
    recorder: Recorder
    clock: StillClock
    app: Any
    keys: dict[str, tuple[str, str]] = field(default_factory=dict)

    def client(self) -> FlaskClient:
        return cast(FlaskClient, self.app.test_client(use_cookies=False))

    def get(self, command_name: str | None = None, /, *, who: str = "admin", **parameters: str) -> TestResponse:
        """A signed GET with `response=json` unless given otherwise."""
        return self.signed({} if command_name is None else {"command": command_name}, who=who, extra=parameters)

    def signed(
        self, base: Mapping[str, str], *, who: str = "admin", extra: Mapping[str, str] = {}, method: str = "GET"
    ) -> TestResponse:
        key, secret = self.keys[who]
        parameters = {"response": "json", **base, **extra, "apiKey": key}
        parameters["signature"] = sign(parameters, secret)
        return self.client().open("/client/api", method=method, query_string=parameters)

    def set(self, name: str, value: str) -> None:
        with self.services.store.session() as db:
            self.services.settings.set(db, name, value)


def _fill(store: Store) -> dict[str, tuple[str, str]]:
    keys = {name: (f"{name}-key", f"{name}-secret") for name in USER_UUIDS}
    with store.session() as db:
        root = Domain(uuid=ROOT_UUID, name="ROOT", path="/", level=0)
        d1 = Domain(uuid=D1_UUID, name="D1", path="/D1/", level=1, parent_id=1)
        db.add(root)
        db.flush()
        db.add(d1)
        roles = {
            name: Role(uuid=f"role-{name}", name=name, role_type=name) for name in ("Admin", "DomainAdmin", "User")
        }
        db.add_all(roles.values())
        db.add(Zone(uuid=ZONE_UUID, name="Sandbox"))
        db.add(ManagementServer(uuid=MANAGEMENT_SERVER_UUID, msid=1, name="localhost", version=VERSION,
                                service_ip="127.0.0.1"))  # fmt: skip
        db.flush()
        rows = [
            ("admin", "Admin", 1, root, "enabled"),
            ("user1", "User", 0, d1, "enabled"),
            ("dadmin1", "DomainAdmin", 2, d1, "enabled"),
            ("disabled1", "User", 0, d1, "disabled"),
        ]
        for name, role, kind, domain, state in rows:
            account = Account(uuid=f"account-{name}", name=name, type=kind, role_id=roles[role].id,
                              domain_id=domain.id, created=CREATED)  # fmt: skip
            db.add(account)
            db.flush()
            db.add(
                User(
                    uuid=USER_UUIDS[name],
                    username=name,
                    account_id=account.id,
                    state=state,
                    created=CREATED,
                    password_hash=_password_hash(),
                    firstname="F",
                    lastname="L",
                    timezone="UTC",
                    api_key=keys[name][0],
                    secret_key=keys[name][1],
                )
            )
    return keys


@contextmanager
def open_edge() -> Iterator[Edge]:
    """An HTTP edge over a fresh memory database, with jobs running."""
    clock = StillClock()
    providers = Providers(clock=clock, random=random.Random(7))
    redactor = Redactor()
    journal = Journal(clock, redactor)
    store = Store("sqlite://", providers)
    keys = _fill(store)
    recorder = Recorder()
    jobs = JobRunner(store, providers, journal, redactor, workers=2)
    nothing: Any = SimpleNamespace()
    services = Services(
        store=store, providers=providers, settings=GlobalSettings(store), journal=journal, redactor=redactor,
        quirks=Quirks(), agents=nothing, vcenters=nothing, jobs=jobs,
        commands=collect(
            [session.COMMANDS, password_reset.COMMANDS, discovery.COMMANDS, asyncjobs.COMMANDS, make_commands(recorder)]
        ),
        management_server_uuid=MANAGEMENT_SERVER_UUID, management_server_name="localhost",
        cloudstack_version=VERSION,
    )  # fmt: skip
    app = create_wsgi(services)
    jobs.start()
    yield Edge(services, recorder, clock, app, keys)
    jobs.stop(5)
    store.close()


def _reset(edge: Edge, users: list[tuple[Any, ...]]) -> None:
    """Bring an edge back to its first state: opening one anew takes a tenth of a second."""
    services = edge.services
    raw = services.store.engine.raw_connection()
    db = raw.driver_connection
    assert db is not None
    for table in ("async_job", "event", "configuration"):
        db.execute(f"DELETE FROM {table}")
    db.execute("DELETE FROM data_center WHERE uuid != ?", (ZONE_UUID,))
    db.executemany("UPDATE user SET state = ?, secret_key = ?, timezone = ? WHERE id = ?", users)
    db.commit()
    raw.close()
    services.settings.reload(services.store)
    edge.recorder.__init__()  # type: ignore[misc]
    edge.clock.time_s = START_S
    edge.keys.update({name: (f"{name}-key", f"{name}-secret") for name in USER_UUIDS})
    dispatcher = edge.app.extensions["dispatcher"]
    dispatcher.sessions._sessions.clear()
    dispatcher._callers._credentials.clear()
    services.journal._entries.clear()


@pytest.fixture(scope="session")
def _session_edge() -> Iterator[tuple[Edge, list[tuple[Any, ...]]]]:
    with open_edge() as edge:
        with edge.services.store.session() as db:
            users = [tuple(row) for row in db.execute(select(User.state, User.secret_key, User.timezone, User.id))]
        yield edge, users


@pytest.fixture
def edge(_session_edge: tuple[Edge, list[tuple[Any, ...]]]) -> Iterator[Edge]:
    """An HTTP edge in its first state."""
    edge, users = _session_edge
    yield edge
    _reset(edge, users)


@cache
def _password_hash() -> str:
    return hash_password("password", random.Random(1))
