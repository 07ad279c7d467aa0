"""A management server's agent edge over a real socket, and a minimal agent that a test drives message by message."""

from __future__ import annotations

import asyncio
import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import pytest
from sqlalchemy import select

from mgmt.agents.attachment import Attachment
from mgmt.agents.link import AgentLink
from mgmt.agents.manager import AgentManager
from mgmt.agents.states import Event
from mgmt.inventory.settings import GlobalSettings
from mgmt.observe.journal import Journal
from mgmt.observe.redaction import Redactor
from mgmt.protocol.commands import (
    CheckHealthAnswer,
    CheckHealthCommand,
    CheckNetworkAnswer,
    CheckNetworkCommand,
    ModifyStoragePoolAnswer,
    ModifyStoragePoolCommand,
    ReadyAnswer,
    ReadyCommand,
    StartupRoutingCommand,
    StoragePoolInfo,
)
from mgmt.protocol.link import TlsLink, client_context
from mgmt.protocol.message import Request, Response, decode
from mgmt.protocol.records import Answer, Command
from mgmt.providers import Providers
from mgmt.store.database import Store
from mgmt.store.models import Cluster, Host, HostDetail, PhysicalNetwork, Pod, StoragePool, Zone

NODE_ID = 345050284381
GUID = "5b6e0b0e-3d0e-4c6a-9f2c-5a4f8b4b1f11-LibvirtComputingResource"
CREATED = datetime(2026, 1, 1)
BOUND_S = 60.0
Result = TypeVar("Result")


