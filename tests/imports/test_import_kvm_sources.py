"""importVm from the sources external, shared and local, and listVmsForImport (import-vm 5.2-5.4, 1.4)."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mgmt.errors import AgentUnavailableError, CloudError
from mgmt.imports.control import ImportCancelledError, ImportControl, Phase
from mgmt.imports.diskimages import RemoteHost
from mgmt.imports.external import list_remote_vms
from mgmt.imports.pipeline import ImportPipeline
from mgmt.imports.progress import Stage
from mgmt.imports.queue import Demand, ImportQueue, Kind
from mgmt.imports.trace import Trace
from mgmt.protocol.commands import (
    CheckVolumeAnswer,
    CheckVolumeCommand,
    CopyRemoteVolumeAnswer,
    CopyRemoteVolumeCommand,
    DeleteCommand,
    GetRemoteVmsAnswer,
    GetRemoteVmsCommand,
    UnmanagedDisk,
    UnmanagedInstanceTO,
    UnmanagedNic,
    UnsupportedAnswer,
)
from mgmt.protocol.records import Answer
from mgmt.store import models

GIB = 1024**3
RECORDS_OF_A_VM = frozenset({"usage_event", "user_vm_details", "vm_instance", "volumes"})
SECRET = "remote-Secret/5+y"
REMOTE_FAILURE = "Unable to connect to remote host 192.0.2.60, please check the libvirtd tcp connectivity and retry"


def remote_vm(name: str = "rv1", disks: int = 1, **changes: Any) -> UnmanagedInstanceTO:
    """A stopped VM as a remote KVM host lists it."""
    fields: dict[str, Any] = {
        "name": name,
        "powerState": "PowerOff",
        "cpuCores": 1,
        "memory": 512,
        "disks": [
            UnmanagedDisk(diskId=str(i), capacity=5 * GIB, controller="virtio", datastorePath=f"/vms/{name}-{i}.qcow2")
            for i in range(disks)
        ],
        "nics": [UnmanagedNic(nicId="0", macAddress="52:54:00:99:00:01", adapterType="virtio")],
    }
    return UnmanagedInstanceTO(**{**fields, **changes})


def remote_answer(*vms: UnmanagedInstanceTO, result: bool = True) -> GetRemoteVmsAnswer:
    return GetRemoteVmsAnswer(result=result, details="", unmanagedInstances={vm.name or "": vm for vm in vms})


def external(**changes: Any) -> dict[str, Any]:
    return {
        "importsource": "external",
        "name": "rv1",
        "host": "192.0.2.60",
        "username": "root",
        "password": SECRET,
        "nicnetworklist": {"0": {"nic": "0", "network": "l2"}},
        **changes,
    }


def shared(**changes: Any) -> dict[str, Any]:
    return {
        "importsource": "shared",
        "name": "sh1",
        "diskpath": "sh1.qcow2",
        "networkid": "l2",
        "storageid": "pool-N1",
        "nicnetworklist": {},
        **changes,
    }


def local(**changes: Any) -> dict[str, Any]:
    return shared(importsource="local", name="lo1", storageid="pool-L1", hostid="K1", **changes)


# external


def test_external_import(hosts: Any) -> None:
    """The disks are copied into the planned pool, and VM, volume and NIC come out as the real server's."""
    vm_id = hosts.run(**external(temppath="/var/tmp"))
    (vm,) = hosts.rows(models.VmInstance)
    assert (vm.id, vm.state, vm.instance_name, vm.host_id) == (vm_id, "Stopped", f"i-2-{vm_id}-VM", None)
    assert {row.name: row.value for row in hosts.rows(models.VmDetail)} == {
        "deployvm": "true",
        "nicAdapter": "virtio",
        "rootDiskController": "virtio",
    }
    (volume,) = hosts.rows(models.Volume)
    assert (volume.name, volume.path, volume.device_id, volume.size_bytes, volume.state) == (
        f"ROOT-{vm_id}",
        "copied",
        0,
        6 * GIB,
        "Ready",
    )
    (nic,) = hosts.rows(models.Nic)
    assert (nic.mac_address, nic.broadcast_uri) == ("52:54:00:99:00:01", "vlan://162")
    (look,) = hosts.agents.commands(GetRemoteVmsCommand)
    assert (look.remoteIp, look.username, look.password, look.wait) == ("192.0.2.60", "root", SECRET, 0)
    (copy,) = hosts.agents.commands(CopyRemoteVolumeCommand)
    assert (copy.srcFile, copy.tmpPath, copy.wait) == ("/vms/rv1-0.qcow2", "/var/tmp/", 1800)
    assert copy.storageFilerTO.id == volume.pool_id
    assert sorted(row.type for row in hosts.rows(models.UsageEvent)) == [
        "NETWORK.OFFERING.ASSIGN",
        "VM.CREATE",
        "VOLUME.CREATE",
    ]
    assert hosts.rows(models.ResourceReservation) == []
    assert SECRET not in hosts.journal_text()


