"""VMs and their disks on a host: start, stop, restart, move, attach, delete."""

from __future__ import annotations

from typing import ClassVar

from mgmt.protocol.records import Answer, Command, DataStoreTO, DataTO, JsonObject, Record, wire


class NetworkTO(Record, kw_only=True):
    """A network as a NIC sees it."""

    uuid: str | None = None
    ip: str | None = None
    netmask: str | None = None
    gateway: str | None = None
    mac: str | None = None
    dns1: str | None = None
    dns2: str | None = None
    broadcastType: str | None = None
    type: str | None = None
    broadcastUri: str | None = None
    isolationUri: str | None = None
    securityGroupEnabled: bool = False
    name: str | None = None
    ip6address: str | None = None
    ip6gateway: str | None = None
    ip6cidr: str | None = None
    ip6Dns1: str | None = None
    ip6Dns2: str | None = None


@wire("com.cloud.agent.api.to")
class NicTO(NetworkTO, kw_only=True):
    """One network adapter of a VM."""

    deviceId: int = 0
    networkRateMbps: int | None = None
    networkRateMulticastMbps: int | None = None
    defaultNic: bool = False
    pxeDisable: bool = False
    nicUuid: str | None = None
    nicSecIps: list[str] | None = None
    details: dict[str, str] | None = None
    dpdkEnabled: bool = False
    mtu: int | None = None
    networkId: int | None = None
    networkSegmentName: str | None = None


class DownloadableObjectTO(Record, DataTO, kw_only=True):
    """What volumes and templates share."""

    followRedirects: bool = False


@wire("org.apache.cloudstack.storage.to")
class VolumeObjectTO(DownloadableObjectTO, kw_only=True):
    """A volume; sizes in bytes."""

    uuid: str | None = None
    volumeType: str | None = None
    dataStore: DataStoreTO | None = None
    name: str | None = None
    size: int | None = None
    usableSize: int | None = None
    path: str | None = None
    volumeId: int | None = None
    vmName: str | None = None
    accountId: int = 0
    chainInfo: str | None = None
    format: str | None = None
    provisioningType: str | None = None
    poolId: int | None = None
    id: int = 0
    deviceId: int | None = None
    bytesReadRate: int | None = None
    bytesReadRateMax: int | None = None
    bytesReadRateMaxLength: int | None = None
    bytesWriteRate: int | None = None
    bytesWriteRateMax: int | None = None
    bytesWriteRateMaxLength: int | None = None
    iopsReadRate: int | None = None
    iopsReadRateMax: int | None = None
    iopsReadRateMaxLength: int | None = None
    iopsWriteRate: int | None = None
    iopsWriteRateMax: int | None = None
    iopsWriteRateMaxLength: int | None = None
    cacheMode: str | None = None
    hypervisorType: str | None = None
    migrationOptions: JsonObject | None = None
    directDownload: bool = False
    dataStoreUuid: str | None = None
    deployAsIs: bool = False
    updatedDataStoreUUID: str | None = None
    vSphereStoragePolicyId: str | None = None
    passphrase: list[int] | None = None
    encryptFormat: str | None = None
    checkpointPaths: list[str] | None = None
    checkpointImageStoreUrls: list[str] | None = None

    wire_wrapper: ClassVar[str] = "org.apache.cloudstack.storage.to.VolumeObjectTO"


@wire("org.apache.cloudstack.storage.to")
class TemplateObjectTO(DownloadableObjectTO, kw_only=True):
    """A template or ISO; sizes in bytes."""

    path: str | None = None
    origUrl: str | None = None
    uuid: str | None = None
    id: int = 0
    format: str | None = None
    accountId: int = 0
    checksum: str | None = None
    hvm: bool = False
    displayText: str | None = None
    imageDataStore: DataStoreTO | None = None
    name: str | None = None
    guestOsType: str | None = None
    size: int | None = None
    physicalSize: int | None = None
    hypervisorType: str | None = None
    bootable: bool = False
    uniqueName: str | None = None
    directDownload: bool = False
    deployAsIs: bool = False
    deployAsIsConfiguration: str | None = None

    wire_wrapper: ClassVar[str] = "org.apache.cloudstack.storage.to.TemplateObjectTO"


@wire("com.cloud.agent.api.to")
class DiskTO(Record, kw_only=True):
    """A disk of a VM: its data, its place and how to reach it."""

    data: DataTO | None = None
    diskSeq: int | None = None
    path: str | None = None
    type: str | None = None
    details: dict[str, str] | None = None


@wire("com.cloud.agent.api.to")
class VirtualMachineTO(Record, kw_only=True):
    """A VM as a host needs it; memory in bytes, speeds in MHz. Its VNC password never shows in `repr`."""

    id: int = 0
    name: str | None = None
    bootloader: str | None = None
    state: str | None = None
    type: str | None = None
    cpus: int = 0
    speed: int | None = None
    minSpeed: int | None = None
    maxSpeed: int | None = None
    minRam: int = 0
    maxRam: int = 0
    hostName: str | None = None
    arch: str | None = None
    os: str | None = None
    platformEmulator: str | None = None
    bootArgs: str | None = None
    bootupScripts: list[str] | None = None
    enableHA: bool = False
    limitCpuUse: bool = False
    enableDynamicallyScaleVm: bool = False
    vncPassword: str | None = None
    vncAddr: str | None = None
    details: dict[str, str] | None = None
    params: dict[str, str] | None = None
    uuid: str | None = None
    bootType: str | None = None
    bootMode: str | None = None
    enterHardwareSetup: bool = False
    disks: list[DiskTO] | None = None
    nics: list[NicTO] | None = None
    gpuDevice: JsonObject | None = None
    vcpuMaxLimit: int | None = None
    vmData: list[list[str]] | None = None
    configDriveLabel: str | None = None
    configDriveIsoRootFolder: str | None = None
    configDriveIsoFile: str | None = None
    configDriveLocation: str | None = None
    cpuQuotaPercentage: float | None = None
    guestOsDetails: dict[str, str] | None = None
    extraConfig: dict[str, str] | None = None
    networkIdToNetworkNameMap: dict[int, str] | None = None
    deployAsIsInfo: JsonObject | None = None
    metadataManufacturer: str | None = None
    metadataProductName: str | None = None


