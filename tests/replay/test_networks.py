"""Guest networks and their offerings; events and alerts put away; readiness, names of systems, image stores."""

from __future__ import annotations

from typing import Any

import pytest

GATEWAY = {"gateway": "10.9.0.1", "netmask": "255.255.255.0"}
SERVICES = {"supportedservices": "Dhcp,Dns,SourceNat"}


def first(world: Any, command: str, kind: str, **given: str) -> Any:
    return world.ok(command, **given)[kind][0]


@pytest.fixture(scope="module")
def zone(own_world: Any) -> str:
    return str(first(own_world, "listZones", "zone")["id"])


def offering(world: Any, guest_type: str) -> str:
    return str(first(world, "listNetworkOfferings", "networkoffering", guestiptype=guest_type, state="Enabled")["id"])


def test_an_isolated_network(own_world: Any, zone: str) -> None:
    """A network is made, changed, restarted and deleted; it counts, and without addresses has those of its zone."""
    before = own_world.ok("listAccounts", name="admin")["account"][0]["networktotal"]
    given = {"zoneid": zone, "networkofferingid": offering(own_world, "Isolated")}
    made = own_world.ok("createNetwork", name="n1", **given, **GATEWAY)["network"]
    assert (made["cidr"], made["state"], made["type"], made["acltype"]) == (
        "10.9.0.0/24",
        "Allocated",
        "Isolated",
        "Account",
    )
    assert own_world.ok("listAccounts", name="admin")["account"][0]["networktotal"] == before + 1
    plain = own_world.ok("createNetwork", name="n2", **given)["network"]
    assert (plain["gateway"], plain["cidr"]) == ("10.1.1.1", "10.1.1.0/24")
    changed = own_world.ok("updateNetwork", id=made["id"], name="n3", dns1="192.0.2.9", publicmtu="1400")["network"]
    assert (changed["name"], changed["dns1"], changed["publicmtu"]) == ("n3", "192.0.2.9", 1400)
    changed = own_world.ok("updateNetwork", id=made["id"], publicmtu="9000", privatemtu="20")["network"]
    assert (changed["publicmtu"], changed["privatemtu"]) == (1500, 68)  # mended, not refused
    assert own_world.ok("restartNetwork", id=made["id"], cleanup="true") == {"success": True}
    for network in (made, plain):
        assert own_world.ok("deleteNetwork", id=network["id"]) == {"success": True}
    assert own_world.ok("listNetworks", id=made["id"]) == {}
    assert own_world.refused("restartNetwork", id=made["id"])[0] == 431
    types = {each["type"] for each in own_world.ok("listEvents", pagesize="100", page="1")["event"]}
    assert {"NETWORK.CREATE", "NETWORK.UPDATE", "NETWORK.RESTART", "NETWORK.DELETE"} <= types


def test_a_vlan_is_chosen(own_world: Any, zone: str) -> None:
    """A root admin chooses the VLAN of an L2 network, once; a user may not use such an offering."""
    given = {"zoneid": zone, "networkofferingid": offering(own_world, "L2")}
    made = own_world.ok("createNetwork", name="l1", vlan="300", **given)["network"]
    assert (made["vlan"], made["state"], made["type"]) == ("300", "Setup", "L2")
    assert "gateway" not in made
    _, text = own_world.refused("createNetwork", name="l2", vlan="300", **given)
    assert "Network with vlan 300 already exists or overlaps" in text
    assert own_world.refused("createNetwork", who="user", name="l3", **given) == (
        431,
        "Only ROOT admin is allowed to specify vlanId or bypass vlan overlap check",
    )
    own_world.ok("deleteNetwork", id=made["id"])


@pytest.mark.parametrize(
    ("change", "code", "text"),
    [
        ({"gateway": "10.9.0.0"}, 431, "Invalid gateway IP provided. Either the IP is broadcast or network IP."),
        ({"gateway": "x"}, 431, "Invalid gateway"),
        ({"netmask": "x"}, 431, "Invalid netmask"),
        ({"startip": "x"}, 431, "Invalid format for the startIp parameter"),
        ({"acltype": "Planet"}, 431, "Incorrect aclType specified. Check the API documentation for supported types"),
        ({"acltype": "Domain"}, 431, "AclType should be Account for network of type Isolated"),
        ({"subdomainaccess": "true"}, 431, "Parameter subDomainAccess can be specified only with aclType=Domain"),
        ({"vpcid": "-1"}, 431, "Parameter vpcid is not supported by this management server"),
    ],
)
def test_what_cannot_be_a_network(change: dict[str, str], code: int, text: str, own_world: Any, zone: str) -> None:
    """CloudStack's refusals of a network, with its texts."""
    given = {"name": "x", "zoneid": zone, "networkofferingid": offering(own_world, "Isolated"), **GATEWAY}
    assert own_world.refused("createNetwork", **(given | change)) == (code, text)


