"""Network offerings: the search and the view of listNetworkOfferings; field order of recorded answers.

Upstream: server/.../configuration/ConfigurationManagerImpl.java (searchForNetworkOfferings).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from mgmt.inventory.listing import Window, equals_ignoring_case, like_keyword, page
from mgmt.inventory.network_services import ISOLATED_SERVICES
from mgmt.store.models import NetworkOffering

# What every offering of this world says of itself: another wanted value matches none.
_SAME = {"state": "enabled", "traffictype": "guest", "specifyipranges": False, "forvpc": False, "isdefault": True}


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
    ):
        if params[name] is not None:
            conditions.append(equals_ignoring_case(column, params[name]))
    if params["keyword"] is not None:
        conditions.append(like_keyword(NetworkOffering.name, params["keyword"]))
    for name, is_of_isolated in (("specifyvlan", False), ("sourcenatsupported", True)):
        if params[name] is not None:
            is_isolated = NetworkOffering.guest_type == "Isolated"
            conditions.append(is_isolated if params[name] is is_of_isolated else ~is_isolated)
    return page(session, select(NetworkOffering).where(*conditions).order_by(NetworkOffering.id), paging)


def network_offering_view(offering: NetworkOffering) -> dict[str, Any]:
    """An offering as listNetworkOfferings shows it."""
    is_isolated = offering.guest_type == "Isolated"
    services = [{"name": each["name"], "provider": each["provider"]} for each in ISOLATED_SERVICES]
    return {
        "id": offering.uuid,
        "name": offering.name,
        "displaytext": offering.display_text,
        "traffictype": "Guest",
        "isdefault": True,
        "specifyvlan": not is_isolated,
        "conservemode": is_isolated,
        "specifyipranges": False,
        "availability": "Required" if is_isolated else "Optional",
        "state": "Enabled",
        "guestiptype": offering.guest_type,
        "service": services if is_isolated else [],
        "forvpc": False,
        "fornsx": False,
        "fortungsten": False,
        "ispersistent": False,
        "egressdefaultpolicy": False,
        "supportsstrechedl2subnet": False,
        "supportspublicaccess": False,
        "supportsinternallb": False,
        "specifyasnumber": False,
        "hasannotations": False,
    }
