"""The admin endpoints as requests meet them: access, the route, the checks of body and query, JSON."""

from __future__ import annotations

import difflib
import json
import logging
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from marshmallow import Schema, ValidationError

from mgmt.admin.access import refusal
from mgmt.admin.actions import Actions, RefusedError
from mgmt.admin.openapi import document
from mgmt.admin.routes import ROUTES, Handler, Route
from mgmt.api.face import FaceAnswer, FaceRequest

if TYPE_CHECKING:
    from mgmt.embedded import World

logger = logging.getLogger(__name__)

PREFIX = "/mock"
MAX_BODY_BYTES = 1024 * 1024


class AdminFace:
    """Answers `/mock/` of one world. `token`: what callers have to have; None: callers of this machine only."""

    def __init__(self, world: World, token: str | None = None) -> None:
        self.prefix = PREFIX
        self._token = token
        self._actions = Actions(world, PREFIX)
        self._lock = threading.Lock()  # what changes the world does so alone

    def answer(self, request: FaceRequest) -> FaceAnswer:
        """The answer; an error has a JSON body with `status` and `text`."""
        try:
            refused = refusal(request, self._token)
            if refused is not None:
                raise RefusedError(*refused)
            if request.path in ("/", "/openapi.json"):
                _require_method(request, ("GET", "HEAD"))
                return _json(200, document(PREFIX, has_token=self._token is not None, server=request.root))
            return self._route(request)
        except RefusedError as error:
            headers = {"WWW-Authenticate": "Bearer"} if error.status == 401 else {}
            return _json(error.status, {"status": error.status, "text": error.text}, headers)
        except Exception as error:
            logger.exception("the admin endpoint %s failed", request.path)
            return _json(500, {"status": 500, "text": f"{type(error).__name__}: see the server's log"})

    def _route(self, request: FaceRequest) -> FaceAnswer:
        found = [(route, match) for route in ROUTES if (match := route.pattern.fullmatch(request.path)) is not None]
        if not found:
            near = difflib.get_close_matches(request.path, [route.path for route in ROUTES], n=3, cutoff=0.4)
            hint = f": near it are {', '.join(PREFIX + path for path in dict.fromkeys(near))}" if near else ""
            raise RefusedError(404, f"there is no {PREFIX}{request.path}{hint}; {PREFIX}/openapi.json lists what is")
        method = "GET" if request.method == "HEAD" else request.method
        route, match = next(((route, match) for route, match in found if route.method == method), (None, None))
        if route is None or match is None:
            _require_method(request, tuple(dict.fromkeys(route.method for route, _ in found)))
            raise AssertionError("a method that is allowed has a route")
        given = _given(route, request)
        handler: Handler = getattr(self._actions, route.does)
        if route.method == "GET":
            return _json(route.status, handler(match.groupdict(), given))
        with self._lock:
            return _json(route.status, handler(match.groupdict(), given))


def _require_method(request: FaceRequest, allowed: tuple[str, ...]) -> None:
    if request.method not in allowed:
        raise RefusedError(405, f"{request.method} cannot be used here: expected {' or '.join(allowed)}")


def _given(route: Route, request: FaceRequest) -> Mapping[str, Any]:
    if route.takes is None:
        return _loaded(route.query, request.query)
    if len(request.body) > MAX_BODY_BYTES:
        raise RefusedError(413, f"the body is larger than {MAX_BODY_BYTES} bytes")
    try:
        body = json.loads(request.body or b"{}")
    except ValueError as error:
        raise RefusedError(400, f"the body is no JSON: {error}") from error
    return _loaded(route.takes, body)


def _loaded(schema: type[Schema] | None, given: Any) -> Mapping[str, Any]:
    if schema is None:
        return {}
    try:
        loaded: Mapping[str, Any] = schema().load(given)
    except ValidationError as error:
        raise RefusedError(400, f"cannot be used: {json.dumps(error.messages, ensure_ascii=False)}") from error
    return loaded


def _json(status: int, content: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> FaceAnswer:
    body = json.dumps(content, ensure_ascii=False, default=str).encode()
    return FaceAnswer(status, body, headers={"Cache-Control": "no-store", **(headers or {})})
