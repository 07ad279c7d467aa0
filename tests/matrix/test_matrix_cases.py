"""The cases of the import's test matrix, one test each, over HTTP with simulated agents and a vCenter."""

from __future__ import annotations

import threading
from datetime import datetime
from typing import Any

import pytest
from sqlalchemy import select

from agent_sim.commands import _handlers as commands_of_hosts
from mgmt.store import models

OVF = {"usevddk": False}
FAILED = {"import_vm_task": 1}
VDDK_RULE = (
    "When using VDDK, all selected disk offerings must be compatible with the conversion storage pool, as it will "
    "become the primary storage for the imported volumes."
)
NO_VCENTER = "Please provide an existing vCenter ID or a vCenter IP/Name, parameters are mutually exclusive"
WINDOWS = {"name": "win-legacy"}
TWO_DISKS = {
    "name": "web01",
    "datadiskofferinglist[0]__disk": "1-2001",
    "datadiskofferinglist[0]__diskOffering": "D1",
}
LINUX_ON = TWO_DISKS | {"name": "app01", "datadiskofferinglist[0]__disk": "3-2001"}


def cannot_convert(lab: Any, host: str, why: str) -> str:
    return f"Cannot perform the conversion on the host {lab.shown(host)} as {why}"


def commands(lab: Any, **changes: Any) -> list[tuple[str, str]]:
    """Host and name of the commands of an import that succeeds; the VM is removed again."""
    lab.forget_commands()
    lab.expunge(lab.imported(**changes))
    return [(host, name) for host, name, _ in lab.commands()]


# Hosts


def test_H2a_host_in_maintenance(lab: Any) -> None:
    """A conversion host in maintenance is refused with its state."""
    with lab.changed("K1", resource_state="Maintenance"):
        text = cannot_convert(lab, "K1", "the host is in Maintenance state")
        lab.refused(text, convertinstancehostid="K1")


def test_H2b_disabled_host(lab: Any) -> None:
    """A disabled host converts, and does not import."""
    with lab.changed("K1", resource_state="Disabled"):
        lab.refused(
            f"Cannot import the converted instance on the host {lab.shown('K1')} as it is not in Enabled state",
            convertinstancehostid="K1",
            importinstancehostid="K1",
        )
        plan = lab.plan(convertinstancehostid="K1", importinstancehostid="K2")
    assert (plan["possible"], plan["converthost"], plan["importhost"]) == (True, "K1", "K2")


def test_H5a_host_of_another_zone(lab: Any) -> None:
    """A host of another zone is refused."""
    text = cannot_convert(lab, "K4", "it is not in the same zone as the destination cluster")
    lab.refused(text, convertinstancehostid="K4")


def test_H5b_host_of_another_cluster_by_vddk(lab: Any) -> None:
    """With VDDK a host of another cluster of the zone has both roles; it reaches pools of the whole zone only."""
    plan = lab.plan(convertinstancehostid="K3", serviceofferingid="O2")
    assert (plan["possible"], plan["converthost"], plan["importhost"], plan["pools"]) == (True, "K3", "K3", "N1,N2")
    assert plan["diskpools"] == lab.uuid("N2")


def test_H5c_host_of_another_cluster_by_ovf(lab: Any) -> None:
    """Without VDDK the import host comes from the destination cluster."""
    sent = commands(lab, convertinstancehostid="K3", **OVF)
    assert [host for host, _ in sent[:2]] == ["K3", "K3"]
    assert sent[2][0] in {"K1", "K2"}


def test_H5d_pool_of_the_destination_cluster(lab: Any) -> None:
    """A host of another cluster cannot write into the destination cluster's pool."""
    lab.refused(
        "Cannot use the storage pool N1 for the instance conversion as the host K3 for conversion is in a different "
        "cluster",
        convertinstancehostid="K3",
        convertinstancepoolid="N1",
    )