def test_external_import_cancelled(hosts: Any) -> None:
    """An import that is cancelled while its second disk is copied takes back records, claims and the first disk."""
    vm = remote_vm(disks=2)
    hosts.agents.defaults[GetRemoteVmsCommand] = lambda _: remote_answer(vm)
    hosts.agents.defaults[DeleteCommand] = lambda _: Answer(result=True)
    control = ImportControl("rv1")

    def cancelled(command: Any) -> Answer:
        control.cancel("root")
        return CopyRemoteVolumeAnswer(result=False, details="ended")

    hosts.agents.script(CopyRemoteVolumeCommand, hosts.agents.defaults[CopyRemoteVolumeCommand], cancelled)
    request = hosts.request(**external(datadiskofferinglist={"0": {"disk": "1", "diskOffering": "d2"}}))
    with pytest.raises(ImportCancelledError, match="The import of VM rv1 was cancelled by root at step: copy disks"):
        ImportPipeline(hosts.services, request, hosts.requester(), control=control).run()
    hosts.assert_no_records()
    assert len(hosts.agents.commands(DeleteCommand)) == 1


def test_external_data_disk_and_image_path(hosts: Any) -> None:
    """A data disk goes to a pool with its offering's tags; without datastore path the image path is read."""
    vm = remote_vm(disks=2)
    assert vm.disks is not None
    vm.disks[1].datastorePath, vm.disks[1].imagePath = None, "/other/image"
    hosts.set("remote.kvm.instance.disks.copy.timeout", "-1")
    hosts.agents.script(GetRemoteVmsCommand, remote_answer(vm))
    vm_id = hosts.run(**external(datadiskofferinglist={"0": {"disk": "1", "diskOffering": "d2"}}))
    root, data = hosts.rows(models.Volume)
    assert (root.pool_id, data.pool_id) == (hosts.id_of("pool-N1"), hosts.id_of("pool-N2"))
    assert (data.name, data.device_id, data.volume_type) == (f"DATA-{vm_id}-1", 1, "DATADISK")
    copies = hosts.agents.commands(CopyRemoteVolumeCommand)
    assert [(copy.srcFile, copy.tmpPath, copy.wait) for copy in copies] == [
        ("/vms/rv1-0.qcow2", "/tmp/", 1800),
        ("/other/image", "/tmp/", 1800),
    ]


def copied(**details: str) -> CopyRemoteVolumeAnswer:
    return CopyRemoteVolumeAnswer(result=True, filename="f", size=1, volumeDetails=details)


VOLUMES_FAILED = "Failed to import volumes while importing vm: rv1."


@pytest.mark.parametrize(
    ("row", "answer", "text"),
    [
        ("5.3-13", Answer(details="boom"), "Error while copying volume of remote instance: boom"),
        ("5.3-13", AgentUnavailableError("gone"), "Error while copying volume of remote instance: gone"),
        ("5.3-14", CopyRemoteVolumeAnswer(details="boom"), "Unable to copy volume of remote instance"),
        ("5.3-15", copied(IS_LOCKED="true"), "Locked volume cannot be imported or unmanaged."),
        ("5.3-16", copied(IS_ENCRYPTED="true"), "Encrypted volume cannot be imported or unmanaged."),
        ("5.3-17", copied(BACKING_FILE="b"), "Volume with backing file cannot be imported or unmanaged."),
    ],
)
def test_5p3i13_5p3i14_5p3i15_5p3i16_5p3i17_copy_refused(hosts: Any, row: str, answer: Any, text: str) -> None:
    """A bad copy ends the import with its wrapped text and takes all records back."""
    hosts.agents.script(CopyRemoteVolumeCommand, answer)
    error = hosts.refused(**external())
    assert (error.row, error.text, error.job_errorcode()) == (row, f"{VOLUMES_FAILED} {text}", 530)
    hosts.assert_no_records()


