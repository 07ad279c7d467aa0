"""The life of an imported VM through the API: jobs, their instances, answers and events."""

from __future__ import annotations

import queue
from typing import Any

import pytest

from agent_sim.host import Domain
from agent_sim.toolchain.images import write_qcow2
from cloudstack_mock import ApiCallError


def test_volumes_and_destroy_through_the_api(lab: Any) -> None:
    """createVolume answers id and job; jobs name their entity and the admin's class; destroy and recover work."""
    vm = lab.import_vm("web01")
    offering = lab.one("listDiskOfferings", "diskoffering", name="Custom Disk")["id"]
    started = lab.client.call("createVolume", name="extra", zoneid=lab.zone_id, diskofferingid=offering, size=1)
    assert lab.one("listVolumes", "volume", id=started["id"])["state"] == "Allocated"
    assert lab.client.call("deleteVolume", id=started["id"]) == {"success": True}
    job_id = lab.client.call("stopVirtualMachine", id=vm["id"])["jobid"]
    assert lab.world.server.services.jobs.wait(job_id, 60)
    job = lab.client.call("queryAsyncJobResult", jobid=job_id)
    assert (job["jobinstancetype"], job["jobinstanceid"]) == ("VirtualMachine", vm["id"])
    assert job["cmd"] == "org.apache.cloudstack.api.command.admin.vm.StopVMCmdByAdmin"
    result = job["jobresult"]["virtualmachine"]
    assert (result["state"], result["jobid"], result["jobstatus"]) == ("Stopped", job_id, 0)
    destroyed = lab.client.run("destroyVirtualMachine", {"id": vm["id"]}, poll_interval_s=0.01)["virtualmachine"]
    assert destroyed["state"] == "Destroyed"
    assert lab.client.call("recoverVirtualMachine", id=vm["id"])["virtualmachine"]["state"] == "Stopped"
    renamed = lab.client.call("updateVirtualMachine", id=vm["id"], displayname="renamed")["virtualmachine"]
    assert renamed["displayname"] == "renamed"
    events = lab.client.call("listEvents", resourceid=vm["id"], resourcetype="VirtualMachine", listall=True)["event"]
    assert {event["type"] for event in events} >= {"VM.STOP", "VM.DESTROY", "VM.RECOVER", "VM.UPDATE"}
    with pytest.raises(ApiCallError, match="is not running, unable to reboot it"):
        lab.client.run("rebootVirtualMachine", {"id": vm["id"]}, poll_interval_s=0.01)


def test_a_vm_is_deployed_from_a_template(lab: Any) -> None:
    """deployVirtualMachine answers id and job, makes the disks in a pool and starts the VM with an address."""
    zone = lab.zone_id
    template = lab.client.call("listTemplates", templatefilter="executable")["template"][0]["id"]
    offering = lab.one("listServiceOfferings", "serviceoffering", name="Small Instance")["id"]
    network = lab.one("listNetworks", "network", name="lab-isolated")["id"]
    disk = lab.one("listDiskOfferings", "diskoffering", name="Custom Disk")["id"]
    wanted = {"zoneid": zone, "templateid": template, "serviceofferingid": offering, "networkids": network}
    started = lab.client.call("deployVirtualMachine", name="fresh", diskofferingid=disk, size=1, **wanted)
    assert lab.world.server.services.jobs.wait(started["jobid"], 60)
    job = lab.client.call("queryAsyncJobResult", jobid=started["jobid"])
    assert (job["jobstatus"], job["cmd"].rpartition(".")[2]) == (1, "DeployVMCmdByAdmin"), job
    vm = job["jobresult"]["virtualmachine"]
    assert (vm["id"], vm["state"], vm["templateid"]) == (started["id"], "Running", template)
    assert vm["nic"][0]["ipaddress"].startswith("10.1.1.")
    volumes = lab.client.call("listVolumes", virtualmachineid=vm["id"])["volume"]
    assert [each["state"] for each in volumes] == ["Ready", "Ready"]
    assert {each["path"] for each in volumes} <= exported_files(lab)
    with pytest.raises(ApiCallError, match="There already exists a VM by the name: fresh"):
        lab.client.call("deployVirtualMachine", name="fresh", **wanted)
    with pytest.raises(ApiCallError, match="Vm name can contain ASCII letters"):
        lab.client.call("deployVirtualMachine", name="9lives", **wanted)
    with pytest.raises(ApiCallError, match="Unable to use system template"):
        system = lab.client.call("listTemplates", templatefilter="all", name="SystemVM Template (KVM)")["template"][0]
        lab.client.call("deployVirtualMachine", **{**wanted, "templateid": system["id"]})
    with pytest.raises(ApiCallError, match="A key pair with name 'none' was not found"):
        lab.client.call("deployVirtualMachine", keypair="none", **wanted)
    still = lab.client.run("deployVirtualMachine", {"startvm": "false", **wanted}, poll_interval_s=0.01)
    assert still["virtualmachine"]["state"] == "Stopped"
    for each in (vm["id"], still["virtualmachine"]["id"]):
        lab.client.run("destroyVirtualMachine", {"id": each, "expunge": True}, poll_interval_s=0.01)


