"""The checks before the try block: text, code, and which comes first (import-vm 2.1, rows 1-20)."""

from __future__ import annotations

from typing import Any

import pytest

from mgmt.errors import CloudError, PermissionDeniedError
from mgmt.imports.pipeline import ImportPipeline
from mgmt.store import models

NO_VCENTER = "Please provide an existing vCenter ID or a vCenter IP/Name, parameters are mutually exclusive"
INCOMPLETE = "Please set all the information for a vCenter IP/Name, datacenter, username and password"
BAD_NAME = (
    "Invalid VM hostname. VM hostname can contain ASCII letters 'a' through 'z', the digits '0' through '9', and the "
    "hyphen ('-'), must be between 1 and 63 characters long, and can't start or end with \"-\" and can't start with "
    "digit"
)
BAD_DERIVED_NAME = (
    "Please provide a valid hostname for the VM. VM name contains unsupported characters that cannot be used as "
    "hostname."
)
EXTRA_DISABLED = "Extra parameters for Vmware to KVM conversion are disabled by the administrator"

CASES: list[tuple[str, dict[str, Any], int, str]] = [
    (
        "1",
        {"importsource": "foo"},
        530,
        "No enum constant org.apache.cloudstack.vm.VmImportService.ImportSource.FOO",
    ),
    ("E1", {"extraparams": "--root first"}, 431, EXTRA_DISABLED),
    ("3", {"name": ""}, 431, "Instance name cannot be empty"),
    ("4", {"domainid": "ROOT"}, 431, "domainid parameter must be specified with account parameter"),
    ("6", {"clusterid": None}, 431, "Cluster ID cannot be null."),
    ("7", {"clusterid": 9999}, 431, "Cluster with ID [9999] cannot be found."),
    (
        "10",
        {"account": "nope", "domainid": "ROOT"},
        431,
        "Unable to find account by name nope in domain with specified id",
    ),
    ("11", {"templateid": 9999}, 431, "Template ID: 9999 cannot be found"),
    ("12", {"serviceofferingid": None}, 431, "Service offering ID cannot be null"),
    ("12", {"serviceofferingid": 9999}, 431, "Service offering ID: 9999 cannot be found"),
    ("13", {"hostname": "bad_name!"}, 431, BAD_NAME),
    ("13", {"hostname": "x" * 64}, 431, BAD_NAME),
    ("13", {"displayname": "bad name!"}, 431, BAD_DERIVED_NAME),
    ("13", {"name": "1web"}, 431, BAD_DERIVED_NAME),
    ("14", {"vcenter": None}, 431, NO_VCENTER),
    ("14", {"existingvcenterid": "DC"}, 431, NO_VCENTER),
    ("14", {"existingvcenterid": "DC", "vcenter": ""}, 431, NO_VCENTER),
    ("15", {"vcenter": ""}, 431, INCOMPLETE),
    ("15", {"datacentername": " "}, 431, INCOMPLETE),
    ("15", {"username": None}, 431, INCOMPLETE),
    ("15", {"password": ""}, 431, INCOMPLETE),
    (
        "16",
        {"forcemstoimportvmfiles": True},
        431,
        "Parameters forcemstoimportvmfiles and usevddk are mutually exclusive",
    ),
    (
        "P1",
        {"forceconverttopool": True},
        530,
        (
            "The parameter forceconverttopool is set to true, but a primary storage pool has not been provided for "
            "conversion"
        ),
    ),
    ("P2", {"convertinstancepoolid": 9999}, 530, "Cannot find a storage pool with ID 9999"),
    (
        "P3",
        {"convertinstancepoolid": "pool-R1", "forceconverttopool": True},
        530,
        "The selected storage pool R1 does not support direct conversion as its type RBD",
    ),
    (
        "20",
        {"existingvcenterid": 999, "vcenter": None},
        530,
        "Cannot find any existing VMware DC with ID 999",
    ),
]


