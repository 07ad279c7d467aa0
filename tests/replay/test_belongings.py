"""What accounts own beside machines: groups, rules of traffic, public addresses, user data; and what listAlls tell."""

from __future__ import annotations

import base64
import json
from typing import Any

from mgmt.store.models import VmInstance, Volume

ROOT = "00000002-0000-4000-8000-000000000001"
ZONE = "20000000-0000-4000-8000-000000000001"
ISOLATED = "52000000-0000-4000-8000-000000000001"
L2 = "52000000-0000-4000-8000-000000000002"
SMALL = "41000000-0000-4000-8000-000000000001"
TEMPLATE = "60000000-0000-4000-8000-000000000002"


def deploy(world: Any, **given: str) -> dict[str, Any]:
    """A stopped VM of admin in the isolated network."""
    wanted = {"zoneid": ZONE, "serviceofferingid": SMALL, "templateid": TEMPLATE, "networkids": ISOLATED}
    made: dict[str, Any] = world.ok("deployVirtualMachine", startvm="false", **(wanted | given))["virtualmachine"]
    return made


def change(world: Any, model: type[Any], uuid: str, **columns: str) -> None:
    """What no host is here to do."""
    with world.server.services.store.session() as session:
        row = session.query(model).filter(model.uuid == uuid).one()
        for name, value in columns.items():
            setattr(row, name, value)


def test_affinity_groups(own_world: Any) -> None:
    """Groups have a known type and a name of their own; VMs are in them from the start or once they are stopped."""
    kind = "host anti-affinity"
    made = own_world.ok("createAffinityGroup", name="apart", type=kind, description="d")["affinitygroup"]
    assert (made["account"], made["type"], made["virtualmachineIds"]) == ("admin", kind, [])
    other = own_world.ok("createAffinityGroup", name="together", type="host affinity")["affinitygroup"]
    taken = own_world.refused("createAffinityGroup", name="APART", type=kind)
    assert taken == (431, "Unable to create affinity group, a group with name APART already exists.")
    wrong = own_world.refused("createAffinityGroup", name="x", type="far")[1]
    assert wrong.startswith("Unable to create affinity group, invalid affinity group type: far. Valid values are host")
    vm = deploy(own_world, affinitygroupnames="apart", name="in-a-group")
    assert [group["name"] for group in vm["affinitygroup"]] == ["apart"]
    changed = own_world.ok("updateVMAffinityGroup", id=vm["id"], affinitygroupids=f"{made['id']},{other['id']}")
    assert [group["name"] for group in changed["virtualmachine"]["affinitygroup"]] == ["apart", "together"]
    assert own_world.ok("listAffinityGroups", virtualmachineid=vm["id"])["count"] == 2
    assert own_world.ok("listVirtualMachines", affinitygroupid=other["id"])["count"] == 1
    (listed,) = own_world.ok("listAffinityGroups", name="apart")["affinitygroup"]
    assert listed["virtualmachineIds"] == [vm["id"]]
    assert own_world.refused("updateVMAffinityGroup", id=vm["id"], affinitygroupnames="none")[0] == 431
    assert own_world.ok("deleteAffinityGroup", id=made["id"]) == {"success": True}
    assert own_world.ok("deleteAffinityGroup", name="together") == {"success": True}
    assert own_world.ok("listVirtualMachines", id=vm["id"])["virtualmachine"][0]["affinitygroup"] == []
    both = own_world.refused("deleteAffinityGroup")
    assert both == (431, "Either the affinity group Id or group name must be specified to delete the group")


