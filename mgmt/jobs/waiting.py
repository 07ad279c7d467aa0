"""Work that can wait without a thread: a generator that yields what it waits for.

A handler gives the generator to the job runner; between two turns no thread belongs to it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from typing import Protocol, TypeVar

T = TypeVar("T")


class Wait(Protocol):
    """Something to wait for."""

    def on_ready(self, callback: Callable[[], None]) -> None:
        """Have `callback` called once the wait is over; at once when it is. It must not block."""
        ...


Work = Generator[Wait, None, T]


def run_blocking(work: Work[T]) -> T:
    """The result of `work`, with the calling thread waiting for it."""
    try:
        while True:
            ready = threading.Event()
            next(work).on_ready(ready.set)
            ready.wait()
    except StopIteration as end:
        result: T = end.value
        return result


def begun(work: Work[T]) -> T | Work[T]:
    """The result of `work` when it needs not wait at all, else the work, which goes on with its first wait."""
    try:
        first = next(work)
    except StopIteration as end:
        result: T = end.value
        return result
    return _after(first, work)


def _after(first: Wait, work: Work[T]) -> Work[T]:
    yield first
    return (yield from work)
