"""What VMs and volumes use, as their host counts it."""

from __future__ import annotations

from mgmt.protocol.records import Answer, Command, Record, wire


@wire("com.cloud.agent.api")
class GetVmStatsCommand(Command, kw_only=True):
    """How busy are VMs?"""

    vmNames: list[str] | None = None
    hostGuid: str | None = None
    hostName: str | None = None


class VmStatsEntryBase(Record, kw_only=True):
    """Load of a VM: `cpuUtilization` in percent, memory and traffic in KiB since the last question."""

    vmId: int = 0
    cpuUtilization: float = 0.0
    networkReadKBs: float = 0.0
    networkWriteKBs: float = 0.0
    diskReadIOs: float = 0.0
    diskWriteIOs: float = 0.0
    diskReadKBs: float = 0.0
    diskWriteKBs: float = 0.0
    memoryKBs: float = 0.0
    intFreeMemoryKBs: float = 0.0
    targetMemoryKBs: float = 0.0
    numCPUs: int = 0
    entityType: str | None = None


@wire("com.cloud.agent.api")
class VmStatsEntry(VmStatsEntryBase, kw_only=True):
    """Load of a VM that the server knows by uuid."""

    vmUuid: str | None = None


@wire("com.cloud.agent.api")
class GetVmStatsAnswer(Answer, kw_only=True):
    """The load by instance name; VMs that are not there are left out."""

    vmStatsMap: dict[str, VmStatsEntry] | None = None


@wire("com.cloud.agent.api")
class GetVmDiskStatsCommand(Command, kw_only=True):
    """What did VMs read and write?"""

    vmNames: list[str] | None = None
    hostGuid: str | None = None
    hostName: str | None = None


@wire("com.cloud.agent.api")
class VmDiskStatsEntry(Record, kw_only=True):
    """What a VM read from and wrote to one disk, since it was started and (`delta`) since the last question."""

    vmName: str | None = None
    path: str | None = None
    ioRead: int = 0
    ioWrite: int = 0
    bytesWrite: int = 0
    bytesRead: int = 0
    deltaIoRead: int = 0
    deltaIoWrite: int = 0
    deltaBytesWrite: int = 0
    deltaBytesRead: int = 0


@wire("com.cloud.agent.api")
class GetVmDiskStatsAnswer(Answer, kw_only=True):
    """The figures of each disk by instance name."""

    hostName: str | None = None
    vmDiskStatsMap: dict[str, list[VmDiskStatsEntry]] | None = None


@wire("com.cloud.agent.api")
class GetVmNetworkStatsCommand(Command, kw_only=True):
    """What did VMs send and receive?"""

    vmNames: list[str] | None = None
    hostGuid: str | None = None
    hostName: str | None = None


@wire("com.cloud.agent.api")
class VmNetworkStatsEntry(Record, kw_only=True):
    """What a VM sent and received through one adapter since it was started."""

    vmName: str | None = None
    macAddress: str | None = None
    bytesSent: int = 0
    bytesReceived: int = 0


@wire("com.cloud.agent.api")
class GetVmNetworkStatsAnswer(Answer, kw_only=True):
    """The figures of each adapter by instance name."""

    hostName: str | None = None
    vmNetworkStatsMap: dict[str, list[VmNetworkStatsEntry]] | None = None


@wire("com.cloud.agent.api")
class GetVolumeStatsCommand(Command, kw_only=True):
    """How large are volumes? `volumeUuids` are their paths in the pool."""

    volumeUuids: list[str] | None = None
    poolType: str | None = None
    poolUuid: str | None = None


@wire("com.cloud.agent.api")
class VolumeStatsEntry(Record, kw_only=True):
    """A volume's sizes in bytes: what it takes in the pool and what a VM sees."""

    volumeUuid: str | None = None
    physicalsize: int = 0
    virtualSize: int = 0


@wire("com.cloud.agent.api")
class GetVolumeStatsAnswer(Answer, kw_only=True):
    """The sizes by path."""

    poolUuid: str | None = None
    poolType: str | None = None
    volumeStats: dict[str, VolumeStatsEntry] | None = None
