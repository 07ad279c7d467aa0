"""createVolume, attachVolume, detachVolume, deleteVolume: commands sent, states, records and error texts."""

from __future__ import annotations

from typing import Any

from mgmt.errors import (
    AgentUnavailableError,
    CloudRuntimeError,
    InvalidParameterValueError,
    PermissionDeniedError,
    ResourceAllocationError,
)
from mgmt.protocol import commands as wire
from mgmt.protocol.records import Answer
from mgmt.store import models

NO = Answer(result=False, details="no")
WRONG = InvalidParameterValueError


def create(life: Any, **given: Any) -> Any:
    given = {"diskofferingid": life.ids["custom"], "zoneid": life.ids["zone"], "size": 2, "name": "d"} | given
    return life.run("createVolume", **given).fields


def new_volume(life: Any, **given: Any) -> int:
    uuid = create(life, **given)["id"]
    with life.store.session() as session:
        row = session.query(models.Volume).filter_by(uuid=uuid).one()
        life.ids["new"] = row.id
    return int(life.ids["new"])


def test_create_records_an_allocated_volume(life: Any) -> None:
    """A new volume is recorded with its size and sends nothing."""
    view = create(life)
    assert (view["state"], view["size"], view["type"], view["name"]) == ("Allocated", 2 * 1024**3, "DATADISK", "d")
    assert not life.agents.sent and life.usage() == ["VOLUME.CREATE"]
    assert create(life, diskofferingid=life.ids["fixed"], size=None)["size"] == 5 * 1024**3
    assert create(life, account="user", domainid=life.ids["ROOT"])["account"] == "user"


def test_create_refusals(life: Any, refused: Any) -> None:
    """Each check of a new volume has CloudStack's text, and leaves no claim on the limits behind."""
    base = {"diskofferingid": life.ids["custom"], "zoneid": life.ids["zone"], "size": 2}
    for changes, text in (
        (
            {"diskofferingid": None},
            "At least one of disk Offering ID or snapshot ID must be passed whilst creating volume",
        ),
        ({"size": 0}, "Disk size must be larger than 0"),
        ({"size": None}, "This disk offering requires a custom size specified"),
        ({"size": 5000}, "Volume size: 5000 GB is out of allowed range. Min: 1. Max: 1024"),
        ({"diskofferingid": life.ids["fixed"]}, "This disk offering does not allow custom size"),
        ({"diskofferingid": life.ids["hidden"]}, "Please specify a valid disk offering."),
        ({"zoneid": None}, "Unable to find zone by id null"),
        ({"snapshotid": 1}, "Parameter snapshotid is not supported by this management server"),
    ):
        assert refused(life, WRONG, "createVolume", **(base | changes)) == text
    text = refused(life, PermissionDeniedError, "createVolume", "user", displayvolume=False, **base)
    assert text == "Cannot update parameter displayvolume, only admin permitted "
    life.change(models.Account, life.ids["user"], limits={"volume": 2})
    text = refused(life, ResourceAllocationError, "createVolume", "user", **base)
    assert text.startswith("Maximum amount of resources of Type = 'volume'")
    with life.store.session() as session:
        assert session.query(models.ResourceReservation).count() == 0


def test_attach_to_a_stopped_vm_makes_the_file(life: Any) -> None:
    """A volume without a file is made in the pool of the root disk, and nothing is plugged in."""
    view = life.run("attachVolume", id=new_volume(life), virtualmachineid=life.ids["vm"]).fields
    assert life.agents.names() == ["CreateObjectCommand"]
    assert (view["state"], view["deviceid"], view["path"], view["storage"]) == ("Ready", 2, "made-by-host", "NI1")


def test_attach_and_detach_of_a_running_vm(life: Any) -> None:
    """A running VM's host gets AttachCommand and DettachCommand; device 3 is the CD-ROM drive's."""
    life.set_state("Running", "h1")
    for name in ("a", "b"):
        volume_id = new_volume(life, name=name)
        life.run("attachVolume", id=volume_id, virtualmachineid=life.ids["vm"])
    assert life.volume("new").device_id == 4
    (_, command) = life.agents.of(wire.AttachCommand)
    assert (command.disk.diskSeq, command.vmName) == (4, "i-2-30-VM")
    view = life.run("detachVolume", virtualmachineid=life.ids["vm"], deviceid=4).fields
    assert view.get("virtualmachineid") is None and view["state"] == "Ready"
    (command,) = life.agents.of(wire.DettachCommand)
    assert (command._storageHost, command._storagePort, command.disk.path) == ("10.9.9.1", 2049, "made-by-host")


