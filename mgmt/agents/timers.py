"""An event loop's timers on the injected clock, and what the loop tells a virtual clock of its work."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import logging
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from contextvars import copy_context

from mgmt.clock import ClockTimer, Hold, Line, VirtualClock, current_hold, make_current
from mgmt.providers import Clock

logger = logging.getLogger(__name__)


class Timer:
    """A call that is due at `due`, in seconds of the clock's `monotonic`."""

    __slots__ = ("callback", "clock_timer", "due", "order")

    def __init__(self, due: float, order: int, callback: Callable[[], None]) -> None:
        self.due = due
        self.order = order
        self.callback: Callable[[], None] | None = callback
        self.clock_timer: ClockTimer | None = None

    def cancel(self) -> None:
        """Do not call; may come too late or twice."""
        self.callback = None
        if self.clock_timer is not None:
            self.clock_timer.cancel()

    def __lt__(self, other: Timer) -> bool:
        return (self.due, self.order) < (other.due, other.order)


def timers_on(clock: Clock, poll_s: float) -> Timers:
    """The timers for one event loop on `clock`; see Timers for `poll_s`, which a virtual clock does without."""
    return VirtualTimers(clock) if isinstance(clock, VirtualClock) else Timers(clock, poll_s)


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

    def call_later(
        self,
        delay_s: float,
        callback: Callable[[], None],
        *,
        drives: bool = True,
        pass_over: Callable[[float], float | None] | None = None,
    ) -> Timer:
        """Call `callback` after `delay_s` seconds of the clock; see VirtualClock.call_at for the rest."""
        timer = Timer(self._clock.monotonic() + delay_s, next(self._order), callback)
        heapq.heappush(self._heap, timer)
        if self._handle is None or timer.due < self._armed_for:
            self._arm()
        return timer

    def spawn(self, label: str, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        """A task that is work in hand until it ends."""
        return asyncio.get_running_loop().create_task(work)

    def line(self, transport: asyncio.Transport) -> LoopLine:
        """What is told of an accepted connection's bytes."""
        return LoopLine(None)

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


class LoopLine:
    """One end of a connection in an event loop. Does nothing unless the clock is a virtual one."""

    def __init__(self, line: Line | None) -> None:
        self._line = line

    def sent(self, size_bytes: int) -> None:
        """Bytes were given to the transport."""
        if self._line is not None:
            self._line.sent(size_bytes)

    def arrived(self, size_bytes: int) -> None:
        """Bytes were taken. What they set off in the loop comes first."""
        if self._line is not None:
            asyncio.get_running_loop().call_soon(self._line.arrived, size_bytes)

    def closing(self) -> None:
        """This end is about to close."""
        if self._line is not None:
            self._line.closing()

    def close(self) -> None:
        """The connection is lost."""
        if self._line is not None:
            asyncio.get_running_loop().call_soon(self._line.close)


class VirtualTimers(Timers):
    """Timers that a virtual clock calls: each is one of its own, so that they fire in one order with all others."""

    def __init__(self, clock: VirtualClock) -> None:
        super().__init__(clock, 0.0)
        self._virtual = clock

    def call_later(
        self,
        delay_s: float,
        callback: Callable[[], None],
        *,
        drives: bool = True,
        pass_over: Callable[[float], float | None] | None = None,
    ) -> Timer:
        """See Timers."""
        loop = asyncio.get_running_loop()
        timer = Timer(self._virtual.monotonic() + delay_s, 0, callback)

        def fire(hold: Hold) -> None:
            try:
                loop.call_soon_threadsafe(self._run, timer, hold)
            except RuntimeError:  # the loop has ended
                hold.end()

        timer.clock_timer = self._virtual.call_at(timer.due, fire, drives=drives, pass_over=pass_over)
        return timer

    def spawn(self, label: str, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        """See Timers."""
        hold = self._virtual.hold(label)
        context = copy_context()
        context.run(make_current, hold)
        task = asyncio.get_running_loop().create_task(work, context=context)
        task.add_done_callback(lambda _: hold.end())
        return task

    def line(self, transport: asyncio.Transport) -> LoopLine:
        """See Timers."""
        local, remote = transport.get_extra_info("sockname"), transport.get_extra_info("peername")
        return LoopLine(self._virtual.line(local, remote) if local and remote else None)

    def _run(self, timer: Timer, hold: Hold) -> None:
        callback, timer.callback = timer.callback, None
        try:
            if callback is not None and not self._closed:
                callback()
        except Exception:  # one timer must not stop the others
            logger.exception("a timer's call failed")
        finally:
            asyncio.get_running_loop().call_soon(hold.end)


@contextmanager
def parked() -> Iterator[None]:
    """Let the task's work in hand be parked during the block: it waits for what others do."""
    hold = current_hold()
    if hold is not None:
        hold.park()
    try:
        yield
    finally:
        if hold is not None:
            hold.resume()
