"""Decision tables as data, and the trace of what they decided.

A table is a sequence of rows; the first row whose condition holds fires. Its id travels with the error, and every
decision is kept with what was seen, so that a dry run can print it and a test can name the row.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from mgmt.errors import CloudError

R = TypeVar("R")


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


@dataclass(frozen=True)
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
    """The decisions of one import, in order."""

    decisions: list[Decision] = field(default_factory=list)

    @property
    def rows(self) -> list[str]:
        """The ids of the rows that fired."""
        return [decision.row for decision in self.decisions]

    def note(
        self, table: str, row: str, facts: dict[str, object], verdict: str, passed_over: tuple[str, ...] = ()
    ) -> None:
        """Keep a decision."""
        self.decisions.append(Decision(table, row, facts, verdict, passed_over))

    def decide(self, table: Table[F, R], facts: F) -> R:
        """The outcome of the first row of `table` that holds; raises the row's error with `row` set."""
        for place, row in enumerate(table.rows):
            if not row.when(facts):
                continue
            above = tuple(other.id for other in table.rows[:place])
            outcome = row.outcome(facts)
            if isinstance(outcome, CloudError):
                outcome.row = row.id
                self.note(table.name, row.id, facts.seen(), f"refused: {outcome.text}", above)
                raise outcome
            self.note(table.name, row.id, facts.seen(), f"passed: {outcome}", above)
            return outcome
        raise LookupError(f"table {table.name} has no row for {facts.seen()}")
