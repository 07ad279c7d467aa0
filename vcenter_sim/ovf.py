"""The OVF descriptor of a VM, as OvfManager.CreateDescriptor writes it: disks, controllers, adapters, firmware."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from vcenter_sim import devices, exports, machines
from vcenter_sim.inventory import Inventory, Managed
from vcenter_sim.types import DataObject, vim

_NAMESPACES = {
    "xmlns": "http://schemas.dmtf.org/ovf/envelope/1",
    "xmlns:cim": "http://schemas.dmtf.org/wbem/wscim/1/common",
    "xmlns:ovf": "http://schemas.dmtf.org/ovf/envelope/1",
    "xmlns:rasd": "http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_ResourceAllocationSettingData",
    "xmlns:vmw": "http://www.vmware.com/schema/ovf",
    "xmlns:vssd": "http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_VirtualSystemSettingData",
    "xmlns:xsi": "http://www.w3.org/2001/XMLSchema-instance",
}
_STREAM_OPTIMIZED = "http://www.vmware.com/interfaces/specifications/vmdk.html#streamOptimized"
# controller kind -> (CIM resource type, resource subtype)
_CONTROLLERS = {
    "ide": ("5", None),
    "pvscsi": ("6", "VirtualSCSI"),
    "lsilogic": ("6", "lsilogic"),
    "lsisas1068": ("6", "lsilogicsas"),
    "buslogic": ("6", "buslogic"),
    "sata": ("20", "vmware.sata.ahci"),
    "nvme": ("20", "vmware.nvme.controller"),
}
_CPU, _MEMORY, _NIC, _CDROM, _DISK = "3", "4", "10", "15", "17"
_LINUX_64, _WINDOWS_64, _OTHER_64 = "101", "103", "102"  # CIM operating system types


@dataclass(frozen=True)
class SavedFile:
    """A file that a client downloaded: the key of its device, its name and its size."""

    device_key: str
    path: str
    size_bytes: int


def descriptor(inventory: Inventory, vm: Managed, files: Sequence[SavedFile], *, name: str) -> str:
    """The envelope as text. A disk that no file was saved of stands in it without one: an empty disk."""
    root = Element("Envelope", {"vmw:buildId": "build-22385739", **_NAMESPACES})
    references = SubElement(root, "References")
    for number, file in enumerate(files, start=1):
        SubElement(
            references,
            "File",
            {"ovf:href": file.path, "ovf:id": f"file{number}", "ovf:size": str(file.size_bytes)},
        )
    _add_disks(root, vm, files)
    _add_networks(root, inventory, vm)
    _add_system(root, inventory, vm, name, files)
    indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + tostring(root, encoding="unicode") + "\n"


def _text(parent: Element, tag: str, text: object, **attributes: str) -> Element:
    element = SubElement(parent, tag, attributes)
    element.text = str(text)
    return element


def _file_id(files: Sequence[SavedFile], key: str) -> str | None:
    return next((f"file{number}" for number, file in enumerate(files, start=1) if file.device_key == key), None)


def _add_disks(root: Element, vm: Managed, files: Sequence[SavedFile]) -> None:
    section = SubElement(root, "DiskSection")
    _text(section, "Info", "Virtual disk information")
    device_list = vm["config"].hardware.device
    for number, disk in enumerate(machines.disks_of(vm), start=1):
        attributes = {
            "ovf:capacity": str(disk.capacityInBytes),
            "ovf:capacityAllocationUnits": "byte",
            "ovf:diskId": f"vmdisk{number}",
            "ovf:format": _STREAM_OPTIMIZED,
        }
        file_id = _file_id(files, exports.device_key(vm, disk, device_list))
        if file_id is not None:
            attributes["ovf:fileRef"] = file_id
        SubElement(section, "Disk", attributes)


def _network_name(inventory: Inventory, nic: DataObject) -> str:
    if isinstance(nic.backing, vim.vm.device.VirtualEthernetCard.NetworkBackingInfo):
        return str(nic.backing.deviceName)
    portgroup = inventory.get(nic.backing.port.portgroupKey)
    return portgroup.name if portgroup is not None else ""


def _add_networks(root: Element, inventory: Inventory, vm: Managed) -> None:
    section = SubElement(root, "NetworkSection")
    _text(section, "Info", "The list of logical networks")
    for name in sorted({_network_name(inventory, nic) for nic in devices.nics_of(vm["config"].hardware.device)}):
        network = SubElement(section, "Network", {"ovf:name": name})
        _text(network, "Description", f"The {name} network")


def _add_system(root: Element, inventory: Inventory, vm: Managed, name: str, files: Sequence[SavedFile]) -> None:
    config = vm["config"]
    system = SubElement(root, "VirtualSystem", {"ovf:id": name})
    _text(system, "Info", "A virtual machine")
    _text(system, "Name", name)
    guest_id = str(config.guestId)
    kind = _WINDOWS_64 if "win" in guest_id.lower() else _OTHER_64 if guest_id.startswith("other") else _LINUX_64
    guest = SubElement(system, "OperatingSystemSection", {"ovf:id": kind, "vmw:osType": guest_id})
    _text(guest, "Info", "The kind of installed guest operating system")
    _text(guest, "Description", config.guestFullName)
    hardware = SubElement(system, "VirtualHardwareSection")
    _text(hardware, "Info", "Virtual hardware requirements")
    family = SubElement(hardware, "System")
    _text(family, "vssd:ElementName", "Virtual Hardware Family")
    _text(family, "vssd:InstanceID", 0)
    _text(family, "vssd:VirtualSystemIdentifier", name)
    _text(family, "vssd:VirtualSystemType", config.version)
    _Items(hardware, inventory, vm, files).add_all()
    settings = {"firmware": str(config.firmware)}
    if config.firmware == "efi":
        settings["bootOptions.efiSecureBootEnabled"] = str(bool(config.bootOptions.efiSecureBootEnabled)).lower()
    for key, value in settings.items():
        SubElement(hardware, "vmw:Config", {"ovf:required": "false", "vmw:key": key, "vmw:value": value})
    nvram = _file_id(files, f"/{vm.moid}/nvram")
    if nvram is not None:
        SubElement(
            hardware,
            "vmw:ExtraConfig",
            {"ovf:required": "false", "vmw:key": "nvram", "vmw:value": f"ovf:/file/{nvram}"},
        )


class _Items:
    """The hardware items, numbered from 1. The elements of an item stand in the order of their names."""

    def __init__(self, hardware: Element, inventory: Inventory, vm: Managed, files: Sequence[SavedFile]) -> None:
        self._hardware = hardware
        self._files = files
        self._inventory = inventory
        self._vm = vm
        self._number = 0

    def _add(self, **values: object) -> int:
        self._number += 1
        values["InstanceID"] = self._number
        item = SubElement(self._hardware, "Item")
        for name in sorted(values):
            if values[name] is not None:
                _text(item, f"rasd:{name}", values[name])
        return self._number

    def add_all(self) -> None:
        config = self._vm["config"]
        cpus, memory = config.hardware.numCPU, config.hardware.memoryMB
        self._add(
            AllocationUnits="hertz * 10^6",
            Description="Number of Virtual CPUs",
            ElementName=f"{cpus} virtual CPU(s)",
            ResourceType=_CPU,
            VirtualQuantity=cpus,
        )
        self._add(
            AllocationUnits="byte * 2^20",
            Description="Memory Size",
            ElementName=f"{memory}MB of memory",
            ResourceType=_MEMORY,
            VirtualQuantity=memory,
        )
        self._add_disks(config.hardware.device)
        for nic in devices.nics_of(config.hardware.device):
            name = _network_name(self._inventory, nic)
            self._add(
                AddressOnParent=nic.unitNumber,
                AutomaticAllocation="true",
                Connection=name,
                Description=f'{devices.nic_kind(nic)} ethernet adapter on "{name}"',
                ElementName=nic.deviceInfo.label,
                ResourceSubType=devices.nic_kind(nic),
                ResourceType=_NIC,
            )

    def _add_disks(self, device_list: Sequence[Any]) -> None:
        disks, drives = machines.disks_of(self._vm), devices.isos_of(device_list)
        parents: dict[int, int] = {}
        for controller in device_list:
            if any(device.controllerKey == controller.key for device in (*disks, *drives)):
                resource, subtype = _CONTROLLERS[devices.controller_kind(controller)]
                parents[controller.key] = self._add(
                    Address=controller.busNumber,
                    Description=controller.deviceInfo.label,
                    ElementName=controller.deviceInfo.label,
                    ResourceSubType=subtype,
                    ResourceType=resource,
                )
        for number, disk in enumerate(disks, start=1):
            self._add(
                AddressOnParent=disk.unitNumber,
                ElementName=disk.deviceInfo.label,
                HostResource=f"ovf:/disk/vmdisk{number}",
                Parent=parents[disk.controllerKey],
                ResourceType=_DISK,
            )
        for drive in drives:
            file_id = _file_id(self._files, exports.device_key(self._vm, drive, device_list))
            self._add(
                AddressOnParent=drive.unitNumber,
                AutomaticAllocation="false",
                ElementName=drive.deviceInfo.label,
                HostResource=None if file_id is None else f"ovf:/file/{file_id}",
                Parent=parents[drive.controllerKey],
                ResourceSubType="vmware.cdrom.iso",
                ResourceType=_CDROM,
            )
