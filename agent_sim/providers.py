"""Where a fleet's time, waiting and identifiers come from.

Any object with `now` and `monotonic` serves as a clock, the server's own among them, so that agents in the server's
process share its clock. The fleet waits on the clock through `Timers`: one heap for all agents.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import time
import uuid
from collections.abc import Callable
from typing import Protocol

_FOREIGN_CLOCK_POLL_S = 0.01


class Clock(Protocol):
    """Wall time and a time that never goes back, in seconds."""

    def now(self) -> float:
        """Seconds since the Unix epoch."""
        ...

    def monotonic(self) -> float:
        """Seconds from an arbitrary start that never go back."""
        ...


class RealClock:
    """The machine's clock."""

    def now(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()


class Ids(Protocol):
    """A source of UUIDs."""

    def uuid(self) -> str:
        """A new UUID in lower-case text form."""
        ...


class RandomIds:
    """Random (version 4) UUIDs."""

    def uuid(self) -> str:
        return str(uuid.uuid4())


class Timer:
    """A call that is due at `due_s` of the clock; `cancel` makes it never happen."""

    __slots__ = ("_callback", "cancelled", "due_s")

    def __init__(self, due_s: float, callback: Callable[[], None]) -> None:
        self.due_s = due_s
        self.cancelled = False
        self._callback = callback

    def cancel(self) -> None:
        self.cancelled = True

    def fire(self) -> None:
        if not self.cancelled:
            self.cancelled = True
            self._callback()


class Timers:
    """The one timer heap of a fleet, on its clock. Used from the fleet's event loop only.

    `poll_s` is how often a clock that may be moved from outside is looked at; None for the machine's clock, where the
    loop can sleep until the next timer is due.
    """

    def __init__(self, clock: Clock, *, poll_s: float | None = None) -> None:
        self._clock = clock
        self._poll_s = poll_s
        self._heap: list[tuple[float, int, Timer]] = []
        self._order = itertools.count()
        self._wake: asyncio.TimerHandle | None = None

    @classmethod
    def for_clock(cls, clock: Clock) -> Timers:
        """Timers that poll unless `clock` is known to run by itself."""
        return cls(clock, poll_s=None if isinstance(clock, RealClock) else _FOREIGN_CLOCK_POLL_S)

    def call_at(self, due_s: float, callback: Callable[[], None]) -> Timer:
        """Call `callback` from the loop once the clock's monotonic time is `due_s`."""
        timer = Timer(due_s, callback)
        heapq.heappush(self._heap, (due_s, next(self._order), timer))
        self._arm()
        return timer

    def now_s(self) -> float:
        """The clock's monotonic time in seconds."""
        return self._clock.monotonic()

    async def sleep(self, duration_s: float) -> None:
        """Return after `duration_s` seconds of the clock; at once (after one turn of the loop) when not positive."""
        if duration_s <= 0:
            await asyncio.sleep(0)
            return
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def finish() -> None:
            if not done.done():
                done.set_result(None)

        timer = self.call_at(self._clock.monotonic() + duration_s, finish)
        try:
            await done
        finally:
            timer.cancel()

    def close(self) -> None:
        """Forget all timers."""
        self._heap.clear()
        if self._wake is not None:
            self._wake.cancel()
            self._wake = None

    def _arm(self) -> None:
        while self._heap and self._heap[0][2].cancelled:
            heapq.heappop(self._heap)
        if self._wake is not None:
            self._wake.cancel()
            self._wake = None
        if not self._heap:
            return
        delay_s = max(0.0, self._heap[0][0] - self._clock.monotonic())
        if self._poll_s is not None:
            delay_s = min(delay_s, self._poll_s)
        self._wake = asyncio.get_running_loop().call_later(delay_s, self._run_due)

    def _run_due(self) -> None:
        self._wake = None
        now_s = self._clock.monotonic()
        due: list[Timer] = []
        while self._heap and (self._heap[0][0] <= now_s or self._heap[0][2].cancelled):
            due.append(heapq.heappop(self._heap)[2])
        try:
            for timer in due:
                timer.fire()
        finally:
            self._arm()
