"""A VM's virtual hardware: controllers, disks and network adapters with the keys and labels that vSphere gives them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from vcenter_sim import wire
from vcenter_sim.objects import make
from vcenter_sim.types import DataObject, Reference, vim

_devices = vim.vm.device
_GB = 1024**3


@dataclass(frozen=True)
class Disk:
    """What a disk is made from. `file` is its datastore path, `[ds] dir/name.vmdk`."""

    size_bytes: int
    controller: str
    thin: bool
    file: str
    datastore: Reference


@dataclass(frozen=True)
class Nic:
    """What a network adapter is made from."""

    type: str
    mac: str
    backing: DataObject
    network_label: str


# kind -> (pyvmomi class, first key, label, disks a controller carries, key of its parent)
_CONTROLLERS = {
    "pvscsi": (_devices.ParaVirtualSCSIController, 1000, "SCSI controller", 15, 100),
    "lsilogic": (_devices.VirtualLsiLogicController, 1000, "SCSI controller", 15, 100),
    "lsisas1068": (_devices.VirtualLsiLogicSASController, 1000, "SCSI controller", 15, 100),
    "buslogic": (_devices.VirtualBusLogicController, 1000, "SCSI controller", 15, 100),
    "sata": (_devices.VirtualAHCIController, 15000, "SATA controller", 30, 100),
    "nvme": (_devices.VirtualNVMEController, 31000, "NVME controller", 15, 100),
}
_FIRST_DISK_KEYS = {"ide": 3000, "sata": 16000, "nvme": 32000}
_SCSI = {"pvscsi", "lsilogic", "lsisas1068", "buslogic"}
_NICS = {
    "vmxnet3": _devices.VirtualVmxnet3,
    "vmxnet2": _devices.VirtualVmxnet2,
    "e1000": _devices.VirtualE1000,
    "e1000e": _devices.VirtualE1000e,
    "pcnet32": _devices.VirtualPCNet32,
}
_OVF_NICS = {"vmxnet3": "VmxNet3", "vmxnet2": "VmxNet2", "e1000": "E1000", "e1000e": "E1000e", "pcnet32": "PCNet32"}


def build(
    disks: Sequence[Disk], nics: Sequence[Nic], new_disk_number: Callable[[], int], *, connected: bool
) -> list[DataObject]:
    """The device list of a new VM, in the order in which vSphere keeps it."""
    controllers = _Controllers()
    disk_devices = [_disk(number, disk, controllers) for number, disk in enumerate(disks)]
    object_number = new_disk_number()
    for device in disk_devices:
        device.diskObjectId = f"{object_number}-{device.key}"
    nic_devices = [_nic(number, nic, connected=connected) for number, nic in enumerate(nics)]
    return [*controllers.devices, *disk_devices, *nic_devices]


class _Controllers:
    """The controllers of one VM; places on them are given out in order."""

    def __init__(self) -> None:
        self.devices: list[DataObject] = [
            make(_devices.VirtualIDEController, key=200, busNumber=0, deviceInfo=_label("IDE 0")),
            make(_devices.VirtualIDEController, key=201, busNumber=1, deviceInfo=_label("IDE 1")),
            make(_devices.VirtualPCIController, key=100, busNumber=0, deviceInfo=_label("PCI controller 0")),
            make(_devices.VirtualSIOController, key=400, busNumber=0, deviceInfo=_label("SIO controller 0")),
        ]
        self._used: dict[int, int] = {}
        self._open: dict[str, tuple[int, int]] = {}

    def place(self, kind: str) -> tuple[int, int]:
        """Controller key and unit number for one more disk."""
        if kind == "ide":
            number = self._used.get(200, 0) + self._used.get(201, 0)
            key = 200 + number // 2
            unit = number % 2
            if key > 201:
                raise ValueError("an IDE controller carries no more than 4 disks")
            self._used[key] = unit + 1
            return key, unit
        key, capacity = self._open.get(kind) or self._new(kind)
        unit = self._used.get(key, 0)
        if unit >= capacity:
            key, capacity = self._new(kind)
            unit = 0
        self._used[key] = unit + 1
        # Unit 7 of a SCSI bus is the controller's own.
        return key, unit if kind not in _SCSI or unit < 7 else unit + 1

    def _new(self, kind: str) -> tuple[int, int]:
        class_, first, label, capacity, parent = _CONTROLLERS[kind]
        bus = sum(1 for device in self.devices if first <= device.key < first + 1000)
        key = first + bus
        extra = {"sharedBus": "noSharing", "scsiCtlrUnitNumber": 7} if kind in _SCSI else {}
        self.devices.append(
            make(class_, key=key, busNumber=bus, controllerKey=parent, deviceInfo=_label(f"{label} {bus}"), **extra)
        )
        self._open[kind] = (key, capacity)
        return key, capacity


def _disk(number: int, disk: Disk, controllers: _Controllers) -> DataObject:
    controller_key, unit = controllers.place(disk.controller)
    kilobytes = disk.size_bytes // 1024
    return make(
        _devices.VirtualDisk,
        key=_FIRST_DISK_KEYS.get(disk.controller, 2000) + number,
        controllerKey=controller_key,
        unitNumber=unit,
        capacityInKB=kilobytes,
        capacityInBytes=kilobytes * 1024,
        deviceInfo=make(vim.Description, label=f"Hard disk {number + 1}", summary=f"{kilobytes:,} KB"),
        backing=make(
            _devices.VirtualDisk.FlatVer2BackingInfo,
            fileName=disk.file,
            datastore=disk.datastore,
            diskMode="persistent",
            thinProvisioned=disk.thin,
        ),
    )


def _nic(number: int, nic: Nic, *, connected: bool) -> DataObject:
    return make(
        _NICS[nic.type],
        key=4000 + number,
        controllerKey=100,
        unitNumber=7 + number,
        macAddress=nic.mac,
        addressType="assigned",
        wakeOnLanEnabled=True,
        deviceInfo=make(vim.Description, label=f"Network adapter {number + 1}", summary=nic.network_label),
        slotInfo=make(_devices.VirtualDevice.PciBusSlotInfo, pciSlotNumber=192 + 32 * number),
        backing=nic.backing,
        connectable=make(
            _devices.VirtualDevice.ConnectInfo, startConnected=True, allowGuestControl=True, connected=connected
        ),
    )


def cdrom(devices: Sequence[DataObject], iso: str, datastore: Reference) -> DataObject:
    """A CD-ROM drive for a VM with these devices, with the image `iso` (`[ds] dir/name.iso`) in it."""
    taken = {(device.controllerKey, device.unitNumber) for device in devices}
    keys = {device.key for device in devices}
    places = ((controller, unit) for controller in (201, 200) for unit in (0, 1))
    place = next((place for place in places if place not in taken), None)
    if place is None:
        raise ValueError("both IDE controllers are full: there is no place for a CD-ROM drive")
    return make(
        _devices.VirtualCdrom,
        key=next(key for key in range(3002, 3010) if key not in keys),
        controllerKey=place[0],
        unitNumber=place[1],
        deviceInfo=make(vim.Description, label="CD/DVD drive 1", summary=f"ISO {iso}"),
        backing=make(_devices.VirtualCdrom.IsoBackingInfo, fileName=iso, datastore=datastore),
        connectable=make(
            _devices.VirtualDevice.ConnectInfo, startConnected=True, allowGuestControl=True, connected=False
        ),
    )


def _label(text: str) -> DataObject:
    return make(vim.Description, label=text, summary=text)


def disks_of(devices: Sequence[DataObject]) -> list[DataObject]:
    """The disks of a device list."""
    return [device for device in devices if isinstance(device, _devices.VirtualDisk)]


def isos_of(devices: Sequence[DataObject]) -> list[DataObject]:
    """The CD-ROM drives of a device list that have an image in them."""
    return [
        device
        for device in devices
        if isinstance(device, _devices.VirtualCdrom)
        and isinstance(device.backing, _devices.VirtualCdrom.IsoBackingInfo)
    ]


def nics_of(devices: Sequence[DataObject]) -> list[DataObject]:
    """The network adapters of a device list."""
    return [device for device in devices if isinstance(device, _devices.VirtualEthernetCard)]


def controller_kind(controller: DataObject) -> str:
    """The kind of a controller, as inventory files name it."""
    if isinstance(controller, _devices.VirtualIDEController):
        return "ide"
    return next(kind for kind, (class_, *_) in _CONTROLLERS.items() if type(controller) is class_)


def set_fields(value: DataObject) -> list[str]:
    """The names of a data object's fields that hold something."""
    return [name for name in wire.property_names(type(value)) if wire.is_set(getattr(value, name))]


def inventory_nic_kind(nic: DataObject) -> str:
    """The kind of a network adapter, as inventory files name it."""
    return next(kind for kind, class_ in _NICS.items() if type(nic) is class_)


def nic_kind(nic: DataObject) -> str:
    """The kind of a network adapter as OVF names it, such as `VmxNet3`."""
    return _OVF_NICS[inventory_nic_kind(nic)]
