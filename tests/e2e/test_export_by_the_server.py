"""Imports whose OVF the management server makes: vCenter's lease, HTTPS, NFS, and the host's virt-v2v."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agent_sim.fleet import load_hosts
from cloudstack_mock import ApiCallError
from mgmt.errors import CloudRuntimeError
from mgmt.fixtures import fixtures_dir
from vcenter_sim import machines
from vcenter_sim.entries import ExportFaults

BY_SERVER = {"usevddk": False, "forcemstoimportvmfiles": True}


def entries(lab: Any, kind: str) -> list[Any]:
    found: list[Any] = lab.world.server.services.journal.entries(kind=kind)
    return found


def left_in_staging(lab: Any) -> list[str]:
    """OVF files and directories that exports left on the secondary storage."""
    export: Path = lab.world.fleet.export_directory("192.0.2.20", "/export/secondary")
    return [path.name for path in export.rglob("*") if path.is_dir() or path.suffix in (".ovf", ".vmdk")]


def failed(lab: Any, name: str, **changes: Any) -> tuple[int, str]:
    """Code and text of an import that fails, after which nothing of its export is left."""
    with pytest.raises(ApiCallError) as raised:
        lab.import_vm(name, **changes)
    assert raised.value.body is not None
    assert left_in_staging(lab) == []
    assert lab.world.vcenter.exports.leases_open() == []
    return raised.value.body["errorcode"], raised.value.body["errortext"]


def check_import(lab: Any, name: str, vm: dict[str, Any]) -> None:
    """The VM is stopped with the source's disks; nothing of the export is left."""
    assert (vm["state"], vm["hypervisor"]) == ("Stopped", "KVM")
    volumes = lab.client.call("listVolumes", virtualmachineid=vm["id"], listall=True)["volume"]
    source = lab.source(name)
    assert sorted(volume["size"] for volume in volumes) == sorted(disk["capacity"] for disk in source["disk"])
    assert len(vm["nic"]) == len(source["nic"])
    assert left_in_staging(lab) == []
    assert lab.world.vcenter.exports.leases_open() == []


def test_forced_export(lab: Any) -> None:
    """With forcemstoimportvmfiles the server downloads the disks and the host converts what it finds on NFS."""
    vm = lab.import_vm("web01", **BY_SERVER)
    check_import(lab, "web01", vm)
    calls = [entry.name for entry in entries(lab, "vcenter")]
    assert calls.count("GET") == 2 and "HttpNfcLeaseComplete" in calls
    runs = [entry.fields["argv"] for entry in entries(lab, "tool")]
    assert not any(argv[0] == "ovftool" for argv in runs)
    assert any(argv[:5] == ["virt-v2v", "--root", "first", "-i", "ova"] for argv in runs)
    assert not any("password" in str(entry.fields) for entry in entries(lab, "vcenter"))


def test_forced_export_of_a_running_vm(lab: Any) -> None:
    """The clone of a running VM is exported and goes."""
    before = lab.world.vcenter.inventory.vm_names
    check_import(lab, "app01", lab.import_vm("app01", **BY_SERVER))
    assert lab.world.vcenter.inventory.vm_names == before


def test_forced_export_of_a_uefi_vm(lab: Any) -> None:
    """Firmware travels in the descriptor, and its variables as one more file."""
    vm = lab.import_vm("secure-uefi", hostname="secure", convertinstancehostid=lab.host("kvm1")["id"], **BY_SERVER)
    check_import(lab, "secure-uefi", vm)


def test_forced_export_and_vddk_exclude_each_other(lab: Any) -> None:
    """VDDK is the default, so it has to be switched off for this."""
    assert failed(lab, "db01", forcemstoimportvmfiles=True) == (
        431,
        "Parameters forcemstoimportvmfiles and usevddk are mutually exclusive",
    )


def test_a_broken_download_fails_the_import(lab: Any) -> None:
    """The import ends with upstream's words, and neither lease nor files nor task are left behind."""
    lab.world.vcenter.exports.faults["db01"] = ExportFaults(cut=frozenset({0}))
    code, text = failed(lab, "db01", **BY_SERVER)
    assert (code, text) == (
        530,
        "Error create template file of the VM: db01 from vCenter {}:{}: "
        "Unable to finish the whole process to package as a OVA file".format(*lab.world.vcenter.address),
    )
    assert lab.tasks("failed")[0]["description"] == text


def test_a_lost_disk_is_missed_by_virt_v2v(lab: Any) -> None:
    """As upstream, a disk that is lost among others shows only when the host converts."""
    lab.world.vcenter.exports.faults["web01"] = ExportFaults(missing=frozenset({1}))
    code, text = failed(lab, "web01", hostname="again", displayname="again", forced=True, **BY_SERVER)
    lab.world.vcenter.exports.faults.clear()
    assert code == 530
    assert text.startswith("The convert process failed for instance web01 from VMware to KVM on host Host {")


def insert_iso(lab: Any, name: str, iso: str) -> None:
    """A CD-ROM drive with that image in it, for a VM of the stand-in."""
    inventory = lab.world.vcenter.inventory
    with inventory.lock:
        machines.insert_iso(inventory, next(vm for vm in inventory.vms if vm.name == name), iso)


