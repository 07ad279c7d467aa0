"""Downloading a file that vCenter or an ESXi host delivers over HTTPS, with the session's cookie.

http.client and not requests: certificates of vCenters are not verified (as upstream), and requests complains of every
such connection through warning filters that belong to the whole process.
"""

from __future__ import annotations

import contextlib
import http.client
import socket
from pathlib import Path
from typing import Protocol
from urllib.parse import quote, unquote, urlsplit

from mgmt.protocol import inprocess
from mgmt.protocol.https import unverified_context
from mgmt.vmware.errors import VcenterError, transport_error
from mgmt.vmware.link import DEFAULT_PORT, VcenterLink

CHUNK_BYTES = 1 << 20


class DownloadError(VcenterError):
    """A file did not come, or not whole; the words are those of Java's HttpURLConnection."""


class OnBytes(Protocol):
    """Is told of each piece of a file, and how long the file will be when its server says so."""

    def __call__(self, size_bytes: int, expected_bytes: int | None = None) -> None: ...


def download(link: VcenterLink, url: str, path: Path, on_bytes: OnBytes) -> int:
    """Save `url` at `path` and return its size in bytes; `on_bytes` is told of each piece. Raises DownloadError."""
    parts = urlsplit(url)
    if parts.scheme != "https" or not parts.hostname:
        raise DownloadError(f"no HTTPS address: {url}")
    started, outcome = link.recorder.start(), "ok"
    connection = _connection(parts.hostname, parts.port or DEFAULT_PORT, link.timeout_s)
    try:
        target = quote(parts.path, safe="/%") + (f"?{parts.query}" if parts.query else "")
        with link.waiting(f" {unquote(parts.path)}"):  # from before the request: its server may wait at once
            connection.request("GET", target, headers={"Cookie": link.cookie, "Connection": "close"})
            wire = connection.sock  # the response takes it over
            # closing the connection would leave its socket open: the response is what has to be closed
            with link.cancellation.ending_with(lambda: _cut(wire)), connection.getresponse() as response:
                if response.status != http.HTTPStatus.OK:
                    raise DownloadError(f"Server returned HTTP response code: {response.status} for URL: {url}")
                return _save(response, path, on_bytes)
    except DownloadError as error:
        outcome = error.text
        raise
    except (OSError, http.client.HTTPException) as error:
        outcome = type(error).__name__
        raise DownloadError(transport_error(error).text) from error
    finally:
        connection.close()
        link.recorder.end("GET", started, outcome)


def _connection(host: str, port: int, timeout_s: float) -> http.client.HTTPConnection:
    peer = inprocess.find(host, port)
    if peer is not None:
        return inprocess.InProcessConnection(host, port, peer)
    return http.client.HTTPSConnection(host, port, timeout=timeout_s, context=unverified_context())


def _cut(wire: socket.socket | None) -> None:
    if isinstance(wire, socket.socket):  # a server of this process has answered whole
        with contextlib.suppress(OSError):  # it has ended by itself
            # not the TLS socket's own method: it would have the reader go on with what is encrypted
            socket.socket.shutdown(wire, socket.SHUT_RDWR)


def _save(response: http.client.HTTPResponse, path: Path, on_bytes: OnBytes) -> int:
    expected = response.length  # None for an answer of unknown length
    on_bytes(0, expected)
    size = 0
    with path.open("wb") as file:
        while chunk := response.read(CHUNK_BYTES):
            file.write(chunk)
            size += len(chunk)
            on_bytes(len(chunk), expected)
    if expected is not None and size != expected:
        raise DownloadError(f"Premature EOF: {size} of {expected} bytes of {path.name} came")
    return size
