"""The vCenter client against govmomi's vcsim, which shares no code with it."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from mgmt.vmware.collector import Collector, below, step
from mgmt.vmware.errors import (
    DatacenterNotFoundError,
    HostNotFoundError,
    VcenterFaultError,
    VcenterLoginError,
    VcenterTaskError,
    VcenterUnreachableError,
    VmNotFoundError,
)
from mgmt.vmware.link import VcenterLink
from mgmt.vmware.sdk import vim

pytestmark = pytest.mark.interop

CLUSTER_VMS = ["DC0_C0_RP0_VM0", "DC0_C0_RP0_VM1", "DC0_C0_RP0_VM2"]
STANDALONE_VMS = ["DC0_H0_VM0", "DC0_H0_VM1", "DC0_H0_VM2"]


@contextmanager
def admin(client: Any, running: Any) -> Iterator[VcenterLink]:
    link = client.link(running)
    try:
        yield link
    finally:
        link.close()


def datacenter_of(link: VcenterLink) -> Any:
    (found,) = Collector(link).walk(
        link.content.rootFolder, vim.Datacenter, ["vmFolder"], lambda: step(vim.Folder, "childEntity")
    )
    return found


def vm_named(link: VcenterLink, name: str) -> Any:
    found = Collector(link).walk(datacenter_of(link).reference, vim.VirtualMachine, ["name"], lambda: below("vmFolder"))
    return next(vm.reference for vm in found if vm.get("name") == name)


def run(link: VcenterLink, task: Any) -> None:
    Collector(link).wait_for_task(task)


def test_login_is_recorded_call_by_call_without_the_password(client: Any, vcsim: Any) -> None:
    """Each vCenter call is one journal entry with vCenter, duration and outcome, and none holds the password."""
    credentials = client.credentials(vcsim)
    with client.connector.connect(credentials):
        pass
    entries = client.journal.entries(kind="vcenter")
    assert [entry.name for entry in entries] == ["GetServiceVersions", "RetrieveServiceContent", "Login", "Logout"]
    assert all(entry.fields["vcenter"] == vcsim.address and entry.fields["outcome"] == "ok" for entry in entries)
    assert all(float(entry.fields["duration_ms"]) >= 0 for entry in entries)
    assert credentials.password not in repr(entries) + repr(credentials)


def test_wrong_password_is_a_login_error(client: Any, vcsim: Any) -> None:
    """A wrong password gives vCenter's own text, and the password is not in it."""
    wrong = client.credentials(vcsim, password="not-the-password")
    with pytest.raises(VcenterLoginError) as caught, client.connector.connect(wrong):
        pass
    assert caught.value.fault == "InvalidLogin"
    assert "not-the-password" not in caught.value.text
    assert client.journal.entries(kind="vcenter")[-1].fields["outcome"] == "InvalidLogin"


def test_thin_list(client: Any, vcsim: Any) -> None:
    """The list is sorted by name and tells the cluster, which a standalone host has not."""
    with client.connector.connect(client.credentials(vcsim)) as session:
        vms = session.list_vms()
    assert [vm.name for vm in vms] == CLUSTER_VMS + STANDALONE_VMS
    assert {vm.cluster_name for vm in vms if vm.name in CLUSTER_VMS} == {"DC0_C0"}
    assert {(vm.cluster_name, vm.host_name) for vm in vms if vm.name in STANDALONE_VMS} == {(None, "DC0_H0")}
    assert {(vm.power_state, vm.os_id, vm.boot_type, vm.boot_mode) for vm in vms} == {
        ("PowerOn", "otherGuest", "BIOS", "LEGACY")
    }
    assert all(vm.cpu_cores is None and not vm.disks for vm in vms)


@pytest.mark.parametrize(("keyword", "count"), [("C0_RP0", 3), ("c0_rp0", 0), ("VM1", 2), ("", 6)])
def test_keyword_is_a_case_sensitive_part_of_the_name(client: Any, vcsim: Any, keyword: str, count: int) -> None:
    """Only names that contain the keyword as it is written are listed."""
    with client.connector.connect(client.credentials(vcsim)) as session:
        assert len(session.list_vms(keyword)) == count