def test_attach_failures(life: Any, refused: Any) -> None:
    """A file that cannot be made and a disk that cannot be plugged in have their texts and change nothing else."""
    life.set_state("Running", "h1")
    given = {"id": new_volume(life), "virtualmachineid": life.ids["vm"]}
    life.agents.script(wire.CreateObjectCommand, NO)
    text = refused(life, CloudRuntimeError, "attachVolume", **given)
    assert text == "Failed to create volume on primary storage: no"
    assert (life.volume("new").state, life.volume("new").pool_id) == ("Allocated", None)
    life.agents.script(wire.AttachCommand, NO, AgentUnavailableError("gone"))
    assert refused(life, CloudRuntimeError, "attachVolume", **given) == "Failed to attach volume d to VM um1; no"
    text = refused(life, CloudRuntimeError, "attachVolume", **given)
    assert text == "Failed to attach volume d to VM um1 due to: gone"
    assert (life.volume("new").state, life.volume("new").vm_id) == ("Ready", None)


def test_attach_refusals(life: Any, refused: Any) -> None:
    """Each check of an attachment has CloudStack's text."""
    volume_id = new_volume(life)

    def text(kind: type[Exception] = WRONG, **given: Any) -> str:
        answer: str = refused(
            life, kind, "attachVolume", **({"id": volume_id, "virtualmachineid": life.ids["vm"]} | given)
        )
        return answer

    assert text(id=999) == "Please specify a volume with the valid type: ROOT or DATADISK"
    assert text(id=life.ids["DATA-30"]) == "Please specify a volume that is not attached to any VM."
    assert text(virtualmachineid=999) == "Please specify a valid User VM."
    assert text(deviceid=0) == "Vm already has root volume attached to it"
    assert text(CloudRuntimeError, deviceid=3) == "deviceId should be 0,1,2,4-66"
    assert text(CloudRuntimeError, deviceid=1) == f"deviceId 1 is used by vm {life.ids['vm']}"
    life.set_state("Destroyed")
    assert text() == "Please specify a VM that is either running or stopped."
    life.change(models.Volume, volume_id, state="Destroy")
    assert text() == "Please specify a volume that is not destroyed."
    life.change(models.Volume, volume_id, state="Creating")
    assert text() == "Volume state must be in Allocated, Ready or in Uploaded state"


def test_detach_refusals(life: Any, refused: Any) -> None:
    """Each check of a detachment, and its failure, has CloudStack's text."""
    both = "Please provide either a volume id, or a tuple(device id, instance id)"
    vm_id, data, root = life.ids["vm"], life.ids["DATA-30"], life.ids["ROOT-30"]
    for given in ({}, {"id": data, "deviceid": 1}, {"virtualmachineid": vm_id}):
        assert refused(life, WRONG, "detachVolume", **given) == both
    text = refused(life, WRONG, "detachVolume", virtualmachineid=vm_id, deviceid=9)
    assert text == "Unable to find volume with ID: None"
    life.set_state("Running", "h1")
    text = refused(life, WRONG, "detachVolume", id=root)
    assert text == "Root volume detach can happen only when vm is in states: Stopped or Destroyed"
    life.agents.script(wire.DettachCommand, NO)
    text = refused(life, CloudRuntimeError, "detachVolume", id=data)
    assert text == "Failed to detach volume DATA-30 from VM um1; no"
    assert life.volume("DATA-30").vm_id == vm_id
    life.set_state("Migrating", "h1")
    text = refused(life, WRONG, "detachVolume", id=data)
    assert text == "Please specify a VM that is either running or stopped."
    life.set_state("Stopped")
    life.run("detachVolume", id=data)
    text = refused(life, WRONG, "detachVolume", id=data)
    assert text == "The specified volume is not attached to a VM."


def test_delete(life: Any, refused: Any) -> None:
    """A detached volume's file and record go; one without a file sends nothing; one of a VM is refused."""
    data = life.ids["DATA-30"]
    text = refused(life, WRONG, "deleteVolume", id=data)
    assert text == "Please specify a volume that is not attached to any VM."
    life.run("detachVolume", id=data)
    life.agents.script(wire.DeleteCommand, NO)
    text = refused(life, CloudRuntimeError, "deleteVolume", id=data)
    assert text == "Failed to expunge the volume DATA-30 in Primary data store : no"
    life.run("deleteVolume", id=data)
    assert (life.volume("DATA-30").state, len(life.agents.of(wire.DeleteCommand))) == ("Expunged", 2)
    life.run("deleteVolume", id=new_volume(life))
    assert life.volume("new").removed is not None and len(life.agents.of(wire.DeleteCommand)) == 2
    assert refused(life, WRONG, "deleteVolume", id=999) == "Unable to find volume with ID: 999"
    with life.store.session() as session:
        types = [event.type for event in session.query(models.Event)]
    assert types.count("VOLUME.DELETE") == 2


def test_delete_without_a_host(life: Any, refused: Any) -> None:
    """Without a host that reaches the pool the file stays and the text says so."""
    life.run("detachVolume", id=life.ids["DATA-30"])
    for host in ("h1", "h2"):
        life.change(models.Host, life.ids[host], status="Down")
    text = refused(life, CloudRuntimeError, "deleteVolume", id=life.ids["DATA-30"])
    assert text.endswith("No remote endpoint to send DeleteCommand, check if host or ssvm is down?")
    assert life.volume("DATA-30").state == "Expunging"
