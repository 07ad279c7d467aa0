"""listVolumes and listNics: scope, filters, who sees what."""

from __future__ import annotations

from datetime import datetime

import pytest

from mgmt.commands.declaration import Paging
from mgmt.commands.nics import list_nics
from mgmt.commands.volumes import list_volumes
from mgmt.errors import InvalidParameterValueError, PermissionDeniedError
from mgmt.inventory.volumes import volume_views
from mgmt.store import models


@pytest.mark.parametrize(
    ("by", "given", "expected"),
    [
        ("admin", {}, ["ROOT-1", "ROOT-2", "DATA-2-1"]),
        ("admin", {"listall": True}, ["ROOT-1", "ROOT-2", "DATA-2-1", "u1root", "subroot", "u1expunged"]),
        ("user1", {}, ["u1root"]),
        ("user1", {"state": "expunged"}, ["u1expunged"]),
        ("dadmin", {"listall": True}, ["u1root", "subroot", "u1expunged"]),
        ("admin", {"name": "root-1"}, ["ROOT-1"]),
        ("admin", {"type": "data"}, ["DATA-2-1"]),
        ("admin", {"state": "READY", "type": "ROOT"}, ["ROOT-1", "ROOT-2"]),
        ("admin", {"keyword": "root-"}, ["ROOT-1", "ROOT-2"]),
        ("admin", {"keyword": "datadisk"}, ["DATA-2-1"]),
        ("admin", {"displayvolume": True, "type": "data"}, ["DATA-2-1"]),
        ("admin", {"displayvolume": False}, []),
        ("admin", {"isencrypted": True}, []),
        ("admin", {"tags": {"0": {"key": "a"}}}, []),
    ],
)
def test_scope_and_plain_filters(world, names, by, given, expected):
    """A caller sees his volumes; the filters narrow the list as the real server does."""
    assert names(world.run(list_volumes, by, **given)) == expected


@pytest.mark.parametrize(
    ("name", "key", "expected"),
    [
        ("virtualmachineid", "um2", ["ROOT-2", "DATA-2-1"]),
        ("zoneid", "zone2", []),
        ("diskofferingid", "D1offering", ["DATA-2-1"]),
        ("serviceofferingid", "small", ["ROOT-1", "ROOT-2", "u1root", "subroot", "u1expunged"]),
        ("podid", "pod", ["ROOT-1", "ROOT-2", "DATA-2-1", "u1expunged"]),
        ("clusterid", "cluster", ["ROOT-1", "ROOT-2", "DATA-2-1", "u1expunged"]),
        ("hostid", "host", ["ROOT-1"]),
        ("id", "gone", []),
    ],
)
def test_filters_by_entity(world, names, name, key, expected):
    """Filters that name an entity find the volumes that go with it."""
    assert names(world.run(list_volumes, listall=True, **{name: world.ids[key]})) == expected


def test_pool_is_named_by_uuid(world, names):
    """storageid is a text: the UUID of the pool, and anything else finds nothing."""
    assert names(world.run(list_volumes, listall=True, storageid=world.uuids["zonepool"])) == ["u1root"]
    assert names(world.run(list_volumes, listall=True, storageid="x")) == []


def test_only_the_count(world):
    """retrieveonlyresourcecount answers with the number alone."""
    result = world.run(list_volumes, retrieveonlyresourcecount=True)
    assert (list(result.items), result.count) == ([], 3)


def test_several_ids(world, names):
    """ids finds several volumes; with id it is refused."""
    ids = [world.ids["ROOT-1"], world.ids["DATA-2-1"]]
    assert names(world.run(list_volumes, ids=ids)) == ["ROOT-1", "DATA-2-1"]
    with pytest.raises(InvalidParameterValueError, match=r"^Specify either id or ids but not both parameters$"):
        world.run(list_volumes, ids=ids, id=ids[0])


def test_user_does_not_see_storage(world):
    """Pool, path and placement are for admins."""
    (volume,) = world.run(list_volumes, "user1").items
    hidden = ("storage", "storageid", "path", "storagetype", "hypervisor", "clusterid", "podid")
    assert [volume[name] for name in hidden] == [None] * len(hidden)
    (same,) = world.run(list_volumes, "dadmin", id=world.ids["u1root"]).items
    assert (same["storage"], same["hypervisor"], same["clusterid"]) == ("NZ", "KVM", None)


