"""Making, changing and deleting guest networks and network offerings.

Upstream: server/.../network/NetworkServiceImpl.java (createGuestNetwork, updateGuestNetwork, deleteNetwork),
server/.../configuration/ConfigurationManagerImpl.java (createNetworkOffering, ...). No recording shows their texts.
Those on a taken VLAN (NetworkOrchestrator) were compared with the source; the others are written from memory: clients
should not hang on their wording.
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Mapping
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from mgmt.errors import CloudRuntimeError, InvalidParameterValueError, PermissionDeniedError
from mgmt.inventory.limits import NETWORK, release, reserve
from mgmt.inventory.lookup import get_live
from mgmt.inventory.network_services import ISOLATED_SERVICES
from mgmt.inventory.owner import finalize_owner
from mgmt.inventory.scope import ROOT_ADMIN, CallerLike, check_owner_access, is_admin
from mgmt.providers import Providers
from mgmt.store.models import Network, NetworkOffering, Nic, PhysicalNetwork, VmInstance, Zone

ISOLATED, SHARED, L2 = "Isolated", "Shared", "L2"
DEFAULT_CIDR = "10.1.1.0/24"  # the default of setting network.guest.cidr, of a zone that has none
DEFAULT_DOMAIN = "cs{account}cloud.internal"  # setting guest.domain.suffix
_MTU_RANGE = (68, 1500)  # NetworkService.MINIMUM_MTU; vr.public.interface.max.mtu and vr.private.interface.max.mtu


def create_network(session: Session, providers: Providers, caller: CallerLike, params: Mapping[str, Any]) -> Network:
    """Record a network from the bound parameters of createNetwork; it gets its VLAN when its first VM starts.

    Raises InvalidParameterValueError, PermissionDeniedError, CloudRuntimeError and ResourceAllocationError.
    """
    offering = get_live(session, NetworkOffering, params["networkofferingid"])
    if offering is None:
        raise InvalidParameterValueError("Unable to find network offering by specified id")
    if offering.state != "Enabled":
        raise InvalidParameterValueError("Can't use specified network offering id as its state is not Enabled")
    owner = finalize_owner(session, caller, {**params, "domainid": params["domainid"] if params["account"] else None})
    zone = get_live(session, Zone, params["zoneid"])
    if zone is None:
        raise InvalidParameterValueError("Specified zone id was not found")
    if zone.allocation_state == "Disabled" and caller.account_type != ROOT_ADMIN:
        raise PermissionDeniedError("Cannot perform this operation since specified Zone is currently disabled")
    physical = _physical(session, zone, params["physicalnetworkid"])
    acl_type = _acl_type(caller, offering, params)
    addresses = _addresses(offering, zone, params)
    vlan = _vlan(session, caller, zone, offering, params.get("vlan"))
    claims = reserve(session, owner.id, {NETWORK: 1}) if acl_type == "Account" else ()
    network = Network(
        uuid=providers.ids.uuid(),
        name=params["name"],
        display_text=params["displaytext"] or params["name"],
        guest_type=offering.guest_type,
        state="Setup" if offering.guest_type != ISOLATED and vlan is not None else "Allocated",
        zone=zone,
        physical_network=physical,
        network_offering=offering,
        account=owner,
        domain_id=params["domainid"] or owner.domain_id if acl_type == "Domain" else owner.domain_id,
        acl_type=acl_type,
        vlan=vlan,
        network_domain=params["networkdomain"] or (DEFAULT_DOMAIN.format(account=owner.id)),
        dns1=params["dns1"] or zone.dns1,
        dns2=params["dns2"] or zone.dns2,
        subdomain_access=params["subdomainaccess"],
        display_network=params["displaynetwork"] is not False,
        public_mtu=_mtu(params["publicmtu"]),
        private_mtu=_mtu(params["privatemtu"]),
        external_id=params["externalid"],
        created=providers.utcnow(),
        **addresses,
    )
    if offering.guest_type == L2:
        network.network_domain = None
    session.add(network)
    session.flush()
    release(session, claims)  # the record counts from now on
    return network


def _physical(session: Session, zone: Zone, wanted: int | None) -> PhysicalNetwork:
    if wanted is not None:
        physical = get_live(session, PhysicalNetwork, wanted)
        if physical is None or physical.zone_id != zone.id:
            raise InvalidParameterValueError(
                "Unable to find a physical network having the specified physical network id"
            )
        return physical
    found = session.scalars(
        select(PhysicalNetwork)
        .where(PhysicalNetwork.zone_id == zone.id, PhysicalNetwork.removed.is_(None))
        .order_by(PhysicalNetwork.id)
    ).first()
    if found is None:
        raise CloudRuntimeError("cannot create Guestnetwork without physical network.")
    return found


def _acl_type(caller: CallerLike, offering: NetworkOffering, params: Mapping[str, Any]) -> str:
    given = params["acltype"]
    if given is None:
        acl_type = "Domain" if offering.guest_type == SHARED and caller.account_type == ROOT_ADMIN else "Account"
    elif given.lower() in ("account", "domain"):
        acl_type = given.capitalize()
    else:
        raise InvalidParameterValueError("Incorrect aclType specified. Check the API documentation for supported types")
    if acl_type == "Domain":
        if offering.guest_type == ISOLATED:
            raise InvalidParameterValueError("AclType should be Account for network of type Isolated")
        if not is_admin(caller):
            raise PermissionDeniedError("Only admin can create networks with aclType=Domain")
        if offering.guest_type != SHARED:
            raise InvalidParameterValueError("Only Shared networks can have aclType=Domain")
    elif params["subdomainaccess"] is not None:
        raise InvalidParameterValueError("Parameter subDomainAccess can be specified only with aclType=Domain")
    return str(acl_type)


def _ip4(text: str, complaint: str) -> ipaddress.IPv4Address:
    try:
        return ipaddress.IPv4Address(text)
    except ValueError:
        raise InvalidParameterValueError(complaint) from None


def _addresses(offering: NetworkOffering, zone: Zone, params: Mapping[str, Any]) -> dict[str, str | None]:
    """Gateway, netmask, CIDR and range as they are recorded; an isolated network without any gets the zone's CIDR."""
    gateway, netmask, start, end = (params[name] for name in ("gateway", "netmask", "startip", "endip"))
    if offering.guest_type == SHARED and start is None and end is None:
        raise InvalidParameterValueError("Either IPv4 or IPv6 start and end address are mandatory")
    if start is not None:
        _ip4(start, "Invalid format for the startIp parameter")
        _ip4(end or start, "Invalid format for the endIp parameter")
        if gateway is None or netmask is None:
            raise InvalidParameterValueError("gateway and netmask should be defined when startIP/endIP are passed in")
    if offering.guest_type == SHARED and not offering.specify_ip_ranges:
        raise InvalidParameterValueError("Network offering with specified id doesn't support adding multiple IP ranges")
    if gateway is not None and netmask is not None:
        _ip4(gateway, "Invalid gateway")
        try:
            subnet = ipaddress.IPv4Network(f"{gateway}/{netmask}", strict=False)
        except ValueError:
            raise InvalidParameterValueError("Invalid netmask") from None
        if gateway in (str(subnet.network_address), str(subnet.broadcast_address)):
            raise InvalidParameterValueError("Invalid gateway IP provided. Either the IP is broadcast or network IP.")
    elif offering.guest_type == L2:
        return {}
    else:
        subnet = ipaddress.IPv4Network(zone.guest_cidr or DEFAULT_CIDR, strict=False)
        gateway, netmask = str(subnet.network_address + 1), str(subnet.netmask)
    return {
        "gateway": gateway,
        "netmask": netmask,
        "cidr": str(subnet),
        "start_ip": start,
        "end_ip": end or start,
    }


