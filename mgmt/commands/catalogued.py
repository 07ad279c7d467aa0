"""Handlers declared with what the catalogue says of their command: parameters, response, roles and texts.

What a start needs to know is given here, so that the catalogue is not read for it; a test compares the two.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from mgmt.commands.catalogue import CatalogueDeclaration
from mgmt.commands.declaration import Bound, Call, Create, EventSpec, Handler, Item, Listing, Precheck, Result, at_once
from mgmt.commands.fields import Param
from mgmt.commands.life_calls import completed
from mgmt.inventory.events import RESOURCE_TYPES

__all__ = ["DoneEvent", "completed", "done", "job", "listed"]

_Declare = Callable[[Handler], CatalogueDeclaration]


def listed(name: str, object_name: str, *, is_list: bool = True, since: str | None = None) -> _Declare:
    """Declare the handler of a list command."""
    return lambda handler: CatalogueDeclaration(name, handler, object_name=object_name, is_list=is_list, since=since)


@dataclass(frozen=True)
class DoneEvent:
    """The event of a synchronous command that has succeeded.

    Its resource, where events name any of its type, is the one that the answer shows, or else the one that the
    parameter `id` names.
    """

    resource_type: str | None
    type: str
    gerund: str  # such as "creating zone"


def done(
    name: str,
    object_name: str | None = None,
    *,
    since: str | None = None,
    event: DoneEvent | None = None,
    admin_params: Mapping[str, Param] | None = None,
) -> _Declare:
    """Declare the handler of a synchronous command that changes something, or shows one thing."""
    return lambda handler: CatalogueDeclaration(
        name,
        handler if event is None else _telling(handler, event),
        object_name=object_name,
        since=since,
        admin_params=admin_params,
    )


def _telling(handler: Handler, event: DoneEvent) -> Handler:
    """The handler, which writes the event once it has succeeded."""

    def handle(call: Call, bound: Bound) -> Result:
        named = _named(call, bound, event)  # before the row may go
        result = at_once(handler(call, bound))
        call.db.flush()
        resource = None if event.resource_type is None else _shown(result) or named
        completed(call.db, call, event.type, event.gerund, event.resource_type, resource)
        return result

    return handle


def _named(call: Call, bound: Bound, event: DoneEvent) -> str | None:
    """The UUID of the resource that the parameter `id` names."""
    model: Any = RESOURCE_TYPES.get(event.resource_type or "")
    if model is None or not isinstance(bound.get("id"), int):
        return None
    row = call.db.get(model, bound["id"])
    return None if row is None else str(row.uuid)


def _shown(result: Result) -> str | None:
    """The UUID of the resource that an answer shows."""
    if isinstance(result, Listing):
        return result.items[0].get("id") if result.items else None
    return result.fields.get("id") if isinstance(result, Item) else None


def job(
    name: str,
    object_name: str | None = None,
    *,
    since: str | None = None,
    event: EventSpec | None = None,
    instance_type: str | None = None,
    instance_param: str | None = None,
    create: Create | None = None,
    precheck: Precheck | None = None,
    admin_java_class: str | None = None,
) -> _Declare:
    """Declare the handler of an asynchronous command; its names are those of `Declaration`."""
    return lambda handler: CatalogueDeclaration(
        name,
        handler,
        object_name=object_name,
        is_async=True,
        since=since,
        precheck=precheck,
        event=event,
        job_instance_type=instance_type,
        job_instance_param=instance_param,
        create=create,
        admin_java_class=admin_java_class,
    )
