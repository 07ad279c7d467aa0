"""importUnmanagedInstance: VMs that stay on their host (import-vm 5.5), and their way back (1.5)."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from mgmt.commands.declaration import Bound, Call, Caller, Item
from mgmt.commands.unmanaged import COMMANDS, import_unmanaged_instance, list_vms_for_import, unmanage_virtual_machine
from mgmt.errors import AgentUnavailableError, CloudError, JavaError, ServerApiError
from mgmt.imports.adopted import AdoptedImport
from mgmt.imports.control import ImportControl, Phase
from mgmt.imports.dryrun import AdoptedDryRun
from mgmt.imports.trace import Trace
from mgmt.imports.unmanage import unmanage
from mgmt.imports.unmanaged import list_unmanaged
from mgmt.protocol.commands import (
    GetRemoteVmsAnswer,
    GetRemoteVmsCommand,
    GetUnmanagedInstancesAnswer,
    GetUnmanagedInstancesCommand,
    PrepareUnmanageVMInstanceAnswer,
    PrepareUnmanageVMInstanceCommand,
    UnmanagedDisk,
    UnmanagedInstanceTO,
    UnmanagedNic,
    UnmanageInstanceAnswer,
    UnmanageInstanceCommand,
    UnsupportedAnswer,
)
from mgmt.store import models

GIB = 1024**3
MAC = "52:54:00:12:00:02"


def guest(name: str = "um1", disks: int | list[UnmanagedDisk] = 1, **changes: Any) -> UnmanagedInstanceTO:
    """A VM as its host reports it: stopped, in pool N1, with one NIC."""
    fields: dict[str, Any] = {
        "name": name,
        "internalCSName": name,
        "powerState": "PowerOff",
        "cpuCores": 2,
        "memory": 1024,
        "cpuSpeed": 500,
        "vncPassword": "vnc-Secret-1",
        "disks": [
            UnmanagedDisk(
                diskId=str(i),
                label=f"vd{'ab'[i]}",
                capacity=5 * GIB - 1,
                fileBaseName=f"{name}-disk{i}.qcow2",
                controller="virtio",
                datastoreName="pool-N1",
                datastoreHost="192.0.2.20",
                datastorePath="/export/N1",
                datastoreType="NetworkFilesystem",
            )
            for i in range(disks)
        ]
        if isinstance(disks, int)
        else disks,
        "nics": [UnmanagedNic(nicId="0", adapterType="virtio", macAddress=MAC, network="vnet0")],
    }
    return UnmanagedInstanceTO(**{**fields, **changes})


def found(*guests: UnmanagedInstanceTO) -> GetUnmanagedInstancesAnswer:
    return GetUnmanagedInstancesAnswer(result=True, unmanagedInstances={vm.name or "": vm for vm in guests})


def adopt(world: Any, vm: UnmanagedInstanceTO | None = None, **changes: Any) -> int:
    world.agents.script(GetUnmanagedInstancesCommand, found(vm or guest()))
    nics = {"0": {"nic": "0", "network": "l2"}}
    values = {"name": "um1", "vcenter": None, "nicnetworklist": nics, **changes}
    parts = {name: values.pop(name) for name in ("control", "move") if name in values}
    return AdoptedImport(world.services, world.request(**values), world.requester(), **parts).run()


def refused(world: Any, vm: UnmanagedInstanceTO | None = None, **changes: Any) -> CloudError:
    # Upstream leaves a removed template behind with each call that names none.
    left = frozenset({"vm_template"} if changes.get("templateid", "") is None else ())
    with world.nothing_left(left), pytest.raises(CloudError) as caught:
        adopt(world, vm, **changes)
    return caught.value


@pytest.fixture
def host_world(world: Any) -> Any:
    """A world with a template of 1 GiB and hosts that let VMs go."""
    world.change("TPL", size_bytes=GIB)
    world.agents.defaults.update(
        {
            PrepareUnmanageVMInstanceCommand: lambda _: PrepareUnmanageVMInstanceAnswer(result=True, details="OK"),
            UnmanageInstanceCommand: lambda _: UnmanageInstanceAnswer(result=True, details="OK"),
        }
    )
    return world


def test_adopt_stopped_vm(host_world: Any) -> None:
    """A stopped VM keeps name, files and host, and gets the offering's CPU and memory."""
    vm_id = adopt(host_world, guest(cpuCores=1, memory=512, bootType="UEFI", bootMode="SECURE"))
    (vm,) = host_world.rows(models.VmInstance)
    host = host_world.id_of("K1")
    assert (vm.id, vm.instance_name, vm.state, vm.host_id, vm.last_host_id) == (vm_id, "um1", "Stopped", host, host)
    assert (vm.cpu_number, vm.memory_mb) == (2, 1024)
    assert {row.name: row.value for row in host_world.rows(models.VmDetail)} == {
        "deployvm": "true",
        "kvm.vnc.password": "vnc-Secret-1",
        "rootdisksize": "5",
        "rootDiskController": "virtio",
        "nicAdapter": "virtio",
        "UEFI": "SECURE",
    }
    (volume,) = host_world.rows(models.Volume)
    assert (volume.name, volume.path, volume.device_id) == (f"ROOT-{vm_id}", "um1-disk0.qcow2", 0)
    (nic,) = host_world.rows(models.Nic)
    assert (nic.mac_address, nic.state, nic.ip4_address, nic.broadcast_uri) == (MAC, "Reserved", None, None)
    assert [(state, level, text) for state, level, text, _ in host_world.events] == [
        ("Started", "INFO", "Importing unmanaged VM: um1"),
        ("Completed", "INFO", "Importing unmanaged VM: um1"),
    ]
    assert host_world.events[-1][3] == vm.uuid
    assert "VM.START" not in {row.type for row in host_world.rows(models.UsageEvent)}


