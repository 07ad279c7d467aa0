"""Health check, questions to neighbours about a host that is silent, and host statistics."""

from __future__ import annotations

from mgmt.protocol.commands.machines import NetworkTO
from mgmt.protocol.records import Answer, Command, Record, wire


@wire("com.cloud.agent.api")
class CheckHealthCommand(Command, kw_only=True):
    """Is the host well? Sent when its pings stopped."""


@wire("com.cloud.agent.api")
class CheckHealthAnswer(Answer, kw_only=True):
    """`result` true: it is."""


@wire("com.cloud.agent.api.to")
class HostTO(Record, kw_only=True):
    """A host and where it is reached."""

    guid: str | None = None
    privateNetwork: NetworkTO | None = None
    publicNetwork: NetworkTO | None = None
    storageNetwork1: NetworkTO | None = None
    storageNetwork2: NetworkTO | None = None
    parent: str | None = None


@wire("com.cloud.agent.api")
class CheckOnHostCommand(Command, kw_only=True):
    """Has this host's heartbeat on the shared storage stopped? `result` true: it has, the host is down."""

    host: HostTO | None = None
    reportCheckFailureIfOneStorageIsDown: bool = False


@wire("com.cloud.agent.api")
class PingTestCommand(Command, kw_only=True):
    """Does this address answer? Either a host's, or a VM's as seen from its router."""

    _computingHostIp: str | None = None
    _routerIp: str | None = None
    _privateIp: str | None = None


@wire("com.cloud.agent.api")
class HostStatsEntry(Record, kw_only=True):
    """Load of a host: `cpuUtilization` in percent, memory in KiB, network in KiB."""

    hostId: int = 0
    entityType: str | None = None
    cpuUtilization: float = 0.0
    averageLoad: float = 0.0
    networkReadKBs: float = 0.0
    networkWriteKBs: float = 0.0
    totalMemoryKBs: float = 0.0
    freeMemoryKBs: float = 0.0


@wire("com.cloud.agent.api")
class GetHostStatsCommand(Command, kw_only=True):
    """How busy is the host?"""

    hostGuid: str | None = None
    hostName: str | None = None
    hostId: int = 0


@wire("com.cloud.agent.api")
class GetHostStatsAnswer(Answer, kw_only=True):
    """The load."""

    hostStats: HostStatsEntry | None = None
