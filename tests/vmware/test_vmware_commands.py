"""The VMware datacenter commands: parameters in, answers and CloudStack's errors out."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import delete, select

from mgmt.commands import vmware
from mgmt.commands.declaration import Bound, Call, Caller, Declaration, Paging
from mgmt.commands.unmanaged_view import unmanaged_instance_view
from mgmt.errors import CloudError, InvalidParameterValueError, ServerApiError
from mgmt.inventory.vmware_datacenters import NO_DATACENTER_TEXT
from mgmt.observe.redaction import Redactor
from mgmt.protocol.commands.unmanaged import UnmanagedDisk, UnmanagedInstanceTO, UnmanagedNic
from mgmt.providers import Providers
from mgmt.store.database import Store
from mgmt.store.models import Cluster, Host, Pod, VmwareDatacenter, Zone
from mgmt.vmware.connector import VcenterCredentials
from mgmt.vmware.errors import DatacenterNotFoundError, HostNotFoundError, VcenterLoginError
from mgmt.vmware.records import SourceHost, SourceVm

LOGIN_TEXT = "Cannot complete login due to an incorrect user name or password."
EXCLUSIVE = "Please provide an existing vCenter ID or a vCenter IP/Name, parameters are mutually exclusive"
INCOMPLETE = "Please set all the information for a vCenter IP/Name, datacenter, username and password"
MANAGED_ELSEWHERE = "This DC is being managed by other CloudStack deployment. Cannot add this DC to zone."
NEW_VCENTER = {"vcenter": "vc2", "datacentername": "DC2", "username": "u", "password": "p4ssword"}


@dataclass
class FakeVcenter:
    """A vCenter with one datacenter; stands in for connector and session."""

    vms: list[SourceVm] = field(default_factory=list)
    hosts: list[SourceHost] = field(default_factory=list)
    password: str | None = None
    has_datacenter: bool = True
    marked: bool = False
    connected: list[VcenterCredentials] = field(default_factory=list)
    asked: list[tuple[str, ...]] = field(default_factory=list)

    @contextmanager
    def connect(self, credentials: VcenterCredentials) -> Iterator[FakeVcenter]:
        self.connected.append(credentials)
        if self.password not in (None, credentials.password):
            raise VcenterLoginError(LOGIN_TEXT, "InvalidLogin")
        yield self

    def check_datacenter(self) -> None:
        if not self.has_datacenter:
            raise DatacenterNotFoundError(self.connected[-1].datacenter, self.connected[-1].host)

    def is_managed_elsewhere(self) -> bool:
        return self.marked

    def list_vms(self, keyword: str | None) -> list[SourceVm]:
        self.check_datacenter()
        self.asked.append(("list_vms", keyword or ""))
        return self.vms

    def list_hosts(self) -> list[SourceHost]:
        self.check_datacenter()
        return self.hosts

    def vm_on_host(self, hostname: str, instancename: str) -> SourceVm:
        self.asked.append((hostname, instancename))
        if hostname == "nope":
            raise HostNotFoundError(hostname, self.connected[-1].host)
        return next((vm for vm in self.vms if vm.name == instancename), SourceVm())


@dataclass
class World:
    """A database with two zones, and a vCenter; runs commands on them."""

    store: Store
    vcenter: FakeVcenter
    caller: Caller

    def run(self, declaration: Declaration, /, *, paging: Paging | None = None, **given: Any) -> Any:
        """The handler's result for the bound parameters `given`."""
        names = declaration.params().fields
        assert set(given) <= set(names), "a parameter that the command does not declare"
        bound = Bound({name: given.get(name) for name in names}, frozenset(given), paging)
        services: Any = SimpleNamespace(providers=self.store.providers, vcenters=self.vcenter, redactor=Redactor())
        with self.store.session() as session:
            return declaration.handler(Call(services, self.caller, declaration.name, "correlation", session), bound)

    def refused(self, declaration: Declaration, /, **given: Any) -> tuple[int, str]:
        """Code and text of the error that the command ends with."""
        with pytest.raises(CloudError) as caught:
            self.run(declaration, **given)
        return caught.value.errorcode, caught.value.text

    def link(self, zone_id: int = 1, name: str = "lab-dc", host: str = "vc1") -> VmwareDatacenter:
        """Put a linked datacenter into the database."""
        with self.store.session() as session:
            row = VmwareDatacenter(
                uuid=f"dc-uuid-{zone_id}", name=name, vcenter_host=host, username="u1", password="p1", zone_id=zone_id
            )
            session.add(row)
        return row

    def links(self) -> list[VmwareDatacenter]:
        with self.store.session() as session:
            return list(session.scalars(select(VmwareDatacenter)))

    def add_cluster(self, zone_id: int, hypervisor_type: str) -> None:
        with self.store.session() as session:
            session.add(Cluster(uuid="cl", name="cl", zone_id=zone_id, pod_id=1, hypervisor_type=hypervisor_type))


