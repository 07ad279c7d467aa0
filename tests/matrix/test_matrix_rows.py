"""The rows of an import over HTTP: code and full text, and that nothing is left but what CloudStack leaves.

The rows' own tests are those of tests/imports; here whole requests meet the same rules, with real agents' wire and a
vCenter. `{name}` in a text is the entity's shown form, `{#name}` its number, `{@name}` its uuid.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import pytest
from sqlalchemy import select

from mgmt.store import models

GONE = datetime(2026, 1, 1)
FAILED = {"import_vm_task": 1}
NOBODY = "01234567-0000-4000-8000-000000000000"
BAD_NAME = (
    "Invalid VM hostname. VM hostname can contain ASCII letters 'a' through 'z', the digits '0' through '9', and the "
    "hyphen ('-'), must be between 1 and 63 characters long, and can't start or end with \"-\" and can't start with "
    "digit"
)
BAD_DERIVED = (
    "Please provide a valid hostname for the VM. VM name contains unsupported characters that cannot be used as "
    "hostname."
)
INCOMPLETE = "Please set all the information for a vCenter IP/Name, datacenter, username and password"
EXTERNAL = {"existingvcenterid": None, "vcenter": "vc1", "datacentername": "d", "username": "u", "password": "p"}
EXTRA = "convert.vmware.instance.to.kvm.extra.params.allowed"
ISOLATED = {"nicnetworklist[0].network": "lab-isolated"}
TWO_DISKS = {"name": "web01", "datadiskofferinglist[0].disk": "1-2001", "datadiskofferinglist[0].diskOffering": "D1"}
DIRECT = {"forceconverttopool": True, "convertinstancepoolid": "N1"}
LOCAL_TEXT = (
    "Please select the same host as convert and importing host and set forceconvertopool to true to use a local "
    "storage pool for conversion"
)


@dataclass(frozen=True)
class Case:
    """A row, the request, the answer, what has to be changed in the world, and what is left afterwards."""

    row: str
    changes: Mapping[str, Any]
    text: str
    code: int = 530
    world: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)
    left: Mapping[str, int] = field(default_factory=dict)


CASES = [
    Case(
        "1",
        {"importsource": "foo"},
        "No enum constant org.apache.cloudstack.vm.VmImportService.ImportSource.FOO",
    ),
    Case(
        "E1",
        {"extraparams": "--root first"},
        "Extra parameters for Vmware to KVM conversion are disabled by the administrator",
        431,
    ),
    Case(
        "E2",
        {"extraparams": "--root first"},
        "Extra parameters for Vmware to KVM conversion are enabled but the allowed list of parameters is empty",
        431,
        settings={EXTRA: "true"},
    ),
    Case("3", {"name": ""}, "Invalid value provided for API arg: name", 431),
    Case("4", {"domainid": "ROOT"}, "domainid parameter must be specified with account parameter", 431),
    Case("6", {"clusterid": None}, "Unable to execute API command importvm due to missing parameter clusterid", 431),
    Case("7", {"clusterid": 999}, "Cluster with ID [999] cannot be found.", 431),
    Case(
        "8",
        {},
        "VM import is currently not supported for hypervisor [Hyperv].",
        431,
        {"C1": {"hypervisor_type": "Hyperv"}},
    ),
    Case("9", {}, "Cluster [{C1}] is not enabled.", 431, {"C1": {"allocation_state": "Disabled"}}),
    Case(
        "10",
        {"account": "nope", "domainid": "ROOT"},
        "Unable to find account by name nope in domain with specified id",
        431,
    ),
    Case("11", {"templateid": 999}, "Template ID: 999 cannot be found", 431),
    Case("12", {"serviceofferingid": 999}, "Service offering ID: 999 cannot be found", 431),
    Case("13", {"hostname": "not good"}, BAD_NAME, 431),
    Case("13", {"hostname": None, "displayname": "not good"}, BAD_DERIVED, 431),
    Case(
        "13b",
        {"nicnetworklist[0].network": NOBODY},
        f"Network ID: {NOBODY} for NIC ID: Network adapter 1 is invalid",
        431,
    ),
    Case("13b", {"nicipaddresslist[0].nic": "n"}, "Empty address for NIC ID: n is invalid", 431),
    Case("15", EXTERNAL | {"password": ""}, INCOMPLETE, 431),
    Case(
        "P1",
        {"forceconverttopool": True},
        "The parameter forceconverttopool is set to true, but a primary storage pool has not been provided for "
        "conversion",
    ),
    Case("P2", {"convertinstancepoolid": 999}, "Cannot find a storage pool with ID 999"),
    Case(
        "V1",
        {"convertinstancepoolid": "N1"},
        "Cannot find disk offering with ID {#disk of O1} that belongs to the service offering O1",
        431,
        {"disk of O1": {"removed": GONE}},
    ),
    Case(
        "V3",
        TWO_DISKS | {"convertinstancepoolid": "N1"},
        "Cannot find disk offering with ID {#D1}",
        431,
        {"D1": {"removed": GONE}},
    ),
    Case("20", {"existingvcenterid": 999}, "Cannot find any existing VMware DC with ID 999"),
    Case(
        "H1",
        {"convertinstancehostid": "K1"},
        "Cannot find host with ID {#K1} for conversion",
        world={"K1": {"removed": GONE}},
    ),
    Case(
        "H3",
        {"convertinstancehostid": "K1"},
        "Cannot perform the conversion on the host {K1} as it is not running",
        world={"K1": {"status": "Alert"}},
    ),
    Case(
        "H4",
        {"convertinstancehostid": "K1"},
        'Cannot perform the conversion on the host Host {{"id":{#K1},"name":"K1","type":"ConsoleProxy","uuid":'
        '"{@K1}"}} as it is not a routing host',
        world={"K1": {"type": "ConsoleProxy"}},
    ),
    Case(
        "I2",
        {"importinstancehostid": "K2"},
        "Cannot import the converted instance on the host {K2} as it is not in Enabled state",
        world={"K2": {"resource_state": "Disabled"}},
    ),
    Case(
        "I3",
        {"importinstancehostid": "K2"},
        "Cannot import the converted instance on the host {K2} as it is not running",
        world={"K2": {"status": "Down"}},
    ),
    Case(
        "I4",
        {"importinstancehostid": "K2"},
        'Cannot import the converted instance on the host Host {{"id":{#K2},"name":"K2","type":"Storage","uuid":'
        '"{@K2}"}} as it is not a routing host',
        world={"K2": {"type": "Storage"}},
    ),
    Case(
        "I8",
        {"convertinstancehostid": "K3", "usevddk": False},
        "Could not find any suitable KVM host in cluster {C1} to import the converted instance",
        world={"K1": {"status": "Down"}, "K2": {"status": "Down"}},
    ),
    Case(
        "3.2",
        {"convertinstancehostid": "K1", "details[0].vddk.lib.dir": "/nowhere"},
        "The host {K1} doesn't support conversion of instance edge-stopped from VMware to KVM due to: Cannot convert "
        "the instance from VMware using VDDK on host 192.0.2.11. Please make sure virt-v2v, nbdkit-vddk and a valid "
        "VDDK library directory are available on the host.",
    ),
    Case(
        "3.2",
        {"name": "win-legacy", "convertinstancehostid": "K2", "usevddk": False},
        "The host {K2} doesn't support conversion of instance win-legacy from VMware to KVM due to: Cannot convert the "
        "instance from VMware as the virtio-win package is not found on host 192.0.2.12. Please install virtio-win "
        "package on the host before attempting the windows guest instance conversion.",
        left=FAILED,
    ),
    Case(
        "T4",
        {"convertinstancepoolid": "N3"},
        "Cannot use the storage pool N3 for the instance conversion as it is not in the scope of the cluster C1",
    ),
    Case("T5", {"convertinstancepoolid": "L1", "convertinstancehostid": "K1"}, LOCAL_TEXT),
    Case(
        "D3",
        {},
        "Cannot find suitable storage pools in the cluster C1 for the conversion",
        world={"N1": {"removed": GONE}, "N2": {"removed": GONE}},
    ),
    Case(
        "D4",
        {},
        "Cannot find disk offering with ID {#disk of O1} that belongs to the service offering O1",
        world={"disk of O1": {"removed": GONE}},
    ),
    Case("D6", TWO_DISKS, "Cannot find disk offering with ID {#D1}", world={"D1": {"removed": GONE}}),
    Case(
        "D7",
        TWO_DISKS | DIRECT | {"datadiskofferinglist[0].diskOffering": "D2", "usevddk": False},
        "Cannot find suitable storage pool for disk offering D2",
    ),
    Case(
        "C1",
        EXTERNAL | {"vcenter": "{vcenter}", "password": "wrong-password"},
        "Error while finding or cloning VM: edge-stopped from vCenter {vcenter}: Cannot complete login due to an "
        "incorrect user name or password.",
        left=FAILED,
    ),
    Case("C2", {"name": "nosuch"}, "Cannot find VM with name nosuch on vCenter {vcenter}/lab-dc", left=FAILED),
    Case(
        "C3",
        {"name": "store-4disk", "serviceofferingid": "Small Instance"},
        "The requested CPU number (1) is less than the source VM CPU number (4)",
        left=FAILED,
    ),
    Case(
        "C3",
        {"name": "app01", "serviceofferingid": "O1"},
        "The requested CPU speed (500) is less than the source VM CPU speed (1000)",
        world={"O1": {"cpu_speed_mhz": 500}},
        left=FAILED,
    ),
    Case(
        "C3",
        {"name": "store-4disk"},
        "The requested Memory (4096) is less than the source VM Memory (8192)",
        world={"O1": {"memory_mb": 4096}},
        left=FAILED,
    ),
    Case(
        "C6",
        {"name": "edge-standalone"},
        "VM edge-standalone might be on standalone host and is Running, cannot be imported. Please shut it down "
        "before attempting the import",
        left=FAILED,
    ),
    Case(
        "27",
        {"account": "user", "domainid": "ROOT"},
        "VM resource allocation error for account: {@user}. Maximum amount of resources of Type = 'user_vm', tag = "
        "'null' for Account Name = user in Domain Id = {#ROOT} is exceeded: Account Resource Limit = 0, Current "
        "Account Resource Amount = 0, Current Account Resource Reservation = 0, Requested Resource Amount = 1.",
        world={"user": {"limits": {"user_vm": 0}}},
        left=FAILED,
    ),
    Case(
        "2.7-2",
        {"nicnetworklist[0].nic": "other"},
        "Cannot find a network with id = null",
        left=FAILED,
    ),
    Case(
        "2.7-4",
        {"nicnetworklist[0].network": "l2z2"},
        "Network(ID: {@l2z2}) for nic(ID: Network adapter 1) belongs to a different zone than VM to be imported",
        left=FAILED,
    ),
    Case(
        "2.7-4",
        ISOLATED,
        "Unable to use network with id= {@lab-isolated}, permission denied",
        world={"lab-isolated": {"account_id": 1}},
        left=FAILED,
    ),
    Case(
        "2.7-7",
        ISOLATED,
        "NIC(ID: Network adapter 1) needs a valid IP address for it to be associated with network(ID: "
        "{@lab-isolated}). nicipaddresslist parameter of API can be used for this",
        left=FAILED,
    ),
    Case(
        "2.7-8",
        ISOLATED | {"nicipaddresslist[0].nic": "Network adapter 1", "nicipaddresslist[0].ip4Address": "10.9.9.9"},
        "IP address 10.9.9.9 for NIC(ID: Network adapter 1) is not available in network(ID: {@lab-isolated})",
        left=FAILED,
    ),
    Case(
        "3.8-3",
        {"datadiskofferinglist[0].disk": "nosuch", "datadiskofferinglist[0].diskOffering": "D1"},
        "VM has total 1 disks for which 1 disk offering mappings provided. 0 disks need a disk offering for import",
        left=FAILED | {"files": 1},
    ),
    Case(
        "3.8-5",
        TWO_DISKS | {"datadiskofferinglist[0].diskOffering": "D3"},
        "Size of disk offering(ID: {@D3}) 1GB is found less than the size of disk(ID: 1-2001) 50GB during VM import",
        left=FAILED | {"files": 2},
    ),
    Case(
        "3.8-7",
        {"details[0].miniops": "many"},
        'Failed to import volumes while importing vm: edge-stopped. For input string: "many"',
        left=FAILED | {"files": 1},
    ),
    Case(
        "5.1",
        {"importsource": "unmanaged"},
        "Failed to find unmanaged vm with name: edge-stopped in cluster: {@C1}",
    ),
]


# Those that fail after their task was made; and the one whose task CloudStack leaves Running.
OVER_LIMIT = next(case for case in CASES if case.left and case.changes.get("account") == "user")
WITH_TASK = [case for case in CASES if case.left and case is not OVER_LIMIT]


def shown(lab: Any, text: str) -> str:
    """The text with the names filled in."""
    vcenter = "{}:{}".format(*lab.world.vcenter.address)

    def fill(match: re.Match[str]) -> str:
        kind, name = match.groups()
        if name == "vcenter":
            return vcenter
        if kind == "#":
            return str(lab.number(name))
        return str(lab.uuid(name)) if kind == "@" else str(lab.shown(name))

    return re.sub(r"(?<!\{)\{([#@]?)([^{}\"]+)\}", fill, text).replace("{{", "{").replace("}}", "}")


@pytest.mark.parametrize("case", CASES, ids=[case.row for case in CASES])
def test_row_over_http(lab: Any, case: Case) -> None:
    """The request is refused with the row's code and words, and leaves what CloudStack leaves."""
    refuse(lab, case)


