"""Answers as text: CloudStack's JSON and XML.

Upstream: server/.../response/ApiResponseSerializer.java, ResponseObjectTypeAdapter.java, EncodedStringTypeAdapter.java.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from mgmt.api.binding import java_map_text
from mgmt.commands.declaration import Declaration, Fields, Item, Listing, Result, Success
from mgmt.commands.fields import Out, Response
from mgmt.inventory.answers import Finished, clean

XML_HEAD = '<?xml version="1.0" encoding="UTF-8"?>'

_encoder = msgspec.json.Encoder()
_ESCAPED_CONTROL = re.compile(rb"(?<!\\)((?:\\\\)*)\\u00([0-9a-fA-F]{2})")
_XML_ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&apos;"})


def content(result: Result, object_name: str | None) -> dict[str, Any]:
    """What stands under the response key, cleaned. A list without a match is `{}`."""
    if isinstance(result, Listing):
        body: dict[str, Any] = {}
        if result.count and not result.omit_count:
            body["count"] = result.count
        if result.items:
            body[result.object_name or object_name or ""] = clean(result.items)
        return body
    if isinstance(result, Item):
        return {result.object_name or object_name or "": clean(result.fields)}
    if isinstance(result, Success):
        return {"success": True} if result.text is None else {"success": True, "displaytext": result.text}
    fields = clean(result.fields)
    assert isinstance(fields, dict)
    return fields


def job_content(result: Result, object_name: str | None) -> dict[str, Any]:
    """A result as a job's `jobresult`: like `content`, but a success text is called `details`."""
    if isinstance(result, Success) and result.text is not None:
        return {"success": True, "details": result.text}
    return content(result, object_name)


def json_body(key: str, fields: Mapping[str, Any]) -> bytes:
    """`{"key":{...}}` without blanks. Control characters stand raw, as the real server leaves them."""
    kept = {
        name: [item.json for item in value]
        for name, value in fields.items()
        if type(value) is list and value and all(type(item) is Finished for item in value)
    }
    body = _encoder.encode({key: {**fields, **kept} if kept else fields})
    if b"\\u00" in body:
        body = _ESCAPED_CONTROL.sub(lambda match: match[1] + bytes([int(match[2], 16)]), body)
    return body


# XML --------------------------------------------------------------------------------------------------------------


class XmlRenderer:
    """Writes XML for the commands of one server.

    Whether an object is a nested response or a map (Java's text form) only the response schema knows; `declarations`
    tell it for job results, whose schema is that of the command that made them.
    """

    def __init__(self, declarations: Iterable[Declaration]) -> None:
        # declarations, and not yet their schemas: some are made when they are first asked for
        self._by_object: dict[str, Declaration] = {}
        for declaration in declarations:
            if declaration.object_name:
                self._by_object.setdefault(declaration.object_name, declaration)

    def result(self, key: str, version: str | None, result: Result, declaration: Declaration) -> bytes:
        """An answer's document; `version` is the value of `cloud-stack-version`, None for no attribute."""
        schema = declaration.response
        body = content(result, declaration.object_name)
        if isinstance(result, Fields):
            inner = "".join(self._object(body, schema))
        else:
            inner = "".join(self._wrapped(body, schema))
        return _document(key, version, inner)

    def plain(self, key: str, version: str | None, fields: Mapping[str, Any]) -> bytes:
        """A document of plain fields (the start of a job)."""
        return _document(key, version, "".join(self._object(fields, None)))

    def error(self, key: str, version: str | None, fields: Mapping[str, Any]) -> bytes:
        """An error's document; an empty `uuidList` is left out."""
        parts = []
        for name, value in fields.items():
            if name != "uuidList":
                parts.append(f"<{name}>{_escape(value)}</{name}>")
            elif value:
                entries = "".join(
                    f"<uuid>{_escape(entry.get('uuid', ''))}</uuid>"
                    f"<uuidProperty>{_escape(entry.get('description', ''))}</uuidProperty>"
                    for entry in value
                )
                parts.append(f"<uuidList>{entries}</uuidList>")
        return _document(key, version, "".join(parts))

    def _wrapped(self, body: Mapping[str, Any], schema: type[Response] | None) -> Iterator[str]:
        for name, value in body.items():
            if isinstance(value, list):
                for item in value:
                    yield f"<{name}>{''.join(self._object(item, schema))}</{name}>"
            elif isinstance(value, Mapping):
                yield f"<{name}>{''.join(self._object(value, schema))}</{name}>"
            else:
                yield f"<{name}>{_escape(value)}</{name}>"

    def _object(self, fields: Mapping[str, Any], schema: type[Response] | None) -> Iterator[str]:
        declared = schema._declared_fields if schema is not None else {}
        for name, value in fields.items():
            field = declared.get(name)
            nested = field.nested if isinstance(field, Out) else None
            if name == "jobresult" and isinstance(value, Mapping):
                yield f"<{name}>{''.join(self._job_result(value))}</{name}>"
            elif isinstance(value, list):
                for item in value:
                    yield f"<{name}>{self._value(item, nested)}</{name}>"
            elif isinstance(value, Mapping) and isinstance(field, Out) and field.api_type == "map":
                yield f"<{name}>{_escape(java_map_text(value))}</{name}>"
            else:
                yield f"<{name}>{self._value(value, nested)}</{name}>"

    def _job_result(self, result: Mapping[str, Any]) -> Iterator[str]:
        for name, value in result.items():
            if isinstance(value, Mapping):
                declaration = self._by_object.get(name)
                schema = None if declaration is None else declaration.response
                yield f"<{name}>{''.join(self._object(value, schema))}</{name}>"
            else:
                yield f"<{name}>{_escape(value)}</{name}>"

    def _value(self, value: Any, nested: type[Response] | None) -> str:
        if isinstance(value, Mapping):
            return "".join(self._object(value, nested)) if value or nested else "{}"
        return _escape(value)


def _document(key: str, version: str | None, inner: str) -> bytes:
    attribute = "" if version is None else f' cloud-stack-version="{_escape(version)}"'
    return f"{XML_HEAD}<{key}{attribute}>{inner}</{key}>".encode()


def _escape(value: Any) -> str:
    if isinstance(value, list | Mapping | bool):
        return java_map_text(value).translate(_XML_ESCAPES)
    return str(value).translate(_XML_ESCAPES)
