"""The timers of a virtual clock, in the order in which they fire."""

from __future__ import annotations

import heapq
import itertools
from collections import deque
from collections.abc import Callable

from mgmt.clock.holds import Hold

Fire = Callable[[Hold], None]
PassOver = Callable[[float], float | None]


class ClockTimer:
    """A call due at `due_s` of the clock; `cancel` makes it never happen.

    One that does not drive (pings, statistics) fires when the clock passes, but no clock moves on account of it.
    """

    __slots__ = ("cancelled", "drives", "due_s", "fire", "order", "pass_over")

    def __init__(self, due_s: float, order: int, fire: Fire, *, drives: bool, pass_over: PassOver | None) -> None:
        self.due_s = due_s
        self.order = order
        self.fire = fire
        self.drives = drives
        self.pass_over = pass_over
        self.cancelled = False

    def cancel(self) -> None:
        """Do not fire; may come too late or twice."""
        self.cancelled = True


_Heap = list[tuple[float, int, ClockTimer]]  # tuples: the heap compares them without a call of ours


class TimerHeap:
    """Timers by due time, and by registration where two are due at once. The clock's lock guards it."""

    def __init__(self) -> None:
        self._order = itertools.count()
        self._driving: _Heap = []
        self._other: _Heap = []
        self._at_rest: deque[ClockTimer] = deque()

    def add(self, due_s: float, fire: Fire, *, drives: bool, pass_over: PassOver | None) -> ClockTimer:
        """Register a timer."""
        timer = ClockTimer(due_s, next(self._order), fire, drives=drives, pass_over=pass_over)
        heapq.heappush(self._driving if drives else self._other, (due_s, timer.order, timer))
        return timer

    def clear(self) -> None:
        """Forget all."""
        self._driving.clear()
        self._other.clear()
        self._at_rest.clear()

    def first_driving_s(self) -> float | None:
        """When the first timer that drives is due."""
        first = _first(self._driving)
        return None if first is None else first.due_s

    def first_s(self) -> float | None:
        """When the first timer of all is due."""
        first = self._first_heap()
        return None if first is None else first[0][0]

    def take(self, limit_s: float) -> ClockTimer | None:
        """Take out the first timer that is due by `limit_s`; None when there is none.

        A timer that may be passed over is asked first when it is to fire next: it answers the time at which it has to,
        or None for "once the clock has nothing to move for" (see `take_at_rest`).
        """
        while True:
            heap = self._first_heap()
            if heap is None or heap[0][0] > limit_s:
                return None
            timer = heap[0][2]
            if timer.pass_over is not None:
                needed_s = timer.pass_over(limit_s)
                if needed_s is None:
                    self._at_rest.append(heapq.heappop(heap)[2])
                    continue
                if needed_s > timer.due_s:
                    timer.due_s = needed_s
                    heapq.heapreplace(heap, (needed_s, timer.order, timer))
                    continue
            return heapq.heappop(heap)[2]

    def take_at_rest(self) -> ClockTimer | None:
        """Take out a timer that was passed over until the clock has nothing to move for; None when there is none."""
        while self._at_rest:
            timer = self._at_rest.popleft()
            if not timer.cancelled:
                return timer
        return None

    def _first_heap(self) -> _Heap | None:
        driving, other = _first(self._driving), _first(self._other)
        if driving is None:
            return None if other is None else self._other
        return self._driving if other is None or self._driving[0] < self._other[0] else self._other


def _first(heap: _Heap) -> ClockTimer | None:
    while heap and heap[0][2].cancelled:
        heapq.heappop(heap)
    return heap[0][2] if heap else None
