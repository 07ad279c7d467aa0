"""Our entries next to recorded ones of the real server: the same fields in the same order, of the same types.

data/recorded.json holds single entries of recorded answers (CloudStack 4.22, KVM cluster).
"""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

import pytest

from mgmt.commands.accounts import list_accounts
from mgmt.commands.capabilities import list_capabilities
from mgmt.commands.events import list_events
from mgmt.commands.nics import list_nics
from mgmt.commands.ostypes import list_os_types
from mgmt.commands.templates import list_templates
from mgmt.commands.users import get_user_keys, list_users
from mgmt.commands.vms import list_virtual_machines
from mgmt.commands.volumes import list_volumes

RECORDED = json.loads((Path(__file__).parent / "data" / "recorded.json").read_text())


def shape(value):
    """Field names in order with JSON types; what is None is not in an answer; lists are told by their first entry."""
    if isinstance(value, dict):
        return [(key, shape(item)) for key, item in value.items() if item is not None]
    if isinstance(value, list):
        return ["list", *(shape(item) for item in value[:1])]
    return "str" if isinstance(value, datetime) else type(value).__name__


def map_of(entry, *names):
    """The entry with maps of free keys reduced to whether they are maps."""
    return {key: "map" if key in names else item for key, item in entry.items()}


def only(result):
    (item,) = result.items
    return item


@pytest.mark.parametrize(("recorded", "vm"), [("vm", "um1"), ("vm_with_data_disk", "um2"), ("vm_uefi", "uefi")])
def test_vm(world, recorded, vm):
    """An imported KVM VM has the very fields of the real server's answer."""
    want = map_of(RECORDED[recorded], "details")
    key = "um2" if vm == "uefi" else vm
    ours = map_of(only(world.run(list_virtual_machines, id=world.ids[key])), "details")
    if vm == "um2":
        # The recorded VM had its host, no UEFI, and its address on the second NIC.
        ours = {name: item for name, item in ours.items() if name not in ("bootmode", "boottype", "ipaddress")}
        ours["nic"], want["nic"] = ours["nic"][1:], want["nic"][:1]
        want = {name: item for name, item in want.items() if not name.startswith("host")}
    if vm == "uefi":
        skipped = ("diskofferingid", "diskofferingname", "ipaddress", "nic")
        ours = {name: item for name, item in ours.items() if name not in skipped}
        want = {name: item for name, item in want.items() if name not in skipped and not name.startswith("host")}
    assert shape(ours) == shape(want)


def test_vm_values(world):
    """The values of an imported stopped VM that do not depend on the installation are those recorded."""
    ours = only(world.run(list_virtual_machines, id=world.ids["um1"]))
    want = RECORDED["vm"]
    for name in want:
        if name not in ("created", "userid", "username", "account", "zonename", "nic") and not name.endswith("id"):
            assert ours[name] == want[name], name
    assert ours["details"] == want["details"]
    for name in ("networkname", "traffictype", "type", "isdefault", "macaddress", "deviceid"):
        assert ours["nic"][0][name] == want["nic"][0][name]


def test_vm_with_least_details(world):
    """details=min leaves out templates, offerings, NICs and volumes, and keeps empty lists."""
    ours = map_of(only(world.run(list_virtual_machines, id=world.ids["bare"], details=["min"])), "details")
    skipped = ("hostid", "hostname", "hostcontrolstate", "lastupdated", "pooltype")
    want = {key: item for key, item in map_of(RECORDED["vm_min"], "details").items() if key not in skipped}
    assert shape(ours) == shape(want)
    assert (ours["nic"], ours["securitygroup"], ours["affinitygroup"]) == ([], [], [])


@pytest.mark.parametrize(
    ("recorded", "volume"), [("volume_root", "ROOT-1"), ("volume_data", "DATA-2-1"), ("volume_of_iso", "subroot")]
)
def test_volume(world, recorded, volume):
    """Volumes have the very fields of the real server's answer."""
    ours = only(world.run(list_volumes, id=world.ids[volume]))
    want = dict(RECORDED[recorded])
    if ours["attached"] is None:
        want.pop("attached", None)
    if ours["path"] is None:
        want.pop("path", None)
    assert shape(ours) == shape(want)


def test_nics(world):
    """NICs have the very fields of the real server's answer, with and without an address."""
    assert shape(only(world.run(list_nics, virtualmachineid=world.ids["um1"]))) == shape(RECORDED["nic"])
    second = world.run(list_nics, virtualmachineid=world.ids["um2"], nicid=world.ids["nic2"])
    assert shape(only(second)) == shape(RECORDED["nic_with_address"])


def test_events(world):
    """Events have the very fields of the real server's answer."""
    assert shape(only(world.run(list_events, id=world.ids["completed"]))) == shape(RECORDED["event"])
    started = only(world.run(list_events, id=world.ids["started"]))
    want = {key: item for key, item in RECORDED["event_started"].items() if key != "resourcetype"}
    assert shape(started) == shape(want)


@pytest.mark.parametrize(("recorded", "by"), [("account_admin", "admin"), ("account_user", "user1")])
def test_accounts(world, recorded, by):
    """Accounts have the fields of the real server's answer; nobody counts traffic here."""
    ours = only(world.run(list_accounts, by, id=world.ids[by]))
    want = {key: item for key, item in RECORDED[recorded].items() if key not in ("receivedbytes", "sentbytes")}
    if by == "admin":
        ours = {key: item for key, item in ours.items() if key != "created"}  # the first accounts have no date there
    assert shape(ours) == shape(want)


def test_user_limits_are_the_defaults(world):
    """A user without limits of his own has those of the default settings."""
    ours = only(world.run(list_accounts, "user1"))
    want = RECORDED["account_user"]
    assert {key: ours[key] for key in want if key.endswith("limit")} == {
        key: want[key] for key in want if key.endswith("limit")
    }


def test_users(world):
    """Users have the very fields of the real server's answer."""
    assert shape(only(world.run(list_users))) == shape(RECORDED["user"])


def test_user_keys(world):
    """getUserKeys gives both keys and whether they may be used."""
    keys = world.run(get_user_keys, id=world.ids["user1-login"]).fields
    assert shape(dict(keys)) == shape(RECORDED["user_keys"])
    assert keys["secretkey"] == "user1-secret"


def test_os_types(world):
    """OS types have the very fields of the real server's answer."""
    assert shape(only(world.run(list_os_types, id=world.ids["centos"]))) == shape(RECORDED["ostype"])


def test_templates(world):
    """Templates have the fields of the real server's answer, but for the address they came from."""
    result = world.run(list_templates, templatefilter="featured", zoneid=world.ids["zone"], keyword="centos")
    want = {key: item for key, item in RECORDED["template"].items() if key != "url"}
    assert shape(only(result)) == shape(want)


def test_capabilities(world):
    """listCapabilities has the very fields of the real server's answer, and its values where it is alike."""
    ours = dict(world.run(list_capabilities).fields)
    want = RECORDED["capability"]
    assert shape(ours) == shape(want)
    differing = {key for key in want if ours[key] != want[key]}
    assert differing == {"cloudstackversion", "kubernetesserviceenabled"}
