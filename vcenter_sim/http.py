"""HTTPS around the service: bodies in (by length or chunks, plain or gzip, capped), replies out, keep-alive."""

from __future__ import annotations

import io
import logging
import socket
import ssl
import threading
import zlib
from functools import cache
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any, Protocol
from urllib.parse import unquote
from xml.sax.saxutils import escape

from vcenter_sim import wire
from vcenter_sim.exports import PATH as EXPORT_PATH
from vcenter_sim.providers import RealClock
from vcenter_sim.service import DROPPED, Service
from vcenter_sim.sessions import COOKIE_NAME

log = logging.getLogger(__name__)

MAX_BODY_BYTES = 8 * 1024 * 1024
MAX_HEADERS = 100
MAX_HEADER_BYTES = 65536
HANDSHAKE_TIMEOUT_S = 60.0
TRANSFER_TIMEOUT_S = 30.0
IDLE_TIMEOUT_S = 1000.0  # longer than pyvmomi keeps pooled connections (900 s), so that it never meets a closed one
MEMORY_PEER = ("127.0.0.1", 0)
SOAP_PATHS = ("/sdk", "/sdk/", "/sdk/vimService")


class Stream(Protocol):
    """What a body is read from."""

    def read(self, size: int, /) -> bytes: ...

    def readline(self, size: int, /) -> bytes: ...


class BodyError(Exception):
    """A body that cannot be taken; carries the status to answer with."""

    def __init__(self, status: HTTPStatus, reason: str) -> None:
        super().__init__(reason)
        self.status = status


def read_body(headers: Any, stream: Stream) -> bytes:
    """The decoded request body; raises BodyError for one that is too large, malformed or of unknown length.

    `headers` is an `email.message.Message`, as http.server parses it.
    """
    coding = (headers.get("Transfer-Encoding") or "identity").strip().lower()
    if coding == "chunked":
        raw = _read_chunks(stream)
    elif coding == "identity":
        raw = _read_length(headers.get("Content-Length"), stream)
    else:
        raise BodyError(HTTPStatus.NOT_IMPLEMENTED, f"transfer coding {coding} is not known")
    encoding = (headers.get("Content-Encoding") or "identity").strip().lower()
    if encoding == "gzip":
        return _gunzip(raw)
    if encoding != "identity":
        raise BodyError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"content encoding {encoding} is not known")
    return raw


def _read_length(length: str | None, stream: Stream) -> bytes:
    if length is None:
        raise BodyError(HTTPStatus.LENGTH_REQUIRED, "the request says no length")
    if not length.strip().isdecimal():
        raise BodyError(HTTPStatus.BAD_REQUEST, "the length is no number")
    size = int(length)
    _check_size(size)
    return _read_exactly(stream, size)


def _check_size(size: int) -> None:
    if size > MAX_BODY_BYTES:
        raise BodyError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"the body is larger than {MAX_BODY_BYTES} bytes")


def _read_exactly(stream: Stream, size: int) -> bytes:
    data = stream.read(size)
    if len(data) != size:
        raise BodyError(HTTPStatus.BAD_REQUEST, "the body ended early")
    return data


def _read_chunks(stream: Stream) -> bytes:
    body = bytearray()
    while True:
        line = stream.readline(1024).partition(b";")[0].strip()
        try:
            size = int(line, 16)
        except ValueError:
            raise BodyError(HTTPStatus.BAD_REQUEST, "a chunk has no length") from None
        if size < 0:
            raise BodyError(HTTPStatus.BAD_REQUEST, "a chunk has a negative length")
        if size == 0:
            break
        _check_size(len(body) + size)
        body += _read_exactly(stream, size)
        if stream.readline(3) not in (b"\r\n", b"\n"):
            raise BodyError(HTTPStatus.BAD_REQUEST, "a chunk is longer than it says")
    for _ in range(100):  # trailers
        if stream.readline(65536) in (b"\r\n", b"\n", b""):
            return bytes(body)
    raise BodyError(HTTPStatus.BAD_REQUEST, "too many trailers")


def _gunzip(raw: bytes) -> bytes:
    unzip = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    try:
        body = unzip.decompress(raw, MAX_BODY_BYTES + 1)
    except zlib.error as error:
        raise BodyError(HTTPStatus.BAD_REQUEST, f"the body is no gzip: {error}") from error
    _check_size(len(body))
    if not unzip.eof:
        raise BodyError(HTTPStatus.BAD_REQUEST, "the gzip body ended early")
    return body