def _vlan(session: Session, caller: CallerLike, zone: Zone, offering: NetworkOffering, given: str | None) -> str | None:
    if caller.account_type != ROOT_ADMIN and offering.specifies_vlan:
        raise InvalidParameterValueError("Only ROOT admin is allowed to specify vlanId or bypass vlan overlap check")
    if given is None or caller.account_type != ROOT_ADMIN:
        return None
    vlan = given.removeprefix("vlan://")
    if offering.guest_type == SHARED and not offering.specifies_vlan:
        raise InvalidParameterValueError(
            "Cannot specify vlanId when create a network from network offering with specifyvlan=false"
        )
    taken = select(Network.id).where(Network.zone_id == zone.id, Network.vlan == vlan, Network.removed.is_(None))
    if session.scalar(taken.limit(1)) is not None:
        shown = json.dumps({"id": str(zone.id), "name": zone.name, "uuid": zone.uuid}, ensure_ascii=False)
        raise InvalidParameterValueError(
            f"Network with vlan {given} already exists or overlaps with other network vlans in zone Zone {shown}"
        )
    return vlan


def _mtu(value: int | None) -> int | None:
    """The MTU within its bounds, as validateMtuConfig mends it; its alert to the administrator is not written here."""
    low, high = _MTU_RANGE
    return None if value is None else max(low, min(value, high))


