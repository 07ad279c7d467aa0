"""listZones."""

from __future__ import annotations

from mgmt.commands.declaration import ALL_ROLES, Bound, Call, Listing, command
from mgmt.commands.fields import Boolean, ListOf, ListParams, MapParam, Str, Uuid
from mgmt.commands.owned import wanted_ids
from mgmt.commands.responses.zone import ZoneResponse
from mgmt.inventory.capacity import capacities
from mgmt.inventory.zones import find_zones, zone_view


class ListZonesParams(ListParams):
    """Parameters of listZones."""

    id = Uuid("show this zone", entity="zone")
    ids = ListOf("show these zones", Uuid("a zone", entity="zone"), since="4.19.0")
    available = Boolean("false: show only zones in which the caller has instances (for users and domain admins)")
    domainid = Uuid("show zones that are dedicated to this domain", entity="domain")
    name = Str("show zones with this name")
    networktype = Str("show zones of this kind: Basic or Advanced")
    showcapacities = Boolean("show capacities too")
    showicon = Boolean("show icons too")
    storageaccessgroup = Str("show zones in this storage access group", since="4.21.0")
    tags = MapParam("show zones with these tags", since="4.3")


@command(
    "listZones",
    params=ListZonesParams,
    response=ZoneResponse,
    description="Lists zones.",
    object_name="zone",
    is_list=True,
    roles=ALL_ROLES,
    java_class="org.apache.cloudstack.api.command.user.zone.ListZonesCmd",
)
def list_zones(call: Call, bound: Bound) -> Listing:
    zones, count = find_zones(call.db, call.caller, bound, wanted_ids(bound), bound.paging)
    views = [zone_view(zone, call.caller) for zone in zones]
    if bound["showcapacities"] and call.caller.is_root_admin:
        for zone, view in zip(zones, views, strict=True):
            view["capacity"] = capacities(call.db, call.services.settings, zone_id=zone.id)
    return Listing(views, count)


COMMANDS = (list_zones,)