@cache
def versions_document() -> bytes:
    """`vimServiceVersions.xml`: the API versions on offer, from which clients choose theirs."""
    newest, *prior = (escape(version) for version in wire.offered_versions())
    rows = "".join(f"   <version>{version}</version>\n" for version in prior)
    return (
        '<?xml version="1.0" encoding="UTF-8" ?>\n<namespaces version="1.0">\n <namespace>\n  <name>urn:vim25</name>\n'
        f"  <version>{newest}</version>\n  <priorVersions>\n{rows}  </priorVersions>\n </namespace>\n</namespaces>\n"
    ).encode()


class _Headers:
    """The headers of one request; of several with one name the first counts."""

    def __init__(self) -> None:
        self._values: dict[str, str] = {}

    def add(self, name: str, value: str) -> None:
        self._values.setdefault(name.lower(), value)

    def get(self, name: str, default: str | None = None) -> str | None:
        """The value; names are compared ignoring case."""
        return self._values.get(name.lower(), default)


def _read_headers(stream: Stream) -> _Headers | None:
    """The headers up to the empty line; None when they are too many or too long."""
    headers = _Headers()
    for _ in range(MAX_HEADERS + 1):
        line = stream.readline(MAX_HEADER_BYTES + 1)
        if len(line) > MAX_HEADER_BYTES:
            return None
        if line in (b"\r\n", b"\n", b""):
            return headers
        name, _separator, value = line.decode("latin-1").partition(":")
        headers.add(name, value.strip())
    return None


class _Handler(BaseHTTPRequestHandler):
    """One connection."""

    server: SoapServer
    raw_requestline: bytes
    protocol_version = "HTTP/1.1"
    server_version = "vcenter-sim"
    sys_version = ""
    wbufsize = -1  # headers and body leave in one write
    disable_nagle_algorithm = True

    def setup(self) -> None:
        self.request.settimeout(HANDSHAKE_TIMEOUT_S)
        self.request.do_handshake()
        super().setup()

    def handle_one_request(self) -> None:
        self.connection.settimeout(IDLE_TIMEOUT_S)
        super().handle_one_request()

    def parse_request(self) -> bool:
        self.connection.settimeout(TRANSFER_TIMEOUT_S)
        words = self.raw_requestline.split()
        if len(words) != 3 or words[2] != b"HTTP/1.1" or words[1].startswith(b"//"):
            return super().parse_request()
        # What nearly every client sends; http.server would take the parser for electronic mail to its headers.
        self.requestline = self.raw_requestline.decode("latin-1").rstrip("\r\n")
        self.command, self.path, self.request_version = (word.decode("latin-1") for word in words)
        self.close_connection = False
        headers = _read_headers(self.rfile)
        if headers is None:
            self.close_connection = True
            self.send_error(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "Too many headers, or too long ones")
            return False
        self.headers = headers  # type: ignore[assignment]  # all that is asked of it is `get`
        self.close_connection = (headers.get("Connection") or "").lower() == "close"
        return (headers.get("Expect") or "").lower() != "100-continue" or self.handle_expect_100()

    def do_GET(self) -> None:
        if self.path.partition("?")[0] == "/sdk/vimServiceVersions.xml":
            self._answer(HTTPStatus.OK, versions_document())
        elif self.path.startswith(EXPORT_PATH):
            self._deliver()
        else:
            self._answer(HTTPStatus.NOT_FOUND, b"", "text/plain")

    def _deliver(self) -> None:
        """A file of an export; a cut one ends with the connection."""
        download = self.server.service.download(unquote(self.path.partition("?")[0]), self.headers.get("Cookie"))
        self.close_connection = self.close_connection or len(download.body) != download.length
        self.send_response(download.status)
        self.send_header("Content-Type", "application/x-vnd.vmware-streamVmdk")
        self.send_header("Content-Length", str(download.length))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        sent = 0
        for piece in self.server.service.pieces(download):
            self.wfile.write(piece)
            self.wfile.flush()
            sent += len(piece)
        self.close_connection = self.close_connection or sent != download.length

    def do_POST(self) -> None:
        try:
            body = read_body(self.headers, self.rfile)
        except BodyError as error:
            log.warning("a request body was refused: %s", error)
            self.close_connection = True
            self._answer(error.status, str(error).encode(), "text/plain")
            return
        if self.path.partition("?")[0] not in SOAP_PATHS:
            self._answer(HTTPStatus.NOT_FOUND, b"", "text/plain")
            return
        reply = self.server.service.handle(
            body,
            soap_action=self.headers.get("SOAPAction"),
            cookie_header=self.headers.get("Cookie"),
            peer=str(self.client_address[0]),
            user_agent=self.headers.get("User-Agent") or "",
        )
        if reply.status == DROPPED:
            self.close_connection = True
            return
        self._answer(HTTPStatus(reply.status), reply.body, cookie=reply.cookie)

    def _answer(
        self, status: HTTPStatus, body: bytes, content_type: str = "text/xml; charset=utf-8", cookie: str | None = None
    ) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        if cookie is not None:
            # CloudStack's client needs at least two parts.
            self.send_header("Set-Cookie", f'{COOKIE_NAME}="{cookie}"; Path=/; HttpOnly; Secure;')
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def log_message(self, format: str, *args: Any) -> None:
        log.debug("%s " + format, self.client_address[0], *args)


