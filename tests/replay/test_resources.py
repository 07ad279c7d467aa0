"""Places, offerings, tags, details, key pairs, security groups, limits and the lists with figures."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization

from mgmt.commands.catalogue import catalogue
from mgmt.commands.fixed import COMMANDS as FIXED
from mgmt.commands.metrics import COMMANDS as METRICS

ROOT = "00000002-0000-4000-8000-000000000001"
TENANT = "00000002-0000-4000-8000-000000000002"
ZONE = {"networktype": "Advanced", "dns1": "192.0.2.1", "internaldns1": "192.0.2.1"}
POD = {"gateway": "198.51.100.1", "netmask": "255.255.255.0", "startip": "198.51.100.2", "endip": "198.51.100.9"}


def lab(world: Any, command: str, object_name: str) -> dict[str, Any]:
    """The first entry of a list."""
    found: dict[str, Any] = world.ok(command)[object_name][0]
    return found


def test_a_zone_from_nothing(own_world: Any) -> None:
    """Zone, physical network, traffic, pod and cluster are made in the order of the zone wizard, then taken down."""
    zone = own_world.ok("createZone", name="z1", guestcidraddress="10.1.1.0/24", **ZONE)["zone"]
    assert (zone["allocationstate"], zone["networktype"]) == ("Disabled", "Advanced")
    given = {"zoneid": zone["id"], "name": "p1", "vlan": "100-200", "isolationmethods": "VLAN"}
    network = own_world.ok("createPhysicalNetwork", **given)["physicalnetwork"]
    assert (network["state"], network["vlan"]) == ("Disabled", "100-200")
    traffic = {"physicalnetworkid": network["id"], "traffictype": "guest"}
    assert own_world.ok("addTrafficType", **traffic)["traffictype"]["traffictype"] == "Guest"
    assert own_world.refused("addTrafficType", **traffic) == (
        530,
        "This physical network already supports the traffic type: Guest",
    )
    assert own_world.ok("listTrafficTypes", physicalnetworkid=network["id"])["count"] == 1
    own_world.ok("updatePhysicalNetwork", id=network["id"], state="Enabled")
    router = {"name": "VirtualRouter", "physicalnetworkid": network["id"]}
    (provider,) = own_world.ok("listNetworkServiceProviders", **router)["networkserviceprovider"]
    assert (provider["state"], len(provider["servicelist"])) == ("Disabled", 10)
    changed = own_world.ok("updateNetworkServiceProvider", id=provider["id"], state="Enabled")
    assert changed["networkserviceprovider"]["state"] == "Enabled"
    pod = own_world.ok("createPod", zoneid=zone["id"], name="pod", **POD)["pod"]
    assert pod["ipranges"][0]["startip"] == "198.51.100.2"
    named = {"podid": pod["id"], "zoneid": zone["id"], "hypervisor": "kvm", "clustertype": "CloudManaged"}
    (cluster,) = own_world.ok("addCluster", clustername="c1", **named)["cluster"]
    assert cluster["hypervisortype"] == "KVM"
    assert own_world.ok("updateZone", id=zone["id"], allocationstate="Enabled")["zone"]["allocationstate"] == "Enabled"
    updated = own_world.ok("updateCluster", id=cluster["id"], clustername="c2", managedstate="Unmanaged")["cluster"]
    assert (updated["name"], updated["managedstate"]) == ("c2", "Unmanaged")
    refused = own_world.refused("createPhysicalNetwork", **{**given, "name": "p2"})
    assert refused[0] == 531
    assert refused[1].startswith("Cannot create PhysicalNetwork since the Zone is currently enabled, zone: Zone {")
    assert own_world.ok("updatePod", id=pod["id"], name="pod2", endip="198.51.100.8")["pod"]["name"] == "pod2"
    for name, text in (("deletePod", "clusters in this pod"), ("deleteZone", "pods in this zone")):
        held = pod if name == "deletePod" else zone
        code, said = own_world.refused(name, id=held["id"])
        assert (code, said.endswith(f"there are {text}.")) == (530, True)
    for name, each in (
        ("deleteCluster", cluster),
        ("deletePod", pod),
        ("deletePhysicalNetwork", network),
        ("deleteZone", zone),
    ):
        assert own_world.ok(name, id=each["id"]) == {"success": True}
    assert own_world.ok("listZones", id=zone["id"]) == {}
    types = {each["type"] for each in own_world.ok("listEvents", keyword="", pagesize="200", page="1")["event"]}
    assert {"ZONE.CREATE", "POD.DELETE", "CLUSTER.EDIT", "PHYSICAL.NETWORK.CREATE"} <= types


def test_places_are_refused(own_world: Any) -> None:
    """What CloudStack refuses of zones, pods and clusters is refused with its texts."""
    zone, pod = lab(own_world, "listZones", "zone"), lab(own_world, "listPods", "pod")
    cluster = lab(own_world, "listClusters", "cluster")
    named = {"zoneid": zone["id"], "podid": pod["id"], "clustertype": "CloudManaged"}
    refusals: list[tuple[str, dict[str, str], int, str]] = [
        ("createZone", {**ZONE, "name": "LAB-ZONE"}, 431, "A zone with that name: LAB-ZONE already exists."),
        ("createZone", {**ZONE, "name": "x", "networktype": "y"}, 431, "Invalid zone type; only Advanced and Basic"),
        ("createZone", {**ZONE, "name": "x", "dns1": "y"}, 431, "Please enter a valid IP address for DNS1"),
        ("createZone", {**ZONE, "name": "x", "guestcidraddress": "10"}, 431, "Please enter a valid guest cidr"),
        ("createZone", {**ZONE, "name": "x", "allocationstate": "y"}, 431, "Unable to resolve Allocation State 'y'"),
        (
            "createPod",
            {**POD, "zoneid": zone["id"], "name": pod["name"]},
            431,
            f"A pod with name: {pod['name']} already",
        ),
        ("createPod", {**POD, "zoneid": zone["id"], "name": "x", "endip": "203.0.113.1"}, 431, "The end address"),
        (
            "addCluster",
            {**named, "hypervisor": "KVM", "clustername": "x", "clustertype": "y"},
            431,
            "No enum constant com.cloud.org.Cluster.ClusterType.y",
        ),
        ("addCluster", {**named, "hypervisor": "KVM", "clustername": cluster["name"]}, 530, "Unable to create cluster"),
        ("deleteCluster", {"id": cluster["id"]}, 530, "Cluster: 1 cannot be removed. Cluster still has hosts"),
        ("deleteCluster", {"id": "99"}, 530, "Cluster: 99 does not exist"),
        ("updateCluster", {"id": "99"}, 431, "Unable to find the cluster by id=99"),
        ("deleteZone", {"id": zone["id"]}, 530, "The zone cannot be deleted because there are servers in this zone."),
    ]
    for name, given, code, text in refusals:
        refused = own_world.refused(name, **given)
        assert (refused[0], refused[1][: len(text)]) == (code, text), name


def test_offerings(own_world: Any) -> None:
    """Offerings are made, changed and taken away; refusals have CloudStack's texts."""
    fixed = {"cpunumber": "2", "cpuspeed": "1000", "memory": "1024"}
    made = own_world.ok(
        "createServiceOffering", name="o1", displaytext="one", hosttags="ssd", rootdisksize="20", offerha="true",
        **fixed, **{"serviceofferingdetails[0].key": "a", "serviceofferingdetails[0].value": "b"},
    )["serviceoffering"]  # fmt: skip
    assert (made["iscustomized"], made["rootdisksize"], made["serviceofferingdetails"]) == (False, 20, {"a": "b"})
    assert (
        own_world.ok("updateServiceOffering", id=made["id"], state="inactive")["serviceoffering"]["state"] == "Inactive"
    )
    assert own_world.ok("listServiceOfferings", id=made["id"]) == {}
    assert own_world.ok("listServiceOfferings", id=made["id"], state="all")["count"] == 1
    assert own_world.ok("deleteServiceOffering", id=made["id"]) == {"success": True}
    assert own_world.refused("deleteServiceOffering", id=made["id"])[1].startswith("unable to find service offering")
    limits = {"mincpunumber": "1", "maxcpunumber": "4", "minmemory": "512", "maxmemory": "4096", "cpuspeed": "1000"}
    custom = own_world.ok("createServiceOffering", name="o2", customized="true", **limits)["serviceoffering"]
    assert custom["serviceofferingdetails"]["maxcpunumber"] == "4"
    refusals = {
        "For creating a custom compute offering cpu and memory all should be null": {"memory": "512"},
        "For creating a custom compute offering min/max cpu and min/max memory/cpu speed should all be null or all"
        " specified": {"mincpunumber": "1"},
        "Failed to create service offering x: specify the cpu number value between 1 and 2147483647": {
            **fixed, "cpunumber": "0",
        },
        "Failed to create service offering x: specify the memory value between 32 and 2147483647 MB": {
            **fixed, "memory": "16",
        },
        "Invalid storage type moon specified, valid types are: 'local' and 'shared'": {**fixed, "storagetype": "moon"},
    }  # fmt: skip
    for text, given in refusals.items():
        assert own_world.refused("createServiceOffering", name="x", **given) == (431, text)
    disk = own_world.ok("createDiskOffering", name="d1", disksize="5", tags="fast")["diskoffering"]
    assert (disk["disksize"], disk["iscustomized"], disk["tags"]) == (5, False, "fast")
    assert own_world.ok("updateDiskOffering", id=disk["id"], name="d2")["diskoffering"]["name"] == "d2"
    assert own_world.ok("deleteDiskOffering", id=disk["id"]) == {"success": True}
    assert own_world.refused("createDiskOffering", name="x") == (
        431,
        "Disksize is required for a non-customized disk offering",
    )
    assert own_world.refused("createDiskOffering", name="x", customized="true", disksize="1")[0] == 431


