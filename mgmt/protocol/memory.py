"""Connections between two event loops of one process, with no socket: bytes go over as they are.

What is above cannot tell them from TCP connections: the same protocols, TLS handshakes and frames.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from contextlib import suppress
from contextvars import Context
from typing import Any

_FIRST_PORT = 49152
_ports = itertools.count(_FIRST_PORT)  # what tells connections apart; they are not ports of the machine


class MemoryListener:
    """What a server listens on instead of a port; safe from many threads. `address` is what it calls itself."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.address = address
        self._accepting: tuple[asyncio.AbstractEventLoop, Callable[[], asyncio.BaseProtocol]] | None = None

    def open(self, loop: asyncio.AbstractEventLoop, new_protocol: Callable[[], asyncio.BaseProtocol]) -> None:
        """Accept connections in `loop` from now on."""
        self._accepting = (loop, new_protocol)

    def close(self) -> None:
        """Accept nothing more; connections stay."""
        self._accepting = None

    async def connect(self, new_protocol: Callable[[], asyncio.BaseProtocol]) -> None:
        """A connection from the running loop; raises ConnectionRefusedError when nobody listens."""
        accepting = self._accepting
        if accepting is None:
            raise ConnectionRefusedError(f"nobody listens on {self.address[0]}:{self.address[1]}")
        server_loop, new_server_protocol = accepting
        name = (self.address[0], next(_ports))
        mine = MemoryTransport(asyncio.get_running_loop(), sockname=name, peername=self.address)
        theirs = MemoryTransport(server_loop, sockname=self.address, peername=name)
        mine.peer, theirs.peer = theirs, mine
        try:
            server_loop.call_soon_threadsafe(lambda: theirs.begin(new_server_protocol()), context=theirs.context)
        except RuntimeError:  # the loop has just ended
            raise ConnectionRefusedError(f"nobody listens on {self.address[0]}:{self.address[1]}") from None
        mine.begin(new_protocol())


class MemoryTransport(asyncio.Transport):
    """One end of a connection; to be used in its own loop only."""

    def __init__(self, loop: asyncio.AbstractEventLoop, **names: tuple[str, int]) -> None:
        super().__init__(names)
        self.peer: MemoryTransport | None = None
        self._loop = loop
        self.context = Context()  # who writes at the other end is none of this end's business
        self._protocol: asyncio.Protocol | None = None
        self._is_paused = False
        self._waiting: list[bytes | None] = []  # None: the peer sends no more
        self._is_closing = False
        self._has_ended = False

    def begin(self, protocol: asyncio.BaseProtocol) -> None:
        """Hand the connection to its protocol."""
        assert isinstance(protocol, asyncio.Protocol)
        self._protocol = protocol
        protocol.connection_made(self)
        self._deliver()

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Hand it to another protocol."""
        assert isinstance(protocol, asyncio.Protocol)
        self._protocol = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        """Who is told what comes."""
        assert self._protocol is not None
        return self._protocol

    def is_closing(self) -> bool:
        """Whether it is closed, or about to be."""
        return self._is_closing

    def is_reading(self) -> bool:
        """Whether what comes is handed on."""
        return not (self._is_paused or self._is_closing)

    def pause_reading(self) -> None:
        """Keep what comes."""
        self._is_paused = True

    def resume_reading(self) -> None:
        """Hand on what was kept, and what comes."""
        self._is_paused = False
        self._loop.call_soon(self._deliver, context=self.context)

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """There is no buffer on this side: what is written is at the other end."""

    def get_write_buffer_size(self) -> int:
        """Nothing waits to be written."""
        return 0

    def can_write_eof(self) -> bool:
        """See `write_eof`."""
        return True

    def write(self, data: Any) -> None:
        """Send bytes."""
        if data and not (self._is_closing or self._has_ended):
            self._tell_peer(bytes(data))

    def write_eof(self) -> None:
        """Send nothing more; what the peer sends is still taken."""
        if not (self._is_closing or self._has_ended):
            self._has_ended = True
            self._tell_peer(None)

    def close(self) -> None:
        """Close both ends; the peer still gets what was sent before."""
        if self._is_closing:
            return
        self.write_eof()
        self._end(None)

    def abort(self) -> None:
        """Close both ends at once."""
        self.close()

    def _end(self, error: Exception | None) -> None:
        self._is_closing = True
        self._waiting.clear()
        protocol = self._protocol
        if protocol is not None:
            self._loop.call_soon(protocol.connection_lost, error, context=self.context)

    def _tell_peer(self, data: bytes | None) -> None:
        peer = self.peer
        assert peer is not None
        with suppress(RuntimeError):  # its loop has ended
            peer._loop.call_soon_threadsafe(peer._came, data, context=peer.context)

    def _came(self, data: bytes | None) -> None:
        self._waiting.append(data)
        self._deliver()

    def _deliver(self) -> None:
        while self._waiting and self._protocol is not None and not (self._is_paused or self._is_closing):
            data = self._waiting.pop(0)
            if data is not None:
                self._protocol.data_received(data)
            elif not self._protocol.eof_received():
                self.close()
