"""Lists of what an installation consists of, and the keys of users."""

from __future__ import annotations

from typing import Any

import pytest

from mgmt.commands.catalogue import catalogue
from mgmt.commands.installation import COMMANDS

LISTS = [each.name for each in COMMANDS if each.name.startswith("list")]
ROOT = "00000002-0000-4000-8000-000000000001"
TENANT = "00000002-0000-4000-8000-000000000002"


def names(answer: tuple[int, str, dict[str, Any]], object_name: str) -> list[str]:
    status, _, fields = answer
    assert status == 200, fields
    return [each["name"] for each in fields.get(object_name, [])]


@pytest.mark.parametrize("name", LISTS)
def test_a_list_shows_fields_of_the_catalogue(name: str, bare_world: Any) -> None:
    """Every field of every entry is one of the catalogue's response."""
    declaration = next(each for each in COMMANDS if each.name == name)
    status, _, fields = bare_world.answer(name)
    shown = fields[declaration.object_name]
    entries = shown if isinstance(shown, list) else [shown]
    response = catalogue().response(name)
    assert response is not None
    assert status == 200
    assert entries
    assert {field for entry in entries for field in entry} <= set(response._declared_fields)


def test_domains(bare_world: Any) -> None:
    """A root admin sees all domains; others their own, with listall those below too, and none beyond."""
    assert names(bare_world.answer("listDomains"), "domain") == ["ROOT", "tenant"]
    assert names(bare_world.answer("listDomains", keyword="ten"), "domain") == ["tenant"]
    assert names(bare_world.answer("listDomains", name="root"), "domain") == ["ROOT"]
    assert names(bare_world.answer("listDomains", level="1"), "domain") == ["tenant"]
    assert names(bare_world.answer("listDomains", who="tenant-admin", listall="true"), "domain") == ["tenant"]
    status, _, fields = bare_world.answer("listDomains", who="tenant-admin", id=ROOT)
    assert (status, fields["cserrorcode"]) == (531, 4365)
    status, _, fields = bare_world.answer("listDomains", id="99")
    assert (status, fields["cserrorcode"]) == (431, 4350)
    _, _, fields = bare_world.answer("listDomains", id=TENANT)
    (tenant,) = fields["domain"]
    assert (tenant["path"], tenant["parentdomainname"], tenant["haschild"]) == ("ROOT/tenant", "ROOT", False)
    assert (tenant["vmlimit"], tenant["vmtotal"], tenant["vmavailable"]) == ("Unlimited", 0, "Unlimited")
    _, _, fields = bare_world.answer("listDomains", id=ROOT, details="min")
    assert fields["domain"][0]["haschild"] is True
    assert "vmlimit" not in fields["domain"][0]


def test_domain_children(bare_world: Any) -> None:
    """The children of the caller's own domain come, or of the named one; a domain is no child of its own."""
    assert names(bare_world.answer("listDomainChildren"), "domain") == ["tenant"]
    assert names(bare_world.answer("listDomainChildren", isrecursive="true"), "domain") == ["tenant"]
    assert names(bare_world.answer("listDomainChildren", id=TENANT, listall="true"), "domain") == []


def test_roles(bare_world: Any) -> None:
    """Roles are found by name and type; only a root admin sees the roles of root admins."""
    assert "Root Admin" in names(bare_world.answer("listRoles"), "role")
    assert names(bare_world.answer("listRoles", type="domainadmin"), "role") == ["Domain Admin"]
    assert names(bare_world.answer("listRoles", name="user", state="Enabled"), "role") == ["User"]
    assert names(bare_world.answer("listRoles", state="disabled"), "role") == []
    assert "Root Admin" not in names(bare_world.answer("listRoles", who="tenant-admin"), "role")


def test_places_and_servers(bare_world: Any) -> None:
    """Physical networks, OS categories, management servers and regions are found by id, name and zone."""
    _, _, zones = bare_world.answer("listZones")
    zone = zones["zone"][0]["id"]
    _, _, fields = bare_world.answer("listPhysicalNetworks", zoneid=zone)
    assert fields["physicalnetwork"][0]["zonename"] == "lab-zone"
    assert names(bare_world.answer("listPhysicalNetworks", name="none"), "physicalnetwork") == []
    assert names(bare_world.answer("listOsCategories", keyword="debi"), "oscategory") == ["Debian"]
    assert names(bare_world.answer("listOsCategories", isfeatured="false"), "oscategory") == []
    _, _, fields = bare_world.answer("listManagementServers", name="lab-management")
    assert (fields["managementserver"][0]["version"], fields["managementserver"][0]["agents"]) == ("4.22.1.0", [])
    assert names(bare_world.answer("listRegions", id="1"), "region") == ["Local"]
    assert names(bare_world.answer("listRegions", id="2"), "region") == []
    assert names(bare_world.answer("listHypervisors", zoneid=zone), "hypervisor") == ["KVM"]


