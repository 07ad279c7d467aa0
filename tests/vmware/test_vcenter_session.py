"""Look-up, listing, records, clone and destroy against the lab's vCenter stand-in."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from types import SimpleNamespace
from typing import Any

import pytest

from mgmt.vmware.cancelling import Cancellation
from mgmt.vmware.collector import Collector
from mgmt.vmware.connector import VcenterConnector
from mgmt.vmware.devices import PortVlan
from mgmt.vmware.errors import (
    CloneError,
    DatacenterNotFoundError,
    HostNotFoundError,
    VcenterError,
    VcenterFaultError,
    VcenterLoginError,
    VcenterTaskError,
    VmNotFoundError,
)
from mgmt.vmware.records import SourceVm
from mgmt.vmware.sdk import vim
from mgmt.vmware.session import VcenterSession


def test_wrong_password(lab: Any) -> None:
    """A wrong password gives vCenter's text; neither it nor the journal has the password."""
    with pytest.raises(VcenterLoginError) as caught, lab.connector.connect(lab.credentials(password="wrong-Pass1!")):
        pass
    assert caught.value.text == "Cannot complete login due to an incorrect user name or password."
    assert "wrong-Pass1!" not in repr(lab.journal.entries()) + repr(caught.value)
    assert lab.journal.entries()[-1].fields["outcome"] == "InvalidLogin"


def test_the_password_is_masked_from_the_first_use(lab: Any) -> None:
    """Whatever text holds the password of a connection attempt is masked afterwards."""
    with lab.connector.connect(lab.credentials()):
        pass
    assert lab.redactor.text("password VMware1!lab and VMware1%21lab") == "password ***** and *****"


def test_no_setting_means_the_default_timeout(lab: Any) -> None:
    """Without a value of the setting the default of 1200 seconds applies, and the session works."""
    connector = VcenterConnector(
        SimpleNamespace(clock=lab.journal._clock), SimpleNamespace(get_int=lambda name: None), lab.journal, lab.redactor
    )
    with connector.connect(lab.credentials()) as session:
        session.check_datacenter()
        assert session._link.timeout_s == 1200


def test_datacenter_look_up(lab: Any) -> None:
    """The datacenter's name ignores case; a missing one has CloudStack's text."""
    with lab.connector.connect(lab.credentials(datacenter="LAB-dc")) as session:
        session.check_datacenter()
        assert not session.is_managed_elsewhere()
    with (
        lab.connector.connect(lab.credentials(datacenter="other")) as session,
        pytest.raises(DatacenterNotFoundError) as caught,
    ):
        session.check_datacenter()
    assert caught.value.text == f"Unable to find VMware datacenter other in vCenter {lab.vcenter}"


def test_thin_list(lab: Any) -> None:
    """VMs of all folders are listed by name in case-sensitive order, without templates and without hardware."""
    with lab.connector.connect(lab.credentials()) as session:
        before = len(lab.journal.entries())
        vms = session.list_vms()
        calls = lab.journal.entries()[before:]
    names = [vm.name for vm in vms]
    assert names == sorted(names) and len(names) >= 12
    assert {"büro-süd-ä1", "web 01 + cache", "diskless-pxe"} <= set(names) and "golden-ubuntu" not in names
    by_name = {vm.name: vm for vm in vms}
    secure = by_name["secure-uefi"]
    assert (secure.boot_type, secure.boot_mode, secure.cluster_name) == ("UEFI", "SECURE", "esx-cluster")
    suspended = by_name["batch-suspended"]
    assert (suspended.power_state, suspended.suspended) == ("PowerUnknown", True)
    standalone = by_name["edge-standalone"]
    assert (standalone.host_name, standalone.cluster_name) == ("esx3.lab.example", None)
    assert all(vm.cpu_cores is None and not vm.disks and not vm.nics for vm in vms)
    assert len(calls) == 3, "datacenter, VMs, hosts with their clusters: one call each"


@pytest.mark.parametrize(("keyword", "names"), [("web0", ["web01", "web02"]), ("WEB0", []), ("ü", ["büro-süd-ä1"])])
def test_keyword(lab: Any, keyword: str, names: list[str]) -> None:
    """A keyword is a case-sensitive part of the name."""
    with lab.connector.connect(lab.credentials()) as session:
        assert [vm.name for vm in session.list_vms(keyword)] == names


