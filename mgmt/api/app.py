"""The WSGI application: moves bytes between HTTP and the dispatcher.

API requests are taken in front of Flask, whose contexts, routing and response objects would double what a short one
costs. Everything else is Flask's (`mgmt.api.site`), which is loaded when somebody asks for it.

Upstream: client/.../ServerDaemon.java and Jetty (paths, methods, compression), ApiServlet.java (headers).
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from functools import cached_property
from typing import TYPE_CHECKING

from mgmt.api.dispatch import ApiRequest, Dispatcher
from mgmt.api.heads import ANSWERED_METHODS, VARY, error_answer, status_line
from mgmt.api.parameters import MAX_FORM_BYTES, MAX_QUERY_LENGTH, UndecodableError, cookies, is_form, parse
from mgmt.api.sessions import DEFAULT_IDLE_TIMEOUT_S
from mgmt.commands.services import Services

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment
    from flask import Flask

MIN_COMPRESSED_BYTES = 32
API_PATH = "/client/api"

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


class Application:
    """The application of one server. `session_timeout_s` is how long a login lives without a request."""

    def __init__(self, services: Services, *, session_timeout_s: float = DEFAULT_IDLE_TIMEOUT_S) -> None:
        self.dispatcher = Dispatcher(services, session_timeout_s=session_timeout_s)

    @cached_property
    def site(self) -> Flask:
        """What stands beside the API."""
        from mgmt.api.site import create_site

        return create_site()

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if (path == API_PATH or path.startswith(API_PATH + "/")) and environ["REQUEST_METHOD"] in ANSWERED_METHODS:
            return self._api(environ, start_response)
        return self.site(environ, start_response)

    def _api(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        method: str = environ["REQUEST_METHOD"]
        path: str = environ["PATH_INFO"]
        query: str = environ.get("QUERY_STRING", "")
        if len(path) + len(query) > MAX_QUERY_LENGTH:
            return _html_error(start_response, method, 414, path)
        form = None
        if method == "POST" and is_form(environ.get("CONTENT_TYPE", "")):
            # waitress has read the whole body and knows its length, also that of a chunked one
            if int(environ.get("CONTENT_LENGTH") or 0) > MAX_FORM_BYTES:
                cause = "java.lang.IllegalStateException: Form is larger than max length 1048576"
                return _html_error(start_response, method, 404, path, cause)
            form = environ["wsgi.input"].read()
        try:
            parameters = parse(query, form)
        except UndecodableError as error:
            return _html_error(start_response, method, 404, path, f"java.lang.IllegalArgumentException: {error}")
        answer = self.dispatcher.handle(ApiRequest(method, parameters, cookies(environ.get("HTTP_COOKIE", ""))))
        headers = [("Content-Type", answer.content_type), *answer.headers, *_SECURITY_HEADERS]
        body = answer.body
        if answer.status == 200 and method != "HEAD":
            headers.append(VARY)
            if "gzip" in environ.get("HTTP_ACCEPT_ENCODING", "") and len(body) >= MIN_COMPRESSED_BYTES:
                headers.append(("Content-Encoding", "gzip"))
                body = zlib.compress(body, 1, wbits=31)
        headers.append(("Content-Length", str(len(body))))
        start_response(status_line(answer.status), headers)
        return [] if method == "HEAD" else [body]


def _html_error(
    start_response: StartResponse, method: str, status: int, path: str, cause: str | None = None
) -> Iterable[bytes]:
    line, headers, body = error_answer(status, path, cause)
    start_response(line, [*headers, ("Content-Length", str(len(body)))])
    return [] if method == "HEAD" else [body]