def test_a_vm_is_restored_and_scaled(lab: Any) -> None:
    """A running VM gets a new root disk and runs again; a stopped one another offering; an ISO goes in and out."""
    template = lab.client.call("listTemplates", templatefilter="executable")["template"][0]
    offerings = {each["name"]: each["id"] for each in lab.client.call("listServiceOfferings")["serviceoffering"]}
    network = lab.client.call(
        "createNetwork",
        name="scaled",
        zoneid=lab.zone_id,
        networkofferingid=lab.one("listNetworkOfferings", "networkoffering", guestiptype="Isolated")["id"],
    )["network"]["id"]

    def run(command: str, **given: Any) -> Any:
        return lab.client.run(command, given, poll_interval_s=0.01)["virtualmachine"]

    small, medium = offerings["Small Instance"], offerings["Medium Instance"]
    vm = run(
        "deployVirtualMachine",
        zoneid=lab.zone_id,
        templateid=template["id"],
        serviceofferingid=small,
        networkids=network,
    )
    implemented = lab.one("listNetworks", "network", id=network)
    assert (implemented["state"], implemented["vlan"]) == ("Implemented", "1000")
    old = lab.client.call("listVolumes", virtualmachineid=vm["id"])["volume"][0]
    restored = run("restoreVirtualMachine", virtualmachineid=vm["id"])
    (new,) = lab.client.call("listVolumes", virtualmachineid=vm["id"])["volume"]
    assert (restored["state"], new["state"], new["id"] != old["id"]) == ("Running", "Ready", True)
    assert old["path"] not in exported_files(lab)
    with pytest.raises(ApiCallError, match="Dynamically scaling virtual machines is disabled"):
        run("scaleVirtualMachine", id=vm["id"], serviceofferingid=medium)
    run("stopVirtualMachine", id=vm["id"])
    assert run("scaleVirtualMachine", id=vm["id"], serviceofferingid=medium)["cpunumber"] == 2
    again = lab.client.call("changeServiceForVirtualMachine", id=vm["id"], serviceofferingid=small)["virtualmachine"]
    assert (again["cpunumber"], again["serviceofferingname"]) == (1, "Small Instance")
    with pytest.raises(ApiCallError, match="since it already has the requested service offering"):
        lab.client.call("changeServiceForVirtualMachine", id=vm["id"], serviceofferingid=small)
    iso = lab.client.call(
        "registerIso",
        name="net",
        url="http://images.example/net.iso",
        zoneid=lab.zone_id,
        ostypeid=template["ostypeid"],
    )["iso"][0]["id"]
    with pytest.raises(ApiCallError, match="Invalid template id provided to restore the VM"):
        run("restoreVirtualMachine", virtualmachineid=vm["id"], templateid=iso)
    assert run("attachIso", id=iso, virtualmachineid=vm["id"])["isoname"] == "net"
    with pytest.raises(ApiCallError, match="Unable to delete iso, as it's used by other vms"):
        lab.client.run("deleteIso", {"id": iso}, poll_interval_s=0.01)
    assert "isoid" not in run("detachIso", virtualmachineid=vm["id"])
    with pytest.raises(ApiCallError, match="The specified VM has no ISO attached to it"):
        run("detachIso", virtualmachineid=vm["id"])
    with pytest.raises(ApiCallError, match="Failed to delete network"):
        lab.client.run("deleteNetwork", {"id": network}, poll_interval_s=0.01)
    lab.client.run("destroyVirtualMachine", {"id": vm["id"], "expunge": True}, poll_interval_s=0.01)
    for command, id_ in (("deleteIso", iso), ("deleteNetwork", network)):
        assert lab.client.run(command, {"id": id_}, poll_interval_s=0.01) == {"success": True}


