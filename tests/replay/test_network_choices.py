"""Choices and refusals of networks, their offerings, public addresses, rules of traffic and new machines."""

from __future__ import annotations

from typing import Any

import pytest

from mgmt.store.models import Template

ROOT = "00000002-0000-4000-8000-000000000001"
TENANT = "00000002-0000-4000-8000-000000000002"
ZONE = "20000000-0000-4000-8000-000000000001"
PHYSICAL = "51000000-0000-4000-8000-000000000001"
ISOLATED_OFFERING = "50000000-0000-4000-8000-000000000001"
L2_OFFERING = "50000000-0000-4000-8000-000000000002"
ISOLATED = "52000000-0000-4000-8000-000000000001"
L2 = "52000000-0000-4000-8000-000000000002"
SMALL = "41000000-0000-4000-8000-000000000001"
CUSTOM = "41000000-0000-4000-8000-000000000004"
CUSTOM_DISK = "40000000-0000-4000-8000-000000000001"
LARGE_DISK = "40000000-0000-4000-8000-000000000002"
TEMPLATE = "60000000-0000-4000-8000-000000000002"
RANGE = {"zoneid": ZONE, "gateway": "203.0.113.1", "netmask": "255.255.255.0"}
ADDRESSES = {"gateway": "10.9.0.1", "netmask": "255.255.255.0"}
VM = {"zoneid": ZONE, "serviceofferingid": SMALL, "templateid": TEMPLATE, "networkids": ISOLATED, "startvm": "false"}
FOR_TENANT = {"account": "tenant-admin", "domainid": TENANT}
NO_PHYSICAL = "Unable to find a physical network having the specified physical network id"


def without(given: dict[str, str], *names: str) -> dict[str, str]:
    """The parameters without some of them."""
    return {name: value for name, value in given.items() if name not in names}


@pytest.fixture(scope="module")
def second_zone(own_world: Any) -> dict[str, str]:
    """A disabled zone without physical networks."""
    given = {"name": "z2", "networktype": "Advanced", "dns1": "192.0.2.1", "internaldns1": "192.0.2.1"}
    made: dict[str, str] = own_world.ok("createZone", **given)["zone"]
    return made


@pytest.fixture(scope="module")
def shared_offering(own_world: Any) -> str:
    """An enabled offering of shared networks that choose no VLAN."""
    given = {"name": "shared", "guestiptype": "shared", "traffictype": "guest", "specifyipranges": "true"}
    made = own_world.ok("createNetworkOffering", enable="true", **given)["networkoffering"]
    assert (made["guestiptype"], made["state"], made["availability"]) == ("Shared", "Enabled", "Optional")
    return str(made["id"])


# Ranges and addresses ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"zoneid": "999"}, "Please specify a valid zone."),
        ({"forvirtualnetwork": "false"}, "Only ranges of public addresses are supported by this management server"),
        ({"networkid": ISOLATED}, "Only ranges of public addresses are supported by this management server"),
        ({"startip": ""}, "Gateway, netmask and startip have to be specified for a range of IPv4 addresses"),
        ({"startip": "x"}, "Please specify a valid gateway, netmask, startip and endip"),
        (
            {"endip": "203.0.113.19"},
            (
                "Please ensure that your IP range's gateway 203.0.113.1 is in the same subnet as your IP range's start"
                " and end IPs."
            ),
        ),
        (
            {"endip": "203.0.114.30"},
            (
                "Please ensure that your IP range's gateway 203.0.113.1 is in the same subnet as your IP range's start"
                " and end IPs."
            ),
        ),
        ({"gateway": "203.0.113.20"}, "The gateway shouldn't overlap start/end ip addresses"),
        ({"physicalnetworkid": "999"}, "Physical network can't be found by the specified id"),
    ],
)
def test_what_is_no_range(own_world: Any, given: dict[str, str], text: str) -> None:
    """A range is refused, with the reason, and leaves nothing behind."""
    wanted = {**RANGE, "startip": "203.0.113.20", **given}
    wanted = {name: value for name, value in wanted.items() if value}
    assert own_world.refused("createVlanIpRange", **wanted) == (431, text)
    assert own_world.ok("listVlanIpRanges", keyword="203.0.113.20") == {}


