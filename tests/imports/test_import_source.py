"""Table C, the clone, and its removal."""

from __future__ import annotations

from typing import Any

import pytest

from mgmt.protocol.commands import ConvertInstanceCommand, ImportConvertedInstanceCommand
from mgmt.store import models
from mgmt.vmware.errors import CloneError, VcenterTaskError, VcenterUnreachableError
from mgmt.vmware.records import POWER_ON, POWER_UNKNOWN


def failed(world: Any, **changes: Any) -> tuple[str | None, str]:
    """Run an import that fails at its source: the task is Failed in its first step, no host converts."""
    error = world.refused(**changes)
    assert error.job_errorcode() == 530
    assert (world.task.state, world.task.step, world.task.description) == ("Failed", "CloningInstance", error.text)
    assert world.agents.commands(ConvertInstanceCommand) == []
    world.assert_no_records()
    return error.row, error.text


@pytest.mark.parametrize("method", ["connect", "find_vm"])
def test_C1_vcenter_fails(world: Any, method: str) -> None:
    """A failure while talking to vCenter gets CloudStack's words around the reason."""
    world.vcenter.failures[method] = VcenterUnreachableError("HTTP transport error: refused")
    assert failed(world) == (
        "C1",
        "Error while finding or cloning VM: web01 from vCenter vc1: HTTP transport error: refused",
    )


def test_C2_vm_not_found(world: Any) -> None:
    """A name that the datacenter does not have is refused."""
    assert failed(world, name="nope") == ("C2", "Cannot find VM with name nope on vCenter vc1/DC1")


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"cpu_cores": 4}, "The requested CPU number (2) is less than the source VM CPU number (4)"),
        ({"cpu_reservation_mhz": 2000}, "The requested CPU speed (1000) is less than the source VM CPU speed (2000)"),
        ({"memory_mb": 2048}, "The requested Memory (1024) is less than the source VM Memory (2048)"),
        ({"cpu_cores": 4, "memory_mb": 2048}, "The requested CPU number (2) is less than the source VM CPU number (4)"),
    ],
)
def test_C3_offering_too_small(world: Any, make_source: Any, changes: dict[str, Any], text: str) -> None:
    """The offering's numbers must not be below the source's; the first one is told."""
    world.vcenter.vms["web01"] = make_source(**changes)
    assert failed(world) == ("C3", text)


def test_C3_custom_offering(world: Any, make_source: Any) -> None:
    """A custom offering's lower limits are the numbers that count."""
    world.vcenter.vms["web01"] = make_source(cpu_cores=2, memory_mb=4096)
    assert failed(world, serviceofferingid="O3")[0] == "C3"


def test_C3_before_power_state(world: Any, make_source: Any) -> None:
    """The offering is compared before the power state is looked at; unknown numbers are skipped."""
    world.vcenter.vms["web01"] = make_source(cpu_cores=4, power_state=POWER_ON, os="Windows")
    assert failed(world)[0] == "C3"
    world.vcenter.vms["web02"] = make_source("web02", cpu_cores=None, cpu_reservation_mhz=None, memory_mb=None)
    assert "CPU cores [null] is not valid" in world.refused(name="web02").text  # of the records, after table C
    assert "C4" in world.trace


def test_C4_powered_off(world: Any) -> None:
    """A stopped source is used as it is."""
    world.run()
    assert "C4" in world.trace
    assert (world.vcenter.clones, world.vcenter.destroyed) == ([], [])


@pytest.mark.parametrize("cluster", ["esx-cluster", None])
def test_C5_W2_running_windows(world: Any, make_source: Any, cluster: str | None) -> None:
    """A running Windows VM is refused, before the look at its cluster."""
    world.vcenter.vms["web01"] = make_source(power_state=POWER_ON, os="Microsoft WINDOWS Server", cluster_name=cluster)
    assert failed(world) == (
        "C5",
        (
            "VM web01 is a Windows VM and its Running, cannot be imported. Please gracefully shut it down before "
            "attempting the import"
        ),
    )


