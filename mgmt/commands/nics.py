"""The NICs of a VM, and their further addresses."""

from __future__ import annotations

from mgmt.commands.catalogued import job
from mgmt.commands.declaration import ALL_ROLES, Bound, Call, EventSpec, Item, Listing, Success, command
from mgmt.commands.fields import Boolean, ListParams, Uuid
from mgmt.commands.life_calls import created, created_record
from mgmt.commands.responses.user_vm import NicResponse
from mgmt.inventory import nic_addresses
from mgmt.inventory.listing import in_window
from mgmt.inventory.nics import find_nics
from mgmt.store.models import NicSecondaryIp


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


def _add_address(call: Call, bound: Bound) -> str:
    services = call.services
    address = nic_addresses.add_address(
        call.db, services.providers, services.settings, call.caller, bound["nicid"], bound["ipaddress"]
    )
    created(call, "NIC.SECONDARY.IP.ASSIGN", "assigning secondary ip to nic", None, None)
    return address.uuid


@job(
    "addIpToNic",
    "nicsecondaryip",
    event=EventSpec(
        "NIC.SECONDARY.IP.ASSIGN",
        lambda bound: f"associating ip to nic id: {bound['nicid']}",
        "Configuring secondary ip rules",
    ),
    create=_add_address,
)
def add_ip_to_nic(call: Call, bound: Bound) -> Item:
    """Show the address that `_add_address` took."""
    with call.services.store.session() as session:
        address = created_record(session, NicSecondaryIp, bound)
        return Item(nic_addresses.address_view(session, address))


@job(
    "removeIpFromNic",
    event=EventSpec(
        "NIC.SECONDARY.IP.UNASSIGN",
        lambda bound: f"Disassociating ip address with id={bound['id']}",
        "Removing secondary IP from NIC",
    ),
)
def remove_ip_from_nic(call: Call, bound: Bound) -> Success:
    """Take a further address from a NIC."""
    with call.services.store.session() as session:
        nic_addresses.remove_address(session, call.caller, bound["id"])
    return Success()


COMMANDS = (list_nics, add_ip_to_nic, remove_ip_from_nic)