def test_tags_and_details(own_world: Any) -> None:
    """Tags show in lists, narrow them, are there once, and are taken away; details are shown again."""
    network = lab(own_world, "listNetworks", "network")
    named = {"resourceids": network["id"], "resourcetype": "network"}
    pairs = {"tags[7].key": "k7", "tags[7].value": "seven", "tags[2].key": "K2", "tags[2].value": "two"}
    assert own_world.ok("createTags", **named, **pairs) == {"success": True}
    listed = own_world.ok("listTags", resourceid=network["id"], listall="true")["tag"]
    assert [(each["key"], each["value"]) for each in listed] == [("K2", "two"), ("k7", "seven")]
    narrowed = {"tags[0].key": "k7", "tags[0].value": "SEVEN"}
    (found,) = own_world.ok("listNetworks", **narrowed)["network"]
    assert [each["key"] for each in found["tags"]] == ["K2", "k7"]
    assert own_world.ok("listNetworks", **{"tags[0].key": "k7", "tags[0].value": "six"}) == {}
    assert own_world.refused("createTags", **named, **narrowed) == (
        530,
        f"tag k7 already on Network with id {network['id']}",
    )
    assert own_world.refused("createTags", resourceids=network["id"], resourcetype="Foo", **narrowed) == (
        431,
        "Invalid resource type Foo",
    )
    own_world.ok("deleteTags", **named, **{"tags[0].key": "k7"})
    own_world.ok("deleteTags", **named)
    assert own_world.ok("listTags", listall="true") == {}
    assert own_world.refused("deleteTags", **named)[0] == 431
    detail = {"resourceid": network["id"], "resourcetype": "Network"}
    own_world.ok("addResourceDetail", **detail, **{"details[0].key": "a", "details[0].value": "b"})
    own_world.ok("addResourceDetail", **detail, **{"details[0].key": "a", "details[0].value": "c"})
    (shown,) = own_world.ok("listResourceDetails", **detail)["resourcedetail"]
    assert (shown["key"], shown["value"]) == ("a", "c")
    own_world.ok("removeResourceDetail", **detail)
    assert own_world.ok("listResourceDetails", **detail) == {}


