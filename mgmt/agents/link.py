"""One agent's connection: moves bytes between its socket and a TlsLink."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from mgmt.agents.timers import LoopLine, Timer, Timers
from mgmt.protocol.link import LinkError, TlsLink
from mgmt.protocol.message import Request, Response
from mgmt.protocol.outbox import Outbox

if TYPE_CHECKING:
    from mgmt.agents.attachment import Attachment

logger = logging.getLogger(__name__)


class LinkOwner(Protocol):
    """Who is told what happens on a link, in the event loop's thread."""

    def link_made(self, link: AgentLink) -> None:
        """A socket was accepted."""
        ...

    def link_secured(self, link: AgentLink, certificate_der: bytes | None) -> bool:
        """The TLS handshake is done; False: the link must be closed, for the certificate that the peer showed."""
        ...

    def message_received(self, link: AgentLink, message: bytes) -> None:
        """A whole message came."""
        ...

    def link_lost(self, link: AgentLink) -> None:
        """The socket is closed, by whichever end."""
        ...


@dataclass(frozen=True)
class Shown:
    """A certificate: when it ends, as naive UTC and in seconds of the clock's `monotonic`."""

    ends: datetime
    ends_s: float


class AgentLink(asyncio.Protocol):
    """The connection; `attachment` is set while it serves a host, `certificate` when the agent has one."""

    def __init__(self, owner: LinkOwner, context: ssl.SSLContext, timers: Timers, handshake_timeout_s: float) -> None:
        self._owner = owner
        self._tls = TlsLink(True, context)
        self._timers = timers
        self._handshake_timeout_s = handshake_timeout_s
        self._handshake_timer: Timer | None = None
        self._transport: asyncio.Transport | None = None
        self._line = LoopLine(None)
        self._outbox = Outbox()
        self.closed = False
        self._is_ending = False
        self.peer = "?"
        self.peer_address = "?"
        self.attachment: Attachment | None = None
        self.certificate: Shown | None = None
        self.certify: Callable[[datetime], None] = lambda ends: None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = self._outbox.transport = transport
        peer = transport.get_extra_info("peername")
        if peer:
            self.peer, self.peer_address = f"{peer[0]}:{peer[1]}", str(peer[0])
        wire = transport.get_extra_info("socket")
        if wire is not None:  # a link in memory has none
            wire.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self._line = self._timers.line(transport)
        self._handshake_timer = self._timers.call_later(
            self._handshake_timeout_s, self._handshake_too_slow, drives=False
        )
        self._owner.link_made(self)

    def data_received(self, data: bytes) -> None:
        try:
            self._take(data)
        finally:
            self._line.arrived(len(data))

    def _take(self, data: bytes) -> None:
        if self.closed:
            return
        try:
            messages = self._tls.feed(data)
        except LinkError as error:
            logger.warning("link from %s is closed: %s", self.peer, error)
            self._flush()
            self.close()
            return
        self._flush()
        if self._tls.handshake_done and self._handshake_timer is not None:
            self._handshake_timer.cancel()
            self._handshake_timer = None
            if not self._owner.link_secured(self, self._tls.peer_certificate()):
                self.close()
                return
        for message in messages:
            self._owner.message_received(self, message)

    def pause_writing(self) -> None:
        """The peer does not read fast enough: take nothing more from it, or what waits to be sent would grow."""
        if self._transport is not None:
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        """The peer has read."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def eof_received(self) -> bool:
        return False  # let the transport close: there are no half-closed links

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True
        if self._handshake_timer is not None:
            self._handshake_timer.cancel()
        try:
            self._owner.link_lost(self)
        finally:
            self._line.close()

    def send(self, message: Request | Response) -> None:
        """Send a message; does nothing on a link that is closed."""
        self.send_encoded(message.encode())

    def send_encoded(self, message: bytes) -> None:
        """The same for a message that is encoded already."""
        if not self.closed:
            self._tls.send(message)
            self._flush()

    def close(self) -> None:
        """Close the socket, without a TLS farewell (Java ends do the same); what was sent before still goes out."""
        self.closed = True
        if self._transport is not None:
            self._outbox.flush()
            self._line.closing()
            self._transport.close()

    def end_sending(self) -> None:
        """Let the peer see the end of the link while what it has sent, or still sends before that, is taken."""
        if self._transport is not None and not self.closed and not self._transport.is_closing():
            self._outbox.flush()
            self._is_ending = True
            try:
                self._transport.write_eof()
            except OSError:  # the peer reset the link, and the loop has not read of it yet
                self.abort()

    def abort(self) -> None:
        """Close the socket at once; what was sent before may be lost."""
        self.closed = True
        if self._transport is not None:
            self._line.closing()
            self._transport.abort()

    def _flush(self) -> None:
        outgoing = self._tls.take_outgoing()
        if self._is_ending:
            return
        if outgoing and self._outbox.is_open:
            self._line.sent(len(outgoing))
            self._outbox.add(outgoing)

    def _handshake_too_slow(self) -> None:
        logger.warning("link from %s is closed: no TLS handshake within %g s", self.peer, self._handshake_timeout_s)
        self.abort()
