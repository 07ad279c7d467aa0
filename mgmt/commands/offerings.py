"""listServiceOfferings and listDiskOfferings."""

from __future__ import annotations

from mgmt.commands.declaration import ALL_ROLES, Bound, Call, Listing, command
from mgmt.commands.fields import Boolean, Integer, Str, Uuid
from mgmt.commands.owned import ProjectListParams
from mgmt.commands.responses.offering import DiskOfferingResponse, ServiceOfferingResponse
from mgmt.errors import InvalidParameterValueError
from mgmt.inventory.lookup import get_live
from mgmt.inventory.offerings import (
    disk_offering_view,
    find_disk_offerings,
    find_service_offerings,
    service_offering_view,
)
from mgmt.store.models import VmInstance


class ListServiceOfferingsParams(ProjectListParams):
    """Parameters of listServiceOfferings."""

    id = Uuid("show this offering", entity="serviceoffering")
    name = Str("show offerings with this name")
    virtualmachineid = Uuid("show offerings that this instance could change to", entity="vm")
    issystem = Boolean("show offerings for system VMs instead")
    systemvmtype = Str("with issystem: show offerings for this kind of system VM")
    zoneid = Uuid("show offerings of this zone", entity="zone", since="4.13")
    cpunumber = Integer("show offerings with this number of CPUs or more", since="4.15")
    memory = Integer("show offerings with this many MB of memory or more", since="4.15")
    cpuspeed = Integer("show offerings with this CPU speed in MHz or more", since="4.15")
    encryptroot = Boolean("show offerings with an encrypted root disk", since="4.18")
    storagetype = Str("show offerings of this kind of storage: shared or local", since="4.19")
    state = Str("show offerings in this state: Active (default), Inactive or all", since="4.19")
    templateid = Uuid("show offerings that suit this template", entity="template", since="4.20.0")
    gpuenabled = Boolean("show offerings with a GPU", since="4.21.0")
    vgpuprofileid = Uuid("show offerings with this virtual GPU", entity="vgpuprofile", since="4.21.0")


@command(
    "listServiceOfferings",
    params=ListServiceOfferingsParams,
    response=ServiceOfferingResponse,
    description="Lists compute offerings.",
    object_name="serviceoffering",
    is_list=True,
    roles=ALL_ROLES,
    java_class="org.apache.cloudstack.api.command.user.offering.ListServiceOfferingsCmd",
)
def list_service_offerings(call: Call, bound: Bound) -> Listing:
    offerings, count = find_service_offerings(call.db, call.caller, bound, bound.paging)
    return Listing([service_offering_view(offering) for offering in offerings], count)


class ListDiskOfferingsParams(ProjectListParams):
    """Parameters of listDiskOfferings."""

    id = Uuid("show this offering", entity="diskoffering")
    name = Str("show offerings with this name")
    zoneid = Uuid("show offerings of this zone", entity="zone", since="4.13")
    volumeid = Uuid("show offerings that this volume could change to", entity="volume", since="4.17")
    storageid = Uuid("show offerings that fit the tags of this pool", entity="storagepool", since="4.17")
    encrypt = Boolean("show offerings with encrypted disks", since="4.18")
    storagetype = Str("show offerings of this kind of storage: shared or local", since="4.19")
    state = Str("show offerings in this state: Active (default), Inactive or all", since="4.19")
    virtualmachineid = Uuid("tell of each offering whether it suits this instance", entity="vm", since="4.20.0")


@command(
    "listDiskOfferings",
    params=ListDiskOfferingsParams,
    response=DiskOfferingResponse,
    description="Lists disk offerings.",
    object_name="diskoffering",
    is_list=True,
    roles=ALL_ROLES,
    java_class="org.apache.cloudstack.api.command.user.offering.ListDiskOfferingsCmd",
)
def list_disk_offerings(call: Call, bound: Bound) -> Listing:
    is_suitable = None
    if bound["virtualmachineid"] is not None:
        if get_live(call.db, VmInstance, bound["virtualmachineid"]) is None:
            raise InvalidParameterValueError("Unable to find the VM")
        is_suitable = True
    offerings, count = find_disk_offerings(call.db, call.caller, bound, bound.paging)
    return Listing([disk_offering_view(each, is_suitable=is_suitable) for each in offerings], count)


COMMANDS = (list_service_offerings, list_disk_offerings)