def test_ranges_are_found(own_world: Any) -> None:
    """A range of one address, on a chosen physical network, is found by each thing that it has and by no other."""
    made = own_world.ok("createVlanIpRange", **RANGE, startip="203.0.113.40", physicalnetworkid=PHYSICAL)["vlan"]
    assert (made["vlan"], made["startip"], made["endip"], made["physicalnetworkid"]) == (
        "vlan://untagged",
        "203.0.113.40",
        "203.0.113.40",
        PHYSICAL,
    )
    other = own_world.ok("createVlanIpRange", **RANGE, startip="203.0.113.42", vlan="vlan://7")["vlan"]
    assert (other["vlan"], other["networkid"]) == ("vlan://7", made["networkid"])
    for given, found in (
        ({"id": made["id"]}, [made]),
        ({"vlan": "7"}, [other]),
        ({"vlan": "VLAN://7"}, []),
        ({"keyword": "113.42"}, [other]),
        ({"physicalnetworkid": PHYSICAL}, [made, other]),
        ({"forvirtualnetwork": "false"}, []),
        ({"networkid": ISOLATED}, []),
    ):
        assert own_world.ok("listVlanIpRanges", **given).get("vlaniprange", []) == found, given
    for each in (made, other):
        assert own_world.ok("deleteVlanIpRange", id=each["id"]) == {"success": True}
    assert own_world.refused("deleteVlanIpRange", id="999") == (431, "Please specify a valid IP range id.")
    assert own_world.ok("listPublicIpAddresses", allocatedonly="false") == {}


def test_addresses_are_chosen(own_world: Any) -> None:
    """An address is taken by name, kept for its owner, hidden, found by what it has, and given back by name."""
    made = own_world.ok("createVlanIpRange", **RANGE, startip="203.0.113.50", endip="203.0.113.52")["vlan"]
    given = {"zoneid": ZONE, "fordisplay": "false"}
    taken = own_world.ok("associateIpAddress", ipaddress="203.0.113.51", **given)["ipaddress"]
    assert (taken["ipaddress"], taken["associatednetworkid"], taken["fordisplay"]) == ("203.0.113.51", ISOLATED, False)
    assert own_world.refused("associateIpAddress", ipaddress="203.0.113.51", zoneid=ZONE) == (
        431,
        "IP address 203.0.113.51 is not free in zone lab-zone",
    )
    free = own_world.ok("listPublicIpAddresses", ipaddress="203.0.113.52", state="free")["publicipaddress"][0]
    kept = own_world.ok("reserveIpAddress", id=free["id"], fordisplay="false")["ipaddress"]
    assert (kept["state"], kept["fordisplay"]) == ("Reserved", False)
    assert own_world.ok("reserveIpAddress", id=free["id"])["ipaddress"] == kept
    assert own_world.refused("reserveIpAddress", id=taken["id"]) == (431, "Unable to reserve a IP in Allocated state.")
    assert own_world.refused("reserveIpAddress", id="999") == (431, "Unable to find IP address by ID=999")
    for asked, found in (
        ({"fordisplay": "false"}, ["203.0.113.51", "203.0.113.52"]),
        ({"fordisplay": "true"}, []),
        ({"state": "reserved"}, ["203.0.113.52"]),
        ({"vlanid": made["id"], "allocatedonly": "false"}, ["203.0.113.50", "203.0.113.51", "203.0.113.52"]),
        ({"keyword": "113.51"}, ["203.0.113.51"]),
        ({"isstaticnat": "true"}, []),
        ({"networkid": ISOLATED}, []),
        ({"forvirtualnetwork": "false"}, []),
        ({"forsystemvms": "true"}, []),
        ({"id": kept["id"]}, ["203.0.113.52"]),
    ):
        listed = own_world.ok("listPublicIpAddresses", **asked).get("publicipaddress", [])
        assert [each["ipaddress"] for each in listed] == found, asked
    seen = own_world.ok("listPublicIpAddresses", who="user", allocatedonly="false")["publicipaddress"]
    assert [(each["ipaddress"], each["state"], "vlanid" in each) for each in seen] == [("203.0.113.50", "Free", False)]
    assert own_world.refused("releaseIpAddress", who="user", id=kept["id"])[0] == 531
    assert own_world.refused("disassociateIpAddress") == (431, "Either id or ipaddress must be specified")
    nobodys = own_world.refused("disassociateIpAddress", ipaddress="203.0.113.50")
    assert nobodys == (431, "Unable to find ip address by id")
    assert own_world.ok("disassociateIpAddress", ipaddress="203.0.113.52") == {"success": True}
    shown = own_world.ok("updateIpAddress", id=taken["id"], fordisplay="true")["ipaddress"]
    assert shown["fordisplay"] is True
    renamed = own_world.ok("updateIpAddress", id=taken["id"], customid="00000000-0000-4000-8000-0000000000aa")
    assert renamed["ipaddress"]["id"] == "00000000-0000-4000-8000-0000000000aa"
    assert own_world.ok("disassociateIpAddress", id=renamed["ipaddress"]["id"]) == {"success": True}
    own_world.ok("deleteVlanIpRange", id=made["id"])