def test_backing_file_allowed(hosts: Any) -> None:
    """The setting lets images with a backing file in."""
    hosts.set("allow.import.volume.with.backing.file", "true")
    hosts.agents.script(CopyRemoteVolumeCommand, copied(BACKING_FILE="base", IS_LOCKED="false"))
    assert hosts.run(**external())


@pytest.mark.parametrize("username", [None, "", " "])
def test_5p3i1_user_name_missing(hosts: Any, username: str | None) -> None:
    """The user name is needed before any host is asked."""
    error = hosts.refused(**external(username=username))
    assert (error.row, error.text, error.job_errorcode()) == ("5.3-1", "Username need to be provided.", 431)
    assert hosts.agents.sent == []


def test_5p3i3_remote_vm_not_found(hosts: Any) -> None:
    """A VM that the remote host does not list ends the import with 530."""
    error = hosts.refused(**external(name="rv9"))
    assert (error.row, error.text) == ("5.3-3", "VM with name: rv9 not found on remote host 192.0.2.60")
    assert error.job_errorcode() == 530


@pytest.mark.parametrize(
    ("row", "vm", "text"),
    [
        ("3.8-2", remote_vm(disks=0), "No attached disks found for the unmanaged VM: rv1"),
        (
            "3.8-3",
            remote_vm(disks=2),
            "VM has total 2 disks for which 0 disk offering mappings provided. 1 disks need a disk offering for import",
        ),
        (
            "3.8-4",
            UnmanagedInstanceTO(name="rv1", disks=[UnmanagedDisk(diskId="0", capacity=1)]),
            "VM import failed. Unable to retrieve root disk details for VM: rv1 ",
        ),
    ],
    ids=["none", "map", "controller"],
)
def test_external_disks_refused(hosts: Any, row: str, vm: UnmanagedInstanceTO, text: str) -> None:
    """The disks of a remote VM are split like a converted VM's, with the VM's name in the texts and 530."""
    hosts.agents.script(GetRemoteVmsCommand, remote_answer(vm))
    error = hosts.refused(**external(displayname="shown"))
    assert (error.row, error.text, error.job_errorcode()) == (row, text, 530)


def test_5p3i5_5p3i6_size_invalid(hosts: Any) -> None:
    """A root or data disk without a size is refused."""
    for number, row, text in (
        (0, "5.3-5", "Root disk ID: 0 size is invalid"),
        (1, "5.3-6", "Data disk ID: 1 size is invalid"),
    ):
        vm = remote_vm(disks=2)
        assert vm.disks is not None
        vm.disks[number].capacity = None
        hosts.agents.script(GetRemoteVmsCommand, remote_answer(vm))
        error = hosts.refused(**external(datadiskofferinglist={"0": {"disk": "1", "diskOffering": "d1"}}))
        assert (error.row, error.text) == (row, text)
    hosts.assert_no_records()


@pytest.mark.parametrize(
    ("row", "details", "text"),
    [
        ("5.3-7", {}, "Detail 'cpuNumber' must be provided."),
        ("5.3-7", {"cpuNumber": "2"}, "Detail 'memory' must be provided."),
        ("5.3-8", {"cpuNumber": "two"}, "Please provide a valid integer value for detail 'cpuNumber'."),
    ],
)
def test_5p3i7_5p3i8_custom_offering_of_an_account_with_limits(
    hosts: Any, row: str, details: dict[str, str], text: str
) -> None:
    """An owner with limits needs the numbers of a custom offering in the details."""
    changes = external(serviceofferingid="O3", account="bob", domainid="ROOT", details={"0": details})
    error = hosts.refused(**changes)
    assert (error.row, error.text) == (row, text)


def test_5p3i9_limit(hosts: Any) -> None:
    """A passed limit names the account and leaves nothing."""
    hosts.change("bob-account", limits={"user_vm": 0})
    error = hosts.refused(**external(account="bob", domainid="ROOT"))
    assert error.row == "5.3-9"
    assert error.text.startswith("VM resource allocation error for account: bob-account. Maximum amount of resources")
    hosts.assert_no_records()