@pytest.fixture(scope="module")
def zones() -> Iterator[Store]:
    """A database with a zone, another one and a removed one."""
    store = Store("sqlite://", Providers())
    with store.session() as session:
        session.add(Zone(id=1, uuid="zone-1", name="lab-zone"))
        session.add(Zone(id=2, uuid="zone-2", name="other-zone"))
        session.add(Zone(id=3, uuid="zone-3", name="gone-zone", removed=store.providers.utcnow()))
        session.flush()
        session.add(Pod(id=1, uuid="pod", name="p", zone_id=1, gateway="g", netmask="n", start_ip="a", end_ip="b"))
    yield store
    store.close()


@pytest.fixture
def world(zones: Store) -> Iterator[World]:
    admin = Caller(
        user_id=2,
        user_uuid="u",
        username="admin",
        account_id=2,
        account_uuid="a",
        account_name="admin",
        account_type=1,
        domain_id=1,
        domain_uuid="d",
        domain_path="ROOT",
        role_type="Admin",
    )
    yield World(zones, FakeVcenter(), admin)
    with zones.session() as session:
        session.execute(delete(VmwareDatacenter))
        session.execute(delete(Cluster))


# addVmwareDc ----------------------------------------------------------------------------------------------------------

NEW_LINK = {"name": "LAB-dc", "vcenter": "vc1:8443", "username": "u", "password": "s3cret-word", "zoneid": 1}


def test_add_links_what_the_vcenter_confirms(world: World) -> None:
    """The datacenter is looked up in the vCenter, linked, and answered with id and name only."""
    item = world.run(vmware.add_vmware_dc, **NEW_LINK)
    (row,) = world.links()
    assert item.fields == {"id": row.uuid, "name": "LAB-dc"}
    assert (row.vcenter_host, row.username, row.password, row.zone_id) == ("vc1:8443", "u", "s3cret-word", 1)
    assert world.vcenter.connected == [VcenterCredentials("vc1:8443", "LAB-dc", "u", "s3cret-word")]


def test_add_of_the_same_again_gives_what_is_there(world: World) -> None:
    """Linking the same datacenter again, in any case, answers the link there is without asking the vCenter."""
    world.run(vmware.add_vmware_dc, **NEW_LINK)
    again = world.run(vmware.add_vmware_dc, **(NEW_LINK | {"name": "lab-DC", "vcenter": "VC1:8443"}))
    assert again.fields["name"] == "LAB-dc"
    assert len(world.links()) == len(world.vcenter.connected) == 1


@pytest.mark.parametrize("missing", ["username", "password"])
def test_add_needs_user_and_password(world: World, missing: str) -> None:
    """Without user or password: the same text for both, as upstream, under 530."""
    given = {name: value for name, value in NEW_LINK.items() if name != missing}
    assert world.refused(vmware.add_vmware_dc, **given) == (530, "Missing or invalid parameter username.")


def test_add_to_a_zone_that_is_gone(world: World) -> None:
    """A removed zone is not found, under 530."""
    assert world.refused(vmware.add_vmware_dc, **(NEW_LINK | {"zoneid": 3})) == (
        530,
        "Can't find zone by the id specified.",
    )


