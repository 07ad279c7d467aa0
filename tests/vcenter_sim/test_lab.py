"""The shipped lab inventory has the kinds of VMs that imports are tried with."""

from __future__ import annotations

from typing import Any

from pyVmomi import vim

from vcenter_sim import devices
from vcenter_sim.inventory import Managed
from vcenter_sim.server import VcenterSim


def vm_of(lab: VcenterSim, name: str) -> Managed:
    vm = lab.inventory.find_vm(name)
    assert vm is not None
    return vm


def shape_of(lab: VcenterSim, name: str) -> tuple[str, int, int]:
    """Power state, number of disks, number of adapters."""
    vm = vm_of(lab, name)
    hardware = vm["config"].hardware.device
    return vm["runtime"].powerState, len(devices.disks_of(hardware)), len(devices.nics_of(hardware))


def test_the_vms_that_others_rely_on_are_as_agreed(lab: VcenterSim) -> None:
    """web01, db01 and app01 have the power state, disks and adapters that tests elsewhere count on."""
    assert shape_of(lab, "web01") == ("poweredOff", 2, 1)
    assert shape_of(lab, "db01") == ("poweredOff", 1, 2)
    assert shape_of(lab, "app01") == ("poweredOn", 2, 1)
    assert (lab.username, lab.password) == ("administrator@vsphere.local", "VMware1!lab")


def test_all_kinds_are_there(lab: VcenterSim) -> None:
    """Windows and Linux, 0 to 4 disks, all power states, UEFI with secure boot, a template, a nested folder."""
    vms = lab.inventory.vms
    assert len(vms) >= 14
    assert {vm["runtime"].powerState for vm in vms} == {"poweredOn", "poweredOff", "suspended"}
    assert {len(devices.disks_of(vm["config"].hardware.device)) for vm in vms} == {0, 1, 2, 4}
    assert any("Windows" in vm["config"].guestFullName and vm["runtime"].powerState == "poweredOn" for vm in vms)
    assert any(vm["config"].template for vm in vms)
    assert any(vm["config"].firmware == "efi" and vm["config"].bootOptions.efiSecureBootEnabled for vm in vms)
    assert all(8 <= disk.capacityInBytes / 1024**3 <= 200 for vm in vms for disk in
               devices.disks_of(vm["config"].hardware.device))  # fmt: skip
    nested = lab.inventory.find(vm_of(lab, "web 01 + cache")["parent"])
    assert (nested.name, lab.inventory.find(nested["parent"]).name) == ("Web", "Prod")


def test_one_running_vm_is_on_a_standalone_host(lab: VcenterSim) -> None:
    """Its host's parent is no cluster."""
    vm = vm_of(lab, "edge-standalone")
    host = lab.inventory.find(vm["runtime"].host)
    assert (vm["runtime"].powerState, host.name) == ("poweredOn", "esx3.lab.example")
    assert type(host["parent"]) is vim.ComputeResource


def test_identities_are_unique(lab: VcenterSim) -> None:
    """No two VMs share a uuid, a MAC address, a disk file or a disk object id."""
    vms = lab.inventory.vms
    hardware = [device for vm in vms for device in vm["config"].hardware.device]
    groups: list[list[Any]] = [
        [vm["config"].uuid for vm in vms],
        [vm["config"].instanceUuid for vm in vms],
        [nic.macAddress for nic in devices.nics_of(hardware)],
        [disk.backing.fileName for disk in devices.disks_of(hardware)],
        [disk.diskObjectId for disk in devices.disks_of(hardware)],
    ]
    for group in groups:
        assert len(group) == len(set(group))
