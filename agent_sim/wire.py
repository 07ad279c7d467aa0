"""One connection of an agent: moves bytes between its socket and its TLS link."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Protocol

from agent_sim.injection import Damage
from agent_sim.providers import LineEnd, Timer, WorkInHand
from mgmt.protocol.link import LinkError, TlsLink
from mgmt.protocol.outbox import Outbox

logger = logging.getLogger(__name__)


class WireOwner(Protocol):
    """Who is told what happens on a connection, in the fleet's loop."""

    @property
    def name(self) -> str:
        """The host's name."""
        ...

    def new_hold(self) -> WorkInHand | None:
        """Work in hand of the agent's, on a clock that asks."""
        ...

    def line(self, transport: asyncio.Transport) -> LineEnd | None:
        """What is told of the connection's bytes."""
        ...

    def wire_opened(self, wire: Wire) -> None:
        """The TCP connection is there."""
        ...

    def wire_secured(self) -> None:
        """The TLS handshake is done."""
        ...

    def wire_message(self, wire: Wire, message: bytes) -> None:
        """A whole message came."""
        ...

    def wire_lost(self, wire: Wire) -> None:
        """The connection is gone, by whichever end."""
        ...


class Wire(asyncio.Protocol):
    """One connection: moves bytes between the socket and the TLS link."""

    def __init__(self, owner: WireOwner, link: TlsLink, when_secured: Callable[[], None]) -> None:
        self._owner = owner
        self._link = link
        self._when_secured: Callable[[], None] | None = when_secured  # or lost before
        self._transport: asyncio.Transport | None = None
        self._secured = False
        self._outbox = Outbox()
        self.damage: Damage | None = None
        """What becomes of the next message."""
        self._gone = asyncio.Event()
        self.handshake_timer: Timer | None = None
        # From here to the end of the handshake; after it the server has accepted the link, and its line is there.
        self._securing: WorkInHand | None = owner.new_hold()
        self._line: LineEnd | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = self._outbox.transport = transport
        self._line = self._owner.line(transport)
        self._owner.wire_opened(self)
        self._flush()

    def data_received(self, data: bytes) -> None:
        try:
            self._take(data)
        finally:
            if self._line is not None:  # what the bytes set off in the loop comes first
                asyncio.get_running_loop().call_soon(self._line.arrived, len(data))

    def _take(self, data: bytes) -> None:
        try:
            messages = self._link.feed(data)
        except LinkError as error:
            logger.warning("%s: the link is broken: %s", self._owner.name, error)
            self._flush()
            self.abort()
            return
        self._flush()
        if self._link.handshake_done and not self._secured:
            self._secured = True
            if self.handshake_timer is not None:
                self.handshake_timer.cancel()
            self._owner.wire_secured()
            self.secured_or_lost()
        for message in messages:
            self._owner.wire_message(self, message)

    def connection_lost(self, exc: Exception | None) -> None:
        if self.handshake_timer is not None:
            self.handshake_timer.cancel()
        self._gone.set()
        self._owner.wire_lost(self)
        self.secured_or_lost()
        if self._line is not None:
            asyncio.get_running_loop().call_soon(self._line.close)

    def secured_or_lost(self) -> None:
        """The handshake is done, or will never be."""
        if self._when_secured is not None:
            self._when_secured()
            self._when_secured = None
        if self._securing is not None:
            asyncio.get_running_loop().call_soon(self._securing.end)
            self._securing = None

    def local_addresses(self) -> list[str]:
        """The address of this end."""
        name = self._transport.get_extra_info("sockname") if self._transport is not None else None
        return [str(name[0])] if name else []

    def send(self, message: bytes) -> None:
        damage, self.damage = self.damage, None
        self._link.send(message if damage is None else damage.of(message))
        self._flush(None if damage is None else damage.cut_at_byte)
        if damage is not None and damage.cut_at_byte is not None:
            self._outbox.flush()
            self.abort()

    def close(self) -> None:
        if self._transport is not None:
            self._outbox.flush()
            self._closing()
            self._transport.close()

    def abort(self) -> None:
        if self._transport is not None:
            self._closing()
            self._transport.abort()

    def _closing(self) -> None:
        if self._line is not None:
            self._line.closing()

    async def closed(self) -> None:
        """Return once the socket is gone; an unwilling peer is given half a second."""
        try:
            async with asyncio.timeout(0.5):
                await self._gone.wait()
        except TimeoutError:
            self.abort()
            await self._gone.wait()

    def _flush(self, limit: int | None = None) -> None:
        outgoing = self._link.take_outgoing()[:limit]
        if outgoing and self._outbox.is_open:
            if self._line is not None:
                self._line.sent(len(outgoing))
            self._outbox.add(outgoing)
