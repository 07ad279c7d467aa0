"""An inventory as it is now as the document that `document.load` reads: places as they began, VMs as they are."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict
from typing import Any

from vcenter_sim import devices, machines, wiring
from vcenter_sim.entries import DatacenterEntry, Document, ExportFaults
from vcenter_sim.inventory import Inventory, Managed
from vcenter_sim.types import DataObject, vim

_GB = 1024**3
_ROOT_POOL = "Resources"


def describe(
    inventory: Inventory,
    began: Document,
    username: str,
    faults: Mapping[str, ExportFaults],
    lost_files: Collection[str],
) -> dict[str, Any]:
    """The inventory that began with a document, without its password. Snapshots and tasks have no place in one."""
    with inventory.lock:
        datacenters = [
            _datacenter(inventory, entry, began.custom_fields, faults, lost_files) for entry in began.datacenters
        ]
    return {"username": username, "custom_fields": list(began.custom_fields), "datacenters": datacenters}


def _datacenter(
    inventory: Inventory,
    entry: DatacenterEntry,
    custom_fields: list[str],
    faults: Mapping[str, ExportFaults],
    lost_files: Collection[str],
) -> dict[str, Any]:
    datacenter = next(each for each in inventory.of_kind(vim.Datacenter) if each.name == entry.name)
    vms = [vm for vm in inventory.vms if inventory.ancestor(vm, vim.Datacenter) is datacenter]
    folders = [
        path
        for each in inventory.of_kind(vim.Folder)
        if (path := _folder_path(inventory, each, datacenter)) and each["childType"] and "/" not in each.name
    ]
    return _there(
        {
            "name": entry.name,
            "datastores": [_there(asdict(each)) for each in entry.datastores],
            "networks": [_there(asdict(each)) for each in entry.networks],
            "clusters": [asdict(each) for each in entry.clusters],
            "hosts": [asdict(each) for each in entry.hosts],
            "folders": folders,
            "vms": [_vm(inventory, vm, datacenter, custom_fields, faults, lost_files) for vm in vms],
        }
    )


def _folder_path(inventory: Inventory, managed: Managed, datacenter: Managed) -> str:
    """The path of a folder below the datacenter's own for VMs; empty for that one and for all others."""
    names: list[str] = []
    current = managed
    while current.ref != datacenter["vmFolder"]:
        names.append(current.name)
        parent = current["parent"]
        if parent is None or current is datacenter:
            return ""
        current = inventory.find(parent)
    return "/".join(reversed(names))


def _vm(
    inventory: Inventory,
    vm: Managed,
    datacenter: Managed,
    custom_fields: list[str],
    faults: Mapping[str, ExportFaults],
    lost_files: Collection[str],
) -> dict[str, Any]:
    config, guest = vm["config"], machines.guest_of(vm)
    hardware = config.hardware
    pool = inventory.find(vm["resourcePool"]).name if vm["resourcePool"] is not None else _ROOT_POOL
    isos = devices.isos_of(hardware.device)
    values = {each.key - wiring.FIRST_FIELD_KEY: each.value for each in vm["value"] or ()}
    export_faults = faults.get(vm.name)
    addresses = [*guest.addresses, *([()] * len(hardware.device))]
    nics = devices.nics_of(hardware.device)
    return _there(
        {
            "name": vm.name,
            "host": inventory.find(vm["runtime"].host).name,
            "folder": _folder_path(inventory, inventory.find(vm["parent"]), datacenter),
            "resource_pool": None if pool == _ROOT_POOL else pool,
            "datastore": _store(config.files.vmPathName),
            "power": machines.power_state(vm),
            "template": bool(config.template),
            "cpus": hardware.numCPU,
            "cores_per_socket": hardware.numCoresPerSocket,
            "cpu_reservation_mhz": config.cpuAllocation.reservation,
            "memory_mb": hardware.memoryMB,
            "firmware": config.firmware,
            "secure_boot": bool(config.bootOptions.efiSecureBootEnabled),
            "guest_id": config.guestId,
            "guest_name": guest.full_name,
            "guest_hostname": guest.hostname,
            "tools": guest.tools,
            "uuid": config.uuid,
            "instance_uuid": config.instanceUuid,
            "annotation": config.annotation or "",
            "custom_values": {custom_fields[number]: value for number, value in values.items()},
            "disks": [_disk(disk, hardware.device) for disk in devices.disks_of(hardware.device)],
            "nics": [_nic(inventory, nic, own) for nic, own in zip(nics, addresses, strict=False)],
            "cdrom": {"iso": isos[0].backing.fileName, "lost": isos[0].backing.fileName in lost_files}
            if isos
            else None,
            "export_faults": _export_faults(export_faults) if export_faults is not None else None,
        }
    )


def _disk(disk: DataObject, others: list[DataObject]) -> dict[str, Any]:
    controller = next(each for each in others if each.key == disk.controllerKey)
    return {
        "size_gb": disk.capacityInKB * 1024 / _GB,
        "datastore": _store(disk.backing.fileName),
        "controller": devices.controller_kind(controller),
        "thin": bool(disk.backing.thinProvisioned),
        "file": disk.backing.fileName,
    }


def _nic(inventory: Inventory, nic: DataObject, addresses: tuple[str, ...]) -> dict[str, Any]:
    if isinstance(nic.backing, vim.vm.device.VirtualEthernetCard.NetworkBackingInfo):
        network = nic.backing.deviceName
    else:
        portgroup = inventory.get(nic.backing.port.portgroupKey)
        assert portgroup is not None, "portgroups are not removed"
        network = portgroup.name
    return {
        "network": network,
        "type": devices.inventory_nic_kind(nic),
        "mac": nic.macAddress,
        "ip_addresses": list(addresses),
    }


def _export_faults(faults: ExportFaults) -> dict[str, Any]:
    files = {name: sorted(getattr(faults, name)) for name in ("missing", "cut", "wrong_sum")}
    return _there({"lease_error": faults.lease_error} | files)


def _store(path: str) -> str:
    """The datastore of `[datastore] path`."""
    return path.partition("]")[0].removeprefix("[")


def _there(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in entry.items() if value is not None}
