"""SearchIndex, container views, custom fields and distributed switches."""

from __future__ import annotations

from typing import Any

import pytest
from pyVmomi import vim, vmodl

from vcenter_sim.server import VcenterSim


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("lab-dc", "lab-dc"),
        ("/lab-dc/vm/web01", "web01"),
        ("LAB-DC/vm/prod/WEB/Web 01 + Cache", "web 01 + cache"),
        ("lab-dc/vm/büro-süd-ä1", "büro-süd-ä1"),
        ("lab-dc/vm/Prod/Web", "Web"),
        ("lab-dc/host/esx-cluster", "esx-cluster"),
        ("lab-dc/host/esx-cluster/esx1.lab.example", "esx1.lab.example"),
        ("lab-dc/host/esx3.lab.example/esx3.lab.example", "esx3.lab.example"),
        ("lab-dc/network/VM Network", "VM Network"),
        ("lab-dc/datastore/nas-01", "nas-01"),
    ],
)
def test_objects_are_found_by_inventory_path(lab_client: Any, path: str, name: str) -> None:
    """FindByInventoryPath walks the tree, ignoring case."""
    assert lab_client.content.searchIndex.FindByInventoryPath(path).name == name


@pytest.mark.parametrize("path", ["lab-dc/vm/nosuch", "nosuch", "lab-dc//vm", "", "lab-dc/vm/web01/x"])
def test_a_path_to_nothing_gives_nothing(lab_client: Any, path: str) -> None:
    """FindByInventoryPath answers None, not a fault."""
    assert lab_client.content.searchIndex.FindByInventoryPath(path) is None


def test_objects_are_found_by_uuid_name_and_address(lab: VcenterSim, lab_client: Any, vm_named: Any) -> None:
    """FindByUuid, FindByDnsName, FindByIp, FindChild and FindByDatastorePath find one object or nothing."""
    search = lab_client.RetrieveContent().searchIndex
    vm = vm_named(lab_client, "app01")
    config = vm.config
    datacenter = search.FindByInventoryPath("lab-dc")
    assert search.FindByUuid(None, config.uuid, True) == vm
    assert search.FindByUuid(datacenter, config.instanceUuid.upper(), True, True) == vm
    assert search.FindByUuid(None, config.instanceUuid, True) is None
    assert list(search.FindAllByUuid(None, config.uuid, True)) == [vm]
    host = vm.runtime.host
    assert search.FindByUuid(datacenter, host.hardware.systemInfo.uuid, False) == host
    assert search.FindByDnsName(None, "APP01.lab.example", True) == vm
    assert search.FindByDnsName(None, "esx1.lab.example", False) == host
    assert search.FindByDnsName(None, "nowhere.example", False) is None
    assert search.FindByIp(None, "198.51.100.21", True) == vm
    assert search.FindByIp(None, "203.0.113.1", True) is None
    assert search.FindByIp(None, "198.51.100.21", False) is None
    assert search.FindByDatastorePath(datacenter, "[vmfs-01] app01/app01.vmx") == vm
    assert search.FindByDatastorePath(datacenter, "[vmfs-01] nosuch.vmx") is None
    assert search.FindChild(vm.parent, "WEB01").name == "web01"
    assert search.FindChild(vm.parent, "nosuch") is None


def test_container_views_follow_the_tree(lab: VcenterSim, lab_client: Any) -> None:
    """A view lists the types asked for, in or below its container; without recursion only direct children."""
    content = lab_client.RetrieveContent()
    manager, search = content.viewManager, content.searchIndex

    def viewed(container: Any, types: list[type], recursive: bool = True) -> list[str]:
        view = manager.CreateContainerView(container, types, recursive)
        names = sorted(managed.name for managed in view.view)
        view.DestroyView()
        with pytest.raises(vmodl.fault.ManagedObjectNotFound):
            _ = view.view
        return names

    assert viewed(content.rootFolder, [vim.VirtualMachine]) == lab.inventory.vm_names
    assert viewed(content.rootFolder, [vim.VirtualMachine], False) == []
    assert viewed(content.rootFolder, [], False) == ["lab-dc"]
    assert viewed(search.FindByInventoryPath("lab-dc/vm/Prod"), [vim.VirtualMachine, vim.Folder]) == [
        "Web", "web 01 + cache", "web02",
    ]  # fmt: skip
    assert viewed(search.FindByInventoryPath("lab-dc/host/esx-cluster"), [vim.HostSystem]) == [
        "esx1.lab.example", "esx2.lab.example",
    ]  # fmt: skip
    assert "edge-standalone" in viewed(search.FindByInventoryPath("lab-dc/host/esx3.lab.example"), [vim.VirtualMachine])
    with pytest.raises(vmodl.fault.InvalidArgument):
        manager.CreateContainerView(search.FindByInventoryPath("lab-dc/vm/web01"), [], True)


def test_a_view_is_live(vcenter: VcenterSim, client: Any, vm_named: Any, finish: Any) -> None:
    """A VM made after the view shows up in it."""
    content = client.RetrieveContent()
    view = content.viewManager.CreateContainerView(content.rootFolder, [vim.VirtualMachine], True)
    before = len(view.view)
    source = vm_named(client, "web01")
    spec = vim.vm.CloneSpec(location=vim.vm.RelocateSpec(), powerOn=False, template=False)
    finish(source.CloneVM_Task(source.parent, "web01-copy", spec))
    assert len(view.view) == before + 1


def test_custom_fields_are_listed_made_and_set(vcenter: VcenterSim, client: Any, vm_named: Any) -> None:
    """A field can be added once and set on a VM, where `value` then shows it."""
    manager = client.RetrieveContent().customFieldsManager
    assert [field.name for field in manager.field] == ["cloud.vm.internal.name"]
    made = manager.AddCustomFieldDef("owner", vim.VirtualMachine, None, None)
    with pytest.raises(vim.fault.DuplicateName):
        manager.AddCustomFieldDef("owner", vim.VirtualMachine, None, None)
    vm = vm_named(client, "web01")
    manager.SetField(vm, made.key, "first")
    manager.SetField(vm, made.key, "second")
    assert [(value.key, value.value) for value in vm.value] == [(made.key, "second")]
    with pytest.raises(vmodl.fault.InvalidArgument):
        manager.SetField(vm, 1, "x")


def test_the_vlan_of_a_distributed_portgroup_can_be_found(lab_client: Any, vm_named: Any) -> None:
    """QueryDvsByUuid and FetchDVPorts lead from an adapter's port to its VLAN, as CloudStack goes."""
    nic = next(
        device
        for device in vm_named(lab_client, "web02").config.hardware.device
        if isinstance(device, vim.vm.device.VirtualEthernetCard)
    )
    port = nic.backing.port
    manager = lab_client.RetrieveContent().dvSwitchManager
    switch = manager.QueryDvsByUuid(port.switchUuid)
    criteria = vim.dvs.PortCriteria(inside=True, portgroupKey=[port.portgroupKey])
    ports = {found.key: found for found in switch.FetchDVPorts(criteria)}
    assert len(ports) == 3
    assert ports[port.portKey].config.setting.vlan.vlanId == 120
    assert [found.key for found in switch.FetchDVPorts(vim.dvs.PortCriteria(portKey=[port.portKey]))] == [port.portKey]
    assert list(switch.FetchDVPorts(vim.dvs.PortCriteria(inside=False, portgroupKey=[port.portgroupKey]))) == []
    assert len(switch.FetchDVPorts(None)) == 3
    assert manager.QueryDvsByUuid("00000000-0000-0000-0000-000000000000") is None
    assert [group.name for group in switch.portgroup] == ["dvs-prod"]
