"""The frame of an inventory: the service's well-known objects, datacenters, folders, datastores and networks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from vcenter_sim import wire
from vcenter_sim.entries import DatastoreEntry, NetworkEntry
from vcenter_sim.inventory import Inventory, Managed
from vcenter_sim.objects import make
from vcenter_sim.providers import stable_uuid, utc
from vcenter_sim.types import DataObject, vim, vmodl

_GB = 1024**3
FIRST_FIELD_KEY = 101
ABOUT = {
    "name": "VMware vCenter Server",
    "fullName": "VMware vCenter Server 8.0.2 build-22385739",
    "vendor": "VMware, Inc.",
    "version": "8.0.2",
    "build": "22385739",
    "localeVersion": "INTL",
    "localeBuild": "000",
    "osType": "linux-x64",
    "productLineId": "vpx",
    "apiType": "VirtualCenter",
    "apiVersion": "8.0.2.0",
    "licenseProductName": "VMware VirtualCenter Server",
    "licenseProductVersion": "8.0",
}
_ENTITY = {"overallStatus": "green", "configStatus": "green", "alarmActionsEnabled": True}


def add_entity(inventory: Inventory, kind: Any, prefix: str, name: str, **values: Any) -> Managed:
    """A managed entity with a new moid and the properties that all of them have."""
    return inventory.add(kind, inventory.new_moid(prefix), name=escaped(name), **_ENTITY, **values)


def escaped(name: str) -> str:
    """The name as vCenter keeps it: slash, backslash and percent sign as %2f, %5c and %25."""
    return "".join(quote(char, safe="").lower() if char in "/\\%" else char for char in name)


def _folder(inventory: Inventory, prefix: str, name: str, types: list[str], parent: Managed | None) -> Managed:
    folder = add_entity(
        inventory, vim.Folder, prefix, name, childType=[wire.vmodl_type(type_) for type_ in types], childEntity=[]
    )
    if parent is not None:
        folder.set(parent=parent.ref)
    return folder


def add_root(inventory: Inventory, custom_fields: list[str]) -> Managed:
    """The root folder and the singletons that `ServiceInstance.content` names."""
    root = _folder(inventory, "group-d", "Datacenters", ["vim.Folder", "vim.Datacenter"], None)
    add = inventory.add
    fields = [
        make(
            vim.CustomFieldsManager.FieldDef,
            key=FIRST_FIELD_KEY + number,
            name=name,
            type=str,
            managedObjectType=vim.VirtualMachine,
        )
        for number, name in enumerate(custom_fields)
    ]
    singletons = {
        "propertyCollector": add(vmodl.query.PropertyCollector, "propertyCollector"),
        "viewManager": add(vim.view.ViewManager, "ViewManager"),
        "searchIndex": add(vim.SearchIndex, "SearchIndex"),
        "sessionManager": add(vim.SessionManager, "SessionManager", defaultLocale="en"),
        "taskManager": add(vim.TaskManager, "TaskManager", maxCollector=32),
        "customFieldsManager": add(vim.CustomFieldsManager, "CustomFieldsManager", field=fields),
        "ovfManager": add(vim.OvfManager, "OvfManager"),
        "dvSwitchManager": add(vim.dvs.DistributedVirtualSwitchManager, "DVSManager"),
    }
    content = make(
        vim.ServiceInstanceContent,
        rootFolder=root.ref,
        about=make(vim.AboutInfo, instanceUuid=stable_uuid("about"), **ABOUT),
        **{name: managed.ref for name, managed in singletons.items()},
    )
    instance = add(
        vim.ServiceInstance,
        "ServiceInstance",
        content=content,
        capability=make(
            vim.Capability, provisioningSupported=True, multiHostSupported=True, userShellAccessSupported=False
        ),
    )
    instance.compute(serverClock=lambda: utc(inventory.clock))
    return root


def add_datacenter(inventory: Inventory, root: Managed, name: str) -> tuple[Managed, Managed]:
    """A datacenter with its four folders; returned with its VM folder."""
    datacenter = add_entity(inventory, vim.Datacenter, "datacenter-", name, configuration=vim.Datacenter.ConfigInfo())
    folders = {
        "vmFolder": ("group-v", "vm", ["vim.Folder", "vim.VirtualMachine", "vim.VirtualApp"]),
        "hostFolder": ("group-h", "host", ["vim.Folder", "vim.ComputeResource"]),
        "datastoreFolder": ("group-s", "datastore", ["vim.Folder", "vim.Datastore", "vim.StoragePod"]),
        "networkFolder": ("group-n", "network", ["vim.Folder", "vim.Network", "vim.DistributedVirtualSwitch"]),
    }
    made = {
        role: _folder(inventory, prefix, folder, types, datacenter) for role, (prefix, folder, types) in folders.items()
    }
    datacenter.set(**{role: folder.ref for role, folder in made.items()})

    def inside(kind: Any, folder: Managed) -> Any:
        return [child.ref for child in inventory.children(folder) if issubclass(child.kind, kind)]

    datacenter.compute(
        datastore=lambda: inside(vim.Datastore, made["datastoreFolder"]),
        network=lambda: inside(vim.Network, made["networkFolder"]),
    )
    inventory.adopt(root, datacenter)
    return datacenter, made["vmFolder"]


def folder_at(inventory: Inventory, vm_folder: Managed, path: str) -> Managed:
    """The VM folder at `Prod/Web` below the datacenter's own; made, with its parents, when it is not there."""
    current = vm_folder
    for part in path.split("/") if path else []:
        child = inventory.child_named(current, part)
        if child is None:
            child = _folder(inventory, "group-v", part, ["vim.Folder", "vim.VirtualMachine", "vim.VirtualApp"], None)
            inventory.adopt(current, child)
        current = child
    return current


