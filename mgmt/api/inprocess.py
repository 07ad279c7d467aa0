"""The HTTP face without a port: requests of this process go straight into the WSGI application."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes, urlsplit

from mgmt.api.server import MAX_BODY_BYTES

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

NOMINAL_ADDRESS = ("127.0.0.1", 8080)


@dataclass(frozen=True)
class HttpResult:
    """A whole answer: headers in their order, the body as it would travel."""

    status: int
    headers: Sequence[tuple[str, str]]
    body: bytes


class InProcessServer:
    """Stands where an `HttpServer` would and has no port; `address` is a name only. Safe from many threads."""

    def __init__(self, app: WSGIApplication) -> None:
        self._app = app
        self._is_running = False
        self.address: tuple[str, int] = NOMINAL_ADDRESS

    def start(self) -> None:
        """Begin to answer."""
        self._is_running = True

    def stop(self) -> None:
        """Answer nothing more."""
        self._is_running = False

    def call(self, method: str, url: str, headers: Iterable[tuple[str, str]], body: bytes) -> HttpResult:
        """The answer to one request; raises ConnectionRefusedError while the server does not run."""
        if not self._is_running:
            raise ConnectionRefusedError("the server does not run")
        if len(body) > MAX_BODY_BYTES:
            return HttpResult(413, [("Content-Type", "text/plain")], b"Request Entity Too Large")
        answer: dict[str, Any] = {}

        def start_response(status: str, fields: list[tuple[str, str]], exc_info: object = None) -> Any:
            answer["status"], answer["headers"] = int(status.partition(" ")[0]), fields

        parts = self._app(self.environ_of(method, url, headers, body), start_response)
        try:
            content = b"".join(parts)
        finally:
            close = getattr(parts, "close", None)
            if close is not None:
                close()
        return HttpResult(answer["status"], answer["headers"], content)

    def environ_of(self, method: str, url: str, headers: Iterable[tuple[str, str]], body: bytes) -> dict[str, Any]:
        """What waitress makes of the same request (PEP 3333)."""
        return _environ(method, url, headers, body)


def _environ(method: str, url: str, headers: Iterable[tuple[str, str]], body: bytes) -> dict[str, Any]:
    """What waitress makes of the same request (PEP 3333)."""
    parts = urlsplit(url)
    environ: dict[str, Any] = {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(parts.path or "/").decode("latin-1"),
        "QUERY_STRING": parts.query,
        "SERVER_NAME": parts.hostname or NOMINAL_ADDRESS[0],
        "SERVER_PORT": str(parts.port or (443 if parts.scheme == "https" else 80)),
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "HTTP_HOST": parts.netloc.rpartition("@")[2],
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": parts.scheme,
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    for name, value in headers:
        key = name.upper().replace("-", "_")
        environ[key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}"] = value
    environ["CONTENT_LENGTH"] = str(len(body)) if body else environ.get("CONTENT_LENGTH", "")
    return environ
