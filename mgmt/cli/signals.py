"""Waiting for SIGINT or SIGTERM."""

from __future__ import annotations

import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType


class StopFlag:
    """Whether it is time to stop, for the main thread to wait on. Closed by `stop_signals`.

    It waits on a socket into which Python's own C code writes a byte for each signal: with an event or a lock, a signal
    in the moment before the wait begins would be looked at only after the wait.
    """

    def __init__(self) -> None:
        self._is_set = False
        self._woken, self._waking = socket.socketpair()
        self._waking.setblocking(False)

    @property
    def wakes_by(self) -> int:
        """The descriptor for `signal.set_wakeup_fd`."""
        return self._waking.fileno()

    def is_set(self) -> bool:
        """Whether it is time."""
        return self._is_set

    def set(self) -> None:
        """Say that it is time; from any thread, and from a signal's handler."""
        self._is_set = True
        with suppress(OSError):  # full of bytes that nobody has read: it wakes all the same; or closed
            self._waking.send(b"\0")

    def wait(self, timeout_s: float | None = None) -> bool:
        """Return once it is time, or after `timeout_s`; whether it is."""
        self._woken.settimeout(timeout_s)
        with suppress(TimeoutError):
            while not self._is_set:
                self._woken.recv(4096)
        return self._is_set

    def close(self) -> None:
        """Close the sockets."""
        self._woken.close()
        self._waking.close()


def end_before_the_start() -> None:
    """SIGINT and SIGTERM end the process with status 0 until `stop_signals` takes over: nothing is there to undo."""

    def end(number: int, frame: FrameType | None) -> None:
        raise SystemExit(0)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)


@contextmanager
def interrupts() -> Iterator[None]:
    """SIGTERM raises KeyboardInterrupt in the block, as SIGINT does: for work that is to be broken off."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    former = {number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


@contextmanager
def stop_signals() -> Iterator[StopFlag]:
    """A flag that the first SIGINT or SIGTERM sets; the former handlers come back at the end. In the main thread."""
    assert threading.current_thread() is threading.main_thread()
    stopped = StopFlag()

    def stop(number: int, frame: FrameType | None) -> None:
        stopped.set()

    former_fd = signal.set_wakeup_fd(stopped.wakes_by, warn_on_full_buffer=False)
    former = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stopped
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(former_fd)
        stopped.close()