def live_network(session: Session, caller: CallerLike, network_id: int, missing: str) -> Network:
    """The network if the caller may change it; InvalidParameterValueError with `missing` for one that is gone."""
    network = get_live(session, Network, network_id)
    if network is None:
        raise InvalidParameterValueError(missing)
    check_owner_access(caller, network.account_id, network.account.domain.path)
    return network


def update_network(session: Session, caller: CallerLike, params: Mapping[str, Any]) -> Network:
    """Change names, DNS servers, MTU or offering of a network."""
    network = live_network(session, caller, params["id"], "Specified network id doesn't exist in the system")
    if network.is_system:
        raise InvalidParameterValueError("Can't update system networks")
    if params["networkofferingid"] is not None and params["networkofferingid"] != network.network_offering_id:
        offering = get_live(session, NetworkOffering, params["networkofferingid"])
        if offering is None:
            raise InvalidParameterValueError("Unable to find network offering with specified id")
        if offering.state != "Enabled":
            raise InvalidParameterValueError(
                f"Network offering with specified id is not in Enabled state, can't upgrade to it: {offering.uuid}"
            )
        if offering.guest_type != network.guest_type:
            raise InvalidParameterValueError(
                f"Can't upgrade from network offering {network.network_offering.uuid} to {offering.uuid};"
                " check logs for more information"
            )
        network.network_offering = offering
    for name, attribute in (
        ("name", "name"),
        ("displaytext", "display_text"),
        ("networkdomain", "network_domain"),
        ("dns1", "dns1"),
        ("dns2", "dns2"),
        ("displaynetwork", "display_network"),
    ):
        if params[name] is not None:
            setattr(network, attribute, params[name])
    network.public_mtu = _mtu(params["publicmtu"]) or network.public_mtu
    network.private_mtu = _mtu(params["privatemtu"]) or network.private_mtu
    session.flush()
    return network


def check_deletable(session: Session, caller: CallerLike, network_id: int) -> Network:
    """The network if nobody uses it; CloudRuntimeError while VMs have NICs in it."""
    missing = f"unable to find network {network_id}"
    network = live_network(session, caller, network_id, missing)
    users = (
        select(VmInstance.id)
        .join(Nic, Nic.vm_id == VmInstance.id)
        .where(Nic.network_id == network.id, Nic.removed.is_(None), VmInstance.removed.is_(None))
    )
    if session.scalar(users.limit(1)) is not None:
        raise CloudRuntimeError("Failed to delete network")  # the reason is in the log of the real server only
    return network


# Offerings -----------------------------------------------------------------------------------------------------------


