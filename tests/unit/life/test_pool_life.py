"""Primary pools and image stores: making, changing, deleting them, and maintenance."""

from __future__ import annotations

import re
from typing import Any

import pytest
from sqlalchemy import select

from mgmt.commands.life_calls import life_services_of
from mgmt.errors import (
    AgentUnavailableError,
    CloudRuntimeError,
    InvalidParameterValueError,
    ServerApiError,
    ServerStoppingError,
)
from mgmt.life.pool_maintenance import interrupted
from mgmt.life.pool_mounts import PoolMounts
from mgmt.protocol import commands as wire
from mgmt.protocol.records import Answer
from mgmt.quirks import POOL_STAYS_UNMOUNTED
from mgmt.store import models

WORDS = re.compile(r"\w+")
FAILED = "Failed to add data store: "
YES = Answer(result=True)
NO = Answer(result=False, details="no")
SECRET = "AQBsecretOfTheCephUser=="


def make(life: Any, **changes: Any) -> dict[str, Any]:
    view: dict[str, Any] = life.run("createStoragePool", **given(life, **changes)).fields
    return view


def given(life: Any, **changes: Any) -> dict[str, Any]:
    values = {
        "name": "PS1", "url": "nfs://10.9.9.1:/export/ps1", "zoneid": life.ids["zone"], "podid": life.ids["pod"],
        "clusterid": life.ids["c1"],
    }  # fmt: skip
    return {name: value for name, value in (values | changes).items() if value is not None}


def pool_id(life: Any, uuid: str) -> int:
    with life.store.session() as session:
        return int(session.scalars(select(models.StoragePool.id).where(models.StoragePool.uuid == uuid)).one())


def sent(life: Any) -> list[tuple[int, str]]:
    return [(host, type(command).__name__) for host, command in life.agents.sent]


def status(life: Any, name: str = "pool") -> str:
    text: str = life.get(models.StoragePool, life.ids[name]).status
    return text


def test_a_cluster_pool_is_made(life: Any) -> None:
    """CreateStoragePool to the first host, ModifyStoragePool to each Up host of the cluster; sizes from the answer."""
    view = make(life, tags="gold")
    assert (view["type"], view["scope"], view["state"], view["tags"]) == ("NetworkFilesystem", "CLUSTER", "Up", "gold")
    assert (view["ipaddress"], view["path"], view["hypervisor"]) == ("10.9.9.1", "/export/ps1", "KVM")
    assert (view["disksizetotal"], view["disksizeused"], view["disksizeallocated"]) == (1000, 400, 0)
    assert "details" not in view and "storagecapabilities" not in view
    h1, h2 = life.ids["h1"], life.ids["h2"]
    assert sent(life) == [
        (h1, "CreateStoragePoolCommand"), (h1, "ModifyStoragePoolCommand"), (h2, "ModifyStoragePoolCommand"),
    ]  # fmt: skip
    create, mount = life.agents.sent[0][1], life.agents.sent[1][1]
    assert (create.add, create._createDatastore, create.details, create.wait) == (True, False, None, 0)
    assert (mount.add, mount.details, mount.wait, mount.pool.port) == (True, {}, 300, 2049)
    assert create.localPath == mount.localPath == f"/mnt//{view['id']}"


@pytest.mark.parametrize(
    ("url", "uuid"),
    [
        ("nfs://10.9.9.1:/export/ni2", None),
        ("nfs://10.147.28.6:/export/home/sandbox/primary0", "7c07ec9b-a3c6-3466-ab5a-f5669ead0b22"),
    ],
)
def test_the_uuid_comes_from_the_place(life: Any, url: str, uuid: str | None) -> None:
    """An NFS pool's UUID is made of host and path, as recorded."""
    assert uuid in (None, make(life, url=url)["id"])


def test_a_zone_pool_is_made(life: Any) -> None:
    """Zone-wide pools: only ModifyStoragePool, to every Up and Enabled KVM host of the zone."""
    life.change(models.Host, life.ids["h2"], resource_state="Disabled")
    view = make(life, scope="zone", hypervisor="kvm")
    assert (view["scope"], view["clusterid"], view["podid"]) == ("ZONE", None, None)
    modify = "ModifyStoragePoolCommand"
    assert sent(life) == [(life.ids["h1"], modify), (life.ids["far"], modify)]