def refuse(lab: Any, case: Case) -> None:
    changes = {key: shown(lab, value) if isinstance(value, str) else value for key, value in case.changes.items()}
    with ExitStack() as stack:
        for name, values in case.world.items():
            stack.enter_context(lab.changed(name, **values))
        for name, value in case.settings.items():
            stack.enter_context(lab.setting(name, value))
        lab.refused(shown(lab, case.text), case.code, left=case.left, **changes)


def test_tasks_of_refused_imports(lab: Any) -> None:
    """Every import that failed after its task was made has Failed with its text; a limit leaves it Running."""
    known = {task["id"] for task in lab.tasks()}
    chosen = [*WITH_TASK[::5], OVER_LIMIT]
    for case in chosen:
        refuse(lab, case)
    tasks = [task for task in lab.tasks() if task["id"] not in known]
    failed = {task["description"] for task in tasks if task["state"] == "Failed"}
    assert failed == {shown(lab, case.text) for case in chosen if case is not OVER_LIMIT}
    assert [task["step"] for task in tasks if task["state"] == "Running"] == ["[2/5] CloningInstance"]


FIELDS = [
    *[
        "zoneid",
        "zonename",
        "account",
        "accountid",
        "displayname",
        "state",
        "vcenter",
        "datacentername",
        "sourcevmname",
    ],
    *[
        "step",
        "stepduration",
        "description",
        "convertinstancehostid",
        "convertinstancehostname",
        "created",
        "lastupdated",
    ],
]


