"""What differs between a recorded message and a live one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from mgmt.recording.lines import ANY_VALUE
from mgmt.recording.replay import simple

# What is another in each run: identities, random numbers, times. Their types are compared, not their values.
VARYING = frozenset(
    {
        "hostId", "hostUuid", "dcId", "id", "interval", "logid", "job", "physicalNetworkId",
        "averageLoad", "cpuUtilization", "networkReadKBs", "networkWriteKBs", "freeMemoryKBs",
    }
)  # fmt: skip
IDENTITY = re.compile('id: "[^"]*"')


def shape(value: Any) -> Any:
    """A value's type by name, its fields and the form of a list's first element."""
    if isinstance(value, dict):
        return {key: shape(item) for key, item in value.items()}
    if isinstance(value, list):
        return [shape(item) for item in value[:1]]
    return "number" if isinstance(value, int | float) and not isinstance(value, bool) else type(value).__name__


def differing(recorded: Any, live: Any, *, values: bool | str, where: str = "") -> Iterator[str]:
    """The places where two messages' contents differ in their form, and with `values` in what they say.

    `values` may name the one field whose value counts.
    """
    if isinstance(recorded, str) and recorded in ANY_VALUE and isinstance(live, str):
        return
    if isinstance(recorded, dict) and isinstance(live, dict):
        for key in dict.fromkeys((*recorded, *live)):
            if key == "contextMap":  # numbers for logs
                continue
            place = f"{where}.{simple(key)}" if where else simple(key)
            if (key in recorded) != (key in live):
                yield f"{place} {'is missing' if key in recorded else 'is there'}"
            else:
                inner = (
                    values == key
                    or (values is True and key not in VARYING)
                    or (values if isinstance(values, str) else False)
                )
                yield from differing(recorded[key], live[key], values=inner, where=place)
    elif isinstance(recorded, list) and isinstance(live, list):
        if len(recorded) != len(live) and (values is True or not recorded or not live):
            yield f"{where} has {len(live)} elements, not {len(recorded)}"
        for one, other in zip(recorded, live, strict=False):
            yield from differing(one, other, values=values, where=f"{where}[]" if where else "")
    elif shape(recorded) != shape(live) or (
        _said(recorded) != _said(live) and (values is True or isinstance(recorded, bool))
    ):
        yield f"{where} is {live!r}, not {recorded!r}"


def _said(value: Any) -> Any:
    """A value; texts without the numbers that identify what they speak of."""
    return IDENTITY.sub("N", value) if isinstance(value, str) else value
