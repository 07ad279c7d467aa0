"""listApis: the commands that the caller may use, made from their declarations.

Upstream: plugins/api/discovery/.../ApiDiscoveryServiceImpl.java.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from mgmt.commands.access import may_call
from mgmt.commands.declaration import ALL_ROLES, Bound, Call, Declaration, Listing, command
from mgmt.commands.fields import ListOf, Out, Param, Params, Response, Str, Uuid
from mgmt.errors import INTERNAL_ERROR, ServerApiError
from mgmt.inventory.permissions import rules_of

NOT_FOUND_TEXT = "Api Discovery plugin was unable to find an api by that name or process any apis"

JOB_ID = "id of the latest job that acts on the object"
JOB_STATUS = "status of the latest job that acts on the object"

# Every response object has these two of its base class.
_BASE_FIELDS: tuple[dict[str, Any], ...] = (
    {"name": "jobid", "description": JOB_ID, "type": "string"},
    {"name": "jobstatus", "description": JOB_STATUS, "type": "integer"},
)


class ListApisParams(Params):
    name = Str("name of one API command, in its exact case")


class ApiParameterResponse(Response):
    catalogue = "ApiParameterResponse"

    name = Out("string", "name of the parameter")
    description = Out("string", "what the parameter is for")
    type = Out("string", "type of the parameter")
    length = Out("int", "longest value that the parameter takes")
    required = Out("boolean", "whether the command needs the parameter")
    since = Out("string", "release that brought the parameter")
    related = Out("string", "commands whose answers carry values for the parameter")
    jobid = Out("string", JOB_ID)
    jobstatus = Out("integer", JOB_STATUS)


class ApiResponseResponse(Response):
    catalogue = "ApiResponseResponse"

    name = Out("string", "name of the response field")
    description = Out("string", "what the field tells")
    type = Out("string", "type of the field")
    response = Out("set", "fields of the objects in the field")
    jobid = Out("string", JOB_ID)
    jobstatus = Out("integer", JOB_STATUS)


class ApiDiscoveryResponse(Response):
    catalogue = "ApiDiscoveryResponse"

    name = Out("string", "name of the command")
    description = Out("string", "what the command does")
    since = Out("string", "release that brought the command")
    isasync = Out("boolean", "whether the command answers with a job")
    related = Out("string", "commands that answer with the same kind of object")
    params = Out("set", "parameters of the command", nested=ApiParameterResponse)
    response = Out("set", "fields of the answer", nested=ApiResponseResponse)
    type = Out("string", "type of the response field")
    jobid = Out("string", JOB_ID)
    jobstatus = Out("integer", JOB_STATUS)


@command(
    "listApis",
    params=ListApisParams,
    response=ApiDiscoveryResponse,
    description="Lists the API commands that the caller may use, with parameters and response fields",
    object_name="api",
    since="4.1.0",
    roles=ALL_ROLES,
    java_class="org.apache.cloudstack.api.command.user.discovery.ListApisCmd",
)
def list_apis(call: Call, bound: Bound) -> Listing:
    """All commands open to the caller, or the one that is named; there is no paging."""
    commands = call.services.commands
    rules = rules_of(call.db, call.caller.role_id)
    allowed = {name: each for name, each in commands.items() if may_call(call.caller, rules, name, each.roles)}
    name = bound["name"]
    if name is not None:
        allowed = {name: allowed[name]} if name in allowed else {}
    if not allowed:
        raise ServerApiError(INTERNAL_ERROR, NOT_FOUND_TEXT)
    relations = Relations(commands.values())
    items = [api_view(declaration, relations) for declaration in allowed.values()]
    return Listing(items, len(items))


class Relations:
    """Which commands answer with the same object."""

    def __init__(self, declarations: Iterable[Declaration]) -> None:
        self._by_response: dict[type[Response], list[str]] = {}
        self._by_object: dict[str, list[str]] = {}
        for declaration in declarations:
            if declaration.response is not None:
                self._by_response.setdefault(declaration.response, []).append(declaration.name)
            if declaration.object_name:
                self._by_object.setdefault(declaration.object_name.lower(), []).append(declaration.name)

    def of(self, declaration: Declaration) -> str | None:
        """The other commands with this response, comma-joined; None for a command that only tells of success."""
        if declaration.response is None:
            return None
        names = self._by_response.get(declaration.response, [])
        return ",".join(name for name in names if name != declaration.name)

    def of_entity(self, entity: str) -> str | None:
        """The commands whose answers carry the ids of an entity."""
        names = [name for kind in entity.split(",") for name in self._by_object.get(kind.strip().lower(), [])]
        return ",".join(names) or None


def api_view(declaration: Declaration, relations: Relations) -> dict[str, Any]:
    """One command as listApis shows it."""
    view: dict[str, Any] = {"name": declaration.name, "description": declaration.description}
    if declaration.since:
        view["since"] = declaration.since
    view["isasync"] = declaration.is_async
    view["related"] = relations.of(declaration)
    view["params"] = [
        _parameter_view(name, field, relations)
        for name, field in declaration.params._declared_fields.items()
        if isinstance(field, Param)
    ]
    view["response"] = _fields_view(declaration.response) if declaration.response is not None else _success_view()
    return view


def _parameter_view(name: str, field: Param, relations: Relations) -> dict[str, Any]:
    target = field.item if isinstance(field, ListOf) else field
    related = field.metadata.get("related")
    if related is None and isinstance(target, Uuid):
        related = relations.of_entity(target.entity)
    return {
        "name": name,
        "description": field.description,
        "type": field.api_type,
        "length": field.max_length,
        "required": field.required,
        "since": field.since,
        "related": related,
    }


def _fields_view(response: type[Response]) -> list[dict[str, Any]]:
    declared: Mapping[str, Any] = response._declared_fields
    views = [_field_view(name, field) for name, field in declared.items() if isinstance(field, Out)]
    return [*views, *(field for field in _BASE_FIELDS if field["name"] not in declared)]


def _field_view(name: str, field: Out) -> dict[str, Any]:
    view: dict[str, Any] = {"name": name, "description": field.description, "type": field.api_type}
    if field.nested is not None:
        view["response"] = _fields_view(field.nested)
    return view


def _success_view() -> list[dict[str, Any]]:
    return [
        {"name": "success", "description": "true when the command did what it was asked for", "type": "boolean"},
        {"name": "displaytext", "description": "a text that goes with the outcome", "type": "string"},
        *_BASE_FIELDS,
    ]


COMMANDS = (list_apis,)
