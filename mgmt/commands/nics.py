"""The NIC list of a VM."""

from __future__ import annotations

from mgmt.commands.declaration import ALL_ROLES, Bound, Call, Listing, command
from mgmt.commands.fields import Boolean, ListParams, Uuid
from mgmt.commands.responses.user_vm import NicResponse
from mgmt.inventory.listing import in_window
from mgmt.inventory.nics import find_nics


class ListNicsParams(ListParams):
    """Parameters of listNics."""

    nicid = Uuid("show this NIC", entity="nic")
    virtualmachineid = Uuid("the VM whose NICs to show", entity="vm", required=True)
    networkid = Uuid("show NICs in this network", entity="network")
    fordisplay = Boolean("show NICs that users see, or those that they do not", since="4.4")


@command(
    "listNics",
    params=ListNicsParams,
    response=NicResponse,
    description="Lists the NICs of a VM.",
    object_name="nic",
    is_list=True,
    roles=ALL_ROLES,
    java_class="org.apache.cloudstack.api.command.user.vm.ListNicsCmd",
)
def list_nics(call: Call, bound: Bound) -> Listing:
    if bound["fordisplay"] is False and call.caller.is_root_admin:
        return Listing([], 0)  # no NIC is hidden from users here
    nics = find_nics(
        call.db,
        call.caller,
        vm_id=bound["virtualmachineid"],
        nic_id=bound["nicid"],
        network_id=bound["networkid"],
    )
    return Listing(in_window(nics, bound.paging), len(nics))


COMMANDS = (list_nics,)
