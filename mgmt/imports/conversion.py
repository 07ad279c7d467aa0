"""The commands to the hosts, what their answers mean, and the converted instance made whole (import-vm 3.1-3.7).

Upstream: UnmanagedVMsManagerImpl.checkConversionSupportOnHost, convertAndImportToKVM, sanitizeConvertedInstance.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from mgmt.errors import AgentUnavailableError, CloudError, CloudRuntimeError, JavaError, OperationTimedOutError
from mgmt.imports.facts import HostFacts, ImageStoreFacts, PoolFacts
from mgmt.imports.ports import Agents
from mgmt.imports.source import Source
from mgmt.imports.trace import Trace
from mgmt.inventory.transfer import pool_to
from mgmt.protocol.commands import (
    CheckConvertInstanceAnswer,
    CheckConvertInstanceCommand,
    ConvertInstanceAnswer,
    ConvertInstanceCommand,
    ImportConvertedInstanceAnswer,
    ImportConvertedInstanceCommand,
    NfsTO,
    PrimaryDataStoreTO,
    RemoteInstanceTO,
    UnmanagedDisk,
    UnmanagedInstanceTO,
)
from mgmt.protocol.records import Answer, java_class
from mgmt.vmware.connector import VcenterCredentials
from mgmt.vmware.transfer import transfer_object

CHECK_WAIT_S = 60
VDDK_LIB_DIR = "vddk.lib.dir"
VDDK_TRANSPORTS = "vddk.transports"
VDDK_THUMBPRINT = "vddk.thumbprint"

A = TypeVar("A", bound=Answer)


def detail(details: Mapping[str, str], key: str) -> str | None:
    """A detail's value without blanks around it; a blank one counts as absent."""
    return (details.get(key) or "").strip() or None


def cast(answer: Answer, wanted: type[A]) -> A:
    """`answer` as `wanted`; raises the class-cast failure that Java would (no CloudRuntimeException)."""
    if isinstance(answer, wanted):
        return answer
    found, expected = java_class(answer), java_class(wanted)
    raise JavaError(
        f"class {found} cannot be cast to class {expected} ({found} and {expected} are in unnamed module of loader "
        "'app')"
    )


@dataclass(frozen=True)
class Conversion:
    """What the commands of one import share. `vm_name` is the name that the request asked for."""

    agents: Agents
    convert_host: HostFacts
    import_host: HostFacts
    vm_name: str
    use_vddk: bool
    details: Mapping[str, str]
    trace: Trace = field(default_factory=Trace)

    def check_host(self, *, windows: bool) -> CheckConvertInstanceAnswer:
        """Ask the conversion host whether it can convert (a Windows guest)."""
        with self.trace.rule("3.2", host=self.convert_host.name, windows=windows, use_vddk=self.use_vddk) as rule:
            answer = self._check_host(windows=windows)
            rule.saw(ovf_export=answer.ovfExportSupported)
            return answer

    def _check_host(self, *, windows: bool) -> CheckConvertInstanceAnswer:
        command = CheckConvertInstanceCommand(
            checkWindowsGuestConversionSupport=windows,
            useVddk=self.use_vddk,
            vddkLibDir=detail(self.details, VDDK_LIB_DIR),
            wait=CHECK_WAIT_S,
        )
        try:
            answer = self.agents.send(self.convert_host.id, command, wait_s=CHECK_WAIT_S)
        except (AgentUnavailableError, OperationTimedOutError) as error:
            kind = "windows guest" if windows else ""
            raise CloudRuntimeError(
                f"Failed to check {kind} conversion support on the host {self.convert_host.shown} for converting "
                f"instance {self.vm_name} from VMware to KVM due to: {error.text}",
                row="3.2",
            ) from error
        checked = cast(answer, CheckConvertInstanceAnswer)
        if not checked.result:
            raise CloudRuntimeError(
                f"The host {self.convert_host.shown} doesn't support conversion of instance {self.vm_name} from VMware "
                f"to KVM due to: {checked.details}",
                row="3.2",
            )
        return checked

    def convert(
        self,
        source: Source,
        credentials: VcenterCredentials,
        location: PoolFacts | ImageStoreFacts,
        *,
        timeout_s: int,
        threads: int,
        extra_params: str | None,
        ovf_directory: str | None = None,
    ) -> str:
        """Have the VM converted into the temporary location; returns the prefix of the files.

        The host reads the VM by VDDK, or exports it with ovftool (`threads` 0 means one per disk); with `ovf_directory`
        it reads the OVF there, which the management server made, and gets no data of the vCenter.
        """
        command = ConvertInstanceCommand(
            sourceInstance=self._remote(source, credentials, ovf_directory),
            originalVMName=self.vm_name,
            destinationHypervisorType="KVM",
            conversionTemporaryLocation=data_store(location),
            templateDirOnConversionLocation=ovf_directory,
            checkConversionSupport=False,
            exportOvfToConversionLocation=ovf_directory is None,
            threadsCountToExportOvf=0 if ovf_directory is not None else threads or len(source.vm.disks),
            extraParams=extra_params or None,
            useVddk=self.use_vddk,
            wait=timeout_s,
        )
        if self.use_vddk:
            command.vddkLibDir = detail(self.details, VDDK_LIB_DIR)
            command.vddkTransports = detail(self.details, VDDK_TRANSPORTS)
            command.vddkThumbprint = detail(self.details, VDDK_THUMBPRINT)
        try:
            answer = self.agents.send(self.convert_host.id, command, wait_s=timeout_s)
        except (AgentUnavailableError, OperationTimedOutError) as error:
            raise _not_sent("convert instance", self.convert_host, error) from error
        if not answer.result:
            raise self._failed("convert", self.convert_host, answer)
        return cast(answer, ConvertInstanceAnswer).temporaryConvertUuid or ""

    def import_converted(
        self,
        source: Source,
        credentials: VcenterCredentials,
        location: PoolFacts | ImageStoreFacts,
        *,
        pools: list[str],
        convert_uuid: str,
        force_to_pool: bool,
        ovf_directory: str | None = None,
        timeout_s: int | None = None,
    ) -> UnmanagedInstanceTO:
        """Have the converted disks taken into `pools` (uuids, one per source disk); returns the instance.

        Without `timeout_s` the agents' general time-out holds.
        """
        command = ImportConvertedInstanceCommand(
            sourceInstance=self._remote(source, credentials, ovf_directory),
            destinationStoragePools=pools,
            conversionTemporaryLocation=data_store(location),
            temporaryConvertUuid=convert_uuid,
            forceConvertToPool=force_to_pool,
        )
        if timeout_s is not None:
            command.wait = timeout_s
        try:
            answer = self.agents.send(self.import_host.id, command, wait_s=timeout_s)
        except (AgentUnavailableError, OperationTimedOutError) as error:
            raise _not_sent("import converted instance", self.import_host, error) from error
        if not answer.result:
            raise self._failed("import", self.import_host, answer)
        instance = cast(answer, ImportConvertedInstanceAnswer).convertedInstance
        return instance if instance is not None else UnmanagedInstanceTO()

    def _remote(self, source: Source, credentials: VcenterCredentials, ovf_directory: str | None) -> RemoteInstanceTO:
        """The source as the host needs it: of an OVF the name that was asked for, else also where it is in vCenter."""
        if ovf_directory is None:
            return remote_instance(source, credentials)
        return RemoteInstanceTO(
            hypervisorType="VMware",
            instanceName=self.vm_name,
            clusterName=source.vm.cluster_name,
            hostName=source.vm.host_name,
        )

    def _failed(self, process: str, host: HostFacts, answer: Answer) -> CloudRuntimeError:
        return CloudRuntimeError(
            f"The {process} process failed for instance {self.vm_name} from VMware to KVM on host {host.shown}: "
            f"{answer.details}",
            row="3.4" if process == "convert" else "3.5",
        )


