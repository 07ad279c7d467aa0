"""Addresses, versions, faults and transport failures of a vCenter session."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mgmt.observe.journal import Journal
from mgmt.observe.redaction import Redactor
from mgmt.providers import RealClock
from mgmt.vmware import link as link_module
from mgmt.vmware.connector import VcenterCredentials
from mgmt.vmware.errors import VcenterError, VcenterFaultError, VcenterUnreachableError, transport_error
from mgmt.vmware.link import VcenterLink, choose_version, fault_text, open_link, parse_versions, split_address
from mgmt.vmware.sdk import OLDEST_VERSION, known_versions, vim, vmodl


@pytest.fixture
def journal() -> Journal:
    return Journal(RealClock(), Redactor())


@pytest.mark.parametrize(
    ("address", "host", "port"),
    [
        ("vc.example", "vc.example", 443),
        ("192.0.2.5:8443", "192.0.2.5", 8443),
        ("[2001:db8::1]", "2001:db8::1", 443),
        ("[2001:db8::1]:444", "2001:db8::1", 444),
        (" vc.example ", "vc.example", 443),
    ],
)
def test_address_has_an_optional_port(address: str, host: str, port: int) -> None:
    """`name[:port]` gives host and port, 443 when it has none."""
    assert split_address(address) == (host, port)


@pytest.mark.parametrize(
    "address", ["", "https://vc", "vc:0", "vc:65536", "vc:", "a b", "user@vc", "::1", "vc\r\nX: y"]
)
def test_another_address_is_refused(address: str) -> None:
    """What is no `name[:port]` is refused before anything is sent."""
    with pytest.raises(VcenterUnreachableError, match=r"expected name\[:port\]"):
        split_address(address)


@given(st.text())
def test_any_text_is_an_address_or_refused(address: str) -> None:
    """Whatever a caller sends as vCenter, it is split into a host without blanks and a valid port, or refused."""
    try:
        host, port = split_address(address)
    except VcenterUnreachableError:
        return
    assert host and not set(host) & set(" \r\n/@") and 0 < port < 65536


def test_newest_shared_version_is_chosen() -> None:
    """Of the versions that a server publishes, the newest that pyvmomi knows is spoken; else the oldest supported."""
    (newest, newest_id), (second, second_id) = known_versions()[:2]
    assert choose_version([second_id, newest_id]) == newest
    assert choose_version(["99.0", second_id]) == second
    assert choose_version([]) == choose_version(["99.0"]) == OLDEST_VERSION
    assert OLDEST_VERSION in dict(known_versions())


def test_version_file_names_vim_versions_only() -> None:
    """The version file's vim25 entries count, with the prior versions; other name spaces do not."""
    document = b"""<namespaces version="1.0">
      <namespace><name>urn:vim25</name><version>8.0.2.0</version>
        <priorVersions><version>7.0.3.0</version><version/></priorVersions></namespace>
      <namespace><name>urn:pbm</name><version>1.0</version></namespace></namespaces>"""
    assert parse_versions(document) == ["8.0.2.0", "7.0.3.0"]
    with pytest.raises(VcenterUnreachableError, match="no XML"):
        parse_versions(b"<html>")


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (TimeoutError("timed out"), "HTTP transport error: java.net.SocketTimeoutException: Read timed out"),
        (ConnectionRefusedError(111, "refused"), "HTTP transport error: java.net.ConnectException: Connection refused"),
        (socket.gaierror(-2, "unknown"), "HTTP transport error: java.net.UnknownHostException"),
        (OSError(113, "No route to host"), "HTTP transport error: java.io.IOException: No route to host"),
        (OSError("odd"), "HTTP transport error: java.io.IOException: OSError"),
        (UnicodeError("odd"), "HTTP transport error: java.io.IOException: UnicodeError"),
    ],
)
def test_transport_texts(error: BaseException, text: str) -> None:
    """A failed exchange reads as in CloudStack, whose SOAP client is JAX-WS."""
    assert transport_error(error).text == text


def test_fault_texts() -> None:
    """A fault's own message is the text; a fault without one gives its type's name."""
    assert fault_text(vim.fault.InvalidLogin(msg="Cannot complete login.")) == "Cannot complete login."
    assert fault_text(vim.fault.NoPermission()) == "NoPermission"
    assert link_module.fault_error(vmodl.fault.ManagedObjectNotFound()).fault == "ManagedObjectNotFound"


def test_credentials_hide_the_password() -> None:
    """The repr of credentials has no password."""
    assert "s3cret" not in repr(VcenterCredentials("vc", "dc", "user", "s3cret"))


def _open(journal: Journal, address: str, timeout_s: float = 60.0) -> VcenterLink:
    return open_link(address, "user", "s3cret-word", journal=journal, clock=RealClock(), timeout_s=timeout_s)


def test_unknown_host_is_named(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    """A host name that does not resolve is in the text."""

    def unresolved(*args: object, **kwargs: object) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unresolved)
    with pytest.raises(VcenterUnreachableError) as caught:
        _open(journal, "nowhere.invalid")
    assert caught.value.text == "HTTP transport error: java.net.UnknownHostException: nowhere.invalid"
    assert [(entry.name, entry.fields["outcome"]) for entry in journal.entries()] == [
        ("GetServiceVersions", "gaierror")
    ]


