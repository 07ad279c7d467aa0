"""JSON text as CloudStack's Gson writes it, and reading it as leniently as agents need.

Written: no blanks; fields of the concrete class first, then those of each superclass; nulls left out; `<`, `>`, `&`,
`=`, `'`, U+2028 and U+2029 escaped; doubles in Java's form (`2.6237516E8`). Upstream: GsonHelper.java, Gson 2.10.1.
"""

from __future__ import annotations

import inspect
import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from functools import cache
from json.encoder import encode_basestring
from typing import Any

import msgspec

_HTML_ESCAPES = {
    "<": "\\u003c",
    ">": "\\u003e",
    "&": "\\u0026",
    "=": "\\u003d",
    "'": "\\u0027",
    "\u2028": "\\u2028",
    "\u2029": "\\u2029",
}
_NEEDS_ESCAPE = re.compile("[<>&='\u2028\u2029]")


class JsonTextError(ValueError):
    """A text that is no JSON document, or one nested too deeply."""


def text_literal(text: str) -> str:
    """`text` as a quoted JSON string with Gson's HTML escaping."""
    literal: str = encode_basestring(text)
    if _NEEDS_ESCAPE.search(literal) is None:
        return literal
    return _NEEDS_ESCAPE.sub(lambda match: _HTML_ESCAPES[match.group()], literal)


def double_literal(number: float) -> str:
    """`number` as Java's `Double.toString` writes it; raises ValueError for NaN and infinities, which Gson refuses."""
    if not math.isfinite(number):
        raise ValueError(f"a JSON number cannot be {number!r}")
    if number == 0:
        return "-0.0" if math.copysign(1.0, number) < 0 else "0.0"
    sign, digits, exponent = Decimal(repr(number)).as_tuple()
    assert isinstance(exponent, int)
    text = "".join(map(str, digits)).rstrip("0") or "0"
    scale = len(digits) + exponent - 1  # the power of ten of the first digit
    prefix = "-" if sign else ""
    if not 1e-3 <= abs(number) < 1e7:
        return f"{prefix}{text[0]}.{text[1:] or '0'}E{scale}"
    if scale < 0:
        return f"{prefix}0.{'0' * (-scale - 1)}{text}"
    text = text.ljust(scale + 1, "0")
    return f"{prefix}{text[: scale + 1]}.{text[scale + 1 :] or '0'}"


@cache
def field_plan(record_class: type[msgspec.Struct]) -> tuple[tuple[str, str, bool], ...]:
    """The fields of a record class in wire order, each as (attribute, `"name":`, is a Java double)."""
    plan: dict[str, tuple[str, str, bool]] = {}
    floats = {
        info.name
        for info in msgspec.structs.fields(record_class)
        if info.type is float or getattr(info.type, "__args__", ())[:1] == (float,)
    }
    for owner in record_class.__mro__:
        for name in inspect.get_annotations(owner):
            if name in record_class.__struct_fields__ and name not in plan:
                plan[name] = (name, text_literal(name) + ":", name in floats)
    return tuple(plan.values())


def write(value: object) -> str:
    """`value` (records, mappings, sequences, plain values) as one line of JSON text.

    Raises TypeError for a value that has no JSON form and ValueError for NaN.
    """
    parts: list[str] = []
    _write(value, parts)
    return "".join(parts)


def _write(value: object, parts: list[str]) -> None:
    writer = _WRITERS.get(type(value)) or _writer_of(value)
    writer(value, parts)


def _writer_of(value: object) -> Callable[[Any, list[str]], None]:
    """The writer of a value whose very class has none: a record, a subclass, another mapping or sequence."""
    if isinstance(value, msgspec.Struct):
        _WRITERS[type(value)] = _write_record  # classes of records are few, and live as long as the process
        return _write_record
    if isinstance(value, Mapping):
        return _write_mapping
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray | str):
        return _write_sequence
    for kind in (str, int, float):
        if isinstance(value, kind):
            return _WRITERS[kind]
    raise TypeError(f"{type(value).__name__} has no JSON form")


def _write_sequence(value: Sequence[object], parts: list[str]) -> None:
    parts.append("[")
    for index, item in enumerate(value):
        if index:
            parts.append(",")
        _write(item, parts)
    parts.append("]")


def _write_mapping(value: Mapping[object, object], parts: list[str]) -> None:
    parts.append("{")
    separator = ""
    for key, item in value.items():
        if item is not None:
            parts.append(f"{separator}{text_literal(str(key))}:")
            _write(item, parts)
            separator = ","
    parts.append("}")


def _write_record(record: msgspec.Struct, parts: list[str]) -> None:
    wrapper: str | None = getattr(record, "wire_wrapper", None)
    if wrapper is not None:  # a DataStoreTO travels inside an object that names its class
        parts.append("{" + text_literal(wrapper) + ":")
    parts.append("{")
    separator = ""
    for attribute, key, is_double in field_plan(type(record)):
        item = getattr(record, attribute)
        if item is None:
            continue
        # most fields are plain: these are written right here, for a call each costs more than all the rest
        kind = type(item)
        if kind is bool:
            parts.append(f"{separator}{key}{'true' if item else 'false'}")
        elif is_double:
            parts.append(f"{separator}{key}{double_literal(float(item))}")
        elif kind is int:
            parts.append(f"{separator}{key}{item}")
        elif kind is str:
            parts.append(f"{separator}{key}{text_literal(item)}")
        elif not item and kind in _EMPTY:
            parts.append(f"{separator}{key}{_EMPTY[kind]}")
        else:
            parts.append(separator + key)
            _write(item, parts)
        separator = ","
    parts.append("}" if wrapper is None else "}}")


_EMPTY: dict[type, str] = {dict: "{}", list: "[]", tuple: "[]"}

_WRITERS: dict[type, Callable[[Any, list[str]], None]] = {
    type(None): lambda _, parts: parts.append("null"),
    bool: lambda value, parts: parts.append("true" if value else "false"),
    str: lambda value, parts: parts.append(text_literal(value)),
    int: lambda value, parts: parts.append(str(value)),
    float: lambda value, parts: parts.append(double_literal(value)),
    dict: _write_mapping,
    list: _write_sequence,
    tuple: _write_sequence,
}


def read(text: bytes) -> Any:  # any JSON value: the caller checks its shape
    """The JSON value in `text`; a byte order mark and whatever follows the value are ignored, as Gson does.

    Raises JsonTextError.
    """
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass  # once more, leniently
    try:
        lenient = text.decode("utf-8", errors="replace").lstrip("\ufeff \t\r\n")
        return json.JSONDecoder(strict=False).raw_decode(lenient)[0]
    except (ValueError, RecursionError) as error:
        raise JsonTextError(f"not a JSON document: {error}") from None
