"""What a user may choose of a fault, and the refusal of anything else."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping
from typing import Any

from mgmt.faults.definitions import TIMES_ALWAYS, Fault

MATCHES = ("vm", "host", "vcenter", "pool", "disk", "command", "attempt", "tool")
"""What a user may narrow every fault to, where the fault's points know it."""

OPTIONS = ("times", "probability", "delay_s")
"""What says of every fault when and how often."""


class FaultRefusedError(ValueError):
    """A fault that is not known, or cannot be had so; the text says what there is."""


def nearest(name: str, names: Collection[str]) -> str:
    """`: near it are a, b` where some of `names` are near, else an empty text."""
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.4)
    return f": near it are {', '.join(near)}" if near else ""


def check_numbers(times: int | str | None, probability: float, delay_s: float) -> None:
    """Raise FaultRefusedError for numbers that say of no fault when and how often."""
    if times is not None and times != TIMES_ALWAYS and not (isinstance(times, int) and times > 0):
        raise FaultRefusedError(f"times = {times!r}: expected a number above 0 or 'always'")
    if not 0 < probability <= 1:
        raise FaultRefusedError(f"probability = {probability!r}: expected a number above 0 and not above 1")
    if delay_s < 0:
        raise FaultRefusedError(f"delay_s = {delay_s!r}: expected a number of seconds that is not negative")


def split_choices(fault: Fault, choices: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """The fault's arguments with what was chosen, and what it is narrowed to; raises FaultRefusedError."""
    values = {name: argument.default for name, argument in fault.args.items()}
    matches: dict[str, str] = {}
    for key, value in choices.items():
        argument = fault.args.get(key)
        if argument is None and key in MATCHES:
            matches[key] = str(value)
            continue
        if argument is None:
            names = [*fault.args, *MATCHES, *OPTIONS]
            raise FaultRefusedError(
                f"{fault.name} has no argument {key!r}{nearest(key, names)}; expected one of {', '.join(names)}"
            )
        if isinstance(argument.default, int | float) and not isinstance(argument.default, bool):
            try:
                value = type(argument.default)(value)
            except (TypeError, ValueError):
                raise FaultRefusedError(f"{fault.name}: {key} = {value!r}: expected a number") from None
        if argument.choices and value not in argument.choices:
            shown = ", ".join(map(str, argument.choices))
            raise FaultRefusedError(f"{fault.name}: {key} = {value!r}: expected one of {shown}")
        values[key] = value
    return values, matches
