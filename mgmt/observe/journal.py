"""The journal: one entry for each thing that crosses an edge of the server.

Kinds: `api` (an HTTP call), `job` (a job's change of state), `agent` (a command or answer on the agent wire),
`vcenter` (a vCenter call), `tool` (a tool run reported by an embedded agent), `host` (a host's change of state),
`import` (a step of an import), `fault` (a fault that a test armed).
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from mgmt.observe.correlation import current_correlation_id
from mgmt.observe.redaction import Redactor
from mgmt.providers import Clock

KINDS = ("api", "job", "agent", "vcenter", "tool", "host", "import", "fault")


@dataclass(frozen=True)
class Entry:
    """One crossing of an edge. `at` is seconds since the epoch; `fields` never holds a secret."""

    number: int
    at: float
    kind: str
    name: str
    correlation_id: str | None
    _unmasked: Mapping[str, object] = field(repr=False)
    _redactor: Redactor = field(repr=False)

    def __repr__(self) -> str:
        return f"Entry({self.number}, {self.kind}, {self.name}, {self.correlation_id}, {self.fields})"

    @cached_property
    def fields(self) -> Mapping[str, object]:
        """What is known of it, made when somebody looks: most entries are never read."""
        made = {name: value() if callable(value) else value for name, value in self._unmasked.items()}
        masked = self._redactor.value(made)
        assert isinstance(masked, dict)
        return masked


class Journal:
    """The last `capacity` entries of one server, and a hook for whoever wants to watch; thread-safe."""

    def __init__(self, clock: Clock, redactor: Redactor, capacity: int = 10_000) -> None:
        self._clock = clock
        self._redactor = redactor
        self._lock = threading.Lock()
        self._entries: deque[Entry] = deque(maxlen=capacity)
        self._count = 0
        self._listeners: list[Callable[[Entry], None]] = []

    def record(self, kind: str, name: str, *, correlation_id: str | None = None, **fields: object) -> Entry:
        """Add an entry; the correlation id defaults to that of the calling thread's work.

        Secrets are masked when the entry is read, so nobody may change a value afterwards. A value that costs
        something to make can be given as a function without parameters.
        """
        with self._lock:
            self._count += 1
            entry = Entry(
                number=self._count,
                at=self._clock.now(),
                kind=kind,
                name=name,
                correlation_id=correlation_id or current_correlation_id(),
                _unmasked=fields,
                _redactor=self._redactor,
            )
            self._entries.append(entry)
            listeners = tuple(self._listeners)
        for listener in listeners:
            listener(entry)
        return entry

    def entries(
        self, *, kind: str | None = None, correlation_id: str | None = None, name: str | None = None, after: int = 0
    ) -> list[Entry]:
        """The kept entries, oldest first, narrowed by kind, correlation id and name to those numbered above `after`."""
        with self._lock:
            return [
                entry
                for entry in self._entries
                if (kind is None or entry.kind == kind)
                and (correlation_id is None or entry.correlation_id == correlation_id)
                and (name is None or entry.name == name)
                and entry.number > after
            ]

    def clear(self) -> None:
        """Forget all entries, and count from one again."""
        with self._lock:
            self._entries.clear()
            self._count = 0

    def correlation_of(self, log_id: str) -> str | None:
        """The newest correlation id that begins with `log_id`, which is all of it that agents get to see."""
        if not log_id:
            return None
        with self._lock:
            newest_first = (entry.correlation_id or "" for entry in reversed(self._entries))
            return next((found for found in newest_first if found.startswith(log_id)), None)

    def listen(self, listener: Callable[[Entry], None]) -> Callable[[], None]:
        """Call `listener` for each new entry; returns the function that ends it."""
        with self._lock:
            self._listeners.append(listener)

        def stop() -> None:
            with self._lock:
                if listener in self._listeners:
                    self._listeners.remove(listener)

        return stop
