"""Many timers on the injected clock, one event-loop handle."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import logging
from collections.abc import Callable

from mgmt.providers import Clock

logger = logging.getLogger(__name__)


class Timer:
    """A call that is due at `due`, in seconds of the clock's `monotonic`."""

    __slots__ = ("callback", "due", "order")

    def __init__(self, due: float, order: int, callback: Callable[[], None]) -> None:
        self.due = due
        self.order = order
        self.callback: Callable[[], None] | None = callback

    def cancel(self) -> None:
        """Do not call; may come too late or twice."""
        self.callback = None

    def __lt__(self, other: Timer) -> bool:
        return (self.due, self.order) < (other.due, other.order)


class Timers:
    """Timers of one event loop; used from its thread only.

    The clock may run faster than the machine's, or by hand: at least every `poll_s` real seconds it is looked at.
    """

    def __init__(self, clock: Clock, poll_s: float) -> None:
        self._clock = clock
        self._poll_s = poll_s
        self._heap: list[Timer] = []
        self._order = itertools.count()
        self._handle: asyncio.TimerHandle | None = None
        self._armed_for = 0.0
        self._closed = False

    def call_later(self, delay_s: float, callback: Callable[[], None]) -> Timer:
        """Call `callback` after `delay_s` seconds of the clock."""
        timer = Timer(self._clock.monotonic() + delay_s, next(self._order), callback)
        heapq.heappush(self._heap, timer)
        if self._handle is None or timer.due < self._armed_for:
            self._arm()
        return timer

    def close(self) -> None:
        """Call nothing any more."""
        self._closed = True
        self._heap.clear()
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _arm(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None
        while self._heap and self._heap[0].callback is None:
            heapq.heappop(self._heap)
        if not self._heap or self._closed:
            return
        self._armed_for = self._heap[0].due
        delay_s = min(max(self._armed_for - self._clock.monotonic(), 0.0), self._poll_s)
        self._handle = asyncio.get_running_loop().call_later(delay_s, self._fire)

    def _fire(self) -> None:
        self._handle = None
        now = self._clock.monotonic()
        while self._heap and self._heap[0].due <= now:
            callback = heapq.heappop(self._heap).callback
            if callback is None:
                continue
            try:
                callback()
            except Exception:  # one timer must not stop the others
                logger.exception("a timer's call failed")
        self._arm()
