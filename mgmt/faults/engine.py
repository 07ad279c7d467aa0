"""The engine: which faults are armed, and what is to be done when an edge passes a point."""

from __future__ import annotations

import difflib
import fnmatch
import itertools
import logging
import random
import string
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mgmt.faults.choices import FaultRefusedError, check_numbers, nearest, split_choices
from mgmt.faults.definitions import TIMES_ALWAYS, Effect, Fault, Rule, load_faults, shipped_faults
from mgmt.faults.mocks import SimulatorMocks
from mgmt.faults.points import POINTS, WORLD_EFFECTS
from mgmt.providers import Clock

logger = logging.getLogger(__name__)

Undo = Callable[[], None]
Performer = Callable[[Mapping[str, Any], Mapping[str, object]], Undo | None]
"""Does an effect on the world; gets the effect's arguments and the point's facts, and gives back how to undo it."""

Check = Callable[[Mapping[str, Any]], None]
"""Raises FaultRefusedError for arguments of an effect that name what is not there."""


@dataclass(eq=False)
class ArmedFault:
    """A fault that waits for its moment, or has had it."""

    fault: Fault
    values: Mapping[str, Any]
    matches: Mapping[str, str]
    times: int | str | None
    probability: float
    due_s: float
    after: ArmedFault | None
    number: int = 0
    """Counts up in its engine."""
    warnings: tuple[str, ...] = ()
    """What may keep it from happening, for people."""
    is_armed: bool = True
    fired: int = 0
    _counts: dict[int, int] = field(default_factory=dict)
    _asked: dict[tuple[int, object, object], int] = field(default_factory=dict)
    _undos: list[Undo] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The fault's dotted name."""
        return self.fault.name


@dataclass(frozen=True)
class SavedFault:
    """How a fault was armed, for `FaultEngine.load_saved`."""

    armed: ArmedFault
    remaining_delay_s: float


