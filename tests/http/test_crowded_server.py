"""A thousand kept connections, clients that send byte by byte, bodies over the limit: the others are answered."""

from __future__ import annotations

import gzip
import http.client
import resource
import socket
import threading
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import pytest

from mgmt.api.server import MAX_BODY_BYTES, HttpServer
from mgmt.api.signature import sign
from mgmt.commands.declaration import Item

CONNECTIONS = 1000
BOUND_S = 60
FILES_NEEDED = 2 * CONNECTIONS + 200  # both ends of each connection are in this process


@pytest.fixture
def server(edge: Any) -> Iterator[HttpServer]:
    """A listener on a port of the system's choice."""
    server = HttpServer(edge.app, "127.0.0.1", 0)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def many_files() -> Iterator[None]:
    """As many open files as a thousand connections need; any process may raise its soft limit up to the hard one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < FILES_NEEDED:
        pytest.skip(f"this machine allows {hard} open files, {FILES_NEEDED} are needed")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, FILES_NEEDED), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def request_of(edge: Any, command: str = "listZones", **parameters: str) -> bytes:
    """A signed GET as bytes."""
    key, secret = edge.keys["admin"]
    signed = {"command": command, "response": "json", "apiKey": key, **parameters}
    query = urlencode({**signed, "signature": sign(signed, secret)})
    return f"GET /client/api?{query} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()


def connect(server: HttpServer) -> socket.socket:
    return socket.create_connection(server.address, timeout=BOUND_S)


def answer_on(connection: socket.socket) -> tuple[int, bytes]:
    """Status and body of the next answer, whose length is told."""
    response = http.client.HTTPResponse(connection)
    response.begin()
    body = response.read()
    return response.status, body


def close_all(connections: list[socket.socket]) -> None:
    for connection in connections:
        connection.close()


@pytest.mark.slow
def test_a_thousand_kept_connections(edge: Any, server: HttpServer, many_files: None) -> None:
    """Each of a thousand connections at once is answered, again and again, and one more beside them."""
    request = request_of(edge)
    connections: list[socket.socket] = []
    try:
        for _ in range(CONNECTIONS):
            connections.append(connect(server))
        for _ in range(2):
            for connection in connections:
                connection.sendall(request)
            statuses = {answer_on(connection)[0] for connection in connections}
            assert statuses == {200}
        with connect(server) as one_more:
            one_more.sendall(request)
            assert answer_on(one_more)[0] == 200
    finally:
        close_all(connections)


def test_clients_that_never_end_their_requests(edge: Any, server: HttpServer) -> None:
    """More half-sent heads and bodies than there are worker threads hold nobody up, and may still be ended."""
    request = request_of(edge)
    form = b"command=listZones"
    head = b"POST /client/api HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\n"
    slow: list[socket.socket] = []
    try:
        for _ in range(40):
            slow.append(connect(server))
            slow[-1].sendall(request[:20])
            slow.append(connect(server))
            slow[-1].sendall(head + b"Content-Length: 1000000\r\n\r\n" + form)
        with connect(server) as other:
            for position in range(20, 40):
                for connection in slow[::2]:
                    connection.sendall(request[position : position + 1])
                for connection in slow[1::2]:
                    connection.sendall(b"&")
                other.sendall(request)
                assert answer_on(other)[0] == 200
        for connection in slow[::2]:
            connection.sendall(request[40:])
        assert {answer_on(connection)[0] for connection in slow[::2]} == {200}
    finally:
        close_all(slow)


def test_clients_that_do_not_read(edge: Any, server: HttpServer) -> None:
    """Large answers that nobody fetches hold up none of those who fetch theirs."""
    edge.recorder.result = Item({"name": "x" * 1_000_000})
    deaf: list[socket.socket] = []
    try:
        for _ in range(20):
            deaf.append(connect(server))
            deaf[-1].sendall(request_of(edge, "listHosts"))
        with connect(server) as other:
            for _ in range(10):
                other.sendall(request_of(edge))
                assert answer_on(other)[0] == 200
        assert {len(answer_on(connection)[1]) > 1_000_000 for connection in deaf} == {True}
    finally:
        close_all(deaf)


@pytest.mark.parametrize("is_chunked", [False, True])
def test_bodies_over_the_limit(edge: Any, server: HttpServer, is_chunked: bool) -> None:
    """A body over the limit is 413, told before it was all sent where its length is known; the server goes on."""
    head = b"POST /client/api HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\n"
    with connect(server) as connection:
        sender = None
        if is_chunked:
            connection.sendall(head + b"Transfer-Encoding: chunked\r\n\r\n")
            sender = threading.Thread(target=send_chunks, args=(connection,))
            sender.start()
        else:
            connection.sendall(head + f"Content-Length: {MAX_BODY_BYTES + 1}\r\n\r\n".encode())
        try:
            assert connection.recv(100).split(b"\r\n")[0].split(b" ", 1)[1] == b"413 Request Entity Too Large"
        finally:
            connection.shutdown(socket.SHUT_RDWR)
            if sender is not None:
                sender.join(BOUND_S)
    with connect(server) as other:
        other.sendall(request_of(edge))
        assert answer_on(other)[0] == 200


def send_chunks(connection: socket.socket) -> None:
    """More than the limit, in pieces, until the other end has enough."""
    chunk = b"100000\r\n" + b"x" * 0x100000 + b"\r\n"
    try:
        for _ in range(MAX_BODY_BYTES // 0x100000 + 2):
            connection.sendall(chunk)
    except OSError:
        return


def test_compressed_answers_of_a_kept_connection(edge: Any, server: HttpServer) -> None:
    """Answers to several requests that were sent at once come one after the other, each whole."""
    request = request_of(edge).replace(b"\r\n\r\n", b"\r\nAccept-Encoding: gzip\r\n\r\n")
    with connect(server) as connection:
        connection.sendall(request * 3)
        stream = connection.makefile("rb")
        for _ in range(3):
            assert stream.readline() == b"HTTP/1.1 200 OK\r\n"
            headers = http.client.parse_headers(stream)
            body = gzip.decompress(stream.read(int(headers["Content-Length"])))
            assert body.startswith(b'{"listzonesresponse"')
        stream.close()