def test_instance_groups(own_world: Any) -> None:
    """A VM's group is made when it is named; groups are renamed, listed and deleted."""
    vm = deploy(own_world, group="web", name="in-web")
    assert vm["group"] == "web"
    (group,) = own_world.ok("listInstanceGroups")["instancegroup"]
    assert (group["id"], group["account"]) == (vm["groupid"], "admin")
    assert own_world.refused("createInstanceGroup", name="WEB")[1].startswith("Unable to create vm group, a group with")
    assert own_world.ok("updateInstanceGroup", id=group["id"], name="www")["instancegroup"]["name"] == "www"
    assert own_world.ok("listVirtualMachines", groupid=group["id"])["virtualmachine"][0]["group"] == "www"
    moved = own_world.ok("updateVirtualMachine", id=vm["id"], group="db")["virtualmachine"]
    assert moved["group"] == "db"
    assert own_world.refused("deleteInstanceGroup", id=group["id"], who="user")[0] == 531
    assert own_world.ok("deleteInstanceGroup", id=moved["groupid"]) == {"success": True}
    assert "group" not in own_world.ok("listVirtualMachines", id=vm["id"])["virtualmachine"][0]


def test_rules_of_security_groups(own_world: Any) -> None:
    """Rules are kept as they were asked for, once; what is no traffic is refused with CloudStack's texts."""
    group = own_world.ok("createSecurityGroup", name="front")["securitygroup"]
    own_world.ok("createSecurityGroup", name="back")
    own = {"securitygroupid": group["id"]}
    tcp = {"protocol": "TCP", "startport": "80", "endport": "81"}
    made = own_world.ok("authorizeSecurityGroupIngress", cidrlist="192.0.2.0/24,198.51.100.0/24", **tcp, **own)
    rules = made["securitygroup"]["ingressrule"]
    assert [(rule["protocol"], rule["startport"], rule["endport"], rule["cidr"]) for rule in rules] == [
        ("tcp", 80, 81, "192.0.2.0/24"),
        ("tcp", 80, 81, "198.51.100.0/24"),
    ]
    again = own_world.refused("authorizeSecurityGroupIngress", cidrlist="192.0.2.0/24", **tcp, **own)
    assert again == (530, "Failed to authorize security group ingress rule(s)")
    named = {"usersecuritygrouplist[0].group": "back", "usersecuritygrouplist[0].account": "admin"}
    icmp = {"protocol": "icmp", "icmptype": "8", "icmpcode": "0"}
    out = own_world.ok("authorizeSecurityGroupEgress", securitygroupname="front", **named, **icmp)["securitygroup"]
    (rule,) = out["egressrule"]
    assert (rule["icmptype"], rule["icmpcode"], rule["securitygroupname"], rule["account"]) == (8, 0, "back", "admin")
    (shown,) = own_world.ok("listSecurityGroups", id=group["id"])["securitygroup"]
    assert (len(shown["ingressrule"]), len(shown["egressrule"])) == (2, 1)
    cidr = {"cidrlist": "0.0.0.0/0"}
    for given, text in (
        ({}, "At least one cidr or at least one security group needs to be specified"),
        ({"cidrlist": "10.1.1.1"}, "Invalid cidr 10.1.1.1"),
        ({**cidr, "protocol": "foo"}, "Invalid protocol foo"),
        ({**cidr, "protocol": "300"}, "Invalid protocol number: 300"),
        ({**cidr, "protocol": "tcp"}, "Invalid port range specified, startPort = null, endPort = null"),
        ({**cidr, "protocol": "tcp", "startport": "9", "endport": "8"}, "Invalid port range 9:8"),
        ({**cidr, "protocol": "udp", "startport": "9", "endport": "70000"}, "Invalid port numbers 9:70000"),
        ({**cidr, "protocol": "icmp"}, "Invalid ICMP type/code specified, icmpType = null, icmpCode = null"),
        ({**cidr, "protocol": "icmp", "icmptype": "-1", "icmpcode": "1"}, "Invalid icmp code"),
        ({**cidr, "startport": "1"}, "Cannot specify startPort or endPort without specifying protocol"),
    ):
        assert own_world.refused("authorizeSecurityGroupIngress", **own, **given) == (431, text)
    (back,) = own_world.ok("listSecurityGroups", securitygroupname="back")["securitygroup"]
    used = own_world.refused("deleteSecurityGroup", id=back["id"])
    assert used == (536, "Cannot delete group when there are security rules that allow this group")
    wrong_way = own_world.refused("revokeSecurityGroupIngress", id=rule["ruleid"])
    assert wrong_way[1].startswith("Mismatch in rule type for security rule with id ")
    assert own_world.ok("revokeSecurityGroupEgress", id=rule["ruleid"]) == {"success": True}
    assert own_world.ok("deleteSecurityGroup", id=back["id"]) == {"success": True}
    assert own_world.ok("updateSecurityGroup", id=group["id"], name="edge")["securitygroup"]["name"] == "edge"
    reserved = own_world.refused("updateSecurityGroup", id=group["id"], name="Default")
    assert reserved == (431, "The security group name default is reserved")