def test_hosts(client: Any, vcsim: Any) -> None:
    """The hosts of clusters and standalone ones are listed, by name."""
    with client.connector.connect(client.credentials(vcsim)) as session:
        hosts = session.list_hosts()
    assert [(host.name, host.cluster_name) for host in hosts] == [
        ("DC0_C0_H0", "DC0_C0"),
        ("DC0_C0_H1", "DC0_C0"),
        ("DC0_H0", None),
    ]


def test_datacenter_name_ignores_case(client: Any, vcsim: Any) -> None:
    """A datacenter is found by its name in any case."""
    with client.connector.connect(client.credentials(vcsim, datacenter="dC0")) as session:
        session.check_datacenter()


def test_missing_datacenter(client: Any, vcsim: Any) -> None:
    """`Unable to find VMware datacenter <dc> in vCenter <vcenter>`."""
    with (
        client.connector.connect(client.credentials(vcsim, datacenter="nope")) as session,
        pytest.raises(DatacenterNotFoundError) as caught,
    ):
        session.list_vms()
    assert caught.value.text == f"Unable to find VMware datacenter nope in vCenter {vcsim.address}"


def test_full_record(client: Any, vcsim: Any) -> None:
    """A VM is found by its name in any case, with hardware, host, folder and disks; its moref finds it again."""
    with client.connector.connect(client.credentials(vcsim)) as session:
        vm = session.find_vm("dc0_h0_vm0")
        assert vm is not None and vm.moref is not None
        assert session.vm_record(vm.moref) == vm
    assert (vm.name, vm.path, vm.host_name, vm.cluster_name) == ("DC0_H0_VM0", "vm", "DC0_H0", None)
    assert (vm.cpu_cores, vm.cpu_cores_per_socket, vm.memory_mb) == (1, 1, 32)
    assert vm.host_hypervisor_version
    (disk,) = vm.disks
    assert disk.capacity_bytes == 10 << 30
    assert (disk.controller, disk.controller_unit, disk.position) == ("pvscsi", 0, 0)
    assert disk.datastore_name == "LocalDS_0"
    assert disk.image_path == "[LocalDS_0] DC0_H0_VM0/disk1.vmdk" and disk.file_base_name == "disk1"


def test_unknown_names(client: Any, vcsim: Any) -> None:
    """No VM, no host and no object of that moref give nothing, CloudStack's text and vCenter's fault."""
    with client.connector.connect(client.credentials(vcsim)) as session:
        assert session.find_vm("no such VM") is None
        assert session.vm_on_host("DC0_H0", "no such VM").power_state == "PowerUnknown"
        with pytest.raises(HostNotFoundError, match=f"^Cannot find a host with name nope on vcenter {vcsim.address}$"):
            session.vm_on_host("nope", "DC0_H0_VM0")
        with pytest.raises(VmNotFoundError, match=r"^Cannot find VM with name no such VM on vCenter .*/DC0$"):
            session.destroy_vm("no such VM")
        with pytest.raises(VcenterFaultError) as caught:
            session.vm_record("vm-99999")
    assert caught.value.fault == "ManagedObjectNotFound"


def test_paging_tokens_are_followed(client: Any, vcsim: Any) -> None:
    """A page size of two still gives all six VMs, in three calls."""
    with admin(client, vcsim) as link:
        start = datacenter_of(link).reference
        before = len(client.journal.entries())
        found = Collector(link, page_size=2).walk(start, vim.VirtualMachine, ["name"], lambda: below("vmFolder"))
    assert len(found) == 6
    names = [entry.name for entry in client.journal.entries()[before:]]
    assert names == ["RetrievePropertiesEx", "ContinueRetrievePropertiesEx", "ContinueRetrievePropertiesEx", "Logout"]


def test_clone_and_destroy(client: Any, vcsim: Any) -> None:
    """A clone is powered off in the root folder, on the source's host, with the source's disk ids; then it goes."""
    with client.connector.connect(client.credentials(vcsim)) as session:
        source = session.find_vm("DC0_C0_RP0_VM0")
        assert source is not None
        source = replace(source, disks=(replace(source.disks[0], disk_id="1-2000"),))
        clone = session.clone_vm(source, "7d5b0b0a-clone")
        assert (clone.name, clone.power_state, clone.path) == ("7d5b0b0a-clone", "PowerOff", "vm")
        assert clone.clone_source_power_state == "PowerOn"
        assert clone.host_name == source.host_name and clone.moref != source.moref
        assert [disk.disk_id for disk in clone.disks] == ["1-2000"]
        session.destroy_vm("7D5B0B0A-clone")
        assert session.find_vm("7d5b0b0a-clone") is None


