"""The WSGI application: one Flask view that moves bytes between HTTP and the dispatcher.

Upstream: client/.../ServerDaemon.java and Jetty (paths, methods, compression), ApiServlet.java (headers).
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Sequence
from functools import cache, partial
from http import HTTPStatus
from typing import TYPE_CHECKING

from flask import Flask, Response, request
from werkzeug.datastructures import Headers

from mgmt.api import pages
from mgmt.api.dispatch import Dispatcher
from mgmt.api.exchange import ApiAnswer, ApiRequest
from mgmt.api.face import Face, respond
from mgmt.api.parameters import MAX_FORM_BYTES, MAX_QUERY_LENGTH, UndecodableError, cookies, is_form, parse
from mgmt.api.sessions import DEFAULT_IDLE_TIMEOUT_S
from mgmt.api.web_ui import Origins, WebUi
from mgmt.commands.services import Services

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

MIN_COMPRESSED_BYTES = 32
CONTEXT = "/client"
API_PATH = "/client/api"
OPENAPI_PATH = "/client/openapi.json"

_METHODS = ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"]
_ANSWERED_METHODS = frozenset({"GET", "HEAD", "POST"})
_REFUSED_METHODS = {"PUT": 405, "DELETE": 405, "PATCH": 501, "TRACE": 403}

_VARY = ("Vary", "Accept-Encoding, User-Agent")
_SECURITY_HEADERS = [
    ("X-Content-Type-Options", "nosniff"),
    ("X-XSS-Protection", "1;mode=block"),
    *(
        ("content-security-policy", policy)
        for policy in (
            "default-src=none",
            "script-src=self",
            "connect-src=self",
            "img-src=self",
            "style-src=self",
        )
    ),
]


def create_wsgi(
    services: Services,
    *,
    session_timeout_s: float = DEFAULT_IDLE_TIMEOUT_S,
    ui: WebUi | None = None,
    origins: Sequence[str] = (),
) -> Flask:
    """The application of one server.

    `session_timeout_s` is how long a login lives without a request, `ui` what stands at `/client/`, `origins` the
    origins whose pages may call the API. `extensions["faces"]` are the other faces on its port, by the
    first part of their paths (`/mock`).
    """
    app = Flask("mgmt.api", static_folder=None)
    app.url_map.merge_slashes = False
    dispatcher = Dispatcher(services, session_timeout_s=session_timeout_s)
    app.extensions["dispatcher"] = dispatcher

    faces: dict[str, Face] = {}
    app.extensions["faces"] = faces

    def view(path: str = "") -> Response:
        prefix = "/" + path.partition("/")[0]
        if prefix in faces:
            return respond(faces[prefix], prefix, request)
        return _respond(dispatcher, ui)

    if origins:
        app.after_request(Origins(origins).open)
    if services.has_extensions:
        app.add_url_rule(OPENAPI_PATH, "openapi", partial(_openapi, services), methods=["GET"])
    for rule in ("/", "/<path:path>"):
        app.add_url_rule(rule, view_func=view, methods=_METHODS, provide_automatic_options=False)
    return app


def _openapi(services: Services) -> Response:
    from mgmt.commands.openapi import openapi_document  # not before it is asked for: servers start often

    document = openapi_document(
        services.commands.values(), release=services.cloudstack_version, server=request.root_path or "/"
    )
    return Response(json.dumps(document), 200, [("Content-Type", "application/json")])


def _respond(dispatcher: Dispatcher, ui: WebUi | None) -> Response:
    environ = request.environ
    method: str = environ["REQUEST_METHOD"]
    path: str = environ["PATH_INFO"]
    if method not in _ANSWERED_METHODS:
        return _other_method(method)
    if path == API_PATH or path.startswith(API_PATH + "/"):
        return _api(dispatcher, environ, method, path)
    if path == CONTEXT:
        return _redirect(302, CONTEXT + "/")
    if ui is not None and path.startswith(CONTEXT + "/"):
        return ui.file(path.removeprefix(CONTEXT + "/")) or _html_error(404, path)
    if path == CONTEXT + "/":
        return Response(pages.start_page(request.root_path), 200, [("Content-Type", "text/html"), _VARY])
    if path.startswith(CONTEXT + "/"):
        return _html_error(404, path)
    return _redirect(301, CONTEXT + path)


def _api(dispatcher: Dispatcher, environ: WSGIEnvironment, method: str, path: str) -> Response:
    query: str = environ.get("QUERY_STRING", "")
    if len(path) + len(query) > MAX_QUERY_LENGTH:
        return _html_error(414, path)
    form = None
    if method == "POST" and is_form(environ.get("CONTENT_TYPE", "")):
        # waitress has read the whole body and knows its length, also that of a chunked one
        if int(environ.get("CONTENT_LENGTH") or 0) > MAX_FORM_BYTES:
            return _html_error(404, path, "java.lang.IllegalStateException: Form is larger than max length 1048576")
        form = environ["wsgi.input"].read()
    try:
        parameters = parse(query, form)
    except UndecodableError as error:
        return _html_error(404, path, f"java.lang.IllegalArgumentException: {error}")
    sent = ApiRequest(
        method,
        parameters,
        cookies(environ.get("HTTP_COOKIE", "")),
        peer=environ.get("REMOTE_ADDR"),
        script_name=environ.get("SCRIPT_NAME", ""),
    )
    answer = dispatcher.handle(sent)
    return _api_response(answer, method, environ.get("HTTP_ACCEPT_ENCODING", ""))


def _api_response(answer: ApiAnswer, method: str, accepted: str) -> Response:
    headers = [("Content-Type", answer.content_type), *answer.headers]
    if not answer.is_bare:
        headers += _SECURITY_HEADERS
    body = answer.body
    if answer.status == 200 and method != "HEAD":
        headers.append(_VARY)
        if "gzip" in accepted and len(body) >= MIN_COMPRESSED_BYTES:
            headers.append(("Content-Encoding", "gzip"))
            body = zlib.compress(body, 1, wbits=31)
    return Response(body, _status_line(answer.status), Headers(headers))


@cache
def _status_line(status: int) -> str:
    """Code and standard phrase; a code that HTTP does not know repeats its number, as Jetty does."""
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return f"{status} {status}"


def _other_method(method: str) -> Response:
    if method == "OPTIONS":
        return _bare(200, [("Allow", "GET, HEAD, POST, TRACE, OPTIONS")])
    return _bare(_REFUSED_METHODS[method], [])


def _bare(status: int, headers: list[tuple[str, str]]) -> Response:
    response = Response(b"", _status_line(status), headers)
    del response.headers["Content-Type"]
    return response


def _redirect(status: int, target: str) -> Response:
    query = request.environ.get("QUERY_STRING", "")
    root = f"{request.environ['wsgi.url_scheme']}://{request.host}{request.environ.get('SCRIPT_NAME', '')}"
    location = root + target + (f"?{query}" if query else "")
    return _bare(status, [("Location", location.replace("\r", "").replace("\n", ""))])


def _html_error(status: int, path: str, cause: str | None = None) -> Response:
    path = request.environ.get("SCRIPT_NAME", "") + path
    text = pages.error_page(status, HTTPStatus(status).phrase, path, cause)
    headers = [pages.NO_CACHE, ("Content-Type", pages.HTML_ERROR_CONTENT_TYPE)]
    return Response(text.encode("latin-1", "replace"), _status_line(status), headers)
