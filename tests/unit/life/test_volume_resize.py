"""resizeVolume: the command that a host gets, records, limits and error texts."""

from __future__ import annotations

from typing import Any

import pytest

from mgmt.errors import CloudRuntimeError, ResourceAllocationError, ServerApiError
from mgmt.protocol import commands as wire
from mgmt.protocol.records import Answer
from mgmt.store import models
from tests.unit.life.test_volume_life import new_volume

GIB = 1024**3
SHRINKS = (
    f"Going from existing size of {2 * GIB} to size of {GIB} would shrink the volume."
    "Need to sign off by supplying the shrinkok parameter with value of true."
)


def test_a_volume_without_a_file_gets_its_size_in_the_record(life: Any) -> None:
    """No host is asked for a volume that was never made."""
    view = life.run("resizeVolume", id=new_volume(life), size=3).fields
    assert (view["state"], view["size"]) == ("Allocated", 3 * GIB)
    assert not life.agents.sent and life.usage() == ["VOLUME.CREATE", "VOLUME.RESIZE"]


def test_a_volume_of_a_vm_is_resized_by_a_host(life: Any) -> None:
    """The host of a running VM gets the file's name, its pool and both sizes; a new offering brings its own size."""
    life.set_state("Running", "h1")
    volume_id = new_volume(life)
    life.run("attachVolume", id=volume_id, virtualmachineid=life.ids["vm"])
    view = life.run("resizeVolume", id=volume_id, diskofferingid=life.ids["fixed"]).fields
    (command,) = life.agents.of(wire.ResizeVolumeCommand)
    assert (command.path, command.currentSize, command.newSize) == ("made-by-host", 2 * GIB, 5 * GIB)
    assert (command.vmInstance, command.shrinkOk, command.pool.type) == ("i-2-30-VM", False, "NetworkFilesystem")
    assert (view["state"], view["size"]) == ("Ready", 5 * GIB)


def test_refusals(life: Any, refused: Any) -> None:
    """Each check has CloudStack's text and the code that this command gives to all of them."""
    volume_id = new_volume(life)
    fixed = new_volume(life, diskofferingid=life.ids["fixed"], size=None)
    for given, text in (
        ({"id": volume_id, "size": 1}, SHRINKS),
        ({"id": volume_id, "size": 5000}, "Volume size: 5000 GB is out of allowed range. Min: 1. Max: 1024"),
        ({"id": fixed, "size": 9}, "To change a volume's size without providing a new disk offering, its current"),
        (
            {"id": fixed, "diskofferingid": life.ids["custom"]},
            "The new disk offering requires that a size be specified.",
        ),
        ({"id": volume_id, "diskofferingid": life.ids["hidden"]}, "Please specify a valid disk offering."),
    ):
        assert refused(life, ServerApiError, "resizeVolume", **given).startswith(text)
    life.change(models.Volume, volume_id, state="Destroy")
    assert "is in state Destroy." in refused(life, ServerApiError, "resizeVolume", id=volume_id, size=3)


def test_failures_leave_the_size(life: Any, refused: Any) -> None:
    """A host that says no is quoted; the size, the state and the claim on the limit are as before."""
    volume_id = new_volume(life)
    life.run("attachVolume", id=volume_id, virtualmachineid=life.ids["vm"])
    life.agents.script(wire.ResizeVolumeCommand, Answer(result=False, details="no"))
    text = refused(life, CloudRuntimeError, "resizeVolume", id=volume_id, size=3)
    row = life.volume("new")
    assert text == f"Failed to resize volume operation of volume UUID: [{row.uuid}] due to - no"
    assert (row.state, row.size_bytes) == ("Ready", 2 * GIB)
    with life.store.session() as session:
        assert session.query(models.ResourceReservation).count() == 0


@pytest.mark.parametrize("size", [50, 51])
def test_the_limit_of_the_account(life: Any, refused: Any, size: int) -> None:
    """What the volume grows by counts against the owner's primary storage."""
    volume_id = new_volume(life, account="user", domainid=life.ids["ROOT"])
    life.change(models.Account, life.ids["user"], limits={"primary_storage": 60 * GIB})
    if size == 50:
        assert life.run("resizeVolume", id=volume_id, size=size).fields["size"] == size * GIB
    else:
        refused(life, ResourceAllocationError, "resizeVolume", id=volume_id, size=size)
