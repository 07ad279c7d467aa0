"""The list of what an import made and how to unmake it, run in reverse at the end."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from mgmt.observe.journal import Journal
from mgmt.observe.redaction import Redactor

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Undo:
    """One entry: what it does in words, the work, and when it runs: after a failure, always, or when cancelled only."""

    what: str
    run: Callable[[], None]
    always: bool
    when_cancelled: bool


@dataclass(frozen=True)
class NotUndone:
    """An entry that could not be undone, in words, and why."""

    what: str
    reason: str


class UndoList:
    """What was made, oldest first. Running it is best effort: a failure is a warning and the rest still runs.

    `not_undone` are the entries that failed. `before` hears of each entry that is about to run, and may raise.
    """

    def __init__(self, journal: Journal, redactor: Redactor, before: Callable[[str], None] = lambda what: None) -> None:
        self._journal = journal
        self._redactor = redactor
        self._before = before
        self._entries: list[Undo] = []
        self.not_undone: list[NotUndone] = []

    def add(self, what: str, run: Callable[[], None], *, always: bool = False, when_cancelled: bool = False) -> None:
        """Record how to unmake something; with `always` it is unmade after success as well.

        With `when_cancelled` it is unmade when the import is cancelled, and left after a failure, as upstream does.
        """
        self._entries.append(Undo(what, run, always, when_cancelled))

    def forget(self) -> None:
        """Unmake nothing: what a management server that went away leaves behind, stays."""
        self._entries.clear()

    def keep(self) -> None:
        """Forget what only a failure would unmake: upstream leaves it there."""
        self._entries = [entry for entry in self._entries if entry.always]

    def run(self, *, failed: bool, cancelled: bool = False) -> list[str]:
        """Unmake in reverse order; after a success only what is marked `always`. Returns what could not be unmade."""
        left = []
        for entry in reversed(self._entries):
            if entry.always or (failed and (cancelled or not entry.when_cancelled)):
                reason = self._run(entry)
                if reason is not None:
                    left.append(f"could not {entry.what}: {reason}")
        self._entries.clear()
        return left

    def _run(self, entry: Undo) -> str | None:
        try:
            self._before(entry.what)
            entry.run()
        except Exception as error:  # whatever went wrong, the other entries must have their turn
            reason = self._redactor.text(str(error))
            self.not_undone.append(NotUndone(entry.what, reason))
            logger.warning("clean-up: could not %s: %s", entry.what, reason)
            self._journal.record("import", "clean up", what=entry.what, state="failed", reason=reason)
            return reason
        self._journal.record("import", "clean up", what=entry.what, state="done")
        return None
