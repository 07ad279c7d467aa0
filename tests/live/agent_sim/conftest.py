"""A small scripted management server on the wire's own code, and fleets that connect to it."""

from __future__ import annotations

import contextlib
import datetime
import math
import queue
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from agent_sim import Fleet, HostDescription, ProgressEvent, ToolRun, load_hosts
from mgmt.protocol.commands import (
    Answer,
    Command,
    ConvertInstanceCommand,
    ImportConvertedInstanceCommand,
    ModifyStoragePoolCommand,
    NfsTO,
    PingAnswer,
    PingRoutingCommand,
    PrimaryDataStoreTO,
    ReadyCommand,
    RemoteInstanceTO,
    StartupAnswer,
    StartupRoutingCommand,
    StorageFilerTO,
)
from mgmt.protocol.link import LinkError, TlsLink, server_context
from mgmt.protocol.message import Request, Response, decode
from vcenter_sim.server import VcenterSim

LAB = Path(__file__).parents[3] / "fixtures" / "hosts" / "lab.yaml"
NODE_ID = 345050284381
PASSWORD = "VMware1!lab"


class Connection:
    """One agent's link as the scripted server sees it."""

    def __init__(self, server: ScriptedServer, sock: socket.socket) -> None:
        self._server = server
        self._socket = sock
        self._link = TlsLink(True, server.context)
        self._lock = threading.Lock()
        self.requests: queue.Queue[Request] = queue.Queue()
        self.responses: queue.Queue[Response] = queue.Queue()
        self.startup: list[Command] = []
        self.startup_headers: list[Request] = []
        self.host_id = 0
        self.closed = threading.Event()
        self._sequence = 0x1234000000000000
        self.thread = threading.Thread(target=self._serve, name="scripted-link", daemon=True)
        self.thread.start()

    def _serve(self) -> None:
        try:
            while data := self._socket.recv(65536):
                with self._lock:
                    messages = self._link.feed(data)
                    self._socket.sendall(self._link.take_outgoing())
                for message in messages:
                    self._take(decode(message))
        except (OSError, LinkError):
            pass  # the test's own end of the link: `closed` tells
        finally:
            self._socket.close()
            self.closed.set()

    def _take(self, message: Request | Response) -> None:
        if isinstance(message, Response):
            self.responses.put(message)
            return
        first = message.commands[0]
        if isinstance(first, StartupRoutingCommand):
            self.startup = list(message.commands)
            self.startup_headers.append(message)
            self.host_id = self._server.host_id(first)
            self._server.introduced(self)
        elif isinstance(first, PingRoutingCommand) and self._server.answers_pings:
            self.send(Response.to(message, [PingAnswer(result=True)]).encode())
        self.requests.put(message)

    def send(self, message: bytes) -> None:
        with self._lock:
            self._link.send(message)
            self._socket.sendall(self._link.take_outgoing())

    def welcome(self, request: Request, **fields: Any) -> None:
        values = {"hostId": 0, "hostName": "", "hostUuid": "", "pingInterval": 60, "result": True, **fields}
        self.send(Response.to(request, [StartupAnswer(**values)], management_id=NODE_ID).encode())

    def ask(self, *commands: Command, timeout_s: float = 60.0, **options: Any) -> list[Answer]:
        """Send the commands in one request and wait for the answers."""
        request = self.request(*commands, **options)
        return list(self.answer_to(request.sequence, timeout_s).answers)

    def answer_to(self, sequence: int, timeout_s: float = 60.0) -> Response:
        while True:
            response = self.responses.get(timeout=timeout_s)
            if response.sequence == sequence:
                return response

    def request(self, *commands: Command, **options: Any) -> Request:
        self._sequence += 1
        values = {"from_server": True, "in_sequence": any(c.in_sequence for c in commands), **options}
        request = Request(
            self._sequence, tuple(commands), management_id=NODE_ID, agent_id=self.host_id, via=self.host_id, **values
        )
        self.send(request.encode())
        return request

    def ready(self) -> Answer:
        command = ReadyCommand(dcId=1, hostId=self.host_id, hostUuid=f"uuid-{self.host_id}", hostName="h", wait=60)
        return self.ask(command)[0]

    def close(self) -> None:
        with contextlib.suppress(OSError):  # it may be closed already
            self._socket.shutdown(socket.SHUT_RDWR)
        self.thread.join(60)


