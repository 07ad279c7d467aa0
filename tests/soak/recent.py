"""The last things that were done to a soak world, told with what was found: a run cannot be repeated."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any

KEPT = 80
SHOWN = (
    "name",
    "hostname",
    "id",
    "usevddk",
    "forcemstoimportvmfiles",
    "convertinstancehostid",
    "convertinstancepoolid",
)


class SoakFailure(AssertionError):
    """Something that must hold does not."""


class Recent:
    """The last `KEPT` actions, oldest first. What led to the first failure is kept: a later one only repeats it."""

    def __init__(self) -> None:
        self._lines: deque[str] = deque(maxlen=KEPT)
        self._frozen: str | None = None

    def add(self, step: int, what: str) -> None:
        """Something was done, or came of it."""
        self._lines.append(f"{step:6}. {what}")

    def called(self, step: int, command: str, parameters: Mapping[str, Any], content: Mapping[str, Any]) -> None:
        """A call was answered; lists are left out."""
        if command.startswith(("list", "query")):
            return
        shown = " ".join(f"{name}={parameters[name]}" for name in SHOWN if parameters.get(name) not in (None, False))
        self.add(step, f"{command} {shown}: {content.get('jobid') or content.get('errortext') or 'done'}")

    def failure(self, text: str) -> SoakFailure:
        """What to raise for `text`."""
        if self._frozen is None:
            self._frozen = "\n".join(("The last that was done:", *self._lines))
        failure = SoakFailure(text)
        failure.add_note(self._frozen)
        return failure
