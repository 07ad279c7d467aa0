"""Virtual hardware as disk and NIC records."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mgmt.vmware.devices import (
    PortVlan,
    datastores_of,
    file_base_name,
    label_number,
    port_vlan_of,
    read_disks,
    read_nics,
    thin_locators,
)
from mgmt.vmware.errors import VcenterError
from mgmt.vmware.sdk import vim

device = vim.vm.device
switch = vim.dvs.VmwareDistributedVirtualSwitch


def description(label: str) -> Any:
    return vim.Description(label=label, summary="")


def disk(
    label: str | None = "Hard disk 1", *, key: int = 2000, unit: int = 0, controller: int = 1000, **more: Any
) -> Any:
    values: dict[str, Any] = {
        "key": key,
        "unitNumber": unit,
        "controllerKey": 1000,
        "deviceInfo": None if label is None else description(label),
        "capacityInKB": 1024,
        "capacityInBytes": 1 << 20,
        "diskObjectId": f"1-{key}",
        "backing": device.VirtualDisk.FlatVer2BackingInfo(fileName="[ds1] vm/vm.vmdk", diskMode="persistent"),
    }
    return device.VirtualDisk(**(values | more))


@pytest.mark.parametrize(
    ("kind", "name", "unit"),
    [
        (device.VirtualIDEController, "ide", 1),
        (device.VirtualLsiLogicSASController, "lsisas1068", 1),
        (device.VirtualLsiLogicController, "lsilogic", 1),
        (device.ParaVirtualSCSIController, "pvscsi", 1),
        (device.VirtualBusLogicController, "buslogic", 1),
        (device.VirtualAHCIController, "none", None),
        (device.VirtualNVMEController, "none", None),
    ],
)
def test_controllers(kind: Any, name: str, unit: int | None) -> None:
    """Each controller class has CloudStack's name; SATA and NVMe are `none` and have no unit."""
    (record,) = read_disks([kind(key=1000, busNumber=1), disk(unit=3)], {})
    assert (record.controller, record.controller_unit, record.position) == (name, unit, 3)


def test_disk_without_its_controller() -> None:
    """A disk whose controller is not among the devices has controller `none`."""
    (record,) = read_disks([disk()], {})
    assert (record.controller, record.controller_unit) == ("none", None)


def test_disk_fields_on_nfs() -> None:
    """A disk on NFS tells server and path of its datastore, its files as a chain, and its size in bytes."""
    store = vim.Datastore("datastore-1")
    parent = device.VirtualDisk.FlatVer2BackingInfo(fileName="[nfs1] vm/vm.vmdk", diskMode="persistent")
    backing = device.VirtualDisk.FlatVer2BackingInfo(
        fileName="[nfs1] vm/vm-000001.vmdk", diskMode="persistent", datastore=store, parent=parent
    )
    info = vim.host.NasDatastoreInfo(
        name="nfs1",
        url="",
        freeSpace=0,
        maxFileSize=0,
        nas=vim.host.NasVolume(
            name="nfs1", type="NFS", capacity=0, remoteHost="192.0.2.7", remotePath="/vol", userName=None
        ),
    )
    devices = [device.ParaVirtualSCSIController(key=1000, busNumber=0), disk(backing=backing, capacityInBytes=5 << 30)]
    (record,) = read_disks(devices, {"datastore-1": info})
    assert record.disk_id == "1-2000" and record.label == "Hard disk 1" and record.capacity_bytes == 5 << 30
    assert record.image_path == "[nfs1] vm/vm-000001.vmdk" and record.file_base_name == "vm-000001"
    assert json.loads(record.chain_info or "") == {
        "diskDeviceBusName": "scsi0:0",
        "diskChain": ["[nfs1] vm/vm-000001.vmdk", "[nfs1] vm/vm.vmdk"],
    }
    assert (record.datastore_name, record.datastore_host, record.datastore_path, record.datastore_type) == (
        "nfs1",
        "192.0.2.7",
        "/vol",
        "NFS",
    )
    assert datastores_of([*devices, disk(backing=backing)]) == [store]


