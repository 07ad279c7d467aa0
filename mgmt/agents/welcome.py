"""What a host gets between its Startup and the state Up: the connect listeners' commands and ReadyCommand #1.

Upstream: NetworkOrchestrator, StoragePoolMonitor, SecurityGroupListener, SetHostParamsListener, SshKeysDistriMonitor
and AgentManagerImpl.notifyMonitorsOfConnection. Seen order: CheckNetwork, ModifyStoragePool for each pool, the four
that nobody waits for, Ready.
"""

from __future__ import annotations

import logging
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Protocol

from mgmt.agents.admission import Admitted
from mgmt.agents.pools import SharedPool
from mgmt.agents.ports import AgentSettings
from mgmt.agents.serverlist import algorithm_of, is_known, servers_for
from mgmt.agents.states import Event
from mgmt.errors import AgentUnavailableError, OperationTimedOutError
from mgmt.protocol.commands import (
    CheckNetworkAnswer,
    CheckNetworkCommand,
    CleanupNetworkRulesCmd,
    ModifySshKeysCommand,
    ModifyStoragePoolAnswer,
    ReadyAnswer,
    ReadyCommand,
    SetHostParamsCommand,
    StoragePoolInfo,
)
from mgmt.protocol.records import Answer, Command, java_class
from mgmt.providers import Providers

logger = logging.getLogger(__name__)

HOST_PARAMETERS = ("migratewait", "reconcile.commands.enabled", "router.aggregation.command.each.timeout")
CLEANUP_INTERVAL_S = range(1800, 2700)


class ConnectFailedError(Exception):
    """The host cannot be used; `event` is what its state makes of it."""

    def __init__(self, text: str, event: Event = Event.AGENT_DISCONNECTED) -> None:
        super().__init__(text)
        self.event = event


class Host(Protocol):
    """Commands to the host that is being welcomed."""

    async def ask(self, command: Command) -> Answer:
        """The host's answer; raises AgentUnavailableError and OperationTimedOutError."""
        ...

    def tell(self, command: Command) -> None:
        """Send without waiting for the answer."""
        ...


@dataclass(frozen=True)
class Welcome:
    """The welcome of one host; `pool_sizes` fills up with what the host's answers say, by pool id."""

    admitted: Admitted
    providers: Providers
    settings: AgentSettings
    ssh_keys: tuple[str, str]
    pool_sizes: dict[int, StoragePoolInfo] = field(default_factory=dict)

    async def give(self, host: Host) -> ReadyAnswer | None:
        """Run the whole exchange; returns the ReadyAnswer if the answer was one. Raises ConnectFailedError."""
        try:
            if not self.admitted.connection_transferred:
                await self._check_network(host)
                for pool in self.admitted.pools:
                    await self._mount(host, pool)
                self._tell_the_rest(host)
            return await self._ready(host)
        except (AgentUnavailableError, OperationTimedOutError) as error:
            raise ConnectFailedError(error.text) from None

    async def _check_network(self, host: Host) -> None:
        if self.admitted.has_default_place:
            raise ConnectFailedError("the zone of a host that says `default` cannot be found by that name")
        answer = await host.ask(CheckNetworkCommand(networkInfoList=list(self.admitted.networks)))
        if not isinstance(answer, CheckNetworkAnswer):
            raise ConnectFailedError(f"CheckNetworkCommand was answered by {java_class(answer)}")
        if not answer.result:
            raise ConnectFailedError(f"the host's network check failed: {answer.details}")
        if answer._reconnect:
            raise ConnectFailedError("the host asks to be connected anew", Event.SHUTDOWN_REQUESTED)

    async def _mount(self, host: Host, pool: SharedPool) -> None:
        answer = await host.ask(pool.command)
        if not isinstance(answer, ModifyStoragePoolAnswer) or not answer.result:
            raise ConnectFailedError(
                f"storage pool {pool.uuid} cannot be used: {java_class(answer)}, {answer.details or 'no details'}"
            )
        if answer.poolInfo is None or answer.poolInfo.localPath is None:
            raise ConnectFailedError(f"the answer for storage pool {pool.uuid} has no local path")
        self.pool_sizes[pool.pool_id] = answer.poolInfo

    def _tell_the_rest(self, host: Host) -> None:
        interval_s = self.providers.random.randrange(CLEANUP_INTERVAL_S.start, CLEANUP_INTERVAL_S.stop)
        host.tell(CleanupNetworkRulesCmd(interval=interval_s))
        if not self.admitted.is_in_maintenance:
            parameters = {"tungsten.plugin.enable": "false"}  # there is no Tungsten plug-in here
            parameters.update((name, self.settings.get_text(name) or "") for name in HOST_PARAMETERS)
            host.tell(SetHostParamsCommand(params=parameters))
        public, private = self.ssh_keys
        for _ in range(2):  # upstream's listener is registered twice
            host.tell(ModifySshKeysCommand(_pubKey=public, _prvKey=private))

    async def _ready(self, host: Host) -> ReadyAnswer | None:
        command = self._ready_command()
        command.wait = self.settings.get_int("ready.command.wait")
        answer = await host.ask(command)
        if not answer.result:
            raise ConnectFailedError(f"the host is not ready: {java_class(answer)}, {answer.details or 'no details'}")
        return answer if isinstance(answer, ReadyAnswer) else None

    def second_ready(self, attached: Collection[int]) -> ReadyCommand:
        """ReadyCommand #2, sent once the host is Up; its answer is not looked at. `attached` are all hosts by id."""
        command = self._ready_command()
        command.avoidMsHostList = []
        command.lbCheckInterval = self.settings.get_int("indirect.agent.lb.check.interval")
        command.arch = self.admitted.arch
        algorithm = algorithm_of(self.settings)

        def place() -> int:
            return sum(other < self.admitted.host_id for other in attached)

        servers = servers_for(self.settings, place, self.providers.random)
        if servers is not None and not is_known(self.admitted.ms_host_list, servers, algorithm):
            command.msHostList = servers
            command.lbAlgorithm = algorithm
        return command

    def _ready_command(self) -> ReadyCommand:
        return ReadyCommand(
            dcId=self.admitted.zone_id,
            hostId=self.admitted.host_id,
            hostUuid=self.admitted.uuid,
            hostName=self.admitted.name,
            enableHumanReadableSizes=True,
        )
