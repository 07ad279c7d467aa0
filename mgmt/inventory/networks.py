"""Guest networks: finding them by owner and filter, and the fields of their answers.

Upstream: server/.../network/NetworkServiceImpl.java (searchForNetworks), server/.../api/ApiResponseHelper.java
(createNetworkResponse).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, false, or_, select, true
from sqlalchemy.orm import Session, joinedload

from mgmt.errors import InvalidParameterValueError
from mgmt.inventory.listing import Window, equals_ignoring_case, like_keyword, page
from mgmt.inventory.network_services import ISOLATED_SERVICES
from mgmt.inventory.scope import CallerLike, Scope, domain_fields, is_admin, owner_names
from mgmt.inventory.tags import has_tags
from mgmt.store.models import Domain, Network

_FILTERS = ("account", "domain", "accountdomain", "shared", "all")
_DOMAIN_ACL = "Domain"
MTU = 1500


def find_networks(
    session: Session, caller: CallerLike, scope: Scope, params: Mapping[str, Any], window: Window
) -> tuple[list[Network], int]:
    """The networks that the parameters of listNetworks ask for and `scope` lets the caller see, and their number.

    A network of a whole domain (acltype Domain) is seen by the accounts of that domain and of those below it.
    """
    statement = (
        select(Network)
        .where(Network.removed.is_(None), _visible(caller, scope, params["networkfilter"]))
        .order_by(Network.id)
        .options(
            joinedload(Network.zone),
            joinedload(Network.account),
            joinedload(Network.domain),
            joinedload(Network.network_offering),
            joinedload(Network.physical_network),
        )
    )
    if params["vlan"] is not None and is_admin(caller):  # for others the parameter does not exist
        statement = statement.where(equals_ignoring_case(Network.vlan, params["vlan"]))
    return page(session, _narrowed(statement, params), window)


def _visible(caller: CallerLike, scope: Scope, network_filter: str | None) -> ColumnElement[bool]:
    wanted = (network_filter or "all").lower()
    if wanted not in _FILTERS:
        raise InvalidParameterValueError(f"Invalid value of networkfilter: {network_filter}")
    owned = and_(Network.acl_type != _DOMAIN_ACL, scope.clause(Network.account_id, Network.domain_id))
    seen: ColumnElement[bool]
    if is_admin(caller) and scope == Scope(projects=scope.projects):
        seen = true()  # a root admin's listall
    elif scope.domain_id is not None:
        seen = Domain.id == scope.domain_id
    elif scope.domain_path is not None and scope.domain_path != caller.domain_path:
        seen = Domain.path.startswith(scope.domain_path, autoescape=True)
    else:
        seen = Domain.path.in_(["/" + "".join(f"{part}/" for part in parts) for parts in _prefixes(caller.domain_path)])
        if scope.domain_path is not None:
            seen = or_(seen, Domain.path.startswith(scope.domain_path, autoescape=True))
    of_domain = and_(Network.acl_type == _DOMAIN_ACL, Network.domain_id.in_(select(Domain.id).where(seen)))
    if wanted == "account":
        return owned
    if wanted in ("domain", "shared"):
        return of_domain
    return or_(owned, of_domain)


def _prefixes(path: str) -> list[list[str]]:
    parts = [part for part in path.split("/") if part]
    return [parts[:length] for length in range(len(parts) + 1)]


def _narrowed(statement: Select[Network], params: Mapping[str, Any]) -> Select[Network]:
    numbers = (
        ("id", Network.id),
        ("zoneid", Network.zone_id),
        ("physicalnetworkid", Network.physical_network_id),
        ("networkofferingid", Network.network_offering_id),
    )
    for key, column in numbers:
        if params[key] is not None:
            statement = statement.where(column == params[key])
    words = (
        ("name", Network.name),
        ("type", Network.guest_type),
        ("traffictype", Network.traffic_type),
        ("acltype", Network.acl_type),
    )
    for key, text in words:
        if params[key] is not None:
            statement = statement.where(equals_ignoring_case(text, params[key]))
    if params["keyword"] is not None:
        statement = statement.where(like_keyword(Network.name, params["keyword"]))
    statement = statement.where(Network.is_system == bool(params["issystem"]))
    statement = statement.where(*has_tags(Network.uuid, "Network", params["tags"]))
    for key, flag in (("restartrequired", Network.restart_required), ("displaynetwork", Network.display_network)):
        if params[key] is not None:
            statement = statement.where(flag.is_(params[key]))
    if params["specifyipranges"] is not None:
        of_ranges = Network.network_offering.has(specify_ip_ranges=params["specifyipranges"])
        statement = statement.where(of_ranges)
    if _asks_for_what_is_not_here(params):
        statement = statement.where(false())
    services = params["supportedservices"]
    if services and not {service.lower() for service in services} <= _ISOLATED_NAMES:
        statement = statement.where(false())
    elif services:
        statement = statement.where(Network.guest_type == "Isolated")
    if params["canusefordeploy"] is False:
        statement = statement.where(false())
    return statement


_ISOLATED_NAMES = frozenset(service["name"].lower() for service in ISOLATED_SERVICES)


def _asks_for_what_is_not_here(params: Mapping[str, Any]) -> bool:
    """VPC tiers and associated networks do not exist in this world."""
    return bool(params["vpcid"] is not None or params["associatednetworkid"] is not None or params["forvpc"])


def network_view(network: Network, caller: CallerLike) -> dict[str, Any]:
    """A network's answer; its VLAN is for root and domain admins."""
    is_isolated = network.guest_type == "Isolated"
    offering = network.network_offering
    vlan = network.vlan if is_admin(caller) else None
    return {
        "id": network.uuid,
        "name": network.name,
        "displaytext": network.display_text,
        "broadcastdomaintype": "Vlan",
        "traffictype": network.traffic_type,
        "gateway": network.gateway,
        "netmask": network.netmask,
        "cidr": network.cidr,
        "zoneid": network.zone.uuid,
        "zonename": network.zone.name,
        "networkofferingid": offering.uuid,
        "networkofferingname": offering.name,
        "networkofferingdisplaytext": offering.display_text,
        "networkofferingconservemode": offering.conserves,
        "networkofferingavailability": offering.shown_availability,
        "issystem": network.is_system,
        "state": network.state,
        "related": network.uuid,
        "broadcasturi": f"vlan://{vlan}" if vlan else None,
        "dns1": network.dns1,
        "dns2": network.dns2,
        "type": network.guest_type,
        "vlan": vlan,
        "acltype": network.acl_type,
        "subdomainaccess": network.subdomain_access is not False if network.acl_type == _DOMAIN_ACL else None,
        **(owner_names(network.account) if network.acl_type != _DOMAIN_ACL else {}),
        **domain_fields(network.domain),
        "service": [each for each in ISOLATED_SERVICES if offering.has_service(each["name"])],
        "networkdomain": network.network_domain,
        "physicalnetworkid": network.physical_network.uuid if network.physical_network else None,
        "restartrequired": network.restart_required,
        "specifyvlan": offering.specifies_vlan,
        "specifyipranges": offering.specify_ip_ranges,
        "canusefordeploy": True,
        "ispersistent": offering.is_persistent,
        "tags": [],
        "details": {},
        "displaynetwork": network.display_network,
        "externalid": network.external_id,
        "strechedl2subnet": False,
        "redundantrouter": False,
        "supportsvmautoscaling": is_isolated,
        "created": network.created,
        "receivedbytes": 0,
        "sentbytes": 0,
        "egressdefaultpolicy": offering.egress_default_policy,
        "publicmtu": (network.public_mtu or MTU) if is_isolated else None,
        "privatemtu": (network.private_mtu or MTU) if is_isolated else None,
        "hasannotations": False,
    }