class SoapServer(HTTPServer):
    """A thread for each connection; `stop` ends all of them. TLS handshakes happen in those threads."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], context: ssl.SSLContext, service: Service) -> None:
        self.service = service
        self._context = context
        self._connections: dict[socket.socket, threading.Thread] = {}
        self._lock = threading.Lock()
        self._closing = False
        super().__init__(address, _Handler)

    def server_bind(self) -> None:
        # http.server looks its own name up here, which can take seconds where DNS is slow.
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, address = super().get_request()
        try:
            return self._context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False), address
        except OSError:
            connection.close()
            raise

    def process_request(self, request: Any, client_address: Any) -> None:
        thread = threading.Thread(
            target=self._serve, args=(request, client_address), name="vcenter-sim-connection", daemon=True
        )
        with self._lock:
            self._connections[request] = thread
        thread.start()

    def _serve(self, request: Any, client_address: Any) -> None:
        try:
            self.finish_request(request, client_address)
        except OSError as error:
            # The peer went, was too slow or spoke no TLS, or the stand-in stops; other connections go on.
            log.debug("connection from %s ended: %s", client_address[0], error)
        except Exception:
            log.exception("connection from %s failed", client_address[0])
        finally:
            self.shutdown_request(request)
            with self._lock:
                self._connections.pop(request, None)

    def stop(self, timeout_s: float) -> None:
        """Close the listener and all connections and wait for their threads."""
        self.shutdown()
        self.server_close()
        with self._lock:
            connections = list(self._connections.items())
        for connection, _ in connections:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError as error:
                log.debug("closing a connection: %s", error)
        clock = RealClock()  # whatever clock the tasks run on, connections end in real time
        deadline_s = clock.monotonic() + timeout_s
        for _, thread in connections:
            thread.join(max(0.0, deadline_s - clock.monotonic()))


class _MemoryStream:
    """As much of a socket as a connection asks for: it reads the requests, and keeps what is written."""

    def __init__(self, request: bytes) -> None:
        self._request = io.BytesIO(request)
        self._written = _Kept()

    def makefile(self, mode: str, buffering: int = -1) -> io.BytesIO:
        return self._request if "r" in mode else self._written

    def settimeout(self, timeout_s: float | None) -> None:
        """Nothing is waited for."""

    def setsockopt(self, level: int, option: int, value: object) -> None:
        """There is nothing to tune."""

    def do_handshake(self) -> None:
        """There is no TLS."""

    @property
    def answer(self) -> bytes:
        return self._written.content


class _Kept(io.BytesIO):
    content = b""

    def close(self) -> None:
        self.content = self.getvalue()
        super().close()


class _MemoryServer:
    """What a connection knows of its server."""

    def __init__(self, service: Service) -> None:
        self.service = service


def answer_in_memory(service: Service, request: bytes) -> bytes:
    """The bytes that a connection answers those of requests with."""
    stream = _MemoryStream(request)
    _Handler(stream, MEMORY_PEER, _MemoryServer(service))  # type: ignore[arg-type]  # it asks no more of them
    return stream.answer