def test_key_pairs(own_world: Any) -> None:
    """A made pair tells its private key once; a registered one needs a public key; names are an account's own."""
    made = own_world.ok("createSSHKeyPair", name="k1")["keypair"]
    private = serialization.load_pem_private_key(made["privatekey"].encode(), None)
    public = private.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    assert own_world.refused("createSSHKeyPair", name="K1") == (431, "A key pair with name 'K1' already exists.")
    again = own_world.ok("registerSSHKeyPair", who="user", name="k1", publickey=f"{public.decode()} me@here")["keypair"]
    assert again["fingerprint"] == made["fingerprint"]
    wrapped = base64.b64encode(public).decode()
    assert own_world.refused("registerSSHKeyPair", who="user", name="k2", publickey=wrapped)[1].endswith(
        "already exists for this account."
    )
    assert own_world.refused("registerSSHKeyPair", name="k2", publickey="x") == (431, "Public key is invalid")
    (listed,) = own_world.ok("listSSHKeyPairs", name="k1")["sshkeypair"]
    assert "privatekey" not in listed
    assert own_world.ok("listSSHKeyPairs", listall="true")["count"] == 2
    other = own_world.ok("createSSHKeyPair", name="t1", account="tenant-admin", domainid=TENANT)["keypair"]
    assert (other["account"], other["domain"]) == ("tenant-admin", "tenant")
    assert own_world.refused("createSSHKeyPair", who="user", name="x", account="admin", domainid=ROOT)[0] == 531
    assert own_world.ok("deleteSSHKeyPair", name="k1") == {"success": True}
    assert own_world.refused("deleteSSHKeyPair", name="k1")[0] == 431
    journal = str(own_world.server.services.journal.entries())
    assert "PRIVATE KEY" not in journal