def test_network_offerings(own_world: Any, zone: str) -> None:
    """An offering is Disabled at first, can be used once it is Enabled, and goes when no network has it."""
    made = own_world.ok(
        "createNetworkOffering", name="o1", guestiptype="Shared", traffictype="Guest", specifyipranges="true",
        specifyvlan="true", **SERVICES,
    )["networkoffering"]  # fmt: skip
    assert (made["state"], made["isdefault"], [each["name"] for each in made["service"]]) == (
        "Disabled",
        False,
        ["SourceNat", "Dns", "Dhcp"],
    )
    given = {"name": "s1", "zoneid": zone, "networkofferingid": made["id"], "startip": "10.9.0.5", "endip": "10.9.0.9"}
    assert own_world.refused("createNetwork", **given, **GATEWAY) == (
        431,
        "Can't use specified network offering id as its state is not Enabled",
    )
    own_world.ok("updateNetworkOffering", id=made["id"], state="Enabled", displaytext="one")
    assert first(own_world, "listNetworkOfferings", "networkoffering", specifyipranges="true")["displaytext"] == "one"
    network = own_world.ok("createNetwork", vlan="310", **given, **GATEWAY)["network"]
    assert (network["acltype"], network["specifyipranges"]) == ("Domain", True)
    refused = own_world.refused("deleteNetworkOffering", id=made["id"])
    assert refused[1].startswith("Can't delete network offering o1 as its used by 1 networks.")
    own_world.ok("deleteNetwork", id=network["id"])
    assert own_world.ok("deleteNetworkOffering", id=made["id"]) == {"success": True}
    assert own_world.refused("deleteNetworkOffering", id=offering(own_world, "L2"))[1].startswith("Default network")
    for sent, text in (
        ({"guestiptype": "Star"}, 'Invalid "type" parameter is given; can have Shared and Isolated values'),
        ({"guestiptype": "Shared"}, "SpecifyIpRanges should be true for network offerings of type Shared"),
        ({"guestiptype": "Isolated", "supportedservices": "Tea"}, "Invalid service name specified: Tea"),
    ):
        assert own_world.refused("createNetworkOffering", name="x", traffictype="Guest", **sent) == (431, text)


def test_events_are_put_away(own_world: Any, zone: str) -> None:
    """Archived events leave the list for another one; deleted ones are gone; a user reaches his own only."""
    event = first(own_world, "listEvents", "event", page="1", pagesize="1")
    assert own_world.refused("archiveEvents") == (431, "either ids, type or enddate must be specified")
    assert own_world.refused("archiveEvents", who="user", ids=event["id"]) == (
        530,
        "Unable to archive Events, one or more parameters has invalid values",
    )
    assert own_world.ok("archiveEvents", ids=event["id"]) == {"success": True}
    assert own_world.ok("listEvents", id=event["id"]) == {}
    assert own_world.ok("listEvents", id=event["id"], archived="true")["count"] == 1
    assert own_world.ok("deleteEvents", ids=event["id"]) == {"success": True}
    assert own_world.refused("deleteEvents", ids=event["id"])[0] == 431
    assert own_world.refused("deleteAlerts", startdate="2026-01-01", type="7") == (
        431,
        "enddate must be specified with startdate parameter",
    )
    for name in ("archiveAlerts", "deleteAlerts"):
        assert own_world.ok(name, enddate="2001-01-01") == {"success": True}


def test_names_of_guest_systems(own_world: Any) -> None:
    """KVM's names of the guest systems, narrowed by system and name."""
    one = first(own_world, "listGuestOsMapping", "guestosmapping", osdisplayname="Debian GNU/Linux 12")
    assert (one["hypervisor"], one["osnameforhypervisor"]) == ("KVM", "Debian GNU/Linux 12")
    assert own_world.ok("listGuestOsMapping", id=one["id"])["guestosmapping"] == [one]
    assert own_world.ok("listGuestOsMapping", hypervisor="VMware") == {}
    assert own_world.ok("listGuestOsMapping", hypervisor="kvm", ostypeid=one["ostypeid"])["count"] == 1


def test_an_image_store_is_changed(own_world: Any) -> None:
    """A secondary storage gets another name and takes nothing new."""
    store = first(own_world, "listImageStores", "imagestore")
    changed = own_world.ok("updateImageStore", id=store["id"], name="s2", readonly="true")["imagestore"]
    assert (changed["name"], changed["readonly"]) == ("s2", True)
    own_world.ok("updateImageStore", id=store["id"], name=store["name"], readonly="false")