def test_snapshots_are_records(lab: Any) -> None:
    """createSnapshot answers id and job; the snapshot counts, is found, tagged and deleted; each step has its event."""
    offering = lab.one("listDiskOfferings", "diskoffering", name="Custom Disk")["id"]
    vm = lab.import_vm("db01")
    volume = next(
        each for each in lab.client.call("listVolumes", virtualmachineid=vm["id"])["volume"] if each["type"] == "ROOT"
    )

    def count() -> int:
        return int(lab.one("listAccounts", "account", name="admin")["snapshottotal"])

    before = count()
    started = lab.client.call(
        "createSnapshot", volumeid=volume["id"], **{"tags[0].key": "kind", "tags[0].value": "daily"}
    )
    assert lab.world.server.services.jobs.wait(started["jobid"], 60)
    job = lab.client.call("queryAsyncJobResult", jobid=started["jobid"])
    assert (job["jobstatus"], job["jobinstancetype"], job["jobinstanceid"]) == (1, "Snapshot", started["id"]), job
    snapshot = job["jobresult"]["snapshot"]
    shown = {name: snapshot[name] for name in ("id", "state", "snapshottype", "volumeid", "virtualsize", "ostypeid")}
    assert shown == {
        "id": started["id"],
        "state": "BackedUp",
        "snapshottype": "MANUAL",
        "volumeid": volume["id"],
        "virtualsize": volume["size"],
        "ostypeid": vm["ostypeid"],
    }
    assert snapshot["name"].startswith(f"db01_{volume['name']}_2")
    assert count() == before + 1
    for wanted in (
        {"volumeid": volume["id"]},
        {"name": snapshot["name"]},
        {"snapshottype": "manual", "id": snapshot["id"]},
        {"tags[0].key": "kind", "tags[0].value": "daily"},
    ):
        (found,) = lab.client.call("listSnapshots", **wanted)["snapshot"]
        assert (found["id"], found["tags"][0]["value"]) == (snapshot["id"], "daily"), wanted
    assert lab.client.call("listSnapshots", snapshottype="recurring") == {}
    with pytest.raises(ApiCallError, match="Unsupported snapstho interval type NEVER"):
        lab.client.call("listSnapshots", volumeid=volume["id"], intervaltype="NEVER")
    with pytest.raises(ApiCallError, match="LocationType is supported only for managed storage"):
        lab.client.call("createSnapshot", volumeid=volume["id"], locationtype="primary")
    unmade = lab.client.call("createVolume", name="unmade", zoneid=lab.zone_id, diskofferingid=offering, size=1)
    with pytest.raises(ApiCallError, match="is not in Ready state but Allocated"):
        lab.client.call("createSnapshot", volumeid=unmade["id"])
    assert lab.client.run("deleteSnapshot", {"id": snapshot["id"]}, poll_interval_s=0.01) == {"success": True}
    assert (lab.client.call("listSnapshots"), count()) == ({}, before)
    events = lab.client.call("listEvents", resourceid=snapshot["id"], resourcetype="Snapshot", listall=True)["event"]
    assert sorted((event["type"], event["state"]) for event in events) == [
        (type_, state)
        for type_, states in (
            ("SNAPSHOT.CREATE", ("Completed", "Created", "Scheduled", "Started")),
            ("SNAPSHOT.DELETE", ("Completed", "Scheduled", "Started")),
        )
        for state in states
    ]
    texts = {event["description"] for event in events if event["state"] == "Scheduled"}
    assert f"creating snapshot for volume: {volume['id']}" in texts
    lab.client.call("deleteVolume", id=unmade["id"])
    lab.client.run("destroyVirtualMachine", {"id": vm["id"], "expunge": True}, poll_interval_s=0.01)