def test_vmware_cluster_has_no_hosts_to_ask(host_world: Any) -> None:
    """VMware clusters pass the checks; as they have no hosts here, lists are empty and no VM is found (row 5.5-1)."""
    cluster = host_world.id_of("V1")
    host_world.agents.script(GetUnmanagedInstancesCommand, found(guest()))
    with host_world.services.store.session() as session:
        assert list_unmanaged(session, host_world.services.agents, cluster) == []
    error = refused(host_world, clusterid="V1")
    assert (error.row, error.text) == ("5.5-1", "Failed to find unmanaged vm with name: um1 in cluster: V1")
    assert host_world.agents.sent == []


def test_adopt_running_vm(host_world: Any) -> None:
    """A running VM is recorded as Running, with a data disk, an address and a VM.START; its speed is not compared."""
    vm = guest(disks=2, powerState="PowerOn", cpuSpeed=7)
    adopt(
        host_world,
        vm,
        datadiskofferinglist={"0": {"disk": "1", "diskOffering": "d1"}},
        nicnetworklist={"0": {"nic": "0", "network": "iso"}},
        nicipaddresslist={"0": {"nic": "0", "ip4Address": "auto"}},
    )
    (row,) = host_world.rows(models.VmInstance)
    assert (row.state, row.power_state) == ("Running", "PowerOn")
    (nic,) = host_world.rows(models.Nic)
    assert (nic.ip4_address, nic.broadcast_uri) == ("10.1.1.2", "vlan://162")
    assert "VM.START" in {row.type for row in host_world.rows(models.UsageEvent)}
    assert {row.name: row.value for row in host_world.rows(models.VmDetail)}["dataDiskController"] == "virtio"


def test_adopt_custom_offering(host_world: Any) -> None:
    """CPU and memory of the VM win over details; PowerUnknown comes in as Stopped; no NIC is fine."""
    details = {"0": {"cpuNumber": "8", "memory": "4096"}}
    vm = guest(powerState="PowerUnknown", nics=[])
    adopt(host_world, vm, serviceofferingid="O3", details=details, nicnetworklist={})
    (row,) = host_world.rows(models.VmInstance)
    assert (row.state, row.cpu_number, row.memory_mb, row.cpu_speed_mhz) == ("Stopped", 2, 1024, 500)


def test_hosts_are_asked_until_one_has_the_vm(host_world: Any) -> None:
    """Hosts are asked in turn with the name and the managed names; the first exact name wins."""
    host_world.agents.script(GetUnmanagedInstancesCommand, found(guest("um10")))
    adopt(host_world)
    (vm,) = host_world.rows(models.VmInstance)
    assert vm.host_id == host_world.id_of("K2")
    assert [host for host, _ in host_world.agents.sent] == [host_world.id_of("K1"), host_world.id_of("K2")]
    refused(host_world)
    assert host_world.agents.commands(GetUnmanagedInstancesCommand)[-1].managedInstancesNames == ["um1"]