@pytest.mark.parametrize(("row", "changes", "code", "text"), CASES, ids=[f"row-{case[0]}" for case in CASES])
def test_1_E1_3_4_6_7_10_11_12_13_14_15_16_P1_P2_P3_20_refused_before_the_try_block(
    world: Any, row: str, changes: dict[str, Any], code: int, text: str
) -> None:
    """Each check has its text and the code with which the job ends; no task and no record is made, nobody is asked."""
    error = world.refused(**changes)
    assert (error.row, error.job_errorcode(), error.text) == (row, code, text)
    assert world.rows(models.ImportVmTask) == []
    assert (world.agents.sent, world.vcenter.credentials) == ([], [])
    world.assert_no_records()
    failed = [entry.fields for entry in world.services.journal.entries(kind="import")][-1]
    assert (failed["state"], failed["row"], failed["reason"]) == ("failed", row, text)


# Pairs of neighbours: the first one wins.
ORDER: list[tuple[str, dict[str, Any]]] = [
    ("1", {"importsource": "foo", "extraparams": "--x"}),
    ("E1", {"extraparams": "--x", "name": ""}),
    ("3", {"name": "", "domainid": "ROOT"}),
    ("4", {"domainid": "ROOT", "clusterid": 9999}),
    ("8", {"clusterid": "HV"}),
    ("9", {"clusterid": "OFF", "templateid": 9999}),
    ("10", {"account": "nope", "domainid": "ROOT", "templateid": 9999}),
    ("11", {"templateid": 9999, "serviceofferingid": 9999}),
    ("12", {"serviceofferingid": 9999, "hostname": "-"}),
    ("13", {"hostname": "-", "nicnetworklist": {"0": {"nic": "n"}}}),
    ("13b", {"nicnetworklist": {"0": {"nic": "n"}}, "vcenter": None}),
    ("14", {"vcenter": None, "password": "", "forcemstoimportvmfiles": True}),
    ("15", {"password": "", "forcemstoimportvmfiles": True}),
    ("16", {"forcemstoimportvmfiles": True, "forceconverttopool": True}),
    ("P3", {"convertinstancepoolid": "pool-R1", "forceconverttopool": True, "serviceofferingid": "O2"}),
    (
        "V2",
        {"convertinstancepoolid": "pool-N1", "serviceofferingid": "O2", "existingvcenterid": 999, "vcenter": None},
    ),
    ("20", {"existingvcenterid": 999, "vcenter": None, "convertinstancehostid": 999}),
]


@pytest.fixture
def odd_clusters(world: Any) -> None:
    """A disabled KVM cluster `OFF` and an enabled Hyper-V one `HV` (disabled too: row 8 comes before row 9)."""
    zone, pod = world.id_of("Z1"), world.rows(models.Pod)[0].id
    world.add(
        models.Cluster(uuid="OFF", name="OFF", zone_id=zone, pod_id=pod, allocation_state="Disabled"),
        models.Cluster(
            uuid="HV", name="HV", zone_id=zone, pod_id=pod, hypervisor_type="Hyperv", allocation_state="Disabled"
        ),
    )


@pytest.mark.usefixtures("odd_clusters")
@pytest.mark.parametrize(("row", "changes"), ORDER, ids=[f"row-{case[0]}" for case in ORDER])
def test_order_of_checks(world: Any, row: str, changes: dict[str, Any]) -> None:
    """Of two things wrong the check that comes first is told."""
    assert world.refused(**changes).row == row


@pytest.mark.usefixtures("odd_clusters")
def test_8_9_cluster_texts(world: Any) -> None:
    """A cluster of another hypervisor and a disabled one have their texts; the disabled one shows in its own form."""
    assert world.refused(clusterid="HV").text == "VM import is currently not supported for hypervisor [Hyperv]."
    number = world.id_of("OFF")
    assert (
        world.refused(clusterid="OFF").text
        == f'Cluster [Cluster {{id: "{number}", name: "OFF", uuid: "OFF"}}] is not enabled.'
    )