def test_an_rbd_pool_keeps_its_secret(life: Any) -> None:
    """RBD: the uuid as recorded, the user's key goes to the hosts and into no answer; it is masked everywhere."""
    url = f"rbd://cloudstack:{SECRET}@10.9.9.2/rbdpool"
    view = make(life, scope="ZONE", hypervisor="KVM", url=url)
    assert (view["id"], view["type"], view["path"]) == ("d309b272-e1e8-3f2a-854b-1b1cce4f6483", "RBD", "rbdpool")
    (command, *_) = life.agents.of(wire.ModifyStoragePoolCommand)
    assert command.pool.userInfo == f"cloudstack:{SECRET}"
    assert command.localPath == "/mnt//033a613f-0fbb-3ad2-b16f-888cc76bae60"
    assert SECRET not in str(view) and SECRET not in life.services.redactor.text(f"pool {url} and {SECRET}")


def test_a_place_is_used_once(life: Any, refused: Any) -> None:
    """`Storage pool <path> already in use by another pod (id=<number>)`."""
    make(life)
    text = refused(life, ServerApiError, "createStoragePool", **given(life, name="again"))
    assert text == f"{FAILED}Storage pool /export/ps1 already in use by another pod (id={life.ids['pod']})"


def test_other_kinds_of_pools(life: Any) -> None:
    """SharedMountPoint gets a random UUID and may be there twice; file is a Filesystem on localhost."""
    shared = [make(life, url="SharedMountPoint://localhost/mnt/shared") for _ in range(2)]
    assert {view["type"] for view in shared} == {"SharedMountPoint"} and shared[0]["id"] != shared[1]["id"]
    local = make(life, url="file://x/var/images")
    assert (local["type"], local["ipaddress"], local["path"]) == ("Filesystem", "localhost", "/var/images")


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"url": "foo://x"}, f"{FAILED}No enum constant com.cloud.storage.Storage.StoragePoolType.foo"),
        ({"url": "nfs://10.9.9.1"}, f"{FAILED}host or path is null, should be nfs://hostname/path"),
        ({"url": "/export/x"}, f"{FAILED}scheme is null /export/x, add nfs:// (or cifs://) as a prefix"),
        ({"url": "rbd://mon"}, f"{FAILED}host or path is null, should be rbd://hostname/pool"),
        (
            {"url": "sharedmountpoint://localhost"},
            f"{FAILED}host or path is null, should be sharedmountpoint://localhost/path",
        ),
        ({"url": "nfs://[::/x"}, f"{FAILED}nfs://[::/x is not a valid uri"),
        ({"url": "CLVM://h/vg"}, f"{FAILED}Storage pools of type CLVM are not supported by this server"),
        ({"scope": "x"}, "invalid scope for pool x"),
        ({"clusterid": None}, "cluster id can't be null, if scope is cluster"),
        ({"clusterid": 99}, "unable to find cluster by id 99"),
        ({"zoneid": 99}, "unable to find zone by id 99"),
        ({"scope": "HOST"}, "Pools of scope HOST cannot be made: hosts report their local ones"),
        (
            {"scope": "ZONE"},
            "Missing parameter hypervisor. Hypervisor type is required to create zone wide primary storage.",
        ),
        (
            {"scope": "ZONE", "hypervisor": "XenServer"},
            "zone wide storage pool is not supported for hypervisor type XenServer",
        ),
        (
            {"url": "nfs://10.9.9.1:/export/ni1"},
            f"{FAILED}Storage pool /export/ni1 already in use by another pod (id=null)",
        ),
    ],
)
def test_a_pool_that_is_refused(life: Any, refused: Any, changes: dict[str, Any], text: str) -> None:
    """createStoragePool's texts; nothing is asked and nothing is left behind."""
    assert refused(life, ServerApiError, "createStoragePool", **given(life, **changes)) == text
    assert not life.agents.sent
    with life.store.session() as session:
        assert len(session.scalars(select(models.StoragePool)).all()) == 1


