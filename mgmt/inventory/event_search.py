"""Finding events by the filters of `listEvents`.

Upstream: server/.../api/query/QueryManagerImpl.java, searchForEvents.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import ColumnElement, or_, select
from sqlalchemy.orm import Session

from mgmt.errors import InvalidParameterValueError
from mgmt.inventory.events import RESOURCE_TYPES
from mgmt.inventory.listing import Window, any_like_keyword, equals_ignoring_case, page
from mgmt.inventory.scope import CallerLike, resolve_scope
from mgmt.store.models import Event


def find_events(
    session: Session, caller: CallerLike, params: Mapping[str, Any], paging: Window
) -> tuple[list[Event], int]:
    """The page of events that match `params` and that `caller` may see, newest first, and the number of all of them.

    `params` are the bound parameters of listEvents by name. `duration` and `entrytime` filter nothing, as upstream has
    left them unfinished. Raises InvalidParameterValueError for an unknown resource.
    """
    scope = resolve_scope(session, caller, params, has_id=params.get("id") is not None)
    conditions = [
        scope.clause(Event.account_id, Event.domain_id),
        Event.archived.is_(bool(params.get("archived"))),
    ]
    conditions += _identity_filters(params)
    conditions += _text_filters(params)
    conditions += _resource_filters(session, params)
    if params.get("startdate") is not None:
        conditions.append(Event.created >= params["startdate"])
    if params.get("enddate") is not None:
        conditions.append(Event.created <= params["enddate"])
    statement = select(Event).where(*conditions).order_by(Event.created.desc(), Event.id.desc())
    return page(session, statement, paging)


def _identity_filters(params: Mapping[str, Any]) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if params.get("id") is not None:
        conditions.append(Event.id == params["id"])
    if params.get("startid") is not None:
        conditions.append(or_(Event.start_id == params["startid"], Event.id == params["startid"]))
    return conditions


def _text_filters(params: Mapping[str, Any]) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    for name, column in (("level", Event.level), ("type", Event.type), ("state", Event.state)):
        if params.get(name) is not None:
            conditions.append(equals_ignoring_case(column, params[name]))
    if params.get("keyword") is not None:
        conditions.append(any_like_keyword((Event.type, Event.description, Event.level), params["keyword"]))
    return conditions


def _resource_filters(session: Session, params: Mapping[str, Any]) -> list[ColumnElement[bool]]:
    resource_type, resource_id = params.get("resourcetype"), params.get("resourceid")
    if resource_type is None:
        if resource_id is not None:
            raise InvalidParameterValueError("resourceid parameter must be used with resourcetype parameter")
        return []
    known = {name.lower(): name for name in RESOURCE_TYPES}
    if resource_type.lower() not in known:
        raise InvalidParameterValueError("Invalid resourcetype")
    conditions: list[ColumnElement[bool]] = [Event.resource_type == known[resource_type.lower()]]
    if resource_id is not None:
        model = RESOURCE_TYPES[known[resource_type.lower()]]
        if model is None or session.scalar(select(model.id).where(model.uuid == resource_id.lower())) is None:
            raise InvalidParameterValueError("Invalid resourceid")
        conditions.append(Event.resource_uuid == resource_id.lower())
    return conditions
