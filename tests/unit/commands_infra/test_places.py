"""listZones, listPods and listClusters: filters, roles, capacities and error texts."""

from __future__ import annotations

import pytest

from mgmt.commands.declaration import ALL_ROLES, Paging
from mgmt.errors import InvalidParameterValueError, ServerApiError
from mgmt.store.models import Cluster, Zone

ZONE = "20000000-0000-4000-8000-000000000001"
POD = "21000000-0000-4000-8000-000000000001"
CLUSTER = "22000000-0000-4000-8000-000000000001"


@pytest.fixture
def two_zones(lab):
    """The lab with a disabled second zone named Über_zone."""
    with lab.store.session() as session:
        session.add(Zone(uuid="z2", name="Über_zone", networktype="Basic", allocation_state="Disabled"))
    return lab


@pytest.mark.parametrize(
    ("params", "names"),
    [
        ({}, ["lab-zone", "Über_zone"]),
        ({"name": "LAB-ZONE"}, ["lab-zone"]),
        ({"name": "über_ZONE"}, ["Über_zone"]),
        ({"name": "lab"}, []),
        ({"name": ""}, []),
        ({"keyword": "ZONE"}, ["lab-zone", "Über_zone"]),
        ({"keyword": "r_z"}, ["Über_zone"]),
        ({"keyword": "b_z"}, ["lab-zone"]),
        ({"keyword": "l%e"}, ["lab-zone"]),
        ({"networktype": "basic"}, ["Über_zone"]),
        ({"networktype": "foo"}, []),
        ({"id": ZONE}, ["lab-zone"]),
        ({"id": -1}, []),
        ({"ids": [1]}, ["lab-zone"]),
        ({"ids": []}, ["lab-zone", "Über_zone"]),
        ({"tags": {"0": {"key": "a", "value": "b"}}}, []),
        ({"storageaccessgroup": "g"}, []),
        ({"available": False}, ["lab-zone", "Über_zone"]),
        ({"user": "user"}, ["lab-zone"]),
        ({"user": "user", "available": False}, []),
        ({"user": "tenant-admin"}, ["lab-zone"]),
    ],
)
def test_zone_filters(two_zones, params, names):
    """listZones narrows by each filter; users see enabled zones only."""
    assert two_zones.names("listZones", **params) == names


def test_zones_of_a_domain_are_none(lab):
    """No zone is dedicated to a domain."""
    assert lab.names("listZones", domainid="00000002-0000-4000-8000-000000000001") == []


def test_id_and_ids_together_are_refused(lab):
    """Giving both says `Specify either id or ids but not both parameters`."""
    with pytest.raises(InvalidParameterValueError, match=r"^Specify either id or ids but not both parameters$"):
        lab.run("listZones", id=1, ids=[1])


def test_a_page_keeps_the_count_of_all(two_zones):
    """A page shows its part, and the count is that of all pages; past the end only the count is left."""
    page = two_zones.run("listZones", paging=Paging(offset=1, limit=1))
    assert ([item["name"] for item in page.items], page.count) == (["Über_zone"], 2)
    past = two_zones.run("listZones", paging=Paging(offset=10, limit=1))
    assert (list(past.items), past.count) == ([], 2)
    only_count = two_zones.run("listZones", paging=Paging(offset=0, limit=0))
    assert (list(only_count.items), only_count.count) == ([], 2)


def test_a_removed_zone_is_not_listed(two_zones):
    """A removed zone is found by no list."""
    with two_zones.store.session() as session:
        session.query(Zone).filter_by(uuid="z2").one().removed = two_zones.store.providers.utcnow()
    assert two_zones.names("listZones") == ["lab-zone"]


def test_a_zone_of_two_architectures_says_so(lab):
    """ismultiarch is true once the zone's clusters differ in architecture."""
    assert lab.items("listZones")[0]["ismultiarch"] is False
    with lab.store.session() as session:
        session.add(Cluster(uuid="c2", name="arm", zone_id=1, pod_id=1, arch="aarch64"))
    assert lab.items("listZones")[0]["ismultiarch"] is True


