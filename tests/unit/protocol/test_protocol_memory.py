"""Connections in memory behave as TCP connections do, and servers of this process are found by their addresses."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from mgmt.protocol import inprocess
from mgmt.protocol.https import HttpsConnection, unverified_context
from mgmt.protocol.inprocess import InProcessConnection, InProcessPeer
from mgmt.protocol.memory import MemoryListener, MemoryTransport


class Noting(asyncio.Protocol):
    def __init__(self, *, keeps_open: bool = False) -> None:
        self.heard: list[Any] = []
        self.keeps_open = keeps_open
        self.transport: Any = None
        self.lost = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.heard.append(data)

    def eof_received(self) -> bool:
        self.heard.append("eof")
        return self.keeps_open

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost.set()


async def turns(count: int = 5) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def connected(*, server_keeps_open: bool = False) -> tuple[Noting, Noting]:
    listener = MemoryListener(("127.0.0.1", 8250))
    server, client = Noting(keeps_open=server_keeps_open), Noting()
    listener.open(asyncio.get_running_loop(), lambda: server)
    await listener.connect(lambda: client)
    await turns()
    return server, client


def test_bytes_go_both_ways_in_order() -> None:
    """What is written arrives at the other end, with the names of both."""

    async def run() -> None:
        server, client = await connected()
        client.transport.write(b"one")
        client.transport.write(bytearray(b"two"))
        server.transport.write(b"back")
        await turns()
        assert (server.heard, client.heard) == ([b"one", b"two"], [b"back"])
        assert client.transport.get_extra_info("peername") == ("127.0.0.1", 8250)
        assert server.transport.get_extra_info("peername") == client.transport.get_extra_info("sockname")
        assert server.transport.get_protocol() is server
        assert server.transport.can_write_eof()
        assert server.transport.get_write_buffer_size() == 0

    asyncio.run(run())


def test_what_was_sent_before_a_close_arrives() -> None:
    """A close ends both ends, after the bytes before it; what is written later is nowhere."""

    async def run() -> None:
        server, client = await connected()
        client.transport.write(b"last")
        client.transport.close()
        client.transport.write(b"too late")
        assert client.transport.is_closing()
        await asyncio.wait_for(asyncio.gather(server.lost.wait(), client.lost.wait()), 60)
        assert server.heard == [b"last", "eof"]

    asyncio.run(run())


def test_one_end_may_end_sending_and_still_hear() -> None:
    """After `write_eof` the other end may go on, where it wants to."""

    async def run() -> None:
        server, client = await connected(server_keeps_open=True)
        client.transport.write_eof()
        await turns()
        server.transport.write(b"still here")
        await turns()
        assert (server.heard, client.heard) == (["eof"], [b"still here"])
        server.transport.abort()
        await asyncio.wait_for(client.lost.wait(), 60)

    asyncio.run(run())


def test_a_paused_end_keeps_what_comes() -> None:
    """Nothing is handed on while reading is paused, and nothing is lost."""

    async def run() -> None:
        server, client = await connected()
        server.transport.pause_reading()
        client.transport.write(b"one")
        await turns()
        assert server.heard == []
        assert not server.transport.is_reading()
        server.transport.resume_reading()
        await turns()
        assert server.heard == [b"one"]

    asyncio.run(run())


def test_nobody_listens() -> None:
    """A connection to a listener that is closed, or whose loop has ended, is refused."""
    listener = MemoryListener(("127.0.0.1", 8250))

    async def connect() -> None:
        with pytest.raises(ConnectionRefusedError, match=r"127\.0\.0\.1:8250"):
            await listener.connect(Noting)

    async def listen() -> None:
        listener.open(asyncio.get_running_loop(), Noting)

    asyncio.run(connect())
    asyncio.run(listen())
    asyncio.run(connect())
    listener.close()
    asyncio.run(connect())


def test_a_protocol_can_be_exchanged() -> None:
    """`set_protocol` has another one hear what comes."""

    async def run() -> None:
        server, client = await connected()
        other = Noting()
        assert isinstance(server.transport, MemoryTransport)
        server.transport.set_protocol(other)
        client.transport.write(b"hello")
        await turns()
        assert (server.heard, other.heard) == ([], [b"hello"])

    asyncio.run(run())


def test_a_server_of_this_process_is_asked_by_its_address() -> None:
    """Both clients get its bytes without a socket, and its certificate; a hang-up is one."""
    asked = []

    def exchange(request: bytes) -> bytes:
        asked.append(request)
        return b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello" if b"/there" in request else b""

    host = inprocess.new_address()
    assert host != inprocess.new_address()
    peer = InProcessPeer(exchange, b"certificate")
    with inprocess.reachable(host, peer):
        connection = HttpsConnection(host, 443, unverified_context(), 60)
        assert connection.exchange("GET", "/there", {}).body == b"hello"
        assert connection.is_open
        assert connection.certificate_der == b"certificate"
        with pytest.raises(ConnectionError):
            connection.exchange("GET", "/gone", {})
        other = InProcessConnection(host, 443, peer)
        other.request("GET", "/there")
        with other.getresponse() as answer:
            assert answer.read() == b"hello"
        other.close()
    assert inprocess.find(host, 443) is None
    assert all(request.startswith(b"GET /") for request in asked)
