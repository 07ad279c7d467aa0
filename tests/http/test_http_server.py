"""The listener over real sockets: headers on the wire, limits, compression, keep-alive, and a clean stop."""

from __future__ import annotations

import gzip
import http.client
import socket
import threading
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import pytest
from flask import Flask

from mgmt.api.server import HttpServer
from mgmt.api.signature import sign
from mgmt.commands.declaration import Item, Success

TIMEOUT_S = 60


@pytest.fixture
def server(edge: Any) -> Iterator[HttpServer]:
    """A listener on a port of the system's choice."""
    server = HttpServer(edge.app, "127.0.0.1", 0, threads=3)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def connection(server: HttpServer) -> Iterator[http.client.HTTPConnection]:
    """A client connection to the listener."""
    host, port = server.address
    connection = http.client.HTTPConnection(host, port, timeout=TIMEOUT_S)
    yield connection
    connection.close()


def target(edge: Any, command: str, **parameters: str) -> str:
    key, secret = edge.keys["admin"]
    signed = {"command": command, "response": "json", "apiKey": key, **parameters}
    return "/client/api?" + urlencode({**signed, "signature": sign(signed, secret)})


def fetch(connection: http.client.HTTPConnection, url: str, **options: Any) -> tuple[Any, bytes]:
    connection.request(options.pop("method", "GET"), url, **options)
    answer = connection.getresponse()
    return answer, answer.read()


def test_headers_on_the_wire(edge: Any, connection: http.client.HTTPConnection) -> None:
    """An answer has the recorded headers: no Date, no Server, a length, and it keeps the connection."""
    for _ in range(3):
        answer, body = fetch(connection, target(edge, "listZones"))
        assert answer.status == 200
        names = [name.lower() for name, _ in answer.getheaders()]
        assert sorted(set(names)) == [
            "content-length",
            "content-security-policy",
            "content-type",
            "vary",
            "x-content-type-options",
            "x-xss-protection",
        ]
        assert body.startswith(b'{"listzonesresponse":{"count":1,')
        assert connection.sock is not None


def test_reason_of_a_code_that_http_does_not_know(edge: Any, connection: http.client.HTTPConnection) -> None:
    """A CloudStack code repeats its number as reason phrase; X-Description is Latin-1."""
    edge.recorder.error = RuntimeError()
    answer, _ = fetch(connection, target(edge, "listHosts"))
    assert (answer.status, answer.reason) == (530, "530")
    answer, _ = fetch(connection, target(edge, "listHosts", id="é"))
    assert (answer.status, answer.reason) == (431, "Request Header Fields Too Large")
    assert "value=é due" in answer.getheader("X-Description")


def test_answers_are_compressed_on_request(edge: Any, connection: http.client.HTTPConnection) -> None:
    """Successful answers of 32 bytes and more are gzipped for those who accept it; others and errors are not."""
    accepts = {"Accept-Encoding": "gzip, deflate"}
    answer, body = fetch(connection, target(edge, "listZones"), headers=accepts)
    assert answer.getheader("Content-Encoding") == "gzip"
    assert gzip.decompress(body).startswith(b'{"listzonesresponse"')
    edge.recorder.result = Item({})
    answer, body = fetch(connection, target(edge, "listZones", name="none"), headers=accepts)
    assert (answer.getheader("Content-Encoding"), body) == (None, b'{"listzonesresponse":{}}')
    answer, _ = fetch(connection, target(edge, "updateHost"), headers=accepts)
    assert (answer.status, answer.getheader("Content-Encoding")) == (431, None)


def test_large_answer_keeps_the_connection(edge: Any, connection: http.client.HTTPConnection) -> None:
    """An answer of several hundred kilobytes arrives whole."""
    edge.recorder.result = Item({"name": "x" * 700_000})
    answer, body = fetch(connection, target(edge, "listHosts"))
    assert answer.status == 200 and len(body) > 700_000
    assert fetch(connection, target(edge, "listZones"))[0].status == 200


@pytest.mark.parametrize("query", ["command=listZones&name=%zz", "command=listZones&name=%ff%fe", "name=%a"])
def test_undecodable_query(connection: http.client.HTTPConnection, query: str) -> None:
    """A bad percent sequence or bad UTF-8 is the container's 404 page."""
    answer, body = fetch(connection, f"/client/api?{query}")
    assert (answer.status, answer.getheader("Content-Type")) == (404, "text/html;charset=iso-8859-1")
    assert b"HTTP ERROR 404 Not Found" in body and b"<td>/client/api</td>" in body


