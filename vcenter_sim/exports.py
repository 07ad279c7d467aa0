"""Exports: the lease on a powered-off VM, its state, its files and their sums.

A lease is `initializing`, then `ready` (or `error`), then `done`. A ready one ends with the fault Timedout when nobody
reports progress within its time-out. While a lease is open the VM can have no second one.
"""

from __future__ import annotations

import hashlib
import logging
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import Any

from vcenter_sim import devices, faults, machines, vmdk, wire
from vcenter_sim.entries import ExportFaults
from vcenter_sim.injection import Injection, LeaseFaults
from vcenter_sim.inventory import Inventory, Managed
from vcenter_sim.providers import new_event, wait_for
from vcenter_sim.sessions import Session
from vcenter_sim.tasks import Scheduler, Tasks
from vcenter_sim.transfers import OwnStreams, Streams, TransferModel
from vcenter_sim.types import DataObject, Fault, Reference, vim

log = logging.getLogger(__name__)

PATH = "/nfc/"
DEFAULT_PORT = 443
_OPEN = ("initializing", "ready")
_NVRAM_BYTES = 8684
_ISO = b"\0" * 0x8000 + b"\x01CD001\x01\0"  # an empty system area, and the head of the first volume descriptor


@dataclass(frozen=True)
class ExportedFile:
    """One file of an export. `key` is the device's, as the lease and the OVF descriptor know it."""

    key: str
    name: str
    content: bytes = field(repr=False)
    capacity_bytes: int | None = None  # None for what is no disk


@dataclass
class _Lease:
    """What a lease object remembers and no client can see."""

    vm: Managed
    task: Managed
    token: str
    session: Session
    faults: ExportFaults
    heard_s: float
    ended: threading.Event
    files: tuple[ExportedFile, ...] = ()
    delivered: set[int] = field(default_factory=set)


@dataclass(frozen=True)
class Download:
    """The answer to one download: `body` is all that is sent, `length` what the headers promise."""

    status: HTTPStatus
    body: bytes = b""
    length: int = 0
    lease: _Lease | None = None
    index: int = 0
    wait_key: str = ""  # by which the client lends its work in hand