class HandClock:
    """A clock whose monotonic time also moves by hand; waiting is real."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ahead_s = 0.0

    def now(self) -> float:
        return time.time() + self._ahead_s

    def monotonic(self) -> float:
        return time.monotonic() + self._ahead_s

    def sleep(self, duration_s: float) -> None:
        time.sleep(duration_s)

    def wait(self, event: threading.Event, timeout_s: float | None) -> bool:
        return event.wait(timeout_s)

    def advance(self, seconds: float) -> None:
        """Move the time forward."""
        with self._lock:
            self._ahead_s += seconds


class PeerClosed(Exception):
    """The server closed the link."""


def routing_startup(**changes: Any) -> StartupRoutingCommand:
    """The start-up command of a KVM host."""
    fields: dict[str, Any] = {
        "cpuSockets": 1,
        "cpus": 16,
        "speed": 2000,
        "cpuArch": "x86_64",
        "memory": 68719476736,
        "dom0MinMemory": 1073741824,
        "caps": "hvm,snapshot",
        "pool": "/root",
        "hypervisorType": "KVM",
        "hostDetails": {"Host.OS": "Rocky Linux", "Host.OS.Version": "9.4", "host.instance.conversion": "true"},
        "dataCenter": "zone1",
        "pod": "pod1",
        "cluster": "kvm-cluster",
        "guid": GUID,
        "name": "kvm1",
        "version": "4.22.1.0",
        "privateIpAddress": "192.0.2.11",
        "privateMacAddress": "52:54:00:aa:bb:01",
        "privateNetmask": "255.255.255.0",
        "resourceName": "LibvirtComputingResource",
        "msHostList": "127.0.0.1@static",
        "arch": "x86_64",
    }
    return StartupRoutingCommand(**(fields | changes))


def good_answer(command: Command) -> Answer:
    """What a healthy host says."""
    if isinstance(command, CheckNetworkCommand):
        return CheckNetworkAnswer(result=True)
    if isinstance(command, CheckHealthCommand):
        return CheckHealthAnswer(result=True)
    if isinstance(command, ReadyCommand):
        return ReadyAnswer(detailsMap={"host.uefi.enable": "true"}, result=True)
    if isinstance(command, ModifyStoragePoolCommand):
        assert command.pool is not None
        info = StoragePoolInfo(
            host=command.pool.host,
            localPath=command.localPath,
            hostPath=command.pool.path,
            poolType=command.pool.type,
            capacityBytes=1000,
            availableBytes=600,
        )
        return ModifyStoragePoolAnswer(poolInfo=info, templateInfo={}, result=True)
    return Answer(result=True)


@dataclass
class HandAgent:
    """One link to the server; every message is sent and read by the test."""

    sock: socket.socket
    link: TlsLink = field(default_factory=lambda: TlsLink(False, client_context()))
    inbox: list[Request | Response] = field(default_factory=list)
    seen: list[Request | Response] = field(default_factory=list)
    sequence: int = -1

    def shake_hands(self) -> None:
        """Finish the TLS handshake."""
        while not self.link.handshake_done:
            self._pump()
        self.flush()

    def flush(self) -> None:
        """Send what the link has to send."""
        outgoing = self.link.take_outgoing()
        if outgoing:  # sending nothing would still wait for room in the socket's buffer
            self.sock.sendall(outgoing)

    def request(self, *commands: Command, **header: Any) -> Request:
        """Send a request with the agent's next sequence number."""
        self.sequence += 1
        message = Request(sequence=self.sequence, commands=commands, **header)
        self.link.send(message.encode())
        self.flush()
        return message

    def answer(self, request: Request, *answers: Answer) -> None:
        """Answer a request."""
        self.link.send(Response.to(request, answers).encode())
        self.flush()

    def receive(self) -> Request | Response:
        """The next message; raises PeerClosed or socket.timeout."""
        while not self.inbox:
            self._pump()
        message = self.inbox.pop(0)
        self.seen.append(message)
        return message

    def receive_request(self, command_class: type[Command]) -> Request:
        """The next request, which must hold one command of that class."""
        message = self.receive()
        assert isinstance(message, Request), message
        assert type(message.commands[0]) is command_class, message
        return message

    def attach(
        self,
        startup: StartupRoutingCommand | None = None,
        *more: Command,
        answers: Callable[[Command], Answer] = good_answer,
    ) -> None:
        """Start up and answer everything until the second ReadyCommand was answered."""
        self.request(startup or routing_startup(), *more, stop_on_error=False)
        self.serve_until_ready(answers)

    def serve_until_ready(self, answers: Callable[[Command], Answer] = good_answer) -> None:
        """Answer everything until the second ReadyCommand was answered."""
        ready = 0
        while ready < 2:
            message = self.receive()
            if isinstance(message, Request):
                self.answer(message, *[answers(command) for command in message.commands])
                ready += sum(isinstance(command, ReadyCommand) for command in message.commands)

    def wait_closed(self) -> None:
        """Return once the server has closed the link; what it still sends is kept in `seen`."""
        with pytest.raises(PeerClosed):
            while True:
                self.receive()

    def close(self) -> None:
        """Close the socket without a word."""
        self.sock.close()

    def _pump(self) -> None:
        self.flush()
        try:
            data = self.sock.recv(65536)
        except ConnectionResetError:
            raise PeerClosed from None
        if not data:
            raise PeerClosed
        self.inbox += [decode(message) for message in self.link.feed(data)]


