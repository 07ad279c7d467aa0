"""The virtual clock: it moves from timer to timer, and only while no work is in hand.

So every event happens at its own time and before the next, however long it takes the machine: the order of events does
not depend on how fast the clock is.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from mgmt.clock.holds import Hold, current_hold
from mgmt.clock.lines import Address, Line, Lines
from mgmt.clock.timers import ClockTimer, Fire, PassOver, TimerHeap

logger = logging.getLogger(__name__)

AUTOMATIC, MANUAL, SCALED = "automatic", "manual", "scaled"
STALL_LIMIT_S = 60.0
_NEVER_S = float("-inf")


class ClockError(RuntimeError):
    """What the clock cannot do."""


class ClockStalledError(ClockError):
    """Work stayed in hand for longer than it should, in real seconds; the text names it."""


class _Event(threading.Event):
    """An event whose `set` makes the waiting threads' work be in hand again before it returns."""

    def __init__(self, clock: VirtualClock) -> None:
        super().__init__()
        self._clock = clock
        self.waiters: set[_Waiter] = set()

    def set(self) -> None:
        self._clock.wake_all(self)


class _Waiter:
    """One thread in `wait`."""

    def __init__(self, hold: Hold | None) -> None:
        self.hold = hold
        self.woken = threading.Event()

    def wake(self) -> None:
        if self.hold is not None:
            self.hold.resume()
        self.woken.set()


