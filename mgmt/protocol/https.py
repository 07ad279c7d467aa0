"""HTTPS exchanges for SOAP clients: one kept connection, requests out, whole answers in.

`http.client` reads headers with the parser for electronic mail, which takes longer than the rest of a small exchange;
here they are lines. Failures are OSErrors and `http.client.HTTPException`s, as there.
"""

from __future__ import annotations

import io
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from http.client import BadStatusLine, HTTPException, IncompleteRead, LineTooLong, RemoteDisconnected
from typing import BinaryIO, cast

from mgmt.protocol import inprocess

MAX_LINE_BYTES = 65536
MAX_HEADERS = 100
MAX_BODY_BYTES = 1 << 30
_CRLF = (b"\r\n", b"\n")


@dataclass(frozen=True)
class HttpAnswer:
    """Status, reason, headers by their name in lower case (the last one of a name), and the body as it was sent."""

    status: int
    reason: str
    headers: Mapping[str, str]
    body: bytes


@cache
def unverified_context() -> ssl.SSLContext:
    """TLS that accepts every certificate and host name, as CloudStack and its agent do with vCenter.

    One for all connections, as it takes longer to make than a handshake; nobody may change it.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


class HttpsConnection:
    """One connection to `host`:`port`, opened by the first exchange and kept. Not to be used by two threads at once.

    `timeout_s` bounds connecting, and each wait for a part of an answer.
    """

    def __init__(self, host: str, port: int, context: ssl.SSLContext, timeout_s: float) -> None:
        self._host, self._port = host, port
        self._context = context
        self._timeout_s = timeout_s
        self._plain: socket.socket | None = None
        self._link: ssl.SSLSocket | None = None
        self._reader: BinaryIO | None = None
        self._aborted = False
        self._peer: inprocess.InProcessPeer | None = None
        shown = f"[{host}]" if ":" in host else host
        self._authority = shown if port == 443 else f"{shown}:{port}"

    @property
    def is_open(self) -> bool:
        """Whether there is a connection, as far as this side knows."""
        return self._link is not None or self._peer is not None

    @property
    def certificate_der(self) -> bytes | None:
        """The peer's certificate; None without a connection."""
        if self._peer is not None:
            return self._peer.certificate_der
        return self._link.getpeercert(binary_form=True) if self._link is not None else None

    def exchange(self, method: str, path: str, headers: Mapping[str, str], body: bytes = b"") -> HttpAnswer:
        """One request and its answer. A kept connection that the peer had closed meanwhile is opened anew, once.

        An answer with a body above MAX_BODY_BYTES is refused.
        """
        is_kept = self.is_open
        head = [f"{method} {path} HTTP/1.1", f"Host: {self._authority}", f"Content-Length: {len(body)}"]
        head.extend(f"{name}: {value}" for name, value in headers.items())
        if any("\r" in line or "\n" in line for line in head):
            raise ValueError("a header of the request holds a line break")
        request = "\r\n".join([*head, "", ""]).encode("latin-1") + body
        try:
            try:
                status_line = self._send(request)
            except (ConnectionError, ssl.SSLEOFError):
                if not is_kept or self._aborted:
                    raise
                self.close()
                status_line = self._send(request)
            return self._answer(status_line, has_body=method != "HEAD")
        except BaseException:
            self.close()
            raise

    def abort(self) -> None:
        """Make an exchange that runs in another thread fail at once; there is no other after it."""
        self._aborted = True
        for link in (self._link, self._plain):
            if link is not None:
                try:
                    link.shutdown(socket.SHUT_RDWR)
                except OSError:
                    continue  # not connected yet, or gone already

    def close(self) -> None:
        """Close the connection; the next exchange opens another."""
        for part in (self._reader, self._link, self._plain):
            if part is not None:
                part.close()
        self._reader = self._link = self._plain = self._peer = None

    def _send(self, request: bytes) -> bytes:
        """Send it and return the first line of the answer; raises ConnectionError when the peer is gone."""
        self._peer = inprocess.find(self._host, self._port)
        if self._peer is not None:
            self._reader = io.BytesIO(self._peer.exchange(request))
            if self._aborted:
                raise ConnectionAbortedError("aborted")
        else:
            self._send_over_socket(request)
        assert self._reader is not None
        line = self._reader.readline(MAX_LINE_BYTES + 1)
        if not line:
            raise RemoteDisconnected("Remote end closed connection without response")
        return line

    def _send_over_socket(self, request: bytes) -> None:
        if self._link is None or self._reader is None:
            self._link = self._open()
            self._reader = cast("BinaryIO", self._link.makefile("rb"))
        self._link.sendall(request)

    def _open(self) -> ssl.SSLSocket:
        failure: OSError | None = None
        for family, kind, protocol, _, address in socket.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM):
            # Kept before it connects, so that `abort` reaches it.
            self._plain = socket.socket(family, kind, protocol)
            try:
                if self._aborted:
                    raise ConnectionAbortedError("aborted")
                self._plain.settimeout(self._timeout_s)
                self._plain.connect(address)
                self._plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                return self._context.wrap_socket(self._plain, server_hostname=self._host)
            except OSError as error:
                failure = error
                self._plain.close()
        raise failure or OSError(f"{self._host} has no address")

    def _line(self) -> bytes:
        assert self._reader is not None
        line = self._reader.readline(MAX_LINE_BYTES + 1)
        if len(line) > MAX_LINE_BYTES:
            raise LineTooLong("header line")
        if not line:
            raise IncompleteRead(b"")
        return line

    def _answer(self, status_line: bytes, *, has_body: bool) -> HttpAnswer:
        status, reason, headers = self._head(status_line)
        while status == 100:
            status, reason, headers = self._head(self._line())
        body = self._body(headers) if has_body and status not in (204, 304) else b""
        kept = headers.get("connection", "").lower()
        if kept == "close" or (status_line.startswith(b"HTTP/1.0") and kept != "keep-alive"):
            self.close()
        return HttpAnswer(status, reason, headers, body)

    def _head(self, status_line: bytes) -> tuple[int, str, dict[str, str]]:
        version, _, rest = status_line.decode("latin-1").strip().partition(" ")
        number, _, reason = rest.partition(" ")
        if not version.startswith("HTTP/1.") or len(number) != 3 or not number.isdecimal():
            raise BadStatusLine(status_line[:100].decode("latin-1"))
        headers: dict[str, str] = {}
        for _ in range(MAX_HEADERS + 1):
            line = self._line()
            if line in _CRLF:
                return int(number), reason.strip(), headers
            name, _, value = line.decode("latin-1").partition(":")
            headers[name.strip().lower()] = value.strip()
        raise HTTPException(f"got more than {MAX_HEADERS} headers")

    def _body(self, headers: Mapping[str, str]) -> bytes:
        if headers.get("transfer-encoding", "").lower() == "chunked":
            return self._chunks()
        length = headers.get("content-length")
        if length is None:
            assert self._reader is not None
            body = self._reader.read(MAX_BODY_BYTES + 1)
            self.close()
            _check_size(len(body))
            return body
        if not length.isdecimal():
            raise HTTPException("the length of the answer is no number")
        return self._exactly(int(length))

    def _chunks(self) -> bytes:
        body = bytearray()
        while True:
            text = self._line().partition(b";")[0].strip()
            try:
                size = int(text, 16)
            except ValueError:
                raise IncompleteRead(bytes(body)) from None
            if size <= 0:
                break
            _check_size(len(body) + size)
            body += self._exactly(size)
            self._line()
        while self._line() not in _CRLF:
            pass
        return bytes(body)

    def _exactly(self, size: int) -> bytes:
        assert self._reader is not None
        _check_size(size)
        data = self._reader.read(size)
        if len(data) != size:
            raise IncompleteRead(data, size - len(data))
        return data


def _check_size(size: int) -> None:
    if size > MAX_BODY_BYTES:
        raise HTTPException(f"the answer is larger than {MAX_BODY_BYTES} bytes")