def test_addresses_are_refused(own_world: Any) -> None:
    """An address needs a place, and an isolated network that is the only one there."""
    for given, text in (
        ({"isportable": "true"}, "Portable addresses are not supported by this management server"),
        ({"networkid": "999"}, "Unable to find network by network id specified"),
        (
            {},
            (
                "Unable to figure out zone to assign IP to. Please specify either zoneId, or networkId, or vpcId in the"
                " call"
            ),
        ),
        ({"zoneid": "999"}, "Unable to find zone by id 999"),
        (
            {"networkid": L2},
            "Associate ip address can only be called on isolated networks or shared networks with source NAT",
        ),
        (
            {"zoneid": ZONE, **FOR_TENANT},
            "Account name=tenant-admin domain=tenant doesn't have virtual networks in zone=lab-zone",
        ),
    ):
        assert own_world.refused("associateIpAddress", **given) == (431, text), given
    second = own_world.ok("createNetwork", name="n2", zoneid=ZONE, networkofferingid=ISOLATED_OFFERING)["network"]
    refused = own_world.refused("associateIpAddress", zoneid=ZONE)
    assert refused == (431, "Account has more than one isolated network in the zone")
    refused = own_world.refused("deployVirtualMachine", **without(VM, "networkids"))
    assert refused == (
        431,
        "Error, more than 1 default Isolated networks are found for account admin; please specify networkIds",
    )
    own_world.ok("deleteNetwork", id=second["id"])


def test_addresses_go_with_their_network(own_world: Any) -> None:
    """A network that is deleted gives its addresses back."""
    made = own_world.ok("createVlanIpRange", **RANGE, startip="203.0.113.60")["vlan"]
    network = own_world.ok("createNetwork", name="n3", zoneid=ZONE, networkofferingid=ISOLATED_OFFERING)["network"]
    assert own_world.ok("associateIpAddress", networkid=network["id"])["ipaddress"]["state"] == "Allocated"
    own_world.ok("deleteNetwork", id=network["id"])
    (address,) = own_world.ok("listPublicIpAddresses", allocatedonly="false")["publicipaddress"]
    assert (address["state"], "account" in address, "associatednetworkid" in address) == ("Free", False, False)
    own_world.ok("deleteVlanIpRange", id=made["id"])


# Security groups -----------------------------------------------------------------------------------------------------


