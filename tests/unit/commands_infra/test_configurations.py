"""listConfigurations and updateConfiguration."""

from __future__ import annotations

import pytest

from mgmt.commands.declaration import Paging
from mgmt.errors import InvalidParameterValueError, PermissionDeniedError
from mgmt.store.models import Event

EXTRA = "convert.vmware.instance.to.kvm.extra.params.allowed"
ZONE = "20000000-0000-4000-8000-000000000001"
TENANT_DOMAIN = "00000002-0000-4000-8000-000000000002"


def test_name_is_looked_for_anywhere(lab):
    """The wizard's question gives the switch first and its list second, with the recorded fields."""
    switch, allowed = lab.items("listConfigurations", name=EXTRA)
    description = switch.pop("description")
    assert description
    assert switch == {
        "category": "Advanced",
        "group": "Hypervisor",
        "subgroup": "VMware",
        "name": EXTRA,
        "value": "false",
        "defaultvalue": "false",
        "isdynamic": True,
        "component": "UnmanagedVMsManagerImpl",
        "displaytext": "Convert vmware instance to kvm extra params allowed",
        "type": "Boolean",
    }
    assert (allowed["name"], allowed["value"], allowed["type"]) == (f"{EXTRA}.list", "", "CSV")


@pytest.mark.parametrize(
    ("params", "names"),
    [
        ({"name": "JOB.EXPIRE"}, ["job.expire.minutes"]),
        ({"name": "nothing.like.it"}, []),
        ({"keyword": "hours"}, ["convert.vmware.instance.to.kvm.timeout"]),
        ({"group": "management server", "subgroup": "jobs"}, ["job.cancel.threshold.minutes", "job.expire.minutes"]),
        ({"name": "wait", "category": "ADVANCED", "subgroup": "Agent"}, ["alert.wait", "ready.command.wait", "wait"]),
        ({"category": "foo"}, []),
        ({"parent": "wait"}, []),
        ({"zoneid": ZONE, "name": "unmanage"}, ["unmanage.vm.preserve.nics"]),
        ({"clusterid": 1, "name": "overprov"}, ["cpu.overprovisioning.factor", "mem.overprovisioning.factor"]),
        ({"storageid": 1}, ["storage.overprovisioning.factor"]),
        ({"imagestoreuuid": 1}, []),
        ({"accountid": 2, "name": "cidr"}, ["api.allowed.source.cidr.list"]),
        ({"user": "tenant-admin", "name": "2fa"}, ["enable.user.2fa", "mandate.user.2fa"]),
        ({"user": "tenant-admin", "name": "job"}, []),
    ],
)
def test_setting_filters(lab, params, names):
    """listConfigurations narrows by each filter; with an id only what may differ there; domain admins see their own."""
    assert lab.names("listConfigurations", **params) == names


def test_a_page_of_settings(lab):
    """A page shows its part with the count of all."""
    result = lab.run("listConfigurations", name="wait", paging=Paging(offset=1, limit=1))
    assert ([item["name"] for item in result.items], result.count) == (["migratewait"], 5)


@pytest.mark.parametrize(
    ("params", "text"),
    [
        ({"group": "foo"}, "Invalid configuration group: foo"),
        ({"subgroup": "foo"}, "Invalid configuration subgroup: foo"),
        (
            {"zoneid": 1, "clusterid": 1},
            "cannot handle multiple IDs, provide only one ID corresponding to the scope",
        ),
        ({"accountid": 99}, "Unable to find account by id 99"),
        ({"domainid": 99}, "Unable to find domain by id 99"),
    ],
)
def test_wrong_searches_are_refused(lab, params, text):
    """Unknown groups, several ids and missing owners are invalid values."""
    with pytest.raises(InvalidParameterValueError) as raised:
        lab.run("listConfigurations", **params)
    assert raised.value.text == text


def test_a_change_works_at_once_and_is_kept(lab):
    """updateConfiguration answers the new value, readers see it, and an event tells of it."""
    result = lab.run("updateConfiguration", name=EXTRA, value=" true ")
    assert result.fields["value"] == "true"
    assert lab.settings.get_bool(EXTRA) is True
    assert lab.items("listConfigurations", name=EXTRA)[0]["value"] == "true"
    with lab.store.session() as session:
        event = session.query(Event).one()
    assert (event.type, event.state, event.level) == ("CONFIGURATION.VALUE.EDIT", "Completed", "INFO")


@pytest.mark.parametrize("value", [None, "", "  ", "null"])
def test_no_value_is_accepted(lab, value):
    """Without a value the setting has none, and the answer leaves it out."""
    result = lab.run("updateConfiguration", name="job.expire.minutes", value=value)
    assert result.fields["value"] is None
    assert "value" not in lab.items("listConfigurations", name="job.expire.minutes")[0]
    assert lab.settings.get_int("job.expire.minutes") == 1440


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("no.such.setting", "1", "Config parameter with name no.such.setting doesn't exist"),
        ("job.expire.minutes", "abc", "Value [abc] is not a valid [class java.lang.Long]."),
        ("alert.wait", "99999999999", "Value [99999999999] is not a valid [class java.lang.Integer]."),
        (EXTRA, "yes", "Value [yes] is not a valid [class java.lang.Boolean]."),
        ("ping.timeout", "x", "Value [x] is not a valid [class java.lang.Float]."),
        ("wait", "0", "Please enter a positive value for the configuration parameter:wait"),
    ],
)
def test_wrong_values_are_refused(lab, name, value, text):
    """Unknown names and values of the wrong type are invalid values (431, 4350) and change nothing."""
    with pytest.raises(InvalidParameterValueError) as raised:
        lab.run("updateConfiguration", name=name, value=value)
    assert raised.value.text == text
    assert (raised.value.errorcode, raised.value.cserrorcode) == (431, 4350)


def test_a_zone_may_have_a_value_of_its_own(lab):
    """A value of a zone shows for that zone only, with its scope."""
    name = "unmanage.vm.preserve.nics"
    result = lab.run("updateConfiguration", name=name, value="true", zoneid=ZONE)
    assert (result.fields["value"], result.fields["scope"]) == ("true", "zone")
    assert lab.items("listConfigurations", name=name)[0]["value"] == "false"
    assert lab.items("listConfigurations", name=name, zoneid=ZONE)[0]["value"] == "true"
    assert lab.settings.get_bool(name, scope="Zone", scope_id=1) is True
    assert lab.settings.get_bool(name, scope="Zone", scope_id=2) is False


def test_a_setting_of_another_scope_is_refused(lab):
    """A global setting has no value in a zone."""
    with pytest.raises(InvalidParameterValueError) as raised:
        lab.run("updateConfiguration", name="wait", value="5", zoneid=ZONE)
    assert raised.value.text == "Invalid scope id provided for the parameter wait"


def test_a_domain_admin_changes_his_own_domain(lab):
    """A domain admin's change is for his domain; another domain and global settings are refused."""
    result = lab.run("updateConfiguration", user="tenant-admin", name="enable.user.2fa", value="true")
    assert result.fields["scope"] == "domain"
    assert lab.settings.get_bool("enable.user.2fa") is False
    with pytest.raises(InvalidParameterValueError, match=r"^Invalid scope id provided for the parameter wait"):
        lab.run("updateConfiguration", user="tenant-admin", name="wait", value="5")
    with pytest.raises(PermissionDeniedError):
        lab.run("updateConfiguration", user="tenant-admin", name="enable.user.2fa", value="true", domainid=1)
    with pytest.raises(PermissionDeniedError):
        lab.run("listConfigurations", user="tenant-admin", accountid=2)