def test_tasks_over_http(lab: Any) -> None:
    """Tasks of every state have the recorded fields in their order; filters in any case, pages of all matches."""
    for case in (*WITH_TASK[:2], OVER_LIMIT):
        refuse(lab, case)
    lab.expunge(lab.imported(convertinstancehostid="K1"))
    # the world has extensions on, which tell the task's id
    by_state = {task["state"]: [name for name in task if name != "id"] for task in reversed(lab.tasks())}
    assert by_state["Running"] == FIELDS
    ended = ["duration" if name == "stepduration" else name for name in FIELDS]
    assert [name for name in by_state["Failed"] if name != "duration"] == [name for name in ended if name != "duration"]
    assert set(by_state["Completed"]) - {"virtualmachineid", "duration"} == set(ended) - {"duration"}

    def listed(**parameters: Any) -> dict[str, Any]:
        found: dict[str, Any] = lab.client.call("listImportVmTasks", zoneid=lab.uuid("Z1"), **parameters)
        return found

    everything = listed()
    created = [task["created"] for task in everything["importvmtask"]]
    assert created == sorted(created, reverse=True)
    assert everything["count"] == listed(tasksfilter="ALL")["count"] == len(created)
    page = listed(page=2, pagesize=3)
    of_page = [task["id"] for task in page["importvmtask"]]  # what runs has gone on meanwhile
    assert (page["count"], of_page) == (everything["count"], [task["id"] for task in everything["importvmtask"][3:6]])
    assert {task["state"] for task in listed(tasksfilter="failed")["importvmtask"]} == {"Failed"}
    assert {task["state"] for task in listed(tasksfilter="Running")["importvmtask"]} == {"Running"}
    assert listed(convertinstancehostid=lab.uuid("K2"))["importvmtask"][0]["convertinstancehostname"] == "K2"
    assert {task["account"] for task in listed(accountid=lab.uuid("user"))["importvmtask"]} == {"user"}
    assert listed(vcenter="nosuch") == {}
    assert lab.client.call("listImportVmTasks", zoneid=lab.uuid("Z2")) == {}