@pytest.mark.parametrize("answer", [found(), UnsupportedAnswer(details="?"), AgentUnavailableError("gone")])
def test_5p5i1_vm_not_found(host_world: Any, answer: Any) -> None:
    """When no host has the VM there is an error event; hosts that fail count as empty."""
    host_world.agents.script(GetUnmanagedInstancesCommand, answer)
    error = refused(host_world, guest("other"))
    assert (error.row, error.job_errorcode()) == ("5.5-1", 530)
    assert error.text == "Failed to find unmanaged vm with name: um1 in cluster: C1"
    assert [(state, level) for state, level, _, _ in host_world.events] == [("Started", "INFO"), ("Completed", "ERROR")]


SHOWN = (
    'Failed to import Unmanaged VM [UnmanagedInstanceTO {"clusterName":null,"hostName":null,"internalCSName":"um1",'
    '"name":"um1"}] because the service offering [Service offering {"id":%d,"name":"O1","uuid":"O1"}.] is not '
    "compatible due to [%s]."
)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"cpuCores": None}, "CPU cores [null] is not valid for importing VM [um1]."),
        ({"memory": 0}, "Memory [0] is not valid for importing VM [um1]."),
        (
            {"cpuCores": 4, "powerState": "PowerOn"},
            (
                "Service offering (O1) 2 CPU cores do not match VM CPU cores 4 and VM is not in powered off state "
                "(Power state: PowerOn)"
            ),
        ),
        (
            {"memory": 2048, "powerState": "PowerUnknown"},
            (
                "Service offering (O1) 1024MB memory does not match VM memory 2048MB and VM is not in powered off "
                "state (Power state: PowerUnknown)"
            ),
        ),
    ],
)
def test_5p5i2_offering_does_not_take_the_vm(host_world: Any, changes: dict[str, Any], reason: str) -> None:
    """The refusal of the offering is wrapped in the text that the real server gives."""
    error = refused(host_world, guest(**changes))
    assert (error.row, error.text) == ("5.5-2", SHOWN % (host_world.id_of("O1"), reason))
    assert [level for _, level, _, _ in host_world.events] == ["INFO"]  # no event after the look-up
    host_world.assert_no_records()


def test_5p5i3_host_tags(host_world: Any) -> None:
    """Only a tag that vm.strict.host.tags names counts."""
    host_world.change("O1", host_tag="fast,ssd")
    adopt(host_world)
    host_world.set("vm.strict.host.tags", "ssd,other")
    error = refused(host_world, hostname="b")
    assert (error.row, error.job_errorcode()) == ("5.5-3", 431)
    assert error.text == ("Service offering: O1 or template: TPL is not compatible with host: K1 of unmanaged VM: um1")
    host_world.change("K1", host_tags="ssd")
    assert adopt(host_world, hostname="b", forced=True)


def test_5p5i4_moved_to_a_host_that_fits(host_world: Any) -> None:
    """With migrateallowed the VM is moved once it is recorded; when that fails its records go and the VM stays."""
    host_world.change("O1", host_tag="ssd")
    host_world.set("vm.strict.host.tags", "ssd")
    moved: list[int] = []
    vm_id = adopt(host_world, migrateallowed=True, move=moved.append)
    assert moved == [vm_id]
    refusal = ServerApiError(530, "no deployment destination found", row="5.5-4")

    def move(_: int) -> None:
        raise refusal

    error = refused(host_world, guest("um2"), name="um2", hostname="b", forced=True, migrateallowed=True, move=move)
    assert (error.row, error.text) == ("5.5-4", "no deployment destination found")
    with pytest.raises(CloudError, match="nothing here moves VM"):
        adopt(host_world, guest("um2"), name="um2", hostname="b", forced=True, migrateallowed=True)


# Extensions


class CancellingControl(ImportControl):
    """Is cancelled as soon as step `at` is about to begin, or when the import would succeed."""

    def __init__(self, at: str) -> None:
        super().__init__("um1", "job-1")
        self.at = at

    def begin(self, step: str) -> None:
        if step == self.at:
            assert self.cancel("root")
        super().begin(step)

    def commit(self) -> None:
        if self.at == "commit":
            assert self.cancel("root")
        super().commit()


