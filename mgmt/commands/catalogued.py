"""Handlers declared with what the catalogue says of their command: parameters, response, roles and texts.

What a start needs to know is given here, so that the catalogue is not read for it; a test compares the two.
"""

from __future__ import annotations

from collections.abc import Callable

from mgmt.commands.catalogue import CatalogueDeclaration
from mgmt.commands.declaration import Create, EventSpec, Handler, Precheck
from mgmt.commands.life_calls import completed

__all__ = ["completed", "done", "job", "listed"]

_Declare = Callable[[Handler], CatalogueDeclaration]


def listed(name: str, object_name: str, *, is_list: bool = True, since: str | None = None) -> _Declare:
    """Declare the handler of a list command."""
    return lambda handler: CatalogueDeclaration(name, handler, object_name=object_name, is_list=is_list, since=since)


def done(name: str, object_name: str | None = None, *, since: str | None = None) -> _Declare:
    """Declare the handler of a synchronous command that changes something, or shows one thing."""
    return lambda handler: CatalogueDeclaration(name, handler, object_name=object_name, since=since)


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