class TlsServer:
    """A TLS server that answers each connection's first request with `reply`, or never when it is None."""

    def __init__(self, certificate: Any, replies: list[bytes | None]) -> None:
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(certificate)
        self.replies = replies
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self.socket.getsockname()[1]}"
        self.release = threading.Event()
        self.thread = threading.Thread(target=self._serve, name="tls-server")
        self.thread.start()

    def _serve(self) -> None:
        for reply in self.replies:
            raw, _ = self.socket.accept()
            raw.settimeout(60)
            with self.context.wrap_socket(raw, server_side=True) as connection:
                self._read_request(connection)
                if reply is None:
                    self.release.wait(60)
                else:
                    connection.sendall(reply)

    @staticmethod
    def _read_request(connection: ssl.SSLSocket) -> None:
        # All of it: closing a connection with unread bytes resets it before the client has the reply.
        with connection.makefile("rb") as stream:
            length = 0
            while (line := stream.readline().strip()) != b"":
                if line.lower().startswith(b"content-length:"):
                    length = int(line.partition(b":")[2])
            stream.read(length)

    def stop(self) -> None:
        self.release.set()
        self.thread.join(60)
        self.socket.close()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A self-signed certificate for 127.0.0.1."""
    from datetime import UTC, datetime, timedelta

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "vcenter")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "vcenter.pem"
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return path


@pytest.fixture
def tls_server(certificate: Any) -> Iterator[Any]:
    """`tls_server(reply, ...)` starts a server whose connections get these replies in turn."""
    started: list[TlsServer] = []

    def start(*replies: bytes | None) -> TlsServer:
        started.append(TlsServer(certificate, list(replies)))
        return started[-1]

    yield start
    for server in started:
        server.stop()


def _http(status: str, body: bytes) -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body


def test_a_silent_server_ends_at_the_timeout(journal: Journal, tls_server: Any) -> None:
    """A server that accepts and says nothing is given up after the time-out."""
    server = tls_server(None)
    with pytest.raises(VcenterUnreachableError, match="SocketTimeoutException"):
        _open(journal, server.address, timeout_s=0.2)


@pytest.mark.parametrize("page", [b"<html><body>hello</body></html>", b"hello", b""])
def test_a_web_server_is_no_vcenter(journal: Journal, tls_server: Any, page: bytes) -> None:
    """A server without version file that answers SOAP with a page is unreachable, with the method's name."""
    server = tls_server(_http("404 Not Found", b""), _http("200 OK", page))
    with pytest.raises(VcenterUnreachableError, match=r"^Unexpected answer of vCenter to RetrieveServiceContent: "):
        _open(journal, server.address)
    assert [entry.name for entry in journal.entries()] == ["GetServiceVersions", "RetrieveServiceContent"]
    assert journal.entries()[0].fields["outcome"] == "HTTP 404"


def test_a_version_file_that_is_no_xml(journal: Journal, tls_server: Any) -> None:
    """A version file that is no XML ends the attempt."""
    server = tls_server(_http("200 OK", b"hello"))
    with pytest.raises(VcenterUnreachableError, match="no XML"):
        _open(journal, server.address)
    assert journal.entries()[0].fields["outcome"] == "VcenterUnreachableError"


def test_an_http_error_in_a_soap_call(journal: Journal, tls_server: Any) -> None:
    """A 503 instead of SOAP is a transport error."""
    server = tls_server(_http("404 Not Found", b""), _http("503 Service Unavailable", b""))
    with pytest.raises(VcenterUnreachableError, match=r"^HTTP transport error: "):
        _open(journal, server.address)


class FakeSessionManager:
    """Counts logins; `Logout` fails when told to."""

    def __init__(self, logout_fault: VcenterError | None = None) -> None:
        self.logins: list[tuple[str, str]] = []
        self.logout_fault = logout_fault

    def Login(self, username: str, password: str, locale: None) -> None:
        self.logins.append((username, password))

    def Logout(self) -> None:
        if self.logout_fault:
            raise self.logout_fault


class FakeContent:
    def __init__(self, manager: FakeSessionManager) -> None:
        self.sessionManager = manager


class FakeConnections:
    closed = False

    def close(self) -> None:
        self.closed = True


def fake_link(connections: Any, manager: Any) -> VcenterLink:
    clock = RealClock()
    recorder = link_module.Recorder(Journal(clock, Redactor()), clock, "vc")
    return VcenterLink(
        None,
        FakeContent(manager),
        "user",
        "word",
        connections=connections,
        recorder=recorder,
        clock=clock,
        timeout_s=1,
    )


def test_a_lost_session_is_opened_again_once() -> None:
    """NotAuthenticated leads to one new login and one more try; another fault, or the second one, is raised."""
    manager = FakeSessionManager()
    link = fake_link(FakeConnections(), manager)
    answers: list[Any] = [VcenterFaultError("The session is not authenticated.", "NotAuthenticated"), "answer"]

    def method(argument: str) -> str:
        assert argument == "a"
        answer = answers.pop(0)
        if isinstance(answer, VcenterError):
            raise answer
        return str(answer)

    assert link.call(method, "a") == "answer"
    assert manager.logins == [("user", "word")]
    answers[:] = [VcenterFaultError("no", "NoPermission")]
    with pytest.raises(VcenterFaultError, match=r"^no$"):
        link.call(method, "a")
    answers[:] = [VcenterFaultError("again", "NotAuthenticated")] * 2
    with pytest.raises(VcenterFaultError, match=r"^again$"):
        link.call(method, "a")
    assert len(manager.logins) == 2


def test_closing_never_fails() -> None:
    """A logout that fails still closes the connections."""
    connections = FakeConnections()
    fake_link(connections, FakeSessionManager(VcenterUnreachableError("gone"))).close()
    assert connections.closed