def test_5p3i10_custom_offering_without_details(hosts: Any) -> None:
    """The planner fails without numbers; with all three in the details the VM has them."""
    error = hosts.refused(**external(serviceofferingid="O3"))
    assert error.row == "5.3-10"
    assert error.text == "Import failed for Vm: i-2-1-VM while finding deployment destination"
    hosts.assert_no_records()
    details = {"cpuNumber": "2", "cpuSpeed": "500", "memory": "1024"}
    hosts.run(**external(serviceofferingid="O3", details={"0": details}))
    (vm,) = hosts.rows(models.VmInstance)
    assert (vm.cpu_number, vm.cpu_speed_mhz, vm.memory_mb) == (2, 500, 1024)


def test_5p3i11_no_destination_leaves_records(hosts: Any) -> None:
    """Without a host or pool that fits the import fails and the Stopped VM and its volume stay."""
    hosts.change("do1", tags="nowhere")
    error = hosts.refused(left=RECORDS_OF_A_VM, **external())
    assert error.row == "5.3-11"
    assert error.text == "Import failed for Vm: i-2-1-VM. Suitable deployment destination not found"
    assert [vm.state for vm in hosts.rows(models.VmInstance)] == ["Stopped"]
    assert [(row.state, row.pool_id) for row in hosts.rows(models.Volume)] == [("Allocated", None)]
    assert hosts.rows(models.Nic) == []


def test_external_nic_not_mapped(hosts: Any) -> None:
    """The NIC map is checked after the remote look-up and before the copy, and answers 530."""
    error = hosts.refused(**external(nicnetworklist={}))
    assert (error.text, error.job_errorcode()) == ("Suitable network for nic(ID: 0) not found during VM import", 530)
    assert len(hosts.agents.sent) == 1
    hosts.assert_no_records()


def test_external_mac_in_use_is_replaced(hosts: Any) -> None:
    """A MAC address in use is replaced although `forced` is not given."""
    hosts.run(**external())
    hosts.run(**external(hostname="other"))
    macs = [row.mac_address for row in hosts.rows(models.Nic)]
    assert macs[0] != macs[1]
    assert macs[1].startswith("02:01:00:")


# shared and local


def test_external_import_waits_for_its_host(hosts: Any) -> None:
    """With a limit for KVM hosts nothing is made before the copying host has a place."""
    queue = ImportQueue(lambda kind: 1 if kind is Kind.KVM_HOST else None)
    services = replace(hosts.services, import_queue=queue)
    names = [row.name for row in hosts.rows(models.Host)]
    holders = [queue.enter(Demand("vc", None, frozenset({name}))) for name in names]
    control = ImportControl("rv1", "job-1")
    pipeline = ImportPipeline(services, hosts.request(**external()), hosts.requester(), Trace(), control)
    work = pipeline.work()
    ticket = next(work)
    assert (control.ticket, control.step) == (ticket, "wait in the queue")
    hosts.assert_no_records()
    for holder in holders:
        holder.withdraw()
    with pytest.raises(StopIteration):
        next(work)
    assert control.phase is Phase.COMPLETED
    assert len(hosts.agents.commands(GetRemoteVmsCommand)) == 3
    assert queue.enter(Demand("vc", None, frozenset(names))).is_granted
    disks = control.progress
    disks.report(Stage.IMPORT, 1, 1, 5, 10)
    latest = disks.latest()
    assert latest is not None and (latest.disk_count, list(latest.disks)) == (1, [1])


def test_external_import_that_is_refused_does_not_wait(hosts: Any) -> None:
    """What `run` refuses is refused at once, with its text."""
    queue = ImportQueue(lambda kind: 1)
    services = replace(hosts.services, import_queue=queue)
    request = hosts.request(**external(name="nosuch"))
    with pytest.raises(CloudError, match="VM with name: nosuch not found on remote host"):
        next(ImportPipeline(services, request, hosts.requester(), Trace(), ImportControl()).work())


