"""Disks and network adapters of a VM's hardware as records (upstream: VmwareHelper.getUnmanagedInstanceDisks/Nics)."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from mgmt.vmware.errors import VcenterError
from mgmt.vmware.records import SourceDisk, SourceNic
from mgmt.vmware.sdk import moref, vim

log = logging.getLogger(__name__)

_device = vim.vm.device
MAX_VLAN = 4094

# In this order, as in DiskControllerType.getType: the SAS controller is no subclass of the parallel one.
_CONTROLLERS: tuple[tuple[Any, str], ...] = (
    (_device.VirtualIDEController, "ide"),
    (_device.VirtualLsiLogicSASController, "lsisas1068"),
    (_device.VirtualLsiLogicController, "lsilogic"),
    (_device.ParaVirtualSCSIController, "pvscsi"),
    (_device.VirtualBusLogicController, "buslogic"),
)
_ADAPTERS: tuple[tuple[Any, str], ...] = (
    (_device.VirtualPCNet32, "PCNet32"),
    (_device.VirtualVmxnet2, "Vmxnet2"),
    (_device.VirtualVmxnet3, "Vmxnet3"),
)
_OTHER_ADAPTER = "E1000"


@dataclass(frozen=True)
class PortVlan:
    """The VLAN of a distributed port; `pvlan` and its type are set on a private VLAN."""

    vlan: int | None = None
    pvlan: int | None = None
    pvlan_type: str | None = None


# (switch UUID, portgroup key, port key) -> the port's VLAN; raises VcenterError
PortLookup = Callable[[str, str, str | None], PortVlan]


def label_number(label: str | None) -> int:
    """The number made of all digits in a device label, 0 when it has none: the order of disks and nics."""
    digits = "".join(character for character in label or "" if character in "0123456789")
    return int(digits) if digits else 0


def datastores_of(devices: Sequence[Any]) -> list[Any]:
    """The datastores behind the disks, each once."""
    stores = {}
    for device in devices:
        store = getattr(getattr(device, "backing", None), "datastore", None)
        if isinstance(device, _device.VirtualDisk) and store is not None:
            stores[moref(store)] = store
    return list(stores.values())


def read_disks(devices: Sequence[Any], datastore_infos: Mapping[str, Any]) -> tuple[SourceDisk, ...]:
    """The virtual disks among `devices`, in the order of their labels' numbers.

    `datastore_infos` has the `info` of each datastore by moref. What vCenter leaves out of a disk stays None.
    """
    controllers = {device.key: device for device in devices if isinstance(device, _device.VirtualController)}
    disks = [
        _read_disk(device, controllers.get(device.controllerKey), datastore_infos)
        for device in devices
        if isinstance(device, _device.VirtualDisk)
    ]
    return tuple(sorted(disks, key=lambda disk: label_number(disk.label)))


def _label(device: Any) -> str | None:
    info = device.deviceInfo
    return None if info is None else str(info.label)


def _read_disk(disk: Any, controller: Any, datastore_infos: Mapping[str, Any]) -> SourceDisk:
    backing = disk.backing
    image_path = backing.fileName if isinstance(backing, _device.VirtualDisk.FlatVer2BackingInfo) else None
    kind = next((name for type_, name in _CONTROLLERS if isinstance(controller, type_)), "none")
    unit = None if kind == "none" else controller.busNumber
    store = getattr(backing, "datastore", None)
    info = None if store is None else datastore_infos.get(moref(store))
    nas = getattr(info, "nas", None) if isinstance(info, vim.host.NasDatastoreInfo) else None
    size_bytes = disk.capacityInKB * 1024 if disk.capacityInBytes is None else disk.capacityInBytes
    return SourceDisk(
        disk_id=disk.diskObjectId,
        label=_label(disk),
        capacity_bytes=int(size_bytes),  # pyvmomi's `long` is a subclass that encoders refuse
        position=disk.unitNumber,
        image_path=image_path,
        file_base_name=file_base_name(image_path),
        chain_info=_chain_info(backing, kind, unit, disk.unitNumber),
        controller=kind,
        controller_unit=unit,
        datastore_name=None if info is None else info.name,
        datastore_host=getattr(nas, "remoteHost", None),
        datastore_path=getattr(nas, "remotePath", None),
        datastore_type=getattr(nas, "type", None),
    )


def file_base_name(image_path: str | None) -> str | None:
    """`disk` of `[datastore] folder/disk.vmdk`."""
    if image_path is None:
        return None
    return PurePosixPath(image_path.rpartition("] ")[2]).stem


def _chain_info(backing: Any, controller: str, unit: int | None, position: int | None) -> str | None:
    files = []
    link = backing
    while link is not None:
        file_name = getattr(link, "fileName", None)
        if file_name:
            files.append(file_name)
        link = getattr(link, "parent", None)
    if not files:
        return None
    bus = "ide" if controller == "ide" else "scsi"
    return json.dumps({"diskDeviceBusName": f"{bus}{unit or 0}:{position or 0}", "diskChain": files})


def read_nics(
    devices: Sequence[Any],
    *,
    guest_nics: Sequence[Any],
    portgroup_vlans: Mapping[str, int],
    port_vlan: PortLookup,
) -> tuple[SourceNic, ...]:
    """The network adapters among `devices`, in the order of their labels' numbers.

    `guest_nics` is `guest.net` when VMware Tools run, else empty. `portgroup_vlans` has the host's standard portgroups.
    An adapter whose network vCenter does not tell is left out, as upstream does.
    """
    nics = []
    for device in devices:
        if not isinstance(device, _device.VirtualEthernetCard):
            continue
        try:
            nics.append(_read_nic(device, guest_nics, portgroup_vlans, port_vlan))
        except VcenterError as error:
            log.warning("network adapter %s left out: %s", _label(device), error.text)
    return tuple(sorted(nics, key=lambda nic: label_number(nic.nic_id)))


def _read_nic(
    card: Any, guest_nics: Sequence[Any], portgroup_vlans: Mapping[str, int], port_vlan: PortLookup
) -> SourceNic:
    network: str | None = None
    vlan = PortVlan()
    backing = card.backing
    if isinstance(backing, _device.VirtualEthernetCard.NetworkBackingInfo):
        network = backing.deviceName
        vlan = PortVlan(vlan=portgroup_vlans.get(network))
    elif isinstance(backing, _device.VirtualEthernetCard.DistributedVirtualPortBackingInfo):
        port = backing.port
        vlan = port_vlan(port.switchUuid, port.portgroupKey, port.portKey)
    slot = card.slotInfo
    return SourceNic(
        nic_id=_label(card),
        adapter_type=next((name for type_, name in _ADAPTERS if isinstance(card, type_)), _OTHER_ADAPTER),
        mac_address=card.macAddress,
        network=network,
        vlan=vlan.vlan,
        pvlan=vlan.pvlan,
        pvlan_type=vlan.pvlan_type,
        ip_addresses=_ipv4_addresses(card.macAddress, guest_nics),
        pci_slot=str(slot.pciSlotNumber) if isinstance(slot, _device.VirtualDevice.PciBusSlotInfo) else None,
    )


def _ipv4_addresses(mac_address: str | None, guest_nics: Sequence[Any]) -> tuple[str, ...]:
    return tuple(
        address
        for guest_nic in guest_nics
        if guest_nic.macAddress == mac_address
        for address in guest_nic.ipAddress or ()
        if "." in address and ":" not in address
    )


def port_vlan_of(vlan_spec: Any, private_vlans: Sequence[Any]) -> PortVlan:
    """The VLAN that a distributed port's setting names; trunks and VLAN 0 have none."""
    switch = vim.dvs.VmwareDistributedVirtualSwitch
    if isinstance(vlan_spec, switch.PvlanSpec) and 0 < vlan_spec.pvlanId <= MAX_VLAN:
        for entry in private_vlans:
            if entry.secondaryVlanId == vlan_spec.pvlanId:
                return PortVlan(vlan=entry.primaryVlanId, pvlan=vlan_spec.pvlanId, pvlan_type=str(entry.pvlanType))
    elif isinstance(vlan_spec, switch.VlanIdSpec) and 0 < vlan_spec.vlanId <= MAX_VLAN:
        return PortVlan(vlan=vlan_spec.vlanId)
    return PortVlan()


def thin_locators(devices: Sequence[Any], datastore: Any) -> list[Any]:
    """A disk locator per disk that puts it on `datastore`, thin; raises ValueError naming a disk that cannot be.

    Upstream casts each backing to FlatVer2 and breaks on a raw device mapping.
    """
    locators = []
    for device in devices:
        if not isinstance(device, _device.VirtualDisk):
            continue
        flat = _device.VirtualDisk.FlatVer2BackingInfo
        if not isinstance(device.backing, flat):
            raise ValueError(_label(device) or str(device.key))
        backing = flat(
            datastore=datastore, fileName="", diskMode=device.backing.diskMode or "persistent", thinProvisioned=True
        )
        locators.append(
            vim.vm.RelocateSpec.DiskLocator(diskId=device.key, datastore=datastore, diskBackingInfo=backing)
        )
    return locators
