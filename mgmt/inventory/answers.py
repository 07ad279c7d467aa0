"""Answers as they are sent: without what is not known, times as text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import cached_property
from typing import Any

import msgspec

_encoder = msgspec.json.Encoder()
_PLAIN = frozenset({str, int, bool, float, type(None)})


class Finished(dict[str, Any]):
    """An answer that `clean` has gone over. Others may hold it as well: nobody changes it."""

    @cached_property
    def json(self) -> msgspec.Raw:
        """Itself as JSON, made once."""
        return msgspec.Raw(_encoder.encode(self))


def date_text(moment: datetime) -> str:
    """A naive UTC time as CloudStack writes it: `2026-03-01T10:15:30+0000`."""
    return moment.isoformat(timespec="seconds") + "+0000"


def clean(value: Any) -> Any:
    """`value` without None entries, with times as text; what JSON and job records are made from."""
    kind = type(value)
    if kind in _PLAIN:
        return value
    if kind is dict:  # by far the most frequent, and an abstract class is slow to ask
        return {key: item if type(item) in _PLAIN else clean(item) for key, item in value.items() if item is not None}
    if kind is Finished:
        return value
    if isinstance(value, datetime):
        return date_text(value)
    if isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, Mapping):
        return clean(dict(value))
    if isinstance(value, Iterable):
        return [clean(item) for item in value if item is not None]
    return str(value)
