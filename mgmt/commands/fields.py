"""Parameter and response fields of API commands, on marshmallow.

A parameter field knows CloudStack's type name, its `since` and the entities a UUID may name; a response field knows the
type name that listApis shows. Binding follows server/.../api/dispatch/ParamProcessWorker.java and is done at the HTTP
edge (`mgmt.api.binding`), which calls `deserialize` and puts the texts of api-gateway around its failures.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from marshmallow import Schema, fields, missing

MAX_LENGTH = 255


class Param(fields.Field[Any]):
    """A request parameter. `description` is shown by listApis; `since` is the CloudStack release that brought it.

    `extension`: CloudStack has no such parameter, it is there when the server runs with `--extensions`.
    """

    api_type: ClassVar[str] = "string"

    def __init__(
        self,
        description: str,
        *,
        required: bool = False,
        since: str | None = None,
        default: Any = None,
        max_length: int = MAX_LENGTH,
        related: str | None = None,
        java_name: str | None = None,
        extension: bool = False,
    ) -> None:
        super().__init__(
            required=required,
            load_default=missing if required else default,
            metadata={"description": description, "since": since, "length": max_length, "related": related},
        )
        self.description = description
        self.since = since
        self.max_length = max_length
        self.java_name = java_name
        self.extension = extension


class Str(Param):
    """Text, at most `max_length` characters."""


class Boolean(Param):
    """`true` in any case is true, every other value is false, as in CloudStack."""

    api_type = "boolean"

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> bool:
        return str(value).lower() == "true"


class Integer(Param):
    """A 32-bit number; blank means not given."""

    api_type = "integer"
    bits: ClassVar[int] = 32

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> int | None:
        text = str(value)
        if not text.strip() and self.api_type == "integer":
            return None
        if not re.fullmatch(r"[+-]?\d+", text, re.ASCII) or not -(2 ** (self.bits - 1)) <= int(text) < 2 ** (
            self.bits - 1
        ):
            raise ValueError(text)
        return int(text)


class Long(Integer):
    """A 64-bit number; blank is an error."""

    api_type = "long"
    bits = 64


class Short(Integer):
    """A 16-bit number; blank is an error."""

    api_type = "short"
    bits = 16


class Double(Param):
    """A decimal number; blank means not given."""

    api_type = "double"

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> float | None:
        text = str(value).strip()
        return float(text) if text else None


class Uuid(Param):
    """The UUID of an entity. `entity` names the look-up kinds of `mgmt.inventory.lookup`, such as `zone`.

    Bound to the internal number: a UUID is looked up (removed rows too), another value counts as an internal number
    when the parameter has no `since`, and -1 passes as "none".
    """

    api_type = "uuid"

    def __init__(self, description: str, *, entity: str, **kwargs: Any) -> None:
        super().__init__(description, **kwargs)
        self.entity = entity


class Date(Param):
    """`yyyy-MM-dd`, or with a time for event, alert and usage commands; bound to a naive UTC datetime.

    With `date_only` a time of day in the value is ignored; with `end_of_day` a bare date means its last second.
    """

    api_type = "date"

    def __init__(self, description: str, *, end_of_day: bool = False, date_only: bool = False, **kwargs: Any) -> None:
        super().__init__(description, **kwargs)
        self.end_of_day = end_of_day
        self.date_only = date_only


class ListOf(Param):
    """Comma-separated values; empty ones are dropped. `item` is the parameter that reads each."""

    api_type = "list"

    def __init__(self, description: str, item: Param, **kwargs: Any) -> None:
        super().__init__(description, **kwargs)
        self.item = item


class MapParam(Param):
    """`name[i].key=value`; bound to `{index text: {key: value}}` in the order of the request."""

    api_type = "map"


class Params(Schema):
    """Base of parameter schemas. The order of declaration is the order of binding.

    `later` are parameters that the server's release does not have: a handler finds None for them.
    """

    later: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def narrowed(cls, is_known: Callable[[object], bool]) -> type[Params]:
        """This schema without the parameters that are not known; those become `later`."""
        unknown = [name for name, field in cls._declared_fields.items() if not is_known(field)]
        if not unknown:
            return cls
        known: type[Params] = type(cls.__name__, (cls,), {"__doc__": cls.__doc__, "later": tuple(unknown)})
        for name in unknown:
            del known._declared_fields[name]
        return known


class ListParams(Params):
    """Base of list commands: adds keyword, page and pagesize."""

    keyword = Str("a text that the listed names must contain")
    page = Integer("the page to show, from 1; goes with pagesize")
    pagesize = Integer("how many entries a page has; goes with page")


class Out(fields.Field[Any]):
    """A response field of CloudStack type `api_type`, with the description that listApis shows."""

    def __init__(self, api_type: str, description: str, *, nested: type[Response] | None = None) -> None:
        super().__init__(metadata={"description": description})
        self.api_type = api_type
        self.description = description
        self.nested = nested


class Response(Schema):
    """Base of response schemas. The order of declaration is the order in answers and in listApis.

    `catalogue` is the name of the response class in the catalogue, such as `ZoneResponse`.
    """

    catalogue: ClassVar[str] = ""