@dataclass
class Edge:
    """A started agent manager, its database and its journal."""

    manager: AgentManager
    store: Store
    settings: GlobalSettings
    journal: Journal
    clock: HandClock
    agents: list[HandAgent] = field(default_factory=list)
    callers: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(thread_name_prefix="callers"))

    guid = GUID
    created = CREATED
    peer_closed = PeerClosed
    startup = staticmethod(routing_startup)
    good_answer = staticmethod(good_answer)

    def ask(self, command: Command, **options: Any) -> Future[Answer]:
        """The future answer of the attached host to a command that another thread sends."""
        return self.callers.submit(self.manager.send, self.host_id(), command, **options)

    def attached(self) -> Attachment:
        """The attachment of the host, to look at."""
        assert self.manager._calls.hub is not None
        return self.manager._calls.hub.core.attached[self.host_id()]

    def drop(self, attachment: Attachment) -> None:
        """Let the server notice that an attachment's agent is silent."""
        assert self.manager._calls.hub is not None
        assert self.manager._calls.loop is not None
        work = self.manager._calls.hub.core.drop(attachment, Event.PING_TIMEOUT, "silent")
        asyncio.run_coroutine_threadsafe(work, self.manager._calls.loop).result(BOUND_S)

    def links(self) -> set[AgentLink]:
        """Every link of the server, to look at in its loop."""
        assert self.manager._calls.hub is not None
        return self.manager._calls.hub._links

    def in_loop(self, work: Callable[[], Result]) -> Result:
        """What a function answers that runs in the server's loop, which does nothing else meanwhile."""
        assert self.manager._calls.loop is not None

        async def run() -> Result:
            return work()

        return asyncio.run_coroutine_threadsafe(run(), self.manager._calls.loop).result(BOUND_S)

    def add_cluster(self, name: str, **fields: Any) -> int:
        """Another cluster of the pod; returns its number."""
        with self.store.session() as session:
            cluster = Cluster(uuid=f"{name}-uuid", name=name, zone_id=1, pod_id=1, **fields)
            session.add(cluster)
            session.flush()
            return cluster.id

    def add_pool(self, name: str, *, path: str, **fields: Any) -> None:
        """Another storage pool of the zone."""
        defaults = {"pool_type": "NetworkFilesystem", "host_address": "10.9.9.2", "created": CREATED}
        with self.store.session() as session:
            session.add(StoragePool(uuid=f"{name}-uuid", name=name, zone_id=1, path=path, **(defaults | fields)))

    def set_local_storage(self, is_enabled: bool) -> None:
        """Switch local storage of the zone."""
        with self.store.session() as session:
            session.get_one(Zone, 1).local_storage_enabled = is_enabled

    def set_resource_state(self, state: str) -> None:
        """Change the host's resource state."""
        with self.store.session() as session:
            session.get_one(Host, self.host_id()).resource_state = state

    def settings_for_recording(self, recording: list[dict[str, Any]]) -> None:
        """Give zone, cluster and settings the values that the recorded server had."""
        startup = recording[0]["content"][0]["com.cloud.agent.api.StartupRoutingCommand"]
        answer = recording[1]["content"][0]["com.cloud.agent.api.StartupAnswer"]
        with self.store.session() as session:
            session.get_one(Cluster, 1).name = startup["cluster"]
        self.set("ping.interval", str(answer["pingInterval"]))
        self.set("host", "192.0.2.2")

    def connect(self) -> socket.socket:
        """A bare TCP connection."""
        sock = socket.create_connection(self.manager.address, timeout=BOUND_S)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return sock

    def agent(self) -> HandAgent:
        """An agent whose TLS handshake is done."""
        agent = HandAgent(self.connect())
        self.agents.append(agent)
        agent.shake_hands()
        return agent

    def host(self, guid: str = GUID) -> Host | None:
        """The host's row."""
        with self.store.session() as session:
            return session.scalar(select(Host).where(Host.guid == guid, Host.removed.is_(None)))

    def host_id(self, guid: str = GUID) -> int:
        """The host's internal number."""
        host = self.host(guid)
        assert host is not None
        return host.id

    def status(self, guid: str = GUID) -> str | None:
        """The host's state, None while it is unknown."""
        host = self.host(guid)
        return None if host is None else host.status

    def details(self, guid: str = GUID) -> dict[str, str]:
        """The host's details."""
        with self.store.session() as session:
            rows = session.scalars(
                select(HostDetail).join(Host, Host.id == HostDetail.host_id).where(Host.guid == guid)
            )
            return {row.name: row.value for row in rows}

    def wait_for(self, condition: Callable[[], bool], what: str) -> None:
        """Return once `condition` holds; fails the test after a bound."""
        until = time.monotonic() + BOUND_S
        while not condition():
            assert time.monotonic() < until, f"{what} did not happen within {BOUND_S} s"
            time.sleep(0.005)

    def wait_for_status(self, status: str, guid: str = GUID) -> None:
        """Return once the host has that state."""
        self.wait_for(lambda: self.status(guid) == status, f"state {status}")

    def set(self, name: str, value: str) -> None:
        """Change a global setting."""
        with self.store.session() as session:
            self.settings.set(session, name, value)

    def wait_for_last_move(self, before: str, after: str, event: str) -> None:
        """Return once that is the last change of state in the journal, which is written after the database."""
        self.wait_for(lambda: self.moves()[-1:] == [(before, after, event)], f"{before} -> {after} by {event}")

    def moves(self) -> list[tuple[object, object, object]]:
        """(before, after, event) of every journalled change of state."""
        return [
            (entry.fields["before"], entry.fields["after"], entry.fields["event"])
            for entry in self.journal.entries(kind="host")
        ]