@pytest.mark.parametrize("at", ["resolve", "find unmanaged VM", "reserve limits", "register", "commit"])
def test_cancelled_at(host_world: Any, at: str) -> None:
    """A cancelled import leaves nothing, whatever it was about to do; the host keeps its VM."""
    control = CancellingControl(at)
    error = refused(host_world, control=control)
    step = {"resolve": "before it began", "commit": "at step: register"}.get(at)
    steps = ["resolve", "find unmanaged VM", "reserve limits", "register"]
    step = step or f"at step: {steps[steps.index(at) - 1]}"
    assert error.text == f"The import of VM um1 was cancelled by root {step}"
    assert (control.phase, error.job_errorcode()) == (Phase.CANCELLED, 530)
    host_world.assert_no_records()


def test_phases(host_world: Any) -> None:
    """An import that ended cannot be cancelled any more, and says how it ended."""
    control = ImportControl("um1", "job-1")
    adopt(host_world, control=control)
    assert control.phase is Phase.COMPLETED
    control = ImportControl("um1", "job-2")
    host_world.agents.defaults[GetUnmanagedInstancesCommand] = lambda _: found()
    refused(host_world, guest("other"), control=control)
    assert control.phase is Phase.FAILED


@pytest.mark.parametrize(
    ("power", "commands"), [("PowerOff", ""), ("PowerOn", "PrepareForMigrationCommand,MigrateCommand")]
)
def test_dry_run(host_world: Any, power: str, commands: str) -> None:
    """The plan names the host that has the VM, the pools of its disks, and what a move would take."""
    host_world.change("O1", host_tag="ssd")
    host_world.set("vm.strict.host.tags", "ssd")
    host_world.agents.script(GetUnmanagedInstancesCommand, found(guest(powerState=power)))
    nics = {"0": {"nic": "0", "network": "l2"}}
    request = host_world.request(name="um1", vcenter=None, nicnetworklist=nics, migrateallowed=True)
    with host_world.nothing_left():
        plan = AdoptedDryRun(host_world.services, request, host_world.requester(), Trace()).run()
    trace = plan.pop("trace")
    assert plan == {
        "possible": True,
        "importhost": "K1",
        "pools": "N1",
        "diskpools": "N1",
        "commands": commands,
        "predictedseconds": 0,
    }
    assert [decision["row"] for decision in trace][-3:] == ["5.5-8", "5.5-9", "5.5-10"]
    request = host_world.request(name="um1", vcenter=None, nicnetworklist=nics)
    host_world.agents.script(GetUnmanagedInstancesCommand, found(guest()))
    with host_world.nothing_left():
        plan = AdoptedDryRun(host_world.services, request, host_world.requester(), Trace()).run()
    assert (plan["possible"], plan["row"]) == (False, "5.5-3")


@pytest.mark.parametrize(
    ("row", "vm", "changes", "code", "text"),
    [
        ("3.8-2", guest(disks=0), {}, 530, "No attached disks found for the unmanaged VM: um1"),
        (
            "3.8-3",
            guest(disks=2),
            {},
            530,
            "VM has total 2 disks for which 0 disk offering mappings provided. 1 disks need a disk offering for import",
        ),
        (
            "3.8-5",
            guest(),
            {"serviceofferingid": "O2"},
            530,
            "Storage pool for disk vda(0) with datastore: pool-N1 not found in zone ID: Z1",
        ),
        (
            "2.7-33",
            guest(),
            {"nicnetworklist": {}},
            530,
            "Suitable network for nic(ID: 0) not found during VM import",
        ),
        (
            "2.7-7",
            guest(),
            {"nicnetworklist": {"0": {"nic": "0", "network": "iso"}}},
            530,
            (
                "NIC(ID: 0) needs a valid IP address for it to be associated with network(ID: iso). nicipaddresslist "
                "parameter of API can be used for this"
            ),
        ),
        ("5.5-8", guest(), {"templateid": None}, 431, "Unable to look up template by id 2"),
        (
            "3.8-8",
            guest(nics=[UnmanagedNic(nicId="0")]),
            {},
            530,
            "Failed to import NICs while importing vm: um1. Mac address not specified",
        ),
    ],
    ids=["no-disk", "map", "pool", "network", "address", "template", "mac"],
)
def test_5p5i8_refused_after_the_lookup(
    host_world: Any, row: str, vm: UnmanagedInstanceTO, changes: dict[str, Any], code: int, text: str
) -> None:
    """What the checks after the look-up refuse ends with 530 but for the template, and leaves nothing."""
    error = refused(host_world, vm, **changes)
    assert (error.row, error.job_errorcode(), error.text) == (row, code, text)
    host_world.assert_no_records()