class ScriptedServer:
    """Accepts agents and keeps their links; by default it welcomes each and says Ready."""

    def __init__(self, certificate: Path, key: Path) -> None:
        self.context = server_context(certificate, key)
        self.answers_pings = True
        self.welcomes: Callable[[Connection], None] | None = self._welcome
        self.connections: list[Connection] = []
        self._known: dict[str, int] = {}
        self._arrived: queue.Queue[Connection] = queue.Queue()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address: tuple[str, int] = self._listener.getsockname()
        self._thread = threading.Thread(target=self._accept, name="scripted-server", daemon=True)
        self._thread.start()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self.connections.append(Connection(self, sock))

    def host_id(self, startup: StartupRoutingCommand) -> int:
        return self._known.setdefault(startup.guid or "", 7 + len(self._known))

    def introduced(self, connection: Connection) -> None:
        if self.welcomes is not None:
            self.welcomes(connection)
        self._arrived.put(connection)

    @staticmethod
    def _welcome(connection: Connection) -> None:
        connection.welcome(connection.startup_headers[-1])
        command = ReadyCommand(dcId=1, hostId=connection.host_id, hostUuid="u", hostName="h", wait=60)
        connection.request(command)

    def next_agent(self, timeout_s: float = 60.0) -> Connection:
        """The next agent that introduced itself."""
        return self._arrived.get(timeout=timeout_s)

    def stop(self) -> None:
        # shutdown wakes the accepting thread, which close alone does not
        with contextlib.suppress(OSError):  # not every system has listeners that can be shut down
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(60)
        for connection in self.connections:
            connection.close()


