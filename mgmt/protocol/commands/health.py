"""Health check and host statistics."""

from __future__ import annotations

from mgmt.protocol.records import Answer, Command, Record, wire


@wire("com.cloud.agent.api")
class CheckHealthCommand(Command, kw_only=True):
    """Is the host well? Sent when its pings stopped."""


@wire("com.cloud.agent.api")
class CheckHealthAnswer(Answer, kw_only=True):
    """`result` true: it is."""


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
