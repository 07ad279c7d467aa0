"""Public addresses and their ranges.

Upstream: api/.../command/user/address, api/.../command/admin/{vlan,address}.
"""

from __future__ import annotations

from mgmt.commands.catalogued import DoneEvent, done, job, listed
from mgmt.commands.declaration import Bound, Call, Item, Listing, Success, events_of
from mgmt.commands.life_calls import completed, created, created_record, refuse_unknown
from mgmt.commands.owned import window
from mgmt.inventory import ip_ranges, public_ips
from mgmt.inventory.scope import resolve_scope
from mgmt.inventory.tags import with_tags
from mgmt.store.models import PublicIp

ADDRESS = "PublicIpAddress"
_event = events_of(ADDRESS)


@done("createVlanIpRange", "vlan", event=DoneEvent(None, "VLAN.IP.RANGE.CREATE", "creating vlan IP range"))
def create_vlan_ip_range(call: Call, bound: Bound) -> Item:
    """A range of public addresses of a zone."""
    refuse_unknown(bound, "account", "projectid", "podid", "provider", "startipv6", "ip6cidr", "ip6gateway")
    return Item(ip_ranges.range_view(ip_ranges.create_range(call.db, call.services.providers, bound)))


@done("deleteVlanIpRange", event=DoneEvent(None, "VLAN.IP.RANGE.DELETE", "deleting vlan IP range"))
def delete_vlan_ip_range(call: Call, bound: Bound) -> Success:
    """Take a range away that nobody uses."""
    ip_ranges.delete_range(call.db, call.services.providers, bound["id"])
    return Success()


@listed("listVlanIpRanges", "vlaniprange")
def list_vlan_ip_ranges(call: Call, bound: Bound) -> Listing:
    found, count = ip_ranges.find_ranges(call.db, bound, bound.paging)
    return Listing([ip_ranges.range_view(each) for each in found], count)


def _associate(call: Call, bound: Bound) -> str:
    refuse_unknown(bound, "vpcid", "regionid")
    providers = call.services.providers
    address = public_ips.associate(call.db, providers, call.caller, bound)
    created(call, "NET.IPASSIGN", "allocating Ip", ADDRESS, address.uuid)
    return address.uuid


def _associating(bound: Bound) -> str:
    return f"associating IP to network ID: {bound['networkid'] or 'null'} in zone {bound['zoneid'] or 'null'}"


@job(
    "associateIpAddress",
    "ipaddress",
    event=_event("NET.IPASSIGN", "associating Ip", _associating),
    instance_type=ADDRESS,
    create=_associate,
)
def associate_ip_address(call: Call, bound: Bound) -> Item:
    """Show the address that `_associate` took."""
    with call.services.store.session() as session:
        address = created_record(session, PublicIp, bound)
        return Item(public_ips.address_view(address, call.caller))


@job(
    "disassociateIpAddress",
    event=_event(
        "NET.IPRELEASE", "disassociating Ip", lambda bound: f"Disassociating IP address with ID={bound['id']}"
    ),
    instance_type=ADDRESS,
    instance_param="id",
)
def disassociate_ip_address(call: Call, bound: Bound) -> Success:
    """Make an address nobody's again."""
    with call.services.store.session() as session:
        address = public_ips.find_owned(session, call.caller, bound)
        public_ips.check_releasable(address)
        public_ips.free(address)
    return Success()


@job(
    "updateIpAddress",
    "ipaddress",
    event=_event(
        "NET.IPUPDATE", "updating public ip address", lambda bound: f"updating public IP address {bound['id']}"
    ),
    instance_type=ADDRESS,
    instance_param="id",
)
def update_ip_address(call: Call, bound: Bound) -> Item:
    """Show or hide an address."""
    with call.services.store.session() as session:
        address = public_ips.find_owned(session, call.caller, bound)
        if bound["fordisplay"] is not None and call.caller.is_root_admin:
            address.display = bound["fordisplay"]
        if bound["customid"] is not None and call.caller.is_root_admin:
            address.uuid = bound["customid"]
        return Item(public_ips.address_view(address, call.caller))


@done("reserveIpAddress", "ipaddress", since="4.17")
def reserve_ip_address(call: Call, bound: Bound) -> Item:
    """Keep a free address for an account."""
    address = public_ips.reserve_address(call.db, call.services.providers, call.caller, bound)
    call.db.flush()
    completed(call.db, call, "NET.IPRESERVE", "reserving Ip", ADDRESS, address.uuid)
    return Item(public_ips.address_view(address, call.caller))


@done("releaseIpAddress", since="4.17")
def release_ip_address(call: Call, bound: Bound) -> Success:
    """Give a reserved address back."""
    address = public_ips.find_owned(call.db, call.caller, bound)
    public_ips.check_reserved(address)
    public_ips.free(address)
    completed(call.db, call, "NET.IPRELEASE", "releasing Reserved Ip", ADDRESS, address.uuid)
    return Success()


@listed("listPublicIpAddresses", "publicipaddress")
def list_public_ip_addresses(call: Call, bound: Bound) -> Listing:
    scope = resolve_scope(call.db, call.caller, bound, has_id=bound["id"] is not None)
    found, count = public_ips.find_addresses(call.db, call.caller, scope, bound, window(bound))
    views = [public_ips.address_view(each, call.caller) for each in found]
    return Listing(with_tags(call.db, ADDRESS, views), count)


COMMANDS = (
    create_vlan_ip_range,
    delete_vlan_ip_range,
    list_vlan_ip_ranges,
    associate_ip_address,
    disassociate_ip_address,
    update_ip_address,
    reserve_ip_address,
    release_ip_address,
    list_public_ip_addresses,
)