def test_failed_tasks_carry_the_fault(client: Any, vcsim: Any) -> None:
    """A clone under a name that is taken and a destroy of a running VM end as task errors with the fault's name."""
    with client.connector.connect(client.credentials(vcsim)) as session:
        source = session.find_vm("DC0_H0_VM1")
        assert source is not None
        with pytest.raises(VcenterTaskError) as taken:
            session.clone_vm(source, "DC0_H0_VM2")
        with pytest.raises(VcenterTaskError) as running:
            session.destroy_vm("DC0_H0_VM1")
    assert (taken.value.fault, running.value.fault) == ("DuplicateName", "InvalidPowerState")


def test_internal_names_and_marks(client: Any, own_vcsim: Any) -> None:
    """A VM goes by its custom value too, on a host only by it, and a datacenter's mark is seen."""
    with admin(client, own_vcsim) as link:
        fields = link.content.customFieldsManager
        name = fields.AddCustomFieldDef("cloud.vm.internal.name", vim.VirtualMachine)
        zone = fields.AddCustomFieldDef("cloud.zone", vim.Datacenter)
        fields.SetField(vm_named(link, "DC0_H0_VM0"), name.key, "i-2-10-VM")
        with client.connector.connect(client.credentials(own_vcsim)) as session:
            assert not session.is_managed_elsewhere()
        fields.SetField(datacenter_of(link).reference, zone.key, "true")
    with client.connector.connect(client.credentials(own_vcsim)) as session:
        assert session.is_managed_elsewhere()
        by_value = session.find_vm("I-2-10-vm")
        assert by_value is not None and by_value.name == "DC0_H0_VM0"
        on_host = session.vm_on_host("DC0_H0", "i-2-10-VM")
        assert (on_host.name, on_host.internal_cs_name) == ("DC0_H0_VM0", "i-2-10-VM")
        assert session.vm_on_host("DC0_H0", "DC0_H0_VM0").name is None
        assert session.vm_on_host("DC0_H0", "DC0_H0_VM1").internal_cs_name is None


def test_folders_and_templates(client: Any, own_vcsim: Any) -> None:
    """A VM in nested folders is listed with its path; a template is not listed."""
    with admin(client, own_vcsim) as link:
        folder = datacenter_of(link).get("vmFolder").CreateFolder("Prod").CreateFolder("Web")
        run(link, folder.MoveIntoFolder_Task([vm_named(link, "DC0_H0_VM0")]))
        template = vm_named(link, "DC0_H0_VM1")
        run(link, template.PowerOffVM_Task())
        template.MarkAsTemplate()
    with client.connector.connect(client.credentials(own_vcsim)) as session:
        moved = session.find_vm("DC0_H0_VM0")
        names = [vm.name for vm in session.list_vms()]
    assert moved is not None and moved.path == "vm/Prod/Web"
    assert "DC0_H0_VM0" in names and "DC0_H0_VM1" not in names


def test_a_vcenter_that_goes_away(client: Any, own_vcsim: Any) -> None:
    """A vCenter that stops in mid-session is an unreachable one, and so is it for the next."""
    with client.connector.connect(client.credentials(own_vcsim)) as session:
        session.check_datacenter()
        own_vcsim.stop()
        with pytest.raises(VcenterUnreachableError):
            session.list_vms()
    with (
        pytest.raises(VcenterUnreachableError, match=r"^HTTP transport error: java\.net\.ConnectException"),
        client.connector.connect(client.credentials(own_vcsim)),
    ):
        pass


def test_vcsim_leaves_nothing(own_vcsim: Any) -> None:
    """The peer ends on end of input as on SIGTERM with status 0 and removes its datastores."""
    assert own_vcsim.stop() == 0
    assert list(own_vcsim.folder.iterdir()) == []


def test_vcsim_ends_on_sigterm(own_vcsim: Any) -> None:
    """The peer ends on SIGTERM with status 0 and removes its datastores."""
    own_vcsim.process.send_signal(signal.SIGTERM)
    assert own_vcsim.process.wait(60) == 0
    assert list(own_vcsim.folder.iterdir()) == []
    own_vcsim.process.stdin.close()
    own_vcsim.process.stdout.close()