def test_H8_only_the_host_with_vddk(lab: Any) -> None:
    """Without a named host the choice falls on the one with VDDK, each time (the table's own test asks 50 times)."""
    plans = [lab.plan(convertinstancepoolid="S1") for _ in range(8)]
    assert {(plan["converthost"], plan["importhost"], plan["row"]) for plan in plans} == {("K1", "K1", "T6")}


def test_H9_no_host_has_vddk(lab: Any) -> None:
    """Without a host with VDDK any is chosen, and the check command decides."""
    with lab.changed("K1", resource_state="Disabled"):
        why = (
            f"The host {lab.shown('K2')} doesn't support conversion of instance edge-stopped from VMware to KVM due "
            "to: Cannot convert the instance from VMware using VDDK on host 192.0.2.12. Please make sure virt-v2v, "
            "nbdkit-vddk and a valid VDDK library directory are available on the host."
        )
        lab.refused(why)


def test_H12_H13_cluster_without_usable_hosts(lab: Any) -> None:
    """The texts differ by usevddk."""
    with lab.changed("K1", status="Disconnected"), lab.changed("K2", resource_state="PrepareForMaintenance"):
        start = f"Could not find any suitable KVM host in cluster {lab.shown('C1')} "
        lab.refused(f"{start}to perform the instance conversion", **OVF)
        lab.refused(
            f"{start}with 'host.vddk.support' configured to perform the VDDK-based instance conversion", usevddk=True
        )


def test_I5a_import_host_of_another_cluster(lab: Any) -> None:
    """The import host must be in the destination cluster."""
    lab.refused(
        f"Cannot import the converted instance on the host {lab.shown('K3')} as it is not in the same cluster as the "
        "destination cluster",
        importinstancehostid="K3",
    )


# Pools


def test_V2a_root_offering(lab: Any) -> None:
    """With VDDK the pool must have the tags of the compute offering: 431, and no task."""
    lab.refused(
        f"The root disk offering 'O2' is not supported by the selected conversion storage pool 'N1'. {VDDK_RULE}",
        431,
        serviceofferingid="O2",
        convertinstancepoolid="N1",
    )


def test_V4a_data_offering(lab: Any) -> None:
    """With VDDK the pool must have the tags of the data disks' offerings."""
    lab.refused(
        f"The data disk offering 'D2' is not supported by the selected conversion storage pool 'N1'. {VDDK_RULE}",
        431,
        **TWO_DISKS | {"datadiskofferinglist[0]__diskOffering": "D2"},
        convertinstancepoolid="N1",
    )


def test_V5a_tags_fit(lab: Any) -> None:
    """An offering and a pool with the same tag pass."""
    plan = lab.plan(serviceofferingid="O2", convertinstancepoolid="N2")
    assert (plan["possible"], plan["temporarylocation"], plan["diskpools"]) == (True, "N2", lab.uuid("N2"))
    assert [row["row"] for row in plan["trace"] if row["table"] == "V"] == ["V5"]


def test_V5b_without_vddk_the_root_disk_moves(lab: Any) -> None:
    """Without VDDK the pool without the tag is the temporary place, and the root disk goes where the tag is."""
    vm = lab.imported(serviceofferingid="O2", convertinstancepoolid="N1", convertinstancehostid="K2", **OVF)
    (volume,) = lab.client.call("listVolumes", virtualmachineid=vm["id"], listall=True)["volume"]
    assert volume["storageid"] == lab.uuid("N2")
    lab.expunge(vm)


def test_V5c_without_vddk_into_the_pool(lab: Any) -> None:
    """Without VDDK, straight into the pool without the tag: refused later, by table D."""
    lab.refused(
        "Cannot find suitable storage pool for disk offering O2 that belongs to the service offering O2",
        serviceofferingid="O2",
        convertinstancepoolid="N1",
        forceconverttopool=True,
        **OVF,
    )


def test_P3a_rbd(lab: Any) -> None:
    """virt-v2v cannot write into RBD."""
    lab.refused(
        "The selected storage pool R1 does not support direct conversion as its type RBD",
        forceconverttopool=True,
        convertinstancepoolid="R1",
    )