def test_security_groups(own_world: Any) -> None:
    """Groups are records of accounts."""
    made = own_world.ok("createSecurityGroup", name="g1", description="text")["securitygroup"]
    assert (made["ingressrule"], made["description"]) == ([], "text")
    assert own_world.refused("createSecurityGroup", name="g1") == (
        431,
        "Unable to create security group, a group with name g1 already exists.",
    )
    assert own_world.ok("listSecurityGroups", securitygroupname="G1")["count"] == 1
    assert own_world.ok("deleteSecurityGroup", name="g1") == {"success": True}
    assert own_world.refused("deleteSecurityGroup", id=made["id"])[0] == 431
    assert own_world.refused("deleteSecurityGroup")[0] == 431


def test_limits(own_world: Any) -> None:
    """Limits of accounts and domains are shown, set and hold; storage is in GiB."""
    assert own_world.ok("listResourceLimits")["count"] == 17
    given = {"account": "tenant-admin", "domainid": TENANT}
    (limit,) = own_world.ok("listResourceLimits", resourcetype="10", **given)["resourcelimit"]
    assert (limit["resourcetypename"], limit["max"]) == ("primary_storage", 200)
    changed = own_world.ok("updateResourceLimit", resourcetype="10", max="7", **given)["resourcelimit"]
    assert changed["max"] == 7
    shown = own_world.ok("listAccounts", name="tenant-admin", listall="true")["account"][0]
    assert shown["primarystoragelimit"] == "7"
    assert own_world.ok("updateResourceLimit", resourcetype="0", max="3", domainid=TENANT)["resourcelimit"]["max"] == 3
    assert own_world.ok("listDomains", id=TENANT)["domain"][0]["vmlimit"] == "3"
    counts = own_world.ok("updateResourceCount", domainid=ROOT, resourcetype="6")["resourcecount"]
    assert [each["resourcetypename"] for each in counts] == ["network"]
    assert own_world.refused("updateResourceLimit", resourcetype="99", max="1")[0] == 431
    assert own_world.refused("updateResourceLimit", who="user", resourcetype="0", max="1")[0] == 432
    assert own_world.refused("updateResourceLimit", resourcetype="0", max="1", domainid=ROOT)[0] == 531


@pytest.mark.parametrize("declaration", [*METRICS, *FIXED], ids=lambda each: each.name)
def test_shown_fields_are_of_the_catalogue(declaration: Any, bare_world: Any) -> None:
    """Lists with figures and fixed lists answer with fields of the catalogue."""
    given = {"type": "primary", "resourcetype": "UserVm"}
    wanted = {name: given[name] for name in declaration.params._declared_fields if name in given}
    status, _, fields = bare_world.answer(declaration.name, **wanted, virtualmachineid="1")
    if declaration.name == "getVirtualMachineUserData":
        assert (status, fields["errortext"]) == (431, "unable to find a virtual machine with id 1")
        return
    if declaration.name in ("getApiLimit", "resetApiLimit"):
        assert (status, fields["errortext"][:27]) == (432, "This api is only available ")
        return
    assert status == 200
    shown = fields.get(declaration.object_name, [])
    response = catalogue().response(declaration.name)
    assert response is not None
    entries = shown if isinstance(shown, list) else [shown]
    assert entries or declaration.name in ("listVirtualMachinesMetrics", "listVolumesMetrics")
    assert {name for entry in entries for name in entry} <= set(response._declared_fields)


def test_figures(bare_world: Any) -> None:
    """Figures of zones, clusters and pools are in readable units."""
    (zone,) = bare_world.ok("listZonesMetrics")["zone"]
    assert (zone["clusters"], zone["state"]) == ("0 / 1", "Enabled")
    (cluster,) = bare_world.ok("listClustersMetrics")["cluster"]
    assert (cluster["hosts"], cluster["memorytotal"]) == ("0 / 3", "0.00 GB")
    pool = bare_world.ok("listStoragePoolsMetrics", name="nfs-primary")["storagepool"][0]
    assert pool["disksizetotalgb"].endswith(" GB (x2.0)")