def test_public_addresses(own_world: Any) -> None:
    """A range gives addresses; accounts take them for their networks, or have them reserved, and give them back."""
    assert own_world.ok("listPublicIpAddresses", listall="true") == {}
    short = own_world.refused("associateIpAddress", networkid=ISOLATED)
    assert short[0] == 533
    given = {"gateway": "203.0.113.1", "netmask": "255.255.255.0", "startip": "203.0.113.10", "endip": "203.0.113.12"}
    made = own_world.ok("createVlanIpRange", zoneid=ZONE, vlan="50", forvirtualnetwork="true", **given)["vlan"]
    assert (made["vlan"], made["cidr"]) == ("vlan://50", "203.0.113.0/24")
    assert own_world.ok("listVlanIpRanges", zoneid=ZONE)["vlaniprange"] == [made]
    overlap = own_world.refused("createVlanIpRange", zoneid=ZONE, vlan="51", **given)
    assert "overlaps" in overlap[1]
    assert own_world.ok("listPublicIpAddresses", allocatedonly="false")["count"] == 3
    address = own_world.ok("associateIpAddress", networkid=ISOLATED)["ipaddress"]
    assert (address["ipaddress"], address["account"], address["state"]) == ("203.0.113.10", "admin", "Allocated")
    assert own_world.ok("listPublicIpAddresses", associatednetworkid=ISOLATED)["publicipaddress"] == [address]
    assert own_world.ok("listAccounts", name="admin")["account"][0]["iptotal"] == 1
    free = own_world.ok("listPublicIpAddresses", state="Free")["publicipaddress"]
    kept = own_world.ok("reserveIpAddress", id=free[0]["id"])["ipaddress"]
    assert (kept["state"], kept["account"]) == ("Reserved", "admin")
    wrong = own_world.refused("releaseIpAddress", id=address["id"])
    assert wrong[1] == "Unable to release a public IP in Allocated state, please use disassociateIpAddress instead"
    other = own_world.refused("reserveIpAddress", id=kept["id"], account="user", domainid=ROOT)
    assert other[1] == "Unable to reserve a IP because it has already been reserved for another account."
    used = own_world.refused("deleteVlanIpRange", id=made["id"])
    assert used == (431, "The IP range can't be deleted because it has allocated public IP addresses.")
    assert own_world.ok("releaseIpAddress", id=kept["id"]) == {"success": True}
    hidden = own_world.ok("updateIpAddress", id=address["id"], fordisplay="false")["ipaddress"]
    assert hidden["fordisplay"] is False
    assert own_world.ok("disassociateIpAddress", id=address["id"]) == {"success": True}
    assert own_world.ok("listPublicIpAddresses", listall="true") == {}
    types = {each["type"] for each in own_world.ok("listEvents", listall="true", pagesize="100", page="1")["event"]}
    assert {"NET.IPASSIGN", "NET.IPRELEASE", "NET.IPRESERVE", "VLAN.IP.RANGE.CREATE"} <= types
    assert own_world.ok("deleteVlanIpRange", id=made["id"]) == {"success": True}