def furnish(store: Store) -> None:
    """One zone, pod and KVM cluster with a shared NFS pool; no statistics are asked."""
    settings = GlobalSettings(store)
    with store.session() as session:
        for name in ("host.stats.interval", "storage.stats.interval"):
            settings.set(session, name, "0")
        zone = Zone(uuid="zone-uuid", name="zone1", local_storage_enabled=True)
        session.add(zone)
        session.flush()
        pod = Pod(
            uuid="pod-uuid",
            name="pod1",
            zone_id=zone.id,
            gateway="192.0.2.1",
            netmask="255.255.255.0",
            start_ip="192.0.2.2",
            end_ip="192.0.2.9",
        )
        session.add(pod)
        session.flush()
        cluster = Cluster(uuid="cluster-uuid", name="kvm-cluster", zone_id=zone.id, pod_id=pod.id)
        session.add_all([cluster, PhysicalNetwork(uuid="physical-uuid", name="physnet", zone_id=zone.id)])
        session.flush()
        session.add(
            StoragePool(
                uuid="53c42945-5ddf-3406-8ce1-a1cddb6b135f",
                name="n1",
                pool_type="NetworkFilesystem",
                scope="CLUSTER",
                zone_id=zone.id,
                pod_id=pod.id,
                cluster_id=cluster.id,
                host_address="10.9.9.1",
                path="/export/n1",
                port=2049,
                created=CREATED,
            )
        )


@pytest.fixture
def clock() -> HandClock:
    """The time of the edge under test."""
    return HandClock()


@pytest.fixture(scope="session")
def furnished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database file with a world in it, to be copied: making the tables takes longer than most tests."""
    path = tmp_path_factory.mktemp("world") / "world.db"
    store = Store(f"sqlite:///{path}", Providers())
    furnish(store)
    store.close()
    return path


@pytest.fixture
def edge_settings() -> dict[str, str]:
    """Global settings that the edge starts with; a test file may have a fixture of its own."""
    return {}


@pytest.fixture
def edge(clock: HandClock, furnished: Path, tmp_path: Path, edge_settings: dict[str, str]) -> Iterator[Edge]:
    """An agent manager that listens on a port of the system's choice."""
    providers = Providers(clock=clock)
    store = Store(f"sqlite:///{shutil.copy(furnished, tmp_path / 'world.db')}", providers)
    settings = GlobalSettings(store)
    for name, value in edge_settings.items():
        with store.session() as session:
            settings.set(session, name, value)
    journal = Journal(clock, Redactor())
    manager = AgentManager(
        store, providers, settings, journal, node_id=NODE_ID, management_server_uuid="ms", timer_poll_s=0.01
    )
    manager.start()
    edge = Edge(manager, store, settings, journal, clock)
    try:
        yield edge
    finally:
        for agent in edge.agents:
            agent.close()
        manager.stop()
        edge.callers.shutdown()
        store.close()
