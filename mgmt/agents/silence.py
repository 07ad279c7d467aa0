"""Hosts that stopped pinging: each ping interval they are looked into, or given up when they are not in use.

Upstream: AgentManagerImpl.MonitorTask.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from sqlalchemy.orm import Session

from mgmt.agents import hostrecords
from mgmt.agents.core import Core
from mgmt.agents.investigation import Investigator
from mgmt.agents.states import Event, Status

NOT_INVESTIGATED = frozenset({None, "Disabled", "Maintenance"})


class SilenceWatch:
    """Looks for silent hosts, and writes down when the others were last heard of."""

    def __init__(self, core: Core, investigator: Investigator) -> None:
        self._core = core
        self._investigator = investigator

    def start(self) -> None:
        """Look for the first time after one ping interval."""
        self._core.timers.call_later(self._core.settings.get_int("ping.interval"), self._tick)

    def _tick(self) -> None:
        self._core.spawn(self._monitor())
        self.start()

    async def _monitor(self) -> None:
        pings, self._core.pings = self._core.pings, {}
        limit_s = self._core.settings.get_int("ping.interval") * self._core.settings.get_float("ping.timeout")
        oldest = self._core.providers.clock.monotonic() - limit_s
        silent = [
            attachment
            for attachment in self._core.attached.values()
            if attachment.status is Status.UP and attachment.last_ping < oldest and not attachment.investigating
        ]
        states, waited = await self._core.db(self._look, pings, [attachment.host_id for attachment in silent])
        for attachment in silent:
            if states.get(attachment.host_id) not in NOT_INVESTIGATED:
                self._core.spawn(self._investigator.look_into(attachment, Event.PING_TIMEOUT, "no ping came"))
            else:
                reason = "no ping came, and the host is not in use"
                self._core.spawn(self._core.drop(attachment, Event.SHUTDOWN_REQUESTED, reason))
        for host_id in waited:
            await self._core.move(host_id, None, Event.WAITED_TOO_LONG, "the agent did not come back")

    def _look(
        self, session: Session, pings: dict[int, datetime], host_ids: Collection[int]
    ) -> tuple[dict[int, str], list[int]]:
        hostrecords.save_pings(session, pings)
        alert_wait_s = self._core.settings.get_int("alert.wait")
        states = hostrecords.resource_states(session, host_ids) if host_ids else {}
        return states, hostrecords.waited_too_long(session, self._core.providers.utcnow(), alert_wait_s)
