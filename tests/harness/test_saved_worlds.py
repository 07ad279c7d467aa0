"""A live world saved as a YAML seed, and another world that is started with it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

import cloudstack_mock
from cloudstack_mock import Cloud, CloudStackError
from mgmt.store.seeding import SeedError, read_seed

OLD, NEW = "https://old.example.org/client/api", "https://new.example.org/client/api"
SECRET = "S3cret!vcenter"
ALL = {"listall": True}
LISTS: dict[str, dict[str, object]] = {
    "listZones": {},
    "listPods": {},
    "listClusters": {},
    "listHosts": {},
    "listStoragePools": {},
    "listImageStores": {},
    "listServiceOfferings": {},
    "listDiskOfferings": {},
    "listNetworkOfferings": {},
    "listNetworks": ALL,
    "listPhysicalNetworks": {},
    "listVirtualMachines": ALL,
    "listVolumes": ALL,
    "listTemplates": {"templatefilter": "all"},
    "listSSHKeyPairs": ALL,
    "listTags": ALL,
    "listDomains": ALL,
    "listAccounts": ALL,
    "listUsers": ALL,
    "listRoles": {},
    "listConfigurations": {"pagesize": 500, "page": 1},
    "listEvents": ALL,
    "listAsyncJobs": ALL,
    "listOsTypes": {},
}
# Of the process: where hosts and vCenter are, and what is measured in rounds.
OF_THE_MOMENT = {
    *("lastpinged", "disconnected", "vcenter", "managementserverid"),
    *("cpuused", "cpuloadaverage", "networkkbsread", "networkkbswrite", "memoryused"),
}


@pytest.fixture(scope="module")
def lab() -> None:
    """Worlds that this module shares start threads when they need them."""


@pytest.fixture(autouse=True)
def shares_worlds(lab: None) -> None:
    """See `lab`."""


@pytest.fixture(scope="module")
def old() -> Iterator[Cloud]:
    """A world in which much has happened."""
    with cloudstack_mock.activate(OLD, seed=11) as cloud:
        client = cloud.client
        cloud.import_vm("web01")
        imported = cloud.import_vm("db01")
        client.startVirtualMachine(id=imported["id"])
        guest = cloud.import_vm("edge-stopped")
        client.startVirtualMachine(id=guest["id"])
        client.unmanageVirtualMachine(id=guest["id"])
        client.createTags(resourceids=imported["id"], resourcetype="UserVm", tags=[{"key": "team", "value": "blue"}])
        client.createAccount(
            username="jane",
            password="jane's own",
            email="jane@example.org",
            firstname="Jane",
            lastname="Doe",
            accounttype=0,
        )
        jane = client.listUsers(username="jane", listall=True)["user"][0]
        client.registerUserKeys(id=jane["id"])
        client.updateConfiguration(name="alert.wait", value="77")
        client.createDiskOffering(name="fast", displaytext="fast", disksize=5)
        offering = client.listServiceOfferings(name="Small Instance")["serviceoffering"][0]["id"]
        client.deleteServiceOffering(id=offering)
        cloud.vcenter.change_password(SECRET)
        datacenter = client.listVmwareDcs(zoneid=cloud.zone_id)["VMwareDC"][0]
        client.updateVmwareDc(zoneid=cloud.zone_id, name=datacenter["name"], password=SECRET)
        with pytest.raises(CloudStackError):
            cloud.import_vm("app01", serviceofferingid=offering)
        cloud.clock.advance(hours=30)
        yield cloud


@pytest.fixture(scope="module")
def saved(old: Cloud, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return old.save_as_seed(tmp_path_factory.mktemp("saved") / "world.yaml")


@pytest.fixture(scope="module")
def shared(saved: Path) -> Iterator[Cloud]:
    with cloudstack_mock.activate(NEW, seed=saved) as cloud:
        yield cloud


@pytest.fixture
def new(shared: Cloud) -> Cloud:
    """A world that was started with the file, as it was then."""
    shared.reset()
    return shared


def answers(cloud: Cloud) -> dict[str, Any]:
    found = {command: lasting(cloud.client.call(command, **given)) for command, given in LISTS.items()}
    found["listVmwareDcs"] = lasting(cloud.client.listVmwareDcs(zoneid=cloud.zone_id))
    found["listImportVmTasks"] = lasting(cloud.client.listImportVmTasks(zoneid=cloud.zone_id, tasksfilter="all"))
    (datacenter,) = cloud.client.listVmwareDcs(zoneid=cloud.zone_id)["VMwareDC"]
    found["listVmwareDcVms"] = cloud.client.listVmwareDcVms(existingvcenterid=datacenter["id"])
    found["listUnmanagedInstances"] = cloud.client.listUnmanagedInstances(clusterid=cloud.cluster_id)
    for vm in found["listVirtualMachines"]["virtualmachine"]:
        found["listNics of " + vm["name"]] = cloud.client.listNics(virtualmachineid=vm["id"])
    return found


def differences(before: Any, after: Any, place: str = "") -> list[str]:
    """What differs, each with its place."""
    if isinstance(before, dict) and isinstance(after, dict):
        names = [*before, *(after.keys() - before.keys())]
        return [text for name in names for text in differences(before.get(name), after.get(name), f"{place}.{name}")]
    if isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        pairs = enumerate(zip(before, after, strict=True))
        return [text for index, pair in pairs for text in differences(*pair, f"{place}[{index}]")]
    return [] if before == after else [f"{place}: {before!r}, then {after!r}"]


def lasting(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: lasting(each) for name, each in value.items() if name not in OF_THE_MOMENT}
    return [lasting(each) for each in value] if isinstance(value, list) else value


def test_the_new_world_lists_the_same(old: Cloud, new: Cloud) -> None:
    """Every list of the saved world is answered alike by the one that was started with it."""
    before, after = answers(old), answers(new)
    assert {name: found for name in before if (found := differences(before[name], after[name]))} == {}
    assert before["listVirtualMachines"]["count"] == 2
    assert len(before["listUnmanagedInstances"]["unmanagedinstance"]) == 1


def test_keys_and_passwords_go_on(old: Cloud, new: Cloud) -> None:
    """Users sign with the keys and log in with the passwords that they had; the new world tells no password."""
    assert (new.api_key, new.secret_key, new.password) == (old.api_key, old.secret_key, "")
    for username, password in (("admin", old.password), ("jane", "jane's own")):
        login = {"command": "login", "username": username, "password": password, "response": "json"}
        assert requests.post(NEW, data=login).status_code == 200
    assert requests.post(NEW, data=login | {"password": "no"}).status_code == 531


def test_no_password_is_in_the_file(old: Cloud, saved: Path) -> None:
    """The file is its owner's, says what is not in it, and holds no clear password of vCenters or users."""
    text = saved.read_text()
    assert saved.stat().st_mode & 0o777 == 0o600
    for secret in (SECRET, "VMware1!lab", "jane's own"):
        assert secret not in text
    assert "The passwords of vCenters are NOT in it" in text
    document = yaml.safe_load(text)
    assert [each["password"] for each in document["vmware_datacenters"]] == ["*****"]
    assert not any(user.get("password") for account in document["accounts"] for user in account["users"])


