"""HTTPS servers of this process that are spoken to without a socket, by addresses that no machine has.

A request goes over as the bytes of HTTP/1.1 that a socket would carry, and so does its answer; TLS is left out.
"""

from __future__ import annotations

import http.client
import io
import itertools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

_RESERVED = 240 << 24  # 240.0.0.0/4 is used by nobody
PORT = 443

_numbers = itertools.count(1)
_lock = threading.Lock()


@dataclass(frozen=True)
class InProcessPeer:
    """A server: `exchange` takes the bytes of requests and gives those of their answers, b"" where it hangs up."""

    exchange: Callable[[bytes], bytes]
    certificate_der: bytes


_peers: dict[tuple[str, int], InProcessPeer] = {}


def new_address() -> str:
    """An address that nobody had before."""
    number = _RESERVED + next(_numbers)
    return ".".join(str(number >> shift & 0xFF) for shift in (24, 16, 8, 0))


@contextmanager
def reachable(host: str, peer: InProcessPeer) -> Iterator[None]:
    """Let the peer be found at `host` during the block."""
    with _lock:
        _peers[host, PORT] = peer
    try:
        yield
    finally:
        with _lock:
            del _peers[host, PORT]


def find(host: str, port: int) -> InProcessPeer | None:
    """The server of this process at that address; None for one that sockets lead to."""
    return _peers.get((host, port))


class InProcessConnection(http.client.HTTPConnection):
    """`http.client`'s connection to a server of this process."""

    def __init__(self, host: str, port: int, peer: InProcessPeer) -> None:
        super().__init__(host, port)
        self._peer = peer

    def connect(self) -> None:
        """Be connected."""
        self.sock: Any = _Exchange(self._peer)


class _Exchange:
    """As much of a socket as `http.client` asks for."""

    def __init__(self, peer: InProcessPeer) -> None:
        self._peer = peer
        self._request = bytearray()

    def sendall(self, data: bytes) -> None:
        self._request += data

    def makefile(self, mode: str) -> io.BytesIO:
        request = bytes(self._request)
        self._request.clear()
        return io.BytesIO(self._peer.exchange(request))

    def close(self) -> None:
        self._request.clear()
