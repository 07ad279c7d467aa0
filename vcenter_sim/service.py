"""From request bytes to reply bytes: parse, find the session and the receiver, run the method, render. No sockets."""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from vcenter_sim import collector, faults, wire
from vcenter_sim.exports import Download, Exports
from vcenter_sim.injection import ConnectionDropped, Injection
from vcenter_sim.inventory import Inventory, Managed
from vcenter_sim.reads import Reads
from vcenter_sim.sessions import COOKIE_NAME, Session, Sessions
from vcenter_sim.snapshots import Snapshots
from vcenter_sim.tasks import Scheduler, Tasks
from vcenter_sim.types import vim, vmodl
from vcenter_sim.wire import Call, WireError

log = logging.getLogger(__name__)

_COOKIE = re.compile(rf'(?:^|[;\s]){COOKIE_NAME}\s*=\s*(?:"([^"]*)"|([^;\s"]*))')

DROPPED = 0
"""The status of a reply that is none: the connection ends instead."""


@dataclass(frozen=True)
class Reply:
    """What goes back: HTTP status, body, and the cookie to set when a session was opened."""

    status: int
    body: bytes
    cookie: str | None = None


@dataclass(frozen=True)
class Timings:
    """How long operations take, in seconds of the clock."""

    clone_s: float = 0.04
    power_s: float = 0.02
    destroy_s: float = 0.02
    relocate_s: float = 0.03
    reconfigure_s: float = 0.01
    snapshot_s: float = 0.02
    lease_s: float = 0.02
    lease_timeout_s: float = 300.0


@dataclass(frozen=True)
class World:
    """What methods act on: one stand-in's objects and helpers."""

    inventory: Inventory
    sessions: Sessions
    tasks: Tasks
    scheduler: Scheduler
    exports: Exports
    snapshots: Snapshots
    timings: Timings
    stopped: threading.Event


@dataclass(frozen=True)
class Context:
    """One call, ready to run: its world, session, receiver and arguments."""

    world: World
    session: Session
    this: Managed
    call: Call

    @property
    def inventory(self) -> Inventory:
        """The objects of the world."""
        return self.world.inventory

    @property
    def arguments(self) -> dict[str, Any]:
        """The arguments by parameter name; optional ones that were not sent are None."""
        return self.call.arguments

    @property
    def username(self) -> str:
        """Who calls; empty before login."""
        return self.session.username or ""


Method: TypeAlias = Callable[[Context], Any]


@dataclass(frozen=True)
class MethodTable:
    """The methods that are there. Those of `waiting` take the lock themselves, as they may wait for changes."""

    methods: Mapping[str, Method]
    waiting: frozenset[str]


class Service:
    """Answers requests one at a time for each caller; safe to call from many threads."""

    def __init__(self, world: World, table: MethodTable, injection: Injection | None = None) -> None:
        self._world = world
        self._injection = injection
        self._table = table
        self._reads = Reads(world.inventory)

    def handle(
        self,
        body: bytes,
        *,
        soap_action: str | None = None,
        cookie_header: str | None = None,
        peer: str = "",
        user_agent: str = "",
    ) -> Reply:
        """The reply to one POST; never raises for what a client sent."""
        try:
            call = self._reads.call(body, soap_action)
        except WireError as error:
            log.warning("a request was refused: %s", error)
            return Reply(500, wire.render_fault(faults.invalid_request(str(error)), wire.version_of(soap_action)))
        log.debug("%s from %s", call.method, peer)
        session = self._world.sessions.find(_cookie_value(cookie_header))
        cookie = None
        if session is None:
            cookie, session = self._world.sessions.open(peer, user_agent)
        try:
            return Reply(200, self._result(call, session, body), cookie)
        except vmodl.MethodFault as fault:
            log.info("%s is answered with %s: %s", call.method, type(fault).__name__, fault.msg)
            return Reply(500, wire.render_fault(fault, call.version), cookie)
        except ConnectionDropped:
            return Reply(DROPPED, b"")
        except Exception as error:
            log.exception("%s failed inside the stand-in", call.method)
            return Reply(500, wire.render_fault(faults.system_error(type(error).__name__), call.version), cookie)

    def download(self, path: str, cookie_header: str | None) -> Download:
        """What a GET of an export's file is answered with."""
        return self._world.exports.download(path, self._world.sessions.find(_cookie_value(cookie_header)))

    def pieces(self, download: Download) -> Iterator[bytes]:
        """What is sent for the download, each piece when its time has come; all of it but when its lease ends."""
        return self._world.exports.pieces(download)

    def _result(self, call: Call, session: Session, body: bytes) -> bytes:
        method = self._table.methods.get(call.method)
        if method is None or call.info is None or call.this is None:
            log.warning("method %s is not there", call.method)
            raise faults.method_not_found(call.this, call.method)
        self._authorise(call, call.info.privId, session)
        this = self._world.inventory.find(call.this)
        if not issubclass(this.kind, call.info.type):
            raise faults.method_not_found(this.ref, call.method)
        context = Context(self._world, session, this, call)
        if self._injection is not None:
            self._injection.call(call.method, this, session, lambda: self._world.sessions.end(session))
        if call.method in self._table.waiting:
            result = method(context)
            with self._world.inventory.lock:
                return wire.render_result(call, result)
        with self._world.inventory.lock:
            known = self._reads.answer(call, body)
            if known is not None:
                return known
            result = method(context)
            answer = wire.render_result(call, result)
            self._reads.keep(call, body, result, answer)
            return answer

    def _authorise(self, call: Call, needed: str | None, session: Session) -> None:
        """Raise NotAuthenticated unless the session may call; `needed` is the method's privilege."""
        if session.username is not None:
            return
        if call.method == "Fetch":
            allowed = collector.readable_anonymously(call.this, call.arguments["prop"])
        elif call.method in ("RetrieveProperties", "RetrievePropertiesEx"):
            allowed = all(
                collector.readable_anonymously(wire.reference(spec.type, ""), path)
                for filter_spec in call.arguments["specSet"]
                for spec in filter_spec.propSet
                for path in (["*"] if spec.all else spec.pathSet)
            )
        else:
            allowed = needed == "System.Anonymous"
        if not allowed:
            privilege = "System.View" if needed in (None, "System.Anonymous") else needed
            raise faults.not_authenticated(call.this or vim.ServiceInstance("ServiceInstance"), privilege)


def _cookie_value(header: str | None) -> str | None:
    """The session cookie of a Cookie header; clients send its attributes along, as CloudStack and pyvmomi do."""
    match = _COOKIE.search(header) if header else None
    return (match[1] if match[1] is not None else match[2]) if match is not None else None
