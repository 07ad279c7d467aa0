"""From a request's parameters to the typed values that a handler gets, with CloudStack's texts for what is wrong.

Upstream: server/.../api/dispatch/ParamUnpackWorker.java, ParamProcessWorker.java, ParamSemanticValidationWorker.java.
A `Binder` is made once per declaration; binding follows the declaration's order, a class's own fields before the
inherited ones.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, TypeAlias

from marshmallow import ValidationError

from mgmt.commands.declaration import Bound, Declaration, Paging
from mgmt.commands.fields import Date, ListOf, MapParam, Param, Params, Uuid
from mgmt.errors import (
    MALFORMED_PARAMETER_ERROR,
    PARAM_ERROR,
    CloudRuntimeError,
    InvalidParameterValueError,
    ServerApiError,
)

UNLIMITED = -1
DEFAULT_PAGE_SIZE = 500

MapValue: TypeAlias = dict[str, dict[str, str]]
Raw: TypeAlias = str | MapValue
Lookup: TypeAlias = Callable[[str, str], int | None]

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE | re.ASCII)
_INTERNAL_ID = re.compile(r"[+-]?\d{1,19}", re.ASCII)
_INDEX = re.compile(r"[+-]?\d{1,10}", re.ASCII)
_DATE = re.compile(r"\s*(\d{1,9})-\s*(\d{1,9})-\s*(\d{1,9})", re.ASCII)
_DATE_TIME = re.compile(_DATE.pattern + r"\s+(\d{1,9}):\s*(\d{1,9}):\s*(\d{1,9})", re.ASCII)
_LONG_LIMIT = 2**63


class InvalidValueError(Exception):
    """A value that its parameter cannot take; the text goes into `due to invalid value. <text>`."""


class BadDateError(Exception):
    """A text that is no date."""


def is_uuid(text: str) -> bool:
    """True for a text in the form of a UUID, upper or lower case."""
    return _UUID.fullmatch(text) is not None


def unpack(parameters: Mapping[str, str]) -> dict[str, Raw]:
    """Lower-case the names and gather `name[i].field=value` into maps; field names keep their case.

    Raises ServerApiError 430 for bad bracket syntax, also in parameters that nobody knows.
    """
    unpacked: dict[str, Raw] = {}
    for name, value in parameters.items():
        if name.find("[") > 0:
            map_name, index, field = _split_map_name(name)
            entries = unpacked.get(map_name)
            if not isinstance(entries, dict):
                entries = unpacked[map_name] = {}
            entries.setdefault(index, {})[field] = value
        else:
            unpacked[name.lower()] = value
    return unpacked


def _split_map_name(name: str) -> tuple[str, str, str]:
    start, end, dot = name.index("["), name.find("]"), name.find(".")
    index = name[start + 1 : end]
    if (
        name.rindex("[") != start
        or end < start
        or name.rindex("]") != end
        or dot < end
        or not _INDEX.fullmatch(index)
        or not -(2**31) <= int(index) < 2**31
    ):
        raise ServerApiError(
            MALFORMED_PARAMETER_ERROR,
            f"Unable to decode parameter {name}; if specifying an object array, please use "
            "parameter[index].field=XXX, e.g. userGroupList[0].group=httpGroup",
        )
    return name[:start].lower(), index, name[dot + 1 :]


def java_map_text(value: object) -> str:
    """A value as Java's `toString` writes it: `{k=v, k2=v2}`, `[a, b]`, `true`."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}={java_map_text(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(java_map_text(item) for item in value) + "]"
    if isinstance(value, bool):
        return "true" if value else "false"
    return "null" if value is None else str(value)


class Binder:
    """Binds the parameters of one declaration. `command_text` is the X of `API command X` in error texts."""

    def __init__(self, declaration: Declaration, page_limit: int = DEFAULT_PAGE_SIZE) -> None:
        self.command_text = declaration.response_key.removesuffix("response")
        self._is_list = declaration.is_list
        self._page_limit = page_limit
        self._fields = [(name.lower(), name, field) for name, field in ordered_fields(declaration.params)]
        self._defaults: dict[str, Any] = {
            name: None if field.required else field.load_default for _, name, field in self._fields
        } | dict.fromkeys(declaration.params.later)

    def bind(self, raw: Mapping[str, Raw], lookup: Lookup) -> Bound:
        """The values of `raw` (made by `unpack`); `lookup(kind, uuid)` gives an entity's internal number.

        Raises ServerApiError or InvalidParameterValueError with the text of the first field that is wrong.
        """
        values = dict(self._defaults)
        for wire_name, name, field in self._fields:
            value = raw.get(wire_name)
            if value is None:
                if field.required:
                    raise ServerApiError(
                        PARAM_ERROR,
                        f"Unable to execute API command {self.command_text} due to missing parameter {name}",
                    )
                continue
            bound = self._bind_field(name, field, value, lookup)
            if bound is not None:
                values[name] = bound
        paging = self.paging(raw) if self._is_list else None
        bound_values = Bound(values, frozenset(raw), paging)
        bound_values.sent = raw
        return bound_values

    def _bind_field(self, name: str, field: Param, value: Raw, lookup: Lookup) -> Any:
        if field.required and value == "" and field.api_type in ("string", "uuid"):
            raise InvalidParameterValueError(f"Invalid value provided for API arg: {name}")
        prefix = f"Unable to execute API command {self.command_text} due to invalid value"
        try:
            return _convert(name, field, value, lookup)
        except BadDateError:
            text = (
                f"Unable to parse date {java_map_text(value)} for command {self.command_text}, "
                "please pass dates in the format mentioned in the api documentation"
            )
            raise ServerApiError(PARAM_ERROR, text) from None
        except InvalidValueError as error:
            raise ServerApiError(PARAM_ERROR, f"{prefix}. {error}") from None
        except (ValueError, ValidationError):
            raise ServerApiError(PARAM_ERROR, f"{prefix} {java_map_text(value)} for parameter {name}") from None

    def paging(self, raw: Mapping[str, Raw]) -> Paging:
        """The window that `page` and `pagesize` ask for (BaseListCmd, ParamSemanticValidationWorker)."""
        page_text, size_text = raw.get("page"), raw.get("pagesize")
        size = None if size_text is None else _java_long(size_text)
        if page_text is None and size is not None and size != UNLIMITED:
            raise ServerApiError(PARAM_ERROR, '"page" parameter is required when "pagesize" is specified')
        if page_text is not None and size is None:
            raise ServerApiError(PARAM_ERROR, '"pagesize" parameter is required when "page" is specified')
        if size is None:
            return Paging(0, None if self._page_limit == UNLIMITED else self._page_limit)
        if size == UNLIMITED:
            if page_text is not None:
                raise InvalidParameterValueError("Can't specify page parameter when pagesize is -1 (Unlimited)")
            return Paging(0, None)
        if self._page_limit != UNLIMITED and size > self._page_limit:
            raise InvalidParameterValueError(f"Page size can't exceed max allowed page size value: {self._page_limit}")
        if size < 0:
            # upstream hands the negative LIMIT to the database, which refuses it
            raise CloudRuntimeError(f"DB Exception on: LIMIT 0,{size}")
        page = 0 if isinstance(page_text, str) and page_text.isspace() else _java_long(page_text or "")
        return Paging(max(page - 1, 0) * size, size)


