"""Finding alerts by the filters of `listAlerts`.

Upstream: server/.../server/ManagementServerImpl.java (searchForAlerts), api/ApiResponseHelper.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import cast, select
from sqlalchemy.orm import Session
from sqlalchemy.types import String

from mgmt.inventory.listing import Window, any_like_keyword, page
from mgmt.store.models import Alert


def find_alerts(session: Session, params: Mapping[str, Any], window: Window) -> tuple[list[Alert], int]:
    """The alerts that match, the newest first, and how many there are over all pages."""
    statement = select(Alert).where(Alert.archived.is_(False)).order_by(Alert.sent.desc(), Alert.id.desc())
    if params["id"] is not None:
        statement = statement.where(Alert.id == params["id"])
    if params["type"] is not None:
        statement = statement.where(cast(Alert.type, String) == params["type"])
    if params["name"] is not None:
        statement = statement.where(Alert.name == params["name"])
    if params["keyword"] is not None:
        statement = statement.where(any_like_keyword((Alert.description,), params["keyword"]))
    return page(session, statement, window)


def alert_view(alert: Alert) -> dict[str, Any]:
    """An alert as listAlerts shows it."""
    return {
        "id": alert.uuid,
        "type": alert.type,
        "name": alert.name,
        "description": alert.description,
        "sent": alert.sent,
    }
