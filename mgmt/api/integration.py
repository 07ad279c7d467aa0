"""The integration port: the API without authentication, for tools beside the server.

The setting integration.api.port (0: off) switches it on at a start. Upstream: server/.../api/ApiServer.java
(ListenerThread, ApiServerRequestHandler: any path and method, the query string alone, one answer a connection).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any

from mgmt.api.dispatch import Dispatcher
from mgmt.api.exchange import ApiRequest
from mgmt.api.parameters import UndecodableError, parse_first

SETTING = "integration.api.port"
DEFAULT_JSON = "application/json; charset=UTF-8"
DEFAULT_XML = "text/xml"


def create_integration_wsgi(
    dispatcher: Dispatcher, json_content_type: Callable[[], str]
) -> Callable[[dict[str, Any], Any], Iterable[bytes]]:
    """The WSGI application of the port; `json_content_type` gives the setting json.content.type."""

    def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        try:
            parameters = parse_first(environ.get("QUERY_STRING", ""))
        except UndecodableError:
            start_response("400 Bad Request", [("Content-Type", DEFAULT_XML), ("Content-Length", "0")])
            return [b""]
        answer = dispatcher.handle(ApiRequest(environ["REQUEST_METHOD"], parameters, is_internal=True))
        is_json = parameters.get("response", "").lower() == "json"
        headers = [
            ("Content-Type", json_content_type() if is_json else DEFAULT_XML),
            ("Content-Length", str(len(answer.body))),
        ]
        reason = dict(answer.headers).get("X-Description") or _phrase(answer.status)
        start_response(f"{answer.status} {reason}", headers)
        return [answer.body]

    return application


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return str(status)