class VirtualClock:
    """A clock in one of three modes, beginning at `start_s` (seconds since the epoch; the machine's time by default).

    `automatic` jumps to the next timer that drives as soon as no work is in hand. `manual` moves in `advance` and
    `run_until` only. `scaled` is `automatic` kept back: a timer fires no earlier than `factor` times real time allows.
    """

    def __init__(self, mode: str, *, factor: float = 1.0, start_s: float | None = None) -> None:
        if mode not in (AUTOMATIC, MANUAL, SCALED):
            raise ValueError(f"mode: expected {AUTOMATIC}, {MANUAL} or {SCALED}, got {mode!r}")
        if not 0 < factor < float("inf"):
            raise ValueError(f"factor: expected a number above 0, got {factor}")
        self.mode = mode
        self.factor = factor
        self._epoch_s = time.time() if start_s is None else start_s
        self._now_s = 0.0
        self._target_s = _NEVER_S
        self._lock = threading.RLock()
        self._settled = threading.Condition(self._lock)
        self._timers = TimerHeap()
        self._holds: set[Hold] = set()
        self._waiters: set[_Waiter] = set()
        self._lent: dict[str, Hold] = {}
        self._lines = Lines(self.hold)
        self._is_stepping = False
        self._is_closed = False
        self._real_start_s = time.monotonic()
        self._pacer: threading.Thread | None = None

    # Reading and waiting ------------------------------------------------------------------------------------------

    def now(self) -> float:
        """Seconds since the Unix epoch."""
        return self._epoch_s + self.monotonic()

    def monotonic(self) -> float:
        """Seconds since the clock was made. Stands still while work is in hand."""
        if self.mode != SCALED and not self._is_closed:
            return self._now_s  # one number, read as it is: the lock would keep nobody from moving it a moment later
        with self._lock:
            if self._is_closed:
                return self._now_s + time.monotonic() - self._real_start_s
            if self.mode == SCALED and not self._holds:
                first_s = self._timers.first_s()
                paced_s = self._paced_s()
                self._now_s = max(self._now_s, paced_s if first_s is None else min(paced_s, first_s))
            return self._now_s

    def sleep(self, duration_s: float) -> None:
        """Return after `duration_s` seconds of this clock."""
        self.wait(self.event(), duration_s)

    def event(self) -> threading.Event:
        """An event to wait for. Who sets it hands the work in hand on to those who wait, with no moment between."""
        return _Event(self)

    def wait(self, event: threading.Event, timeout_s: float | None, *, on_behalf_of: str | None = None) -> bool:
        """Return True once `event` is set, False after `timeout_s` seconds of this clock.

        The thread's work in hand is parked meanwhile, or that which the peer lent as `on_behalf_of`. A thread without
        work in hand waits too, but the clock does not move on its account. `event` has to be one of `event()`.
        """
        if not isinstance(event, _Event):
            raise ClockError("a virtual clock waits for events of its own: see VirtualClock.event")
        if self._is_closed:
            return self._wait_closed(event, timeout_s)
        with self._lock:
            if event.is_set():
                return True
            hold = current_hold() if on_behalf_of is None else self._lent.get(on_behalf_of)
            waiter = _Waiter(hold)
            event.waiters.add(waiter)
            timer = None
            if timeout_s is not None:
                due_s = self.monotonic() + max(0.0, timeout_s)
                timer = self._timers.add(due_s, self._wakes(waiter), drives=hold is not None, pass_over=None)
            self._waiters.add(waiter)
            if hold is not None:  # in the same moment: who sets the event from now on makes it be in hand again
                hold.is_held = False
                self._holds.discard(hold)
        self._step()
        waiter.woken.wait()
        with self._lock:
            event.waiters.discard(waiter)
            self._waiters.discard(waiter)
            if timer is not None:
                timer.cancel()
            is_set, is_closed = event.is_set(), self._is_closed
        return is_set if is_set or not is_closed else self._wait_closed(event, timeout_s)

    def _wakes(self, waiter: _Waiter) -> Fire:
        def fire(firing: Hold) -> None:
            waiter.wake()
            firing.end()

        return fire

    @staticmethod
    def _wait_closed(event: threading.Event, timeout_s: float | None) -> bool:
        return event.wait(timeout_s)

    def wake_all(self, event: _Event) -> None:
        """Set `event` and wake who waits for it."""
        with self._lock:
            threading.Event.set(event)
            waiters = list(event.waiters)
        for waiter in waiters:
            waiter.wake()

    # Work in hand -------------------------------------------------------------------------------------------------

    def hold(self, label: str) -> Hold:
        """New work in hand; `label` says what it is when it is never ended."""
        return Hold(self, label)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Let the clock stand still during the block, to begin several things at one time."""
        hold = self.hold("held by hand")
        try:
            yield
        finally:
            hold.end()

    def set_held(self, hold: Hold, is_held: bool) -> None:
        """For `Hold`: work is in hand, or not any more."""
        with self._lock:
            if is_held:
                if not hold.is_ended:
                    hold.is_held = True
                    self._holds.add(hold)
                return
            hold.is_held = False
            self._holds.discard(hold)
            if self._holds:
                return
        self._step()

    @contextmanager
    def lent(self, key: str, hold: Hold) -> Iterator[None]:
        """Let a peer that knows `key` wait in the stead of `hold` during the block."""
        with self._lock:
            self._lent[key] = hold
        try:
            yield
        finally:
            with self._lock:
                self._lent.pop(key, None)
            hold.resume()

    def line(self, local: Address, remote: Address) -> Line:
        """One end of a connection: bytes between two ends in this process are work in hand."""
        return self._lines.open(local, remote)

    # Timers -------------------------------------------------------------------------------------------------------

    def call_at(
        self, due_s: float, fire: Fire, *, drives: bool = True, pass_over: PassOver | None = None
    ) -> ClockTimer:
        """Call `fire` at `due_s` of `monotonic`, in whatever thread moves the clock; it must not block.

        `fire` gets a hold that it has to end once all it set off is done. With `drives` the automatic clock moves for
        it. A timer with `pass_over` is asked, when the clock is to move as far as that moment, when it has to fire
        next at the earliest; it may not use the clock then. None lets an automatic clock fire it late, when it has
        nothing more to move for.
        """
        with self._lock:
            timer = self._timers.add(due_s, fire, drives=drives, pass_over=pass_over)
            if self._holds:
                return timer
        self._step()
        return timer

    def _limit_s(self) -> float:
        """How far the clock may move now."""
        if self.mode == SCALED:
            return self._paced_s()
        if self.mode == AUTOMATIC:
            driving_s = self._timers.first_driving_s()
            return self._target_s if driving_s is None else max(driving_s, self._target_s)
        return self._target_s

    def _paced_s(self) -> float:
        if self._pacer is None:  # not started
            return self._now_s
        return (time.monotonic() - self._real_start_s) * self.factor

    def _rested(self) -> ClockTimer | None:
        """With nothing left to move for: a timer that was passed over until now."""
        if self._timers.first_driving_s() is not None:
            return None
        self._now_s = max(self._now_s, self._target_s)
        return self._timers.take_at_rest()

    def _step(self) -> None:
        """Fire what is due, one timer after the other, as long as no work is in hand."""
        with self._lock:
            if self._is_stepping:
                return
            self._is_stepping = True
        while True:
            with self._lock:
                timer = None if self._holds or self._is_closed else self._timers.take(self._limit_s()) or self._rested()
                if timer is None:
                    self._is_stepping = False
                    if not self._holds and self._target_s > self._now_s:
                        self._now_s = self._target_s
                    self._settled.notify_all()
                    return
                self._now_s = max(self._now_s, timer.due_s)
                firing = self.hold("a timer fires")
            try:
                timer.fire(firing)
            except Exception:  # one timer must not stop the clock
                logger.exception("a timer's call failed")
                firing.end()

    # Moving it ----------------------------------------------------------------------------------------------------

    def advance(self, duration_s: float, *, limit_s: float = STALL_LIMIT_S) -> None:
        """Move on by `duration_s`, firing all timers on the way, and return when everything waits again.

        Raises ClockError on a scaled clock, and ClockStalledError when work stays in hand for `limit_s` real seconds.
        """
        if self.mode == SCALED:
            raise ClockError("a scaled clock moves by itself: use a manual or an automatic one")
        self._require_no_hold()
        with self._lock:
            self.settle(limit_s)
            self._target_s = self._now_s + duration_s
        self._move(limit_s)

    def advance_to_next(self, *, limit_s: float = STALL_LIMIT_S) -> bool:
        """Move a manual clock to its next timer that drives and return when everything waits; False without one."""
        self._require_no_hold()
        with self._lock:
            self.settle(limit_s)
            driving_s = self._timers.first_driving_s()
            if driving_s is None:
                return False
            self._target_s = max(self._now_s, driving_s)
        self._move(limit_s)
        return True

    def _require_no_hold(self) -> None:
        if current_hold() is not None:
            raise ClockError("work in hand cannot move the clock, for the clock waits for it")

    def _move(self, limit_s: float) -> None:
        self._step()
        with self._lock:
            target_s = self._target_s
            try:
                self._await(lambda: self._now_s >= target_s and not self._holds, limit_s)
            finally:
                self._target_s = _NEVER_S

    def settle(self, limit_s: float = STALL_LIMIT_S) -> None:
        """Return when no work is in hand; raises ClockStalledError after `limit_s` real seconds."""
        with self._lock:
            self._await(lambda: not self._holds, limit_s)

    def _await(self, condition: Callable[[], bool], limit_s: float) -> None:
        if not self._settled.wait_for(lambda: self._is_closed or condition(), limit_s):
            labels = ", ".join(sorted({hold.label for hold in self._holds})) or "nothing"
            raise ClockStalledError(f"the clock has stood still for {limit_s:g} s of real time; in hand: {labels}")

    # Running ------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Let a scaled clock run from now on, in a thread of its own; other clocks need none."""
        if self.mode == SCALED and self._pacer is None:
            self._real_start_s = time.monotonic() - self._now_s / self.factor
            self._pacer = threading.Thread(target=self._pace, name="clock", daemon=True)
            self._pacer.start()

    def close(self) -> None:
        """Fire nothing any more, wake who waits, and go on like the machine's clock. May be called twice."""
        with self._lock:
            if self._is_closed:
                return
            self._now_s = self.monotonic()
            self._real_start_s = time.monotonic()
            self._is_closed = True
            self._timers.clear()
            waiters = list(self._waiters)
            self._settled.notify_all()
        for waiter in waiters:
            waiter.wake()
        if self._pacer is not None:
            self._pacer.join()

    def _pace(self) -> None:
        while True:
            self._step()
            with self._lock:
                if self._is_closed:
                    return
                first_s = self._timers.first_s()
                wait_s = None if first_s is None or self._holds else (first_s - self._paced_s()) / self.factor
                if wait_s is None or wait_s > 0:
                    self._settled.wait(wait_s)
