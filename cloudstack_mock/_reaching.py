"""How requests reach the server of a cloud: straight into its application, over its port, below a prefix."""

from __future__ import annotations

import http.client
from collections.abc import Iterable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from mgmt.api.inprocess import HttpResult, InProcessServer

if TYPE_CHECKING:
    from cloudstack_mock._interception import Answer, OtherUrls
    from mgmt.embedded import World

_HOP_BY_HOP = ("transfer-encoding", "connection", "keep-alive")


def answer_of(world: World) -> Answer:
    """What answers requests to the world, in this process or over its port."""
    server = world.server.http
    return server.call if isinstance(server, InProcessServer) else _over_socket(server.address)


def below(prefix: str, answer: Answer) -> Answer:
    """What answers requests at a prefix of that server's paths."""

    def answer_below(method: str, url: str, headers: Iterable[tuple[str, str]], body: bytes) -> HttpResult:
        parts = urlsplit(url)
        return answer(method, parts._replace(path=prefix + parts.path).geturl(), headers, body)

    return answer_below


def _over_socket(address: tuple[str, int]) -> Answer:
    """What answers requests by sending them on to a port."""

    def answer(method: str, url: str, headers: Iterable[tuple[str, str]], body: bytes) -> HttpResult:
        parts = urlsplit(url)
        target = parts.path + (f"?{parts.query}" if parts.query else "")
        connection = http.client.HTTPConnection(*address)
        try:
            kept = {name: value for name, value in headers if name.lower() not in _HOP_BY_HOP}
            connection.request(method, target, body or None, {**kept, "Host": parts.netloc, "Connection": "close"})
            response = connection.getresponse()
            back = [(name, value) for name, value in response.getheaders() if name.lower() not in _HOP_BY_HOP]
            return HttpResult(response.status, back, response.read())
        finally:
            connection.close()

    return answer


def intercepted(url: str, answer: Answer, other_urls: OtherUrls) -> AbstractContextManager[None]:
    """Have this process's own `requests` to the URL answered during the block.

    Raises ModuleNotFoundError without the package `responses`.
    """
    try:
        from cloudstack_mock._interception import Route, intercepting
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"requests can be answered in this process with the package {error.name}: install cloudstack-mock[pytest]"
        ) from error
    return intercepting(Route(url, answer), other_urls)
