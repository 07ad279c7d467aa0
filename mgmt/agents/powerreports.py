"""What hosts' pings report of their VMs' power, on its way to whoever follows it.

Ten thousand hosts report once a ping interval: reports that come while others are being looked at are looked at
together after them.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Coroutine, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass

from mgmt.agents.attachment import Attachment
from mgmt.agents.timers import Timers

logger = logging.getLogger(__name__)

MOST_TOGETHER = 200
QUIET_S = 1.0  # seconds of the clock for which reports that repeat what is known wait for each other


@dataclass(frozen=True, slots=True)
class PowerReport:
    """A host's VMs that are on, by instance name; `is_out_of_band`: it came because a VM ended."""

    host_id: int
    states: Mapping[str, str]
    is_out_of_band: bool = False


class PowerReports:
    """Hands reports on in turn, in a thread of `executor` that may use the database.

    `follow` answers for each report whether it told nothing new. The same one again matters only if the records have
    changed meanwhile, so it may wait a moment for others of that kind.
    """

    def __init__(
        self,
        attached: Mapping[int, Attachment],
        executor: Executor,
        follow: Callable[[Sequence[PowerReport]], Sequence[bool]],
        spawn: Callable[[Coroutine[None, None, None]], None],
        timers: Timers,
    ) -> None:
        self._attached = attached
        self._executor = executor
        self._follow = follow
        self._spawn = spawn
        self._timers = timers
        self._waiting: deque[tuple[Attachment | None, PowerReport]] = deque()
        self._quiet: dict[int, tuple[Attachment, PowerReport]] = {}
        self._is_timed = False
        self._is_busy = False

    def came(self, report: PowerReport) -> None:
        """Hand a report on, after those that came before."""
        attachment = self._attached.get(report.host_id)
        if attachment is not None and not report.is_out_of_band and attachment.settled_power == report.states:
            self._quiet[report.host_id] = (attachment, report)
            if not self._is_timed:
                self._is_timed = True
                self._timers.call_later(QUIET_S, self._take_quiet, drives=False)
            return
        if attachment is not None:
            attachment.settled_power = None
        self._add([(attachment, report)])

    def _take_quiet(self) -> None:
        self._is_timed = False
        quiet, self._quiet = list(self._quiet.values()), {}
        self._add(quiet)

    def _add(self, reports: Sequence[tuple[Attachment | None, PowerReport]]) -> None:
        self._waiting.extend(reports)
        if self._waiting and not self._is_busy:
            self._is_busy = True
            self._spawn(self._hand_on())

    async def _hand_on(self) -> None:
        try:
            while self._waiting:
                taken = [self._waiting.popleft() for _ in range(min(MOST_TOGETHER, len(self._waiting)))]
                reports = [report for _, report in taken]
                try:
                    old = await asyncio.get_running_loop().run_in_executor(self._executor, self._follow, reports)
                except Exception:  # the next pings report the same
                    logger.exception("following the power reports of %d hosts failed", len(reports))
                    continue
                for (attachment, report), told_nothing_new in zip(taken, old, strict=True):
                    if attachment is not None:
                        attachment.settled_power = report.states if told_nothing_new else None
        finally:
            self._is_busy = False
