"""Public addresses: whose they are, and the guest networks that they serve.

Upstream: server/.../network/IpAddressManagerImpl.java, NetworkServiceImpl (allocateIP, reserveIpAddress,
releaseIpAddress), server/.../server/ManagementServerImpl.java (searchForIPAddresses).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import ColumnElement, false, or_, select
from sqlalchemy.orm import Session, joinedload

from mgmt.errors import InsufficientCapacityError, InvalidParameterValueError
from mgmt.inventory.limits import PUBLIC_IP, release, reserve
from mgmt.inventory.listing import Window, any_like_keyword, equals_ignoring_case, page
from mgmt.inventory.lookup import get_live
from mgmt.inventory.owner import finalize_owner
from mgmt.inventory.scope import ROOT_ADMIN, CallerLike, Scope, check_owner_access, owner_fields
from mgmt.inventory.tags import has_tags
from mgmt.providers import Providers
from mgmt.store.models import Account, Network, PublicIp, VlanIpRange, Zone

FREE, RESERVED, ALLOCATED = "Free", "Reserved", "Allocated"
ISOLATED = "Isolated"


def associate(session: Session, providers: Providers, caller: CallerLike, params: Mapping[str, Any]) -> PublicIp:
    """Give an account a public address for one of its isolated networks.

    Raises InvalidParameterValueError, PermissionDeniedError, InsufficientCapacityError and ResourceAllocationError.
    """
    if params["isportable"]:
        raise InvalidParameterValueError("Portable addresses are not supported by this management server")
    network = None if params["networkid"] is None else get_live(session, Network, params["networkid"])
    if params["networkid"] is not None and network is None:
        raise InvalidParameterValueError("Unable to find network by network id specified")
    if network is None and params["zoneid"] is None:
        raise InvalidParameterValueError(
            "Unable to figure out zone to assign IP to. Please specify either zoneId, or networkId, or vpcId in the"
            " call"
        )
    owner = _owner(session, caller, params, network)
    check_owner_access(caller, owner.id, owner.domain.path)
    zone_id = params["zoneid"] or (network.zone_id if network is not None else None)
    zone = get_live(session, Zone, zone_id)
    if zone is None:
        raise InvalidParameterValueError(f"Unable to find zone by id {zone_id}")
    network = network or _only_network(session, owner, zone)
    if network.guest_type != ISOLATED:
        raise InvalidParameterValueError(
            "Associate ip address can only be called on isolated networks or shared networks with source NAT"
        )
    claims = reserve(session, owner.id, {PUBLIC_IP: 1})
    found = _free_address(session, zone, params["ipaddress"])
    allocate(providers, found, owner, network)
    if params["fordisplay"] is not None and caller.account_type == ROOT_ADMIN:
        found.display = params["fordisplay"]
    session.flush()
    release(session, claims)
    return found


def _owner(session: Session, caller: CallerLike, params: Mapping[str, Any], network: Network | None) -> Account:
    is_named = params["account"] is not None and params["domainid"] is not None
    if is_named or params["projectid"] is not None:
        return finalize_owner(session, caller, params)
    return network.account if network is not None else session.get_one(Account, caller.account_id)


def _only_network(session: Session, owner: Account, zone: Zone) -> Network:
    """The one isolated network that an account has in a zone."""
    found = session.scalars(
        select(Network).where(
            Network.account_id == owner.id,
            Network.zone_id == zone.id,
            Network.guest_type == ISOLATED,
            Network.removed.is_(None),
        )
    ).all()
    if not found:
        raise InvalidParameterValueError(
            f"Account name={owner.name} domain={owner.domain.name} doesn't have virtual networks in zone={zone.name}"
        )
    if len(found) > 1:
        raise InvalidParameterValueError("Account has more than one isolated network in the zone")
    return found[0]


def _free_address(session: Session, zone: Zone, wanted: str | None) -> PublicIp:
    of_zone = (
        select(PublicIp)
        .join(PublicIp.range)
        .where(VlanIpRange.zone_id == zone.id, PublicIp.state == FREE, VlanIpRange.for_system_vms.is_(False))
        .order_by(PublicIp.id)
    )
    if wanted is not None:
        of_zone = of_zone.where(PublicIp.address == wanted)
    found = session.scalars(of_zone.limit(1)).first()
    if found is not None:
        return found
    if wanted is not None:
        raise InvalidParameterValueError(f"IP address {wanted} is not free in zone {zone.name}")
    raise InsufficientCapacityError(f"Insufficient address capacity: no free public IP address in zone {zone.name}")


def allocate(providers: Providers, address: PublicIp, owner: Account, network: Network | None) -> None:
    """Make an address an account's; without a network it is only reserved for it."""
    address.account, address.domain_id = owner, owner.domain_id
    address.network, address.state = network, RESERVED if network is None else ALLOCATED
    address.allocated = providers.utcnow()