def test_2p7i3_2p7i6_names_and_addresses_in_use(lab: Any) -> None:
    """A second VM with the same host name or the same MAC address in the network is refused before the conversion."""
    vm = lab.imported(hostname="first", convertinstancehostid="K1")
    with lab.store.session() as session:
        network = session.scalars(select(models.Network).where(models.Network.name == "lab-l2")).one()
        shown_network = (
            f'Network {{"id": {network.id}, "name": "lab-l2", "uuid": "{network.uuid}", "networkofferingid": '
            f"{network.network_offering_id}}}"
        )
    mac = vm["nic"][0]["macaddress"]
    lab.refused(
        f"NIC Network adapter 1 with MAC address {mac} already exists on network {shown_network} and forced flag is "
        "disabled. Retry with forced flag enabled if a new MAC address to be generated.",
        forced=None,
        left=FAILED,
    )
    lab.refused(
        f"VM with Name [first] already exists in the network [{shown_network}] domain [null]. Cannot import another VM "
        "with the same name. Please try again with a different name.",
        hostname="first",
        left=FAILED,
    )
    lab.expunge(vm)


# Failures of real installations that ordinary inputs reach, and old ones that today's release does not have.

NO_VDDK = (
    "The host {host} doesn't support conversion of instance edge-stopped from VMware to KVM due to: Cannot convert the "
    "instance from VMware using VDDK on host {ip}. Please make sure virt-v2v, nbdkit-vddk and a valid VDDK library "
    "directory are available on the host."
)


