"""Copies and moves of virtual machines: what CloneVM_Task and RelocateVM_Task do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from vcenter_sim import devices, faults, machines, wire
from vcenter_sim.devices import Disk, Nic
from vcenter_sim.inventory import Inventory, Managed
from vcenter_sim.machines import Place, Shape
from vcenter_sim.types import DataObject


@dataclass(frozen=True)
class DiskPlacement:
    """Where a clone's disk goes, by the key of the source's disk; None leaves the source's choice."""

    datastore: Managed | None = None
    thin: bool | None = None


def clone(
    inventory: Inventory,
    source: Managed,
    name: str,
    place: Place,
    placements: dict[int, DiskPlacement],
    *,
    template: bool,
) -> Managed:
    """A powered-off copy: same hardware, but new UUIDs, MAC addresses, file names and disk object ids."""
    config = source["config"]
    disks = []
    for number, device in enumerate(machines.disks_of(source)):
        wanted = placements.get(device.key, DiskPlacement())
        datastore = wanted.datastore or place.datastore
        suffix = f"_{number}" if number else ""
        disks.append(
            Disk(
                size_bytes=device.capacityInBytes,
                controller=_controller_kind(config.hardware.device, device.controllerKey),
                thin=bool(device.backing.thinProvisioned if wanted.thin is None else wanted.thin),
                file=f"[{datastore.name}] {name}/{name}{suffix}.vmdk",
                datastore=datastore.ref,
            )
        )
    nics = [
        Nic(
            type=type(device).__name__.rpartition("Virtual")[2].lower(),
            mac=inventory.new_mac(),
            backing=wire.copy_of(device.backing),
            network_label=device.deviceInfo.summary,
        )
        for device in devices.nics_of(config.hardware.device)
    ]
    shape = Shape(
        name=name,
        guest=replace(machines.guest_of(source), addresses=()),
        cpus=config.hardware.numCPU,
        cores_per_socket=config.hardware.numCoresPerSocket,
        cpu_reservation_mhz=config.cpuAllocation.reservation,
        memory_mb=config.hardware.memoryMB,
        firmware=config.firmware,
        secure_boot=bool(config.bootOptions.efiSecureBootEnabled),
        uuid=inventory.ids.uuid(),
        instance_uuid=inventory.ids.uuid(),
        annotation=config.annotation,
        template=template,
        disks=disks,
        nics=nics,
    )
    copy = machines.create(inventory, shape, place, "poweredOff")
    for drive in devices.isos_of(config.hardware.device):
        machines.insert_iso(inventory, copy, drive.backing.fileName)
    return copy


def _controller_kind(device_list: Sequence[DataObject], key: int) -> str:
    controller = next(device for device in device_list if device.key == key)
    return devices.controller_kind(controller)


def relocate(
    inventory: Inventory,
    vm: Managed,
    *,
    pool: Managed | None,
    host: Managed | None,
    datastore: Managed | None,
    placements: dict[int, DiskPlacement],
) -> None:
    """Move the VM; what is None stays. A pool of another compute resource takes the VM to that one's first host.

    Raises InvalidArgument for a host that is not in the pool's compute resource.
    """
    with inventory.lock:
        if pool is None and host is not None:
            owner = inventory.find(inventory.find(vm["resourcePool"])["owner"]) if vm["resourcePool"] else None
            if owner is None or host.ref not in owner["host"]:
                pool = inventory.find(inventory.find(host["parent"])["resourcePool"])
        if pool is not None:
            owned = inventory.find(pool["owner"])["host"]
            if host is None:
                current = vm["runtime"].host
                host = inventory.find(current if current in owned else owned[0])
            elif host.ref not in owned:
                raise faults.invalid_argument("spec.host")
            vm.set(resourcePool=pool.ref)
        if host is not None:
            vm["runtime"].host = host.ref
            vm["runtime"].maxCpuUsage = machines.max_cpu_usage(host, vm["config"].hardware.numCPU)
        _move_disks(vm, datastore, placements)
        inventory.changed()


def _move_disks(vm: Managed, datastore: Managed | None, placements: dict[int, DiskPlacement]) -> None:
    for disk in machines.disks_of(vm):
        wanted = placements.get(disk.key, DiskPlacement(datastore))
        target = wanted.datastore or datastore
        if target is not None:
            path = disk.backing.fileName.partition("] ")[2]
            disk.backing.datastore = target.ref
            disk.backing.fileName = f"[{target.name}] {path}"
        if wanted.thin is not None:
            disk.backing.thinProvisioned = wanted.thin
    if datastore is not None:
        files = vm["config"].files
        files.vmPathName = f"[{datastore.name}] {files.vmPathName.partition('] ')[2]}"