class FaultEngine:
    """The armed faults of one world; thread-safe. `on_fired` hears of each effect before the edge does it."""

    def __init__(
        self,
        clock: Clock,
        *,
        seed: int = 0,
        faults: Mapping[str, Fault] | None = None,
        on_fired: Callable[[ArmedFault, str, Effect, Mapping[str, object]], None] | None = None,
    ) -> None:
        self._clock = clock
        self._seed = seed
        self._faults = faults
        self._own: dict[str, Fault] = {}
        self._on_fired = on_fired
        self._armed: list[ArmedFault] = []
        self._attempts: dict[object, int] = {}
        self._performers: dict[str, Performer] = {}
        self._checks: dict[str, Check] = {}
        self._there: dict[str, Callable[[], Collection[str]]] = {}
        self.mocks = SimulatorMocks()
        """What CloudStack's simulator commands asked for."""
        self._numbers = itertools.count(1)
        self._watches: dict[str, Callable[[], None]] = {}
        self._lock = threading.RLock()

    @property
    def known(self) -> Mapping[str, Fault]:
        """All faults by name."""
        return {**(self._faults if self._faults is not None else shipped_faults()), **self._own}

    def load(self, path: Path) -> None:
        """Know the faults of a YAML file too, before shipped ones of the same name; raises FaultFileError."""
        self._own.update({fault.name: fault for fault in load_faults(path)})

    @property
    def armed(self) -> list[ArmedFault]:
        """The faults that are armed, in the order in which they were."""
        with self._lock:
            return list(self._armed)

    def performs(self, kind: str, performer: Performer, *, check: Check | None = None) -> None:
        """Name who does an effect on the world of that kind, and who looks at what is wanted when it is armed."""
        self._performers[kind] = performer
        if check is not None:
            self._checks[kind] = check

    def knows(self, key: str, there: Callable[[], Collection[str]]) -> None:
        """Name who knows what there is that `key` (`host`, `vm`) can narrow a fault to."""
        self._there[key] = there

    def watches(self, point: str, begin: Callable[[], None]) -> None:
        """Name who makes a point ask that costs something to watch: called each time a fault of that point is armed."""
        self._watches[point] = begin

    # Arming -------------------------------------------------------------------------------------------------------

    def arm(
        self,
        name: str,
        /,
        *,
        times: int | str | None = None,
        probability: float = 1.0,
        delay_s: float = 0.0,
        after: ArmedFault | None = None,
        **choices: Any,
    ) -> ArmedFault:
        """Arm a fault; `choices` are its arguments and what it is narrowed to (`vm`, `host`, ...).

        `times`: how often each of its rules fires (a number or 'always'; by default what the fault says). `delay_s`:
        from when on, on the world's clock. `after`: only once that fault has fired. Raises FaultRefusedError, also for
        a host or VM that is not there; for one that comes later, a pattern (`new*`) is taken with a warning.
        """
        fault = self._find(name)
        if not fault.rules:
            raise FaultRefusedError(f"{name} is nothing to arm: the request brings it about by itself ({fault.text})")
        check_numbers(times, probability, delay_s)
        values, matches = split_choices(fault, choices)
        rules = [rule for rule in fault.rules if _is_given(rule, values)]
        known = frozenset().union(*(POINTS[rule.at].facts for rule in rules)) if rules else frozenset()
        for key in matches:
            if key not in known:
                raise FaultRefusedError(
                    f"{name} cannot be narrowed by {key}: where it happens, known are {', '.join(sorted(known)) or '-'}"
                )
        warnings = tuple(warning for key, wanted in matches.items() if (warning := self._missing(name, key, wanted)))
        for effect in (effect for rule in rules for effect in rule.effects):
            if effect.kind in WORLD_EFFECTS and effect.kind not in self._performers:
                raise FaultRefusedError(
                    f"{name} needs a world that can do {effect.kind!r}: start it with its own parts"
                )
            if effect.kind in self._checks:
                self._checks[effect.kind](_filled(effect.args, values))
        due_s = self._clock.monotonic() + delay_s
        for point in dict.fromkeys(rule.at for rule in rules):
            if point in self._watches:
                self._watches[point]()
        armed = ArmedFault(
            fault, values, matches, times, probability, due_s, after, number=next(self._numbers), warnings=warnings
        )
        with self._lock:
            self._armed.append(armed)
        try:
            for rule in rules:
                if rule.at == "arming":
                    armed.fired += 1
                    self._perform(armed, rule, {})
        except BaseException:
            self.disarm(armed)
            raise
        for warning in warnings:
            logger.warning("fault %s", warning)
        return armed

    def _missing(self, name: str, key: str, wanted: str) -> str | None:
        """A warning for a pattern that nothing fits yet; raises FaultRefusedError for a name that is not there."""
        if key not in self._there:
            return None
        there = self._there[key]()
        if any(fnmatch.fnmatchcase(each, wanted) for each in there):
            return None
        if any(sign in wanted for sign in "*?["):
            return f"{name}: nothing fits {key} = {wanted!r} yet"
        raise FaultRefusedError(
            f"{name}: there is no {key} {wanted!r}{nearest(wanted, there)}; "
            f"for one that comes later write a pattern, such as {key}={wanted}*"
        )

    def disarm(self, armed: ArmedFault) -> None:
        """Take a fault back, and undo what it changed in the world; what it did to an import stays done."""
        with self._lock:
            armed.is_armed = False
            if armed in self._armed:
                self._armed.remove(armed)
            undos, armed._undos = armed._undos, []
        for undo in reversed(undos):
            undo()

    def clear(self) -> None:
        """Take all faults back."""
        for armed in reversed(self.armed):
            self.disarm(armed)
        with self._lock:
            self._attempts.clear()

    def save(self) -> tuple[SavedFault, ...]:
        """The armed faults, for `load_saved`."""
        now_s = self._clock.monotonic()
        return tuple(SavedFault(armed, max(0.0, armed.due_s - now_s)) for armed in self.armed)

    def load_saved(self, saved: Sequence[SavedFault]) -> None:
        """Arm these very faults, and no others, as if they had not fired yet; with the chances of the seed anew."""
        self.clear()
        for entry in saved:
            armed = entry.armed
            armed.is_armed, armed.fired = True, 0
            armed._counts.clear()
            armed._asked.clear()
            armed.due_s = self._clock.monotonic() + entry.remaining_delay_s
            with self._lock:
                self._armed.append(armed)
            for rule in armed.fault.rules:
                if rule.at == "arming" and _is_given(rule, armed.values):
                    armed.fired += 1
                    self._perform(armed, rule, {})

    # Asking -------------------------------------------------------------------------------------------------------

    def hit(self, point: str, facts: Mapping[str, object]) -> Sequence[Effect]:
        """What is to be done at the point; an edge that counts tells `percent` and `percent_before` (and `bytes`)."""
        mocked = self.mocks.effects(facts) if point == "agent.command" and len(self.mocks) else []
        if not self._armed:
            return mocked
        facts = self._with_attempt(point, facts)
        found: list[Effect] = mocked
        for armed, index, rule in self._matching(point, facts):
            if self._takes(armed, index, rule, facts):
                found.extend(self._perform(armed, rule, facts))
        return found

    def positions(self, point: str, facts: Mapping[str, object]) -> Sequence[float]:
        """At which percent the edge has to ask beside those that it would ask at; it tells `bytes_total`."""
        if not self._armed:
            return ()
        total = facts.get("bytes_total")
        found = []
        for armed, _, rule in self._matching(point, facts):
            percent = _percent(armed, rule, total if isinstance(total, int) else 0)
            if percent is not None and 0 <= percent <= 100:
                found.append(percent)
        return found

    def _with_attempt(self, point: str, facts: Mapping[str, object]) -> Mapping[str, object]:
        """The facts with the number of this attempt to import the VM, counted while faults are armed."""
        vm = facts.get("vm")
        if vm is None:
            return facts
        with self._lock:
            if point == "job":
                self._attempts[vm] = self._attempts.get(vm, 0) + 1
            return {**facts, "attempt": self._attempts.get(vm, 1)}

    def _matching(self, point: str, facts: Mapping[str, object]) -> Iterator[tuple[ArmedFault, int, Rule]]:
        for armed in self.armed:
            if self._clock.monotonic() < armed.due_s or (armed.after is not None and not armed.after.fired):
                continue
            for index, rule in enumerate(armed.fault.rules):
                if rule.at == point and _is_given(rule, armed.values) and _fits(armed, rule, facts):
                    yield armed, index, rule

    def _takes(self, armed: ArmedFault, index: int, rule: Rule, facts: Mapping[str, object]) -> bool:
        """Whether the rule fires now; counts it."""
        if rule.at_percent is not None or rule.after_bytes is not None:
            total = facts.get("bytes_total")
            percent = _percent(armed, rule, total if isinstance(total, int) else 0)
            now, before = facts.get("percent"), facts.get("percent_before")
            if percent is None or not isinstance(now, int | float) or not isinstance(before, int | float):
                return False
            if not before < percent <= now:
                return False
        elif "percent" in facts:
            return False
        with self._lock:
            limit = armed.times if armed.times is not None else rule.times
            if limit != TIMES_ALWAYS and armed._counts.get(index, 0) >= int(limit):
                return False
            if armed.probability < 1 and self._chance(armed, index, facts) >= armed.probability:
                return False
            armed._counts[index] = armed._counts.get(index, 0) + 1
            armed.fired += 1
        return True

    def _chance(self, armed: ArmedFault, index: int, facts: Mapping[str, object]) -> float:
        """A number from 0 to 1 that follows from the seed, and from how often this VM or host was looked at.

        So it does not matter who of several at one time comes first. No secret.
        """
        who = (index, facts.get("vm"), facts.get("host"))
        number = armed._asked[who] = armed._asked.get(who, 0) + 1
        place = self._armed.index(armed) if armed in self._armed else 0
        return random.Random(f"{self._seed} {armed.name} {place} {who} {number}").random()

    def _perform(self, armed: ArmedFault, rule: Rule, facts: Mapping[str, object]) -> list[Effect]:
        """Do what the world has to do, and give back what the edge has to."""
        left: list[Effect] = []
        for effect in rule.effects:
            filled = Effect(effect.kind, _filled(effect.args, {**facts, **armed.values}))
            logger.info("fault %s at %s: %s", armed.name, rule.at, effect.kind)
            if self._on_fired is not None:
                self._on_fired(armed, rule.at, filled, facts)
            if effect.kind in WORLD_EFFECTS:
                undo = self._performers[effect.kind](filled.args, facts)
                if undo is not None:
                    with self._lock:
                        armed._undos.append(undo)
            else:
                left.append(filled)
        return left

    def _find(self, name: str) -> Fault:
        fault = self.known.get(name)
        if fault is not None:
            return fault
        near = difflib.get_close_matches(name, self.known, n=3, cutoff=0.4)
        same = [known for known in self.known if known.partition(".")[2] == name.rpartition(".")[2]]
        shown = list(dict.fromkeys([*same, *near]))[:3]
        hint = f"; near it are {', '.join(shown)}" if shown else ""
        raise FaultRefusedError(f"no fault is named {name!r}{hint}")


