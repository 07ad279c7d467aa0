"""Requests of this process that go to a URL are answered by a server of this process, on the `responses` package.

One `RequestsMock` serves all clouds that are active; what is not theirs passes or is refused, as the cloud that was
activated last wants it.
"""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import requests
import responses
from urllib3 import HTTPResponse
from urllib3._collections import HTTPHeaderDict

from mgmt.api.app import API_PATH
from mgmt.api.inprocess import HttpResult

if TYPE_CHECKING:
    from requests import PreparedRequest

Answer = Callable[[str, str, Iterable[tuple[str, str]], bytes], HttpResult]
"""Gets method, URL as the server knows it, headers and body."""

OtherUrls = bool | Sequence[str]
"""True: all others pass. False: all are refused. Texts: URLs that begin so pass."""


class RefusedUrlError(requests.ConnectionError):
    """A request that leads to no active cloud, and was not to pass; the text says what was looked at."""


class Route(responses.BaseResponse):
    """The rule of one cloud: everything at and below its URL is the cloud's."""

    def __init__(self, url: str, answer: Answer) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(
                f"url = {url!r}: expected an http or https URL such as https://cloud.example.org{API_PATH}"
            )
        self.base = f"{parts.scheme}://{parts.netloc.lower()}{parts.path.rstrip('/') or ''}"
        super().__init__(responses.GET, self.base)
        self._answer = answer

    def __repr__(self) -> str:
        return f"cloudstack-mock at {self.base}"

    def matches(self, request: PreparedRequest) -> tuple[bool, str]:
        """Whether the request is the cloud's, and why not."""
        reason = self.refusal(str(request.url))
        return reason is None, reason or ""

    def refusal(self, url: str) -> str | None:
        """Why the URL is not the cloud's; None when it is."""
        asked, own = urlsplit(url), urlsplit(self.base)
        for what, found, wanted in (
            ("scheme", asked.scheme, own.scheme),
            ("host", asked.netloc.rpartition("@")[2].lower(), own.netloc),
        ):
            if found != wanted:
                return f"the {what} is {found!r}, not {wanted!r}"
        path = asked.path.rstrip("/")
        if path != own.path and not path.startswith(own.path + "/"):
            return f"the path {asked.path!r} is not below {own.path!r}"
        return None

    def get_response(self, request: PreparedRequest) -> HTTPResponse:
        """The cloud's answer."""
        url = urlsplit(str(request.url))
        below = url.path[len(urlsplit(self.base).path) :]
        asked = url._replace(path=API_PATH + below).geturl()
        result = self._answer(str(request.method), asked, request.headers.items(), _body_of(request))
        headers = HTTPHeaderDict()
        for name, value in result.headers:
            headers.add(name, value)
        headers.setdefault("Content-Length", str(len(result.body)))
        return HTTPResponse(
            body=io.BytesIO(result.body),
            status=result.status,
            headers=headers,
            preload_content=False,
            original_response=_OriginalResponse(headers),  # type: ignore[arg-type]  # cookies are read from it
            request_method=str(request.method),
        )


class _OriginalResponse:
    """As much of `http.client`'s response as cookie jars and connection pools ask for."""

    def __init__(self, headers: HTTPHeaderDict) -> None:
        self.msg = headers

    def isclosed(self) -> bool:
        return True

    def close(self) -> None:
        """Nothing is open."""


def _body_of(request: PreparedRequest) -> bytes:
    body: Any = request.body
    if body is None:
        return b""
    if isinstance(body, str):
        return body.encode()
    if isinstance(body, bytes | bytearray):
        return bytes(body)
    if hasattr(body, "read"):
        read: bytes | str = body.read()
        return read.encode() if isinstance(read, str) else read
    return b"".join(part.encode() if isinstance(part, str) else part for part in body)


class _Requests(responses.RequestsMock):
    """Refuses in words of our own."""

    def __init__(self, policy: Callable[[], OtherUrls]) -> None:
        super().__init__(assert_all_requests_are_fired=False)
        self._policy = policy

    def _on_request(self, adapter: Any, request: Any, **kwargs: Any) -> requests.Response:
        url = str(request.url)
        reasons = {}
        for route in self.registered():
            matches, reason = route.matches(request)
            if matches:
                return super()._on_request(adapter, request, **kwargs)
            reasons[repr(route)] = reason
        policy = self._policy()
        if policy is True or (policy is not False and url.startswith(tuple(policy))):
            send: Any = self._real_send
            passed: requests.Response = send(adapter, request, **kwargs)
            return passed
        looked_at = "".join(f"\n- {name}: {reason}" for name, reason in reasons.items())
        passing = "" if policy is False else "".join(f"\n- passes: what begins with {each}" for each in policy)
        shown = url.partition("?")[0]  # the rest may hold keys
        raise RefusedUrlError(
            f"{request.method} {shown} leads to no active cloud, and other URLs are refused. Looked at:"
            f"{looked_at}{passing}",
            request=request,
        )


class _Interception:
    """The clouds of this process that are active."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._routes: list[tuple[Route, OtherUrls]] = []
        self._mock = _Requests(lambda: self._routes[-1][1])

    @contextmanager
    def active(self, route: Route, other_urls: OtherUrls) -> Iterator[None]:
        """Requests that match the route are answered by it during the block."""
        entry = (route, other_urls)
        with self._lock:
            for other, _ in self._routes:
                if other.base == route.base:
                    raise ValueError(f"url = {route.base!r}: another cloud is active there")
            self._routes.append(entry)
            self._mock.add(route)
            if len(self._routes) == 1:
                self._mock.start()
        try:
            yield
        finally:
            with self._lock:
                self._routes.remove(entry)
                self._mock.remove(route)
                if not self._routes:
                    self._mock.stop(allow_assert=False)
                    self._mock.reset()


_interception = _Interception()


def intercepting(route: Route, other_urls: OtherUrls) -> AbstractContextManager[None]:
    """See `_Interception.active`."""
    return _interception.active(route, other_urls)