def test_shared_import(hosts: Any) -> None:
    """The image is looked at in the planned pool, the volume gets the pool asked for and device number 1."""
    hosts.change("pool-S1", status="Maintenance")
    vm_id = hosts.run(**shared(storageid="pool-R1"))
    (vm,) = hosts.rows(models.VmInstance)
    assert (vm.state, vm.instance_name, vm.name) == ("Stopped", f"i-2-{vm_id}-VM", "sh1")
    assert {row.name: row.value for row in hosts.rows(models.VmDetail)} == {"deployvm": "true"}
    (volume,) = hosts.rows(models.Volume)
    assert (volume.name, volume.path, volume.device_id, volume.size_bytes, volume.format) == (
        f"ROOT-{vm_id}",
        "sh1.qcow2",
        1,
        7 * GIB,
        "QCOW2",
    )
    assert volume.pool_id == hosts.id_of("pool-R1")
    (nic,) = hosts.rows(models.Nic)
    assert nic.mac_address.startswith("02:01:00:")
    assert nic.ip4_address is None
    ((host_id, check),) = hosts.agents.sent
    assert (check.srcFile, check.storageFilerTO.uuid, check.wait) == ("sh1.qcow2", "pool-N1", 0)
    assert host_id == hosts.id_of("K1")
    sizes = [row.size_bytes for row in hosts.rows(models.UsageEvent) if row.type == "VOLUME.CREATE"]
    assert sizes == [0, 7 * GIB]
    assert [(row.type, row.state) for row in hosts.rows(models.Event)] == [("VOLUME.CREATE", "Created")]


def test_shared_import_on_an_isolated_network(hosts: Any) -> None:
    """On a network that is not L2 the VM gets a free address."""
    hosts.run(**shared(networkid="iso"))
    (nic,) = hosts.rows(models.Nic)
    assert (nic.ip4_address, nic.gateway) == ("10.1.1.2", "10.1.1.1")


def test_local_import(hosts: Any) -> None:
    """A local image is looked at by the named host in the named pool, a shared one included."""
    hosts.run(**local())
    hosts.run(**{**local(), "name": "lo2", "hostid": "K2", "storageid": "pool-N1"})
    assert [(host_id, command.storageFilerTO.uuid) for host_id, command in hosts.agents.sent] == [
        (hosts.id_of("K1"), "pool-L1"),
        (hosts.id_of("K2"), "pool-N1"),
    ]


@pytest.mark.parametrize(
    ("row", "changes", "text"),
    [
        ("5.4-1", {"diskpath": " "}, "Disk Path is required for Import from shared/local storage"),
        ("5.4-1", {"diskpath": None, "networkid": None}, "Disk Path is required for Import from shared/local storage"),
        ("5.4-2", {"networkid": None, "storageid": None}, "Network is required for Import from shared/local storage"),
        ("5.4-3", {"storageid": None}, "Storage Pool is required for Import from shared/local storage"),
        ("5.4-4", {"storageid": 999}, "Storage Pool not found"),
        (
            "5.4-6",
            {"serviceofferingid": "O2"},
            "Service offering: O2 storage tags are not compatible with selected storage pool: pool-N1",
        ),
        ("5.4-7", {"importsource": "local", "networkid": 999}, "Host is required for Import from local storage"),
        ("5.4-8", {"importsource": "local", "hostid": 999}, "Host not found"),
        (
            "5.4-9",
            {"importsource": "local", "hostid": "K2", "storageid": "pool-L1"},
            "Specified Local Storage Pool not found on Host",
        ),
        (
            "5.4-9",
            {"importsource": "local", "hostid": "K3"},
            "Specified Local Storage Pool not found on Host",
        ),
        ("5.4-10", {"networkid": 999}, "Unable to find network by id 999"),
    ],
)
def test_5p4i1_5p4i2_5p4i3_5p4i4_5p4i6_5p4i7_5p4i8_5p4i9_5p4i10_refused(
    hosts: Any, row: str, changes: dict[str, Any], text: str
) -> None:
    """The checks of images, pools, hosts and networks in their order, all 431, before anything is written."""
    error = hosts.refused(**shared(**changes))
    assert (error.row, error.text, error.job_errorcode()) == (row, text, 431)
    assert hosts.agents.sent == []
    hosts.assert_no_records()


def test_5p4i5_image_in_use(hosts: Any) -> None:
    """An image that a volume of that pool names is in use."""
    hosts.run(**shared())
    error = hosts.refused(**shared(name="sh2", serviceofferingid="O2"))
    assert (error.row, error.text) == ("5.4-5", "Disk image is already in use")