def test_hosts_that_cannot_use_a_pool(life: Any, refused: Any) -> None:
    """The host that makes it fails, or none can mount it: the reason, an alert for each, and no pool is left."""

    def text(**changes: Any) -> str:
        answer: str = refused(life, ServerApiError, "createStoragePool", **given(life, **changes))
        return answer

    h1 = life.ids["h1"]
    life.agents.script(wire.CreateStoragePoolCommand, NO, AgentUnavailableError("gone"))
    through = f"{FAILED}Can not create storage pool through host {h1} due to "
    assert text() == f"{through}no"
    assert text() == f"{through}CreateStoragePoolCommand returns null"
    life.agents.script(wire.ModifyStoragePoolCommand, *[NO] * 5)
    assert text() == f"{FAILED}Failed to access storage pool"
    assert text(scope="ZONE", hypervisor="KVM") == (
        f"{FAILED}Failed to create storage pool as it is not accessible to hosts."
    )
    alerts = [row["description"] for row in life.run("listAlerts").items]
    assert len(alerts) == 5 and all(alert.startswith("Unable to attach storage pool") for alert in alerts)
    for name in ("h1", "h2"):
        life.change(models.Host, life.ids[name], status="Alert")
    assert text() == f"{FAILED}No host up to associate a storage pool with in cluster {life.ids['c1']}"
    with life.store.session() as session:
        assert len(session.scalars(select(models.StoragePool)).all()) == 1


def test_a_pool_that_one_host_can_use_is_there(life: Any) -> None:
    """One host that mounts the pool is enough."""
    life.agents.script(wire.ModifyStoragePoolCommand, NO)
    assert make(life)["state"] == "Up"


def test_a_pool_is_changed(life: Any, refused: Any) -> None:
    """Name, tags (and none), size; disabled and enabled, each only from the other state."""
    id_ = life.ids["pool"]
    assert life.run("updateStoragePool", id=id_, name="new", tags=["t1", "t2"]).fields["tags"] == "t1,t2"
    view = life.run("updateStoragePool", id=id_, tags=[""], capacitybytes=7).fields
    assert (view["name"], view["tags"], view["capacitybytes"]) == ("new", None, 7)
    assert refused(life, InvalidParameterValueError, "updateStoragePool", id=id_, enabled=True) == (
        f"Primary storage with id {id_} cannot be enabled. Storage pool state : Up"
    )
    assert life.run("updateStoragePool", id=id_, enabled=False).fields["state"] == "Disabled"
    assert refused(life, InvalidParameterValueError, "updateStoragePool", id=id_, enabled=False) == (
        f"Primary storage with id {id_} cannot be disabled. Storage pool state : Disabled"
    )
    assert life.run("updateStoragePool", id=id_, enabled=True).fields["state"] == "Up"
    assert refused(life, InvalidParameterValueError, "updateStoragePool", id=999) == (
        "Unable to find storage pool with ID: 999"
    )


def test_a_pool_is_deleted(life: Any, refused: Any) -> None:
    """Only in Maintenance: DeleteStoragePool to every host; the same place may be used again, with the same UUID."""
    view = make(life)
    id_ = pool_id(life, view["id"])
    assert refused(life, InvalidParameterValueError, "deleteStoragePool", id=id_) == (
        f"Unable to delete storage due to it is not in Maintenance state, id: {id_}"
    )
    life.run("enableStorageMaintenance", id=id_)
    life.agents.script(wire.DeleteStoragePoolCommand, NO, NO)
    assert refused(life, CloudRuntimeError, "deleteStoragePool", id=id_) == "Failed to delete storage pool on host"
    life.agents.sent.clear()
    life.run("deleteStoragePool", id=id_)
    assert [host for host, _ in life.agents.sent] == [life.ids["h1"], life.ids["h2"]]
    (command, _) = life.agents.of(wire.DeleteStoragePoolCommand)
    assert (command._pool.uuid, command._localPath, command._removeDatastore) == (
        view["id"], f"/mnt//{view['id']}", False,
    )  # fmt: skip
    assert refused(life, InvalidParameterValueError, "deleteStoragePool", id=id_) == f"Unable to find pool by id {id_}"
    assert make(life)["id"] == view["id"]