def test_security_groups_are_named(own_world: Any) -> None:
    """A name is taken once in an account and found by parts of it; the default group keeps its own."""
    group = own_world.ok("createSecurityGroup", name="edge", description="d")["securitygroup"]
    assert own_world.refused("createSecurityGroup", name="edge") == (
        431,
        "Unable to create security group, a group with name edge already exists.",
    )
    default = own_world.ok("createSecurityGroup", name="default", **FOR_TENANT)["securitygroup"]
    assert own_world.ok("listSecurityGroups", keyword="dg")["securitygroup"] == [group]
    for given, text in (
        ({"id": group["id"], "name": " "}, "Security group name cannot be empty"),
        ({"id": default["id"], "name": "x"}, "The default security group cannot be renamed"),
        ({"id": "999", "name": "x"}, "Unable to find security group: 999; failed to update security group."),
    ):
        assert own_world.refused("updateSecurityGroup", **given) == (431, text)
    for same in ({}, {"name": "edge"}):
        assert own_world.ok("updateSecurityGroup", id=group["id"], **same)["securitygroup"] == group
    for given, text in (
        ({"id": default["id"]}, "The network group default is reserved"),
        ({}, "Either id or name must be specified"),
        ({"id": group["id"], "name": "edge"}, "Either id or name can be specified"),
        ({"id": "999"}, "Unable to find security group by id 999"),
        ({"name": "none"}, "Unable to find security group by name none"),
    ):
        assert own_world.refused("deleteSecurityGroup", **given) == (431, text)
    assert own_world.ok("deleteSecurityGroup", name="edge") == {"success": True}


def test_rules_are_refused_or_mended(own_world: Any) -> None:
    """A rule needs one group that exists; protocols may be numbers, and ports 0 to 0 mean all of them."""
    group = own_world.ok("createSecurityGroup", name="ruled")["securitygroup"]
    own = {"securitygroupid": group["id"]}
    cidr = {"cidrlist": "0.0.0.0/0"}
    named = {"usersecuritygrouplist[0].group": "none", "usersecuritygrouplist[0].account": "admin"}
    for given, text in (
        (
            {**own, "securitygroupname": "ruled"},
            "securityGroupId and securityGroupName parameters are mutually exclusive",
        ),
        ({}, "Either securityGroupId or securityGroupName is required by authorizeSecurityGroupIngress command"),
        ({"securitygroupid": "999"}, "Unable to find security group by id 999"),
        ({**own, "cidrlist": "10.0.0.0/33"}, "Invalid cidr 10.0.0.0/33"),
        (
            {**own, "protocol": "icmp", "icmptype": "8", "icmpcode": "-1"},
            "Invalid icmp code: need non-negative icmp code ",
        ),
        ({**own, "protocol": "icmp", "icmptype": "256", "icmpcode": "0"}, "Invalid icmp type/code "),
        (
            {**own, "protocol": "icmp", "icmptype": "8"},
            "Invalid ICMP type/code specified, icmpType = 8, icmpCode = null",
        ),
        ({**own, "protocol": "tcp", "startport": "-1", "endport": "5"}, "Invalid port range -1:5"),
        ({**own, "protocol": "udp", "startport": "-2", "endport": "5"}, "Invalid port numbers -2:5"),
        ({**own, "protocol": "udp", "endport": "5"}, "Invalid port range specified, startPort = null, endPort = 5"),
        ({**own, "endport": "5"}, "Cannot specify startPort or endPort without specifying protocol"),
        (
            {**own, "usersecuritygrouplist[0].group": "ruled"},
            (
                "Invalid user group specified, fields 'group' and 'account' cannot be null, please specify groups in"
                " the form:  userGroupList[0].group=XXX&userGroupList[0].account=YYY"
            ),
        ),
    ):
        assert own_world.refused("authorizeSecurityGroupIngress", **{**cidr, **given}) == (431, text), given
    code, text = own_world.refused("authorizeSecurityGroupIngress", securitygroupname="none", **cidr)
    assert (code, text.rpartition("=")[0]) == (431, "Unable to find security group none for account id")
    code, text = own_world.refused("authorizeSecurityGroupEgress", **own, **named)
    assert (code, text.startswith("Nonexistent group none for account admin/")) == (431, True)
    named["usersecuritygrouplist[0].account"] = "nobody"
    code, text = own_world.refused("authorizeSecurityGroupEgress", **own, **named)
    assert (code, text.startswith("Nonexistent account: nobody when trying to authorize security group rule  for")) == (
        431,
        True,
    )
    denied = (530, "Caller does not have permission to operate with provided resource.")
    assert own_world.refused("authorizeSecurityGroupIngress", who="user", **own, **cidr) == denied
    for given, protocol, first, last in (
        ({"protocol": "tcp", "startport": "0", "endport": "0"}, "tcp", 0, 65535),
        ({"protocol": "1"}, "icmp", -1, -1),
        ({"protocol": "47"}, "47", 0, 0),
        ({}, "all", 0, 0),
        ({"protocol": "ESP"}, "esp", 0, 0),
    ):
        made = own_world.ok("authorizeSecurityGroupIngress", **own, **cidr, **given)["securitygroup"]
        (rule,) = made["ingressrule"]
        names = ("icmptype", "icmpcode") if protocol == "icmp" else ("startport", "endport")
        assert (rule["protocol"], rule[names[0]], rule[names[1]]) == (protocol, first, last)
    assert own_world.refused("revokeSecurityGroupIngress", who="user", id=rule["ruleid"]) == denied
    assert own_world.ok("revokeSecurityGroupIngress", id=rule["ruleid"]) == {"success": True}
    gone = own_world.refused("revokeSecurityGroupIngress", id="999")
    assert gone == (431, "Unable to find security rule with id 999")
    (shown,) = own_world.ok("listSecurityGroups", id=group["id"])["securitygroup"]
    assert [each["protocol"] for each in shown["ingressrule"]] == ["tcp", "icmp", "47", "all"]
    assert own_world.ok("listSecurityGroups", virtualmachineid="1") == {}
    own_world.ok("deleteSecurityGroup", id=group["id"])


