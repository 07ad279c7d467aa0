"""The volume list."""

from __future__ import annotations

from mgmt.commands.declaration import ALL_ROLES, Bound, Call, Listing, command
from mgmt.commands.fields import Boolean, ListOf, MapParam, Str, Uuid
from mgmt.commands.owned import ProjectListParams, wanted_ids, window
from mgmt.commands.responses.volume import VolumeResponse
from mgmt.inventory.tags import with_tags
from mgmt.inventory.volumes import find_volumes, volume_views


class ListVolumesParams(ProjectListParams):
    """Parameters of listVolumes."""

    id = Uuid("show this volume", entity="volume")
    ids = ListOf("show these volumes", Uuid("a volume", entity="volume"), since="4.9")
    name = Str("show volumes with this name")
    type = Str("show volumes of this type: ROOT or DATADISK")
    virtualmachineid = Uuid("show volumes of this VM", entity="vm")
    zoneid = Uuid("show volumes of this zone", entity="zone")
    podid = Uuid("show volumes on pools of this pod", entity="pod")
    clusterid = Uuid("show volumes on pools of this cluster", entity="cluster")
    hostid = Uuid("show volumes on this host", entity="host")
    storageid = Str("show volumes in the pool with this UUID", since="4.3")
    diskofferingid = Uuid("show volumes of this disk offering", entity="diskoffering", since="4.4")
    displayvolume = Boolean("show volumes that users see, or those that they do not", since="4.4")
    serviceofferingid = Uuid("show root volumes of this compute offering", entity="serviceoffering", since="4.19.1")
    isencrypted = Boolean("show encrypted volumes", since="4.19.1")
    listsystemvms = Boolean("show volumes of system VMs too", since="4.18")
    state = Str("show volumes in this state")
    retrieveonlyresourcecount = Boolean("answer with the number of volumes alone")
    tags = MapParam("show volumes with these tags")


@command(
    "listVolumes",
    params=ListVolumesParams,
    response=VolumeResponse,
    description="Lists the volumes that the caller owns or may see.",
    object_name="volume",
    is_list=True,
    roles=ALL_ROLES,
    java_class="org.apache.cloudstack.api.command.user.volume.ListVolumesCmd",
)
def list_volumes(call: Call, bound: Bound) -> Listing:
    volumes, count = find_volumes(call.db, call.caller, bound, wanted_ids(bound), window(bound))
    return Listing(with_tags(call.db, "Volume", volume_views(call.db, volumes, call.caller)), count)


COMMANDS = (list_volumes,)
