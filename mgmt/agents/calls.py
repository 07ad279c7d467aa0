"""Calls into the agents' event loop from all other threads, which wait there for what comes of them."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import threading
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeVar

from mgmt.agents.core import NotAttachedError
from mgmt.agents.hub import Hub
from mgmt.clock import Hold, current_hold, hold
from mgmt.errors import AgentUnavailableError, CommandAbandonedError, ServerStoppingError
from mgmt.observe.correlation import current_correlation_id
from mgmt.protocol.records import Answer, Command
from mgmt.providers import Clock

KEPT_ABANDONED = 64
ABANDONED_TEXT = "Nobody waits for the answer any more"
STOPPING_TEXT = "the server is being stopped"

T = TypeVar("T")


class Calls:
    """The way into the loop. `hub` is there from the manager's start on, `loop` while it runs."""

    def __init__(self, clock: Clock) -> None:
        self.hub: Hub | None = None
        self.loop: asyncio.AbstractEventLoop | None = None
        self.is_stopping = False
        self._clock = clock
        self._lock = threading.Lock()
        self._results: set[concurrent.futures.Future[Any]] = set()  # of whatever somebody waits for
        self._sent: dict[int, tuple[concurrent.futures.Future[list[Answer]], Hold | None]] = {}
        self._abandoned: deque[Command] = deque(maxlen=KEPT_ABANDONED)
        self._late: dict[int, tuple[Command, Callable[[Answer], None]]] = {}

    def ended(self) -> None:
        """The loop has ended: what is queued in it will never run, and whoever waits for it is told."""
        self.loop = None
        with self._lock:
            for result in self._results:
                if not result.done():
                    result.set_exception(ServerStoppingError(STOPPING_TEXT))

    def soon(self, call: Callable[[], None]) -> None:
        """Have `call` run in the loop, if there is one; returns at once."""
        loop = self.loop
        if loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop has just ended
                loop.call_soon_threadsafe(call)

    def in_loop(self, work: Callable[[Hub], Coroutine[None, None, T]]) -> T:
        """The result of `work`, run in the loop; raises ServerStoppingError when the loop ends."""
        hub = self.hub
        if self.loop is None or hub is None:
            raise ServerStoppingError("the agent manager does not run")
        result: concurrent.futures.Future[T] = concurrent.futures.Future()
        mine = current_hold()  # parked meanwhile: the work in the loop is in hand then
        taken = None if mine is not None else hold(self._clock, "work for the agent edge")

        def tell(error: BaseException | None, value: T | None = None) -> None:
            if mine is not None:
                mine.resume()
            if isinstance(error, asyncio.CancelledError):
                error = ServerStoppingError(STOPPING_TEXT)
            _settle(result, error, value)

        async def run() -> None:
            try:
                value = await work(hub)
            except asyncio.CancelledError as error:
                tell(error)
                raise
            except Exception as error:  # it belongs to the caller's thread
                tell(error)
            else:
                tell(None, value)

        def begin() -> None:
            hub.core.spawn(run())
            if mine is not None:
                mine.park()
            if taken is not None:
                taken.end()

        try:
            return self._outcome(result, begin)
        finally:
            if taken is not None:
                taken.end()

    def _outcome(self, result: concurrent.futures.Future[T], begin: Callable[[], None]) -> T:
        """What comes of `begin`, run in the loop."""
        with self._lock:
            self._results.add(result)
        try:
            loop = self.loop
            if loop is None:
                raise ServerStoppingError(STOPPING_TEXT)
            try:
                loop.call_soon_threadsafe(begin)
            except RuntimeError:  # the loop has just ended
                raise ServerStoppingError(STOPPING_TEXT) from None
            return result.result()
        finally:
            with self._lock:
                self._results.discard(result)

    # -- commands

    def send_all(
        self, host_id: int, commands: Sequence[Command], *, stop_on_error: bool, wait_s: int | None
    ) -> list[Answer]:
        """The host's answers; raises NotAttachedError without a link, the rest as AgentManager.send says."""
        result: concurrent.futures.Future[list[Answer]] = concurrent.futures.Future()
        correlation_id = current_correlation_id()
        mine = current_hold()  # parked while the command is under way: the host's work is in hand then, or on the clock

        def submit() -> None:
            assert self.hub is not None
            if result.done():  # abandoned before it began
                return
            try:
                answers = self.hub.core.submit(
                    host_id, commands, wait_s=wait_s, stop_on_error=stop_on_error, correlation_id=correlation_id
                )
            except Exception as error:  # it belongs to the caller's thread
                _settle(result, error)
            else:
                answers.add_done_callback(done)
                if mine is not None:
                    mine.park()

        def done(answers: asyncio.Future[tuple[Answer, ...]]) -> None:
            error = answers.exception()
            if result.done():  # nobody waits for it any more
                _, late = self._late.pop(id(commands[0]), (None, None))
                if error is None and late is not None:
                    answer = answers.result()[0]
                    threading.Thread(target=late, args=(answer,), name="late-answer", daemon=True).start()
                return
            if mine is not None:
                mine.resume()
            _settle(result, error, None if error is not None else list(answers.result()))

        self._sent[id(commands[0])] = (result, mine)
        try:
            if self.loop is None:
                raise NotAttachedError(host_id)
            if any(command is commands[0] for command in self._abandoned):
                raise CommandAbandonedError(ABANDONED_TEXT)
            return self._outcome(result, submit)
        except (NotAttachedError, AgentUnavailableError):
            if self.is_stopping:
                raise ServerStoppingError(STOPPING_TEXT) from None
            raise
        finally:
            del self._sent[id(commands[0])]

    def abandon(self, command: Command, late: Callable[[Answer], None] | None) -> None:
        """Let the `send_all` of this very command raise CommandAbandonedError; see AgentManager.abandon."""
        self._abandoned.append(command)  # it may be about to begin
        if late is not None:
            self._late[id(command)] = (command, late)
        waiting = self._sent.get(id(command))
        if waiting is None:
            return
        result, work = waiting

        def give_up() -> None:
            if not result.done():
                if work is not None:
                    work.resume()
                _settle(result, CommandAbandonedError(ABANDONED_TEXT))

        self.soon(give_up)


def _settle(result: concurrent.futures.Future[T], error: BaseException | None, value: T | None = None) -> None:
    """Give whoever waits an error or a value, unless it was told already."""
    if result.done():
        return
    if error is not None:
        result.set_exception(error)
    else:
        result.set_result(value)  # type: ignore[arg-type]  # None only where T is
