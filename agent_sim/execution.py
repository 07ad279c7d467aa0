"""One command that an agent works on, and how it is ended from beside the wire.

CloudStack's agent cannot be told to stop what it does for a command. Whoever runs simulated hosts can end it: the tool
is killed, what it had written is removed, and the agent answers that it failed.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import logging
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Literal

logger = logging.getLogger(__name__)

Ending = Literal["ends", "never begins", "goes on"]
"""What becomes of a command that was to be ended: its answer comes soon, it is refused when it comes, nothing."""

ENDED_TEXT = "The command was ended before it was done"


@dataclass(eq=False)
class Execution:
    """The work on one command. `log_id` is what the server wrote into the command's context."""

    log_id: str
    command: str
    task: asyncio.Task[object] | None = None
    is_ended: bool = False
    thread: concurrent.futures.Future[Any] | None = None
    """The latest work of the command in a thread, which a cancelled task does not wait for."""
    _cleanups: list[Callable[[], None]] = field(default_factory=list)

    def on_end(self, cleanup: Callable[[], None]) -> None:
        """Have `cleanup` called when the command is ended, and only then."""
        self._cleanups.append(cleanup)

    def end(self) -> None:
        """Stop the work on it."""
        self.is_ended = True
        if self.task is not None:
            self.task.cancel()

    async def clean_up(self) -> None:
        """Remove what the ended command has written, once no thread writes any more."""
        if self.thread is not None:
            loop, done = asyncio.get_running_loop(), asyncio.Event()
            self.thread.add_done_callback(lambda _: loop.call_soon_threadsafe(done.set))
            await done.wait()
        for cleanup in reversed(self._cleanups):
            try:
                cleanup()
            except OSError as error:
                logger.warning("%s: clean-up after its end failed: %s", self.command, error)


_current: ContextVar[Execution | None] = ContextVar("execution", default=None)


def current_execution() -> Execution | None:
    """The command that the running task works on; None outside of one that can be ended."""
    return _current.get()


def set_current(execution: Execution) -> None:
    """Make it the command of the running task."""
    _current.set(execution)