def test_limits(edge: Any, connection: http.client.HTTPConnection) -> None:
    """A query over 8 KB is 414, a form over 1 MiB 404; a long form below that is read."""
    answer, _ = fetch(connection, "/client/api?command=listZones&name=" + "x" * 8200)
    assert answer.status == 414
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    answer, body = fetch(connection, "/client/api", method="POST", body="a=" + "x" * (1024 * 1024), headers=headers)
    assert answer.status == 404 and b"HTTP ERROR 404" in body
    key, secret = edge.keys["admin"]
    form = {"command": "listZones", "response": "json", "apiKey": key, "x": "y" * 100_000}
    form["signature"] = sign(form, secret)
    headers["Content-Type"] += "; charset=UTF-8"
    answer, _ = fetch(connection, "/client/api", method="POST", body=urlencode(form), headers=headers)
    assert answer.status == 200


def test_pages_outside_the_api(connection: http.client.HTTPConnection) -> None:
    """/client redirects to /client/, which names the API; other top paths move below /client."""
    answer, _ = fetch(connection, "/client")
    host = f"http://{connection.host}:{connection.port}"
    assert (answer.status, answer.getheader("Location")) == (302, f"{host}/client/")
    answer, body = fetch(connection, "/client/")
    assert (answer.status, answer.getheader("Content-Type")) == (200, "text/html") and b"/client/api" in body
    answer, _ = fetch(connection, "/foo?a=b")
    assert (answer.status, answer.getheader("Location")) == (301, f"{host}/client/foo?a=b")


def test_garbage_on_the_port_leaves_the_server_healthy(edge: Any, server: HttpServer) -> None:
    """Bytes that are no HTTP end that connection only."""
    with socket.create_connection(server.address, timeout=TIMEOUT_S) as raw:
        raw.sendall(b"\x00\x01\x02 garbage\r\n\r\n")
        assert raw.recv(4096).startswith(b"HTTP/1.0 400")
    host, port = server.address
    connection = http.client.HTTPConnection(host, port, timeout=TIMEOUT_S)
    assert fetch(connection, target(edge, "listZones"))[0].status == 200
    connection.close()


def test_many_callers_at_once(edge: Any, server: HttpServer) -> None:
    """More callers than worker threads are all answered."""
    statuses: list[int] = []

    def work() -> None:
        connection = http.client.HTTPConnection(*server.address, timeout=TIMEOUT_S)
        statuses.extend(fetch(connection, target(edge, "listZones"))[0].status for _ in range(5))
        connection.close()

    callers = [threading.Thread(target=work) for _ in range(8)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join(TIMEOUT_S)
    assert statuses == [200] * 40


def test_stop_lets_a_request_end_and_leaves_nothing(edge: Any) -> None:
    """A request that is being answered is answered; afterwards port and threads are gone."""
    before = set(threading.enumerate())
    server = HttpServer(edge.app, "127.0.0.1", 0, threads=2)
    server.start()
    reached, go_on = threading.Event(), threading.Event()
    edge.recorder.result = Success("late")
    edge.recorder.gate = lambda call: reached.set() or go_on.wait(TIMEOUT_S)
    idle = http.client.HTTPConnection(*server.address, timeout=TIMEOUT_S)
    assert fetch(idle, target(edge, "listZones"))[0].status == 200
    connection = http.client.HTTPConnection(*server.address, timeout=TIMEOUT_S)
    connection.request("GET", target(edge, "listHosts"))
    assert reached.wait(TIMEOUT_S)
    stopper = threading.Thread(target=server.stop)
    stopper.start()
    go_on.set()
    assert b'"displaytext":"late"' in connection.getresponse().read()
    stopper.join(TIMEOUT_S)
    assert set(threading.enumerate()) == before
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(server.address, timeout=TIMEOUT_S)
    assert idle.sock.recv(10) == b""
    idle.close()
    connection.close()
    server.stop()


def test_server_that_was_never_started_can_be_stopped(edge: Any) -> None:
    """A listener that only held its port gives it back."""
    server = HttpServer(edge.app, "127.0.0.1", 0)
    _, port = server.address
    with pytest.raises(OSError, match="in use"):
        HttpServer(edge.app, "127.0.0.1", port)
    server.stop()
    again = HttpServer(edge.app, "127.0.0.1", port)
    again.stop()


def test_the_loop_may_end_before_it_is_told_to() -> None:
    """A stop's last word to the loop does no harm when the loop acted on it before it was fully said."""
    server = HttpServer(Flask("empty"), "127.0.0.1", 0)
    server.start()
    trigger, loop, pulls = server._trigger, server._loop, []
    pull = trigger._physical_pull

    def pull_late() -> None:
        pulls.append(pull())
        if len(pulls) == 2:
            assert loop is not None
            loop.join(TIMEOUT_S)
            pull()

    trigger._physical_pull = pull_late
    server.stop()
    assert len(pulls) == 2