# Networks and offerings ----------------------------------------------------------------------------------------------


def test_what_cannot_be_a_network(own_world: Any, second_zone: dict[str, str], shared_offering: str) -> None:
    """CloudStack's refusals of a place, an owner's level or a range of a network, with its texts."""
    shared = {"networkofferingid": shared_offering, **ADDRESSES}
    l2 = {"networkofferingid": L2_OFFERING}
    start = {"startip": "10.9.0.5"}
    for who, given, code, text in (
        ("admin", {"networkofferingid": "999"}, 431, "Unable to find network offering by specified id"),
        ("admin", {"zoneid": "999"}, 431, "Specified zone id was not found"),
        (
            "user",
            {"zoneid": second_zone["id"]},
            531,
            "Cannot perform this operation since specified Zone is currently disabled",
        ),
        ("admin", {"zoneid": second_zone["id"]}, 530, "cannot create Guestnetwork without physical network."),
        ("admin", {"physicalnetworkid": "999"}, 431, NO_PHYSICAL),
        ("admin", {"zoneid": second_zone["id"], "physicalnetworkid": PHYSICAL}, 431, NO_PHYSICAL),
        ("admin", {**l2, "acltype": "domain"}, 431, "Only Shared networks can have aclType=Domain"),
        ("user", {**shared, "acltype": "domain"}, 531, "Only admin can create networks with aclType=Domain"),
        ("admin", shared, 431, "Either IPv4 or IPv6 start and end address are mandatory"),
        ("admin", {**shared, **start, "endip": "x"}, 431, "Invalid format for the endIp parameter"),
        (
            "admin",
            {"networkofferingid": shared_offering, **start},
            431,
            "gateway and netmask should be defined when startIP/endIP are passed in",
        ),
        (
            "admin",
            {**shared, **start, "vlan": "5"},
            431,
            "Cannot specify vlanId when create a network from network offering with specifyvlan=false",
        ),
    ):
        wanted = {"name": "x", "zoneid": ZONE, "networkofferingid": ISOLATED_OFFERING, **given}
        assert own_world.refused("createNetwork", who=who, **wanted) == (code, text), given
    assert own_world.ok("listNetworks", keyword="x", listall="true", zoneid=second_zone["id"]) == {}