def test_disk_on_vmfs_tells_the_name_only() -> None:
    """Of another datastore only the name is told, and of an unread one nothing."""
    backing = device.VirtualDisk.FlatVer2BackingInfo(
        fileName="[ds1] a/a.vmdk", diskMode="persistent", datastore=vim.Datastore("datastore-2")
    )
    info = vim.host.VmfsDatastoreInfo(name="ds1", url="", freeSpace=0, maxFileSize=0)
    (record,) = read_disks([disk(backing=backing)], {"datastore-2": info})
    assert (record.datastore_name, record.datastore_host, record.datastore_type) == ("ds1", None, None)
    (unread,) = read_disks([disk(backing=backing)], {})
    assert unread.datastore_name is None


def test_raw_device_mapping_has_no_image_path() -> None:
    """A disk that is no flat file has no image path, and cannot be cloned thin."""
    raw = disk(
        backing=device.VirtualDisk.RawDiskMappingVer1BackingInfo(fileName="[ds1] a/rdm.vmdk"), capacityInBytes=None
    )
    (record,) = read_disks([raw], {})
    assert (record.image_path, record.file_base_name, record.capacity_bytes) == (None, None, 1 << 20)
    with pytest.raises(ValueError, match=r"^Hard disk 1$"):
        thin_locators([raw], vim.Datastore("datastore-1"))


def test_disk_of_which_little_is_told() -> None:
    """What vCenter leaves out of a disk stays unset; the disk is there."""
    (record,) = read_disks([device.VirtualDisk(key=2000, capacityInKB=2)], {})
    assert (record.disk_id, record.label, record.capacity_bytes) == (None, None, 2048)
    assert (record.image_path, record.chain_info, record.position) == (None, None, None)


def test_disks_come_by_the_number_in_the_label() -> None:
    """Disk 10 comes after disk 2, and a label without digits first."""
    devices = [disk(label) for label in ("Hard disk 10", "Hard disk 2", "boot", None)]
    assert [record.label for record in read_disks(devices, {})] == ["boot", None, "Hard disk 2", "Hard disk 10"]


@given(st.text())
def test_any_label_has_a_number(label: str) -> None:
    """The order never fails, whatever the label; only ASCII digits count."""
    assert label_number(label) >= 0


@pytest.mark.parametrize(
    ("path", "name"),
    [("[ds] a/b.vmdk", "b"), ("[my ds] x y/b.c.vmdk", "b.c"), ("[ds] b.vmdk", "b"), ("b", "b"), (None, None)],
)
def test_file_base_name(path: str | None, name: str | None) -> None:
    """The file's name without datastore, folder and extension."""
    assert file_base_name(path) == name


def test_thin_locators_put_every_disk_on_the_datastore() -> None:
    """Each disk gets a thin locator on the target with its own mode; other devices get none."""
    store = vim.Datastore("datastore-9")
    (locator,) = thin_locators([device.VirtualFloppy(key=8000), disk()], store)
    assert (locator.diskId, locator.datastore) == (2000, store)
    assert (locator.diskBackingInfo.thinProvisioned, locator.diskBackingInfo.diskMode) == (True, "persistent")


def card(kind: Any = device.VirtualVmxnet3, label: str = "Network adapter 1", **more: Any) -> Any:
    return kind(**({"key": 4000, "deviceInfo": description(label), "macAddress": "00:50:56:00:00:01"} | more))


def no_port(switch_uuid: str, portgroup: str, port: str | None) -> PortVlan:
    raise VcenterError("no such switch")


def nics(*devices: Any, guest: Any = (), groups: Any = None, lookup: Any = no_port) -> Any:
    return read_nics(list(devices), guest_nics=guest, portgroup_vlans=groups or {}, port_vlan=lookup)


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (device.VirtualPCNet32, "PCNet32"),
        (device.VirtualVmxnet2, "Vmxnet2"),
        (device.VirtualVmxnet3, "Vmxnet3"),
        (device.VirtualE1000, "E1000"),
        (device.VirtualE1000e, "E1000"),
        (device.VirtualSriovEthernetCard, "E1000"),
    ],
)
def test_adapter_types(kind: Any, name: str) -> None:
    """Each adapter class has CloudStack's name; all others count as E1000."""
    (nic,) = nics(card(kind))
    assert (nic.adapter_type, nic.network, nic.vlan, nic.pci_slot) == (name, None, None, None)