def test_hosts(lab: Any) -> None:
    """Hosts come by name with their cluster, if any."""
    with lab.connector.connect(lab.credentials()) as session:
        hosts = session.list_hosts()
    assert [(host.name, host.cluster_name) for host in hosts] == [
        ("esx1.lab.example", "esx-cluster"),
        ("esx2.lab.example", "esx-cluster"),
        ("esx3.lab.example", None),
    ]


def test_full_record_of_a_running_vm(lab: Any) -> None:
    """A running VM's CPU speed is its share of a core, and its addresses are the guest's IPv4 ones."""
    with lab.connector.connect(lab.credentials()) as session:
        vm = session.find_vm("APP01")
    assert vm is not None
    assert (vm.name, vm.path, vm.power_state) == ("app01", "vm", "PowerOn")
    assert (vm.cpu_cores, vm.cpu_cores_per_socket, vm.memory_mb) == (2, 1, 4096)
    assert (vm.cpu_speed_mhz, vm.cpu_reservation_mhz) == (2600, 1000)
    assert (vm.host_name, vm.cluster_name, vm.os) == ("esx1.lab.example", "esx-cluster", "Rocky Linux (64-bit)")
    assert vm.host_hypervisor_version == "8.0.2"
    assert [(disk.label, disk.datastore_name, disk.datastore_host) for disk in vm.disks] == [
        ("Hard disk 1", "vmfs-01", None),
        ("Hard disk 2", "nas-01", "192.0.2.40"),
    ]
    (nic,) = vm.nics
    assert (nic.network, nic.vlan, nic.ip_addresses) == ("VM Network", 0, ("198.51.100.21",))


def test_records_hold_plain_values(lab: Any) -> None:
    """No type of pyvmomi's own (its `long`, its enumerations) gets into a record: encoders refuse them."""

    def plain(value: object) -> bool:
        if isinstance(value, dict):
            return all(plain(item) for item in value.values())
        if isinstance(value, tuple):
            return all(plain(item) for item in value)
        return value is None or type(value) in (int, str, bool)

    with lab.connector.connect(lab.credentials()) as session:
        for thin in session.list_vms():
            full = session.vm_record(str(thin.moref))
            assert plain(asdict(thin)) and plain(asdict(full)), full


def test_full_record_of_a_stopped_vm(lab: Any) -> None:
    """A stopped VM in a nested folder on a distributed switch: reservation, folder path and the port's VLAN."""
    with lab.connector.connect(lab.credentials()) as session:
        vm = session.find_vm("web 01 + cache")
    assert vm is not None
    assert (vm.path, vm.power_state, vm.cpu_speed_mhz) == ("vm/Prod/Web", "PowerOff", 0)
    (nic,) = vm.nics
    assert (nic.network, nic.vlan, nic.ip_addresses) == (None, 120, ())


def test_vm_on_host(lab: Any) -> None:
    """One VM of one host by exact names; a user VM goes by its internal name; an unknown VM gives an empty record."""
    with lab.connector.connect(lab.credentials()) as session:
        assert session.vm_on_host("esx2.lab.example", "db01").memory_mb == 4096
        managed = session.vm_on_host("esx1.lab.example", "i-2-17-VM")
        assert (managed.name, managed.internal_cs_name) == ("managed-elsewhere", "i-2-17-VM")
        assert session.vm_on_host("esx1.lab.example", "db01") == SourceVm()
        assert session.vm_on_host("esx1.lab.example", "managed-elsewhere") == SourceVm()
        with pytest.raises(HostNotFoundError) as caught:
            session.vm_on_host("ESX1.lab.example", "db01")
    assert caught.value.text == f"Cannot find a host with name ESX1.lab.example on vcenter {lab.vcenter}"


def test_find_by_internal_name(lab: Any) -> None:
    """An import finds a VM by its custom value in any case; an unknown name gives None."""
    with lab.connector.connect(lab.credentials()) as session:
        found = session.find_vm("I-2-17-vm")
        assert found is not None and found.name == "managed-elsewhere" and found.internal_cs_name is None
        assert session.find_vm("nothing") is None


def test_record_by_moref(lab: Any) -> None:
    """A moref finds the same record; one that is gone is ManagedObjectNotFound."""
    with lab.connector.connect(lab.credentials()) as session:
        vm = session.find_vm("db01")
        assert vm is not None and vm.moref is not None
        assert session.vm_record(vm.moref) == vm
        with pytest.raises(VcenterFaultError) as caught:
            session.vm_record("vm-999999")
    assert caught.value.fault == "ManagedObjectNotFound"


