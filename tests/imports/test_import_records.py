"""The records of an imported VM and what refuses them (import-vm 3.8, 2.9)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from mgmt.errors import CloudRuntimeError
from mgmt.imports.registration import Registration
from mgmt.protocol.commands import (
    ImportConvertedInstanceAnswer,
    ImportConvertedInstanceCommand,
    UnmanagedInstanceTO,
)
from mgmt.store import models

GIB = 1024**3


def data_disks(*pairs: tuple[str, str]) -> dict[str, Any]:
    return {"datadiskofferinglist": {str(i): {"disk": d, "diskOffering": o} for i, (d, o) in enumerate(pairs)}}


def answers(world: Any, change: Callable[[UnmanagedInstanceTO], None]) -> None:
    """Let the import host change its answer."""
    default = world.agents.defaults[ImportConvertedInstanceCommand]

    def answer(command: ImportConvertedInstanceCommand) -> ImportConvertedInstanceAnswer:
        given: ImportConvertedInstanceAnswer = default(command)
        assert given.convertedInstance is not None
        change(given.convertedInstance)
        return given

    world.agents.script(ImportConvertedInstanceCommand, answer)


def late(world: Any, **changes: Any) -> str:
    """Run an import that fails when the records are made: no record is left, the task is Failed in step Importing."""
    error = world.refused(**changes)
    assert error.job_errorcode() == 530
    assert (world.task.state, world.task.step, world.task.description) == ("Failed", "Importing", error.text)
    assert world.events[-1][:2] == ("Completed", "ERROR")
    world.assert_no_records()
    text: str = error.text
    return text


def test_root_and_data_disks(world: Any, make_source: Any) -> None:
    """The disk without an entry is the root, wherever it stands; data disks follow in order with their offerings."""
    world.vcenter.vms["web01"] = make_source(disks=3)
    vm_id = world.run(**data_disks(("1-2002", "d2"), ("1-2000", "d1")))
    volumes = world.rows(models.Volume)
    names = {offering.id: offering.uuid for offering in world.rows(models.DiskOffering)}
    pools = {pool.id: pool.name for pool in world.rows(models.StoragePool)}
    assert [
        (v.name, v.volume_type, v.device_id, names[v.disk_offering_id], pools[v.pool_id], v.size_bytes, v.path)
        for v in volumes
    ] == [
        (f"ROOT-{vm_id}", "ROOT", 0, "do1", "N1", 2 * GIB, "file-1"),
        (f"DATA-{vm_id}-1-2000", "DATADISK", 1, "d1", "N1", GIB, "file-0"),
        (f"DATA-{vm_id}-1-2002", "DATADISK", 2, "d2", "N2", 3 * GIB, "file-2"),
    ]
    details = {detail.name: detail.value for detail in world.rows(models.VmDetail)}
    assert details["dataDiskController"] == "virtio"


def test_3p8i3_number_of_mappings(world: Any, make_source: Any) -> None:
    """Every disk but the root needs an entry; this is told after the conversion."""
    world.vcenter.vms["web01"] = make_source(disks=3)
    assert late(world, **data_disks(("1-2001", "d1"))) == (
        "VM has total 3 disks for which 1 disk offering mappings provided. 2 disks need a disk offering for import"
    )


def test_3p8i3_mappings_of_other_disks(world: Any, make_source: Any) -> None:
    """Entries for disks that are not there leave several disks without one."""
    world.vcenter.vms["web01"] = make_source(disks=2)
    assert late(world, **data_disks(("9", "d1"))) == (
        "VM has total 2 disks, disk offering mapping not provided for 1 disks. Disk IDs that may need a disk offering "
        "- 1-2000, 1-2001"
    )


def test_3p8i4_root_disk_without_controller(world: Any) -> None:
    """A root disk without a controller cannot be told."""
    answers(world, lambda instance: setattr((instance.disks or [])[0], "controller", None))
    assert late(world) == "VM import failed. Unable to retrieve root disk details for VM: web01 "


def test_3p8i5_size_missing(world: Any) -> None:
    """A disk without a size is refused when the offering has none either."""
    answers(world, lambda instance: setattr((instance.disks or [])[0], "capacity", 0))
    assert late(world) == "Size of disk(ID: 1-2000) is found invalid during VM import"


def test_root_takes_the_offering_size(world: Any) -> None:
    """A root disk without a size takes its offering's."""
    world.change("do1", disk_size_bytes=5 * GIB)
    answers(world, lambda instance: setattr((instance.disks or [])[0], "capacity", None))
    world.run()
    assert [volume.size_bytes for volume in world.rows(models.Volume)] == [5 * GIB]