def exported_files(lab: Any) -> set[str]:
    """The files on the exports of the lab's primary pools."""
    fleet = lab.world.fleet
    return {
        entry.name
        for path in ("/export/primary", "/export/gold")
        if (directory := fleet.export_directory("192.0.2.20", path)).is_dir()
        for entry in directory.iterdir()
    }


def test_imported_vm_runs_on_its_host_and_is_expunged(start_lab: Any) -> None:
    """Start, restart, stop and expunge through the API: the simulated host really has the domain and the files."""
    lab = start_lab()
    vm = lab.import_vm("web01")
    volumes = lab.client.call("listVolumes", virtualmachineid=vm["id"])["volume"]
    disks = {volume["path"] for volume in volumes}
    assert len(disks) == 2 and disks <= exported_files(lab)

    def run(command: str, **parameters: object) -> dict[str, Any]:
        result: dict[str, Any] = lab.client.run(command, {"id": vm["id"], **parameters}, poll_interval_s=0.01)
        return result

    started = run("startVirtualMachine")["virtualmachine"]
    assert started["state"] == "Running"
    domains = lab.world.fleet.agent(started["hostname"]).hypervisor.domains
    assert domains[vm["instancename"]].state == "running"
    assert {disk.path.rpartition("/")[2] for disk in domains[vm["instancename"]].disks} == disks
    assert run("rebootVirtualMachine")["virtualmachine"]["state"] == "Running"
    assert run("stopVirtualMachine")["virtualmachine"]["state"] == "Stopped"
    assert vm["instancename"] not in domains
    data_disks = ",".join(volume["id"] for volume in volumes if volume["type"] == "DATADISK")
    run("destroyVirtualMachine", expunge=True, volumeids=data_disks)
    assert "virtualmachine" not in lab.client.call("listVirtualMachines", id=vm["id"], listall=True)
    assert exported_files(lab) & disks == set()


def test_image_in_a_pool_becomes_a_vm_and_is_let_go(start_lab: Any) -> None:
    """importVm of a qcow2 file that lies in a shared pool; unmanageVirtualMachine leaves the domain with its host."""
    lab = start_lab()
    pool = next(p for p in lab.client.call("listStoragePools")["storagepool"] if p["path"] == "/export/primary")
    directory = lab.world.fleet.export_directory("192.0.2.20", "/export/primary")
    write_qcow2(directory / "shared1.qcow2", 5 * 1024**3, allocated_bytes=1024**2)
    parameters = {
        "name": "shared1",
        "zoneid": lab.zone_id,
        "clusterid": lab.cluster_id,
        "hypervisor": "KVM",
        "importsource": "shared",
        "diskpath": "shared1.qcow2",
        "storageid": pool["id"],
        "networkid": lab.one("listNetworks", "network", listall=True, type="L2")["id"],
        "serviceofferingid": lab.one("listServiceOfferings", "serviceoffering", name="Medium Instance")["id"],
    }
    vm = lab.client.run("importVm", parameters, poll_interval_s=0.01)["virtualmachine"]
    assert lab.one("listVolumes", "volume", virtualmachineid=vm["id"])["size"] == 5 * 1024**3
    started = lab.client.run("startVirtualMachine", {"id": vm["id"]}, poll_interval_s=0.01)["virtualmachine"]
    domains = lab.world.fleet.agent(started["hostname"]).hypervisor.domains
    lab.client.run("unmanageVirtualMachine", {"id": vm["id"]}, poll_interval_s=0.01)
    kept = domains[vm["instancename"]]
    assert (kept.state, kept.persistent) == ("running", True)
    assert (directory / "shared1.qcow2").exists()
    found = lab.client.call("listUnmanagedInstances", clusterid=lab.cluster_id)["unmanagedinstance"]
    assert vm["instancename"] in {instance["name"] for instance in found}


