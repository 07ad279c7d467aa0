"""The web UI beside the API: its files at /client/, and what lets a UI from another port in.

Upstream: client/.../ServerDaemon.java (the web application's files are Jetty's resources). A real server sends no CORS
header ever; `cors_origin` is ours.
"""

from __future__ import annotations

from pathlib import Path

from flask import Response, request, send_from_directory
from werkzeug.exceptions import NotFound

START_FILE = "index.html"
# These name the other files, so a browser asks for them anew; the others have a hash in their names.
_NEVER_KEPT = frozenset({START_FILE, "config.json"})
KEPT_FOR_S = 3600
_PREFLIGHT_S = "600"


def ui_file(folder: Path, path: str) -> Response | None:
    """The file of the UI at `path` below /client/, with its caching; None when there is none."""
    name = path or START_FILE
    kept_s = 0 if name in _NEVER_KEPT else KEPT_FOR_S
    try:
        response = send_from_directory(folder.absolute(), name, max_age=kept_s, conditional=True)
    except NotFound:
        return None
    response.headers.add("Vary", "Accept-Encoding, User-Agent")
    return response


def allow_origin(response: Response, origin: str) -> Response:
    """Let pages of `origin` read the answer and send their cookies; other origins get nothing."""
    if request.headers.get("Origin") != origin:
        return response
    response.headers["Access-Control-Allow-Origin"] = origin
    response.headers["Access-Control-Allow-Credentials"] = "true"
    response.headers["Access-Control-Expose-Headers"] = "X-Description"
    response.headers.add("Vary", "Origin")
    if request.method == "OPTIONS":
        wanted = request.headers.get("Access-Control-Request-Headers")
        response.headers["Access-Control-Allow-Methods"] = "GET, HEAD, POST, OPTIONS"
        response.headers["Access-Control-Max-Age"] = _PREFLIGHT_S
        if wanted:
            response.headers["Access-Control-Allow-Headers"] = wanted
    return response
