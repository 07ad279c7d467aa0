"""The thread of a fleet: one event loop, in which all of its agents live."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

logger = logging.getLogger(__name__)

T = TypeVar("T")

_CALL_LIMIT_S = 60.0

# What runs in the thread: calls the first once everything is on its way, and returns when the event is set.
Main = Callable[[Callable[[], None], asyncio.Event], Coroutine[Any, Any, None]]


class FleetError(Exception):
    """The fleet is not running, or has no host of that name."""


class FleetThread:
    """Runs `main` in a thread of its own, and whatever other threads want to have done in its loop."""

    def __init__(self, main: Main) -> None:
        self._main = main
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ended: asyncio.Event | None = None
        self._start_failure: BaseException | None = None

    def start(self) -> None:
        """Return once `main` is on its way.

        Raises what it fails with before that, and FleetError for a second start.
        """
        if self._thread is not None:
            raise FleetError("the fleet is already running")
        started = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(started,), name="agent-fleet", daemon=True)
        self._thread.start()
        started.wait()
        if self._start_failure is not None:
            failure, self._start_failure = self._start_failure, None
            self._thread.join()
            self._thread = None
            raise failure

    def stop(self, limit_s: float) -> None:
        """Let `main` end, and return once the thread has, which is given `limit_s` seconds."""
        thread, loop, ended = self._thread, self._loop, self._ended
        if thread is None or loop is None:
            return
        if ended is not None:
            loop.call_soon_threadsafe(ended.set)
        thread.join(limit_s)
        if thread.is_alive():
            logger.error("the fleet's thread did not end in %s s", limit_s)
        self._thread = None

    def call(self, work: Coroutine[Any, Any, T]) -> T:
        """The result of `work`, done in the loop; raises FleetError when nothing runs there."""
        if self._loop is None or self._thread is None or not self._thread.is_alive():
            work.close()
            raise FleetError("the fleet is not running")
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(_CALL_LIMIT_S)

    def soon(self, call: Callable[..., object], *args: object) -> None:
        """Have `call` done in the loop: at once from there, else without waiting for it."""
        if self._loop is None:
            raise FleetError("the fleet is not running")
        if threading.current_thread() is self._thread:
            call(*args)
        else:
            self._loop.call_soon_threadsafe(call, *args)

    def _run(self, started: threading.Event) -> None:
        with asyncio.Runner() as runner:
            self._loop = runner.get_loop()
            self._ended = asyncio.Event()
            try:
                runner.run(self._main(started.set, self._ended))
            except Exception as failure:
                logger.exception("the fleet failed")
                self._start_failure = failure
            finally:
                started.set()
