"""Clocks that are not the machine's: one timer heap, and a count of the work in hand, so that time jumps when all wait.

`VirtualClock` is the clock; the functions here let code work with any clock, the machine's included.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from mgmt.clock.holds import Hold, current_hold, make_current, making_current
from mgmt.clock.lines import Line
from mgmt.clock.timers import ClockTimer
from mgmt.clock.virtual import AUTOMATIC, MANUAL, SCALED, ClockError, ClockStalledError, VirtualClock
from mgmt.providers import Clock

__all__ = [
    "AUTOMATIC",
    "MANUAL",
    "SCALED",
    "ClockError",
    "ClockStalledError",
    "ClockTimer",
    "Hold",
    "Line",
    "VirtualClock",
    "current_hold",
    "hold",
    "is_automatic",
    "lent",
    "make_current",
    "making_current",
    "new_event",
    "working",
]


def hold(clock: Clock, label: str) -> Hold | None:
    """Work in hand of that name, which keeps a virtual clock from moving; None on a clock that runs by itself."""
    return clock.hold(label) if isinstance(clock, VirtualClock) else None


@contextmanager
def working(clock: Clock, label: str, taken: Hold | None = None) -> Iterator[None]:
    """Work in hand during the block, in this thread; `taken` is what was taken for it before."""
    mine = taken or hold(clock, label)
    if mine is None:
        yield
        return
    try:
        with making_current(mine):
            yield
    finally:
        mine.end()


def is_automatic(clock: Clock) -> bool:
    """Whether it is a virtual clock that jumps as soon as everything waits."""
    return isinstance(clock, VirtualClock) and clock.mode == AUTOMATIC


def new_event(clock: Clock) -> threading.Event:
    """An event for `clock.wait`: whoever sets one of a virtual clock hands the work in hand on to those who wait."""
    return clock.event() if isinstance(clock, VirtualClock) else threading.Event()


@contextmanager
def lent(clock: Clock, key: str) -> Iterator[None]:
    """Let the peer of a call, which knows `key` too, wait on the clock in this thread's stead during the block."""
    mine = current_hold()
    if mine is None or not isinstance(clock, VirtualClock):
        yield
        return
    with clock.lent(key, mine):
        yield