def test_T5a_local_pool_and_two_hosts(lab: Any) -> None:
    """A local pool needs one host for both roles."""
    lab.refused(
        "Please select the same host as convert and importing host and set forceconvertopool to true to use a local "
        "storage pool for conversion",
        forceconverttopool=True,
        convertinstancepoolid="L1",
        convertinstancehostid="K1",
        importinstancehostid="K2",
    )


def test_T5b_local_pool_and_one_host(lab: Any) -> None:
    """With VDDK the conversion host has both roles, and a local pool will do."""
    vm = lab.imported(forceconverttopool=True, convertinstancepoolid="L1", convertinstancehostid="K1")
    (volume,) = lab.client.call("listVolumes", virtualmachineid=vm["id"], listall=True)["volume"]
    assert volume["storageid"] == lab.uuid("L1")
    lab.expunge(vm)


def test_T6a_temporary_place_that_is_no_nfs(lab: Any) -> None:
    """The temporary place must be NFS; upstream's text has no blank after the comma."""
    lab.refused(
        "The storage pool S1 is not supported for temporary conversion location,only NFS storage pools are supported "
        "when forceconverttopool is set to false",
        convertinstancepoolid="S1",
    )


def test_T3a_zone_without_secondary_storage(lab: Any) -> None:
    """The zone is told by its internal number."""
    lab.refused(
        f"Could not find an NFS secondary storage pool on zone {lab.number('Z2')} to use as a temporary location for "
        "instance conversion",
        clusterid="C3",
    )


# Requests


def test_S16_export_by_the_server_with_vddk(lab: Any) -> None:
    """VDDK is the default, so forcemstoimportvmfiles alone is refused: 431 in both codes of the job."""
    lab.refused(
        "Parameters forcemstoimportvmfiles and usevddk are mutually exclusive", 431, forcemstoimportvmfiles=True
    )


def test_S14_both_or_no_vcenter(lab: Any) -> None:
    """Both vCenter parameters, and none of them, are told with the same words."""
    lab.refused(NO_VCENTER, 431, vcenter="vc1")
    lab.refused(NO_VCENTER, 431, existingvcenterid=None)


def test_E3a_extra_parameter_not_allowed(lab: Any) -> None:
    """An option that is not in the allowed list is named."""
    name = "convert.vmware.instance.to.kvm.extra.params.allowed"
    with lab.setting(name, "true"), lab.setting(f"{name}.list", "mac,root"):
        lab.refused("The parameter foo is not allowed by the administrator", 431, extraparams="--root first --foo")


# Sources


def test_W1_stopped_windows(lab: Any) -> None:
    """A Windows guest is asked for a second time, with its flag."""
    lab.forget_commands()
    lab.expunge(lab.imported(convertinstancehostid="K1", **WINDOWS))
    checks = [content for _, name, content in lab.commands() if name == "CheckConvertInstanceCommand"]
    assert [check["checkWindowsGuestConversionSupport"] for check in checks] == [False, True]


def test_W2_running_windows(lab: Any) -> None:
    """A running Windows VM is refused in vCenter: no conversion, and the task has Failed."""
    before = len(lab.tasks())
    lab.forget_commands()
    text = (
        "VM win-files is a Windows VM and its Running, cannot be imported. Please gracefully shut it down before "
        "attempting the import"
    )
    lab.refused(text, name="win-files", left=FAILED)
    assert [name for _, name, _ in lab.commands()] == ["CheckConvertInstanceCommand"]
    lab.left_task(before, text, "[2/5] CloningInstance")