def test_5p5i9_5p5i10_template_size(host_world: Any) -> None:
    """The template must have a size, and the root disk must hold it."""
    host_world.change("TPL", size_bytes=8 * GIB)
    error = refused(host_world)
    assert (error.row, error.job_errorcode()) == ("5.5-10", 431)
    assert error.text == "Unsupported: rootdisksize override (5 GB) is smaller than template size (8.00 GB) 8589934592"
    host_world.change("TPL", size_bytes=None)
    error = refused(host_world)
    assert isinstance(error, JavaError)
    assert error.row == "5.5-9"
    assert error.text == (
        'Cannot invoke "java.lang.Long.longValue()" because the return value of '
        '"com.cloud.storage.VMTemplateVO.getSize()" is null'
    )


def test_5p5i12_limit(host_world: Any) -> None:
    """A passed limit of the owner names the account."""
    host_world.change("bob-account", limits={"cpu": 1})
    error = refused(host_world, account="bob", domainid="ROOT")
    assert (error.row, error.job_errorcode()) == ("5.5-12", 530)
    assert error.text.startswith("VM resource allocation error for account: bob-account. Maximum amount of resources")
    host_world.assert_no_records()


def test_adopt_names_and_macs_in_use(host_world: Any) -> None:
    """A host name in the network is refused with 431; a MAC in use too, unless forced gives a new one."""
    adopt(host_world)
    error = refused(host_world, guest(nics=[]))
    assert (error.row, error.job_errorcode()) == ("2.7-6", 431)
    assert "VM with Name [um1] already exists in the network [Network {" in error.text
    assert "domain [null]" in error.text
    error = refused(host_world, hostname="b")
    assert error.text.startswith(f"Failed to import NICs while importing vm: um1. NIC with MAC address {MAC} exists on")
    adopt(host_world, hostname="b", forced=True)
    assert host_world.rows(models.Nic)[-1].mac_address.startswith("02:01:00:")


# The recorded answers of the real server

RECORDED = json.loads((Path(__file__).parent / "data" / "recorded_kvm_results.json").read_text("utf-8"))
TWO_MAPPED = {"0": {"disk": "1", "diskOffering": "d1"}, "1": {"disk": "2", "diskOffering": "d1"}}


def disk(number: int, **changes: Any) -> UnmanagedDisk:
    (only,) = guest().disks or ()
    fields = {"diskId": str(number), "label": f"vd{'abc'[number]}", **changes}
    for name, value in fields.items():
        setattr(only, name, value)
    return only


def nic(number: int, **changes: Any) -> UnmanagedNic:
    return UnmanagedNic(**{"nicId": str(number), "adapterType": "virtio", "macAddress": MAC, **changes})


RECORDED_CASES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "tpl-default": ({}, {"templateid": None}),
    "import-run": ({"disks": [disk(0), disk(1)]}, {}),
    "err-noname": ({"name": "other"}, {"name": "um9"}),
    "err-nonic": ({}, {"nicnetworklist": {}}),
    "err-nodisk": ({"name": "e1", "disks": []}, {"name": "e1"}),
    "err-noctl": ({"name": "e1", "disks": [disk(0, controller=None)]}, {"name": "e1"}),
    "err-nocap": ({"disks": [disk(0, capacity=None)]}, {}),
    "err-nopool": ({"disks": [disk(0, datastoreName="x", datastorePath="/x")]}, {}),
    "err-nocpu": ({"name": "e1", "internalCSName": "e1", "cpuCores": None}, {"name": "e1"}),
    "err-cpumis": (
        {"name": "e1", "internalCSName": "e1", "cpuCores": 4, "powerState": "PowerOn"},
        {"name": "e1"},
    ),
    "err-ipused": (
        {},
        {
            "nicnetworklist": {"0": {"nic": "0", "network": "iso"}},
            "nicipaddresslist": {"0": {"nic": "0", "ip4Address": "10.1.1.1"}},
        },
    ),
    "err-auto2": (
        {"nics": [nic(0, ipAddress=["10.1.1.30", "10.1.1.31"])]},
        {
            "nicnetworklist": {"0": {"nic": "0", "network": "iso"}},
            "nicipaddresslist": {"0": {"nic": "0", "ip4Address": "auto"}},
        },
    ),
    "err-diskmap2": (
        {"disks": [disk(0), disk(1)]},
        {"datadiskofferinglist": {"0": {"disk": "9", "diskOffering": "d1"}}},
    ),
    "err-ctl2": (
        {"disks": [disk(0), disk(1), disk(2, controller="scsi")]},
        {"datadiskofferinglist": TWO_MAPPED},
    ),
    "err-adapters": (
        {"nics": [nic(0), nic(1, adapterType="e1000")]},
        {"nicnetworklist": {str(i): {"nic": str(i), "network": "l2"} for i in range(2)}},
    ),
    "err-badmac": ({"name": "f7", "nics": [nic(0, macAddress="zz")]}, {"name": "f7"}),
}


