"""Start-up and ready: an agent introduces itself, the server tells it who it is."""

from __future__ import annotations

from typing import ClassVar

import msgspec

from mgmt.protocol.commands.transfer import StoragePoolInfo, TemplateProp
from mgmt.protocol.records import Answer, Command, JsonObject, wire


@wire("com.cloud.agent.api")
class StartupCommand(Command, kw_only=True):
    """What every start-up command says about the host."""

    type: str | None = None
    dataCenter: str | None = None
    pod: str | None = None
    cluster: str | None = None
    guid: str | None = None
    name: str | None = None
    id: int | None = None
    version: str | None = None
    iqn: str | None = None
    publicIpAddress: str | None = None
    publicNetmask: str | None = None
    publicMacAddress: str | None = None
    privateIpAddress: str | None = None
    privateMacAddress: str | None = None
    privateNetmask: str | None = None
    storageIpAddress: str | None = None
    storageNetmask: str | None = None
    storageMacAddress: str | None = None
    storageIpAddressDeux: str | None = None
    storageMacAddressDeux: str | None = None
    storageNetmaskDeux: str | None = None
    agentTag: str | None = None
    resourceName: str | None = None
    gatewayIpAddress: str | None = None
    msHostList: str | None = None
    connectionTransferred: bool = False
    arch: str | None = None


@wire("com.cloud.agent.api")
class StartupRoutingCommand(StartupCommand, kw_only=True):
    """A hypervisor host: `speed` in MHz, `memory` and `dom0MinMemory` in bytes."""

    cpuSockets: int | None = None
    cpus: int = 0
    speed: int = 0
    cpuArch: str | None = None
    memory: int = 0
    dom0MinMemory: int = 0
    poolSync: bool = False
    supportsClonedVolumes: bool = False
    caps: str | None = None
    pool: str | None = None
    hypervisorType: str | None = None
    hostDetails: dict[str, str] = msgspec.field(default_factory=dict)
    hostTags: list[str] = msgspec.field(default_factory=list)
    hypervisorVersion: str | None = None
    groupDetails: dict[str, JsonObject] = msgspec.field(default_factory=dict)
    gpuDevices: list[JsonObject] = msgspec.field(default_factory=list)
    hostHealthCheckResult: bool | None = None
    type: str | None = "Routing"


@wire("com.cloud.agent.api")
class StartupStorageCommand(StartupCommand, kw_only=True):
    """A local storage pool of the host; `totalSize` in bytes is 0 for KVM, sizes are in `poolInfo`."""

    parent: str | None = None
    templateInfo: dict[str, TemplateProp] | None = None
    totalSize: int = 0
    poolInfo: StoragePoolInfo | None = None
    resourceType: str | None = None
    fsType: str | None = None
    hostDetails: dict[str, str] = msgspec.field(default_factory=dict)
    nfsShare: str | None = None
    type: str | None = "Storage"


@wire("com.cloud.agent.api")
class StartupAnswer(Answer, kw_only=True):
    """The first answer; `pingInterval` in seconds, which must be above 0 or the agent never pings."""

    hostId: int = 0
    hostName: str | None = None
    hostUuid: str | None = None
    pingInterval: int = 0


@wire("com.cloud.agent.api")
class ReadyCommand(Command, kw_only=True):
    """Welcome, or with `_details` the reason why the agent is refused. `lbCheckInterval` in seconds."""

    _details: str | None = None
    dcId: int | None = None
    hostId: int | None = None
    hostUuid: str | None = None
    hostName: str | None = None
    msHostList: list[str] | None = None
    avoidMsHostList: list[str] | None = None
    lbAlgorithm: str | None = None
    lbCheckInterval: int | None = None
    enableHumanReadableSizes: bool | None = None
    arch: str | None = None

    in_sequence: ClassVar[bool] = True


@wire("com.cloud.agent.api")
class ReadyAnswer(Answer, kw_only=True):
    """What the host can do, as texts: `host.uefi.enable`, `host.virtv2v.version`, `host.vddk.support`, ..."""

    detailsMap: dict[str, str] | None = None
