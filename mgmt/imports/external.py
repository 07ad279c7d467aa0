"""importVm, source `external`: a stopped VM of another KVM host, whose disks are copied over (import-vm 5.3, 1.4).

Upstream: UnmanagedVMsManagerImpl.importUnmanagedInstanceFromExternalKvm (getRemoteVmsOnKVMHost, importExternalDisk).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from mgmt.errors import (
    INTERNAL_ERROR,
    CloudError,
    CloudRuntimeError,
    InvalidParameterValueError,
    PermissionDeniedError,
    ServerApiError,
)
from mgmt.imports import planner
from mgmt.imports.checks import Plan
from mgmt.imports.diskimages import RemoteHost, copy_image, remote_vms
from mgmt.imports.disks import DiskRules, split_disks
from mgmt.imports.hostfiles import HostFiles
from mgmt.imports.kvmrecords import NewDisk
from mgmt.imports.kvmsource import KvmImport, Preview, as_internal, reading
from mgmt.imports.networks import GuestNic, place_nics
from mgmt.imports.pools import Offerings
from mgmt.imports.ports import ImportServices
from mgmt.imports.prediction import copy_s
from mgmt.imports.queue import Demand, Kind
from mgmt.imports.registration import PlacedNic, Registration
from mgmt.imports.request import Requester
from mgmt.imports.trace import Trace
from mgmt.inventory.lookup import get_live
from mgmt.inventory.scope import ROOT_ADMIN
from mgmt.jobs.waiting import Work
from mgmt.protocol.commands import UnmanagedDisk, UnmanagedInstanceTO
from mgmt.store.models import Host, Zone

DEFAULT_TEMP_PATH = "/tmp/"  # a directory of the remote host, as CloudStack's default is


def list_remote_vms(
    services: ImportServices, requester: Requester, zone_id: int | None, hypervisor: str, remote: RemoteHost
) -> list[UnmanagedInstanceTO]:
    """What listVmsForImport shows; rows 1.4-1 to 1.4-5."""
    if requester.account_type != ROOT_ADMIN:
        raise PermissionDeniedError(
            f"Cannot perform this operation, Calling account is not root admin: {requester.account_uuid}", row="1.4-1"
        )
    with services.store.session() as session:
        if get_live(session, Zone, zone_id) is None:
            raise InvalidParameterValueError("Please specify a valid zone.", row="1.4-2")
    if hypervisor.upper() != "KVM":
        raise InvalidParameterValueError(
            f"VM Import is currently not supported for hypervisor: {hypervisor}", row="1.4-3"
        )
    services.redactor.register(remote.password)
    trace = Trace()
    return list(remote_vms(services, _asking_host(services, zone_id or 0, remote, trace), remote, trace).values())


def _asking_host(services: ImportServices, zone_id: int, remote: RemoteHost, trace: Trace) -> int:
    with services.store.session() as session, trace.rule("1.4-4", zone=zone_id):
        host = planner.first_host(session, zone_id)
        if host is None:
            raise CloudRuntimeError(f"No hosts available to list VMs on remote host {remote.address}", row="1.4-4")
        return host.id


@dataclass(frozen=True)
class _RemoteVm:
    """The remote VM after all checks of it."""

    files: Sequence[UnmanagedDisk]
    disks: Sequence[NewDisk]
    nics: Sequence[PlacedNic]
    registration: Registration


class ExternalImport:
    """The import of one remote VM."""

    def __init__(self, job: KvmImport) -> None:
        self._job = job
        self._request = job.request
        self._remote = RemoteHost(job.request.host or "", job.request.username or "", job.request.password)

    def wait(self) -> Work[None]:
        """Wait for a place at the host that will copy; the remote VM is looked at again afterwards."""
        job, queue = self._job, self._job.services.import_queue
        while queue.is_limited(Kind.KVM_HOST):
            host = self._copying_host()
            if host is None:
                return
            ticket = job.control.enter(queue, Demand(None, None, frozenset({host})))
            if ticket.is_granted:
                return
            with job.step("wait in the queue"), job.control.interruptible(ticket.withdraw):
                yield ticket

    def _copying_host(self) -> str | None:
        """The host that would copy if the import began now; None when it is refused."""
        job = replace(self._job, trace=Trace())
        look = ExternalImport(job)
        try:
            _, disks = look._disks(job.plan, look._find(), job.offerings())
            with reading(job.services) as session:
                destination = planner.plan(session, job.records.demand(disks), "", job.trace)
                return session.get_one(Host, destination.host_id).name
        except CloudError:
            job.control.check()
            return None

    def run(self) -> int:
        """Import the VM and return its internal number."""
        job = self._job
        remote = self._look(job.reserve)
        with job.step("register VM and volumes"):
            vm_id, instance_name, volumes = job.begin(remote.disks, _details(remote.files, remote.nics))
        with job.step("plan"):
            destination = job.destination(remote.disks, instance_name)
        with job.step("copy disks"):
            self._copy(remote.files, volumes, destination)
        with job.step("register NICs"):
            job.finish(remote.registration, vm_id, remote.nics)
        return vm_id

    def preview(self) -> Preview:
        """What `run` would do; the remote host is asked, nothing is made."""
        job = self._job
        remote = self._look(job.check_limits)
        destination = job.destination(remote.disks, job.records.next_instance_name())
        commands = ["CopyRemoteVolumeCommand"] * len(remote.files)
        seconds = sum(copy_s(disk.size_bytes) for disk in remote.disks)
        return Preview.of(job.services, destination, commands, seconds)

    def _look(self, claim: Callable[[Sequence[NewDisk]], None]) -> _RemoteVm:
        job = self._job
        with job.step("find remote VM"):
            with job.trace.rule("5.3-1", username=self._request.username):
                if not (self._request.username or "").strip():
                    raise InvalidParameterValueError("Username need to be provided.", row="5.3-1")
            instance = self._find()
        offerings = job.offerings()
        with job.step("check disks"):
            files, disks = self._disks(job.plan, instance, offerings)
            claim(disks)
        registration = job.registration(offerings, instance)
        with job.step("network checks"):
            return _RemoteVm(files, disks, self._nics(instance), registration)

    def _find(self) -> UnmanagedInstanceTO:
        services, trace = self._job.services, self._job.trace
        host_id = _asking_host(services, self._job.plan.zone_id, self._remote, trace)
        found = remote_vms(services, host_id, self._remote, trace)
        with trace.rule("5.3-3", name=self._request.name, vms=list(found)):
            instance = found.get(self._request.name)
            if instance is None:
                raise ServerApiError(
                    INTERNAL_ERROR,
                    f"VM with name: {self._request.name} not found on remote host {self._remote.address}",
                    row="5.3-3",
                )
            return instance

    def _disks(
        self, plan: Plan, instance: UnmanagedInstanceTO, offerings: Offerings
    ) -> tuple[list[UnmanagedDisk], list[NewDisk]]:
        trace = self._job.trace
        rules = DiskRules(self._request.name, plan.zone_uuid, plan.cluster, offerings, trace)
        try:
            root, data = split_disks(instance.disks or [], rules)
        except InvalidParameterValueError as error:
            raise as_internal(error) from error
        with trace.rule("5.3-5", disk=root.diskId, capacity=root.capacity):
            if not root.capacity:
                raise InvalidParameterValueError(f"Root disk ID: {root.diskId} size is invalid", row="5.3-5")
        disks = [NewDisk(root.capacity, 0, offerings.root)]
        for number, disk in enumerate(data, 1):
            with trace.rule("5.3-6", disk=disk.diskId, capacity=disk.capacity):
                if not disk.capacity:
                    raise InvalidParameterValueError(f"Data disk ID: {disk.diskId} size is invalid", row="5.3-6")
            disks.append(NewDisk(disk.capacity, number, offerings.data[disk.diskId or ""][1], disk.diskId or ""))
        return [root, *data], disks

    def _nics(self, instance: UnmanagedInstanceTO) -> list[PlacedNic]:
        job = self._job
        guest_nics = [
            GuestNic(nic.nicId, nic.macAddress, nic.adapterType, tuple(nic.ipAddress or ()))
            for nic in instance.nics or []
        ]
        rules = job.registration(job.offerings(), instance).nic_rules
        try:
            with job.services.store.session() as session:
                return place_nics(session, guest_nics, rules)
        except InvalidParameterValueError as error:
            if error.row == "2.7-6":  # the host name keeps its class
                raise
            raise as_internal(error) from error

    def _copy(self, files: Sequence[UnmanagedDisk], volumes: Sequence[int], destination: planner.Destination) -> None:
        job = self._job
        host_files = HostFiles(job.services, job.undo)
        temp_path = self._request.temppath or DEFAULT_TEMP_PATH
        temp_path = temp_path if temp_path.endswith("/") else f"{temp_path}/"
        try:
            for number, (disk, volume_id, pool) in enumerate(zip(files, volumes, destination.pools, strict=True), 1):
                job.control.progress.copying(number, len(files))
                source = disk.datastorePath or disk.imagePath or ""
                image = copy_image(job.services, destination.host_id, self._remote, source, temp_path, pool, job.trace)
                host_files.copied(destination.host_id, pool, image.file_name)
                job.records.fill_volume(volume_id, pool, image, counted=False)
        except CloudError as error:
            raise ServerApiError(
                INTERNAL_ERROR,
                f"Failed to import volumes while importing vm: {self._request.name}. {error.text}",
                row=error.row,
            ) from error


def _details(disks: Sequence[UnmanagedDisk], nics: Sequence[PlacedNic]) -> dict[str, str]:
    details = {"rootDiskController": disks[0].controller or ""}
    if len(disks) > 1:
        details["dataDiskController"] = disks[1].controller or ""
    if nics:
        details["nicAdapter"] = nics[0][0].adapter_type or ""
    return details


RULES: Mapping[str, str] = {
    "1.4-1": "listVmsForImport: the caller is no root administrator",
    "1.4-2": "listVmsForImport: there is no such zone",
    "1.4-3": "listVmsForImport: hypervisor is not KVM",
    "1.4-4": "no KVM host of the zone is Up and Enabled",
    "5.3-1": "source external: username is missing or blank",
    "5.3-3": "source external: the remote host has no stopped VM of that name",
    "5.3-5": "source external: the root disk has no size",
    "5.3-6": "source external: a data disk has no size",
}