@pytest.mark.parametrize("name", RECORDED_CASES)
def test_recorded_refusals(host_world: Any, name: str) -> None:
    """The code and the text are those that the real server gave in the same situation, but for ids."""
    vm, changes = RECORDED_CASES[name]
    host_world.change("O1", cpu_number=1, memory_mb=512)
    vm = {"cpuCores": 1, "memory": 512, **vm}
    host_world.agents.defaults[GetUnmanagedInstancesCommand] = lambda _: found()
    error = refused(host_world, guest(**vm), **changes)
    result_code, errorcode, text = RECORDED[name]
    pattern = ".+".join(re.escape(part) for part in text.replace("Small Instance", "O1").split("<id>"))
    assert re.fullmatch(pattern, error.text), error.text
    assert error.job_errorcode() == result_code == errorcode


# unmanageVirtualMachine


def let_go(world: Any, vm_id: int, *, host: str | None = None, forced: bool = False) -> Any:
    host_id = world.id_of(host) if host else None
    return unmanage(world.services, world.requester(), vm_id, host_id=host_id, forced=forced)


def kept(world: Any, vm_id: int, **values: Any) -> CloudError:
    with pytest.raises(CloudError) as caught:
        let_go(world, vm_id, **values)
    assert caught.value.job_errorcode() == 530
    assert all(row.removed is None for row in world.rows(models.VmInstance) if row.id == vm_id)
    return caught.value


def test_unmanage_running_vm(host_world: Any) -> None:
    """A running VM is looked for on its host, made persistent there, and its records are removed."""
    vm_id = adopt(host_world, guest(powerState="PowerOn"))
    assert let_go(host_world, vm_id).host_uuid == "K1"
    prepare, persist = [command for _, command in host_world.agents.sent[-2:]]
    assert (prepare.instanceName, persist.instanceName) == ("um1", "um1")
    assert (persist.vm, persist.isConfigDriveAttached, persist.executeInSequence) == (None, False, False)
    (vm,) = host_world.rows(models.VmInstance)
    assert vm.state == "Expunging"
    assert vm.removed is not None
    assert [(row.state, row.removed is None) for row in host_world.rows(models.Volume)] == [("Expunged", False)]
    assert [row.removed is None for row in host_world.rows(models.Nic)] == [False]
    assert [row.type for row in host_world.rows(models.UsageEvent)][-2:] == ["VOLUME.DELETE", "VM.DESTROY"]
    assert [text for _, _, text, _ in host_world.events][-3:] == [
        f"Unmanaging VM. VM ID = {vm_id}",
        f"Successfully unmanaged Instance: um1 (ID: {vm.uuid}) on host ID: K1",
        f"Successfully completed unmanaging VM. VM ID = {vm_id}",
    ]


def test_unmanage_stopped_vm(host_world: Any) -> None:
    """A stopped VM's spec goes to its last host or to `hostid`; NICs stay when the setting says so."""
    vm_id = adopt(host_world)
    host_world.set("unmanage.vm.preserve.nics", "true")
    assert let_go(host_world, vm_id, host="K2").host_uuid == "K2"
    host_id, command = host_world.agents.sent[-1]
    assert host_id == host_world.id_of("K2")
    assert (command.vm.name, command.vm.state, command.vm.minRam) == ("um1", "Stopped", GIB)
    (disk,) = command.vm.disks
    assert (disk.path, disk.type, disk.data.dataStore.name) == ("um1-disk0.qcow2", "ROOT", "N1")
    assert [(nic.mac, nic.broadcastUri) for nic in command.vm.nics] == [(MAC, "vlan://162")]
    assert host_world.agents.commands(PrepareUnmanageVMInstanceCommand) == []
    assert [row.removed for row in host_world.rows(models.Nic)] == [None]
    assert kept(host_world, 999).row == "1.5-1"