def test_a_zone_has_one_datacenter(world: World) -> None:
    """A second datacenter in a zone is refused."""
    world.link()
    text = "Zone 1 is already associated with a VMware datacenter. Only 1 VMware DC can be associated with a zone."
    assert world.refused(vmware.add_vmware_dc, **NEW_LINK) == (530, text)


def test_a_datacenter_is_in_one_zone(world: World) -> None:
    """A datacenter that another zone has is refused."""
    world.link(zone_id=2, name="lab-DC", host="VC1:8443")
    assert world.refused(vmware.add_vmware_dc, **NEW_LINK) == (
        530,
        f"Failed to add VMware DC to zone due to : {MANAGED_ELSEWHERE}",
    )


def test_add_of_a_marked_datacenter(world: World) -> None:
    """A datacenter with another deployment's mark is refused, and nothing is linked."""
    world.vcenter.marked = True
    assert world.refused(vmware.add_vmware_dc, **NEW_LINK) == (
        530,
        f"Failed to add VMware DC to zone due to : {MANAGED_ELSEWHERE}",
    )
    assert world.links() == []


def test_add_to_a_zone_with_vmware_clusters(world: World) -> None:
    """VMware clusters forbid it; KVM ones do not."""
    world.add_cluster(1, "VMware")
    text = "Zone has one or more clusters. Can't add VMware datacenter to zone which already has clusters."
    assert world.refused(vmware.add_vmware_dc, **NEW_LINK) == (530, text)
    assert world.vcenter.connected == []


def test_add_with_a_wrong_password(world: World) -> None:
    """vCenter's refusal is in the text, the password is not, and nothing is linked."""
    world.vcenter.password = "another"
    code, text = world.refused(vmware.add_vmware_dc, **NEW_LINK)
    assert (code, text) == (530, f"Failed to add VMware DC to zone due to : {LOGIN_TEXT}")
    assert "s3cret" not in text and world.links() == []


def test_add_of_a_missing_datacenter(world: World) -> None:
    """A datacenter that the vCenter has not is refused in the words of addVmwareDc."""
    world.vcenter.has_datacenter = False
    assert world.refused(vmware.add_vmware_dc, **NEW_LINK) == (
        530,
        "Failed to add VMware DC to zone due to : Unable to find VMware DC LAB-dc in vCenter vc1:8443. ",
    )


# removeVmwareDc, listVmwareDcs ----------------------------------------------------------------------------------------


def test_update_changes_what_is_given(world: World) -> None:
    """Only the values that come are changed, empty ones count as absent, the vCenter is not asked."""
    world.link()
    answer = world.run(
        vmware.update_vmware_dc, zoneid=1, vcenter="vc9:8443", password="p9", username="", isrecursive=True
    )
    assert answer.fields == {"id": "dc-uuid-1", "name": "lab-dc"}
    (row,) = world.links()
    assert (row.vcenter_host, row.name, row.username, row.password) == ("vc9:8443", "lab-dc", "u1", "p9")
    assert world.run(vmware.update_vmware_dc, zoneid=1, name="other-dc", username="u9").fields["name"] == "other-dc"
    (row,) = world.links()
    assert (row.vcenter_host, row.name, row.username, row.password) == ("vc9:8443", "other-dc", "u9", "p9")
    assert world.vcenter.connected == []


def test_update_without_a_datacenter(world: World) -> None:
    """A zone that has none ends in upstream's null pointer."""
    assert world.refused(vmware.update_vmware_dc, zoneid=2, name="x") == (530, NO_DATACENTER_TEXT)


def test_remove(world: World) -> None:
    """The link goes, the vCenter is not asked, and a second removal says that there is none."""
    world.link()
    world.add_cluster(1, "KVM")
    assert world.run(vmware.remove_vmware_dc, zoneid=1).text is None
    assert world.links() == [] and world.vcenter.connected == []
    assert world.refused(vmware.remove_vmware_dc, zoneid=1) == (
        530,
        "Zone 1 is not associated with any VMware datacenter.",
    )