def test_further_addresses_of_a_nic(own_world: Any) -> None:
    """A NIC gets further addresses of its network up to the setting's number; nobody else gets them."""
    nic = deploy(own_world, name="many-addresses", ipaddress="10.1.1.77")["nic"][0]["id"]
    made = own_world.ok("addIpToNic", nicid=nic, ipaddress="10.1.1.78")["nicsecondaryip"]
    assert (made["ipaddress"], made["nicid"], made["networkid"]) == ("10.1.1.78", nic, ISOLATED)
    (shown,) = own_world.ok("listNics", virtualmachineid=made["virtualmachineid"])["nic"]
    assert shown["secondaryip"] == [{"id": made["id"], "ipaddress": "10.1.1.78"}]
    for wanted in ("10.1.1.78", "10.1.1.77", "10.1.1.1", "192.0.2.1"):
        code, text = own_world.refused("addIpToNic", nicid=nic, ipaddress=wanted)
        assert (code, text.startswith("Allocating guest IP for NIC failed : ")) == (431, True), wanted
    own_world.ok("updateConfiguration", name="vm.network.nic.max.secondary.ipaddresses", value="2")
    assert own_world.ok("addIpToNic", nicid=nic)["nicsecondaryip"]["ipaddress"] == "10.1.1.2"
    full = own_world.refused("addIpToNic", nicid=nic)
    assert full == (431, "Allocating guest IP for NIC failed : Maximum Number of Ips per Nic has been crossed.")
    assert own_world.ok("removeIpFromNic", id=made["id"]) == {"success": True}
    bare = deploy(own_world, name="no-addresses", networkids=L2)["nic"][0]["id"]
    assert own_world.refused("addIpToNic", nicid=bare) == (530, "Failed to assign secondary IP to NIC")


def test_user_data(own_world: Any) -> None:
    """User data is kept under a name, given to VMs by it or as it is, and read back."""
    text = base64.b64encode(b"#cloud-config\n").decode()
    kept = own_world.ok("registerUserData", name="init", userdata=text)["userdata"]
    assert own_world.ok("listUserData", name="INIT")["userdata"] == [kept]
    assert own_world.refused("registerUserData", name="init", userdata=text)[0] == 431
    assert own_world.refused("registerUserData", name="odd", userdata="%%")[1] == "User data is not base64 encoded"
    vm = deploy(own_world, name="with-data", userdataid=kept["id"])

    def read() -> Any:
        answer = own_world.ok("getVirtualMachineUserData", virtualmachineid=vm["id"])
        return answer["virtualmachineuserdata"].get("userdata")

    assert read() == text
    assert own_world.refused("deleteUserData", id=kept["id"])[0] == 431
    other = base64.b64encode(b"other").decode()
    own_world.ok("updateVirtualMachine", id=vm["id"], userdata=other)
    assert read() == other
    own_world.ok("resetUserDataForVirtualMachine", id=vm["id"])
    assert read() is None
    assert own_world.ok("deleteUserData", id=kept["id"]) == {"success": True}


def test_a_second_factor_stays_off(own_world: Any) -> None:
    """Nobody can switch it on, anybody can switch off what is off, and there is no code to check."""
    on = own_world.refused("setupUserTwoFactorAuthentication", provider="totp")
    assert on == (530, "2FA is not enabled for this domain or at global level")
    off = own_world.ok("setupUserTwoFactorAuthentication", enable="false", who="user")["setup2fa"]
    assert off["username"] == "user" and list(off) == ["id", "username"]
    other = own_world.ok("listUsers", username="admin")["user"][0]["id"]
    assert own_world.refused("setupUserTwoFactorAuthentication", enable="false", userid=other, who="user")[0] == 531
    code = own_world.refused("validateUserTwoFactorAuthenticationCode", codefor2fa="123456")
    assert code == (530, "Two factor authentication is not enabled on the user: admin")


