"""Virtual machines as managed objects: making, switching, changing and destroying them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from vcenter_sim import devices, faults, wire
from vcenter_sim.devices import Disk, Nic
from vcenter_sim.inventory import Inventory, Managed
from vcenter_sim.objects import make
from vcenter_sim.providers import utc
from vcenter_sim.types import DataObject, Reference, vim

HARDWARE_VERSION = "vmx-20"


@dataclass(frozen=True)
class Guest:
    """What runs in a VM and how much of it VMware Tools can tell. `addresses`: one list for each adapter."""

    id: str
    full_name: str
    hostname: str | None = None
    tools: str = "installed"  # or "old", "none"
    addresses: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True)
class Shape:
    """What a VM is made from, apart from where it is put."""

    name: str
    guest: Guest
    cpus: int
    cores_per_socket: int
    cpu_reservation_mhz: int
    memory_mb: int
    firmware: str
    secure_boot: bool
    uuid: str
    instance_uuid: str
    annotation: str = ""
    template: bool = False
    disks: Sequence[Disk] = ()
    nics: Sequence[Nic] = ()
    values: dict[int, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Place:
    """Where a VM is put. `pool` is None for a template."""

    folder: Managed
    host: Managed
    pool: Managed | None
    datastore: Managed


def create(inventory: Inventory, shape: Shape, place: Place, power: str) -> Managed:
    """A new VM in the inventory; raises DuplicateName when the folder has that name already."""
    with inventory.lock:
        taken = inventory.child_named(place.folder, shape.name)
        if taken is not None:
            raise faults.duplicate_name(shape.name, taken.ref)
        moid = inventory.new_moid("vm-")
        vm = inventory.add(
            vim.VirtualMachine,
            moid,
            name=shape.name,
            config=_config(inventory, shape, place.datastore, connected=power == "poweredOn"),
            capability=_capability(),
            runtime=_runtime(inventory, place.host, shape.cpus, power),
            overallStatus="green",
            configStatus="green",
            guestHeartbeatStatus="gray",
            alarmActionsEnabled=True,
            resourcePool=place.pool.ref if place.pool is not None else None,
            value=[
                make(vim.CustomFieldsManager.StringValue, key=key, value=text) for key, text in shape.values.items()
            ],
        )
        vm.memo = shape.guest
        vm.set(customValue=list(vm["value"]))
        vm.set(guest=_guest(shape.guest, vm, power))
        vm.compute(
            datastore=lambda: wire.array("vim.Datastore", _datastores(vm)),
            network=lambda: wire.array("vim.Network", _networks(inventory, vm)),
            summary=lambda: _summary(vm),
        )
        _say_connected(vm)
        inventory.adopt(place.folder, vm)
        return vm


def _config(inventory: Inventory, shape: Shape, datastore: Managed, *, connected: bool) -> DataObject:
    directory = f"[{datastore.name}] {shape.name}/"
    hardware = make(
        vim.vm.VirtualHardware,
        numCPU=shape.cpus,
        numCoresPerSocket=shape.cores_per_socket,
        memoryMB=shape.memory_mb,
        device=devices.build(shape.disks, shape.nics, inventory.new_disk_number, connected=connected),
    )
    return make(
        vim.vm.ConfigInfo,
        changeVersion=utc(inventory.clock).isoformat(),
        modified=utc(inventory.clock),
        createDate=utc(inventory.clock),
        name=shape.name,
        guestFullName=shape.guest.full_name,
        guestId=shape.guest.id,
        alternateGuestName="",
        version=HARDWARE_VERSION,
        uuid=shape.uuid,
        instanceUuid=shape.instance_uuid,
        template=shape.template,
        annotation=shape.annotation,
        files=make(
            vim.vm.FileInfo,
            vmPathName=f"{directory}{shape.name}.vmx",
            snapshotDirectory=directory,
            suspendDirectory=directory,
            logDirectory=directory,
        ),
        flags=make(vim.vm.FlagInfo, diskUuidEnabled=False),
        defaultPowerOps=make(vim.vm.DefaultPowerOpInfo, powerOffType="soft", suspendType="hard", resetType="soft"),
        hardware=hardware,
        firmware=shape.firmware,
        bootOptions=make(
            vim.vm.BootOptions,
            bootDelay=0,
            enterBIOSSetup=False,
            efiSecureBootEnabled=shape.secure_boot,
            bootRetryEnabled=False,
        ),
        changeTrackingEnabled=False,
        cpuAllocation=make(vim.ResourceAllocationInfo, reservation=shape.cpu_reservation_mhz, limit=-1),
        memoryAllocation=make(vim.ResourceAllocationInfo, reservation=0, limit=-1),
    )


def _capability() -> DataObject:
    allowed = (
        "snapshotOperationsSupported",
        "multipleSnapshotsSupported",
        "snapshotConfigSupported",
        "poweredOffSnapshotsSupported",
        "memorySnapshotsSupported",
        "revertToSnapshotSupported",
        "quiescedSnapshotsSupported",
        "bootOptionsSupported",
        "changeTrackingSupported",
        "multipleCoresPerSocketSupported",
    )
    return make(vim.vm.Capability, **dict.fromkeys(allowed, True))


def _runtime(inventory: Inventory, host: Managed, cpus: int, power: str) -> DataObject:
    return make(
        vim.vm.RuntimeInfo,
        host=host.ref,
        connectionState="connected",
        powerState=power,
        faultToleranceState="notConfigured",
        toolsInstallerMounted=False,
        numMksConnections=0,
        recordReplayState="inactive",
        onlineStandby=False,
        consolidationNeeded=False,
        suspendInterval=0,
        bootTime=utc(inventory.clock) if power == "poweredOn" else None,
        maxCpuUsage=max_cpu_usage(host, cpus),
    )


def _guest(guest: Guest, vm: Managed, power: str) -> DataObject:
    running = power == "poweredOn" and guest.tools != "none"
    status = "toolsNotInstalled" if guest.tools == "none" else "toolsNotRunning"
    if running:
        status = "toolsOld" if guest.tools == "old" else "toolsOk"
    info = make(
        vim.vm.GuestInfo,
        toolsStatus=status,
        toolsRunningStatus="guestToolsRunning" if running else "guestToolsNotRunning",
        toolsVersionStatus2={"installed": "guestToolsCurrent", "old": "guestToolsSupportedOld"}.get(
            guest.tools, "guestToolsNotInstalled"
        ),
        toolsVersion={"installed": "12352", "old": "11269"}.get(guest.tools, "0"),
        guestState="running" if running else "notRunning",
    )
    if running:
        info.guestId = guest.id
        info.guestFullName = guest.full_name
        info.guestFamily = "windowsGuest" if "win" in guest.id.lower() else "linuxGuest"
        info.hostName = guest.hostname
        info.net = _guest_nics(guest, vm)
        info.ipAddress = next((address for nic in info.net for address in nic.ipAddress if "." in address), None)
    return info


def _guest_nics(guest: Guest, vm: Managed) -> list[DataObject]:
    nics = devices.nics_of(vm["config"].hardware.device)
    addresses = [*guest.addresses, *([()] * len(nics))]
    return [
        make(
            vim.vm.GuestInfo.NicInfo,
            network=nic.deviceInfo.summary,
            macAddress=nic.macAddress,
            connected=True,
            deviceConfigId=nic.key,
            ipAddress=list(own),
        )
        for nic, own in zip(nics, addresses, strict=False)
    ]


def _summary(vm: Managed) -> DataObject:
    """The summary, made from the rest on every reading so that the two never disagree."""
    config, guest = vm["config"], vm["guest"]
    device_list = config.hardware.device
    return make(
        vim.vm.Summary,
        vm=vm.ref,
        runtime=vm["runtime"],
        overallStatus="green",
        guest=make(
            vim.vm.Summary.GuestSummary,
            guestId=guest.guestId,
            guestFullName=guest.guestFullName,
            toolsStatus=guest.toolsStatus,
            toolsRunningStatus=guest.toolsRunningStatus,
            hostName=guest.hostName,
            ipAddress=guest.ipAddress,
        ),
        config=make(
            vim.vm.Summary.ConfigSummary,
            name=vm.name,
            template=config.template,
            vmPathName=config.files.vmPathName,
            memorySizeMB=config.hardware.memoryMB,
            cpuReservation=config.cpuAllocation.reservation,
            memoryReservation=config.memoryAllocation.reservation,
            numCpu=config.hardware.numCPU,
            numEthernetCards=len(devices.nics_of(device_list)),
            numVirtualDisks=len(devices.disks_of(device_list)),
            uuid=config.uuid,
            instanceUuid=config.instanceUuid,
            guestId=config.guestId,
            guestFullName=config.guestFullName,
            annotation=config.annotation,
            hwVersion=config.version,
        ),
        quickStats=make(vim.vm.Summary.QuickStats, guestHeartbeatStatus="gray"),
    )


def _datastores(vm: Managed) -> list[Reference]:
    """The home datastore first, then those of the disks."""
    home = vm["config"].files.vmPathName.partition("]")[0].removeprefix("[")
    refs = {disk.backing.datastore._GetMoId(): disk.backing.datastore for disk in disks_of(vm)}
    return sorted(refs.values(), key=lambda ref: not _names(vm, ref, home))


def _names(vm: Managed, ref: Reference, home: str) -> bool:
    return any(disk.backing.datastore == ref and disk.backing.fileName.startswith(f"[{home}]") for disk in disks_of(vm))


def disks_of(vm: Managed) -> list[DataObject]:
    """The VM's disks."""
    return devices.disks_of(vm["config"].hardware.device)


