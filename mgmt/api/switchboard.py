"""Several servers behind one port: `/worlds/NAME/...` is the server of that name, as if it had a port of its own.

The part of the path that led to it is its SCRIPT_NAME (PEP 3333), which redirects, cookies and documents begin with.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from mgmt.api.inprocess import InProcessServer

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication

PREFIX = "/worlds"
_PATH = re.compile(rf"{PREFIX}/([^/]*)(/.*)?", re.DOTALL)


def prefix_of(name: str) -> str:
    """What the paths of that server begin with."""
    return f"{PREFIX}/{name}"


class Switchboard:
    """Leads requests to the servers behind it; safe from many threads. Without any it changes nothing."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._servers: dict[str, MountedServer] = {}
        self._had_some = False

    def mount(self, name: str, server: MountedServer) -> None:
        """Have that server answer below its prefix, in place of one that had the name before."""
        with self._lock:
            self._servers[name] = server
            self._had_some = True

    def unmount(self, name: str) -> None:
        """Nothing is there any more."""
        with self._lock:
            self._servers.pop(name, None)

    def around(self, app: WSGIApplication) -> WSGIApplication:
        """The application of the port: `app` answers what leads to none of the servers."""

        def switched(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
            found = _PATH.fullmatch(environ.get("PATH_INFO", "")) if self._had_some else None
            if found is None:
                return app(environ, start_response)
            name, below = found[1], found[2] or "/"
            with self._lock:
                server, there = self._servers.get(name), ", ".join(self._servers) or "none"
            if server is None or not server.is_running:
                body = json.dumps({"status": 404, "text": f"there is no world {name!r}: there are {there}"}).encode()
                start_response(
                    "404 Not Found", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
                )
                return [body]
            moved = {"SCRIPT_NAME": environ.get("SCRIPT_NAME", "") + prefix_of(name), "PATH_INFO": below}
            return server.app({**environ, **moved}, start_response)

        return switched


class MountedServer(InProcessServer):
    """Stands where an `HttpServer` would, and is reached through another one's port, at `address`, below a prefix."""

    def __init__(self, app: WSGIApplication, address: tuple[str, int], prefix: str) -> None:
        super().__init__(app)
        self.app = app
        self.prefix = prefix
        self.address = address

    @property
    def is_running(self) -> bool:
        """Whether it answers."""
        return self._is_running

    def environ_of(self, method: str, url: str, headers: Iterable[tuple[str, str]], body: bytes) -> dict[str, Any]:
        """See InProcessServer; `url` is without the prefix."""
        return {**super().environ_of(method, url, headers, body), "SCRIPT_NAME": self.prefix}
