"""A fault as the command line has it: `NAME[,argument=value...]`."""

from __future__ import annotations

from typing import Any

from mgmt.faults.choices import FaultRefusedError
from mgmt.faults.definitions import TIMES_ALWAYS

_NUMBERS = {"probability": float, "delay_s": float}


def fault_of_line(line: str) -> tuple[str, dict[str, Any]]:
    """The name and the keywords for `FaultEngine.arm`; raises FaultRefusedError for what is no such line."""
    name, *pairs = (part.strip() for part in line.split(","))
    choices: dict[str, Any] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise FaultRefusedError(f"{pair!r}: expected argument=value, such as host=kvm1")
        if key in choices:
            raise FaultRefusedError(f"{key!r} is there twice")
        choices[key] = value
    if "after" in choices:
        raise FaultRefusedError("'after': one fault after another is `fault arm --after`, /mock/faults or Python")
    times = choices.get("times")
    if times is not None and times != TIMES_ALWAYS:
        choices["times"] = _number("times", times, int)
    for key, kind in _NUMBERS.items():
        if key in choices:
            choices[key] = _number(key, choices[key], kind)
    return name, choices


def _number(key: str, text: str, kind: type[Any]) -> Any:
    try:
        return kind(text)
    except ValueError:
        raise FaultRefusedError(f"{key} = {text!r}: expected a number") from None
