"""Where a fleet's time, waiting and identifiers come from.

Any object with `now` and `monotonic` serves as a clock, the server's own among them, so that agents in the server's
process share its clock. The fleet waits on the clock through `Timers`: one heap for all agents. A clock that is moved
by its timers (`SteeredClock`) keeps that heap itself, and is told when the fleet works and when it waits.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import threading
import time
import uuid
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from typing import Any, Protocol, runtime_checkable

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


class WorkInHand(Protocol):
    """What a steered clock stands still for. Each method says how it is from now on, in whatever order they come."""

    def park(self) -> None:
        """It waits, for a time of the clock or for other work."""
        ...

    def resume(self) -> None:
        """It goes on."""
        ...

    def end(self) -> None:
        """It is done."""
        ...


class LineEnd(Protocol):
    """One end of a connection, as a steered clock follows it: bytes on their way are work in hand."""

    def sent(self, size_bytes: int) -> None: ...

    def arrived(self, size_bytes: int) -> None: ...

    def closing(self) -> None: ...

    def close(self) -> None: ...


class ClockTimer(Protocol):
    """A timer that a steered clock keeps."""

    def cancel(self) -> None: ...


@runtime_checkable
class SteeredClock(Clock, Protocol):
    """A clock that moves from timer to timer while no work is in hand (the server has one)."""

    def hold(self, label: str) -> WorkInHand:
        """New work in hand."""
        ...

    def line(self, local: tuple[Any, ...], remote: tuple[Any, ...]) -> LineEnd:
        """One end of a connection between two socket addresses."""
        ...

    def call_at(
        self,
        due_s: float,
        fire: Callable[[Any], None],
        *,
        drives: bool = True,
        pass_over: Callable[[float], float] | None = None,
    ) -> ClockTimer:
        """Call `fire` with work in hand that it has to end. The clock does not move for what does not drive.

        `pass_over` is asked, with the time up to which the clock is to move, when the timer has to fire next.
        """
        ...


class Ids(Protocol):
    """A source of UUIDs."""

    def uuid(self) -> str:
        """A new UUID in lower-case text form."""
        ...


@runtime_checkable
class StreamedIds(Ids, Protocol):
    """A source whose UUIDs follow from how many were drawn before: each host has a stream of its own."""

    def stream(self, name: str) -> Ids:
        """That of this name."""
        ...


class RandomIds:
    """Random (version 4) UUIDs."""

    def uuid(self) -> str:
        return str(uuid.uuid4())


class Timer:
    """A call that is due at `due_s` of the clock; `cancel` makes it never happen."""

    __slots__ = ("_callback", "cancelled", "clock_timer", "due_s")

    def __init__(self, due_s: float, callback: Callable[[], None]) -> None:
        self.due_s = due_s
        self.cancelled = False
        self.clock_timer: ClockTimer | None = None
        self._callback = callback

    def cancel(self) -> None:
        self.cancelled = True
        if self.clock_timer is not None:
            self.clock_timer.cancel()

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
        """Timers that poll unless `clock` is known to run by itself, or calls them itself."""
        if isinstance(clock, SteeredClock):
            return SteeredTimers(clock)
        return cls(clock, poll_s=None if isinstance(clock, RealClock) else _FOREIGN_CLOCK_POLL_S)

    def call_at(
        self,
        due_s: float,
        callback: Callable[[], None],
        *,
        drives: bool = True,
        pass_over: Callable[[float], float] | None = None,
    ) -> Timer:
        """Call `callback` from the loop once the clock's monotonic time is `due_s`.

        See `SteeredClock.call_at` for the rest, which means nothing on other clocks.
        """
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
            with parked():
                await done
        finally:
            timer.cancel()

    async def follow(self, pauses: Iterator[float]) -> None:
        """Wait as often and as long, in seconds, as `pauses` says; return at its end, and raise what it raises.

        What `pauses` does between two of them happens in the loop's thread and must not wait.
        """
        for pause_s in pauses:
            await self.sleep(pause_s)

    def spawn(self, label: str, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """A task that is work in hand until it ends."""
        return asyncio.get_running_loop().create_task(work)

    def hold(self, label: str) -> WorkInHand | None:
        """New work in hand; None on a clock that does not ask."""
        return None

    def line(self, transport: asyncio.Transport) -> LineEnd | None:
        """What is told of a connection's bytes; None on a clock that does not ask."""
        return None

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


