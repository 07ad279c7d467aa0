"""Agents go to other management servers, because this one is to be in maintenance.

The other servers are known by their addresses only, from the setting `host`. Upstream: IndirectAgentLBServiceImpl
(migrateAgents), AgentManagerImpl (a server in maintenance closes what it has accepted).
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from functools import partial

from mgmt.agents.attachment import Attachment
from mgmt.agents.core import Core
from mgmt.agents.ports import AgentSettings
from mgmt.agents.serverlist import LIST_WAIT_S, algorithm_of, servers_for
from mgmt.agents.states import Status
from mgmt.protocol.commands import MigrateAgentConnectionCommand
from mgmt.protocol.records import Answer

LEAVING_TEXT = "the agent goes to another management server"


def other_servers(settings: AgentSettings, own: Collection[str]) -> list[str]:
    """The servers in the setting `host` that are none of this one's addresses."""
    listed = servers_for(settings, int, None) or []
    return [server for server in listed if server not in own]


class Migration:
    """Sends the attached agents away; used in the event loop's thread only."""

    def __init__(self, core: Core) -> None:
        self.is_under_way = False
        """No further link is accepted."""
        self._core = core

    def send_away(self, own: Collection[str], algorithm: str | None) -> int:
        """Accept no more agents, and tell those that are Up, and were not told yet, where to go.

        Gives back how many are attached still.
        """
        self.is_under_way = True
        hosts = sorted(self._core.attached.values(), key=lambda host: host.host_id)
        for place, host in enumerate(hosts):
            if host.status is Status.UP and not host.is_told_to_leave:
                host.is_told_to_leave = True
                self._tell(host, place, own, algorithm)
        return len(hosts)

    def end(self) -> None:
        """Accept agents again."""
        self.is_under_way = False
        for host in self._core.attached.values():
            host.is_told_to_leave = host.is_leaving = False

    def _tell(self, host: Attachment, place: int, own: Collection[str], algorithm: str | None) -> None:
        settings = self._core.settings
        servers = servers_for(settings, partial(int, place), self._core.providers.random, algorithm)
        command = MigrateAgentConnectionCommand(
            msList=servers,
            avoidMsList=sorted(own),
            lbAlgorithm=algorithm or algorithm_of(settings),
            lbCheckInterval=settings.get_int("indirect.agent.lb.check.interval"),
            wait=LIST_WAIT_S,
        )
        self._core.conversation(host).tell(command, partial(_answered, host))


def _answered(host: Attachment, answers: asyncio.Future[tuple[Answer, ...]]) -> None:
    if not answers.cancelled() and answers.exception() is None:
        host.is_leaving = host.is_told_to_leave and answers.result()[0].result
