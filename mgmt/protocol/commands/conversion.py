"""The import from VMware: check the host, convert, take the disks in."""

from __future__ import annotations

from mgmt.protocol.commands.transfer import RemoteInstanceTO
from mgmt.protocol.commands.unmanaged import UnmanagedInstanceTO
from mgmt.protocol.records import Answer, Command, DataStoreTO, wire


@wire("com.cloud.agent.api")
class CheckConvertInstanceCommand(Command, kw_only=True):
    """Can the host convert? `useVddk` and `vddkLibDir` since 4.22.1."""

    checkWindowsGuestConversionSupport: bool = False
    useVddk: bool = False
    vddkLibDir: str | None = None


@wire("com.cloud.agent.api")
class CheckConvertInstanceAnswer(Answer, kw_only=True):
    """`ovfExportSupported`: the host has ovftool."""

    ovfExportSupported: bool = False


@wire("com.cloud.agent.api")
class ConvertInstanceCommand(Command, kw_only=True):
    """Convert a VM; `wait` is the limit of each external process in seconds. The `vddk` fields since 4.22.1."""

    sourceInstance: RemoteInstanceTO | None = None
    originalVMName: str | None = None
    destinationHypervisorType: str | None = None
    conversionTemporaryLocation: DataStoreTO | None = None
    templateDirOnConversionLocation: str | None = None
    checkConversionSupport: bool = False
    exportOvfToConversionLocation: bool = False
    threadsCountToExportOvf: int = 0
    extraParams: str | None = None
    useVddk: bool = False
    vddkLibDir: str | None = None
    vddkTransports: str | None = None
    vddkThumbprint: str | None = None


@wire("com.cloud.agent.api")
class CleanupConvertedInstanceDisksCommand(Command, kw_only=True):
    """Delete what a conversion left in the temporary location; since 4.23 (pull request 13151)."""

    vmVolumesStore: DataStoreTO | None = None
    vmVolumesPrefix: str | None = None


@wire("com.cloud.agent.api")
class ConvertInstanceAnswer(Answer, kw_only=True):
    """The prefix of the converted disks' names. A failed conversion is a plain Answer."""

    temporaryConvertUuid: str | None = None


@wire("com.cloud.agent.api")
class ImportConvertedInstanceCommand(Command, kw_only=True):
    """Take converted disks into their pools, one pool uuid per disk, in disk order."""

    sourceInstance: RemoteInstanceTO | None = None
    destinationStoragePools: list[str] | None = None
    conversionTemporaryLocation: DataStoreTO | None = None
    temporaryConvertUuid: str | None = None
    forceConvertToPool: bool = False


@wire("com.cloud.agent.api")
class ImportConvertedInstanceAnswer(Answer, kw_only=True):
    """The converted VM's disks and nics."""

    convertedInstance: UnmanagedInstanceTO | None = None