def test_C6_standalone_host(world: Any, make_source: Any) -> None:
    """A running VM on a standalone host is refused."""
    world.vcenter.vms["web01"] = make_source(power_state=POWER_ON, cluster_name=None)
    assert failed(world) == (
        "C6",
        (
            "VM web01 might be on standalone host and is Running, cannot be imported. Please shut it down before "
            "attempting the import"
        ),
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"power_state": POWER_ON},
        {"power_state": POWER_UNKNOWN, "suspended": True},
        {"power_state": POWER_UNKNOWN, "suspended": True, "os": "Windows 11"},
    ],
)
@pytest.mark.parametrize("use_vddk", [True, False])
def test_C7a_clone(world: Any, make_source: Any, changes: dict[str, Any], use_vddk: bool) -> None:
    """A running Linux VM or a suspended one is cloned under a UUID, the clone is read and destroyed after success."""
    world.vcenter.vms["web01"] = make_source(**changes)
    world.run(usevddk=use_vddk)
    (clone,) = world.vcenter.clones
    assert len(clone) == 36
    (convert,) = world.agents.commands(ConvertInstanceCommand)
    assert (convert.sourceInstance.instanceName, convert.originalVMName) == (clone, "web01")
    assert world.vcenter.destroyed == [clone]
    assert list(world.vcenter.vms) == ["web01"]
    assert world.task.state == "Completed"
    assert world.task.source_vm_name == "web01"


def test_clone_fails_in_vcenter(world: Any, make_source: Any) -> None:
    """A failed clone task is wrapped; the text of a clone that cannot be placed stands alone."""
    world.vcenter.vms["web01"] = make_source(power_state=POWER_ON)
    world.vcenter.failures["clone_vm"] = VcenterTaskError("No space left", "NoDiskSpace")
    assert failed(world) == ("C1", "Error while finding or cloning VM: web01 from vCenter vc1: No space left")


def test_clone_cannot_be_made(world: Any, make_source: Any) -> None:
    """CloudStack's own clone texts take no wrapper."""
    text = "Unable to fetch datastores, could not clone VM web01 for migration from VMware"
    world.vcenter.vms["web01"] = make_source(power_state=POWER_ON)
    world.vcenter.failures["clone_vm"] = CloneError(text)
    assert failed(world) == ("C7", text)


def test_clone_cannot_be_destroyed(world: Any, make_source: Any, caplog: pytest.LogCaptureFixture) -> None:
    """A failed removal of the clone is a warning and the import stands."""
    world.vcenter.vms["web01"] = make_source(power_state=POWER_ON)
    world.vcenter.failures["destroy_vm"] = VcenterUnreachableError("link lost")
    world.run()
    (clone,) = world.vcenter.clones
    assert f"Could not properly remove the cloned instance {clone} from VMware datacenter vc1:DC1" in caplog.text
    assert [vm.state for vm in world.rows(models.VmInstance)] == ["Stopped"]
    clean_ups = [entry.fields for entry in world.services.journal.entries(kind="import") if entry.name == "clean up"]
    assert clean_ups == [
        {
            "what": f"destroy clone {clone} in VMware datacenter vc1:DC1",
            "state": "failed",
            "reason": "link lost",
        }
    ]


def test_remote_instance(world: Any, make_source: Any) -> None:
    """Both commands carry the VM as vCenter reports it, whatever cluster and host the request names."""
    world.vcenter.vms["web01"] = make_source(path="vm/Prod/Web")
    world.run(clustername="other", hostip="other")
    (convert,) = world.agents.commands(ConvertInstanceCommand)
    (taken,) = world.agents.commands(ImportConvertedInstanceCommand)
    source = convert.sourceInstance
    assert taken.sourceInstance == source
    assert (source.hypervisorType, source.instanceName, source.instancePath) == ("VMware", "web01", "vm/Prod/Web")
    assert (source.vcenterHost, source.datacenterName, source.vcenterUsername) == (
        "vc1",
        "DC1",
        "administrator@vsphere.local",
    )
    assert (source.clusterName, source.hostName) == ("esx-cluster", "esx1")


def test_name_of_another_case(world: Any) -> None:
    """vCenter finds names in any case; the command names the VM as it is called there."""
    world.run(name="WEB01")
    (convert,) = world.agents.commands(ConvertInstanceCommand)
    assert (convert.sourceInstance.instanceName, convert.originalVMName) == ("web01", "WEB01")


def test_existing_vcenter(world: Any) -> None:
    """A linked datacenter gives host, name, user and password; the request's own values are ignored."""
    world.run(existingvcenterid="DC", vcenter=None)
    (credentials,) = world.vcenter.credentials
    assert (credentials.host, credentials.datacenter, credentials.username, credentials.password) == (
        "vc-lab:8443",
        "lab-dc",
        "linked-user",
        "linked-Secret-7",
    )
    assert (world.task.vcenter, world.task.datacenter) == ("vc-lab:8443", "lab-dc")
    number = world.id_of("DC")
    assert {text for _, _, text, _ in world.events} == {
        f"Importing unmanaged VM: null from existing vCenter Datacenter with ID: {number} - VM: web01"
    }