@pytest.mark.parametrize("fails", ["nothing", "networks", "conversion", "registration"])
def test_C7a_clone_of_a_running_linux_vm(lab: Any, fails: str) -> None:
    """The clone is made and goes: after a success and after a failure of each later step."""
    calls = len(lab.world.server.services.journal.entries(kind="vcenter"))
    before = lab.footprint()["VMs in vCenter"]
    if fails == "nothing":
        lab.expunge(lab.imported(**LINUX_ON))
    elif fails == "networks":
        text = "Different number of nics found on instance <clone>: 1 vs 2 nics provided"
        _fails(
            lab,
            text,
            **LINUX_ON,
            **{"nicnetworklist[1]__nic": "other", "nicnetworklist[1]__network": "lab-l2"},
        )
    elif fails == "conversion":
        _fails(lab, None, **LINUX_ON, **{"details[0]__vddk.thumbprint": "AA"})
    else:
        _fails(
            lab,
            "VM has total 2 disks for which 0 disk offering mappings provided. 1 disks need a disk offering for import",
            name="app01",
        )
    assert lab.footprint()["VMs in vCenter"] == before
    names = [entry.name for entry in lab.world.server.services.journal.entries(kind="vcenter")][calls:]
    assert names.count("CloneVM_Task") == names.count("Destroy_Task") == 1


def _fails(lab: Any, text: str | None, **changes: Any) -> None:
    job = lab.ended(**changes)
    assert job["jobstatus"] == 2
    if text is not None:
        start, _, end = text.partition("<clone>")
        told = job["jobresult"]["errortext"]
        assert told.startswith(start) and told.endswith(end)


def test_N1t_one_nic_not_mapped(lab: Any) -> None:
    """Two NICs and one entry: the numbers are told, and the task has Failed."""
    before = len(lab.tasks())
    text = "Different number of nics found on instance db01: 2 vs 1 nics provided"
    lab.refused(text, name="db01", left=FAILED)
    lab.left_task(before, text, "[2/5] CloningInstance")


# Answers of the hosts


def test_A1_conversion_fails(lab: Any) -> None:
    """A conversion that fails is told with the host's words; nothing is imported and the error event is written."""
    before = len(lab.tasks())
    lab.forget_commands()
    text = (
        f"The convert process failed for instance edge-stopped from VMware to KVM on host {lab.shown('K1')}: "
        "Instance conversion failed for VM edge-stopped. Please check virt-v2v logs."
    )
    lab.refused(text, convertinstancehostid="K1", left=FAILED, **{"details[0]__vddk.thumbprint": "AA:BB"})
    assert [name for _, name, _ in lab.commands()] == ["CheckConvertInstanceCommand", "ConvertInstanceCommand"]
    lab.left_task(before, text, "[3/5] ConvertingInstance")
    events = lab.client.call("listEvents", listall=True, type="VM.IMPORT", pagesize=3, page=1)["event"]
    assert {(event["level"], event["state"]) for event in events[:2]} == {("ERROR", "Completed")}


def test_A2_agent_drops(lab: Any, wait_until: Any) -> None:
    """An agent that is gone during the conversion is told so, and comes back."""
    before = len(lab.tasks())

    def kill(_: Any) -> None:
        lab.hooks.clear()
        threading.Thread(target=lab.world.fleet.kill, args=("K1",)).start()

    lab.hooks.append(kill)
    try:
        job = lab.ended(convertinstancehostid="K1")
        text = job["jobresult"]["errortext"]
        assert text.startswith(f"Could not send the convert instance command to host {lab.shown('K1')} due to: ")
        assert (job["jobresultcode"], job["jobstatus"]) == (530, 2)
        lab.left_task(before, text, "[3/5] ConvertingInstance")
    finally:
        lab.world.fleet.revive("K1")
        guid = lab.world.fleet.agent("K1").hypervisor.host.full_guid
        assert lab.world.server.agents.wait_for_hosts_up([guid], timeout_s=60)
    wait_until(lambda: lab.plan(convertinstancehostid="K1")["possible"], "the host converts again")


