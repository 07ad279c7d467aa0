"""Whole messages over one secured socket, and a clock that is moved by hand."""

from __future__ import annotations

import socket
import threading
import time

from mgmt.protocol.link import LinkError, TlsLink

BOUND_S = 60.0


class PeerClosed(Exception):
    """The peer ended the link."""


class HandClock:
    """A clock whose monotonic time also moves by hand; waiting is real."""

    def __init__(self) -> None:
        self._ahead_s = 0.0

    def now(self) -> float:
        return time.time() + self._ahead_s

    def monotonic(self) -> float:
        return time.monotonic() + self._ahead_s

    def sleep(self, duration_s: float) -> None:
        time.sleep(duration_s)

    def wait(self, event: threading.Event, timeout_s: float | None) -> bool:
        return event.wait(timeout_s)

    def advance(self, seconds: float) -> None:
        """Move the time forward."""
        self._ahead_s += seconds


class Stream:
    """Whole messages over one socket, one at a time."""

    def __init__(self, sock: socket.socket, link: TlsLink) -> None:
        self._socket = sock
        self._socket.settimeout(BOUND_S)
        self._link = link
        self._messages: list[bytes] = []
        self._flush()
        while not link.handshake_done:
            self._read()

    def send(self, message: bytes) -> None:
        self._link.send(message)
        self._flush()

    def receive(self) -> bytes:
        """The next message; raises PeerClosed, and TimeoutError after a bound."""
        while not self._messages:
            self._read()
        return self._messages.pop(0)

    def close(self) -> None:
        self._socket.close()

    def _flush(self) -> None:
        outgoing = self._link.take_outgoing()
        if outgoing:
            self._socket.sendall(outgoing)

    def _read(self) -> None:
        try:
            data = self._socket.recv(65536)
            if not data:
                raise PeerClosed
            self._messages += self._link.feed(data)
            self._flush()
        except (ConnectionError, LinkError):
            raise PeerClosed from None