def test_remove_with_vmware_clusters(world: World) -> None:
    """VMware clusters in the zone forbid it."""
    world.link()
    world.add_cluster(1, "VMware")
    assert world.refused(vmware.remove_vmware_dc, zoneid=1) == (
        530,
        "Zone has one or more clusters. Can't remove VMware datacenter to zone which already has clusters.",
    )
    assert len(world.links()) == 1


def test_list_shows_the_internal_zone_number_and_no_count(world: World) -> None:
    """The answer has the zone's number, the key VMwareDC and no count; a zone without link gives nothing."""
    world.link()
    listing = world.run(vmware.list_vmware_dcs, zoneid=1)
    assert listing.items == [{"id": "dc-uuid-1", "zoneid": 1, "name": "lab-dc", "vcenter": "vc1"}]
    assert listing.omit_count and vmware.list_vmware_dcs.object_name == "VMwareDC"
    assert world.run(vmware.list_vmware_dcs, zoneid=2).items == []
    assert world.vcenter.connected == []


@pytest.mark.parametrize("zone_id", [3, 999])
def test_list_of_an_unknown_zone(world: World, zone_id: int) -> None:
    """`Invalid zone id <number>`, 431."""
    with pytest.raises(InvalidParameterValueError, match=f"^Invalid zone id {zone_id}$"):
        world.run(vmware.list_vmware_dcs, zoneid=zone_id)


# listVmwareDcVms, listVmwareDcHosts -----------------------------------------------------------------------------------


@pytest.mark.parametrize("declaration", [vmware.list_vmware_dc_vms, vmware.list_vmware_dc_hosts])
@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({}, EXCLUSIVE),
        ({"existingvcenterid": 1, "vcenter": "vc2"}, EXCLUSIVE),
        ({"existingvcenterid": 1, "vcenter": ""}, EXCLUSIVE),
        ({"vcenter": "vc2"}, INCOMPLETE),
        ({"vcenter": ""}, INCOMPLETE),
        (NEW_VCENTER | {"datacentername": " "}, INCOMPLETE),
        (NEW_VCENTER | {"username": None}, INCOMPLETE),
        (NEW_VCENTER | {"password": ""}, INCOMPLETE),
    ],
)
def test_exactly_one_vcenter(world: World, declaration: Declaration, given: dict[str, Any], text: str) -> None:
    """Neither or both vCenters, or one with a blank, is refused with 431 before any connection."""
    assert world.refused(declaration, **given) == (431, text)
    assert world.vcenter.connected == []


@pytest.mark.parametrize(
    "given", [{"hostname": "esx1"}, {"instancename": "vm"}, {"hostname": " ", "instancename": "vm"}]
)
def test_host_and_instance_go_together(world: World, given: dict[str, str]) -> None:
    """One of the pair alone is refused with 431 before any connection."""
    text = "Please set the hostname parameter along with the instancename parameter"
    assert world.refused(vmware.list_vmware_dc_vms, **NEW_VCENTER, **given) == (431, text)
    assert world.vcenter.connected == []


def vms(count: int) -> list[SourceVm]:
    return [SourceVm(name=f"vm{number:02}", power_state="PowerOff", host_name="esx1") for number in range(count)]


def test_vms_of_a_linked_datacenter(world: World) -> None:
    """The linked datacenter's own credentials are used, and the keyword goes to the list."""
    world.vcenter.vms = vms(2)
    row = world.link()
    listing = world.run(vmware.list_vmware_dc_vms, existingvcenterid=row.id, keyword="vm")
    assert world.vcenter.connected == [VcenterCredentials("vc1", "lab-dc", "u1", "p1")]
    assert world.vcenter.asked == [("list_vms", "vm")]
    assert listing.count == 2
    shown = {name: value for name, value in listing.items[0].items() if value is not None}
    assert shown == {"name": "vm00", "hostname": "esx1", "powerstate": "PowerOff", "disk": [], "nic": []}