def create_offering(session: Session, providers: Providers, params: Mapping[str, Any]) -> NetworkOffering:
    """Record an offering, which is Disabled unless `enable` is given."""
    kind = next((each for each in (ISOLATED, SHARED, L2) if each.lower() == params["guestiptype"].lower()), None)
    if kind is None:
        raise InvalidParameterValueError('Invalid "type" parameter is given; can have Shared and Isolated values')
    if params["traffictype"].lower() != "guest":
        raise InvalidParameterValueError(
            "Invalid value for traffictype. Supported traffic types: Public, Management, Control, Guest, Vlan or"
            " Storage"
        )
    if kind == SHARED and not params["specifyipranges"]:
        raise InvalidParameterValueError("SpecifyIpRanges should be true for network offerings of type Shared")
    availability = (params["availability"] or "Optional").capitalize()
    if availability not in ("Optional", "Required"):
        raise InvalidParameterValueError(
            f"Invalid value for Availability. Supported types: {', '.join(('Optional', 'Required'))}"
        )
    known = {each["name"].lower(): each["name"] for each in ISOLATED_SERVICES}
    services = []
    for name in params["supportedservices"] or ():
        if name.lower() not in known:
            raise InvalidParameterValueError(f"Invalid service name specified: {name}")
        services.append(known[name.lower()])
    if kind == L2 and services not in ([], ["UserData"]):
        raise InvalidParameterValueError("Only UserData service is supported for L2 networks")
    taken = select(NetworkOffering.id).where(NetworkOffering.name == params["name"], NetworkOffering.removed.is_(None))
    if session.scalar(taken.limit(1)) is not None:
        raise InvalidParameterValueError(f"Network offering with the name {params['name']} already exists.")
    offering = NetworkOffering(
        uuid=providers.ids.uuid(),
        name=params["name"],
        display_text=params["displaytext"] or params["name"],
        guest_type=kind,
        is_default=False,
        state="Enabled" if params["enable"] else "Disabled",
        availability=availability,
        services=services,
        specify_vlan=bool(params["specifyvlan"]),
        conserve_mode=params["conservemode"] is not False,
        specify_ip_ranges=bool(params["specifyipranges"]),
        is_persistent=bool(params["ispersistent"]),
        egress_default_policy=bool(params["egressdefaultpolicy"]),
        network_rate=params["networkrate"],
        max_connections=params["maxconnections"],
        tags=params["tags"],
        created=providers.utcnow().replace(microsecond=0),
    )
    session.add(offering)
    session.flush()
    return offering


def _live_offering(session: Session, offering_id: int | None) -> NetworkOffering:
    offering = get_live(session, NetworkOffering, offering_id)
    if offering is None:
        raise InvalidParameterValueError(f"unable to find network offering {offering_id or 'null'}")
    return offering


def update_offering(session: Session, params: Mapping[str, Any]) -> NetworkOffering:
    """Change names, state or availability of an offering."""
    offering = _live_offering(session, params["id"])
    state, availability = params["state"], params["availability"]
    if state is not None and state.lower() not in ("enabled", "disabled"):
        raise InvalidParameterValueError(f"Incorrect state value: {state}")
    if availability is not None and availability.lower() not in ("optional", "required"):
        raise InvalidParameterValueError("Invalid value for Availability. Supported types: Optional, Required")
    for name, attribute in (
        ("name", "name"),
        ("displaytext", "display_text"),
        ("sortkey", "sort_key"),
        ("maxconnections", "max_connections"),
        ("tags", "tags"),
    ):
        if params[name] is not None:
            setattr(offering, attribute, params[name])
    offering.state = state.capitalize() if state else offering.state
    offering.availability = availability.capitalize() if availability else offering.availability
    return offering


def delete_offering(session: Session, providers: Providers, offering_id: int) -> NetworkOffering:
    """Take an offering away that is no default one and that no network has."""
    offering = _live_offering(session, offering_id)
    if offering.is_default:
        raise InvalidParameterValueError("Default network offering can't be deleted")
    users = select(Network.id).where(Network.network_offering_id == offering.id, Network.removed.is_(None))
    count = len(session.scalars(users).all())
    if count:
        raise InvalidParameterValueError(
            f"Can't delete network offering {offering.name} as its used by {count} networks. To make the network"
            " offering unavailable, disable it"
        )
    offering.removed = providers.utcnow()
    return offering
