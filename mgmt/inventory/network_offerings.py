"""Network offerings: the search and the view of listNetworkOfferings; field order of recorded answers.

Upstream: server/.../configuration/ConfigurationManagerImpl.java (searchForNetworkOfferings).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from mgmt.inventory.listing import Window, equals_ignoring_case, in_window, like_keyword, page
from mgmt.inventory.network_services import ISOLATED_SERVICES
from mgmt.store.models import NetworkOffering

# What every offering of this world says of itself: another wanted value matches none.
_SAME = {"traffictype": "guest", "forvpc": False}


def find_network_offerings(
    session: Session, params: Mapping[str, Any], paging: Window
) -> tuple[list[NetworkOffering], int]:
    """The page of offerings that match the bound parameters of listNetworkOfferings."""
    for name, value in _SAME.items():
        wanted = params[name]
        if wanted is not None and (wanted.lower() if isinstance(wanted, str) else wanted) != value:
            return [], 0
    conditions: list[ColumnElement[bool]] = [NetworkOffering.removed.is_(None)]
    if params["id"] is not None:
        conditions.append(NetworkOffering.id == params["id"])
    for name, column in (
        ("name", NetworkOffering.name),
        ("displaytext", NetworkOffering.display_text),
        ("guestiptype", NetworkOffering.guest_type),
        ("state", NetworkOffering.state),
    ):
        if params[name] is not None:
            conditions.append(equals_ignoring_case(column, params[name]))
    if params["keyword"] is not None:
        conditions.append(like_keyword(NetworkOffering.name, params["keyword"]))
    for name, flag in (
        ("specifyipranges", NetworkOffering.specify_ip_ranges),
        ("isdefault", NetworkOffering.is_default),
    ):
        if params[name] is not None:
            conditions.append(flag.is_(params[name]))
    ordered = select(NetworkOffering).where(*conditions).order_by(NetworkOffering.sort_key, NetworkOffering.id)
    if params["specifyvlan"] is None and params["sourcenatsupported"] is None:
        return page(session, ordered, paging)
    found = [
        each
        for each in session.scalars(ordered)
        if params["specifyvlan"] in (None, each.specifies_vlan)
        and params["sourcenatsupported"] in (None, each.has_service("SourceNat"))
    ]
    return in_window(found, paging), len(found)


def network_offering_view(offering: NetworkOffering) -> dict[str, Any]:
    """An offering as listNetworkOfferings shows it."""
    services = [
        {"name": each["name"], "provider": each["provider"]}
        for each in ISOLATED_SERVICES
        if offering.has_service(each["name"])
    ]
    return {
        "id": offering.uuid,
        "name": offering.name,
        "displaytext": offering.display_text,
        "traffictype": "Guest",
        "isdefault": offering.is_default,
        "specifyvlan": offering.specifies_vlan,
        "conservemode": offering.conserves,
        "specifyipranges": offering.specify_ip_ranges,
        "availability": offering.shown_availability,
        "networkrate": offering.network_rate,
        "state": offering.state,
        "guestiptype": offering.guest_type,
        "service": services,
        "maxconnections": offering.max_connections,
        "tags": offering.tags,
        "created": offering.created,
        "forvpc": False,
        "fornsx": False,
        "fortungsten": False,
        "ispersistent": offering.is_persistent,
        "egressdefaultpolicy": offering.egress_default_policy,
        "supportsstrechedl2subnet": False,
        "supportspublicaccess": False,
        "supportsinternallb": False,
        "specifyasnumber": False,
        "hasannotations": False,
    }