def test_vm_in_a_vapp_has_no_path(own_lab: Any) -> None:
    """A VM without a folder, as in a vApp, has no path."""
    with own_lab.connector.connect(own_lab.credentials()) as session:
        vm = session.find_vm("db01")
        assert vm is not None and vm.moref is not None and vm.path == "vm"
        own_lab.sim.inventory.find_vm("db01").compute(parent=lambda: None)
        assert session.vm_record(vm.moref).path is None


def test_mark_of_another_deployment(own_lab: Any) -> None:
    """A datacenter with the custom value cloud.zone=true is managed elsewhere; with another value it is not."""
    inventory = own_lab.sim.inventory
    (manager,) = inventory.of_kind(vim.CustomFieldsManager)
    (datacenter,) = inventory.of_kind(vim.Datacenter)
    definition = vim.CustomFieldsManager.FieldDef(key=77, name="cloud.zone", type=str, managedObjectType=vim.Datacenter)
    manager.set(field=[*manager["field"], definition])
    for value, expected in (("true", True), ("false", False)):
        datacenter.set(value=[vim.CustomFieldsManager.StringValue(key=77, value=value)])
        with own_lab.connector.connect(own_lab.credentials()) as session:
            assert session.is_managed_elsewhere() is expected


def test_pages_are_followed(lab: Any) -> None:
    """However small vCenter's pages are, all VMs are read."""
    with lab.connector.connect(lab.credentials()) as session:
        whole = session.list_vms()
        session._collector = Collector(session._link, page_size=3)
        assert session.list_vms() == whole
    assert "ContinueRetrievePropertiesEx" in [entry.name for entry in lab.journal.entries()]


def test_an_ended_session_is_renewed(own_lab: Any) -> None:
    """When vCenter forgets the session, the client logs in again and goes on."""
    with own_lab.connector.connect(own_lab.credentials()) as session:
        session.check_datacenter()
        own_lab.sim.end_sessions()
        assert session.find_vm("db01") is not None
    assert [entry.name for entry in own_lab.journal.entries()].count("Login") == 2


def test_clone_and_destroy(own_lab: Any) -> None:
    """A clone is thin, powered off, in the root folder, all on the first datastore, with the source's disk ids."""
    with own_lab.connector.connect(own_lab.credentials()) as session:
        source = session.find_vm("app01")
        assert source is not None
        clone = session.clone_vm(source, "5d3f2a30-1111")
        assert (clone.name, clone.path, clone.power_state) == ("5d3f2a30-1111", "vm", "PowerOff")
        assert clone.clone_source_power_state == "PowerOn"
        assert [disk.disk_id for disk in clone.disks] == [disk.disk_id for disk in source.disks]
        assert {disk.datastore_name for disk in clone.disks} == {"vmfs-01"}
        assert clone.host_name == source.host_name
        assert [nic.mac_address for nic in clone.nics] != [nic.mac_address for nic in source.nics]
        kept = session.find_vm("app01")
        assert kept == source
        session.destroy_vm("5d3f2a30-1111")
        with pytest.raises(VmNotFoundError) as caught:
            session.destroy_vm("5d3f2a30-1111")
    assert caught.value.text == f"Cannot find VM with name 5d3f2a30-1111 on vCenter {own_lab.vcenter}/lab-dc"
    assert "5d3f2a30-1111" not in own_lab.sim.inventory.vm_names


def test_clone_of_a_suspended_vm(own_lab: Any) -> None:
    """The clone of a suspended VM says PowerOff for its source."""
    with own_lab.connector.connect(own_lab.credentials()) as session:
        source = session.find_vm("batch-suspended")
        assert source is not None
        assert session.clone_vm(source, "of-suspended").clone_source_power_state == "PowerOff"


def test_clone_name_that_is_taken(lab: Any) -> None:
    """A failed clone task is an error with the fault's name and message."""
    with lab.connector.connect(lab.credentials()) as session:
        source = session.find_vm("app01")
        assert source is not None
        with pytest.raises(VcenterTaskError) as caught:
            session.clone_vm(source, "db01")
    assert caught.value.fault == "DuplicateName" and caught.value.text


def test_destroy_of_a_running_vm(lab: Any) -> None:
    """vCenter destroys no running VM: the error has the fault's name, and the VM stays."""
    with lab.connector.connect(lab.credentials()) as session:
        with pytest.raises(VcenterFaultError) as caught:
            session.destroy_vm("app01")
        assert session.find_vm("app01") is not None
    assert caught.value.fault == "InvalidPowerState"


