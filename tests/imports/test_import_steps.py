"""Steps of an import that refuse nothing: what they do (import-vm 2.1, 2.7, 3.8)."""

from __future__ import annotations

from typing import Any

from mgmt.protocol.commands import ConvertInstanceCommand
from mgmt.protocol.records import Answer
from mgmt.store import models


def test_13c_cluster_whose_hosts_are_down(world: Any) -> None:
    """The listing of the cluster's hosts refuses nothing: a cluster without any is refused by table H, after V."""
    for host in ("K1", "K2"):
        world.change(host, status="Down")
    world.repair()
    assert world.refused(convertinstancepoolid="pool-N1", serviceofferingid="O2").row == "V2"
    assert world.refused().row == "H13"


def test_13d_started_event(world: Any) -> None:
    """The event is written after the maps were parsed and before the vCenter parameters are looked at."""
    world.refused(nicnetworklist={"0": {"nic": "n"}})
    assert world.events == []
    world.refused(vcenter=None, displayname="shown")
    assert world.events == [("Started", "INFO", "Importing unmanaged VM: web01", None)]


def test_13e_blank_import_source(world: Any) -> None:
    """A blank source is none of those of row 1, so the text of this step is never seen."""
    error = world.refused(importsource=" ")
    assert (error.row, error.job_errorcode()) == ("1", 530)
    assert error.text == "No enum constant org.apache.cloudstack.vm.VmImportService.ImportSource. "


def test_25_task_is_made(world: Any) -> None:
    """The task is there before vCenter is looked at, in its first step, with both hosts and the vCenter."""
    world.refused(name="nosuch", convertinstancehostid="K1", importinstancehostid="K2")
    task = world.task
    assert (task.step, task.state, task.vcenter, task.datacenter) == ("CloningInstance", "Failed", "vc1", "DC1")
    assert (task.source_vm_name, task.display_name) == ("nosuch", "nosuch")
    assert (task.convert_host_id, task.import_host_id) == (world.id_of("K1"), world.id_of("K2"))


def test_34_completed(world: Any) -> None:
    """The task ends with the VM, and the event names it."""
    vm_id = world.run()
    assert (world.task.state, world.task.step, world.task.vm_id) == ("Completed", "Completed", vm_id)
    (vm,) = world.rows(models.VmInstance)
    assert world.events[-1][0::3] == ("Completed", vm.uuid)


def test_2p7i5_vlans_are_not_compared(world: Any, make_source: Any) -> None:
    """A network of another VLAN than the source's takes the NIC."""
    world.change("l2", vlan="4000")
    world.run()
    (nic,) = world.rows(models.Nic)
    assert nic.broadcast_uri == "vlan://4000"


def test_3p8i6_record_of_the_vm(world: Any) -> None:
    """The VM is Stopped on no host; its instance name has account, number and the setting's suffix."""
    world.set("instance.name", "XY")
    vm_id = world.run(details={"0": {"keyboard": "us"}})
    (vm,) = world.rows(models.VmInstance)
    assert (vm.state, vm.power_state, vm.host_id, vm.instance_name) == ("Stopped", "PowerOff", None, f"i-2-{vm_id}-XY")
    assert {detail.name: detail.value for detail in world.rows(models.VmDetail)}["keyboard"] == "us"
    world.agents.script(ConvertInstanceCommand, Answer(result=False))
    assert world.refused(hostname="second", forced=True).row == "3.4"