def test_3p8i5_fixed_offering_too_small(world: Any, make_source: Any) -> None:
    """A fixed data offering must be as large as the disk."""
    world.vcenter.vms["web01"] = make_source(disks=2)
    assert late(world, **data_disks(("1-2001", "d3"))) == (
        "Size of disk offering(ID: d3) 1GB is found less than the size of disk(ID: 1-2001) 2GB during VM import"
    )


def test_3p8i5_fixed_offering_without_size(world: Any, make_source: Any) -> None:
    """A fixed data offering of size 0 is invalid."""
    world.vcenter.vms["web01"] = make_source(disks=2)
    world.change("d3", disk_size_bytes=0)
    assert late(world, **data_disks(("1-2001", "d3"))) == (
        "Size of fixed disk offering(ID: d3) is found invalid during VM import"
    )


def test_3p8i5_controllers_of_data_disks(world: Any, make_source: Any) -> None:
    """All data disks must hang on one kind of controller."""
    world.vcenter.vms["web01"] = make_source(disks=3)
    answers(world, lambda instance: setattr((instance.disks or [])[2], "controller", "scsi"))
    assert late(world, **data_disks(("1-2001", "d1"), ("1-2002", "d1"))) == (
        "Multiple data disk controllers of different type (virtio, scsi) are not supported for import. Please make "
        "sure that all data disk controllers are of the same type"
    )


def test_pool_by_part_of_the_path(world: Any) -> None:
    """A pool is found by a part of its path too, and its tags must fit."""

    def elsewhere(instance: UnmanagedInstanceTO) -> None:
        disk = (instance.disks or [])[0]
        disk.datastoreHost, disk.datastorePath, disk.datastoreName = "198.51.100.1", "/export/N1", "x"

    answers(world, elsewhere)
    world.run()
    assert [volume.pool_id for volume in world.rows(models.Volume)] == [world.id_of("pool-N1")]
    world.change("do1", tags="gold")
    answers(world, elsewhere)
    assert "Storage pool for disk" in world.refused(hostname="b", forced=True).text


def test_3p8i5_volume_limit(world: Any) -> None:
    """The limits of volumes and primary storage are checked with the records."""
    world.change("l2", account_id=world.id_of("bob-account"))
    world.change("bob-account", limits={"volume": 0})
    text = late(world, account="bob", domainid="ROOT")
    assert text.startswith("Volume resource allocation error for owner: bob-account. Maximum amount of resources")


def test_custom_offering(world: Any) -> None:
    """A custom offering takes the source's CPU and memory and the details' speed; all of it becomes VM details."""
    world.run(serviceofferingid="O3", details={"0": {"cpuSpeed": "1500", "cpuNumber": "7", "vddk.lib.dir": " /x "}})
    (vm,) = world.rows(models.VmInstance)
    assert (vm.cpu_number, vm.cpu_speed_mhz, vm.memory_mb) == (1, 1500, 512)
    assert {detail.name: detail.value for detail in world.rows(models.VmDetail)} == {
        "cpuNumber": "1",
        "cpuSpeed": "1500",
        "memory": "512",
        "vddk.lib.dir": " /x ",
        "deployvm": "true",
        "rootDiskController": "virtio",
        "nicAdapter": "virtio",
    }
    created = world.rows(models.UsageEvent)[0]
    assert (created.zone_id, created.details) == (
        vm.account_id,
        {"cpuNumber": "1", "memory": "512", "cpuSpeed": "1500"},
    )


