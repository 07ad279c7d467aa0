"""Numbers of a request's details, which come as texts."""

from __future__ import annotations

MAX_INT = 2**31 - 1
MAX_LONG = 2**63 - 1


def whole_number(text: str | None, most: int = MAX_INT) -> int | None:
    """The number that `text` is; None for none, a negative one, or one above `most`, which Java does not parse."""
    digits = (text or "").strip()
    if not digits.isdecimal() or len(digits) > len(str(most)):
        return None
    number = int(digits)
    return number if number <= most else None
