"""Ranges of public addresses.

Upstream: server/.../configuration/ConfigurationManagerImpl.java (createVlanAndPublicIpRange). The texts are from
memory.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Any

from sqlalchemy import ColumnElement, false, select
from sqlalchemy.orm import Session

from mgmt.errors import InvalidParameterValueError
from mgmt.inventory.listing import Window, any_like_keyword, equals_ignoring_case, page
from mgmt.inventory.lookup import get_live
from mgmt.inventory.public_ips import FREE
from mgmt.providers import Providers
from mgmt.store.models import PhysicalNetwork, PublicIp, TrafficType, VlanIpRange, Zone


def create_range(session: Session, providers: Providers, params: Mapping[str, Any]) -> VlanIpRange:
    """Record a range of public addresses from the bound parameters of createVlanIpRange."""
    zone = get_live(session, Zone, params["zoneid"])
    if zone is None:
        raise InvalidParameterValueError("Please specify a valid zone.")
    if params["forvirtualnetwork"] is False or params["networkid"] is not None:
        raise InvalidParameterValueError("Only ranges of public addresses are supported by this management server")
    first, last, subnet = _checked(params)
    for other in session.scalars(
        select(VlanIpRange).where(VlanIpRange.zone_id == zone.id, VlanIpRange.removed.is_(None))
    ):
        start, end = ipaddress.IPv4Address(other.start_ip), ipaddress.IPv4Address(other.end_ip)
        if first <= end and start <= last:
            raise InvalidParameterValueError(
                f"{other.start_ip}-{other.end_ip} overlaps with the requested range {first}-{last}"
            )
    known = select(VlanIpRange.network_uuid).where(VlanIpRange.zone_id == zone.id).limit(1)
    new = VlanIpRange(
        uuid=providers.ids.uuid(),
        zone=zone,
        physical_network=_physical(session, zone, params["physicalnetworkid"]),
        network_uuid=session.scalar(known) or providers.ids.uuid(),
        vlan=_vlan(params["vlan"]),
        gateway=params["gateway"],
        netmask=str(subnet.netmask),
        start_ip=str(first),
        end_ip=str(last),
        for_system_vms=bool(params["forsystemvms"]),
        created=providers.utcnow(),
    )
    session.add(new)
    session.flush()
    add_addresses(session, providers, new)
    return new


def add_addresses(session: Session, providers: Providers, new: VlanIpRange) -> None:
    """Record the addresses of a range, all of them free."""
    first, last = int(ipaddress.IPv4Address(new.start_ip)), int(ipaddress.IPv4Address(new.end_ip))
    addresses = (str(ipaddress.IPv4Address(number)) for number in range(first, last + 1))
    session.add_all(PublicIp(uuid=providers.ids.uuid(), address=each, range_id=new.id) for each in addresses)
    session.flush()


def _checked(
    params: Mapping[str, Any],
) -> tuple[ipaddress.IPv4Address, ipaddress.IPv4Address, ipaddress.IPv4Network]:
    start, end = params["startip"], params["endip"] or params["startip"]
    if start is None or params["gateway"] is None or params["netmask"] is None:
        raise InvalidParameterValueError(
            "Gateway, netmask and startip have to be specified for a range of IPv4 addresses"
        )
    try:
        first, last = ipaddress.IPv4Address(start), ipaddress.IPv4Address(end)
        subnet = ipaddress.IPv4Network(f"{params['gateway']}/{params['netmask']}", strict=False)
    except ValueError:
        raise InvalidParameterValueError("Please specify a valid gateway, netmask, startip and endip") from None
    if first > last or first not in subnet or last not in subnet:
        raise InvalidParameterValueError(
            f"Please ensure that your IP range's gateway {params['gateway']} is in the same subnet as your"
            " IP range's start and end IPs."
        )
    if first <= ipaddress.IPv4Address(params["gateway"]) <= last:
        raise InvalidParameterValueError("The gateway shouldn't overlap start/end ip addresses")
    return first, last, subnet


def _vlan(given: str | None) -> str:
    tag = (given or "untagged").removeprefix("vlan://")
    return f"vlan://{tag}"


def _physical(session: Session, zone: Zone, wanted: int | None) -> PhysicalNetwork | None:
    """The physical network for public traffic: the given one, or the zone's first that carries it."""
    if wanted is not None:
        found = get_live(session, PhysicalNetwork, wanted)
        if found is None or found.zone_id != zone.id:
            raise InvalidParameterValueError("Physical network can't be found by the specified id")
        return found
    carrying = select(TrafficType.physical_network_id).where(TrafficType.traffic_type == "Public")
    return session.scalars(
        select(PhysicalNetwork)
        .where(PhysicalNetwork.zone_id == zone.id, PhysicalNetwork.removed.is_(None), PhysicalNetwork.id.in_(carrying))
        .order_by(PhysicalNetwork.id)
        .limit(1)
    ).first()


def delete_range(session: Session, providers: Providers, range_id: int) -> None:
    """Take a range away none of whose addresses is somebody's."""
    found = get_live(session, VlanIpRange, range_id)
    if found is None:
        raise InvalidParameterValueError("Please specify a valid IP range id.")
    of_range = select(PublicIp).where(PublicIp.range_id == found.id)
    addresses = session.scalars(of_range).all()
    if any(each.state != FREE for each in addresses):
        raise InvalidParameterValueError("The IP range can't be deleted because it has allocated public IP addresses.")
    for each in addresses:
        session.delete(each)
    found.removed = providers.utcnow()


def find_ranges(session: Session, params: Mapping[str, Any], window: Window) -> tuple[list[VlanIpRange], int]:
    """The page of ranges that the bound parameters of listVlanIpRanges ask for."""
    conditions: list[ColumnElement[bool]] = [VlanIpRange.removed.is_(None)]
    for name, column in (
        ("id", VlanIpRange.id),
        ("zoneid", VlanIpRange.zone_id),
        ("physicalnetworkid", VlanIpRange.physical_network_id),
    ):
        if params[name] is not None:
            conditions.append(column == params[name])
    if params["vlan"] is not None:
        conditions.append(equals_ignoring_case(VlanIpRange.vlan, _vlan(params["vlan"])))
    # no range is dedicated, of a pod or of a guest network
    if params["forvirtualnetwork"] is False or any(
        params[name] is not None for name in ("account", "projectid", "podid", "networkid")
    ):
        conditions.append(false())
    if params["keyword"] is not None:
        conditions.append(any_like_keyword((VlanIpRange.vlan, VlanIpRange.start_ip), params["keyword"]))
    return page(session, select(VlanIpRange).where(*conditions).order_by(VlanIpRange.id), window)


def range_view(found: VlanIpRange) -> dict[str, Any]:
    """A range as its answers show it."""
    subnet = ipaddress.IPv4Network(f"{found.gateway}/{found.netmask}", strict=False)
    return {
        "id": found.uuid,
        "forvirtualnetwork": True,
        "zoneid": found.zone.uuid,
        "vlan": found.vlan,
        "gateway": found.gateway,
        "netmask": found.netmask,
        "cidr": str(subnet),
        "startip": found.start_ip,
        "endip": found.end_ip,
        "networkid": found.network_uuid,
        "physicalnetworkid": found.physical_network.uuid if found.physical_network else None,
        "forsystemvms": found.for_system_vms,
    }
