"""Work in hand: what keeps a virtual clock from moving."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar, Token
from typing import Protocol


class Keeper(Protocol):
    """The clock, as its holds know it."""

    def set_held(self, hold: Hold, is_held: bool) -> None:
        """Work is in hand, or not any more; moves the clock when it was the last."""
        ...


class Hold:
    """One piece of work in hand. It is held until `end`, but not between `park` and `resume`.

    Any thread may call the methods, in any order and more than once: each says how it is to be from now on. The clock's
    lock guards the attributes.
    """

    __slots__ = ("_clock", "is_ended", "is_held", "label", "thread_id")

    def __init__(self, clock: Keeper, label: str) -> None:
        self.label = label
        self.thread_id = 0
        self.is_held = False
        self.is_ended = False
        self._clock = clock
        self.resume()

    def park(self) -> None:
        """It waits, for a time of the clock or for other work in hand."""
        self._clock.set_held(self, False)

    def resume(self) -> None:
        """It goes on. To be called by who ends its waiting, before that one parks or ends its own."""
        self._clock.set_held(self, True)

    def end(self) -> None:
        """It is done."""
        self.is_ended = True
        self._clock.set_held(self, False)


_CURRENT: ContextVar[Hold | None] = ContextVar("work_in_hand", default=None)


def current_hold() -> Hold | None:
    """The work in hand of this thread, or of this task; None where there is none.

    A context that was copied into another thread does not take it along.
    """
    hold = _CURRENT.get()
    return hold if hold is not None and hold.thread_id == threading.get_ident() else None


def make_current(hold: Hold) -> Token[Hold | None]:
    """Let `hold` be what this thread works on, in this context."""
    hold.thread_id = threading.get_ident()
    return _CURRENT.set(hold)


@contextmanager
def making_current(hold: Hold) -> Iterator[None]:
    """Let `hold` be what this thread works on during the block."""
    token = make_current(hold)
    try:
        yield
    finally:
        _CURRENT.reset(token)