@pytest.mark.parametrize(
    ("source", "details", "reason"),
    [
        ({}, {}, "Invalid CPU speed value, specify a value between 1 and 2147483647"),
        ({"cpu_speed_mhz": 1}, {"mincpunumber": "x", "maxcpunumber": "0"}, "specify a value between 1 and 0"),
        ({"cpu_speed_mhz": 1}, {"maxmemory": "100", "minmemory": ""}, "specify a value between 32 and 100"),
    ],
)
def test_3p8i1_custom_offering_refused(
    world: Any, make_source: Any, source: dict[str, Any], details: dict[str, Any], reason: str
) -> None:
    """The limits of a custom offering hold for the source's numbers; the refusal names VM and offering."""
    if details:
        world.change("O3", details=details)
    world.vcenter.vms["web01"] = make_source(**source)
    text = late(world, serviceofferingid="O3")
    assert text.startswith("Failed to import Unmanaged VM [web01] because the service offering [O3] is not compatible")
    assert reason in text


@pytest.mark.parametrize(
    ("fixed", "text"),
    [
        ({"cpu_number": 2}, "The CPU cores of this offering id:O3 is not customizable."),
        ({"memory_mb": 1024}, "The memory of this offering id:O3 is not customizable."),
    ],
)
def test_half_custom_offering(world: Any, make_source: Any, fixed: dict[str, Any], text: str) -> None:
    """An offering that fixes CPU or memory but not all takes no values for it."""
    world.change("O3", **fixed)
    world.vcenter.vms["web01"] = make_source(cpu_speed_mhz=1000)
    assert f"due to [{text} This is predefined in the Template.]." in late(world, serviceofferingid="O3")


def test_speed_of_the_offering(world: Any) -> None:
    """A custom offering with a speed of its own keeps it and stores none."""
    world.change("O3", cpu_speed_mhz=2200)
    world.run(serviceofferingid="O3")
    (vm,) = world.rows(models.VmInstance)
    assert vm.cpu_speed_mhz == 2200
    assert "cpuSpeed" not in {detail.name for detail in world.rows(models.VmDetail)}


def test_iops_and_boot_details(world: Any) -> None:
    """minIops and maxIops go to the root volume; a UEFI guest keeps its boot mode, a VNC password is stored."""

    def boots(instance: UnmanagedInstanceTO) -> None:
        instance.bootType, instance.bootMode, instance.vncPassword = "uefi", "SECURE", "vnc-word"

    answers(world, boots)
    world.run(details={"0": {"miniops": "100", "maxiops": "200"}})
    (root,) = world.rows(models.Volume)
    assert (root.min_iops, root.max_iops) == (100, 200)
    details = {detail.name: detail.value for detail in world.rows(models.VmDetail)}
    assert (details["UEFI"], details["kvm.vnc.password"]) == ("SECURE", "vnc-word")


def test_3p8i7_bad_iops(world: Any) -> None:
    """A failure while the volumes are written has its text and leaves nothing."""
    assert late(world, details={"0": {"miniops": "many"}}) == (
        'Failed to import volumes while importing vm: web01. For input string: "many"'
    )


def test_3p8i9_usage_fails(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A failure of the usage records has its text and takes all records back."""

    def broken(*_: object) -> None:
        raise CloudRuntimeError("no bus")

    monkeypatch.setattr(Registration, "add_vm_usage", broken)
    assert late(world) == "VM import failed for unmanaged vm i-2-1-VM during publishing usage records"


def test_instance_name_setting(world: Any) -> None:
    """The suffix of instance names is a setting."""
    world.set("instance.name", "LAB")
    vm_id = world.run()
    assert [vm.instance_name for vm in world.rows(models.VmInstance)] == [f"i-2-{vm_id}-LAB"]


def test_vmware_destination(world: Any) -> None:
    """A VMware cluster passes the checks and then has no usable host, as upstream."""
    assert world.reason(clusterid="V1") == (
        "H13",
        (
            f'Could not find any suitable VMware host in cluster Cluster {{id: "{world.id_of("V1")}", name: "V1", '
            "uuid: \"V1\"} with 'host.vddk.support' configured to perform the VDDK-based instance conversion"
        ),
    )