def test_networks_of_domains_and_accounts(own_world: Any, shared_offering: str) -> None:
    """A shared network is a domain's unless it is to be an account's; who is in neither cannot use it."""
    given = {"zoneid": ZONE, "networkofferingid": shared_offering, "startip": "10.9.0.5", **ADDRESSES}
    of_tenant = own_world.ok("createNetwork", name="t", domainid=TENANT, subdomainaccess="true", **given)["network"]
    assert (of_tenant["acltype"], of_tenant["domain"], of_tenant["subdomainaccess"]) == ("Domain", "tenant", True)
    own = own_world.ok("createNetwork", name="a", acltype="ACCOUNT", physicalnetworkid=PHYSICAL, **given)["network"]
    assert (own["acltype"], own["account"], own["physicalnetworkid"]) == ("Account", "admin", PHYSICAL)
    refused = own_world.refused("deployVirtualMachine", **{**VM, "networkids": of_tenant["id"]})
    assert refused == (531, f"Unable to use network with id= {of_tenant['id']}, permission denied")
    theirs = {"who": "tenant-admin", "templateid": TEMPLATE}
    assert own_world.refused("deployVirtualMachine", **{**VM, **theirs, "networkids": own["id"]})[0] == 531
    for each in (of_tenant, own):
        assert own_world.ok("deleteNetwork", id=each["id"]) == {"success": True}


def test_a_network_is_changed(own_world: Any) -> None:
    """A network gets another offering of its type, if that is enabled, and each field that is given."""
    made = own_world.ok("createNetwork", name="c", zoneid=ZONE, networkofferingid=ISOLATED_OFFERING)["network"]
    offering = {"guestiptype": "Isolated", "traffictype": "Guest", "supportedservices": "dhcp"}
    other = own_world.ok("createNetworkOffering", name="other", **offering)["networkoffering"]
    for wanted, text in (
        ("999", "Unable to find network offering with specified id"),
        (
            other["id"],
            f"Network offering with specified id is not in Enabled state, can't upgrade to it: {other['id']}",
        ),
        (
            L2_OFFERING,
            (
                f"Can't upgrade from network offering {ISOLATED_OFFERING} to {L2_OFFERING}; check logs for more"
                " information"
            ),
        ),
    ):
        assert own_world.refused("updateNetwork", id=made["id"], networkofferingid=wanted) == (431, text)
    own_world.ok("updateNetworkOffering", id=other["id"], state="enabled", availability="required", sortkey="3")
    changed = own_world.ok(
        "updateNetwork", id=made["id"], networkofferingid=other["id"], displaytext="d", networkdomain="lab.internal",
        dns2="192.0.2.8", displaynetwork="false",
    )["network"]  # fmt: skip
    assert [changed[name] for name in ("networkofferingid", "displaytext", "networkdomain", "dns2")] == [
        other["id"],
        "d",
        "lab.internal",
        "192.0.2.8",
    ]
    assert changed["displaynetwork"] is False
    same = own_world.ok("updateNetwork", id=made["id"], networkofferingid=other["id"])["network"]
    assert same == changed
    assert own_world.refused("updateNetwork", id="999")[0] == 431
    vm = own_world.ok("deployVirtualMachine", **{**VM, "networkids": made["id"]}, name="inside")["virtualmachine"]
    assert own_world.refused("deleteNetwork", id=made["id"]) == (530, "Failed to delete network")
    own_world.ok("destroyVirtualMachine", id=vm["id"], expunge="true")
    assert own_world.ok("deleteNetwork", id=made["id"]) == {"success": True}
    assert own_world.ok("deleteNetworkOffering", id=other["id"]) == {"success": True}


def test_what_cannot_be_a_network_offering(own_world: Any, shared_offering: str) -> None:
    """CloudStack's refusals of an offering and of its changes, with its texts."""
    traffic = (
        "Invalid value for traffictype. Supported traffic types: Public, Management, Control, Guest, Vlan or Storage"
    )
    availability = "Invalid value for Availability. Supported types: Optional, Required"
    for given, text in (
        ({"traffictype": "Public"}, traffic),
        ({"availability": "Sometimes"}, availability),
        ({"guestiptype": "L2", "supportedservices": "Dhcp"}, "Only UserData service is supported for L2 networks"),
        ({"name": "shared"}, "Network offering with the name shared already exists."),
    ):
        wanted = {"name": "x", "guestiptype": "Isolated", "traffictype": "Guest", **given}
        assert own_world.refused("createNetworkOffering", **wanted) == (431, text)
    for given, text in (
        ({"id": "999"}, "unable to find network offering 999"),
        ({"id": shared_offering, "state": "Gone"}, "Incorrect state value: Gone"),
        ({"id": shared_offering, "availability": "Sometimes"}, availability),
    ):
        assert own_world.refused("updateNetworkOffering", **given) == (431, text)