def test_root_volume_carries_the_number_of_the_compute_offering(world):
    """A root volume shows the internal number of its compute offering, as the real server does."""
    (volume,) = world.run(list_volumes, id=world.ids["ROOT-1"]).items
    assert volume["serviceofferingid"] == str(world.ids["small"])
    assert "diskofferingid" not in volume


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({"format": "QCOW2"}, ("shared", "KVM", True)),
        ({"format": "OVA"}, ("shared", "VMware", True)),
        ({"format": "LUKS"}, ("shared", None, True)),
        ({"volume_type": "ROOT", "template_id": "systemvm"}, ("shared", "KVM", False)),
        ({"volume_type": "ROOT", "template_id": "builtin"}, ("shared", "KVM", True)),
        ({"volume_type": "ROOT", "template_id": "community"}, ("shared", "KVM", False)),
    ],
)
def test_detached_volume(own_world, columns, expected):
    """Storage type, hypervisor and whether it can be downloaded are told without a VM or an offering, too."""
    columns = {key: own_world.ids[item] if key == "template_id" else item for key, item in columns.items()}
    with own_world.store.session() as session:
        admin = session.get_one(models.Account, own_world.ids["admin"])
        volume = models.Volume(
            **{
                "uuid": "u",
                "name": "detached",
                "volume_type": "DATADISK",
                "account_id": admin.id,
                "domain_id": admin.domain_id,
                "zone_id": own_world.ids["zone"],
                "size_bytes": 1,
                "created": admin.created,
                **columns,
            }
        )
        session.add(volume)
        session.flush()
        (view,) = volume_views(session, [volume], own_world.callers["admin"])
    assert (view["storagetype"], view["hypervisor"], view["isextractable"]) == expected
    assert "virtualmachineid" not in view


def test_volume_on_a_local_pool(own_world):
    """A volume without an offering on a host's own pool is local."""
    with own_world.store.session() as session:
        session.get_one(models.StoragePool, own_world.ids["pool"]).scope = "HOST"
        volume = session.get_one(models.Volume, own_world.ids["ROOT-1"])
        volume.disk_offering_id = None
        session.flush()
        session.expire(volume)
        assert volume_views(session, [volume], own_world.callers["admin"])[0]["storagetype"] == "local"


def test_pending_job_of_a_volume(own_world):
    """A volume with a job under way carries its UUID and state."""
    with own_world.store.session() as session:
        session.add(_job("Volume", own_world.uuids["ROOT-1"]))
    (volume,) = own_world.run(list_volumes, id=own_world.ids["ROOT-1"]).items
    assert (volume["jobid"], volume["jobstatus"]) == ("job-1", 0)


def _job(instance_type, uuid):
    return models.AsyncJob(
        uuid="job-1",
        command="x",
        command_class="X",
        user_id=1,
        account_id=1,
        instance_type=instance_type,
        instance_uuid=uuid,
        created=datetime(2026, 1, 1),
    )


def test_nics_of_a_vm(world):
    """The NICs of a VM come by device; a removed one is gone; network and NIC narrow them."""
    ids = world.ids
    macs = [nic["macaddress"] for nic in world.run(list_nics, virtualmachineid=ids["um2"]).items]
    assert macs == ["52:54:00:12:00:03", "52:54:00:12:00:04"]
    assert world.run(list_nics, virtualmachineid=ids["um1"]).count == 1
    assert world.run(list_nics, virtualmachineid=ids["um2"], networkid=ids["l2a"]).items[0]["deviceid"] == "1"
    assert world.run(list_nics, virtualmachineid=ids["um2"], nicid=ids["nic1"]).count == 0
    assert world.run(list_nics, virtualmachineid=ids["um2"], fordisplay=False).count == 0


def test_page_of_nics(world):
    """listNics has pages, too."""
    result = world.run(list_nics, virtualmachineid=world.ids["um2"], paging=Paging(1, 1))
    assert ([nic["deviceid"] for nic in result.items], result.count) == (["1"], 2)


def test_vlan_is_for_root_admins(world):
    """Only a root admin sees the VLAN of a NIC."""
    admin = world.run(list_nics, virtualmachineid=world.ids["um2"], nicid=world.ids["nic2"]).items[0]
    assert admin["broadcasturi"] == admin["isolationuri"] == "vlan://199"
    user = world.run(list_nics, "user1", virtualmachineid=world.ids["u1vm"]).items[0]
    assert user["broadcasturi"] is None


@pytest.mark.parametrize(("by", "vm"), [("admin", "expunged"), ("user1", "u1hidden"), ("admin", None)])
def test_nics_of_a_missing_vm_text(world, by, vm):
    """The NICs of a VM that is gone, hidden or was never there are refused."""
    with pytest.raises(InvalidParameterValueError, match=r"^Virtual machine id does not exist$"):
        world.run(list_nics, by, virtualmachineid=world.ids[vm] if vm else 4711)


def test_nics_of_a_foreign_vm_text(world):
    """The NICs of somebody else's VM are refused."""
    with pytest.raises(PermissionDeniedError) as caught:
        world.run(list_nics, "user1", virtualmachineid=world.ids["um1"])
    assert caught.value.text == "Caller does not have permission to operate with provided resource."