def _not_sent(what: str, host: HostFacts, error: CloudError) -> CloudRuntimeError:
    return CloudRuntimeError(
        f"Could not send the {what} command to host {host.shown} due to: {error.text}",
        row="3.4" if what == "convert instance" else "3.5",
    )


def remote_instance(source: Source, credentials: VcenterCredentials) -> RemoteInstanceTO:
    """The VM in vCenter as the host needs it, with the password: cluster and host are those vCenter reports."""
    return RemoteInstanceTO(
        hypervisorType="VMware",
        instanceName=source.name,
        instancePath=source.vm.path,
        vcenterUsername=credentials.username,
        vcenterPassword=credentials.password,
        vcenterHost=credentials.host,
        datacenterName=credentials.datacenter,
        clusterName=source.vm.cluster_name,
        hostName=source.vm.host_name,
    )


def data_store(location: PoolFacts | ImageStoreFacts) -> NfsTO | PrimaryDataStoreTO:
    """The temporary location as it travels."""
    if isinstance(location, ImageStoreFacts):
        return NfsTO(_url=location.url, _role="Image", uuid=location.uuid)
    return pool_to(location)


def sanitise(converted: UnmanagedInstanceTO, source: Source) -> UnmanagedInstanceTO:
    """The converted instance with what only the source knows: CPU, memory, disk and NIC ids, missing MACs (3.7).

    More converted than source disks is an index failure that is no CloudRuntimeException.
    """
    vm = source.vm
    converted.cpuCores, converted.cpuCoresPerSocket = vm.cpu_cores, vm.cpu_cores_per_socket
    converted.cpuSpeed, converted.memory = vm.cpu_speed_mhz, vm.memory_mb
    converted.powerState = "PowerOff"
    _sanitise_disks(converted.disks or [], source)
    nics = converted.nics or []
    if not nics and vm.nics:
        converted.nics = transfer_object(vm).nics or []
        for nic in converted.nics:
            nic.adapterType = "virtio"
    elif len(nics) == len(vm.nics):
        for nic, of_source in zip(nics, vm.nics, strict=True):
            nic.nicId = of_source.nic_id
            nic.macAddress = nic.macAddress or of_source.mac_address
    return converted


def _sanitise_disks(disks: list[UnmanagedDisk], source: Source) -> None:
    for index, disk in enumerate(disks):
        if index >= len(source.vm.disks):
            raise JavaError(f"Index {index} out of bounds for length {len(source.vm.disks)}", row="3.7")
        disk.diskId = source.vm.disks[index].disk_id


# What stands in docs/import-rules.md: when each row holds, and what it gives where it refuses nothing.
RULES: Mapping[str, str] = {
    "3.2": "the conversion host cannot be asked whether it can convert, or says that it cannot",
    "3.4": "the conversion host does not get or does not answer the convert command, or answers false",
    "3.5": "the import host does not get or does not answer the import command, or answers false",
    "3.7": "more disks came out of the conversion than went in; the task stays Running",
}