@pytest.mark.parametrize(
    ("vm", "asked"), [("PowerOff", UnmanageInstanceCommand), ("PowerOn", PrepareUnmanageVMInstanceCommand)]
)
def test_1p5i1_removed_while_its_host_is_asked(host_world: Any, vm: str, asked: type) -> None:
    """A VM whose records go while it is unmanaged, as those of a failing import, is one that was removed."""
    vm_id = adopt(host_world, guest(powerState=vm))
    answers = {
        UnmanageInstanceCommand: UnmanageInstanceAnswer,
        PrepareUnmanageVMInstanceCommand: (PrepareUnmanageVMInstanceAnswer),
    }

    def answer(_: Any) -> Any:
        with host_world.services.store.session() as session:
            session.delete(session.get_one(models.VmInstance, vm_id))
        return answers[asked](result=True)

    host_world.agents.script(asked, answer)
    error = kept(host_world, vm_id)
    assert (error.row, error.text) == (
        "1.5-1",
        "Could not find VM to unmanage, it is either removed or not existing VM",
    )


def test_unmanage_vm_without_host(host_world: Any) -> None:
    """A VM that never was on a host goes to the first usable one of its zone."""
    vm_id = host_world.run()
    assert let_go(host_world, vm_id).host_uuid == "K1"


def test_1p5i1_removed_vm(host_world: Any) -> None:
    """A VM that is gone cannot be unmanaged."""
    error = kept(host_world, 999)
    assert (error.row, error.text) == (
        "1.5-1",
        "Could not find VM to unmanage, it is either removed or not existing VM",
    )


@pytest.mark.parametrize(
    ("row", "change", "host", "text"),
    [
        ("1.5-2", {"state": "Error"}, "K1", "VM with id = {uuid} must be running or stopped to be unmanaged"),
        ("1.5-3", {"hypervisor_type": "Xen"}, "K1", "Unmanage VM is currently not allowed for hypervisor Xen"),
        (
            "1.5-5",
            {"state": "Running"},
            "K1",
            "Param hostid is only supported for KVM hypervisor for stopped Instances.",
        ),
    ],
)
def test_1p5i2_1p5i3_1p5i5_unmanage_refused(
    host_world: Any, row: str, change: dict[str, Any], host: str, text: str
) -> None:
    """The checks of the VM, in their order."""
    vm_id = adopt(host_world)
    (vm,) = host_world.rows(models.VmInstance)
    host_world.change(vm.uuid, **change)
    error = kept(host_world, vm_id, host=host)
    assert (error.row, error.text) == (row, text.format(uuid=vm.uuid))


def test_1p5i6_config_drive(host_world: Any) -> None:
    """A config drive needs `forced`, and the host is told of it."""
    vm_id = adopt(host_world)
    host_world.add(models.VmDetail(vm_id=vm_id, name="configDriveLocation", value="SECONDARY"))
    error = kept(host_world, vm_id)
    assert (error.row, error.text) == (
        "1.5-6",
        "Config drive is attached to Instance, use forced param true from API to unmanage it.",
    )
    let_go(host_world, vm_id, forced=True)
    assert host_world.agents.sent[-1][1].isConfigDriveAttached is True


def test_1p5i8_1p5i9_snapshots_and_iso(host_world: Any) -> None:
    """A volume's snapshot keeps the VM, and so does an ISO in its drive; the snapshot is told first."""
    vm_id = adopt(host_world)
    (vm,), (volume,) = host_world.rows(models.VmInstance), host_world.rows(models.Volume)
    host_world.change(vm.uuid, iso_id=host_world.id_of("TPL"))
    owned = {"account_id": vm.account_id, "domain_id": vm.domain_id, "zone_id": vm.zone_id, "created": vm.created}
    host_world.add(
        models.Snapshot(uuid="SNAP", name="s", state="BackedUp", volume_id=volume.id, size_bytes=GIB, **owned)
    )
    error = kept(host_world, vm_id)
    begins = f"Cannot unmanage VM with id = {vm.uuid} as there "
    snapshots = "are volume snapshots for its volume(s). Please remove snapshots before unmanaging."
    assert (error.row, error.text) == ("1.5-8", begins + snapshots)
    host_world.change("SNAP", removed=vm.created)
    error = kept(host_world, vm_id)
    iso = "is an ISO attached. Please detach ISO before unmanaging."
    assert (error.row, error.text) == ("1.5-9", begins + iso)
    host_world.change(vm.uuid, iso_id=None)
    let_go(host_world, vm_id)


