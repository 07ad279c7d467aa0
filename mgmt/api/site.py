"""What stands beside the API: the start page, redirects, refused methods and error pages, as a Flask application.

Upstream: client/.../ServerDaemon.java and Jetty.
"""

from __future__ import annotations

from flask import Flask, Response, request

from mgmt.api import pages
from mgmt.api.heads import ANSWERED_METHODS, VARY, error_answer, status_line

CONTEXT = "/client"

_METHODS = ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"]
_REFUSED_METHODS = {"PUT": 405, "DELETE": 405, "PATCH": 501, "TRACE": 403}


def create_site() -> Flask:
    """The application; it knows nothing of a server."""
    app = Flask("mgmt.api", static_folder=None)
    app.url_map.merge_slashes = False

    def view(path: str = "") -> Response:
        return _respond()

    for rule in ("/", "/<path:path>"):
        app.add_url_rule(rule, view_func=view, methods=_METHODS, provide_automatic_options=False)
    return app


def _respond() -> Response:
    environ = request.environ
    method: str = environ["REQUEST_METHOD"]
    path: str = environ["PATH_INFO"]
    if method not in ANSWERED_METHODS:
        return _other_method(method)
    if path == CONTEXT:
        return _redirect(302, CONTEXT + "/")
    if path == CONTEXT + "/":
        return Response(pages.START_PAGE, 200, [("Content-Type", "text/html"), VARY])
    if path.startswith(CONTEXT + "/"):
        return _html_error(404, path)
    return _redirect(301, CONTEXT + path)


def _other_method(method: str) -> Response:
    if method == "OPTIONS":
        return _bare(200, [("Allow", "GET, HEAD, POST, TRACE, OPTIONS")])
    return _bare(_REFUSED_METHODS[method], [])


def _bare(status: int, headers: list[tuple[str, str]]) -> Response:
    response = Response(b"", status_line(status), headers)
    del response.headers["Content-Type"]
    return response


def _redirect(status: int, target: str) -> Response:
    query = request.environ.get("QUERY_STRING", "")
    location = f"{request.environ['wsgi.url_scheme']}://{request.host}{target}" + (f"?{query}" if query else "")
    return _bare(status, [("Location", location.replace("\r", "").replace("\n", ""))])


def _html_error(status: int, path: str) -> Response:
    line, headers, body = error_answer(status, path)
    return Response(body, line, headers)
