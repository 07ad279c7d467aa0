"""Guest OS types: the search and the view of `listOsTypes`.

Upstream: server/.../server/ManagementServerImpl.java, listGuestOSByCriteria.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session, joinedload

from mgmt.inventory.listing import Window, like_keyword, page
from mgmt.inventory.scope import ROOT_ADMIN, CallerLike
from mgmt.store.models import GuestOs


def find_os_types(
    session: Session, caller: CallerLike, params: Mapping[str, Any], paging: Window
) -> tuple[list[GuestOs], int]:
    """The page of OS types that match `params`, by name, and the number of all of them.

    `params` are the bound parameters of listOsTypes by name. Only a root admin sees hidden ones.
    """
    conditions: list[ColumnElement[bool]] = []
    for name, column in (("id", GuestOs.id), ("oscategoryid", GuestOs.category_id)):
        if params.get(name) is not None:
            conditions.append(column == params[name])
    for name in ("description", "keyword"):
        if params.get(name) is not None:
            conditions.append(like_keyword(GuestOs.display_name, params[name]))
    is_displayed = params.get("fordisplay") if caller.account_type == ROOT_ADMIN else True
    if is_displayed is not None:
        conditions.append(GuestOs.display.is_(is_displayed))
    statement = (
        select(GuestOs)
        .where(*conditions)
        .order_by(GuestOs.display_name, GuestOs.id)
        .options(joinedload(GuestOs.category))
    )
    return page(session, statement, paging)


def os_type_view(os_type: GuestOs) -> dict[str, Any]:
    """An OS type as `listOsTypes` shows it."""
    return {
        "id": os_type.uuid,
        "oscategoryid": os_type.category.uuid,
        "oscategoryname": os_type.category.name,
        "name": os_type.display_name,
        "description": os_type.display_name,
        "isuserdefined": os_type.is_user_defined,
        "fordisplay": os_type.display,
    }
