"""Pings, which carry the power states of the host's VMs."""

from __future__ import annotations

import msgspec

from mgmt.protocol.records import Answer, Command, JsonObject, Record, wire


@wire("com.cloud.agent.api")
class HostVmStateReportEntry(Record, kw_only=True):
    """A VM's power state (`PowerOn`) and the hypervisor's host name."""

    state: str | None = None
    host: str | None = None


@wire("com.cloud.agent.api")
class PingCommand(Command, kw_only=True):
    """A sign of life; `outOfBand` when a VM changed state."""

    hostType: str | None = None
    hostId: int = 0
    outOfBand: bool = False
    commandInfos: list[JsonObject] = msgspec.field(default_factory=list)


@wire("com.cloud.agent.api")
class PingRoutingCommand(PingCommand, kw_only=True):
    """A hypervisor host's ping: only VMs that are on are reported."""

    _hostVmStateReport: dict[str, HostVmStateReportEntry] | None = None
    _gatewayAccessible: bool = True
    _vnetAccessible: bool = True
    hostHealthCheckResult: bool | None = None


@wire("com.cloud.agent.api")
class PingRoutingWithNwGroupsCommand(PingRoutingCommand, kw_only=True):
    """The ping of a host with bridge firewalling."""

    newGroupStates: dict[str, list[int | None]] | None = None


@wire("com.cloud.agent.api")
class PingAnswer(Answer, kw_only=True):
    """The server repeats the ping; `sendStartup` asks the agent to introduce itself again."""

    _command: PingCommand | None = None
    sendStartup: bool = False
    avoidMsList: list[str] | None = None
    reconcileCommands: list[str] | None = None