# New machines --------------------------------------------------------------------------------------------------------


def test_what_cannot_be_a_machine(own_world: Any, second_zone: dict[str, str]) -> None:
    """CloudStack's refusals of a place, a size, a disk, a network or an address of a new VM, with its texts."""
    custom = {"serviceofferingid": CUSTOM, "details[0].cpuSpeed": "1000", "details[0].memory": "1024"}
    for who, given, code, text in (
        ("admin", {"zoneid": "999"}, 431, "Unable to find zone by id=999"),
        ("admin", {"serviceofferingid": "999"}, 431, "Unable to find service offering: 999"),
        ("admin", {"templateid": "999"}, 431, "Unable to use template 999"),
        ("admin", {"networkids": "999"}, 431, "Unable to find network by id 999"),
        ("admin", {"diskofferingid": "999"}, 431, "Unable to find disk offering 999"),
        (
            "admin",
            {"diskofferingid": CUSTOM_DISK},
            431,
            "VM Creation failed. Volume size: 0GB is out of allowed range.",
        ),
        (
            "admin",
            {"rootdisksize": "1"},
            431,
            "rootdisksize override (1 GB) is smaller than template size 2.20 GB",
        ),
        ("admin", custom, 431, "Invalid CPU cores value, specify a value between 1 and 16"),
        (
            "admin",
            {**custom, "details[0].cpuNumber": "17"},
            431,
            "Invalid CPU cores value, specify a value between 1 and 16",
        ),
        ("admin", {"ipaddress": "10.1.1.1"}, 431, "The requested ip 10.1.1.1 is in use in network lab-isolated"),
        ("admin", {"name": "-x"}, 431, ""),
    ):
        refused = own_world.refused("deployVirtualMachine", who=who, **{**VM, **given})
        assert refused[0] == code, (given, refused)
        assert refused[1] == text or not text, given
    refused = own_world.refused("deployVirtualMachine", who="user", **{**VM, "zoneid": second_zone["id"]})
    assert (refused[0], refused[1].rpartition(": ")[0]) == (
        531,
        "Cannot perform this operation, Zone is currently disabled",
    )
    refused = own_world.refused("deployVirtualMachine", **{**VM, "zoneid": second_zone["id"]})
    assert refused[0] == 431
    refused = own_world.refused("deployVirtualMachine", **without(VM, "networkids"), **FOR_TENANT)
    assert refused == (431, "No network of account tenant-admin was found; please specify networkIds")
    assert own_world.ok("listVirtualMachines", listall="true") == {}


def test_a_machine_of_chosen_size_and_addresses(own_world: Any) -> None:
    """A VM has the size of its details, disks of the wanted sizes, and the addresses asked for in each network."""
    by_network = {
        "iptonetworklist[0].networkid": ISOLATED,
        "iptonetworklist[0].ip": "10.1.1.50",
        "iptonetworklist[1].networkid": L2,
    }
    size = {"details[0].cpuNumber": "2", "details[0].cpuSpeed": "1000", "details[0].memory": "1024"}
    given = {**without(VM, "networkids"), "serviceofferingid": CUSTOM, **size, **by_network}
    vm = own_world.ok("deployVirtualMachine", diskofferingid=LARGE_DISK, rootdisksize="20", **given)["virtualmachine"]
    assert (vm["cpunumber"], vm["cpuspeed"], vm["memory"], vm["name"]) == (2, 1000, 1024, f"VM-{vm['id']}")
    assert [(nic["networkid"], nic.get("ipaddress"), nic["isdefault"]) for nic in vm["nic"]] == [
        (ISOLATED, "10.1.1.50", True),
        (L2, None, False),
    ]
    disks = own_world.ok("listVolumes", virtualmachineid=vm["id"])["volume"]
    assert [(disk["type"], disk["size"] >> 30) for disk in disks] == [("ROOT", 20), ("DATADISK", 100)]
    again = own_world.refused("deployVirtualMachine", **VM, ipaddress="10.1.1.50")
    assert again == (431, "The requested ip 10.1.1.50 is in use in network lab-isolated")
    only = own_world.ok("deployVirtualMachine", **without(VM, "networkids"))["virtualmachine"]
    assert [nic["networkid"] for nic in only["nic"]] == [ISOLATED]
    for each in (vm, only):
        own_world.ok("destroyVirtualMachine", id=each["id"], expunge="true")