def _networks(inventory: Inventory, vm: Managed) -> list[Reference]:
    refs: dict[str, Reference] = {}
    for nic in devices.nics_of(vm["config"].hardware.device):
        if isinstance(nic.backing, vim.vm.device.VirtualEthernetCard.NetworkBackingInfo):
            refs[nic.backing.network._GetMoId()] = nic.backing.network
        else:
            portgroup = inventory.get(nic.backing.port.portgroupKey)
            if portgroup is not None:
                refs[portgroup.moid] = portgroup.ref
    return list(refs.values())


def _say_connected(vm: Managed) -> None:
    """Have `runtime` and `guest` agree with the power state after a change of it."""
    vm.set(guestHeartbeatStatus="green" if vm["guest"].toolsStatus == "toolsOk" else "gray")


def power_state(vm: Managed) -> str:
    """The VM's power state: poweredOn, poweredOff or suspended."""
    return str(vm["runtime"].powerState)


def switch(inventory: Inventory, vm: Managed, power: str) -> None:
    """Put the VM into a power state, with all that shows in its runtime, guest and devices."""
    with inventory.lock:
        runtime = vm["runtime"]
        runtime.powerState = power
        runtime.bootTime = utc(inventory.clock) if power == "poweredOn" else None
        vm.set(guest=_guest(guest_of(vm), vm, power))
        for nic in devices.nics_of(vm["config"].hardware.device):
            nic.connectable.connected = power == "poweredOn"
        _say_connected(vm)
        inventory.changed()


