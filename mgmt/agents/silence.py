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
        self._next_s = 0.0

    def start(self) -> None:
        """Look for the first time after one ping interval."""
        interval_s = self._core.settings.get_int("ping.interval")
        self._next_s = self._core.providers.clock.monotonic() + interval_s
        self._core.timers.call_later(interval_s, self._tick, drives=False, pass_over=self._needed_s)

    def _tick(self) -> None:
        self._core.spawn(self._monitor())
        self.start()

    def _needed_s(self, _limit_s: float) -> float:
        """When the next look is needed, for a virtual clock: the first one that can find a host silent.

        Every look counts while a host is not Up: one that was given up becomes Down after a time.
        """
        core = self._core
        attachments = list(core.attached.values())
        if core.has_hosts_away or any(each.status is not Status.UP or each.link.closed for each in attachments):
            return self._next_s
        interval_s = core.settings.get_int("ping.interval")
        limit_s = interval_s * core.settings.get_float("ping.timeout")
        silent_s = min((each.last_ping + limit_s for each in attachments), default=self._next_s + interval_s)
        while self._next_s <= silent_s:
            self._next_s += interval_s
        return self._next_s

    async def _monitor(self) -> None:
        pings, self._core.pings = self._core.pings, {}
        limit_s = self._core.settings.get_int("ping.interval") * self._core.settings.get_float("ping.timeout")
        oldest = self._core.providers.clock.monotonic() - limit_s
        silent = [
            attachment
            for attachment in self._core.attached.values()
            if attachment.status is Status.UP and attachment.last_ping < oldest and not attachment.investigating
        ]
        self._core.has_hosts_away = False  # a host that goes from now on says so itself
        silent_ids = [attachment.host_id for attachment in silent]
        states, waited, is_any_away = await self._core.db(self._look, pings, silent_ids)
        self._core.has_hosts_away |= is_any_away
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
    ) -> tuple[dict[int, str], list[int], bool]:
        hostrecords.save_pings(session, pings)
        alert_wait_s = self._core.settings.get_int("alert.wait")
        states = hostrecords.resource_states(session, host_ids) if host_ids else {}
        waited = hostrecords.waited_too_long(session, self._core.providers.utcnow(), alert_wait_s)
        return states, waited, hostrecords.is_any_waited_for(session)