def test_A3_import_without_disks(lab: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """An import host that answers without disks fails the import when the records are made; the disk's file stays."""
    handlers = commands_of_hosts()
    name = "com.cloud.agent.api.ImportConvertedInstanceCommand"
    real = handlers[name]

    async def without_disks(hypervisor: Any, command: Any) -> Any:
        answer = await real(hypervisor, command)
        answer.convertedInstance.disks = []
        return answer

    monkeypatch.setitem(handlers, name, without_disks)
    before = len(lab.tasks())
    text = "No attached disks found for the unmanaged VM: edge-stopped"
    lab.refused(text, convertinstancehostid="K1", left=FAILED | {"files": 1})
    lab.left_task(before, text, "[4/5] Importing")


def test_A4_pool_that_the_server_does_not_know(lab: Any) -> None:
    """A pool that is gone when the host has moved the disk into it: the disk is told, no VM is left, its file is."""
    before = len(lab.tasks())

    def remove_pool(_: Any) -> None:
        lab.hooks.clear()
        lab.change("N1", removed=datetime(2026, 1, 1))

    lab.hooks.append(remove_pool)
    disk = lab.source_disk_id("edge-stopped")
    text = f"Storage pool for disk null({disk}) with datastore: {lab.uuid('N1')} not found in zone ID: {lab.uuid('Z1')}"
    try:
        lab.refused(text, convertinstancehostid="K1", left=FAILED | {"files": 1})
    finally:
        lab.change("N1", removed=None)
    lab.left_task(before, text, "[4/5] Importing")


# Success


def test_J1_success(lab: Any) -> None:
    """The job's result is the stopped VM, the task names it, usage is recorded and the counts grow by one."""

    def counts() -> tuple[int, int]:
        account = lab.client.call("listAccounts", id=lab.uuid("admin"), listall=True)["account"][0]
        return account["vmtotal"], account["volumetotal"]

    before, vms = lab.footprint(), counts()
    job = lab.ended(convertinstancehostid="K1", hostname="j1")
    assert (job["jobstatus"], job["jobresulttype"], list(job["jobresult"])) == (1, "object", ["virtualmachine"])
    vm = job["jobresult"]["virtualmachine"]
    assert (vm["state"], vm["name"], vm["displayname"]) == ("Stopped", "j1", "edge-stopped")
    task = lab.tasks()[0]
    assert (task["state"], task["step"], task["virtualmachineid"]) == ("Completed", "[5/5] Completed", vm["id"])
    assert counts() == (vms[0] + 1, vms[1] + 1)
    assert lab.difference(before) == {
        "vm_instance": 1,
        "user_vm_details": 3,
        "volumes": 1,
        "nics": 1,
        "import_vm_task": 1,
        "usage_event": 3,
        "files": 1,
    }
    with lab.store.session() as session:
        usage = session.scalars(select(models.UsageEvent.type).order_by(models.UsageEvent.id.desc()).limit(3)).all()
    assert sorted(usage) == ["NETWORK.OFFERING.ASSIGN", "VM.CREATE", "VOLUME.CREATE"]
    lab.expunge(vm)


def test_D1t_details_of_vddk(lab: Any) -> None:
    """The library's directory goes trimmed with the check and the convert command, and stays among the details."""
    lab.forget_commands()
    library = "/opt/vmware-vddk/vmware-vix-disklib-distrib"
    vm = lab.imported(convertinstancehostid="K1", **{"details[0]__vddk.lib.dir": f" {library} "})
    sent = {name: content for _, name, content in lab.commands()}
    assert sent["CheckConvertInstanceCommand"]["vddkLibDir"] == library
    assert sent["ConvertInstanceCommand"]["vddkLibDir"] == library
    assert vm["details"]["vddk.lib.dir"] == f" {library} "
    lab.expunge(vm)


def test_D2t_details_of_another_index(lab: Any) -> None:
    """Only the first element of the map counts."""
    lab.forget_commands()
    vm = lab.imported(
        convertinstancehostid="K1", **{"details[0]__keyboard": "us", "details[1]__vddk.lib.dir": "/nowhere"}
    )
    sent = {name: content for _, name, content in lab.commands()}
    assert "vddkLibDir" not in sent["CheckConvertInstanceCommand"]
    assert "vddkLibDir" not in sent["ConvertInstanceCommand"]
    assert "vddk.lib.dir" not in vm["details"]
    lab.expunge(vm)