@pytest.mark.parametrize("answer", [PrepareUnmanageVMInstanceAnswer(), AgentUnavailableError("gone")])
def test_1p5i11_not_on_the_host(host_world: Any, answer: Any) -> None:
    """A running VM that its host does not confirm stays managed."""
    vm_id = adopt(host_world, guest(powerState="PowerOn"))
    (vm,) = host_world.rows(models.VmInstance)
    host_world.agents.script(PrepareUnmanageVMInstanceCommand, answer)
    error = kept(host_world, vm_id)
    assert (error.row, error.text) == (
        "1.5-11",
        (
            f'VM VM instance {{"id":{vm_id},"instanceName":"um1","state":"Running","type":"User","uuid":"{vm.uuid}"}} '
            "is not found in the hypervisor"
        ),
    )


@pytest.mark.parametrize("answer", [UnmanageInstanceAnswer(), UnsupportedAnswer(details="?")])
def test_1p5i12_not_persisted(host_world: Any, answer: Any) -> None:
    """A host that does not make the domain persistent leaves the VM managed."""
    vm_id = adopt(host_world)
    host_world.agents.script(UnmanageInstanceCommand, answer)
    error = kept(host_world, vm_id)
    host = host_world.id_of("K1")
    text = f"Failed to persist domain XML for Instance: um1 on host ID: {host}"
    assert (error.row, error.text) == ("1.5-12", text)


def test_unmanage_without_any_host(host_world: Any) -> None:
    """With no host to ask, a running VM without one is not found and a stopped one not made persistent."""
    vm_id = host_world.run()
    for name in ("K1", "K2", "K3"):
        host_world.change(name, status="Down")
    assert kept(host_world, vm_id).row == "1.5-12"
    host_world.change(host_world.rows(models.VmInstance)[0].uuid, state="Running")
    assert kept(host_world, vm_id).row == "1.5-11"


# The commands


def call(world: Any, command: str) -> Call:
    caller = Caller(2, "u", "admin", 2, "admin-account", "admin", 1, 1, "ROOT", "/", "Admin")
    return Call(world.command_services, caller, command, "c")


def test_commands(host_world: Any) -> None:
    """The three commands answer with the VM, the remote VMs that match the keyword, and the host that keeps the VM."""
    assert [item.name for item in COMMANDS] == ["importUnmanagedInstance", "listVmsForImport", "unmanageVirtualMachine"]
    host_world.agents.script(GetUnmanagedInstancesCommand, found(guest()))
    values = {
        "name": "um1",
        "clusterid": host_world.id_of("C1"),
        "serviceofferingid": host_world.id_of("O1"),
        "templateid": host_world.id_of("TPL"),
        "nicnetworklist": {"0": {"nic": "0", "network": "l2"}},
    }
    item = import_unmanaged_instance.handler(call(host_world, "importUnmanagedInstance"), Bound(values))
    assert isinstance(item, Item)
    assert (item.fields["instancename"], item.fields["hostname"], item.fields["state"]) == ("um1", "K1", "Stopped")
    assert import_unmanaged_instance.event is not None
    assert import_unmanaged_instance.event.scheduled(Bound(values)) == "Importing unmanaged VM: um1"

    answer = GetRemoteVmsAnswer(result=True, unmanagedInstances={"rv1": guest("rv1"), "x": guest("x")})
    host_world.agents.script(GetRemoteVmsCommand, answer)
    wanted = {
        "zoneid": host_world.id_of("Z1"),
        "host": "192.0.2.60",
        "hypervisor": "KVM",
        "username": None,
        "password": "pw",
        "keyword": "RV",
    }
    listing = list_vms_for_import.handler(call(host_world, "listVmsForImport"), Bound(wanted))
    assert [each["name"] for each in listing.items] == ["rv1"]  # type: ignore[union-attr]

    (vm,) = host_world.rows(models.VmInstance)
    forget = Bound({"id": vm.id, "hostid": None, "forced": None})
    done = unmanage_virtual_machine.handler(call(host_world, "unmanageVirtualMachine"), forget)
    assert isinstance(done, Item)
    assert done.fields == {"success": True, "details": "VM unmanaged successfully", "hostid": "K1"}
    assert unmanage_virtual_machine.event is not None
    assert unmanage_virtual_machine.event.scheduled(forget) == f"unmanaging VM. VM ID = {vm.id}"