def test_5p4i12_5p4i13_network_refused(hosts: Any) -> None:
    """A network of the system or of another zone is refused with internal numbers."""
    zone, network = hosts.id_of("Z1"), hosts.id_of("l2z2")
    error = hosts.refused(**shared(networkid="l2z2"))
    assert (error.row, error.text) == ("5.4-13", f"Network id={network} doesn't belong to zone {zone}")
    hosts.change("l2z2", is_system=True)
    error = hosts.refused(**shared(networkid="l2z2"))
    text = f"Network id={network} is system only and can't be used for vm deployment"
    assert (error.row, error.text, error.job_errorcode()) == ("5.4-12", text, 431)


@pytest.mark.parametrize(
    "answer", [CheckVolumeAnswer(details=""), Answer(details="Unsupported Storage Pool"), AgentUnavailableError("gone")]
)
@pytest.mark.parametrize("request_of", [shared, local])
def test_5p4i17_image_not_good(hosts: Any, answer: Any, request_of: Any) -> None:
    """An image that the host does not find ends the import with 530 and leaves nothing."""
    hosts.agents.script(CheckVolumeCommand, answer)
    error = hosts.refused(**request_of())
    assert (error.row, error.text, error.job_errorcode()) == ("5.4-17", "Disk not found or is invalid", 530)
    hosts.assert_no_records()


def test_shared_image_locked(hosts: Any) -> None:
    """The details of a shared image are looked at too, without a wrapping text."""
    hosts.agents.script(CheckVolumeCommand, CheckVolumeAnswer(result=True, size=1, volumeDetails={"IS_LOCKED": "true"}))
    assert hosts.refused(**shared()).text == "Locked volume cannot be imported or unmanaged."
    hosts.assert_no_records()


def test_shared_without_template(hosts: Any) -> None:
    """The default template is good enough for an image."""
    assert hosts.run(**shared(templateid=None))


def test_shared_no_address_left(hosts: Any) -> None:
    """A network without a free address ends the import with the NICs' text and takes all records back."""
    hosts.change("iso", start_ip="10.1.1.1", end_ip="10.1.1.1")
    error = hosts.refused(**shared(networkid="iso"))
    assert error.text.startswith("Failed to import NICs while importing vm: sh1. Cannot find a free IP")
    hosts.assert_no_records()


RECORDED = json.loads((Path(__file__).parent / "data" / "recorded_kvm_results.json").read_text("utf-8"))
BOOM = Answer(details="Failed to copy volume due to: boom")
ENCRYPTED = CheckVolumeAnswer(result=True, size=1, volumeDetails={"IS_ENCRYPTED": "true"})
RECORDED_CASES: dict[str, tuple[dict[str, Any], Answer | None]] = {
    "shared-false": (shared(), CheckVolumeAnswer(details="")),
    "shared-IS_ENCRYPTED": (shared(), ENCRYPTED),
    "shared-tags": (shared(serviceofferingid="O2"), None),
    "shared-zone2net": (shared(networkid="l2z2"), None),
    "local-otherhost": ({**local(), "hostid": "K2"}, None),
    "external-novm": (external(name="rv9"), None),
    "external-copyfalse": (external(name="rv2"), CopyRemoteVolumeAnswer(details="boom")),
    "external-copyclass": (external(name="rv2"), BOOM),
    "external-custom": (external(name="rv2", serviceofferingid="O3"), None),
    "external-nonic": (external(name="rv2", nicnetworklist={}), None),
    "external-nouser": (external(name="rv2", username=None), None),
}


@pytest.mark.parametrize("name", RECORDED_CASES)
def test_recorded_refusals_of_the_kvm_sources(hosts: Any, name: str) -> None:
    """The code and the text are those that the real server gave in the same situation, but for ids."""
    changes, answer = RECORDED_CASES[name]
    hosts.agents.script(GetRemoteVmsCommand, remote_answer(remote_vm("rv2")))
    if answer is not None:
        hosts.agents.script(CheckVolumeCommand, answer)
        hosts.agents.script(CopyRemoteVolumeCommand, answer)
    error = hosts.refused(**changes)
    result_code, errorcode, text = RECORDED[name]
    pattern = ".+".join(re.escape(part) for part in text.split("<id>"))
    assert re.fullmatch(pattern, error.text), error.text
    assert error.job_errorcode() == result_code == errorcode