def test_templates_of_volumes_and_snapshots(own_world: Any) -> None:
    """A template made of a stopped VM's disk is ready at once and takes its size; so is one of a snapshot."""
    vm = deploy(own_world, name="source")
    (disk,) = own_world.ok("listVolumes", virtualmachineid=vm["id"])["volume"]
    source = {"volumeid": disk["id"]}
    os_type = own_world.ok("listOsTypes")["ostype"][0]["id"]
    given = {"name": "golden", "ostypeid": os_type}
    unmade = own_world.refused("createTemplate", **source, **given)
    assert unmade == (530, f"Unable to create private template for volume: {disk['name']}; it is in state Allocated")
    change(own_world, Volume, disk["id"], state="Ready")
    made = own_world.ok("createTemplate", **source, **given)["template"]
    assert (made["isready"], made["size"], made["templatetype"]) == (True, disk["size"], "USER")
    assert deploy(own_world, templateid=made["id"], name="of-golden")["templatename"] == "golden"
    snapshot = own_world.ok("createSnapshot", **source)["snapshot"]
    assert own_world.ok("createTemplate", snapshotid=snapshot["id"], **given)["template"]["isready"] is True
    change(own_world, VmInstance, vm["id"], state="Running")
    code, text = own_world.refused("createTemplate", **source, **given)
    assert (code, text.partition("; ")[2]) == (530, "volume is attached to a non-stopped VM, please stop the VM first")
    change(own_world, VmInstance, vm["id"], state="Stopped")
    for changes, code, text in (
        ({}, 431, "Failed to create private template record, neither volume ID nor snapshot ID were specified."),
        (source | {"snapshotid": snapshot["id"]}, 431, "Failed to create private template record, please specify only"),
        (source | {"name": "n" * 33}, 431, "Template name cannot be null and should be less than 32 characters"),
    ):
        refused = own_world.refused("createTemplate", **(given | changes))
        assert refused[0] == code and refused[1].startswith(text)
    assert own_world.refused("createTemplate", who="user", **source, **given)[0] == 531
    store = own_world.ok("listImageStores")["imagestore"][0]["id"]
    own_world.ok("updateImageStore", id=store, readonly="true")
    assert own_world.refused("createTemplate", **source, **given) == (530, "cannot find an image store for zone 1")
    own_world.ok("updateImageStore", id=store, readonly="false")
    public = own_world.refused("createTemplate", ispublic="true", who="user", **source, **given)
    assert public[0] == 531


def test_every_event_has_a_listed_type(own_world: Any) -> None:
    """As many types as a real server told, in as many bytes, each once; those that commands here write are of them."""
    answer = own_world.ok("listEventTypes", who="user")
    names = [each["name"] for each in answer["eventtype"]]
    assert answer["count"] == len(names) == len(set(names)) == 544
    assert names[:2] == ["VM.CREATE", "VM.DESTROY"]
    recorded_length = 16_652  # of the answer, whose names were cut
    assert len(json.dumps({"listeventtypesresponse": answer}, separators=(",", ":"))) == recorded_length
    written = {each.event.type for each in own_world.server.services.commands.values() if each.event is not None}
    assert sorted(written - set(names)) == []


def test_changes_of_storage_are_told(own_world: Any) -> None:
    """A pool and an image store that are changed have an event each, with their names."""
    pool = own_world.ok("listStoragePools")["storagepool"][0]
    store = own_world.ok("listImageStores")["imagestore"][0]
    own_world.ok("updateStoragePool", id=pool["id"], tags="fast")
    own_world.ok("updateImageStore", id=store["id"], name="images")
    for kind, text, name in (
        ("UPDATE.PS", "Successfully completed update storage pool", pool["name"]),
        ("IMAGE.STORE.ACCESS.UPDATED", "Successfully completed image store access updated", "images"),
    ):
        event = own_world.ok("listEvents", type=kind)["event"][0]
        assert (event["description"], event["resourcename"]) == (text, name)
