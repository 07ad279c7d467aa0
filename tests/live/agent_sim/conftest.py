"""A small scripted management server on the wire's own code, and fleets that connect to it."""

from __future__ import annotations

import datetime
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

from agent_sim import Fleet, HostDescription, load_hosts
from mgmt.protocol.commands import (
    Answer,
    Command,
    PingAnswer,
    PingRoutingCommand,
    ReadyCommand,
    StartupAnswer,
    StartupRoutingCommand,
)
from mgmt.protocol.link import LinkError, TlsLink, server_context
from mgmt.protocol.message import Request, Response, decode

LAB = Path(__file__).parents[3] / "fixtures" / "hosts" / "lab.yaml"
NODE_ID = 345050284381


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

    def ask(self, *commands: Command, timeout_s: float = 10.0, **options: Any) -> list[Answer]:
        """Send the commands in one request and wait for the answers."""
        request = self.request(*commands, **options)
        return list(self.answer_to(request.sequence, timeout_s).answers)

    def answer_to(self, sequence: int, timeout_s: float = 10.0) -> Response:
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
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # it is closed already
        self.thread.join(5)


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
        self._thread = threading.Thread(target=self._accept, name="scripted-server", daemon=True)
        self._thread.start()

    @property
    def address(self) -> tuple[str, int]:
        host, port = self._listener.getsockname()
        return host, port

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

    def next_agent(self, timeout_s: float = 10.0) -> Connection:
        """The next agent that introduced itself."""
        return self._arrived.get(timeout=timeout_s)

    def stop(self) -> None:
        # shutdown wakes the accepting thread, which close alone does not
        try:
            self._listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # not every system has listeners that can be shut down
        self._listener.close()
        self._thread.join(5)
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
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return folder / "cert.pem", folder / "key.pem"


@pytest.fixture
def server(server_certificate: tuple[Path, Path]) -> Iterator[ScriptedServer]:
    scripted = ScriptedServer(*server_certificate)
    yield scripted
    scripted.stop()


@pytest.fixture
def lab_hosts() -> list[HostDescription]:
    return load_hosts(LAB)


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
