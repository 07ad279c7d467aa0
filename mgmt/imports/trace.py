"""Decision tables as data, rules that stand alone, and the trace of what they decided.

A table is a sequence of rows; the first row whose condition holds fires. A rule that stands alone passes or refuses.
The row's id travels with the error, and every decision is kept with what was seen, so that a dry run can print it and a
test can name the row.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Generic, Protocol, TypeVar

from mgmt.errors import CloudError
from mgmt.observe.redaction import Redactor

R = TypeVar("R")

SINGLE = "check"  # the table's name of a rule that stands alone
PASSED = "passed"


class Facts(Protocol):
    """What a table looks at; `seen` shows it in a trace, without secrets."""

    def seen(self) -> dict[str, object]: ...


F = TypeVar("F", bound=Facts)


@dataclass(frozen=True)
class Row(Generic[F, R]):
    """One row: `outcome` gives the table's result, or the error that refuses."""

    id: str
    when: Callable[[F], bool]
    outcome: Callable[[F], R | CloudError]


@dataclass(frozen=True)
class Table(Generic[F, R]):
    """A named sequence of rows; together they cover every case."""

    name: str
    rows: tuple[Row[F, R], ...]


@dataclass(frozen=True, slots=True)  # some fifty for each import, kept for the last thousand
class Decision:
    """One decided table: the row that fired, the facts it saw, and the verdict in words.

    `passed_over` are the rows above it, which did not hold.
    """

    table: str
    row: str
    facts: dict[str, object]
    verdict: str
    passed_over: tuple[str, ...] = ()

    def as_fields(self) -> dict[str, object]:
        """The decision as plain values, for the journal."""
        return {
            "table": self.table,
            "row": self.row,
            "passed_over": list(self.passed_over),
            "facts": self.facts,
            "verdict": self.verdict,
        }


@dataclass
class Trace:
    """The decisions of one import, in order; what they say is free of the secrets that `redactor` knows."""

    decisions: list[Decision] = field(default_factory=list)
    redactor: Redactor = field(default_factory=Redactor, repr=False)
    _refusal: weakref.ref[CloudError] | None = field(default=None, repr=False)  # an error would hold its frames

    @property
    def rows(self) -> list[str]:
        """The ids of the rows that fired."""
        return [decision.row for decision in self.decisions]

    def note(
        self, table: str, row: str, facts: dict[str, object], verdict: str, passed_over: tuple[str, ...] = ()
    ) -> None:
        """Keep a decision."""
        self.decisions.append(Decision(table, row, facts, verdict, passed_over))

    def refused(self, error: CloudError, table: str, row: str, facts: dict[str, object]) -> None:
        """Keep a refusal. One that travels on through the rules around it is kept once, with the text it gets there."""
        verdict = f"refused: {self.redactor.text(error.text)}"
        last = self._refusal() if self._refusal is not None else None
        if last is not None and error.__cause__ is last:
            self.decisions[-1] = replace(self.decisions[-1], verdict=verdict)
        elif last is not error:
            self.note(table, row, facts, verdict)
        self._refusal = weakref.ref(error)

    def ended(self, error: CloudError) -> None:
        """The import ended with `error`, which the trace has already when a rule refused it."""
        if self._refusal is None:
            self.refused(error, SINGLE, error.row or "-", {})

    def forget_secrets(self) -> None:
        """Nothing more is noted: what was needed to mask secrets can go."""
        self.redactor = Redactor()

    def rule(self, row: str, **facts: object) -> Rule:
        """`with trace.rule("13", hostname=name):` - what is done inside is that rule, which saw these facts."""
        return Rule(self, row, facts)

    def passed(self, row: str, **facts: object) -> None:
        """A rule that was looked at and refused nothing."""
        self.decisions.append(Decision(SINGLE, row, facts, PASSED))

    def decide(self, table: Table[F, R], facts: F) -> R:
        """The outcome of the first row of `table` that holds; raises the row's error with `row` set."""
        for place, row in enumerate(table.rows):
            if not row.when(facts):
                continue
            above = tuple(other.id for other in table.rows[:place])
            outcome = row.outcome(facts)
            if isinstance(outcome, CloudError):
                outcome.row = row.id
                self._refusal = weakref.ref(outcome)
                self.note(table.name, row.id, facts.seen(), f"refused: {self.redactor.text(outcome.text)}", above)
                raise outcome
            self.note(table.name, row.id, facts.seen(), f"passed: {outcome}", above)
            return outcome
        raise LookupError(f"table {table.name} has no row for {facts.seen()}")


class Rule:
    """A rule that stands alone: it passes when its block ends, and refuses with the CloudError that leaves it."""

    __slots__ = ("_facts", "_row", "_trace")

    def __init__(self, trace: Trace, row: str, facts: dict[str, object]) -> None:
        self._trace, self._row, self._facts = trace, row, facts

    def saw(self, **facts: object) -> None:
        """What the rule found out on its way."""
        self._facts |= facts

    def __enter__(self) -> Rule:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if error is None:
            self._trace.passed(self._row, **self._facts)
        elif isinstance(error, CloudError):
            error.row = error.row or self._row
            self._trace.refused(error, SINGLE, error.row, self._facts)
