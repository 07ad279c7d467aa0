"""Questions to vCenters and their answers that were written and read before: the same bytes mean the same.

pyvmomi makes an object of each element of an answer, which takes far longer than comparing the answer's bytes, and
sessions ask for names and properties in the same words again and again. Every question is still sent and every answer
received; what is spared is writing and reading them once more.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, Generic, TypeVar

from mgmt.vmware.sdk import ManagedObject

MAX_KEPT = 64
MAX_REQUEST_BYTES = 1 << 14
MAX_ANSWER_BYTES = 1 << 16

V = TypeVar("V")


class _Lately(Generic[V]):
    """What was used lately, MAX_KEPT of it; for many threads."""

    def __init__(self) -> None:
        self._kept: OrderedDict[Hashable, V] = OrderedDict()
        self._lock = threading.Lock()

    def find(self, key: Hashable) -> V | None:
        with self._lock:
            found = self._kept.get(key)
            if found is not None:
                self._kept.move_to_end(key)
            return found

    def keep(self, key: Hashable, value: V) -> None:
        with self._lock:
            self._kept[key] = value
            if len(self._kept) > MAX_KEPT:
                self._kept.popitem(last=False)


class KnownExchanges:
    """Requests written and answers read lately; one for all sessions of a server.

    What an answer holds is shared: nobody may change it, and its managed objects belong to no session (`rebound`).
    """

    def __init__(self) -> None:
        self._requests: _Lately[bytes] = _Lately()
        self._answers: _Lately[Any] = _Lately()

    def request(self, key: Hashable, write: Callable[[], bytes]) -> bytes:
        """The request that `key` stands for; `write` writes it when it is not known."""
        known = self._requests.find(key)
        if known is None:
            known = write()
            if len(known) <= MAX_REQUEST_BYTES:
                self._requests.keep(key, known)
        return known

    def answer(self, version: str, body: bytes, read: Callable[[], Any]) -> Any:
        """What an answer in API `version` holds; `read` reads one that is not known."""
        key = (version, body)
        known = self._answers.find(key)
        if known is None:
            known = read()
            if known is not None and len(body) <= MAX_ANSWER_BYTES:
                self._answers.keep(key, known)
        return known


def rebound(value: Any, stub: Any) -> Any:
    """`value`, or where it is a managed object or a list of them, the same of the session behind `stub`."""
    if isinstance(value, ManagedObject):
        return type(value)(value._moId, stub, value._serverGuid)
    if isinstance(value, list) and value and isinstance(value[0], ManagedObject):
        return type(value)(rebound(item, stub) for item in value)
    return value


class Rebound:
    """The attributes of a data object whose managed objects are of the session behind `stub`."""

    def __init__(self, value: Any, stub: Any) -> None:
        self._value = value
        self._stub = stub

    def __getattr__(self, name: str) -> Any:
        value = rebound(getattr(self._value, name), self._stub)
        self.__dict__[name] = value
        return value