def test_capacities_of_a_zone(lab, attach):
    """showcapacities adds memory, CPU, storage and secondary storage with used, total and percentage."""
    attach("kvm1")
    (zone,) = lab.items("listZones", showcapacities=True)
    by_name = {each["name"]: each for each in zone["capacity"]}
    assert by_name["MEMORY"] == {
        "type": 0,
        "name": "MEMORY",
        "capacityused": 0,
        "capacitytotal": 8 * 1024**3,
        "percentused": "0",
    }
    assert by_name["CPU"]["capacitytotal"] == 8000
    assert by_name["STORAGE"]["percentused"] == "28.33"
    assert by_name["SECONDARY_STORAGE"]["percentused"] == "10"


def test_only_root_admins_get_capacities(lab):
    """A user who asks for capacities gets none."""
    assert "capacity" not in lab.items("listZones", user="user", showcapacities=True)[0]


@pytest.mark.parametrize("command", ["listPods", "listClusters"])
def test_pods_and_clusters_have_capacities(lab, attach, command):
    """showcapacities works for pods and clusters too, without secondary storage."""
    attach("kvm1")
    (item,) = lab.items(command, showcapacities=True)
    assert [each["name"] for each in item["capacity"]] == ["MEMORY", "CPU", "CPU_CORE", "STORAGE", "STORAGE_ALLOCATED"]


@pytest.mark.parametrize(
    ("params", "found"),
    [
        ({}, True),
        ({"id": POD}, True),
        ({"zoneid": ZONE}, True),
        ({"zoneid": 99}, False),
        ({"name": "LAB-POD"}, True),
        ({"keyword": "pod"}, True),
        ({"keyword": "x"}, False),
        ({"allocationstate": "enabled"}, True),
        ({"allocationstate": "foo"}, False),
        ({"storageaccessgroup": "g"}, False),
    ],
)
def test_pod_filters(lab, params, found):
    """listPods narrows by each filter."""
    assert lab.names("listPods", **params) == (["lab-pod"] if found else [])


@pytest.mark.parametrize(
    ("params", "found"),
    [
        ({}, True),
        ({"id": CLUSTER}, True),
        ({"podid": POD, "zoneid": ZONE}, True),
        ({"name": "Lab-Kvm"}, True),
        ({"hypervisor": "kvm"}, True),
        ({"hypervisor": "foo"}, False),
        ({"clustertype": "CloudManaged"}, True),
        ({"clustertype": "ExternalManaged"}, False),
        ({"managedstate": "MANAGED"}, True),
        ({"managedstate": "foo"}, False),
        ({"allocationstate": "Disabled"}, False),
        ({"arch": "x86_64"}, True),
        ({"arch": "aarch64"}, False),
        ({"keyword": "KVM"}, True),
        ({"storageaccessgroup": "g"}, False),
    ],
)
def test_cluster_filters(lab, params, found):
    """listClusters narrows by each filter; a word of a state that is not known finds nothing."""
    assert lab.names("listClusters", **params) == (["lab-kvm"] if found else [])


def test_an_unknown_cluster_type_is_refused(lab):
    """clustertype is read as an enum: 431, 9999, `No enum constant com.cloud.org.Cluster.ClusterType.foo`."""
    with pytest.raises(ServerApiError) as raised:
        lab.run("listClusters", clustertype="foo")
    assert raised.value.text == "No enum constant com.cloud.org.Cluster.ClusterType.foo"
    assert (raised.value.errorcode, raised.value.cserrorcode) == (431, 9999)


def test_who_may_call(declarations):
    """Everybody may list zones, offerings and networks; the rest is for admins."""
    for_all = {name for name, each in declarations.items() if each.roles == ALL_ROLES}
    assert for_all == {"listZones", "listServiceOfferings", "listDiskOfferings", "listNetworks"}
    assert {name for name, each in declarations.items() if "DomainAdmin" in each.roles} - for_all == {
        "listConfigurations",
        "updateConfiguration",
    }
    assert declarations["updateHost"].roles == ("Admin",)
