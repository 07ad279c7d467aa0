"""The agent edge's work in the database: one thread, and one transaction for what has come together.

SQLite writes one transaction at a time, and each costs more than what an attach writes in it. While one is under way
others queue up; they then share the next.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, TypeVar

from mgmt.store.database import Store

T = TypeVar("T")

MOST_TOGETHER = 64  # others wait for the write lock meanwhile


class _Piece:
    """Work that may share a transaction, and who waits for it."""

    def __init__(self, work: Callable[..., object], args: tuple[object, ...], future: asyncio.Future[Any]) -> None:
        self.work = work
        self.args = args
        self.future = future


class DatabaseThread:
    """Runs work in sessions of `store`, in a thread of its own; the methods are for the event loop's thread."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="agents-db")
        self._waiting: deque[_Piece] = deque()
        self._is_busy = False
        self._is_stopped = False

    def start(self) -> None:
        """Have the thread there from the beginning, rather than some day."""
        self._executor.submit(threading.Event)

    def stop(self) -> None:
        """Return once the thread has finished what it had begun; what waits is not done any more."""
        self._is_stopped = True
        self._executor.shutdown(wait=True)

    async def run(self, work: Callable[..., T], *args: object) -> T:
        """The result of `work(session, *args)` in a transaction of its own."""

        def in_session() -> T:
            with self._store.session() as session:
                return work(session, *args)

        return await asyncio.get_running_loop().run_in_executor(self._executor, in_session)

    async def run_together(self, work: Callable[..., T], *args: object) -> T:
        """The result of `work(session, *args)` in a transaction with whatever else waits for one.

        An error takes back what all of them wrote, and each is done again alone: so `work` may run twice, and should
        give back what it refuses to do rather than raise it.
        """
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Piece(work, args, future))
        self._begin()
        return await future

    def _begin(self) -> None:
        if self._is_busy or self._is_stopped or not self._waiting:
            return
        self._is_busy = True
        pieces = [self._waiting.popleft() for _ in range(min(MOST_TOGETHER, len(self._waiting)))]
        self._executor.submit(self._work_on, pieces, asyncio.get_running_loop())

    def _work_on(self, pieces: Sequence[_Piece], loop: asyncio.AbstractEventLoop) -> None:
        try:
            outcomes = self._done(pieces)
        except Exception:
            outcomes = [self._done_alone(piece) for piece in pieces]
        with suppress(RuntimeError):  # the loop has ended: nobody waits any more
            loop.call_soon_threadsafe(self._tell, pieces, outcomes)

    def _done(self, pieces: Sequence[_Piece]) -> list[object]:
        with self._store.session() as session:
            return [piece.work(session, *piece.args) for piece in pieces]

    def _done_alone(self, piece: _Piece) -> object:
        try:
            return self._done([piece])[0]
        except Exception as error:  # it belongs to who waits
            return _Failure(error)

    def _tell(self, pieces: Sequence[_Piece], outcomes: Sequence[object]) -> None:
        self._is_busy = False
        for piece, outcome in zip(pieces, outcomes, strict=True):
            if piece.future.done():  # cancelled
                continue
            if isinstance(outcome, _Failure):
                piece.future.set_exception(outcome.error)
            else:
                piece.future.set_result(outcome)
        self._begin()


class _Failure:
    def __init__(self, error: Exception) -> None:
        self.error = error
