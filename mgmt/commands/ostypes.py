"""The list of guest OS types."""

from __future__ import annotations

from mgmt.commands.declaration import ALL_ROLES, Bound, Call, Listing, command
from mgmt.commands.fields import Boolean, ListParams, Str, Uuid
from mgmt.commands.responses.guest_os import GuestOSResponse
from mgmt.inventory.os_types import find_os_types, os_type_view


class ListOsTypesParams(ListParams):
    """Parameters of listOsTypes."""

    id = Uuid("show this OS type", entity="ostype")
    oscategoryid = Uuid("show OS types of this category", entity="oscategory")
    description = Str("show OS types whose name contains this", since="3.0.1")
    fordisplay = Boolean("show OS types that users see, or those that they do not", since="4.18.1")


@command(
    "listOsTypes",
    params=ListOsTypesParams,
    response=GuestOSResponse,
    description="Lists guest OS types by name.",
    object_name="ostype",
    is_list=True,
    roles=ALL_ROLES,
    java_class="org.apache.cloudstack.api.command.user.guest.ListGuestOsCmd",
)
def list_os_types(call: Call, bound: Bound) -> Listing:
    os_types, count = find_os_types(call.db, call.caller, bound, bound.paging)
    return Listing([os_type_view(os_type) for os_type in os_types], count)


COMMANDS = (list_os_types,)