def ordered_fields(params: type[Params]) -> list[tuple[str, Param]]:
    """The parameters of a schema class: its own in order of declaration, then those of its bases."""
    fields: dict[str, Param] = {}
    for schema in params.__mro__:
        declared = getattr(schema, "_declared_fields", None)
        if declared is None:
            continue
        inherited = {id(field) for base in schema.__bases__ for field in getattr(base, "_declared_fields", {}).values()}
        for name, field in declared.items():
            if id(field) not in inherited and isinstance(field, Param) and name in params._declared_fields:
                fields.setdefault(name, field)
    return list(fields.items())


def _java_long(text: Raw) -> int:
    if not isinstance(text, str) or not _INTERNAL_ID.fullmatch(text):
        raise ServerApiError(PARAM_ERROR, f'For input string: "{java_map_text(text)}"')
    return int(text)


def _convert(name: str, field: Param, value: Raw, lookup: Lookup) -> Any:
    if isinstance(field, MapParam):
        if isinstance(value, str):
            raise ValueError(value)
        return value
    text = value if isinstance(value, str) else java_map_text(value)
    if isinstance(field, Uuid):
        return internal_id(name, field, text, lookup)
    if isinstance(field, ListOf):
        return [_convert_item(name, field, token, lookup) for token in text.split(",") if token]
    if isinstance(field, Date):
        return parse_date(text, date_only=field.date_only, end_of_day=field.end_of_day)
    if field.api_type == "string":
        if len(text) > field.max_length:
            raise InvalidValueError(
                f"Value greater than max allowed length {field.max_length} for param: {field.java_name or name}"
            )
        return text
    return field.deserialize(text)


def _convert_item(name: str, field: ListOf, token: str, lookup: Lookup) -> Any:
    if isinstance(field.item, Uuid):
        # unlike a single value, a list entry that is no UUID is refused also in parameters with a `since`
        found = internal_id(name, field.item, token, lookup)
        if found is None:
            raise _unknown_entity(name, token)
        return found
    return field.item.deserialize(token)


def internal_id(name: str, field: Uuid, text: str, lookup: Lookup) -> int | None:
    """The internal number that a `uuid` parameter names (ParamProcessWorker.translateUuidToInternalId).

    None means "not given": another value than a UUID in a parameter that has a `since`.
    """
    if text == "-1":
        return -1
    if is_uuid(text):
        for kind in field.entity.split(","):
            found = lookup(kind.strip(), text)
            if found is not None:
                return found
        raise _unknown_entity(name, text)
    if field.since:
        return None
    if not _INTERNAL_ID.fullmatch(text) or not -_LONG_LIMIT <= int(text) < _LONG_LIMIT:
        raise _unknown_entity(name, text)
    return int(text)


def _unknown_entity(name: str, text: str) -> InvalidValueError:
    return InvalidValueError(
        f"Invalid parameter {name} value={text} due to incorrect long value format, or entity does not exist or due to "
        "incorrect parameter annotation for the field in api cmd class."
    )


def parse_date(text: str, *, date_only: bool = False, end_of_day: bool = False) -> datetime:
    """A date as Java's lenient SimpleDateFormat reads it: fields roll over, what follows the date is ignored.

    Raises BadDateError for a text that does not begin with a date.
    """
    match = None if date_only else _DATE_TIME.match(text)
    has_time = match is not None
    match = match or _DATE.match(text)
    if match is None:
        raise BadDateError(text)
    year, month, day, *time_of_day = (int(part) for part in match.groups())
    year, month = year + (month - 1) // 12, (month - 1) % 12 + 1
    if not has_time:
        time_of_day = [23, 59, 59] if end_of_day else [0, 0, 0]
    hours, minutes, seconds = time_of_day
    try:
        return datetime(year, month, 1) + timedelta(days=day - 1, hours=hours, minutes=minutes, seconds=seconds)
    except (ValueError, OverflowError):
        return datetime.max.replace(microsecond=0) if year > 1 else datetime.min
