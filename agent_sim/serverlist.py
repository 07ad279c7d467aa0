"""The management servers that an agent knows, and its moves from one to another.

Upstream: agent/.../AgentShell.java (getNextHost, setHosts), Agent.java (processManagementServerList,
migrateAgentConnection).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

from agent_sim.providers import Timers
from mgmt.protocol.commands import Command, MigrateAgentConnectionCommand, ReadyCommand, SetupMSListCommand

logger = logging.getLogger(__name__)

MIGRATION_PAUSE_S = 3.0
PROBE_LIMIT_S = 5.0


class ServerList:
    """The hosts of the key `host`, tried one after the other."""

    def __init__(self, first: str) -> None:
        self.hosts = [first]
        self.text = first
        """The key as it stands in agent.properties."""
        self.connected: str | None = None
        self._next = 0

    def next(self) -> str:
        """The server for the next attempt to connect."""
        self.connected = self.hosts[self._next % len(self.hosts)]
        self._next += 1
        return self.connected

    def take(self, hosts: list[str], algorithm: str) -> None:
        """Use this list from the next attempt on."""
        self.hosts, self.text, self._next = list(hosts), f"{','.join(hosts)}@{algorithm}", 0

    def prefer(self, host: str) -> None:
        """Let the next attempt go to `host`."""
        if host not in self.hosts:
            self.hosts.insert(0, host)
        self._next = self.hosts.index(host)


class Mover(Protocol):
    """The agent's process, as its moves need it."""

    @property
    def name(self) -> str: ...

    def leave(self, *, is_transferred: bool) -> None:
        """Close the link without a word, and connect anew after one pause."""
        ...

    def work(self, work: Coroutine[Any, Any, None]) -> None:
        """Do this beside everything else."""
        ...


class Moves:
    """What an agent makes of lists of servers that it is told."""

    def __init__(
        self, servers: ServerList, port: int, timers: Timers, mover: Mover, keep: Callable[[str], None]
    ) -> None:
        self._servers = servers
        self._port = port
        self._timers = timers
        self._mover = mover
        self._keep = keep
        self._check_s: float | None = None
        self._rounds = 0

    def heard(self, command: Command) -> None:
        """Take what a command says about servers."""
        if isinstance(command, ReadyCommand):
            if command.msHostList and command.lbAlgorithm:
                self._take(command.msHostList, command.lbAlgorithm, command.lbCheckInterval, is_at_once=False)
        elif isinstance(command, SetupMSListCommand):
            if command.triggerHostLb is not None and command.msList:
                algorithm = command.lbAlgorithm or "static"
                self._take(command.msList, algorithm, command.lbCheckInterval, is_at_once=command.triggerHostLb)
        elif isinstance(command, MigrateAgentConnectionCommand) and command.avoidMsList is not None:
            avoided = set(command.avoidMsList)
            allowed = [host for host in command.msList or [] if host not in avoided]
            if allowed:
                self._timers.call_at(
                    self._timers.now_s() + MIGRATION_PAUSE_S,
                    lambda: self._mover.work(self._move(allowed[0], is_transferred=True)),
                )

    def ended(self) -> None:
        """The process ends: no more looks."""
        self._rounds += 1

    def _take(self, hosts: list[str], algorithm: str, check_s: int | None, *, is_at_once: bool) -> None:
        self._servers.take(hosts, algorithm)
        self._keep(self._servers.text)
        self._rounds += 1
        self._check_s = float(check_s) if check_s else None
        if is_at_once:
            self._mover.work(self._move(hosts[0], is_transferred=False))
        self._look_later(self._rounds)

    def _look_later(self, round_: int) -> None:
        if self._check_s is None or round_ != self._rounds:
            return

        def look() -> None:
            if round_ == self._rounds:
                self._mover.work(self._move(self._servers.hosts[0], is_transferred=False))
                self._look_later(round_)

        self._timers.call_at(self._timers.now_s() + self._check_s, look, drives=False)

    async def _move(self, host: str, *, is_transferred: bool) -> None:
        """Go to `host` unless the agent is there already, or nobody answers there (a bare TCP connection tells)."""
        if host == self._servers.connected:
            return
        try:
            async with asyncio.timeout(PROBE_LIMIT_S):
                _, writer = await asyncio.open_connection(host, self._port)
        except (OSError, TimeoutError) as error:
            logger.info("%s stays: the server %s does not answer (%s)", self._mover.name, host, error)
            return
        writer.close()
        self._servers.prefer(host)
        self._mover.leave(is_transferred=is_transferred)