class Exports:
    """All export leases of one stand-in. Its methods take the inventory's lock where they need it."""

    def __init__(
        self,
        inventory: Inventory,
        scheduler: Scheduler,
        tasks: Tasks,
        *,
        prepare_s: float,
        timeout_s: float,
        injection: Injection | None = None,
        transfers: TransferModel | None = None,
        streams: Streams | None = None,
    ) -> None:
        self._inventory = inventory
        self._transfers = transfers or TransferModel()
        self._streams = streams or OwnStreams()
        self._scheduler = scheduler
        self._tasks = tasks
        self._prepare_s = prepare_s
        self._timeout_s = timeout_s
        self._injection = injection
        self.port = DEFAULT_PORT
        self.thumbprint = ""
        self.faults: dict[str, ExportFaults] = {}
        """What goes wrong, by the VM's name."""
        self.lost_files: set[str] = set()
        """Images of CD-ROMs that are in a drive and no longer on their datastore, as `[ds] path`."""

    # The life of a lease ------------------------------------------------------------------------------------------

    def open(self, vm: Managed, session: Session) -> Reference:
        """A new lease on the VM; raises InvalidPowerState, TaskInProgress, and FileNotFound for a CD-ROM's image."""
        state = machines.power_state(vm)
        if state != "poweredOff":
            raise faults.invalid_power_state(state, "poweredOff")
        for other in self._leases():
            if other[1].vm is vm and other[0]["state"] in _OPEN:
                raise faults.task_in_progress(other[1].task.ref)
        for drive in devices.isos_of(vm["config"].hardware.device):
            if drive.backing.fileName in self.lost_files:
                raise faults.file_not_found(drive.backing.fileName)
        ids, user = self._inventory.ids, session.username or ""
        managed = self._inventory.add(
            vim.HttpNfcLease,
            f"session[{session.key}]{ids.uuid()}",
            state="initializing",
            initializeProgress=0,
            transferProgress=0,
            mode="pushOrGet",
            capabilities=vim.HttpNfcLease.Capabilities(pullModeSupported=False, corsSupported=True),
        )
        managed.memo = _Lease(
            vm=vm,
            task=self._tasks.open("ExportVm", vm, user),
            token=ids.uuid(),
            session=session,
            faults=self.faults.get(vm.name, ExportFaults()),
            heard_s=self._inventory.clock.monotonic(),
            ended=new_event(self._inventory.clock),
        )
        session.objects.append(managed)
        self._scheduler.after(self._prepare_s, lambda: self._prepared(managed))
        return managed.ref

    def leases_open(self) -> list[str]:
        """The names of the VMs that have an open lease, sorted."""
        with self._inventory.lock:
            return sorted(lease.vm.name for managed, lease in self._leases() if managed["state"] in _OPEN)

    def streams_from(self, esxi_host: str) -> int:
        """How many disks stream from that ESXi host now."""
        return self._streams.count(esxi_host)

    def _leases(self) -> Iterator[tuple[Managed, _Lease]]:
        for managed in self._inventory.of_kind(vim.HttpNfcLease):
            yield managed, lease_of(managed)

    def _prepared(self, managed: Managed) -> None:
        with self._inventory.lock:
            lease = lease_of(managed)
            if not self._inventory.exists(managed) or managed["state"] != "initializing":
                self._tasks.close(lease.task, faults.request_canceled())
                return
            if lease.faults.lease_error is not None:
                self._end(managed, "error", faults.system_error(lease.faults.lease_error))
            elif (found := self._injected("open", lease)).given is not None:
                self._end(managed, "error", found.given)
            elif not self._inventory.exists(lease.vm):
                self._end(managed, "error", faults.not_found(lease.vm.ref))
            else:
                lease.files = files_of(lease.vm)
                lease.heard_s = self._inventory.clock.monotonic()
                managed.set(info=self._info(managed, lease), initializeProgress=100, state="ready")
                self._inventory.changed()
                self._scheduler.after(self._timeout_s, lambda: self._look_at_time(managed), drives=False)

    def _info(self, managed: Managed, lease: _Lease) -> DataObject:
        port = "" if self.port == DEFAULT_PORT else f":{self.port}"
        urls = [
            vim.HttpNfcLease.DeviceUrl(
                key=file.key,
                importKey=file.key,
                url=f"https://*{port}{PATH}{lease.token}/{file.name}",
                sslThumbprint=self.thumbprint,
                disk=file.capacity_bytes is not None,
                targetId=file.name,
                fileSize=len(file.content),
            )
            for file in lease.files
        ]
        return vim.HttpNfcLease.Info(
            lease=managed.ref,
            entity=lease.vm.ref,
            deviceUrl=urls,
            totalDiskCapacityInKB=sum((file.capacity_bytes or 0) // 1024 for file in lease.files),
            leaseTimeout=int(self._timeout_s),
        )

    def _look_at_time(self, managed: Managed) -> None:
        with self._inventory.lock:
            lease = lease_of(managed)
            if not self._inventory.exists(managed):
                self._tasks.close(lease.task, faults.request_canceled())
                return
            if managed["state"] != "ready":
                return
            left_s = lease.heard_s + self._timeout_s - self._inventory.clock.monotonic()
            if left_s > 0:
                self._scheduler.after(left_s, lambda: self._look_at_time(managed), drives=False)
            else:
                self._end(managed, "error", faults.timed_out())

    def _injected(self, action: str, lease: _Lease) -> LeaseFaults:
        return LeaseFaults() if self._injection is None else self._injection.lease(action, lease.vm)

    def _end(self, managed: Managed, state: str, fault: Fault | None = None, *, of_task: Fault | None = None) -> None:
        managed.set(state=state, error=fault)
        self._tasks.close(lease_of(managed).task, of_task or fault)
        lease_of(managed).ended.set()
        self._inventory.changed()

    def end_all(self) -> None:
        """End what is being downloaded: the stand-in stops."""
        with self._inventory.lock:
            leases = [lease for _, lease in self._leases()]
        for lease in leases:
            lease.ended.set()

    def progress(self, managed: Managed, percent: int) -> None:
        """The client lives; raises Timedout, InvalidState, InvalidArgument."""
        self._require_ready(managed)
        if not 0 <= percent <= 100:
            raise faults.invalid_argument("percent")
        lease = lease_of(managed)
        lease.heard_s = self._inventory.clock.monotonic()
        managed.set(transferProgress=percent)
        lease.task["info"].progress = percent
        self._inventory.changed()

    def complete(self, managed: Managed) -> None:
        """The client has all it wants; raises Timedout and InvalidState."""
        self._require_ready(managed)
        found = self._injected("complete", lease_of(managed))
        if found.given is not None:
            self._end(managed, "error", found.given)
            raise found.given
        self._end(managed, "done", of_task=found.of_task)

    def abort(self, managed: Managed, fault: Fault | None) -> None:
        """The client gives up; raises Timedout and InvalidState."""
        if managed["state"] != "initializing":
            self._require_ready(managed)
        self._end(managed, "error", fault or faults.request_canceled())

    def _require_ready(self, managed: Managed) -> None:
        if managed["state"] == "ready":
            return
        if isinstance(managed["error"], vim.fault.Timedout):
            raise faults.timed_out()
        raise faults.invalid_state()

    # Files --------------------------------------------------------------------------------------------------------

    def manifest(self, managed: Managed) -> list[DataObject]:
        """Sizes and sums of the files that were downloaded whole; raises Timedout and InvalidState."""
        self._require_ready(managed)
        lease = lease_of(managed)
        entries = []
        for index in sorted(lease.delivered):
            file = lease.files[index]
            summed = file.content + b"x" if index in lease.faults.wrong_sum else file.content
            entries.append(
                vim.HttpNfcLease.ManifestEntry(
                    key=file.key,
                    sha1=hashlib.sha1(summed, usedforsecurity=False).hexdigest(),
                    checksum=hashlib.sha256(summed).hexdigest(),
                    checksumType="sha256",
                    size=len(file.content),
                    disk=file.capacity_bytes is not None,
                    capacity=file.capacity_bytes,
                )
            )
        return entries

    def download(self, path: str, session: Session | None) -> Download:
        """The file at a lease's URL, for the session that has the lease."""
        if session is None or session.username is None:
            return Download(HTTPStatus.UNAUTHORIZED)
        token, _, name = path.removeprefix(PATH).partition("/")
        with self._inventory.lock:
            for managed, lease in self._leases():
                if lease.token == token and lease.session is session:
                    if managed["state"] != "ready":
                        return Download(HTTPStatus.FORBIDDEN)
                    return replace(_file(lease, name), wait_key=f"{session.cookie} {path}")
        return Download(HTTPStatus.NOT_FOUND)

    def pieces(self, download: Download) -> Iterator[bytes]:
        """The body, piece by piece as its time passes; it ends early when the lease does."""
        lease, body = download.lease, download.body
        capacity_bytes = lease.files[download.index].capacity_bytes if lease is not None else None
        if lease is None or not capacity_bytes or not self._transfers.duration_s(capacity_bytes, 1):
            self.delivered(download)
            yield body
            return
        share = len(body) / max(1, download.length)
        parts = self._transfers.parts(capacity_bytes * share)
        sent = 0
        with self._inventory.lock:
            esxi_host = self._inventory.find(lease.vm["runtime"].host).name
        with self._streams.stream(esxi_host):
            for part in range(1, parts + 1):
                streams = self._streams.count(esxi_host)
                part_s = self._transfers.duration_s(capacity_bytes * share / parts, streams)
                if wait_for(self._inventory.clock, lease.ended, part_s, on_behalf_of=download.wait_key):
                    return
                if part == parts:
                    self.delivered(download)  # before the last byte leaves: its client may ask for the sums at once
                until = len(body) * part // parts
                yield body[sent:until]
                sent = until

    def delivered(self, download: Download) -> None:
        """Note that a download was sent; only whole files stand in the manifest."""
        if download.lease is not None and len(download.body) == download.length:
            with self._inventory.lock:
                download.lease.delivered.add(download.index)


def _file(lease: _Lease, name: str) -> Download:
    for index, file in enumerate(lease.files):
        if file.name == name and index not in lease.faults.missing:
            size = len(file.content)
            body = file.content[: size // 2] if index in lease.faults.cut else file.content
            return Download(HTTPStatus.OK, body, size, lease, index)
    return Download(HTTPStatus.NOT_FOUND)


def lease_of(managed: Managed) -> _Lease:
    """The memory of a lease object."""
    assert isinstance(managed.memo, _Lease)
    return managed.memo


def files_of(vm: Managed) -> tuple[ExportedFile, ...]:
    """The files of the VM's export: its disks, the images in its CD-ROM drives, and the variables of UEFI firmware."""
    device_list = vm["config"].hardware.device
    files = [
        ExportedFile(
            key=device_key(vm, disk, device_list),
            name=f"disk-{number}.vmdk",
            content=vmdk.build(disk.capacityInBytes, f"{disk.backing.fileName}\n"),
            capacity_bytes=disk.capacityInBytes,
        )
        for number, disk in enumerate(machines.disks_of(vm))
    ]
    files += [
        ExportedFile(device_key(vm, drive, device_list), f"file-{number}.iso", _ISO)
        for number, drive in enumerate(devices.isos_of(device_list))
    ]
    if vm["config"].firmware == "efi":
        name = f"{vm['config'].files.vmPathName.rpartition('/')[2].removesuffix('.vmx')}.nvram"
        files.append(ExportedFile(f"/{vm.moid}/nvram", name.replace("/", "_"), b"\0" * _NVRAM_BYTES))
    return tuple(files)


def device_key(vm: Managed, disk: DataObject, device_list: Sequence[Any]) -> str:
    """A disk's or drive's key in leases and descriptors, such as `/vm-42/ParaVirtualSCSIController0:1`."""
    controller = next(device for device in device_list if device.key == disk.controllerKey)
    return f"/{vm.moid}/{wire.wsdl_name(type(controller))}{controller.busNumber}:{disk.unitNumber}"