class SteeredTimers(Timers):
    """Timers that the clock keeps, in one order with all others that it has."""

    def __init__(self, clock: SteeredClock) -> None:
        super().__init__(clock)
        self._steered = clock
        self._is_closed = False

    def call_at(
        self,
        due_s: float,
        callback: Callable[[], None],
        *,
        drives: bool = True,
        pass_over: Callable[[float], float] | None = None,
    ) -> Timer:
        """See Timers."""
        loop, timer, thread_id = asyncio.get_running_loop(), Timer(due_s, callback), threading.get_ident()

        def fire(hold: WorkInHand) -> None:
            try:
                if threading.get_ident() == thread_id:  # the loop moved the clock itself: it need not be woken
                    loop.call_soon(self._run, timer, hold)
                else:
                    loop.call_soon_threadsafe(self._run, timer, hold)
            except RuntimeError:  # the loop has ended
                hold.end()

        timer.clock_timer = self._steered.call_at(due_s, fire, drives=drives, pass_over=pass_over)
        return timer

    async def follow(self, pauses: Iterator[float]) -> None:
        """See Timers. When the loop's thread moves the clock, the next piece comes without a turn of the loop.

        A copy stops dozens of times to tell how far it is: to wake its task for each would take longer than all else.
        """
        loop, thread_id, context = asyncio.get_running_loop(), threading.get_ident(), copy_context()
        done: asyncio.Future[None] = loop.create_future()
        timer: ClockTimer | None = None

        def go_on() -> None:
            nonlocal timer
            try:
                pause_s = context.run(next, pauses, None)
            except Exception as error:
                done.set_exception(error)
                return
            if pause_s is None:
                done.set_result(None)
            else:
                timer = self._steered.call_at(self._steered.monotonic() + max(0.0, pause_s), fire)

        def resume(hold: WorkInHand) -> None:
            if done.done() or self._is_closed:
                hold.end()
                return
            go_on()
            if done.done():  # behind the task that this has woken
                loop.call_soon(hold.end)
            else:
                hold.end()

        def fire(hold: WorkInHand) -> None:
            if threading.get_ident() == thread_id:
                resume(hold)
                return
            try:
                loop.call_soon_threadsafe(resume, hold)
            except RuntimeError:  # the loop has ended
                hold.end()

        go_on()
        try:
            if done.done():
                await done
                return
            with parked():
                await done
        finally:
            if timer is not None:
                timer.cancel()

    def spawn(self, label: str, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """See Timers."""
        hold = self._steered.hold(label)
        context = copy_context()
        context.run(_CURRENT.set, hold)
        task = asyncio.get_running_loop().create_task(work, context=context)
        # a task's callbacks come after whatever it had woken
        task.add_done_callback(lambda _: hold.end())
        return task

    def hold(self, label: str) -> WorkInHand | None:
        """See Timers."""
        return self._steered.hold(label)

    def line(self, transport: asyncio.Transport) -> LineEnd | None:
        """See Timers."""
        local, remote = transport.get_extra_info("sockname"), transport.get_extra_info("peername")
        return self._steered.line(local, remote) if local and remote else None

    def close(self) -> None:
        """See Timers."""
        self._is_closed = True

    def _run(self, timer: Timer, hold: WorkInHand) -> None:
        try:
            if not self._is_closed:
                timer.fire()
        finally:
            asyncio.get_running_loop().call_soon(hold.end)


_CURRENT: ContextVar[WorkInHand | None] = ContextVar("work_in_hand", default=None)


@contextmanager
def parked() -> Iterator[None]:
    """Let the task's work in hand be parked during the block: it waits for the clock or for another task."""
    hold = _CURRENT.get()
    if hold is not None:
        hold.park()
    try:
        yield
    finally:
        if hold is not None:
            hold.resume()


async def acquire(semaphore: asyncio.Semaphore) -> None:
    """Acquire it; the task's work in hand is parked while others have it."""
    if semaphore.locked():
        with parked():
            await semaphore.acquire()
    else:
        await semaphore.acquire()