def test_row_5_root_admin(world: Any) -> None:
    """Only a root admin imports; in a job the refusal ends as 530."""
    pipeline = ImportPipeline(world.services, world.request(clusterid=9999), world.requester(account_type=2))
    with pytest.raises(PermissionDeniedError) as caught:
        pipeline.run()
    assert caught.value.text == ("Cannot perform this operation, caller account [admin-account] is not ROOT Admin.")
    assert (caught.value.row, caught.value.job_errorcode()) == ("5", 530)


def test_row_10_locked_account(world: Any) -> None:
    """An account that is not enabled gets no VM."""
    world.change("bob-account", state="locked")
    error = world.refused(account="bob", domainid="ROOT")
    assert error.text == (
        f"Can't add resources to the account id={world.id_of('bob-account')} in state=locked as it's no longer active"
    )


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"nicnetworklist": {"0": {"network": "l2"}}}, "Network ID: l2 for NIC ID: null is invalid"),
        ({"nicnetworklist": {"0": {"nic": "n"}}}, "Network ID: null for NIC ID: n is invalid"),
        ({"nicnetworklist": {"0": {"nic": "n", "network": "x"}}}, "Network ID: x for NIC ID: n is invalid"),
        ({"nicipaddresslist": {"0": {"ip4Address": "auto"}}}, "NIC ID: 'null' is invalid for IP address mapping"),
        ({"nicipaddresslist": {"0": {"nic": "n"}}}, "Empty address for NIC ID: n is invalid"),
        ({"nicipaddresslist": {"0": {"nic": "n", "ip4Address": ""}}}, "Empty address for NIC ID: n is invalid"),
        ({"nicipaddresslist": {"0": {"nic": "n", "ip4Address": "x"}}}, "IP address 'x' for NIC ID: n is invalid"),
        ({"datadiskofferinglist": {"0": {"disk": "d"}}}, "Disk offering ID: null for disk ID: d is invalid"),
        (
            {"datadiskofferinglist": {"0": {"disk": "d", "diskOffering": "x"}}},
            "Disk offering ID: x for disk ID: d is invalid",
        ),
        (
            {"datadiskofferinglist": {"0": {"diskOffering": "D1"}}},
            "Disk offering ID: D1 for disk ID: null is invalid",
        ),
    ],
)
def test_13b_map_texts(world: Any, changes: dict[str, Any], text: str) -> None:
    """The maps are parsed in the job, with the texts of section 1.2 as 431."""
    error = world.refused(**changes)
    assert (error.row, error.job_errorcode(), error.text) == ("13b", 431, text)


def test_V2_ends_as_431_without_task(world: Any) -> None:
    """Table V is checked before the try block: 431 and no task."""
    error = world.refused(convertinstancepoolid="pool-N1", serviceofferingid="O2")
    assert (error.row, error.job_errorcode()) == ("V2", 431)
    assert world.rows(models.ImportVmTask) == []


def test_5p1_unmanaged_source(world: Any) -> None:
    """The source unmanaged passes the common checks and then always fails, without a host being asked."""
    error = world.refused(importsource="Unmanaged", vcenter=None)
    assert (error.job_errorcode(), error.text) == (
        530,
        "Failed to find unmanaged vm with name: web01 in cluster: C1",
    )
    assert world.agents.sent == []
    assert [(state, level) for state, level, _, _ in world.events] == [("Started", "INFO"), ("Completed", "ERROR")]
    assert {text for _, _, text, _ in world.events} == {"Importing unmanaged VM: web01"}
    assert world.refused(importsource="unmanaged", clusterid=9999).row == "7"


