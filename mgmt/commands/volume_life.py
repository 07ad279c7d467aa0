"""Making, attaching, detaching, resizing and deleting volumes.

Upstream: api/.../command/user/volume/{Create,Attach,Detach,Resize,Delete}VolumeCmd.java.
"""

from __future__ import annotations

from sqlalchemy import select

from mgmt.commands.catalogued import job
from mgmt.commands.declaration import ALL_ROLES, Bound, Call, Item, Success, command, events_of
from mgmt.commands.fields import Boolean, Long, Params, Str, Uuid
from mgmt.commands.life_calls import completed, created, life_services, refuse_unknown, volume_item
from mgmt.commands.responses.success import SuccessResponse
from mgmt.commands.responses.volume import VolumeResponse
from mgmt.life.attach import attach_volume, detach_volume, find_to_detach
from mgmt.life.create import VolumeRequest, allocate_volume, delete_volume
from mgmt.life.resize import resize_volume
from mgmt.store.models import Volume

USER = "org.apache.cloudstack.api.command.user.volume"
ADMIN = "org.apache.cloudstack.api.command.admin.volume"
VOLUME = "Volume"

_event = events_of(VOLUME)


class CreateVolumeParams(Params):
    """Parameters of createVolume."""

    account = Str("account that will own the volume; goes with domainid")
    projectid = Uuid("project that will own the volume", entity="project")
    domainid = Uuid("domain of that account", entity="domain")
    diskofferingid = Uuid("its disk offering", entity="diskoffering")
    name = Str("its name; a new UUID when absent")
    size = Long("its size in GiB, for a custom offering")
    miniops = Long("fewest I/O operations a second")
    maxiops = Long("most I/O operations a second")
    snapshotid = Uuid("snapshot that it is made of", entity="snapshot")
    zoneid = Uuid("its zone", entity="zone")
    virtualmachineid = Uuid("VM that gets a volume made of a snapshot", entity="vm")
    displayvolume = Boolean("whether users see it")
    customid = Str("its UUID")


class AttachVolumeParams(Params):
    """Parameters of attachVolume."""

    deviceid = Long("device that it becomes: 1, 2, 4 and so on; 0 is the root disk")
    id = Uuid("the volume", entity="volume", required=True)
    virtualmachineid = Uuid("the VM that gets it", entity="vm", required=True)


class DetachVolumeParams(Params):
    """Parameters of detachVolume: the volume, or a VM and a device."""

    id = Uuid("the volume", entity="volume")
    deviceid = Long("device that it is in its VM")
    virtualmachineid = Uuid("the VM that has it", entity="vm")


class DeleteVolumeParams(Params):
    """Parameters of deleteVolume."""

    id = Uuid("the volume", entity="volume", required=True)


def _allocate(call: Call, bound: Bound) -> str:
    refuse_unknown(bound, "snapshotid")
    request = VolumeRequest(
        name=bound["name"],
        zone_id=bound["zoneid"],
        disk_offering_id=bound["diskofferingid"],
        size_gib=bound["size"],
        account=bound["account"],
        domain_id=bound["domainid"],
        project_id=bound["projectid"],
        display=bound["displayvolume"],
        custom_uuid=bound["customid"],
    )
    volume = allocate_volume(call.db, call.services.providers, call.services.settings, call.caller, request)
    created(call, "VOLUME.CREATE", "creating volume", VOLUME, volume.uuid)
    return volume.uuid


@command(
    "createVolume",
    params=CreateVolumeParams,
    response=VolumeResponse,
    description="Records a data volume; its file is made when a VM gets it",
    object_name="volume",
    is_async=True,
    roles=ALL_ROLES,
    java_class=f"{USER}.CreateVolumeCmd",
    admin_java_class=f"{ADMIN}.CreateVolumeCmdByAdmin",
    job_instance_type=VOLUME,
    create=_allocate,
    event=_event("VOLUME.CREATE", "creating volume", lambda bound: f"creating volume: {bound['name']}"),
)
def create_volume(call: Call, bound: Bound) -> Item:
    """Show the volume that `_allocate` recorded."""
    with call.services.store.session() as session:
        volume_id = session.scalars(select(Volume.id).where(Volume.uuid == bound.created_uuid)).one()
    return volume_item(call, volume_id)


@command(
    "attachVolume",
    params=AttachVolumeParams,
    response=VolumeResponse,
    description="Attaches a volume to a VM",
    object_name="volume",
    is_async=True,
    roles=ALL_ROLES,
    java_class=f"{USER}.AttachVolumeCmd",
    admin_java_class=f"{ADMIN}.AttachVolumeCmdByAdmin",
    job_instance_type=VOLUME,
    job_instance_param="id",
    event=_event(
        "VOLUME.ATTACH",
        "attaching volume",
        lambda bound: f"attaching volume: {bound.instance_uuid} to vm: {bound['virtualmachineid']}",
    ),
)
def attach(call: Call, bound: Bound) -> Item:
    """Attach it and show it."""
    attach_volume(life_services(call), call.caller, bound["id"], bound["virtualmachineid"], bound["deviceid"])
    return volume_item(call, bound["id"])


def _scheduled_detach(bound: Bound) -> str:
    if bound["id"] is not None:
        return f"detaching volume: {bound.instance_uuid}"
    return f"detaching volume: device {bound['deviceid']} of vm {bound['virtualmachineid']}"


@command(
    "detachVolume",
    params=DetachVolumeParams,
    response=VolumeResponse,
    description="Detaches a volume from its VM",
    object_name="volume",
    is_async=True,
    roles=ALL_ROLES,
    java_class=f"{USER}.DetachVolumeCmd",
    admin_java_class=f"{ADMIN}.DetachVolumeCmdByAdmin",
    job_instance_type=VOLUME,
    job_instance_param="id",
    event=_event("VOLUME.DETACH", "detaching volume", _scheduled_detach),
)
def detach(call: Call, bound: Bound) -> Item:
    """Detach it and show it."""
    with call.services.store.session() as session:
        volume_id = find_to_detach(session, bound["id"], bound["virtualmachineid"], bound["deviceid"]).id
    detach_volume(life_services(call), call.caller, volume_id)
    return volume_item(call, volume_id)


@command(
    "deleteVolume",
    params=DeleteVolumeParams,
    response=SuccessResponse,
    description="Deletes a volume that no VM has",
    roles=ALL_ROLES,
    java_class=f"{USER}.DeleteVolumeCmd",
)
def delete(call: Call, bound: Bound) -> Success:
    """Delete it and its file."""
    delete_volume(life_services(call), call.caller, bound["id"])
    with call.services.store.session() as session:
        uuid = session.scalar(select(Volume.uuid).where(Volume.id == bound["id"]))
        completed(session, call, "VOLUME.DELETE", "deleting volume", VOLUME, uuid)
    return Success()


def _scheduled_resize(bound: Bound) -> str:
    size = "null" if bound["size"] is None else f"{bound['size']}G"
    return f"Volume Id: {bound.instance_uuid} to size {size}"


@job(
    "resizeVolume",
    "volume",
    instance_type=VOLUME,
    instance_param="id",
    event=_event("VOLUME.RESIZE", "resizing volume", _scheduled_resize),
    admin_java_class=f"{ADMIN}.ResizeVolumeCmdByAdmin",
)
def resize(call: Call, bound: Bound) -> Item:
    """Resize it and show it."""
    resize_volume(life_services(call), call.caller, bound["id"], bound)
    return volume_item(call, bound["id"])


COMMANDS = (create_volume, attach, detach, resize, delete)