def _is_given(rule: Rule, values: Mapping[str, Any]) -> bool:
    return all(values.get(key) == value for key, value in rule.given.items())


def _fits(armed: ArmedFault, rule: Rule, facts: Mapping[str, object]) -> bool:
    known = POINTS[rule.at].facts
    for key, wanted in armed.matches.items():
        # a rule whose point does not know it is there to support the others
        if key in known and not fnmatch.fnmatchcase(str(facts.get(key)), wanted):
            return False
    for key, wanted in rule.where.items():
        wanted = _fill(wanted, armed.values)
        if wanted.startswith(">="):
            value = facts.get(key)
            if not isinstance(value, int | float) or value < float(wanted[2:]):
                return False
        elif not fnmatch.fnmatchcase(str(facts.get(key)), wanted):
            return False
    return True


def _percent(armed: ArmedFault, rule: Rule, total_bytes: int) -> float | None:
    if rule.at_percent is not None:
        return float(_fill(rule.at_percent, armed.values))
    if rule.after_bytes is not None and total_bytes > 0:
        return 100 * int(_fill(rule.after_bytes, armed.values)) / total_bytes
    return None


class _Formatter(string.Formatter):
    """Leaves alone what nobody knows: texts of tools hold braces, too."""

    def get_value(self, key: int | str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        return kwargs.get(str(key), f"{{{key}}}")


_FORMATTER = _Formatter()


def _fill(text: str, values: Mapping[str, Any]) -> str:
    return _FORMATTER.vformat(text, (), values) if "{" in text else text


def _filled(value: Any, values: Mapping[str, Any]) -> Any:
    """`value` with `{name}` in its texts replaced; one that is nothing but `{name}` becomes that value itself."""
    if isinstance(value, Mapping):
        return {key: _filled(entry, values) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_filled(entry, values) for entry in value]
    if isinstance(value, str):
        name = value[1:-1]
        if value.startswith("{") and value.endswith("}") and name in values:
            return values[name]
        return _fill(value, values)
    return value
