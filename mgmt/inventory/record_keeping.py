"""Archiving and deleting events and alerts.

Upstream: server/.../server/ManagementServerImpl.java (archiveEvents, deleteEvents, archiveAlerts, deleteAlerts) and
their commands, with whose source the texts were compared; no recording shows them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, cast, select
from sqlalchemy.orm import Session
from sqlalchemy.types import String

from mgmt.errors import INTERNAL_ERROR, InvalidParameterValueError, ServerApiError
from mgmt.inventory.scope import CallerLike, ScopeRequest, decide_scope
from mgmt.store.models import Alert, Event


def doomed_events(session: Session, caller: CallerLike, params: Mapping[str, Any], doing: str) -> Sequence[Event]:
    """The events of what the caller may see that the parameters mean; ServerApiError when some named ones are not."""
    _check(params)
    scope = decide_scope(caller, ScopeRequest(listall=True))
    conditions: list[ColumnElement[bool]] = [
        scope.clause(Event.account_id, Event.domain_id),
        Event.archived.is_(False) if doing == "archive" else Event.id.is_not(None),
    ]
    if params["type"] is not None:
        conditions.append(Event.type == params["type"])
    conditions += _dated(Event.created, params)
    return _named(session, Event, conditions, params, f"Unable to {doing} Events")


def doomed_alerts(session: Session, params: Mapping[str, Any], doing: str) -> Sequence[Alert]:
    """The alerts that the parameters mean; ServerApiError when some named ones are not there."""
    _check(params)
    conditions: list[ColumnElement[bool]] = [Alert.archived.is_(False)]
    if params["type"] is not None:
        conditions.append(cast(Alert.type, String) == params["type"])
    conditions += _dated(Alert.sent, params)
    return _named(session, Alert, conditions, params, f"Unable to {doing} Alerts")


def _check(params: Mapping[str, Any]) -> None:
    if not params["ids"] and params["type"] is None and params["enddate"] is None:
        raise InvalidParameterValueError("either ids, type or enddate must be specified")
    if params["startdate"] is not None and params["enddate"] is None:
        raise InvalidParameterValueError("enddate must be specified with startdate parameter")


def _dated(column: Any, params: Mapping[str, Any]) -> list[ColumnElement[bool]]:
    conditions = []
    if params["startdate"] is not None:
        conditions.append(column >= params["startdate"])
    if params["enddate"] is not None:
        conditions.append(column <= params["enddate"])
    return conditions


def _named(
    session: Session, model: Any, conditions: list[ColumnElement[bool]], params: Mapping[str, Any], failure: str
) -> Sequence[Any]:
    ids = params["ids"]
    if ids:
        conditions = [*conditions, model.id.in_(ids)]
    found = session.scalars(select(model).where(*conditions)).all()
    if ids and len(found) < len(set(ids)):
        raise ServerApiError(INTERNAL_ERROR, f"{failure}, one or more parameters has invalid values")
    return found