# The planner


def test_planner_takes_the_cluster_with_most_free_memory(hosts: Any) -> None:
    """Cluster and host with most free memory do the work; disabled clusters, hosts and zones do not count."""
    hosts.change("K3", ram_bytes=64 * GIB)
    hosts.run(**shared())
    hosts.change("C2", allocation_state="Disabled")
    hosts.change("K2", ram_bytes=32 * GIB)
    hosts.run(**shared(name="sh2", diskpath="2"))
    hosts.change("K2", ram_bytes=GIB // 2)
    hosts.change("K1", resource_state="Disabled")
    assert hosts.refused(left=RECORDS_OF_A_VM, **shared(name="sh3", diskpath="3")).row == "5.3-11"
    hosts.change("K1", resource_state="Enabled")
    hosts.change("Z1", allocation_state="Disabled")
    assert hosts.refused(left=RECORDS_OF_A_VM, **shared(name="sh4", diskpath="4")).row == "5.3-11"
    assert [host_id for host_id, _ in hosts.agents.sent] == [hosts.id_of("K3"), hosts.id_of("K2")]
    assert [command.storageFilerTO.uuid for _, command in hosts.agents.sent] == ["pool-N3", "pool-N1"]


# listVmsForImport


def listed(world: Any, zone: Any = "Z1", hypervisor: str = "kvm", **requester: Any) -> list[str | None]:
    zone_id = world.id_of(zone) if isinstance(zone, str) else zone
    remote = RemoteHost("192.0.2.60", "root", SECRET)
    found = list_remote_vms(world.services, world.requester(**requester), zone_id, hypervisor, remote)
    return [vm.name for vm in found]


def test_vms_for_import(hosts: Any) -> None:
    """The first Up and Enabled KVM host of the zone asks; a right answer's result is not looked at."""
    hosts.change("K1", status="Down")
    hosts.agents.script(GetRemoteVmsCommand, remote_answer(remote_vm("a"), remote_vm("b"), result=False))
    assert listed(hosts) == ["a", "b"]
    assert [host_id for host_id, _ in hosts.agents.sent] == [hosts.id_of("K2")]
    assert SECRET not in repr(RemoteHost("h", "u", SECRET))


@pytest.mark.parametrize(
    ("row", "values", "text", "code"),
    [
        (
            "1.4-1",
            {"account_type": 2, "zone": 999},
            "Cannot perform this operation, Calling account is not root admin: admin-account",
            531,
        ),
        ("1.4-2", {"zone": 999, "hypervisor": "foo"}, "Please specify a valid zone.", 431),
        ("1.4-3", {"hypervisor": "foo"}, "VM Import is currently not supported for hypervisor: foo", 431),
    ],
)
def test_1p4i1_1p4i2_1p4i3_listing_refused(hosts: Any, row: str, values: dict[str, Any], text: str, code: int) -> None:
    """The checks of listVmsForImport in their order."""
    with pytest.raises(CloudError) as caught:
        listed(hosts, **values)
    assert (caught.value.row, caught.value.text, caught.value.errorcode) == (row, text, code)


def test_1p4i4_no_host(hosts: Any) -> None:
    """Without a host of the zone nobody can ask."""
    hosts.change("K4", status="Down")
    with pytest.raises(CloudError) as caught:
        listed(hosts, "Z2")
    assert (caught.value.row, caught.value.errorcode) == ("1.4-4", 530)
    assert caught.value.text == "No hosts available to list VMs on remote host 192.0.2.60"


@pytest.mark.parametrize("answer", [Answer(details=REMOTE_FAILURE), UnsupportedAnswer(details=REMOTE_FAILURE)])
def test_1p4i5_other_class(hosts: Any, answer: Answer) -> None:
    """An answer of another class carries the reason, for the listing and for an import."""
    hosts.agents.script(GetRemoteVmsCommand, answer, answer)
    with pytest.raises(CloudError) as caught:
        listed(hosts)
    error = hosts.refused(**external())
    text = f"Failed to list VMs, due to: {REMOTE_FAILURE}"
    assert [(each.row, each.text, each.errorcode) for each in (caught.value, error)] == [("1.4-5", text, 530)] * 2
