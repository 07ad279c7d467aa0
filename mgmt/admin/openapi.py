"""The OpenAPI document of the admin endpoints, made of their list and their schemas."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from marshmallow import Schema, fields, validate

from mgmt.admin.routes import ROUTES, Route
from mgmt.admin.schemas import Error

VERSION = "3.1.0"
_TYPES: tuple[tuple[type[fields.Field[Any]], str], ...] = (
    (fields.Boolean, "boolean"),
    (fields.Integer, "integer"),
    (fields.Float, "number"),
    (fields.String, "string"),
    (fields.Dict, "object"),
)
_REFUSALS = {
    400: "The request cannot be used",
    401: "The token is missing or another one",
    403: "The caller may not",
    404: "What was asked for is not there",
    409: "The world cannot do that now",
}


def document(prefix: str, *, has_token: bool, server: str = "") -> dict[str, Any]:
    """The document; `prefix` is where the endpoints are, `server` what all paths begin with."""
    models: dict[str, Any] = {}
    paths: dict[str, dict[str, Any]] = {}
    for route in ROUTES:
        paths.setdefault(prefix + route.path, {})[route.method.lower()] = _operation(route, models, has_token=has_token)
    _reference(Error, models)
    made: dict[str, Any] = {
        "openapi": VERSION,
        "info": {
            "title": "cloudstack-mock: admin endpoints",
            "version": "1",
            "description": "Reset, snapshots, clock, failures, journal and leaks of a world; worlds beside it.",
        },
        "servers": [{"url": server or "/"}],
        "paths": paths,
        "components": {"schemas": models},
    }
    if has_token:
        made["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        made["security"] = [{"token": []}]
    return made


def _operation(route: Route, models: dict[str, Any], *, has_token: bool) -> dict[str, Any]:
    refusals = {400, 401 if has_token else 403, *route.refuses}
    operation: dict[str, Any] = {
        "operationId": route.does,
        "summary": route.summary,
        "responses": {
            str(route.status): {"description": _sentence(route.gives), "content": _content(route.gives, models)},
            **{
                str(status): {"description": _REFUSALS[status], "content": _content(Error, models)}
                for status in sorted(refusals)
            },
        },
    }
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in re.findall(r"\{(\w+)\}", route.path)
    ]
    if route.query is not None:
        for name, field in route.query().fields.items():
            parameters.append({"name": field.data_key or name, "in": "query", "schema": _field(field, models)})
    if parameters:
        operation["parameters"] = parameters
    if route.takes is not None:
        required = any(field.required for field in route.takes().fields.values())
        operation["requestBody"] = {"required": required, "content": _content(route.takes, models)}
    return operation


def _content(schema: type[Schema], models: dict[str, Any]) -> dict[str, Any]:
    return {"application/json": {"schema": _reference(schema, models)}}


def _reference(schema: type[Schema], models: dict[str, Any]) -> dict[str, Any]:
    name = schema.__name__
    if name not in models:
        models[name] = {}  # known before its fields: they may name it
        own = schema().fields
        models[name] = {
            "type": "object",
            "description": _sentence(schema),
            "properties": {field.data_key or key: _field(field, models) for key, field in own.items()},
            "required": [field.data_key or key for key, field in own.items() if field.required],
            "additionalProperties": False,
        }
    return {"$ref": f"#/components/schemas/{name}"}


def _field(field: fields.Field[Any], models: dict[str, Any]) -> dict[str, Any]:
    made: dict[str, Any]
    if isinstance(field, fields.Nested):
        made = _reference(type(field.schema), models)
    elif isinstance(field, fields.List):
        made = {"type": "array", "items": _field(field.inner, models)}
    else:
        known = next((name for kind, name in _TYPES if isinstance(field, kind)), None)
        made = {} if known is None else {"type": [known, "null"] if field.allow_none else known}
    for validator in field.validators:
        if isinstance(validator, validate.Range | validate.Length):
            made |= _bounds(validator, "Length" if isinstance(validator, validate.Length) else "imum")
        elif isinstance(validator, validate.OneOf):
            made["enum"] = list(validator.choices)
    if "description" in field.metadata:
        made["description"] = field.metadata["description"]
    return made


def _bounds(validator: validate.Range | validate.Length, ending: str) -> Mapping[str, Any]:
    found = {f"min{ending}": validator.min, f"max{ending}": validator.max}
    return {name: value for name, value in found.items() if value is not None}


def _sentence(schema: type[Schema]) -> str:
    return (schema.__doc__ or "").strip()
