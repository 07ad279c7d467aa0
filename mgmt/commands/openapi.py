"""The API as an OpenAPI 3.1 document, made from the commands' declarations.

CloudStack has one path and a `command` parameter, which OpenAPI cannot tell apart. Its servlet is mapped to `/api/*`
(client/.../web.xml), so each command gets a path of its own here, which a real server answers as well.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from mgmt.commands.declaration import Declaration
from mgmt.commands.fields import ListOf, MapParam, Out, Param, Response

Json = dict[str, Any]
POSTED = frozenset({"login"})  # refused with 405 by GET

_PARAMETER_TYPES: Mapping[str, Json] = {
    "boolean": {"type": "boolean"},
    "short": {"type": "integer", "minimum": -(2**15), "maximum": 2**15 - 1},
    "integer": {"type": "integer", "format": "int32", "minimum": -(2**31), "maximum": 2**31 - 1},
    "long": {"type": "integer", "format": "int64", "minimum": -(2**63), "maximum": 2**63 - 1},
    "double": {"type": "number"},
}
_FIELD_TYPES: Mapping[str, Json] = {
    "boolean": {"type": "boolean"},
    "short": {"type": "integer"},
    "int": {"type": "integer"},
    "integer": {"type": "integer"},
    "long": {"type": "integer", "format": "int64"},
    "double": {"type": "number"},
    "float": {"type": "number"},
    "string": {"type": "string"},
    "date": {"type": "string", "description": "such as 2026-03-01T10:15:30+0000"},
    "map": {"type": "object"},
    "list": {"type": "array"},
    "set": {"type": "array"},
}
_SECURITY: Json = {
    "apiKey": {"type": "apiKey", "in": "query", "name": "apiKey"},
    "signature": {
        "type": "apiKey",
        "in": "query",
        "name": "signature",
        "description": "Base64 of the HMAC-SHA1, with the secret key, of the sorted, encoded, lower-cased query string",
    },
    "session": {"type": "apiKey", "in": "cookie", "name": "JSESSIONID"},
    "sessionkey": {"type": "apiKey", "in": "query", "name": "sessionkey"},
}
_ERROR: Json = {
    "type": "object",
    "required": ["errorcode", "errortext"],
    "properties": {
        "uuidList": {"type": "array"},
        "errorcode": {"type": "integer"},
        "cserrorcode": {"type": "integer"},
        "errortext": {"type": "string"},
    },
}
_JOB: Json = {
    "type": "object",
    "required": ["jobid"],
    "properties": {"jobid": {"type": "string"}, "id": {"type": "string"}},
}


def openapi_document(declarations: Iterable[Declaration], *, release: str, server: str = "/") -> Json:
    """The document of these commands; `release` is the CloudStack release, `server` what their paths begin with."""
    schemas = _Schemas()
    paths = {f"/client/api/{each.name}": {_method(each): _operation(each, schemas)} for each in declarations}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "CloudStack API",
            "version": release,
            "description": "What cloudstack-mock offers of it. A signed call has apiKey and signature; one of a login "
            "session its cookie and sessionkey.",
        },
        "servers": [{"url": server}],
        "paths": paths,
        "components": {"schemas": schemas.made | {"Error": _ERROR, "Job": _JOB}, "securitySchemes": _SECURITY},
        "security": [{"apiKey": [], "signature": []}, {"session": [], "sessionkey": []}],
    }


def _method(declaration: Declaration) -> str:
    return "post" if declaration.name in POSTED else "get"


def _operation(declaration: Declaration, schemas: _Schemas) -> Json:
    key = declaration.response_key
    answer: Json = {"$ref": "#/components/schemas/Job"} if declaration.is_async else _content(declaration, schemas)
    operation: Json = {
        "operationId": declaration.name,
        "summary": declaration.description,
        "parameters": [_fixed("command", declaration.name), _fixed("response", "json"), *_parameters(declaration)],
        "responses": {
            "200": _json("the answer", _wrapped(key, answer)),
            "default": _json(
                "an error; the status is its errorcode",
                {
                    "type": "object",
                    "minProperties": 1,
                    "maxProperties": 1,
                    "additionalProperties": {"$ref": "#/components/schemas/Error"},
                },
            ),
        },
    }
    if declaration.name in POSTED:
        operation["requestBody"] = _form(operation.pop("parameters"))
        operation["security"] = []
    if declaration.is_async:
        # what queryAsyncJobResult gives as jobresult once the job has ended well
        operation["x-cloudstack-jobresult"] = _content(declaration, schemas)
    if declaration.extension:
        operation["x-cloudstack-mock-extension"] = True
    return operation


def _json(description: str, schema: Json) -> Json:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _wrapped(key: str, content: Json) -> Json:
    return {"type": "object", "required": [key], "properties": {key: content}, "additionalProperties": False}


def _fixed(name: str, value: str) -> Json:
    return {"name": name, "in": "query", "required": True, "schema": {"type": "string", "enum": [value]}}


def _form(parameters: list[Json]) -> Json:
    schema: Json = {
        "type": "object",
        "required": [parameter["name"] for parameter in parameters if parameter["required"]],
        "properties": {parameter["name"]: parameter["schema"] for parameter in parameters},
    }
    return {"required": True, "content": {"application/x-www-form-urlencoded": {"schema": schema}}}


def _parameters(declaration: Declaration) -> list[Json]:
    declared = declaration.params._declared_fields.items()
    return [_parameter(name, field) for name, field in declared if isinstance(field, Param)]


def _parameter(name: str, field: Param) -> Json:
    parameter: Json = {"name": name, "in": "query", "required": field.required, "description": field.description}
    if isinstance(field, MapParam):
        # exploded, the properties are parameters of their own: details[0].cpuNumber=2
        return parameter | {
            "style": "form",
            "explode": True,
            "schema": {
                "type": "object",
                "patternProperties": {rf"^{name}\[\d+\](\.[ -~]+)?$": {"type": "string"}},
                "additionalProperties": False,
            },
        }
    if isinstance(field, ListOf):
        return parameter | {
            "style": "form",
            "explode": False,
            "schema": {"type": "array", "items": _scalar(field.item)},
        }
    return parameter | {"schema": _scalar(field)}


def _scalar(field: Param) -> Json:
    return dict(_PARAMETER_TYPES.get(field.api_type) or {"type": "string", "maxLength": field.max_length})


def _content(declaration: Declaration, schemas: _Schemas) -> Json:
    """What stands under the response key of a sync command, or in the result of a job."""
    if declaration.response is None:
        return {
            "type": "object",
            "properties": {"success": {"type": "boolean"}, "displaytext": {"type": "string"}},
        }
    item = schemas.reference(declaration.response)
    if declaration.object_name is None:
        return {"type": "object"} if declaration.is_list else item
    value: Json = {"anyOf": [item, {"type": "array", "items": item}]}
    if declaration.is_list:
        value = {"type": "array", "items": item}
    return {"type": "object", "properties": {"count": {"type": "integer"}, declaration.object_name: value}}


class _Schemas:
    """The schemas of responses by name, each made when it is first asked for."""

    def __init__(self) -> None:
        self.made: dict[str, Json] = {}
        self._names: dict[type[Response], str] = {}

    def reference(self, response: type[Response]) -> Json:
        """A reference to the schema of these fields."""
        name = self._names.get(response)
        if name is None:
            name = self._free_name(response.catalogue or response.__name__)
            self._names[response] = name
            self.made[name] = {}  # taken, while its fields are looked at
            declared = response._declared_fields.items()
            properties = {key: self._field(field) for key, field in declared if isinstance(field, Out)}
            self.made[name] = {"type": "object", "properties": properties}
        return {"$ref": f"#/components/schemas/{name}"}

    def _free_name(self, wanted: str) -> str:
        name, number = wanted, 1
        while name in self.made:
            number += 1
            name = f"{wanted}{number}"
        return name

    def _field(self, field: Out) -> Json:
        described: Json = {"description": field.description}
        kind = _FIELD_TYPES.get(field.api_type, {})
        if field.nested is None or kind.get("type") not in (None, "array", "object"):  # listApis nests some figures
            return kind | described
        item = self.reference(field.nested)
        return {"type": "array", "items": item} | described if kind.get("type") == "array" else item | described