def test_infrastructure(bare_world: Any) -> None:
    """The sums are those of the lists."""
    _, _, fields = bare_world.answer("listInfrastructure")
    sums = fields["infrastructure"]
    for command, name, each in (
        ("listZones", "zones", "zone"),
        ("listClusters", "clusters", "cluster"),
        ("listStoragePools", "storagepools", "storagepool"),
    ):
        assert sums[name] == len(bare_world.answer(command)[2][each]), name
    assert sums["hosts"] == len(bare_world.answer("listHosts", type="Routing")[2]["host"])
    assert (sums["systemvms"], sums["routers"], sums["managementservers"]) == (0, 0, 1)


def test_capacity(bare_world: Any) -> None:
    """Capacities are those of the zone, the pod or the cluster that is asked for."""
    _, _, fields = bare_world.answer("listCapacity", page="1", pagesize="1")
    assert fields["count"] == len(fields["capacity"]) > 1
    assert fields["capacity"][0]["zonename"] == "lab-zone"
    cluster = bare_world.answer("listClusters")[2]["cluster"][0]
    _, _, fields = bare_world.answer("listCapacity", clusterid=cluster["id"], type="0")
    assert [(each["name"], each["clustername"]) for each in fields["capacity"]] == [("MEMORY", cluster["name"])]
    _, _, fields = bare_world.answer("listCapacity", podid=cluster["podid"], zoneid=cluster["zoneid"])
    assert {each["podname"] for each in fields["capacity"]} == {cluster["podname"]}
    assert bare_world.answer("listCapacity", podid="99")[2] == {}


def test_new_keys_of_a_user(bare_world: Any) -> None:
    """registerUserKeys gives keys that work at once; the old ones do not any more; others' keys are out of reach."""
    (user,) = bare_world.answer("listUsers", username="user", listall="true")[2]["user"]
    status, _, fields = bare_world.answer("registerUserKeys", who="user", id=user["id"])
    assert (status, sorted(fields["userkeys"])) == (200, ["apikey", "secretkey"])
    assert len(fields["userkeys"]["apikey"]) == len(fields["userkeys"]["secretkey"]) == 86
    assert bare_world.answer("listUsers", who="user")[0] == 401
    bare_world.keys["user"] = (fields["userkeys"]["apikey"], fields["userkeys"]["secretkey"])
    assert bare_world.answer("listUsers", who="user")[0] == 200
    admin = bare_world.answer("listUsers", username="admin")[2]["user"][0]["id"]
    assert bare_world.answer("registerUserKeys", who="user", id=admin)[0] == 531


def test_network_offerings(bare_world: Any) -> None:
    """Offerings are found by name, guest type and what they ask for; values that none has find none."""
    isolated, l2 = "DefaultIsolatedNetworkOfferingWithSourceNatService", "DefaultL2NetworkOfferingVlan"
    for parameters, wanted in (
        ({}, [isolated, l2]),
        ({"state": "Enabled", "traffictype": "Guest", "forvpc": "false"}, [isolated, l2]),
        ({"guestiptype": "l2"}, [l2]),
        ({"keyword": "isolated"}, [isolated]),
        ({"specifyvlan": "true"}, [l2]),
        ({"sourcenatsupported": "true"}, [isolated]),
        ({"state": "Disabled"}, []),
        ({"forvpc": "true"}, []),
        ({"id": "99"}, []),
    ):
        assert names(bare_world.answer("listNetworkOfferings", **parameters), "networkoffering") == wanted, parameters
    (offering,) = bare_world.answer("listNetworkOfferings", name=isolated)[2]["networkoffering"]
    assert {"name": "Dhcp", "provider": [{"name": "VirtualRouter"}]} in offering["service"]


def test_plugins_that_are_off(bare_world: Any) -> None:
    """The web UI learns that quota and Cloudian are off."""
    assert bare_world.answer("quotaIsEnabled")[2] == {"isenabled": {"isenabled": False}}
    cloudian = bare_world.answer("cloudianIsEnabled")[2]["cloudianisenabled"]
    assert cloudian == {"enabled": False, "url": "https://cmc.cloudian.com:8443/Cloudian/"}


def test_declarations_agree_with_the_catalogue() -> None:
    """Kind and release, which are known before the catalogue is read, are the catalogue's."""
    for declaration in COMMANDS:
        known = catalogue().commands[declaration.name]
        assert (declaration.is_list, declaration.since) == (known.get("list", False), known.get("since"))
        assert not known.get("async", False)


def test_usage_types_and_storage_tags(bare_world: Any) -> None:
    """listUsageTypes tells CloudStack's 25 types, listStorageTags the tags of the pools."""
    types = bare_world.ok("listUsageTypes")
    assert types["count"] == 25
    assert types["usagetype"][8] == {"id": 9, "name": "SNAPSHOT", "description": "Snapshot Usage"}
    for parameters, wanted in (({}, ["gold"]), ({"keyword": "OL"}, ["gold"]), ({"keyword": "x"}, [])):
        assert names(bare_world.answer("listStorageTags", **parameters), "storagetag") == wanted