def _in_role(inventory: Inventory, datacenter: Managed, role: str) -> Managed:
    return inventory.find(datacenter[role])


def _vms_using(inventory: Inventory, managed: Managed, role: str) -> Any:
    return wire.array("vim.VirtualMachine", [vm.ref for vm in inventory.vms if managed.ref in vm[role]])


def _hosts_of(inventory: Inventory, datacenter: Managed) -> list[Managed]:
    return [
        host for host in inventory.of_kind(vim.HostSystem) if inventory.ancestor(host, vim.Datacenter) is datacenter
    ]


def _datastore_info(entry: DatastoreEntry, url: str) -> DataObject:
    """What vCenter knows of a datastore beyond its summary: a VMFS volume, or an NFS share."""
    common = {
        "name": entry.name,
        "url": url,
        "freeSpace": entry.free_gb * _GB,
        "maxFileSize": 64 * 1024 * _GB,
    }
    if entry.type != "vmfs":
        share = make(
            vim.host.NasVolume,
            type=entry.type.upper(),
            name=entry.name,
            capacity=entry.capacity_gb * _GB,
            remoteHost=entry.remote_host,
            remotePath=entry.remote_path,
        )
        return make(vim.host.NasDatastoreInfo, **common, nas=share)
    volume = make(
        vim.host.VmfsVolume,
        type="VMFS",
        name=entry.name,
        capacity=entry.capacity_gb * _GB,
        blockSizeMb=1,
        maxBlocks=63963136,
        majorVersion=6,
        version="6.82",
        uuid=stable_uuid("vmfs:" + entry.name),
        extent=[make(vim.host.ScsiDisk.Partition, diskName=f"naa.{stable_uuid(entry.name)[:8]}", partition=1)],
        vmfsUpgradable=False,
    )
    return make(vim.host.VmfsDatastoreInfo, **common, vmfs=volume)


def add_datastore(inventory: Inventory, datacenter: Managed, entry: DatastoreEntry) -> Managed:
    """A datastore that all hosts of the datacenter mount."""
    url = f"ds:///vmfs/volumes/{stable_uuid('datastore:' + entry.name)}/"
    datastore = add_entity(
        inventory,
        vim.Datastore,
        "datastore-",
        entry.name,
        info=_datastore_info(entry, url),
        capability=make(
            vim.Datastore.Capability, directoryHierarchySupported=True, perFileThinProvisioningSupported=True
        ),
    )
    datastore.set(
        summary=make(
            vim.Datastore.Summary,
            datastore=datastore.ref,
            name=entry.name,
            url=url,
            capacity=entry.capacity_gb * _GB,
            freeSpace=entry.free_gb * _GB,
            accessible=True,
            multipleHostAccess=True,
            type=entry.type.upper(),
            maintenanceMode="normal",
        )
    )
    datastore.compute(
        vm=lambda: _vms_using(inventory, datastore, "datastore"),
        host=lambda: [
            make(
                vim.Datastore.HostMount,
                key=host.ref,
                mountInfo=make(vim.host.MountInfo, path=url, accessMode="readWrite", mounted=True),
            )
            for host in _hosts_of(inventory, datacenter)
        ],
    )
    inventory.adopt(_in_role(inventory, datacenter, "datastoreFolder"), datastore)
    return datastore