def test_standard_portgroup() -> None:
    """A NIC on a standard portgroup has the portgroup's name and VLAN, and the PCI slot."""
    backing = device.VirtualEthernetCard.NetworkBackingInfo(deviceName="VM Network")
    slot = device.VirtualDevice.PciBusSlotInfo(pciSlotNumber=192)
    (nic,) = nics(card(backing=backing, slotInfo=slot), groups={"VM Network": 100})
    assert (nic.network, nic.vlan, nic.pci_slot, nic.mac_address) == ("VM Network", 100, "192", "00:50:56:00:00:01")
    (unknown,) = nics(card(backing=backing))
    assert (unknown.network, unknown.vlan) == ("VM Network", None)


def distributed(port_key: str = "7") -> Any:
    port = vim.dvs.PortConnection(switchUuid="aa bb", portgroupKey="dvportgroup-1", portKey=port_key)
    return device.VirtualEthernetCard.DistributedVirtualPortBackingInfo(port=port)


def test_distributed_port() -> None:
    """A NIC on a distributed switch has the port's VLANs and no network name."""
    asked = []

    def lookup(*key: Any) -> PortVlan:
        asked.append(key)
        return PortVlan(vlan=10, pvlan=20, pvlan_type="isolated")

    (nic,) = nics(card(backing=distributed()), lookup=lookup)
    assert asked == [("aa bb", "dvportgroup-1", "7")]
    assert (nic.network, nic.vlan, nic.pvlan, nic.pvlan_type) == (None, 10, 20, "isolated")


def test_nic_whose_port_is_not_told_is_left_out() -> None:
    """A fault in one NIC leaves out that NIC only, and the rest comes by the number in the label."""
    found = nics(card(label="Network adapter 10"), card(backing=distributed()), card(label="Network adapter 2"), disk())
    assert [nic.nic_id for nic in found] == ["Network adapter 2", "Network adapter 10"]


def test_guest_addresses() -> None:
    """IPv4 addresses come from the guest NIC with exactly this MAC."""
    guest = [
        vim.vm.GuestInfo.NicInfo(
            connected=True, deviceConfigId=0, macAddress="00:50:56:00:00:01", ipAddress=["192.0.2.9", "fe80::1"]
        ),
        vim.vm.GuestInfo.NicInfo(
            connected=True, deviceConfigId=1, macAddress="00:50:56:00:00:02", ipAddress=["192.0.2.10"]
        ),
    ]
    first, other = nics(card(), card(label="Network adapter 2", macAddress="00:50:56:00:00:FF"), guest=guest)
    assert first.ip_addresses == ("192.0.2.9",) and other.ip_addresses == ()


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (switch.VlanIdSpec(inherited=False, vlanId=100), PortVlan(vlan=100)),
        (switch.VlanIdSpec(inherited=False, vlanId=0), PortVlan()),
        (switch.VlanIdSpec(inherited=False, vlanId=4095), PortVlan()),
        (switch.PvlanSpec(inherited=False, pvlanId=201), PortVlan(vlan=200, pvlan=201, pvlan_type="isolated")),
        (switch.PvlanSpec(inherited=False, pvlanId=999), PortVlan()),
        (switch.PvlanSpec(inherited=False, pvlanId=0), PortVlan()),
        (switch.TrunkVlanSpec(inherited=False, vlanId=[]), PortVlan()),
        (None, PortVlan()),
    ],
)
def test_port_vlans(spec: Any, expected: PortVlan) -> None:
    """VLAN ids from 1 to 4094 count; a private VLAN brings its primary one and its kind; trunks have none."""
    private = [switch.PvlanMapEntry(primaryVlanId=200, secondaryVlanId=201, pvlanType="isolated")]
    assert port_vlan_of(spec, private) == expected
