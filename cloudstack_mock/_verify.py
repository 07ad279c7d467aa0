"""Proofs of what happened: what was seen at the server's edges, on which host, how often.

An expectation that fails says what came nearest and why it did not match.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mgmt.observe.journal import Entry

_ABSENT = object()
MAX_NEAREST = 3
MAX_SHOWN = 200


@dataclass(frozen=True)
class Sightings:
    """The entries of a journal that fit a name and some facts; true in a condition when there is one.

    `assert cloud.saw("ConvertInstanceCommand", useVddk=True).on("kvm2").once()`: each method narrows them or raises
    AssertionError with what came nearest.
    """

    entries: Sequence[Entry]
    name: str
    wanted: Mapping[str, Any]
    host: str | None = None

    def on(self, host: str) -> Sightings:
        """Only those that went to, or came from, that host."""
        return replace(self, host=host)

    @property
    def found(self) -> list[Entry]:
        """The entries that fit."""
        return [entry for entry in self.entries if not self._misses(entry)]

    def __bool__(self) -> bool:
        return bool(self.found)

    def __len__(self) -> int:
        return len(self.found)

    def once(self) -> bool:
        """True when there is exactly one."""
        return self.times(1)

    def times(self, count: int) -> bool:
        """True when there are exactly so many."""
        return self._expect(len(self.found) == count, f"expected {count}")

    def at_least(self, count: int) -> bool:
        """True when there are so many or more."""
        return self._expect(len(self.found) >= count, f"expected at least {count}")

    def never(self) -> bool:
        """True when there is none."""
        found = self.found
        return self._expect(not found, "expected none", found)

    def before(self, other: Sightings) -> bool:
        """True when the first of these came before the first of the others; both have to be there."""
        self.at_least(1)
        other.at_least(1)
        mine, theirs = self.found[0], other.found[0]
        if mine.number > theirs.number:
            raise AssertionError(f"{self!r} came after {other!r}: {_line(theirs)}, then {_line(mine)}")
        return True

    def __repr__(self) -> str:
        given = "".join(f", {name}={value!r}" for name, value in self.wanted.items())
        where = f" on {self.host}" if self.host else ""
        return f"{self.name}{given}{where}"

    def _expect(self, is_so: bool, what: str, shown: Sequence[Entry] = ()) -> bool:
        if is_so:
            return True
        found = self.found
        lines = [f"{self!r}: {what}, saw {len(found)}"]
        lines += [f"  saw {_line(entry)}" for entry in (shown or found)[:MAX_NEAREST]]
        if not found:
            lines += self._nearest()
        raise AssertionError("\n".join(lines))

    def _nearest(self) -> list[str]:
        """What fits in most, and why it does not in all."""
        missed = [(self._misses(entry), entry) for entry in self.entries]
        same_name = [(misses, entry) for misses, entry in missed if not any(name == "name" for name, _ in misses)]
        nearest = sorted(same_name or missed, key=lambda item: len(item[0]))[:MAX_NEAREST]
        if not same_name:
            names = list(dict.fromkeys(entry.name for entry in self.entries))
            import difflib

            near = difflib.get_close_matches(self.name, names, n=MAX_NEAREST, cutoff=0.4)
            return [f"  nothing of that name; near it are {', '.join(near) or 'none'}"]
        return [f"  nearest {_line(entry)}: " + "; ".join(reason for _, reason in misses) for misses, entry in nearest]

    def _misses(self, entry: Entry) -> list[tuple[str, str]]:
        """What about the entry does not fit, as field and words."""
        if not fnmatch.fnmatchcase(entry.name, self.name):
            return [("name", f"it is {entry.name}")]
        misses = []
        fields = entry.fields
        if self.host is not None and fields.get("host") != self.host:
            misses.append(("host", f"on {fields.get('host')}, not on {self.host}"))
        for name, wanted in self.wanted.items():
            value = fact(fields, name)
            if not _fits(value, wanted):
                shown = "is not there" if value is _ABSENT else f"is {value!r}"
                misses.append((name, f"{name} {shown}, not {_wanted_text(wanted)}"))
        return misses


def fact(fields: Mapping[str, Any], name: str) -> Any:
    """A fact of an entry: of its command or answer, of an API call's parameters, of the entry itself.

    `a__b` is `b` in `a`.
    """
    for place in (fields.get("content"), fields.get("parameters"), fields):
        value: Any = place
        for part in name.split("__"):
            value = value.get(part, _ABSENT) if isinstance(value, Mapping) else _ABSENT
        if value is not _ABSENT:
            return value
    return _ABSENT


def _fits(value: Any, wanted: Any) -> bool:
    if value is _ABSENT:
        return False
    if callable(wanted):
        return bool(wanted(value))
    if isinstance(wanted, str) and isinstance(value, str):
        return value == wanted or fnmatch.fnmatchcase(value, wanted)
    return bool(value == wanted)


def _wanted_text(wanted: Any) -> str:
    if isinstance(wanted, Callable):  # type: ignore[arg-type]
        return f"what {getattr(wanted, '__name__', 'the condition')} wants"
    return repr(wanted)


def _line(entry: Entry) -> str:
    where = f" {entry.fields['direction']} {entry.fields['host']}" if "direction" in entry.fields else ""
    return f"#{entry.number} {entry.kind} {entry.name}{where}"[:MAX_SHOWN]