def test_a_machine_gets_keys(own_world: Any) -> None:
    """A VM gets all key pairs that are named, and an offering's fixed speed with the sizes of its details."""
    for name in ("k1", "k2"):
        own_world.ok("createSSHKeyPair", name=name)
    limits = {"mincpunumber": "1", "maxcpunumber": "4", "minmemory": "512", "maxmemory": "4096", "cpuspeed": "1500"}
    offering = own_world.ok("createServiceOffering", name="limited", displaytext="l", customized="true", **limits)
    wanted = {**VM, "serviceofferingid": offering["serviceoffering"]["id"], "details[0].cpuNumber": "3"}
    given = {**wanted, "details[1].memory": "1024", "keypair": "k1", "keypairs": "k2"}
    vm = own_world.ok("deployVirtualMachine", **given)["virtualmachine"]
    assert (vm["cpunumber"], vm["cpuspeed"], vm["memory"], vm["keypairs"]) == (3, 1500, 1024, "k1,k2")
    assert own_world.ok("listVirtualMachines", keypair="k2")["virtualmachine"][0]["id"] == vm["id"]
    assert own_world.ok("listVirtualMachines", keypair="k") == {}
    kept = own_world.ok("registerUserData", name="init", userdata="I2Nsb3VkLWNvbmZpZwo=")["userdata"]["id"]
    assert own_world.ok("listVirtualMachines", userdataid=kept) == {}
    own_world.ok("updateVirtualMachine", id=vm["id"], userdataid=kept)
    assert own_world.ok("listVirtualMachines", userdataid=kept)["virtualmachine"][0]["id"] == vm["id"]
    refused = own_world.refused("deployVirtualMachine", **{**given, "details[1].memory": "8192"})
    assert refused == (431, "Invalid memory value, specify a value between 512 and 4096")
    refused = own_world.refused("deployVirtualMachine", **{**given, "keypairs": "k3"})
    assert refused == (431, "A key pair with name 'k3' was not found.")
    own_world.ok("destroyVirtualMachine", id=vm["id"], expunge="true")


def test_a_machine_of_a_template_that_is_not_there(own_world: Any) -> None:
    """A template that is not ready or of another hypervisor makes no VM, nor does an offering that is inactive."""
    fixed = {"cpunumber": "1", "cpuspeed": "1000", "memory": "512"}
    offering = own_world.ok("createServiceOffering", name="idle", displaytext="i", **fixed)["serviceoffering"]
    own_world.ok("updateServiceOffering", id=offering["id"], state="inactive")
    refused = own_world.refused("deployVirtualMachine", **{**VM, "serviceofferingid": offering["id"]})
    assert refused == (431, f"Service offering is inactive: [{offering['id']}].")
    store = own_world.server.services.store

    def change(**columns: Any) -> int:
        with store.session() as session:
            template = session.query(Template).filter(Template.uuid == TEMPLATE).one()
            for name, value in columns.items():
                setattr(template, name, value)
            return int(template.id)

    number = change(hypervisor_type="VMware")
    assert own_world.refused("deployVirtualMachine", **VM) == (
        431,
        "Hypervisor VMware of the template is not in this zone",
    )
    change(hypervisor_type="KVM", format="ISO")
    assert own_world.refused("deployVirtualMachine", **VM) == (431, f"Unable to use template {number}")
    change(format="QCOW2")


def test_a_machine_that_finds_no_host(own_world: Any) -> None:
    """A first start without hosts fails, and leaves the VM in state Error."""
    code, text = own_world.refused("deployVirtualMachine", **without(VM, "startvm"), name="lost")
    assert code == 533
    (vm,) = own_world.ok("listVirtualMachines", name="lost")["virtualmachine"]
    assert vm["state"] == "Error"
    assert text.startswith('Unable to create a deployment for VM instance {"id":') and vm["id"] in text
