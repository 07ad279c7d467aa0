"""The main job over its four real edges: HTTP, jobs, vCenter, agents."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from cloudstack_mock import ApiCallError, ApiClient


def agent_commands(lab: Any) -> list[tuple[str, str]]:
    """(host, command) of the import's commands, in the order in which they were sent."""
    return [
        (str(entry.fields["host"]), entry.name)
        for entry in lab.world.server.services.journal.entries(kind="agent")
        if entry.name in {"CheckConvertInstanceCommand", "ConvertInstanceCommand", "ImportConvertedInstanceCommand"}
    ]


def test_hosts_show_their_vddk_version(lab: Any) -> None:
    """listHosts shows two hosts with VDDK and one without, all Up."""
    hosts = lab.client.call("listHosts", type="Routing")["host"]
    details = {host["name"]: host["details"] for host in hosts}
    assert {host["state"] for host in hosts} == {"Up"}
    assert details["kvm1"]["host.vddk.support"] == details["kvm2"]["host.vddk.support"] == "true"
    assert details["kvm1"]["host.vddk.version"] and details["kvm2"]["host.vddk.version"]
    assert details["kvm3"].get("host.vddk.support", "false") == "false"
    assert "host.vddk.version" not in details["kvm3"]
    assert all(host["instanceconversionsupported"] is True for host in hosts)


def test_import_by_vddk(start_lab: Any) -> None:
    """A stopped two-disk VM comes out as a stopped KVM VM, converted and imported on one VDDK host."""
    lab = start_lab()
    vm = lab.import_vm("web01")
    assert (vm["name"], vm["displayname"], vm["state"], vm["hypervisor"]) == ("web01", "web01", "Stopped", "KVM")
    assert "hostid" not in vm
    listed = lab.one("listVirtualMachines", "virtualmachine", id=vm["id"], listall=True)
    assert listed == vm
    volumes = lab.client.call("listVolumes", virtualmachineid=vm["id"], listall=True)["volume"]
    source = lab.source("web01")
    assert sorted(volume["type"] for volume in volumes) == ["DATADISK", "ROOT"]
    assert sorted(volume["size"] for volume in volumes) == sorted(disk["capacity"] for disk in source["disk"])
    assert {volume["state"] for volume in volumes} == {"Ready"}
    nics = lab.client.call("listNics", virtualmachineid=vm["id"])["nic"]
    assert [nic["macaddress"] for nic in nics] == [nic["macaddress"] for nic in source["nic"]]
    commands = agent_commands(lab)
    assert [command for _, command in commands] == [
        "CheckConvertInstanceCommand",
        "ConvertInstanceCommand",
        "ImportConvertedInstanceCommand",
    ]
    assert len({host for host, _ in commands}) == 1
    assert commands[0][0] in {"kvm1", "kvm2"}
    (task,) = lab.tasks("completed")
    assert (task["state"], task["step"], task["virtualmachineid"]) == ("Completed", "[5/5] Completed", vm["id"])
    assert task["description"].startswith("Completed at ")
    assert lab.tasks("failed") == lab.tasks("running") == []


def test_import_by_ovf(lab: Any) -> None:
    """With usevddk=false the host exports the OVF itself, and the VM comes out the same."""
    before = len(lab.journal("tool"))
    vm = lab.import_vm("db01", usevddk=False)
    assert vm["state"] == "Stopped"
    runs = [entry.fields["argv"] for entry in lab.journal("tool")[before:]]
    assert any(argv[0] == "ovftool" for argv in runs)
    assert any(argv[:5] == ["virt-v2v", "--root", "first", "-i", "ova"] for argv in runs)
    assert not any("vddk" in " ".join(argv) for argv in runs if argv[0] == "virt-v2v")


def test_vddk_run_has_the_real_command_line(lab: Any) -> None:
    """The converting host runs virt-v2v with the vpx address, the password file, the library and a thumbprint."""
    before = len(lab.journal("tool"))
    lab.import_vm("web01", hostname="web01-by-vddk")
    lines = [" ".join(e.fields["argv"]) for e in lab.journal("tool")[before:]]
    line = next(line for line in lines if "-it vddk" in line)
    host, port = lab.world.vcenter.address
    assert f"-ic 'vpx://administrator%40vsphere.local@{host}:{port}/lab-dc/" in line
    assert "?no_verify=1'" in line
    assert f"/tmp/v2v.pass.cloud.{host}" in line
    assert "-io vddk-libdir=" in line
    assert "-io vddk-thumbprint=" in line
    assert " web01 -o local -os /mnt/" in line
    assert "-of qcow2 -on " in line


def test_running_linux_vm_is_cloned_and_the_clone_is_gone(lab: Any) -> None:
    """A running Linux VM is imported through a clone, which is destroyed afterwards."""
    calls_before = len(lab.journal("vcenter"))
    before = {
        vm["name"]
        for vm in lab.client.call("listVmwareDcVms", existingvcenterid=lab.datacenter_id())["unmanagedinstance"]
    }
    vm = lab.import_vm("app01", usevddk=False)
    assert vm["state"] == "Stopped"
    after = {
        vm["name"]
        for vm in lab.client.call("listVmwareDcVms", existingvcenterid=lab.datacenter_id())["unmanagedinstance"]
    }
    assert after == before
    calls = [entry.name for entry in lab.journal("vcenter")[calls_before:]]
    assert "CloneVM_Task" in calls
    assert "Destroy_Task" in calls


@pytest.mark.parametrize(("name", "hostname"), [("web 01 + cache", "renamed"), ("büro-süd-ä1", "renamed-too")])
def test_names_with_blanks_plus_and_umlauts_are_found(lab: Any, name: str, hostname: str) -> None:
    """A VM whose name needs encoding everywhere is imported by OVF, with a host name of its own."""
    vm = lab.import_vm(name, usevddk=False, hostname=hostname, displayname=name)
    assert (vm["name"], vm["displayname"], vm["state"]) == (hostname, name, "Stopped")