def test_vms_of_another_vcenter(world: World) -> None:
    """A vCenter that the caller describes is used as described."""
    assert world.run(vmware.list_vmware_dc_vms, **NEW_VCENTER).count == 0
    assert world.vcenter.connected == [VcenterCredentials("vc2", "DC2", "u", "p4ssword")]


@pytest.mark.parametrize(
    ("page", "pagesize", "names"),
    [
        (1, 2, ["vm00", "vm01"]),
        (2, 2, ["vm02", "vm03"]),
        (3, 2, ["vm04"]),
        (4, 2, ["vm00", "vm01", "vm02", "vm03", "vm04"]),
        (1, 500, ["vm00", "vm01", "vm02", "vm03", "vm04"]),
        (1, 0, []),
    ],
)
def test_pages(world: World, page: int, pagesize: int, names: list[str]) -> None:
    """Pages are whole; the count is of all; a page past the end is the whole list, as upstream."""
    world.vcenter.vms = vms(5)
    paging = Paging(offset=(page - 1) * pagesize, limit=pagesize)
    listing = world.run(vmware.list_vmware_dc_vms, paging=paging, page=page, pagesize=pagesize, **NEW_VCENTER)
    assert [item["name"] for item in listing.items] == names and listing.count == 5


def test_without_page_everything(world: World) -> None:
    """Without page parameters, and with pagesize -1, everything is listed, beyond the default page size."""
    world.vcenter.vms = vms(60)
    assert len(world.run(vmware.list_vmware_dc_vms, paging=Paging(limit=50), **NEW_VCENTER).items) == 60
    assert len(world.run(vmware.list_vmware_dc_vms, paging=Paging(limit=None), pagesize=-1, **NEW_VCENTER).items) == 60


def test_one_vm_in_full(world: World) -> None:
    """Host and instance name show that VM; an unknown one is an item that says PowerUnknown."""
    world.vcenter.vms = vms(2)
    listing = world.run(vmware.list_vmware_dc_vms, hostname="esx1", instancename="vm01", **NEW_VCENTER)
    assert [item["name"] for item in listing.items] == ["vm01"] and world.vcenter.asked == [("esx1", "vm01")]
    (unknown,) = world.run(vmware.list_vmware_dc_vms, hostname="esx1", instancename="x", **NEW_VCENTER).items
    assert {name: value for name, value in unknown.items() if value} == {"powerstate": "PowerUnknown"}


def test_failures_are_wrapped_twice(world: World) -> None:
    """Whatever fails at the vCenter arrives as 530 with the nested text."""
    outer = "Error retrieving VMs from VMware VC: Error retrieving VMs from the VMware VC vc2 datacenter DC2: "
    host = {"hostname": "nope", "instancename": "vm"}
    assert world.refused(vmware.list_vmware_dc_vms, **NEW_VCENTER, **host) == (
        530,
        f"{outer}Cannot find a host with name nope on vcenter vc2",
    )
    world.vcenter.has_datacenter = False
    for more in ({}, host):
        assert world.refused(vmware.list_vmware_dc_vms, **NEW_VCENTER, **more) == (
            530,
            f"{outer}Unable to find VMware datacenter DC2 in vCenter vc2",
        )
    world.vcenter.password = "another"
    code, text = world.refused(vmware.list_vmware_dc_vms, **NEW_VCENTER)
    assert (code, text) == (530, f"{outer}{LOGIN_TEXT}")
    assert "p4ssword" not in text


def test_unknown_linked_vcenter(world: World) -> None:
    """An internal number that no link has is met in the manager: 530 under the outer text."""
    assert world.refused(vmware.list_vmware_dc_vms, existingvcenterid=999) == (
        530,
        "Error retrieving VMs from VMware VC: Cannot find a VMware datacenter with ID 999",
    )


def test_errors_are_api_errors(world: World) -> None:
    """The errors are ServerApiException with cserrorcode 9999."""
    with pytest.raises(ServerApiError) as caught:
        world.run(vmware.list_vmware_dc_vms)
    assert caught.value.cserrorcode == 9999