def test_clone_without_datastore(own_lab: Any) -> None:
    """`Unable to fetch datastores, could not clone VM <vm> for migration from VMware`."""
    with own_lab.connector.connect(own_lab.credentials()) as session:
        source = session.find_vm("app01")
        assert source is not None
        managed = own_lab.sim.inventory.find_vm("app01")
        managed.compute(datastore=list)
        with pytest.raises(CloneError) as caught:
            session.clone_vm(source, "x")
    assert caught.value.text == "Unable to fetch datastores, could not clone VM app01 for migration from VMware"


def test_clone_that_is_not_there_afterwards(lab: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """`Could not clone VM <vm> before migration from VMware`."""
    with lab.connector.connect(lab.credentials()) as session:
        source = session.find_vm("edge-stopped")
        assert source is not None
        with monkeypatch.context() as patch:
            patch.setattr(session, "_find_reference", lambda name: None)
            with pytest.raises(CloneError) as caught:
                session.clone_vm(source, "gone")
        session.destroy_vm("gone")
    assert caught.value.text == "Could not clone VM edge-stopped before migration from VMware"


def test_clone_placed_elsewhere_is_relocated(own_lab: Any) -> None:
    """A clone on another host is moved to the source's; where vCenter refuses, CloudStack's text says so."""
    with own_lab.connector.connect(own_lab.credentials()) as session:
        clone = session._find_reference("web01")
        hosts = {host.name: vim.HostSystem(host.moref) for host in session.list_hosts()}
        session._move_to_host(clone, "web01", hosts["esx2.lab.example"], "esx2.lab.example")
        moved = session.find_vm("web01")
        assert moved is not None and moved.host_name == "esx2.lab.example"
        assert "RelocateVM_Task" in [entry.name for entry in own_lab.journal.entries()]
        with pytest.raises(CloneError) as caught:
            session._move_to_host(clone, "web01", vim.HostSystem("host-9999"), "esx9")
    assert caught.value.text == "Cannot relocate cloned VM web01 to the source host esx9"


def test_vm_on_no_host_or_with_a_raw_disk_is_not_cloned(own_lab: Any) -> None:
    """What cannot be placed is refused with a reason before anything is cloned."""
    managed = own_lab.sim.inventory.find_vm("edge-stopped")
    device = vim.vm.device
    raw = device.VirtualDisk(
        key=2000,
        capacityInKB=1024,
        deviceInfo=vim.Description(label="Hard disk 1", summary=""),
        backing=device.VirtualDisk.RawDiskMappingVer1BackingInfo(
            fileName="[vmfs-01] edge/rdm.vmdk", datastore=managed["datastore"][0]
        ),
    )
    with own_lab.connector.connect(own_lab.credentials()) as session:
        source = session.find_vm("edge-stopped")
        assert source is not None
        managed["config"].hardware.device = [raw]
        own_lab.sim.inventory.changed()
        with pytest.raises(VcenterError, match=r"^disk Hard disk 1 of VM edge-stopped is no flat disk"):
            session.clone_vm(source, "x")
        managed["runtime"].host = None
        own_lab.sim.inventory.changed()
        with pytest.raises(VcenterError, match=r"^VM edge-stopped is on no host$"):
            session.clone_vm(source, "x")


# What the stand-in has not, with doubles ------------------------------------------------------------------------------


class FakeLink:
    """A link whose content is given; calls go straight through."""

    def __init__(self, **content: Any) -> None:
        self.content = SimpleNamespace(propertyCollector=None, **content)
        self.cancellation = Cancellation()

    def call(self, method: Any, *args: Any) -> Any:
        return method(*args)

    def waiting(self) -> AbstractContextManager[None]:
        return nullcontext()


def session_with(**content: Any) -> VcenterSession:
    return VcenterSession(FakeLink(**content), "vc", "dc", max_wait_s=1)  # type: ignore[arg-type]


def test_host_without_vcenter_features() -> None:
    """An endpoint without custom fields and distributed switches has no marks, and its ports are not told."""
    session = session_with(customFieldsManager=None, dvSwitchManager=None)
    assert session._internal_name_key is None and not session.is_managed_elsewhere()
    with pytest.raises(VcenterError, match="no distributed switches"):
        session._port_vlan("uuid", "group", "1")


def test_unknown_switch_and_port() -> None:
    """A switch that vCenter does not know is an error; a port that it does not list has no VLAN."""
    manager = SimpleNamespace(QueryDvsByUuid=lambda uuid: None)
    with pytest.raises(VcenterError, match=r"^There is no distributed switch uuid$"):
        session_with(dvSwitchManager=manager)._port_vlan("uuid", "group", "1")
    switch = SimpleNamespace(FetchDVPorts=lambda criteria: None)
    manager = SimpleNamespace(QueryDvsByUuid=lambda uuid: switch)
    assert session_with(dvSwitchManager=manager)._port_vlan("uuid", "group", "1") == PortVlan()


def test_private_vlan(monkeypatch: pytest.MonkeyPatch) -> None:
    """The primary VLAN and kind of a private one come from the switch's map."""
    dvs = vim.dvs.VmwareDistributedVirtualSwitch
    setting = SimpleNamespace(vlan=dvs.PvlanSpec(inherited=False, pvlanId=301))
    ports = [SimpleNamespace(key="0", config=None), SimpleNamespace(key="1", config=SimpleNamespace(setting=setting))]
    switch = SimpleNamespace(FetchDVPorts=lambda criteria: ports)
    session = session_with(dvSwitchManager=SimpleNamespace(QueryDvsByUuid=lambda uuid: switch))
    entry = dvs.PvlanMapEntry(primaryVlanId=300, secondaryVlanId=301, pvlanType="community")
    config = SimpleNamespace(pvlanConfig=[entry])
    monkeypatch.setattr(session, "_properties", lambda *asked: SimpleNamespace(get=lambda path: config))
    assert session._port_vlan("uuid", "group", "1") == PortVlan(300, 301, "community")
    assert session._port_vlan("uuid", "group", "0") == PortVlan()


def test_no_answer_for_an_object() -> None:
    """An object of which vCenter tells nothing counts as gone."""
    session = session_with()
    session._collector.read = lambda *asked: []  # type: ignore[method-assign]
    with pytest.raises(VcenterFaultError, match=r"^The object vm-1 is gone$"):
        session._properties(vim.VirtualMachine("vm-1"), vim.VirtualMachine, ["name"])


class FakePropertyCollector:
    """Hands out prepared updates."""

    def __init__(self, *updates: Any) -> None:
        self.updates = list(updates)
        self.versions: list[str] = []
        self.destroyed = False

    def CreateFilter(self, spec: Any, partial: bool) -> Any:
        def destroy() -> None:
            self.destroyed = True
            raise VcenterError("the session is gone")

        return SimpleNamespace(Destroy=destroy)

    def WaitForUpdatesEx(self, version: str, options: Any) -> Any:
        self.versions.append(version)
        return self.updates.pop(0)


def update(version: str, task: Any, **changes: Any) -> Any:
    change_set = [SimpleNamespace(name=name.replace("_", "."), val=value) for name, value in changes.items()]
    objects = [SimpleNamespace(obj=task, changeSet=change_set)]
    return SimpleNamespace(version=version, filterSet=[SimpleNamespace(objectSet=objects)])


def collector_of(fake: FakePropertyCollector) -> Collector:
    link = FakeLink()
    link.content.propertyCollector = fake
    return Collector(link)  # type: ignore[arg-type]


def test_waiting_goes_on_until_the_task_ends() -> None:
    """Polls without news and news of other tasks do not end the wait; each poll continues from the last version."""
    task, other = vim.Task("task-1"), vim.Task("task-2")
    fake = FakePropertyCollector(
        update("1", task, info_state="queued"),
        None,
        update("2", other, info_state="success"),
        SimpleNamespace(version="3", filterSet=None),
        update("4", task, info_state="success"),
    )
    collector_of(fake).wait_for_task(task)
    assert fake.versions == ["", "1", "1", "2", "3"] and fake.destroyed


def test_task_that_fails() -> None:
    """A failed task raises the fault's message, or says that there was none; the filter is destroyed either way."""
    task = vim.Task("task-1")
    fault = vim.fault.NoDiskSpace(datastore="vmfs-01", msg="Insufficient disk space on datastore 'vmfs-01'.")
    fake = FakePropertyCollector(update("1", task, info_state="error", info_error=fault))
    with pytest.raises(VcenterTaskError, match=r"^Insufficient disk space on datastore 'vmfs-01'\.$") as caught:
        collector_of(fake).wait_for_task(task)
    assert caught.value.fault == "NoDiskSpace" and fake.destroyed
    fake = FakePropertyCollector(update("1", task, info_state="error"))
    with pytest.raises(VcenterTaskError, match="without a reason"):
        collector_of(fake).wait_for_task(task)