def failed(lab: Any, name: str = "web01", **changes: Any) -> tuple[int, str]:
    with pytest.raises(ApiCallError) as raised:
        lab.import_vm(name, **changes)
    assert raised.value.body is not None
    return raised.value.body["errorcode"], raised.value.body["errortext"]


def external(lab: Any, **changes: Any) -> dict[str, Any]:
    """The parameters that name the lab's vCenter as an external one."""
    ready = lab.ready["vcenter"]
    return {
        "existingvcenterid": None,
        "vcenter": f"{ready['host']}:{ready['port']}",
        "datacentername": ready["datacenter"],
        "username": ready["username"],
        "password": ready["password"],
    } | changes


def test_wrong_vcenter_password(lab: Any) -> None:
    """A wrong vCenter password fails the job with the wrapped text of vCenter, and the task stays as Failed."""
    parameters = external(lab, password="certainly-wrong")
    code, text = failed(lab, **parameters)
    assert code == 530
    assert text.startswith(f"Error while finding or cloning VM: web01 from vCenter {parameters['vcenter']}: ")
    assert "Cannot complete login due to an incorrect user name or password." in text
    assert "certainly-wrong" not in text
    assert lab.tasks("failed")[0]["step"] == "[2/5] CloningInstance"


def test_missing_vm(lab: Any) -> None:
    """A VM that the vCenter does not have fails the job with CloudStack's text."""
    parameters = lab.import_parameters("web01") | {"name": "no-such-vm"}
    with pytest.raises(ApiCallError) as raised:
        lab.client.run("importVm", parameters, poll_interval_s=0.01)
    host, port = lab.world.vcenter.address
    assert raised.value.body == {
        "errorcode": 530,
        "errortext": f"Cannot find VM with name no-such-vm on vCenter {host}:{port}/lab-dc",
    }


def test_host_without_vddk(start_lab: Any) -> None:
    """Faithful: the reason is hidden behind the null-task text; with the fix the host's own reason comes out."""
    faithful, repaired = start_lab(), start_lab(fix=("null-task-error-text",))
    code, text = failed(faithful, convertinstancehostid=faithful.host("kvm3")["id"])
    assert (code, text) == (
        530,
        'Cannot invoke "com.cloud.vm.ImportVMTaskVO.setUpdated(java.util.Date)" because "importVMTaskVO" is null',
    )
    code, text = failed(repaired, convertinstancehostid=repaired.host("kvm3")["id"])
    assert code == 530
    assert "doesn't support conversion of instance web01 from VMware to KVM due to: " in text
    assert "Cannot convert the instance from VMware using VDDK on host 192.0.2.13." in text
    reasons = [str(e.fields) for e in faithful.world.server.services.journal.entries(kind="import")]
    assert any("using VDDK on host 192.0.2.13" in reason for reason in reasons)


def test_unsuitable_pool(lab: Any) -> None:
    """Forcing the conversion into an RBD pool is refused by its type."""
    pool = lab.one("listStoragePools", "storagepool", name="rbd-unsuitable")
    assert failed(lab, convertinstancepoolid=pool["id"], forceconverttopool=True) == (
        530,
        "The selected storage pool rbd-unsuitable does not support direct conversion as its type RBD",
    )


def test_wrong_signature(lab: Any) -> None:
    """A call signed with another key gets CloudStack's 401, and the server goes on."""
    intruder = ApiClient(lab.client.url, lab.client.api_key, "another-secret-key")
    with pytest.raises(ApiCallError) as raised:
        intruder.call("listZones")
    intruder.close()
    assert raised.value.body == {
        "uuidList": [],
        "errorcode": 401,
        "errortext": "unable to verify user credentials and/or request signature",
    }
    assert lab.client.call("listZones")["count"] == 1


def test_two_servers_in_one_process(start_lab: Any) -> None:
    """Two worlds side by side share nothing: an import into one is not seen in the other."""
    first, second = start_lab(), start_lab()
    first.import_vm("web01")
    assert first.client.call("listVirtualMachines", listall=True)["count"] == 1
    assert second.client.call("listVirtualMachines", listall=True) == {}
    assert second.tasks() == []


def test_state_survives_a_restart_on_a_database_file(start_lab: Any, tmp_path: Path) -> None:
    """A server started again on its database still has the imported VM, and its hosts come back Up."""
    url = f"sqlite:///{tmp_path / 'cloud.db'}"
    first = start_lab(database=url)
    vm = first.import_vm("web01")
    first.world.stop()
    second = start_lab(database=url)
    assert second.one("listVirtualMachines", "virtualmachine", listall=True)["id"] == vm["id"]
    assert second.client.call("listHosts", type="Routing", state="Up")["count"] == 3
    assert second.import_vm("db01")["state"] == "Stopped"


def test_a_job_found_running_at_start_is_ended(start_lab: Any, tmp_path: Path) -> None:
    """A job that a stopped server left running is failed by the next one with CloudStack's text."""
    database = tmp_path / "cloud.db"
    first = start_lab(database=f"sqlite:///{database}")
    first.import_vm("web01")
    first.world.stop()
    with sqlite3.connect(database) as raw:
        raw.execute("update async_job set status = 0, result = null, completed = null")
        (job_id,) = raw.execute("select uuid from async_job").fetchone()
    raw.close()
    second = start_lab(database=f"sqlite:///{database}")
    job = second.client.call("queryAsyncJobResult", jobid=job_id)
    assert job["jobstatus"] == 2
    assert job["jobresult"]["errortext"] == "job cancelled because of management server restart or shutdown"
