"""Downloading a file that vCenter or an ESXi host delivers over HTTPS, with the session's cookie.

http.client and not requests: certificates of vCenters are not verified (as upstream), and requests complains of every
such connection through warning filters that belong to the whole process.
"""

from __future__ import annotations

import http.client
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote, urlsplit

from mgmt.protocol.https import unverified_context
from mgmt.vmware.errors import VcenterError, transport_error
from mgmt.vmware.link import DEFAULT_PORT, VcenterLink

CHUNK_BYTES = 1 << 20


class DownloadError(VcenterError):
    """A file did not come, or not whole; the words are those of Java's HttpURLConnection."""


def download(link: VcenterLink, url: str, path: Path, on_bytes: Callable[[int], None]) -> int:
    """Save `url` at `path` and return its size in bytes; `on_bytes` is told of each piece. Raises DownloadError."""
    parts = urlsplit(url)
    if parts.scheme != "https" or not parts.hostname:
        raise DownloadError(f"no HTTPS address: {url}")
    started, outcome = link.recorder.start(), "ok"
    connection = http.client.HTTPSConnection(
        parts.hostname, parts.port or DEFAULT_PORT, timeout=link.timeout_s, context=unverified_context()
    )
    try:
        target = quote(parts.path, safe="/%") + (f"?{parts.query}" if parts.query else "")
        connection.request("GET", target, headers={"Cookie": link.cookie, "Connection": "close"})
        with connection.getresponse() as response:  # closing the connection would leave its socket open
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


def _save(response: http.client.HTTPResponse, path: Path, on_bytes: Callable[[int], None]) -> int:
    expected = response.length  # None for an answer of unknown length
    size = 0
    with path.open("wb") as file:
        while chunk := response.read(CHUNK_BYTES):
            file.write(chunk)
            size += len(chunk)
            on_bytes(len(chunk))
    if expected is not None and size != expected:
        raise DownloadError(f"Premature EOF: {size} of {expected} bytes of {path.name} came")
    return size
