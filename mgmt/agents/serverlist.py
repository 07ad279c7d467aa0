"""Which management servers agents are told of, and what else they are told when global settings change.

Upstream: IndirectAgentLBServiceImpl.java and the algorithms beside it; AgentManagerImpl.SetHostParamsListener.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from functools import partial

from mgmt.agents.core import Core
from mgmt.agents.ports import AgentSettings
from mgmt.agents.states import Status
from mgmt.protocol.commands import SetHostParamsCommand, SetupMSListCommand

# A server list that nobody has set would send agents to their own machine: it is not passed on.
_UNSET = frozenset({"", "localhost"})
LIST_WAIT_S = 60
ALGORITHMS = ("static", "roundrobin", "shuffle")
CHANGING_PARAMETERS = ("migratewait", "router.aggregation.command.each.timeout")


def algorithm_of(settings: AgentSettings) -> str:
    """How agents are spread: `static`, `roundrobin` or `shuffle`."""
    return settings.get_text("indirect.agent.lb.algorithm") or "static"


def servers_for(
    settings: AgentSettings, place: Callable[[], int], source: random.Random | None, algorithm: str | None = None
) -> list[str] | None:
    """The servers in the order for one host; None while the setting `host` names none.

    `place` tells where the host stands among all hosts, by id: with `roundrobin` the list begins one server later for
    each of them. Without `source` the order is the setting's; without `algorithm` it is by that of the settings.
    """
    text = settings.get_text("host") or ""
    if text in _UNSET:
        return None
    servers = [server.strip() for server in text.split(",") if server.strip()]
    algorithm = algorithm or algorithm_of(settings)
    if source is None:
        return servers
    if algorithm == "shuffle":
        source.shuffle(servers)
    elif algorithm == "roundrobin" and servers:
        first = place() % len(servers)
        servers = servers[first:] + servers[:first]
    return servers


def is_known(told: str | None, servers: Sequence[str], algorithm: str) -> bool:
    """Whether an agent that sent this list at its Startup has it already; the order of a shuffled one is its own."""
    listed, _, told_algorithm = (told or "").partition("@")
    known = [server.strip() for server in listed.split(",")]
    if told_algorithm != algorithm:
        return False
    return sorted(known) == sorted(servers) if algorithm == "shuffle" else known == list(servers)


class SettingsNews:
    """Tells attached hosts what they must know of changed settings; used in the event loop's thread only."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._list = self._list_now()
        self._parameters = self._parameters_now()

    def changed(self) -> None:
        """Look whether something changed that agents must know."""
        before, self._list = self._list, self._list_now()
        old_parameters, self._parameters = self._parameters, self._parameters_now()
        hosts = [host for host in self._core.attached.values() if host.status is Status.UP and not host.link.closed]
        hosts.sort(key=lambda host: host.host_id)
        settings = self._core.settings
        for place, host in enumerate(hosts):
            if self._list != before:
                servers = servers_for(settings, partial(int, place), self._core.providers.random)
                if servers is not None:
                    command = SetupMSListCommand(
                        msList=servers,
                        avoidMsList=[],
                        lbAlgorithm=algorithm_of(settings),
                        lbCheckInterval=settings.get_int("indirect.agent.lb.check.interval"),
                        triggerHostLb=False,
                        wait=LIST_WAIT_S,
                    )
                    self._core.conversation(host).tell(command)
            if self._parameters != old_parameters and not host.maintenance:
                self._core.conversation(host).tell(SetHostParamsCommand(params=dict(self._parameters)))

    def _list_now(self) -> tuple[str | None, str]:
        return self._core.settings.get_text("host"), algorithm_of(self._core.settings)

    def _parameters_now(self) -> dict[str, str]:
        return {name: self._core.settings.get_text(name) or "" for name in CHANGING_PARAMETERS}
