"""listEvents: scope, order, all filters."""

from __future__ import annotations

from datetime import timedelta

import pytest

from mgmt.commands.declaration import Paging
from mgmt.commands.events import list_events
from mgmt.errors import InvalidParameterValueError
from mgmt.store import models


def keys(world, result):
    by_uuid = {uuid: key for key, uuid in world.uuids.items()}
    return [by_uuid[item["id"]] for item in result.items]


@pytest.mark.parametrize(
    ("by", "given", "expected"),
    [
        ("admin", {}, ["completed", "failed", "started", "scheduled"]),
        ("admin", {"listall": True}, ["userevent", "completed", "failed", "started", "scheduled"]),
        ("user1", {}, ["userevent"]),
        ("admin", {"archived": True}, ["archived"]),
        ("admin", {"archived": False, "level": "error"}, ["failed"]),
        ("admin", {"type": "vm.import", "level": "INFO"}, ["completed", "started", "scheduled"]),
        ("admin", {"type": "VM.STOP", "listall": True}, ["userevent"]),
        ("admin", {"state": "started"}, ["started"]),
        ("admin", {"keyword": "while"}, ["failed"]),
        ("admin", {"keyword": "ERR"}, ["failed"]),
        ("admin", {"keyword": "vm.stop", "listall": True}, ["userevent"]),
        ("admin", {"resourcetype": "virtualmachine"}, ["completed"]),
        ("admin", {"resourcetype": "Snapshot"}, []),
        ("admin", {"duration": 5, "entrytime": 5, "state": "Scheduled"}, ["scheduled"]),
    ],
)
def test_scope_and_filters(world, by, given, expected):
    """A caller sees his events, the newest first; each filter narrows the list."""
    assert keys(world, world.run(list_events, by, **given)) == expected


def test_by_id_and_start(world):
    """startid finds the event that started an action together with those that followed it."""
    started = world.run(list_events, startid=world.ids["scheduled"])
    assert keys(world, started) == ["failed", "started", "scheduled"]
    assert started.items[0]["parentid"] == world.uuids["scheduled"]
    assert keys(world, world.run(list_events, id=world.ids["userevent"])) == ["userevent"]


def test_by_resource(world):
    """resourcetype and resourceid find the events of one VM."""
    given = {"resourcetype": "VirtualMachine", "resourceid": world.uuids["um1"].upper()}
    assert keys(world, world.run(list_events, listall=True, **given)) == ["completed"]


def test_date_range(world):
    """startdate and enddate include their own moment."""
    with world.store.session() as session:
        created = session.get_one(models.Event, world.ids["started"]).created
    assert keys(world, world.run(list_events, startdate=created, enddate=created)) == ["started"]
    assert keys(world, world.run(list_events, startdate=created + timedelta(days=1))) == []
    assert keys(world, world.run(list_events, enddate=created - timedelta(days=1))) == []


def test_page(world):
    """A page of events knows the number of all."""
    result = world.run(list_events, paging=Paging(0, 1))
    assert (keys(world, result), result.count) == (["completed"], 4)


def test_archived_event_says_so(world):
    """Only an archived event has the field."""
    assert world.run(list_events, archived=True).items[0]["archived"] is True
    assert world.run(list_events, id=world.ids["started"]).items[0]["archived"] is None


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"resourceid": "x"}, "resourceid parameter must be used with resourcetype parameter"),
        ({"resourceid": "x", "resourcetype": "Nonsense"}, "Invalid resourcetype"),
        ({"resourceid": "x", "resourcetype": "VirtualMachine"}, "Invalid resourceid"),
        ({"resourceid": "x", "resourcetype": "Snapshot"}, "Invalid resourceid"),
    ],
)
def test_unknown_resource_texts(world, given, text):
    """A resource that cannot be told is refused."""
    with pytest.raises(InvalidParameterValueError) as caught:
        world.run(list_events, **given)
    assert caught.value.text == text
