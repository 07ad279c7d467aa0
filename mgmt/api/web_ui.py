"""A built web UI at `/client/`, beside the API, and callers from pages of other origins (CORS).

Upstream: client/.../ServerDaemon.java (Jetty serves the UI's files from the same context as the API).
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from flask import Response, request, send_from_directory
from werkzeug.datastructures import HeaderSet
from werkzeug.exceptions import NotFound

ENTRY = "index.html"
# What names no version in its name: a browser asks each time whether it has changed.
UNVERSIONED = (".html", ".json")
VERSIONED_MAX_AGE_S = 24 * 60 * 60


class WebUi:
    """The files of a built UI (`npm run build` of apache/cloudstack's `ui/` makes them in `dist`)."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder.absolute()

    def file(self, path: str) -> Response | None:
        """The file at a path below `/client/`, whole or as a range, 304 when unchanged; None when there is none."""
        try:
            answer = send_from_directory(
                self._folder, path or ENTRY, conditional=True, etag=True, max_age=VERSIONED_MAX_AGE_S
            )
        except NotFound:
            return None
        if not path or path.endswith(UNVERSIONED):
            answer.headers["Cache-Control"] = "no-cache"
        return answer


class Origins:
    """Origins whose pages may call the API with their session; CloudStack itself knows none."""

    def __init__(self, allowed: Iterable[str]) -> None:
        self._allowed = frozenset(allowed)

    def open(self, answer: Response) -> Response:
        """Add what lets the page that asks read the answer, its X-Description too."""
        origin = request.headers.get("Origin")
        if not self._allowed:
            return answer
        answer.vary.add("Origin")
        if origin not in self._allowed:
            return answer
        answer.access_control_allow_origin = origin
        answer.access_control_allow_credentials = True
        answer.access_control_expose_headers = HeaderSet(["X-Description"])
        if request.method == "OPTIONS":
            answer.access_control_allow_methods = HeaderSet(["GET", "HEAD", "POST"])
            wanted = request.access_control_request_headers
            if wanted is not None:
                answer.access_control_allow_headers = wanted
        return answer
