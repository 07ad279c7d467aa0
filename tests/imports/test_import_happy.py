"""The import from VMware when everything works."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select

from mgmt.protocol.commands import CheckConvertInstanceCommand, ConvertInstanceCommand, ImportConvertedInstanceCommand
from mgmt.store import models


def test_J1_success(world: Any) -> None:
    """A VDDK import leaves a stopped VM, a completed task, usage events and the events of both moments."""
    vm_id = world.run()
    with world.services.store.session() as session:
        vm = session.scalars(select(models.VmInstance)).one()
        assert vm.id == vm_id
        assert (vm.name, vm.display_name, vm.state, vm.power_state) == ("web01", "web01", "Stopped", "PowerOff")
        assert vm.instance_name == f"i-2-{vm.id}-VM"
        assert (vm.host_id, vm.cpu_number, vm.cpu_speed_mhz, vm.memory_mb) == (None, 2, 1000, 1024)
        assert {detail.name: detail.value for detail in vm.details} == {
            "deployvm": "true",
            "rootDiskController": "virtio",
            "nicAdapter": "virtio",
        }
        (root,) = vm.volumes
        assert (root.name, root.device_id, root.state, root.path) == (f"ROOT-{vm.id}", 0, "Ready", "file-0")
        assert (root.pool.name, root.format, root.chain_info) == ("N1", "QCOW2", None)
        (nic,) = vm.nics
        assert (nic.mac_address, nic.is_default, nic.state, nic.strategy, nic.ip4_address) == (
            "00:50:56:aa:00:00",
            True,
            "Reserved",
            "Start",
            None,
        )
    assert [event.type for event in world.rows(models.UsageEvent)] == [
        "VM.CREATE",
        "VOLUME.CREATE",
        "NETWORK.OFFERING.ASSIGN",
    ]
    task = world.task
    assert (task.state, task.step, task.vm_id, task.duration_ms) == ("Completed", "Completed", vm_id, 0)
    assert task.description == "Completed at 2026-11-23 01:48:44 GMT"
    text = "Importing unmanaged VM: null from external vCenter: vc1 - datacenter: DC1 - VM: web01"
    assert world.events == [("Started", "INFO", text, None), ("Completed", "INFO", text, vm.uuid)]


def test_vddk_commands(world: Any) -> None:
    """Check, convert and import go to one host, with the fields of the VDDK path."""
    world.run(details={"0": {"vddk.lib.dir": " /x ", "vddk.transports": "nbdssl"}, "1": {"vddk.thumbprint": "AA"}})
    assert [type(command) for _, command in world.agents.sent] == [
        CheckConvertInstanceCommand,
        ConvertInstanceCommand,
        ImportConvertedInstanceCommand,
    ]
    assert len({host for host, _ in world.agents.sent}) == 1
    (check,) = world.agents.commands(CheckConvertInstanceCommand)
    assert (check.useVddk, check.vddkLibDir, check.wait) == (True, "/x", 60)
    (convert,) = world.agents.commands(ConvertInstanceCommand)
    assert (convert.wait, convert.originalVMName, convert.destinationHypervisorType) == (10800, "web01", "KVM")
    assert (convert.vddkLibDir, convert.vddkTransports, convert.vddkThumbprint) == ("/x", "nbdssl", None)
    assert (convert.checkConversionSupport, convert.exportOvfToConversionLocation) == (False, True)
    assert convert.conversionTemporaryLocation._url == "nfs://192.0.2.20/export/secondary"
    (taken,) = world.agents.commands(ImportConvertedInstanceCommand)
    assert (taken.destinationStoragePools, taken.forceConvertToPool, taken.wait) == (["pool-N1"], False, 0)
