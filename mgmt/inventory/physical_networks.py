"""Physical networks, the kinds of traffic on them, and the providers of their services.

Upstream: server/.../network/NetworkServiceImpl.java.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from mgmt.errors import CloudRuntimeError, InvalidParameterValueError, PermissionDeniedError
from mgmt.inventory.listing import Window, equals_ignoring_case, like_keyword, page
from mgmt.inventory.place_admin import live_zone
from mgmt.providers import Providers
from mgmt.store.models import Network, NetworkServiceProvider, PhysicalNetwork, TrafficType
from mgmt.store.providers_of_networks import PROVIDERS, SERVICES, add_providers

_VLANS = re.compile(r"\d{1,8}(-\d{1,8})?")
_TRAFFIC_TYPES = ("Public", "Management", "Guest", "Storage", "Control", "Vpn", "None")
_PROVIDER_STATES = ("Enabled", "Disabled", "Shutdown")


def create(session: Session, providers: Providers, params: Mapping[str, Any]) -> PhysicalNetwork:
    """Record a physical network from the bound parameters of createPhysicalNetwork; it is Disabled at first."""
    zone = live_zone(session, params["zoneid"])
    if zone.networktype == "Basic" and session.scalar(_live().where(PhysicalNetwork.zone_id == zone.id)) is not None:
        raise CloudRuntimeError("Cannot add the physical network to basic zone id: " + zone.uuid)
    if zone.allocation_state == "Enabled":
        shown = json.dumps({"id": str(zone.id), "name": zone.name, "uuid": zone.uuid}, ensure_ascii=False)
        raise PermissionDeniedError(
            f"Cannot create PhysicalNetwork since the Zone is currently enabled, zone: Zone {shown}"
        )
    range_ = (params["broadcastdomainrange"] or ("POD" if zone.networktype == "Basic" else "ZONE")).upper()
    if range_ not in ("ZONE", "POD"):
        raise InvalidParameterValueError(
            f"Unable to resolve broadcastDomainRange '{range_}' to a supported value {{Pod or Zone}}"
        )
    network = PhysicalNetwork(
        uuid=providers.ids.uuid(),
        name=params["name"],
        zone_id=zone.id,
        state="Disabled",
        vlan=_checked_vlan(params["vlan"]),
        isolation_methods=",".join(params["isolationmethods"] or ()) or "VLAN",
        broadcast_domain_range=range_,
        speed=params["networkspeed"],
        tags=",".join(params["tags"] or ()) or None,
    )
    session.add(network)
    session.flush()
    add_providers(session, network, enabled=False)
    return network


def _live() -> Any:
    return select(PhysicalNetwork.id).where(PhysicalNetwork.removed.is_(None))


def _checked_vlan(text: str | None) -> str | None:
    for part in (text or "").split(","):
        if part and not _VLANS.fullmatch(part):
            raise InvalidParameterValueError("Unable to parse the VLAN/VNI range given by the administrator : " + part)
    return text or None


def live(session: Session, network_id: int) -> PhysicalNetwork:
    """The physical network with this number; InvalidParameterValueError when it is gone."""
    network = session.get(PhysicalNetwork, network_id)
    if network is None or network.removed is not None:
        raise InvalidParameterValueError("Physical Network with specified id doesn't exist in the system")
    return network


def update(session: Session, params: Mapping[str, Any]) -> PhysicalNetwork:
    """Change what the bound parameters of updatePhysicalNetwork carry."""
    network = live(session, params["id"])
    state = params["state"]
    if state is not None:
        if state.lower() not in ("enabled", "disabled"):
            raise InvalidParameterValueError(
                f"Unable to resolve state '{state}' to a supported value {{Enabled or Disabled}}"
            )
        network.state = state.capitalize()
    if params["vlan"] is not None:
        network.vlan = _checked_vlan(params["vlan"])
    if params["networkspeed"] is not None:
        network.speed = params["networkspeed"]
    if params["tags"] is not None:
        network.tags = ",".join(params["tags"]) or None
    return network


def delete(session: Session, providers: Providers, network_id: int) -> None:
    """Take a physical network away; CloudRuntimeError while a network is on it."""
    network = live(session, network_id)
    used = select(Network.id).where(Network.physical_network_id == network.id, Network.removed.is_(None))
    if session.scalar(used.limit(1)) is not None:
        raise CloudRuntimeError("The Physical Network is not deletable because there are networks on it")
    for model in (TrafficType, NetworkServiceProvider):
        for row in session.scalars(select(model).where(model.physical_network_id == network.id)):
            session.delete(row)
    network.removed = providers.utcnow()


def add_traffic_type(session: Session, providers: Providers, params: Mapping[str, Any]) -> TrafficType:
    """Put a kind of traffic on a physical network, once."""
    network = live(session, params["physicalnetworkid"])
    word = next((known for known in _TRAFFIC_TYPES if known.lower() == params["traffictype"].lower()), None)
    if word is None:
        raise InvalidParameterValueError(
            f"Unable to resolve trafficType '{params['traffictype']}' to a supported value"
        )
    taken = select(TrafficType.id).where(
        TrafficType.physical_network_id == network.id, TrafficType.traffic_type == word
    )
    if session.scalar(taken) is not None:
        raise CloudRuntimeError("This physical network already supports the traffic type: " + word)
    row = TrafficType(
        uuid=providers.ids.uuid(),
        physical_network_id=network.id,
        traffic_type=word,
        kvm_label=params["kvmnetworklabel"],
    )
    session.add(row)
    session.flush()
    return row


def traffic_view(session: Session, row: TrafficType) -> dict[str, Any]:
    """A kind of traffic as it is shown."""
    return {
        "id": row.uuid,
        "traffictype": row.traffic_type,
        "physicalnetworkid": session.get_one(PhysicalNetwork, row.physical_network_id).uuid,
        "kvmnetworklabel": row.kvm_label,
    }


def find_providers(
    session: Session, params: Mapping[str, Any], window: Window
) -> tuple[list[NetworkServiceProvider], int]:
    """The page of providers that listNetworkServiceProviders asks for."""
    conditions: list[ColumnElement[bool]] = []
    if params["physicalnetworkid"] is not None:
        conditions.append(NetworkServiceProvider.physical_network_id == params["physicalnetworkid"])
    if params["name"] is not None:
        conditions.append(equals_ignoring_case(NetworkServiceProvider.name, params["name"]))
    if params["state"] is not None:
        conditions.append(equals_ignoring_case(NetworkServiceProvider.state, params["state"]))
    if params["keyword"] is not None:
        conditions.append(like_keyword(NetworkServiceProvider.name, params["keyword"]))
    ordered = select(NetworkServiceProvider).where(*conditions).order_by(NetworkServiceProvider.id)
    return page(session, ordered, window)


def provider_view(session: Session, row: NetworkServiceProvider) -> dict[str, Any]:
    """A provider as it is shown."""
    return {
        "name": row.name,
        "physicalnetworkid": session.get_one(PhysicalNetwork, row.physical_network_id).uuid,
        "state": row.state,
        "id": row.uuid,
        "servicelist": list(SERVICES[row.name]),
        "canenableindividualservice": PROVIDERS[row.name],
    }


def set_provider(row: NetworkServiceProvider | None, params: Mapping[str, Any]) -> NetworkServiceProvider:
    """Change the state of a provider."""
    if row is None:
        raise InvalidParameterValueError(f"Network Service Provider id={params['id']}doesn't exist in the system")
    state = params["state"]
    if state is not None:
        if state.lower() not in [known.lower() for known in _PROVIDER_STATES]:
            raise InvalidParameterValueError(
                f"Unable to resolve state '{state}' to a supported value {{Enabled or Disabled}}"
            )
        row.state = state.capitalize()
    return row