def test_the_new_world_goes_on_where_the_old_one_was(old: Cloud, new: Cloud) -> None:
    """Time has not gone back, VMs run on their hosts, and imports are possible; what is drawn is new."""
    assert new.clock.now() >= old.clock.now() - 1
    (running,) = new.client.listVirtualMachines(listall=True, state="Running")["virtualmachine"]
    assert new.client.stopVirtualMachine(id=running["id"])["virtualmachine"]["state"] == "Stopped"
    known = {vm["id"] for vm in old.client.listVirtualMachines(listall=True)["virtualmachine"]}
    assert new.import_vm("web02", forcemstoimportvmfiles=True, usevddk=False)["id"] not in known
    assert not [leak for leak in new.leaks() if leak.thing.kind != "mount"]


@pytest.mark.parametrize(
    ("part", "rows", "said"),
    [
        ("records", {"nonsense": []}, "records.nonsense: no table has this name"),
        ("records", {"networks": [{"id": 1, "colour": 1}]}, "no such column"),
        ("gone", {"networks": [{}]}, "a row needs its key"),
    ],
)
def test_rows_that_cannot_be_are_refused(saved: Path, tmp_path: Path, part: str, rows: Any, said: str) -> None:
    """A file that was changed by hand is refused with the place in it."""
    changed = tmp_path / "changed.yaml"
    changed.write_text(yaml.safe_dump(yaml.safe_load(saved.read_text()) | {part: rows}))
    with pytest.raises(SeedError, match=said):
        read_seed(str(changed))