def test_hosts(world: World) -> None:
    """Hosts have the hypervisor and the name."""
    world.vcenter.hosts = [SourceHost(name="esx1", moref="host-1"), SourceHost(name="esx2", moref="host-2")]
    listing = world.run(vmware.list_vmware_dc_hosts, **NEW_VCENTER)
    assert listing.count == 2
    assert listing.items == [{"hypervisor": "VMware", "name": "esx1"}, {"hypervisor": "VMware", "name": "esx2"}]
    world.vcenter.has_datacenter = False
    assert world.refused(vmware.list_vmware_dc_hosts, **NEW_VCENTER) == (
        530,
        "Error retrieving VMs from Vmware VC: Unable to find VMware datacenter DC2 in vCenter vc2",
    )


# With the lab's vCenter, and the view ---------------------------------------------------------------------------------


def test_the_whole_way_to_the_lab(world: World, lab: Any) -> None:
    """Linked with the lab's real client, a datacenter lists its VMs and shows one with disks and NICs."""
    world.vcenter = lab.connector
    login = lab.credentials()
    world.run(
        vmware.add_vmware_dc,
        name=login.datacenter,
        vcenter=login.host,
        username=login.username,
        password=login.password,
        zoneid=1,
    )
    (row,) = world.links()
    listing = world.run(vmware.list_vmware_dc_vms, existingvcenterid=row.id)
    assert listing.count >= 12 and login.password not in json.dumps(listing.items)
    shown = world.run(
        vmware.list_vmware_dc_vms, existingvcenterid=row.id, hostname="esx1.lab.example", instancename="app01"
    ).items[0]
    assert (shown["cpunumber"], shown["memory"], shown["powerstate"]) == (2, 4096, "PowerOn")
    assert [disk["capacity"] for disk in shown["disk"]] == [40 << 30, 16 << 30]
    assert shown["nic"][0]["ipaddresses"] == ["198.51.100.21"]
    hosts = world.run(vmware.list_vmware_dc_hosts, existingvcenterid=row.id)
    assert [host["name"] for host in hosts.items] == ["esx1.lab.example", "esx2.lab.example", "esx3.lab.example"]


def test_view_on_a_cloudstack_host() -> None:
    """On a host of CloudStack's own, cluster and host are CloudStack's; fields come in the order of real answers."""
    instance = UnmanagedInstanceTO(
        name="um1",
        powerState="PowerOff",
        cpuCores=1,
        clusterName="other",
        hostName="other",
        disks=[UnmanagedDisk(diskId="0", label="", capacity=5368709120, controller="virtio", controllerUnit=0)],
        nics=[UnmanagedNic(nicId="0", network="vnet0", macAddress="52:54:00:12:00:02", adapterType="", ipAddress=[])],
    )
    view = unmanaged_instance_view(instance, cluster=Cluster(uuid="c", name="KI1"), host=Host(uuid="h", name="i1"))
    shown = {name: value for name, value in view.items() if value is not None}
    disk = {name: value for name, value in shown.pop("disk")[0].items() if value is not None}
    nic = {name: value for name, value in shown.pop("nic")[0].items() if value is not None}
    assert list(shown) == ["name", "clusterid", "clustername", "hostid", "hostname", "powerstate", "cpunumber"]
    assert (shown["clusterid"], shown["clustername"], shown["hostid"], shown["hostname"]) == ("c", "KI1", "h", "i1")
    assert disk == {"id": "0", "capacity": 5368709120, "controller": "virtio", "controllerunit": 0}
    assert nic == {"id": "0", "networkname": "vnet0", "macaddress": "52:54:00:12:00:02"}


@pytest.mark.parametrize("declaration", vmware.COMMANDS)
def test_every_parameter_and_field_is_described(declaration: Declaration) -> None:
    """listApis shows a description for each parameter and response field."""
    assert declaration.description
    for schema in (declaration.params(), declaration.response() if declaration.response else None):
        assert schema is None or all(field.metadata["description"] for field in schema.fields.values())