def test_a_cdrom_with_an_image(lab: Any) -> None:
    """The image in a CD-ROM drive travels with the disks, whoever exports them, and the VM has none of it."""
    insert_iso(lab, "edge-stopped", "[vmfs-01] iso/tools.iso")
    for asked in (BY_SERVER, {"usevddk": False}):
        vm = lab.import_vm("edge-stopped", hostname=f"edge-{len(asked)}", forced=True, **asked)
        check_import(lab, "edge-stopped", vm)


def test_a_cdrom_whose_image_is_gone(lab: Any) -> None:
    """vCenter gives no lease on such a VM, and ovftool cannot open the file (F-33)."""
    iso, host = "[nas-01] iso/linux.iso", lab.host("kvm1")["id"]
    on_kvm1 = {"convertinstancehostid": host, "importinstancehostid": host, "forced": True}
    insert_iso(lab, "secure-uefi", iso)
    lab.world.vcenter.exports.lost_files.add(iso)
    address = "{}:{}".format(*lab.world.vcenter.address)
    text = (
        f"Error create template file of the VM: secure-uefi from vCenter {address}: "
        "File /vmfs/volumes/nas-01/iso/linux.iso was not found"
    )
    assert failed(lab, "secure-uefi", hostname="iso-1", **on_kvm1, **BY_SERVER) == (530, text)
    with pytest.raises(ApiCallError, match="Export OVA for the VM secure-uefi failed"):
        lab.import_vm("secure-uefi", hostname="iso-2", usevddk=False, **on_kvm1)
    output = [line for entry in entries(lab, "tool") for line in entry.fields["output"]]
    assert "Error: Failed to open file stream: /vmfs/volumes/nas-01/iso/linux.iso" in output
    vm = lab.import_vm("secure-uefi", hostname="iso-3", **on_kvm1)  # VDDK reads disks only
    assert vm["state"] == "Stopped"


def test_a_host_without_ovftool(start_lab: Any) -> None:
    """Without being asked to, the server exports for a host that cannot."""
    lab = start_lab()
    described = next(host for host in load_hosts(fixtures_dir() / "hosts" / "lab.yaml", {}) if host.name == "kvm3")
    lab.world.fleet.kill("kvm3")
    lab.world.fleet.revive("kvm3", replace(described, tools=replace(described.tools, ovftool=None)))
    assert lab.world.fleet.wait_for(lambda: lab.world.fleet.agent("kvm3").is_ready, 60)
    assert lab.world.server.agents.wait_for_hosts_up([described.full_guid], timeout_s=60)
    host = lab.host("kvm3")
    vm = lab.import_vm("web01", usevddk=False, convertinstancehostid=host["id"])
    check_import(lab, "web01", vm)
    assert "ExportVm" in [entry.name for entry in entries(lab, "vcenter")]
    runs = [(entry.fields["host"], entry.fields["argv"][0]) for entry in entries(lab, "tool")]
    assert ("kvm3", "virt-v2v") in runs and ("kvm3", "ovftool") not in runs


def test_embedded_hosts_and_server_see_the_same_nfs(lab: Any) -> None:
    """The server stages where the hosts' exports are, and refuses names that are no exports."""
    staging = lab.world.server.services.staging
    assert staging.directory("192.0.2.99", "/new/export") == lab.world.fleet.export_directory(
        "192.0.2.99", "new/export"
    )
    assert staging.directory("192.0.2.99", "/new/export").is_dir()
    with pytest.raises(
        CloudRuntimeError, match=r"^Unable to create mount point for nfs://\.\./x: \.\.:/x is no NFS export$"
    ):
        staging.directory("..", "/x")


def test_without_embedded_hosts_the_setting_counts(start_lab: Any, tmp_path: Path) -> None:
    """A server for other hosts stages below nfs_root, and without that setting nowhere."""
    (tmp_path / "192.0.2.20" / "export").mkdir(parents=True)
    lab = start_lab(agents="none", vcenter="none", nfs_root=tmp_path)
    found = lab.world.server.services.staging.directory("192.0.2.20", "/export")
    assert found == tmp_path / "192.0.2.20" / "export"
    lab = start_lab(agents="none", vcenter="none")
    with pytest.raises(CloudRuntimeError, match="the setting nfs_root does not say where it is mounted"):
        lab.world.server.services.staging.directory("192.0.2.20", "/export")


def test_updated_credentials_are_used(start_lab: Any) -> None:
    """updateVmwareDc changes what the next look into the vCenter logs in with."""
    lab = start_lab(agents="none")
    zone = lab.zone_id
    answer = lab.client.call("updateVmwareDc", zoneid=zone, password="wrong-password")["vmwaredc"]
    assert answer == {"id": lab.datacenter_id(), "name": "lab-dc"}
    with pytest.raises(ApiCallError, match="incorrect user name or password"):
        lab.source("web01")
    lab.client.call("updateVmwareDc", zoneid=zone, password=lab.world.vcenter.password)
    assert lab.source("web01")["name"] == "web01"
