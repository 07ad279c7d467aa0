"""The lean HTTPS client: how answers are framed, and when a kept connection is opened anew."""

from __future__ import annotations

import socket
from http.client import BadStatusLine, HTTPException, IncompleteRead, RemoteDisconnected
from typing import Any

import pytest

from mgmt.protocol.https import HttpsConnection, unverified_context

OK = b"HTTP/1.1 200 OK\r\n"


class Scripted(HttpsConnection):
    """A connection whose peer has said all its words already: one text for each time it is opened."""

    def __init__(self, *answers: bytes) -> None:
        super().__init__("host", 8443, unverified_context(), 5.0)
        self.answers = list(answers)
        self.peers: list[socket.socket] = []

    def _open(self) -> Any:
        near, far = socket.socketpair()
        near.settimeout(60.0)
        far.sendall(self.answers.pop(0))
        far.shutdown(socket.SHUT_WR)
        self.peers.append(far)
        return near

    def end(self) -> None:
        self.close()
        for peer in self.peers:
            peer.close()


def exchange(*answers: bytes) -> Any:
    connection = Scripted(*answers)
    try:
        return connection.exchange("POST", "/sdk", {"SOAPAction": "x"}, b"body")
    finally:
        connection.end()


def test_request_is_written_whole() -> None:
    """Request line, host with its port, length, headers and body leave in this order."""
    connection = Scripted(OK + b"Content-Length: 0\r\n\r\n")
    connection.exchange("POST", "/sdk", {"SOAPAction": "x"}, b"body")
    sent = connection.peers[0].recv(1000)
    connection.end()
    assert sent == b"POST /sdk HTTP/1.1\r\nHost: host:8443\r\nContent-Length: 4\r\nSOAPAction: x\r\n\r\nbody"


@pytest.mark.parametrize(
    "framing",
    [
        b"Content-Length: 5\r\n\r\nhello",
        b"Transfer-Encoding: chunked\r\n\r\n2;x=y\r\nhe\r\n3\r\nllo\r\n0\r\nTrailer: t\r\n\r\n",
        b"Connection: close\r\n\r\nhello",
    ],
)
def test_body_by_length_by_chunks_and_to_the_end(framing: bytes) -> None:
    """A body ends with its length, its last chunk or the connection; header names come in lower case."""
    answer = exchange(b"HTTP/1.1 100 Continue\r\n\r\n" + OK + b"Set-Cookie: a=b; Path=/\r\n" + framing)
    assert (answer.status, answer.reason, answer.body) == (200, "OK", b"hello")
    assert answer.headers["set-cookie"] == "a=b; Path=/"


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (b"", RemoteDisconnected),
        (b"SSH-2.0-x\r\n\r\n", BadStatusLine),
        (OK + b"Content-Length: 5\r\n\r\nhel", IncompleteRead),
        (OK + b"Content-Length: many\r\n\r\n", HTTPException),
        (OK + b"Content-Length: 99999999999\r\n\r\n", HTTPException),
        (OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", IncompleteRead),
        (OK + b"A: b\r\n" * 200 + b"\r\n", HTTPException),
        (OK + b"A: b\r\n", IncompleteRead),
    ],
)
def test_what_is_no_whole_answer(answer: bytes, error: type[Exception]) -> None:
    """A peer that is gone, no HTTP, and answers that are cut, endless or malformed are errors."""
    with pytest.raises(error):
        exchange(answer)


def test_kept_connection_that_was_closed_is_opened_anew_once() -> None:
    """The second exchange meets an end, opens another connection and is answered there; a first one is not repeated."""
    answer = OK + b"Content-Length: 1\r\n\r\n"
    connection = Scripted(answer + b"1", answer + b"2", b"")
    bodies = [connection.exchange("GET", "/", {}).body for _ in range(2)]
    with pytest.raises(RemoteDisconnected):
        connection.exchange("GET", "/", {})
    connection.end()
    assert bodies == [b"1", b"2"] and not connection.is_open


def test_headers_cannot_be_smuggled() -> None:
    """A line break in a header is refused before anything is sent."""
    with pytest.raises(ValueError, match="line break"):
        Scripted().exchange("GET", "/", {"Cookie": "a\r\nX: y"})