def test_volumes_are_in_the_way_of_a_deletion(life: Any, refused: Any) -> None:
    """Any volume, or with `forced` any that is not destroyed."""
    id_ = life.ids["pool"]
    life.change(models.StoragePool, id_, status="Maintenance")
    text = "Cannot delete pool NI1 as there are associated {} for this pool"
    assert refused(life, CloudRuntimeError, "deleteStoragePool", id=id_) == text.format("volumes")
    assert refused(life, CloudRuntimeError, "deleteStoragePool", id=id_, forced=True) == text.format(
        "non-destroyed vols"
    )
    for name in ("ROOT-30", "DATA-30"):
        life.change(models.Volume, life.ids[name], state="Destroy")
    life.run("deleteStoragePool", id=id_, forced=True)


def test_maintenance_of_a_pool_stops_its_vms(life: Any) -> None:
    """The hosts unmount the pool, its VMs are stopped; when maintenance ends the hosts mount it and the VMs start."""
    life.run("startVirtualMachine", id=life.ids["vm"])
    life.agents.sent.clear()
    id_ = life.ids["pool"]
    assert life.run("enableStorageMaintenance", id=id_).fields["state"] == "Maintenance"
    assert [command.add for command in life.agents.of(wire.ModifyStoragePoolCommand)] == [False, False]
    assert life.vm.state == "Stopped"
    life.agents.script(wire.ModifyStoragePoolCommand, NO, AgentUnavailableError("gone"))  # are only logged
    assert life.run("cancelStorageMaintenance", id=id_).fields["state"] == "Up"
    assert [command.add for command in life.agents.of(wire.ModifyStoragePoolCommand)[2:]] == [True, True]
    assert life.vm.state == "Running"


def test_a_server_that_went_away_while_it_emptied_a_pool(life: Any) -> None:
    """The pool is in ErrorInMaintenance then, and its maintenance can be ended."""
    id_ = life.ids["pool"]
    life.change(models.StoragePool, id_, status="PrepareForMaintenance")
    with life.store.session() as session:
        interrupted(session)
    assert status(life) == "ErrorInMaintenance"
    assert life.run("cancelStorageMaintenance", id=id_).fields["state"] == "Up"


@pytest.mark.parametrize("is_repaired", [False, True], ids=["faithful", "repaired"])
def test_a_host_that_misses_the_end_of_a_pools_maintenance(life: Any, is_repaired: bool) -> None:
    """A host that is not Up just then never mounts the pool, or does when it comes Up."""
    life.services.quirks.switch(POOL_STAYS_UNMOUNTED, is_faithful=not is_repaired)
    id_ = life.ids["pool"]
    life.run("enableStorageMaintenance", id=id_)
    life.change(models.Host, life.ids["h2"], status="Connecting")
    life.agents.sent.clear()
    life.run("cancelStorageMaintenance", id=id_)
    assert [host for host, _ in life.agents.sent] == [life.ids["h1"]]
    mounts = PoolMounts(life_services_of(life.services))
    for answer in (NO, AgentUnavailableError("gone"), ServerStoppingError("it stops"), YES):
        life.agents.script(wire.ModifyStoragePoolCommand, answer)
        life.agents.sent.clear()
        mounts.host_up(life.ids["h2"])
        mounts.join(60)
        assert [host for host, _ in life.agents.sent] == ([life.ids["h2"]] if is_repaired else [])
    mounts.host_up(999)
    mounts.join(60)


def test_maintenance_of_a_pool_that_fails(life: Any, refused: Any) -> None:
    """A VM that does not stop: its text, ErrorInMaintenance; it may be tried again from there."""
    life.run("startVirtualMachine", id=life.ids["vm"])
    life.agents.script(wire.StopCommand, wire.StopAnswer(result=False))
    id_ = life.ids["pool"]
    text = refused(life, CloudRuntimeError, "enableStorageMaintenance", id=id_)
    assert text.startswith("Unable to stop VM instance") and status(life) == "ErrorInMaintenance"
    assert life.run("enableStorageMaintenance", id=id_).fields["state"] == "Maintenance"