def free(address: PublicIp) -> None:
    """Make an address nobody's."""
    address.account_id = address.domain_id = address.network_id = address.allocated = None
    address.state, address.is_source_nat, address.display = FREE, False, True


def give_source_nat(session: Session, providers: Providers, network: Network) -> None:
    """Have an isolated network that is being implemented a public address of its own, where the zone has any.

    A zone without public addresses has none to give; CloudStack would refuse the network's first VM there.
    """
    if network.guest_type != ISOLATED or not network.network_offering.has_service("SourceNat"):
        return
    taken = select(PublicIp.id).where(PublicIp.network_id == network.id, PublicIp.is_source_nat.is_(True))
    ranges = select(VlanIpRange.id).where(VlanIpRange.zone_id == network.zone_id, VlanIpRange.removed.is_(None))
    if session.scalar(taken.limit(1)) is not None or session.scalar(ranges.limit(1)) is None:
        return
    found = _free_address(session, network.zone, None)
    allocate(providers, found, network.account, network)
    found.is_source_nat = True


def free_of_network(session: Session, network: Network) -> None:
    """Free the addresses that serve a network that goes away."""
    for each in session.scalars(select(PublicIp).where(PublicIp.network_id == network.id)):
        free(each)


def find_owned(session: Session, caller: CallerLike, params: Mapping[str, Any]) -> PublicIp:
    """The address that `id` or `ipaddress` name, if it is the caller's to change."""
    found = None
    if params["id"] is not None:
        found = session.get(PublicIp, params["id"])
    elif params.get("ipaddress") is not None:
        named = PublicIp.address == params["ipaddress"]
        found = session.scalars(select(PublicIp).where(named, PublicIp.account_id.is_not(None)).limit(1)).first()
    else:
        raise InvalidParameterValueError("Either id or ipaddress must be specified")
    if found is None:
        raise InvalidParameterValueError("Unable to find ip address by id")
    if found.account is not None:
        check_owner_access(caller, found.account.id, found.account.domain.path)
    return found


def check_releasable(address: PublicIp) -> None:
    """Raise for an address that disassociateIpAddress refuses."""
    if address.is_source_nat:
        raise InvalidParameterValueError("ip address is used for source nat purposes and can not be disassociated.")


def check_reserved(address: PublicIp) -> None:
    """Raise for an address that releaseIpAddress refuses."""
    if address.state == ALLOCATED:
        raise InvalidParameterValueError(
            "Unable to release a public IP in Allocated state, please use disassociateIpAddress instead"
        )


def reserve_address(session: Session, providers: Providers, caller: CallerLike, params: Mapping[str, Any]) -> PublicIp:
    """Keep a free address for an account, without a network."""
    owner = finalize_owner(session, caller, params)
    address = session.get(PublicIp, params["id"])
    if address is None:
        raise InvalidParameterValueError(f"Unable to find IP address by ID={params['id']}")
    check_owner_access(caller, owner.id, owner.domain.path)
    if address.state == RESERVED:
        if address.account_id == owner.id:
            return address
        raise InvalidParameterValueError(
            "Unable to reserve a IP because it has already been reserved for another account."
        )
    if address.state != FREE:
        raise InvalidParameterValueError(f"Unable to reserve a IP in {address.state} state.")
    release(session, reserve(session, owner.id, {PUBLIC_IP: 1}))
    allocate(providers, address, owner, None)
    if params["fordisplay"] is not None:
        address.display = params["fordisplay"]
    return address