@dataclass(frozen=True)
class Portgroup:
    """What a distributed portgroup remembers: its switch and its VLAN (0 for none)."""

    switch: Managed
    vlan: int


def add_network(inventory: Inventory, datacenter: Managed, entry: NetworkEntry) -> Managed:
    """A standard portgroup, or a distributed one together with its switch."""
    folder = _in_role(inventory, datacenter, "networkFolder")
    kind, prefix = vim.Network, "network-"
    memo: Portgroup | None = None
    if entry.type == "distributed":
        switch = _switch(inventory, folder, entry.switch or "")
        kind, prefix = vim.dvs.DistributedVirtualPortgroup, "dvportgroup-"
        memo = Portgroup(switch, entry.vlan)
    network = add_entity(inventory, kind, prefix, entry.name)
    network.memo = memo
    network.set(summary=make(vim.Network.Summary, network=network.ref, name=entry.name, accessible=True, ipPoolName=""))
    if memo is not None:
        network.set(key=network.moid, config=_portgroup_config(network, memo))
    network.compute(
        vm=lambda: _vms_using(inventory, network, "network"),
        host=lambda: [host.ref for host in _hosts_of(inventory, datacenter)],
    )
    inventory.adopt(folder, network)
    return network


def _portgroup_config(network: Managed, portgroup: Portgroup) -> DataObject:
    return make(
        vim.dvs.DistributedVirtualPortgroup.ConfigInfo,
        key=network.moid,
        name=network.name,
        numPorts=128,
        distributedVirtualSwitch=portgroup.switch.ref,
        defaultPortConfig=port_setting(portgroup.vlan),
        type="earlyBinding",
        policy=vim.dvs.VmwareDistributedVirtualSwitch.VMwarePortgroupPolicy(),
    )


def port_setting(vlan: int) -> DataObject:
    """The port configuration that says which VLAN a distributed port is on."""
    spec = make(vim.dvs.VmwareDistributedVirtualSwitch.VlanIdSpec, inherited=False, vlanId=vlan)
    return make(vim.dvs.VmwareDistributedVirtualSwitch.VmwarePortConfigPolicy, vlan=spec)


def _switch(inventory: Inventory, folder: Managed, name: str) -> Managed:
    known = inventory.child_named(folder, name)
    if known is not None:
        return known
    uuid = stable_uuid("dvs:" + name)
    switch = add_entity(
        inventory,
        vim.dvs.VmwareDistributedVirtualSwitch,
        "dvs-",
        name,
        uuid=uuid,
        capability=vim.DistributedVirtualSwitch.Capability(),
        summary=make(vim.DistributedVirtualSwitch.Summary, name=name, uuid=uuid, numPorts=128),
    )
    switch.compute(
        portgroup=lambda: [
            managed.ref
            for managed in inventory.of_kind(vim.dvs.DistributedVirtualPortgroup)
            if isinstance(managed.memo, Portgroup) and managed.memo.switch is switch
        ]
    )
    inventory.adopt(folder, switch)
    return switch


def backing_of(inventory: Inventory, network: Managed) -> DataObject:
    """The adapter backing that connects to the network; on a distributed portgroup with a port of its own."""
    card = vim.vm.device.VirtualEthernetCard
    if isinstance(network.memo, Portgroup):
        port = make(
            vim.dvs.PortConnection,
            switchUuid=network.memo.switch["uuid"],
            portgroupKey=network.moid,
            portKey=str(inventory.new_port_number()),
        )
        return card.DistributedVirtualPortBackingInfo(port=port)
    return card.NetworkBackingInfo(deviceName=network.name, network=network.ref, useAutoDetect=False)


def label_of(network: Managed) -> str:
    """What an adapter's summary says of its network: name, or `DVSwitch: <uuid>`."""
    if isinstance(network.memo, Portgroup):
        return f"DVSwitch: {network.memo.switch['uuid']}"
    return network.name
