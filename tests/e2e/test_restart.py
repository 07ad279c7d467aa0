"""A restart of the server in the middle of an import: what stays, as upstream and repaired."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from agent_sim.ledger import PROCESS
from cloudstack_mock import ApiClient, World
from mgmt.life.hostsetup import NoHostSetup
from mgmt.quirks import LOST_ANSWER_FILES_LEFT, STOP_LEAVES_IMPORT, TEMPORARY_MOUNT_LEFT
from mgmt.starting import StartError


@pytest.mark.parametrize("is_repaired", [False, True], ids=["faithful", "repaired"])
def test_stop_leaves_import(start_lab: Any, tmp_path: Path, wait_until: Any, is_repaired: bool) -> None:
    """The clone, what the host goes on to make, and a Running task stay, or all of it is undone and the task Failed."""
    fix = (STOP_LEAVES_IMPORT, LOST_ANSWER_FILES_LEFT, TEMPORARY_MOUNT_LEFT) if is_repaired else ()
    lab = start_lab(extensions=True, time_scale=300, database=f"sqlite:///{tmp_path}/lab.db", fix=fix)
    world, vms = lab.world, lab.world.vcenter.inventory.vm_names
    parameters = lab.import_parameters("app01", convertinstancehostid=lab.host("kvm1")["id"])
    job_id = lab.client.send("importVm", parameters)["jobid"]
    wait_until(lambda: any(item.kind == PROCESS for item in world.fleet.holdings()), "virt-v2v")
    world.restart_server()
    for member in world.fleet.agents:
        member.hypervisor.bench.time_scale = 1e9
    client = ApiClient(world.server.api_url, lab.client.api_key, lab.client.secret_key)
    wait_until(lambda: not any(member.running_commands for member in world.fleet.agents), "the end of virt-v2v")

    assert client.call("queryAsyncJobResult", jobid=job_id)["jobstatus"] == 2
    (task,) = client.call("listImportVmTasks", zoneid=lab.zone_id)["importvmtask"]
    clones = set(world.vcenter.inventory.vm_names) - set(vms)
    leaks = client.call("listImportLeaks")["importleaks"]["leak"]
    if is_repaired:
        assert (task["state"], task["description"]) == (
            "Failed",
            "The management server was stopped during the import",
        )
        assert (clones, leaks) == (set(), [])
    else:
        assert task["state"] == "Running"
        assert len(clones) == 1
        assert {"task", "clone", "mount"} <= {leak["kind"] for leak in leaks}
        assert {leak["virtualmachines"] for leak in leaks} == {"an import of an earlier server"}
    client.close()


def test_the_new_server_has_its_hosts_in_hand(start_lab: Any, tmp_path: Path, wait_until: Any) -> None:
    """After a restart, too, a cancelled import ends its tool, progress is told, and faults and host set-ups work."""
    lab = start_lab(extensions=True, time_scale=300, database=f"sqlite:///{tmp_path}/lab.db", fix=("all",))
    world = lab.world
    world.restart_server()
    client = ApiClient(world.server.api_url, lab.client.api_key, lab.client.secret_key)
    services = world.server.services
    assert services.faults is world.faults
    assert not isinstance(services.host_setup, NoHostSetup)
    job_id = client.send("importVm", lab.import_parameters("app01"))["jobid"]
    control = wait_until(lambda: services.imports.find(job_id), "the import")
    wait_until(lambda: control.progress.latest(), "the progress of virt-v2v")
    client.call("cancelImportVm", id=job_id)
    assert services.jobs.wait(job_id, 60)
    text = client.call("queryAsyncJobResult", jobid=job_id)["jobresult"]["errortext"]
    wait_until(lambda: not any(member.running_commands for member in world.fleet.agents), "the end of virt-v2v")
    assert text.endswith("was cancelled by admin at step: convert")
    assert client.call("listImportLeaks")["importleaks"]["leak"] == []
    client.close()


def test_a_memory_database_cannot_be_restarted(lab: Any) -> None:
    """A world whose database is in memory says so and goes on."""
    assert isinstance(lab.world, World)
    with pytest.raises(StartError, match="set `database`"):
        lab.world.restart_server()
    assert lab.client.call("listZones")["count"] == 1