def test_host_without_virt_v2v(lab: Any) -> None:
    """A host without virt-v2v says so; on Ubuntu nbdkit is asked for as well."""
    lab.refused(
        f"The host {lab.shown('K5')} doesn't support conversion of instance edge-stopped from VMware to KVM due to: "
        "Cannot convert the instance from VMware as the virt-v2v binary is not found on host 192.0.2.15. Please "
        "install virt-v2v, nbdkit on the host before attempting the instance conversion.",
        clusterid="C5",
        convertinstancehostid="K5",
        usevddk=False,
    )


def test_three_causes_one_text(lab: Any) -> None:
    """No VDDK plug-in, no library and no virt-v2v are told with the same words."""
    for host, ip, changes in (
        ("K1", "192.0.2.11", {"details[0].vddk.lib.dir": "/nowhere"}),
        ("K2", "192.0.2.12", {}),
        ("K5", "192.0.2.15", {"clusterid": "C5"}),
    ):
        text = NO_VDDK.format(host=lab.shown(host), ip=ip)
        if host == "K5":  # Ubuntu has nbdkit in a package of its own
            text = text.replace("virt-v2v, ", "virt-v2v, nbdkit, ")
        lab.refused(text, convertinstancehostid=host, **changes)


def test_stale_host_detail(lab: Any) -> None:
    """A host whose detail says VDDK is chosen, and refuses when it is asked."""
    with lab.store.session() as session:
        detail = session.scalars(
            select(models.HostDetail).where(
                models.HostDetail.host_id == lab.number("K2"), models.HostDetail.name == "host.vddk.support"
            )
        ).one()
        before, detail.value = detail.value, "true"
    try:
        with lab.changed("K1", resource_state="Disabled"):
            lab.refused(NO_VDDK.format(host=lab.shown("K2"), ip="192.0.2.12"))
    finally:
        with lab.store.session() as session:
            session.get_one(models.HostDetail, detail.id).value = before


def test_virtio_win_missing_after_the_clone_rule(lab: Any) -> None:
    """That a host has no virtio-win shows only after the source was found: the task is there and has Failed."""
    before = len(lab.tasks())
    job = lab.ended(name="win-legacy", convertinstancehostid="K2", usevddk=False)
    text = job["jobresult"]["errortext"]
    assert "virtio-win package is not found on host" in text
    lab.left_task(before, text, "[2/5] CloningInstance")


def test_only_zone_wide_pools(lab: Any) -> None:
    """With pools of the whole zone only the import goes on: they count as destinations."""
    with lab.changed("N1", removed=datetime(2026, 1, 1)):
        plan = lab.plan()
    assert (plan["possible"], plan["pools"]) == (True, "N2")


def test_listing_with_a_standalone_host(lab: Any) -> None:
    """A host outside clusters does not keep the others' VMs from being listed."""
    found = lab.client.call("listVmwareDcVms", existingvcenterid=lab.uuid("lab-dc"))["unmanagedinstance"]
    assert {"esx3.lab.example", "esx1.lab.example"} <= {vm["hostname"] for vm in found}


def test_export_of_a_vm_in_a_folder(lab: Any) -> None:
    """ovftool gets the path of a VM that lies in a folder."""
    vm = lab.imported(
        name="web 01 + cache",
        displayname="folder",
        convertinstancehostid="K1",
        importinstancehostid="K1",
        usevddk=False,
    )
    runs = [entry.fields["argv"] for entry in lab.world.server.services.journal.entries(kind="tool")]
    (export,) = [argv for argv in runs if argv[0] == "ovftool" and any("cache" in word for word in argv)]
    assert any("/lab-dc/vm/Prod/Web/" in word for word in export)
    lab.expunge(vm)