@wire("com.cloud.agent.api")
class StartCommand(Command, kw_only=True):
    """Create and start a VM."""

    vm: VirtualMachineTO | None = None
    hostIp: str | None = None
    executeInSequence: bool = False
    secondaryStorage: str | None = None


@wire("com.cloud.agent.api")
class StartAnswer(Answer, kw_only=True):
    """The VM that was started."""

    vm: VirtualMachineTO | None = None
    hostGuid: str | None = None
    _iqnToData: dict[str, dict[str, str]] | None = None


@wire("com.cloud.agent.api")
class RebootCommand(Command, kw_only=True):
    """Restart a VM's guest."""

    vmName: str | None = None
    vm: VirtualMachineTO | None = None
    executeInSequence: bool = False


@wire("com.cloud.agent.api")
class RebootAnswer(Answer, kw_only=True):
    """The VM was restarted."""

    vncPort: int | None = None


@wire("com.cloud.agent.api")
class StopCommand(RebootCommand, kw_only=True):
    """Stop a VM."""

    isProxy: bool = False
    urlPort: str | None = None
    publicConsoleProxyIpAddress: str | None = None
    gpuDevice: JsonObject | None = None
    checkBeforeCleanup: bool = False
    controlIp: str | None = None
    forceStop: bool = False
    dpdkInterfaceMapping: JsonObject | None = None
    vlanToPersistenceMap: dict[str, bool] | None = None
    expungeVM: bool = False
    volumesToDisconnect: list[dict[str, str]] | None = None


@wire("com.cloud.agent.api")
class StopAnswer(RebootAnswer, kw_only=True):
    """The VM is stopped."""

    platform: str | None = None


@wire("com.cloud.agent.api")
class CheckVirtualMachineCommand(Command, kw_only=True):
    """Does a VM run?"""

    vmName: str | None = None


@wire("com.cloud.agent.api")
class PrepareForMigrationCommand(Command, kw_only=True):
    """Get ready to receive a VM."""

    vm: VirtualMachineTO | None = None
    rollback: bool = False


@wire("com.cloud.agent.api")
class MigrateCommand(Command, kw_only=True):
    """Move a running VM to another host."""

    vmName: str | None = None
    destinationIp: str | None = None
    migrateStorage: JsonObject | None = None
    migrateStorageManaged: bool = False
    migrateNonSharedInc: bool = False
    autoConvergence: bool = False
    hostGuid: str | None = None
    windows: bool = False
    virtualMachine: VirtualMachineTO | None = None
    executeInSequence: bool = False
    migrateDiskInfoList: list[JsonObject] | None = None
    dpdkInterfaceMapping: JsonObject | None = None
    newVmCpuShares: int = 0
    vlanToPersistenceMap: dict[str, bool] | None = None


@wire("com.cloud.agent.api")
class CheckVirtualMachineAnswer(Answer, kw_only=True):
    """The VM's power state."""

    vncPort: int | None = None
    state: str | None = None


@wire("com.cloud.agent.api")
class PrepareForMigrationAnswer(Answer, kw_only=True):
    """The host is ready."""

    dpdkInterfaceMapping: JsonObject | None = None
    newVmCpuShares: int | None = None


@wire("com.cloud.agent.api")
class MigrateAnswer(Answer, kw_only=True):
    """The VM has moved."""

    vncPort: int | None = None


@wire("org.apache.cloudstack.storage.command")
class DeleteCommand(Command, kw_only=True):
    """Delete a volume's file."""

    data: DataTO | None = None


@wire("org.apache.cloudstack.storage.command")
class AttachCommand(Command, kw_only=True):
    """Give a running VM a disk."""

    disk: DiskTO | None = None
    vmName: str | None = None
    inSeq: bool = False
    forced: bool = False
    controllerInfo: dict[str, str] | None = None


@wire("org.apache.cloudstack.storage.command")
class DettachCommand(Command, kw_only=True):
    """Take a disk from a running VM."""

    disk: DiskTO | None = None
    vmName: str | None = None
    _managed: bool = False
    _iScsiName: str | None = None
    _storageHost: str | None = None
    _storagePort: int = 0
    params: dict[str, str] | None = None
    forced: bool = False
    waitDetachDevice: int = 0


@wire("org.apache.cloudstack.storage.command")
class CreateObjectCommand(Command, kw_only=True):
    """Make a volume in its pool."""

    data: DataTO | None = None


@wire("org.apache.cloudstack.storage.command")
class AttachAnswer(Answer, kw_only=True):
    """The disk as attached."""

    disk: DiskTO | None = None


@wire("org.apache.cloudstack.storage.command")
class DettachAnswer(Answer, kw_only=True):
    """The disk as detached."""

    disk: DiskTO | None = None


@wire("org.apache.cloudstack.storage.command")
class CreateObjectAnswer(Answer, kw_only=True):
    """The volume that was made."""

    data: DataTO | None = None