def guest_of(vm: Managed) -> Guest:
    """What runs in the VM whenever it is switched on."""
    assert isinstance(vm.memo, Guest)
    return vm.memo


def destroy(inventory: Inventory, vm: Managed) -> None:
    """Take the VM and its disks away; raises InvalidPowerState unless it is powered off."""
    with inventory.lock:
        if power_state(vm) != "poweredOff":
            raise faults.invalid_power_state(power_state(vm), "poweredOff")
        inventory.orphan(vm)
        inventory.remove(vm)


def rename(inventory: Inventory, vm: Managed, name: str) -> None:
    """Give the VM another name; raises DuplicateName when the folder has that name already."""
    with inventory.lock:
        taken = inventory.child_named(inventory.find(vm["parent"]), name)
        if taken is not None and taken is not vm:
            raise faults.duplicate_name(name, taken.ref)
        vm.set(name=name)
        vm["config"].name = name
        inventory.changed()


def remove_nics(inventory: Inventory, vm: Managed) -> None:
    """Take all network adapters out of the VM."""
    with inventory.lock:
        hardware = vm["config"].hardware
        gone = {nic.key for nic in devices.nics_of(hardware.device)}
        hardware.device = [device for device in hardware.device if device.key not in gone]
        inventory.changed()


def insert_iso(inventory: Inventory, vm: Managed, iso: str) -> None:
    """Give the VM a CD-ROM drive with the image at `[datastore] path` in it.

    Raises ValueError for a path of no datastore that is there, and where the VM has no place for a drive.
    """
    name, bracket, _ = iso.removeprefix("[").partition("] ")
    with inventory.lock:
        datastore = next((each for each in inventory.of_kind(vim.Datastore) if each.name == name), None)
        if datastore is None or not bracket or not iso.startswith("["):
            raise ValueError(f"{iso}: expected [DATASTORE] PATH, with a datastore that is there")
        hardware = vm["config"].hardware
        hardware.device = [*hardware.device, devices.cdrom(hardware.device, iso, datastore.ref)]
        inventory.changed()


def reconfigure(inventory: Inventory, vm: Managed, changes: dict[str, Any]) -> None:
    """Set simple fields: any of cpus, cores_per_socket, memory_mb, annotation, change_tracking, guest_id.

    Raises InvalidPowerState when CPUs or memory of a VM are to change that is not powered off.
    """
    with inventory.lock:
        config = vm["config"]
        if {"cpus", "cores_per_socket", "memory_mb"} & changes.keys() and power_state(vm) != "poweredOff":
            raise faults.invalid_power_state(power_state(vm), "poweredOff")
        targets = {
            "cpus": (config.hardware, "numCPU"),
            "cores_per_socket": (config.hardware, "numCoresPerSocket"),
            "memory_mb": (config.hardware, "memoryMB"),
            "annotation": (config, "annotation"),
            "change_tracking": (config, "changeTrackingEnabled"),
            "guest_id": (config, "guestId"),
        }
        for name, value in changes.items():
            holder, attribute = targets[name]
            setattr(holder, attribute, value)
        config.modified = utc(inventory.clock)
        inventory.changed()


def max_cpu_usage(host: Managed, cpus: int) -> int:
    """MHz that the VM's CPUs could use on the host; clients divide it by the number of CPUs."""
    return int(host["summary"].hardware.cpuMhz) * cpus