@pytest.fixture(scope="session")
def server_certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A self-signed certificate and its key, in files."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "scripted")])
    start = datetime.datetime(2020, 1, 1)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(start)
        .not_valid_after(start + datetime.timedelta(days=36500))
        .sign(key, hashes.SHA256())
    )
    folder = tmp_path_factory.mktemp("certificate")
    (folder / "cert.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return folder / "cert.pem", folder / "key.pem"


@pytest.fixture
def server(server_certificate: tuple[Path, Path]) -> Iterator[ScriptedServer]:
    scripted = ScriptedServer(*server_certificate)
    yield scripted
    scripted.stop()


@pytest.fixture
def lab_hosts() -> list[HostDescription]:
    return [host for host in load_hosts(LAB) if not host.spare]


@pytest.fixture
def make_fleet(server: ScriptedServer, tmp_path: Path) -> Iterator[Callable[..., Fleet]]:
    """Starts a fleet of the given hosts; stops it at the end."""
    fleets: list[Fleet] = []

    def make(hosts: list[HostDescription], **options: Any) -> Fleet:
        fleet = Fleet(hosts, options.pop("connect", server.address), tmp_path / "fleet", **options)
        fleets.append(fleet)
        fleet.start()
        return fleet

    yield make
    for fleet in fleets:
        fleet.stop()


POOL = "dc9afbc9-aec9-30ff-81c8-9a9aa1485c68"


def primary(uuid: str = POOL, path: str = "/export/primary") -> PrimaryDataStoreTO:
    return PrimaryDataStoreTO(uuid=uuid, name="p", id=3, poolType="NetworkFilesystem", host="192.0.2.20", path=path)


def secondary() -> NfsTO:
    return NfsTO(_url="nfs://192.0.2.20/export/secondary", _role="Image", uuid="7d5b0b0a-0b1e-4a86-9a5f-0a9a8f0f3c11")


class Lab:
    """A running fleet with what its listeners heard."""

    def __init__(self, server, make_fleet, hosts, vcenter, **options) -> None:
        self.runs: list[ToolRun] = []
        self.events: list[ProgressEvent] = []
        self.on_event: Callable[[ProgressEvent], None] | None = None
        self.vcenter = "{}:{}".format(*vcenter.address)
        self.fleet = make_fleet(
            hosts,
            **{"time_scale": math.inf, "on_tool_run": self.runs.append, "on_progress": self._progress, **options},
        )
        self.agents = {}
        for _ in hosts:
            connection = server.next_agent()
            self.agents[connection.startup[0].name] = connection
        assert self.fleet.wait_until_ready(60)

    def _progress(self, event: ProgressEvent) -> None:
        self.events.append(event)
        if self.on_event is not None:
            self.on_event(event)

    def add_pool(self, host: str, uuid: str = POOL, path: str = "/export/primary"):
        filer = StorageFilerTO(id=3, uuid=uuid, host="192.0.2.20", path=path, port=2049, type="NetworkFilesystem")
        answer = self.agents[host].ask(ModifyStoragePoolCommand(add=True, pool=filer, localPath=f"/mnt//{uuid}"))[0]
        assert answer.result, answer.details
        return answer

    def convert_command(self, vm: str, *, location, **fields):
        source = RemoteInstanceTO(
            hypervisorType="VMware",
            instanceName=vm,
            vcenterUsername="administrator@vsphere.local",
            vcenterPassword=fields.pop("password", PASSWORD),
            vcenterHost=fields.pop("vcenter", self.vcenter),
            datacenterName="lab-dc",
            clusterName=fields.pop("cluster", "esx-cluster"),
            hostName=fields.pop("esx", "esx1.lab.example"),
            instancePath=fields.pop("path", None),
        )
        return ConvertInstanceCommand(
            sourceInstance=source,
            originalVMName=vm,
            conversionTemporaryLocation=location,
            **{"wait": 10800, "destinationHypervisorType": "KVM", **fields},
        )

    def import_command(self, vm: str, convert_uuid: str, pools: list[str], *, location, force: bool = False):
        return ImportConvertedInstanceCommand(
            sourceInstance=RemoteInstanceTO(hypervisorType="VMware", instanceName=vm),
            destinationStoragePools=pools,
            conversionTemporaryLocation=location,
            temporaryConvertUuid=convert_uuid,
            forceConvertToPool=force,
        )

    primary = staticmethod(primary)
    secondary = staticmethod(secondary)

    # -- for labs of one host

    @property
    def agent(self) -> Connection:
        return next(iter(self.agents.values()))

    @property
    def hypervisor(self):
        return self.fleet.agents[0].hypervisor

    def convert(self, vm: str, **fields) -> Answer:
        """Convert by VDDK into the primary pool."""
        return self.agent.ask(self.convert_command(vm, **{"location": primary(), "useVddk": True, **fields}))[0]

    def files(self, path: str = "/export/primary") -> list[str]:
        return sorted(entry.name for entry in self.export(path).iterdir())

    def export(self, path: str) -> Path:
        return self.fleet.export_directory("192.0.2.20", path)

    def last_run(self, program: str) -> ToolRun:
        return [run for run in self.runs if program in " ".join(run.argv[:3])][-1]


@pytest.fixture(scope="module")
def vcenter() -> Iterator[VcenterSim]:
    """The lab's vCenter; tests only read it."""
    sim = VcenterSim(LAB.parents[1] / "vcenters" / "lab.yaml")
    sim.start()
    yield sim
    sim.stop()


@pytest.fixture
def make_lab(server: ScriptedServer, make_fleet: Callable[..., Fleet], vcenter: VcenterSim) -> Callable[..., Lab]:
    """A running fleet of the given hosts that heard its Ready."""

    def make(hosts: list[HostDescription], **options: Any) -> Lab:
        return Lab(server, make_fleet, hosts, vcenter, **options)

    return make


@pytest.fixture
def make_conversions(make_lab: Callable[..., Lab]) -> Callable[..., Lab]:
    """A lab of one host with the primary pool mounted."""

    def make(host: HostDescription, **options: Any) -> Lab:
        lab = make_lab([host], **options)
        lab.add_pool(host.name)
        return lab

    return make


@pytest.fixture
def conversions(make_conversions: Callable[..., Lab], lab_hosts: list[HostDescription]) -> Lab:
    return make_conversions(lab_hosts[0])