def test_states_in_the_way_of_a_pools_maintenance(life: Any, refused: Any) -> None:
    """Only Up and ErrorInMaintenance may enter, one pool of a cluster at a time; Up has nothing to cancel."""
    id_ = life.ids["pool"]
    assert refused(life, CloudRuntimeError, "cancelStorageMaintenance", id=id_) == (
        f"Resource [StoragePool:{id_}] is unreachable: Primary storage with id {id_} is not ready to complete "
        "migration, as the status is:Up"
    )
    life.change(models.StoragePool, id_, status="Disabled")
    assert refused(life, InvalidParameterValueError, "enableStorageMaintenance", id=id_) == (
        f"Primary storage with id {id_} is not ready for migration, as the status is:Disabled"
    )
    life.change(models.StoragePool, id_, status="PrepareForMaintenance")
    other = pool_id(life, make(life)["id"])
    assert refused(life, CloudRuntimeError, "enableStorageMaintenance", id=other) == (
        f"Only one storage pool in a cluster can be in PrepareForMaintenance mode, {id_} is already in  "
        "PrepareForMaintenance mode "
    )


def test_a_pool_without_hosts_goes_to_maintenance_at_once(life: Any) -> None:
    """No host is Up: Maintenance, nothing is sent."""
    for name in ("h1", "h2"):
        life.change(models.Host, life.ids[name], status="Alert")
    assert life.run("enableStorageMaintenance", id=life.ids["pool"]).fields["state"] == "Maintenance"
    assert not life.agents.sent


@pytest.mark.parametrize(
    ("command", "text"),
    [
        (
            "enableStorageMaintenance",
            "Unable to obtain lock on the storage pool record in preparePrimaryStorageForMaintenance()",
        ),
        (
            "cancelStorageMaintenance",
            "Unable to obtain lock on the storage pool in cancelPrimaryStorageForMaintenance()",
        ),
    ],
)
def test_a_pool_that_is_not_there(life: Any, refused: Any, command: str, text: str) -> None:
    """Maintenance of an unknown pool, in CloudStack's words."""
    assert refused(life, InvalidParameterValueError, command, id=999) == text


def test_image_stores(life: Any, refused: Any) -> None:
    """addImageStore records an NFS store of a zone; deleteImageStore removes it; what is refused."""
    url = "nfs://10.147.28.6:/export/home/sandbox/sstor"
    zone = life.ids["zone"]
    view = life.run("addImageStore", provider="NFS", zoneid=zone, name="SS0", url=url).fields
    assert {name: view[name] for name in ("name", "url", "protocol", "providername", "scope", "readonly")} == {
        "name": "SS0", "url": url, "protocol": "nfs", "providername": "NFS", "scope": "ZONE", "readonly": False,
    }  # fmt: skip

    def text(**changes: Any) -> str:
        values = {"provider": "NFS", "zoneid": zone, "url": url} | changes
        answer: str = refused(life, ServerApiError, "addImageStore", **values)
        return answer

    assert text(provider="Tape") == "can't find image store provider: Tape"
    assert text(zoneid=None) == "Can't find zone by id null"
    assert text(url=None) == f"{FAILED}null"
    assert text(url="/x") == f"{FAILED}uri.scheme is null /x, add nfs:// (or cifs://) as a prefix"
    assert text(url="nfs://h") == (
        f"{FAILED}Your host and/or path is wrong.  Make sure it's of the format nfs://hostname/path"
    )
    with life.store.session() as session:
        (id_,) = session.scalars(select(models.ImageStore.id))
    life.run("deleteImageStore", id=id_)
    assert refused(life, CloudRuntimeError, "deleteImageStore", id=id_) == f"Image store with id {id_} doesn't exist"


def test_answers_have_the_recorded_fields(life: Any) -> None:
    """createStoragePool, updateStoragePool and addImageStore answer the recorded fields in the recorded order."""
    recorded = WORDS.findall(
        """
            id zoneid zonename podid podname name ipaddress path created type clusterid clustername
            capacitybytes disksizetotal disksizeallocated disksizeused tags istagarule state scope
            overprovisionfactor hypervisor provider managed hasannotations
        """
    )
    made = make(life, tags="t1")
    changed = life.run("updateStoragePool", id=pool_id(life, made["id"]), tags=["t1"]).fields
    for view in (made, changed):
        assert [name for name, value in view.items() if value is not None] == recorded
    store = life.run("addImageStore", provider="NFS", zoneid=life.ids["zone"], name="SS0", url="nfs://h/p").fields
    assert [name for name, value in store.items() if value is not None] == (
        ["id", "zoneid", "zonename", "name", "url", "protocol", "providername", "scope", "readonly", "hasannotations"]
    )