def find_addresses(
    session: Session, caller: CallerLike, scope: Scope, params: Mapping[str, Any], window: Window
) -> tuple[list[PublicIp], int]:
    """The page of addresses that the bound parameters of listPublicIpAddresses ask for: allocated ones by default."""
    conditions: list[ColumnElement[bool]] = []
    state = params["state"]
    is_anybodys = params["allocatedonly"] is False or (state or "").lower() == FREE.lower()
    seen = scope.clause(PublicIp.account_id, PublicIp.domain_id)  # type: ignore[arg-type]
    conditions.append(or_(seen, PublicIp.account_id.is_(None)) if is_anybodys else seen)
    if not is_anybodys:
        conditions.append(PublicIp.allocated.is_not(None))
    if state is not None:
        conditions.append(equals_ignoring_case(PublicIp.state, state))
    for name, column in (
        ("id", PublicIp.id),
        ("vlanid", PublicIp.range_id),
        ("associatednetworkid", PublicIp.network_id),
        ("ipaddress", PublicIp.address),
        ("issourcenat", PublicIp.is_source_nat),
        ("zoneid", VlanIpRange.zone_id),
        ("physicalnetworkid", VlanIpRange.physical_network_id),
    ):
        if params[name] is not None:
            conditions.append(column == params[name])
    if caller.account_type != ROOT_ADMIN:
        conditions.append(PublicIp.display.is_(True))
    elif params["fordisplay"] is not None:
        conditions.append(PublicIp.display.is_(params["fordisplay"]))
    # nothing forwards to a VM, balances loads or is a provider's here
    if (
        params["vpcid"] is not None
        or params["networkid"] is not None
        or any(params[name] for name in ("isstaticnat", "forloadbalancing", "forprovider"))
    ):
        conditions.append(false())
    if params["forvirtualnetwork"] is False:
        conditions.append(false())
    if params["forsystemvms"]:
        conditions.append(VlanIpRange.for_system_vms.is_(True))
    if params["keyword"] is not None:
        conditions.append(any_like_keyword((PublicIp.address,), params["keyword"]))
    conditions += has_tags(PublicIp.uuid, "PublicIpAddress", params["tags"])
    statement = (
        select(PublicIp)
        .join(PublicIp.range)
        .where(*conditions)
        .order_by(PublicIp.id)
        .options(joinedload(PublicIp.account), joinedload(PublicIp.domain), joinedload(PublicIp.network))
    )
    return page(session, statement, window)


def address_view(address: PublicIp, caller: CallerLike) -> dict[str, Any]:
    """An address as its answers show it; the VLAN is for root admins."""
    found, network = address.range, address.network
    owner = owner_fields(address.account, address.domain) if address.account and address.domain else {}
    sees_vlan = caller.account_type == ROOT_ADMIN
    return {
        "id": address.uuid,
        "ipaddress": address.address,
        "allocated": address.allocated,
        "zoneid": found.zone.uuid,
        "zonename": found.zone.name,
        "issourcenat": address.is_source_nat,
        **owner,
        "forvirtualnetwork": True,
        "vlanid": found.uuid if sees_vlan else None,
        "vlanname": found.vlan if sees_vlan else None,
        "isstaticnat": False,
        "issystem": False,
        "associatednetworkid": network.uuid if network is not None else None,
        "associatednetworkname": network.name if network is not None else None,
        "networkid": found.network_uuid,
        "state": address.state,
        "physicalnetworkid": found.physical_network.uuid if found.physical_network else None,
        "tags": [],
        "isportable": False,
        "fordisplay": address.display if sees_vlan else None,
        "hasrules": False,
        "forsystemvms": found.for_system_vms,
        "forprovider": False,
        "hasannotations": False,
    }
