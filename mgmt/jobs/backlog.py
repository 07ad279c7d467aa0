"""Orders that wait for a worker, and the work in hand that goes with them."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass
from typing import Generic, TypeVar

from mgmt.clock import Hold, hold
from mgmt.providers import Clock

T = TypeVar("T")


@dataclass
class _Entry(Generic[T]):
    item: T | None
    hold: Hold | None


class Backlog(Generic[T]):
    """A queue of many senders and many workers.

    What a worker is free for is work in hand from the moment it is put, what has to wait for a worker is not: a clock
    that stood still for it would never let one become free.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._entries: deque[_Entry[T]] = deque()
        self._changed = threading.Condition()
        self._free_workers = 0

    def put(self, item: T | None) -> None:
        """Add an item; None ends the worker that takes it."""
        with self._changed:
            has_worker = self._free_workers > len(self._entries)
            self._entries.append(_Entry(item, hold(self._clock, "a job to begin") if has_worker else None))
            self._changed.notify()

    def take(self, spare: Hold | None) -> tuple[T | None, Hold | None]:
        """The next item and the work in hand that it is; `spare` is that of the item which this worker has done."""
        with self._changed:
            if self._entries:
                return self._pop(spare)
            self._free_workers += 1
        if spare is not None:
            spare.end()
        with self._changed:
            while not self._entries:
                self._changed.wait()
            self._free_workers -= 1
            return self._pop(None)

    def _pop(self, spare: Hold | None) -> tuple[T | None, Hold | None]:
        entry = self._entries.popleft()
        if entry.hold is None:
            return entry.item, spare or hold(self._clock, "a job")
        if spare is not None:
            other = next((each for each in self._entries if each.hold is None), None)
            if other is None:
                spare.end()
            else:
                other.hold = spare
        return entry.item, entry.hold
