"""Property reads that were answered before: the same question to an unchanged inventory has the same answer.

Clients ask for names and properties in the same words again and again, and reading a request, walking the inventory
and writing the answer take far longer than comparing bytes. Only answers that depend on nothing but the inventory are
kept, until anything in it changes.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Any

from vcenter_sim import wire
from vcenter_sim.inventory import Inventory
from vcenter_sim.types import vim
from vcenter_sim.wire import Call

MAX_KEPT = 64
MAX_BODY_BYTES = 16384
MAX_ANSWER_BYTES = 1 << 20
_CONTENT = "RetrieveServiceContent"  # the names of the well-known objects, which every session asks for first
_METHODS = frozenset({"RetrievePropertiesEx", "RetrieveProperties", _CONTENT})
# Objects of the inventory tree: what they show follows from it alone, neither from the caller nor from the time.
_KINDS = (vim.ManagedEntity, vim.CustomFieldsManager)

_Key = tuple[bytes, str | None]


class Reads:
    """Requests read and answers written lately. `answer` and `keep` are called with the inventory's lock held."""

    def __init__(self, inventory: Inventory) -> None:
        self._inventory = inventory
        self._calls: OrderedDict[_Key, Call] = OrderedDict()
        self._answers: OrderedDict[tuple[bytes, str], bytes] = OrderedDict()
        self._revision = inventory.revision
        self._lock = threading.Lock()

    def call(self, body: bytes, soap_action: str | None) -> Call:
        """The call in a request body, as `wire.parse_call` reads it."""
        key = (body, soap_action)
        with self._lock:
            known = self._calls.get(key)
            if known is not None:
                self._calls.move_to_end(key)
                return known
        call = wire.parse_call(body, soap_action)
        # Nothing but reads: other requests hold passwords, and arguments that the methods keep.
        if call.method in _METHODS and len(body) <= MAX_BODY_BYTES:
            with self._lock:
                self._calls[key] = call
                if len(self._calls) > MAX_KEPT:
                    self._calls.popitem(last=False)
        return call

    def answer(self, call: Call, body: bytes) -> bytes | None:
        """The answer to that request, if it is known and still right."""
        if call.method not in _METHODS:
            return None
        if self._revision != self._inventory.revision:
            self._answers.clear()
            self._revision = self._inventory.revision
        return self._answers.get((body, call.version))

    def keep(self, call: Call, body: bytes, result: Any, answer: bytes) -> None:
        """Remember an answer, if it would be the same for every caller."""
        if call.method not in _METHODS or result is None or max(len(body), len(answer)) > MAX_ANSWER_BYTES:
            return
        if call.method != _CONTENT:
            objects = result if isinstance(result, list) else result.objects
            if getattr(result, "token", None) or not all(isinstance(content.obj, _KINDS) for content in objects):
                return
        self._answers[(body, call.version)] = answer
        if len(self._answers) > MAX_KEPT:
            self._answers.popitem(last=False)