def test_vm_of_another_kvm_host_is_copied_and_runs(lab: Any) -> None:
    """importVm from an external host: its stopped VM is listed, its disk is copied into a pool, and it starts."""
    remote = {"host": "192.0.2.60", "username": "root", "password": "lab-remote", "zoneid": lab.zone_id}
    listed = lab.client.call("listVmsForImport", hypervisor="KVM", **remote)["unmanagedinstance"]
    assert [vm["name"] for vm in listed] == ["remote1"]
    parameters = {
        "name": "remote1",
        "clusterid": lab.cluster_id,
        "hypervisor": "KVM",
        "importsource": "external",
        "nicnetworklist[0].nic": listed[0]["nic"][0]["id"],
        "nicnetworklist[0].network": lab.one("listNetworks", "network", listall=True, type="L2")["id"],
        "serviceofferingid": lab.one("listServiceOfferings", "serviceoffering", name="Medium Instance")["id"],
        **remote,
    }
    with pytest.raises(ApiCallError, match="Failed to authentication SSH user root on host"):
        lab.client.run("importVm", parameters | {"password": "wrong"}, poll_interval_s=0.01)
    vm = lab.client.run("importVm", parameters, poll_interval_s=0.01)["virtualmachine"]
    volume = lab.one("listVolumes", "volume", virtualmachineid=vm["id"])
    assert (volume["size"], volume["path"] in exported_files(lab)) == (10 * 1024**3, True)
    started = lab.client.run("startVirtualMachine", {"id": vm["id"]}, poll_interval_s=0.01)["virtualmachine"]
    assert started["state"] == "Running"


def test_running_vm_gets_a_disk_and_moves(lab: Any) -> None:
    """A new volume is a file that the running VM's host attaches; then the VM moves to another host."""
    vm = lab.import_vm("web01", displayname="mover", forced=True)
    started = lab.client.run("startVirtualMachine", {"id": vm["id"]}, poll_interval_s=0.01)["virtualmachine"]
    offering = lab.one("listDiskOfferings", "diskoffering", name="Custom Disk")["id"]
    parameters = {"name": "more", "zoneid": lab.zone_id, "diskofferingid": offering, "size": 1}
    volume = lab.client.run("createVolume", parameters, poll_interval_s=0.01)["volume"]

    def disks(host: str) -> int:
        return len(lab.world.fleet.agent(host).hypervisor.domains[vm["instancename"]].disks)

    before = disks(started["hostname"])
    attach = {"id": volume["id"], "virtualmachineid": vm["id"]}
    lab.client.run("attachVolume", attach, poll_interval_s=0.01)
    assert disks(started["hostname"]) == before + 1
    assert lab.one("listVolumes", "volume", id=volume["id"])["path"] in exported_files(lab)
    lab.client.run("detachVolume", {"id": volume["id"]}, poll_interval_s=0.01)
    assert disks(started["hostname"]) == before
    target = next(name for name in ("kvm1", "kvm2") if name != started["hostname"])
    move = {"virtualmachineid": vm["id"], "hostid": lab.host(target)["id"]}
    moved = lab.client.run("migrateVirtualMachine", move, poll_interval_s=0.01)["virtualmachine"]
    assert (moved["hostname"], disks(target)) == (target, before)
    assert vm["instancename"] not in lab.world.fleet.agent(started["hostname"]).hypervisor.domains


def test_changes_behind_the_servers_back_are_followed(lab: Any) -> None:
    """A guest that shuts down is Stopped as soon as its host tells; one that somebody starts there is Running."""
    vm = lab.import_vm("web01", displayname="followed", forced=True)
    start = {"id": vm["id"], "hostid": lab.host("kvm1")["id"]}
    lab.client.run("startVirtualMachine", start, poll_interval_s=0.01)
    agents, reports = lab.world.server.agents, queue.Queue()
    handle = agents.on_power_report

    def listen(told: Any) -> list[bool]:
        found = handle(told)
        for report in told:
            reports.put(report.is_out_of_band)
        return found  # type: ignore[no-any-return]

    agents.on_power_report = listen
    domain = lab.world.fleet.agent("kvm1").hypervisor.domains[vm["instancename"]]

    def seen() -> tuple[str, str | None]:
        while not reports.get(timeout=60):
            pass  # a ping of its turn
        found = lab.one("listVirtualMachines", "virtualmachine", id=vm["id"], listall=True)
        return found["state"], found.get("hostname")

    try:
        lab.world.fleet.end_domain("kvm1", vm["instancename"])
        assert seen() == ("Stopped", None)
        lab.world.fleet.start_domain("kvm1", domain)
        lab.world.fleet.start_domain("kvm1", Domain(name="other"))
        lab.world.fleet.end_domain("kvm1", "other")
        assert seen() == ("Running", "kvm1")
    finally:
        agents.on_power_report = handle