@pytest.mark.parametrize("source", ["external", "Shared", "LOCAL"])
def test_5p2i1_5p2i2_5p2i3_5p2i6_sources_of_kvm(world: Any, source: str) -> None:
    """The other sources run their common checks first, without a look at extraparams."""
    error = world.refused(importsource=source, extraparams="--x", username="")
    assert (error.job_errorcode(), error.row) == (431, "5.3-1" if source == "external" else "5.4-1")
    assert world.refused(importsource=source, zoneid=9999).text == "Please specify a valid zone."
    assert world.refused(importsource=source, hypervisor="foo").text == (
        "VM import is currently not supported for hypervisor: foo"
    )
    assert world.refused(importsource=source, name="").text == "Instance name cannot be empty"
    assert world.refused(importsource=source, templateid=9999).text == "Template ID: 9999 cannot be found"
    assert world.refused(importsource=source, serviceofferingid=9999).row == "12"
    assert world.refused(importsource=source, name="a b").text == (
        "Please provide hostname for the VM. VM name contains unsupported characters for it to be used as hostname"
    )
    assert world.refused(importsource=source, hostname="a b").text == BAD_NAME
    pipeline = ImportPipeline(world.services, world.request(importsource=source), world.requester(account_type=0))
    with pytest.raises(CloudError) as caught:
        pipeline.run()
    assert caught.value.text == "Cannot perform this operation, Calling account is not root admin: admin-account"


def test_host_name_choice(world: Any) -> None:
    """The guest's host name is the given one, else the display name."""
    world.run(hostname="given", displayname="shown name")
    assert [(vm.name, vm.display_name) for vm in world.rows(models.VmInstance)] == [("given", "shown name")]


def test_zone_and_hypervisor_of_the_request_do_not_matter(world: Any) -> None:
    """On the VMware path the cluster's zone counts and the hypervisor is not looked at."""
    world.run(zoneid="Z2", hypervisor="foo")
    assert [vm.zone_id for vm in world.rows(models.VmInstance)] == [world.id_of("Z1")]


def test_template_absent(world: Any) -> None:
    """Without a template every import adds one removed dummy, and the VM names the first of them."""
    world.run(templateid=None)
    world.run(templateid=None, hostname="second", forced=True)
    dummies = [row for row in world.rows(models.Template) if row.name == "kvm-default-vm-import-dummy-template"]
    assert [row.removed is not None for row in dummies] == [True, True]
    assert [vm.template_id for vm in world.rows(models.VmInstance)] == [dummies[0].id] * 2


def test_osid(world: Any) -> None:
    """The guest system is the given one, else the template's."""
    world.run(osid="Rocky Linux 9")
    world.run(hostname="second", forced=True)
    assert [vm.guest_os_id for vm in world.rows(models.VmInstance)] == [
        world.id_of("Rocky Linux 9"),
        world.id_of("Other Linux"),
    ]


def test_owner(world: Any) -> None:
    """The VM belongs to the named account and names that account's user."""
    world.change("l2", account_id=world.id_of("bob-account"))
    world.run(account="bob", domainid="ROOT")
    (vm,) = world.rows(models.VmInstance)
    assert vm.account_id == world.id_of("bob-account")
    users = {user.username: user.id for user in world.rows(models.User)}
    assert vm.user_id == users["bob"]


def test_row_13a_host_name_of_a_vmware_destination(world: Any) -> None:
    """With the setting on, a VMware destination refuses a host name that the zone has; a KVM one never does."""
    world.run(hostname="web01")
    world.set("vm.instancename.flag", "true")
    error = world.refused(clusterid="V1")
    assert (error.row, error.text) == (
        "13a",
        "Failed to import VM: web01. There already exists a VM by the hostname: web01 in zone: Z1",
    )
    assert world.refused(clusterid="V1", hostname="other").row == "H13"
    world.change("l2", network_domain="other")
    assert world.refused(forced=True).row == "2.7-6"


def test_2_19_extra_parameters_are_looked_at_twice(world: Any) -> None:
    """Table E is asked at the begin and again before the vCenter is looked up; without extra parameters it is not."""
    world.set("convert.vmware.instance.to.kvm.extra.params.allowed", "true")
    world.set("convert.vmware.instance.to.kvm.extra.params.allowed.list", "root")
    world.run(extraparams="--root first")
    rows = world.trace
    assert [row for row in rows if row in ("1", "2", "3", "V5", "E4", "19", "20")] == [
        *["1", "E4", "2", "3", "V5", "E4", "19", "20"]
    ]
    world.run(hostname="second", forced=True, extraparams=" ")
    assert "E4" not in world.trace and "19" in world.trace
    assert world.refused(importsource="unmanaged", extraparams="--x").row == "E3"
