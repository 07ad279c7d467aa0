"""Commands to one host that belong together."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Protocol

from mgmt.agents.attachment import Attachment
from mgmt.agents.timers import parked
from mgmt.protocol.records import Answer, Command

logger = logging.getLogger(__name__)


class Submit(Protocol):
    """Sends commands of one conversation."""

    def __call__(
        self, attachment: Attachment, commands: Sequence[Command], *, log_id: str
    ) -> asyncio.Future[tuple[Answer, ...]]:
        """The future answers, one per command."""
        ...


class Conversation:
    """Commands to one host that share a `logid`."""

    def __init__(self, submit: Submit, attachment: Attachment, log_id: str) -> None:
        self._submit = submit
        self._attachment = attachment
        self._log_id = log_id

    async def ask(self, command: Command) -> Answer:
        """The host's answer; raises AgentUnavailableError and OperationTimedOutError."""
        future = self._submit(self._attachment, [command], log_id=self._log_id)
        with parked():
            answers = await future
        return answers[0]

    def tell(self, command: Command, then: Callable[[asyncio.Future[tuple[Answer, ...]]], None] | None = None) -> None:
        """Send without waiting; a missing answer is only logged. `then` gets what comes."""
        future = self._submit(self._attachment, [command], log_id=self._log_id)
        future.add_done_callback(_log_failure)
        if then is not None:
            future.add_done_callback(then)


def _log_failure(answers: asyncio.Future[tuple[Answer, ...]]) -> None:
    if not answers.cancelled() and (error := answers.exception()) is not None:
        logger.info("nobody waited, but: %s", error)
