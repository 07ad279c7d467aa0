"""Where time, identifiers and randomness come from.

Nothing else in the server reads the wall clock, sleeps, makes UUIDs or draws random numbers, so that a test can hand
in a clock it moves and identifiers it knows.
"""

from __future__ import annotations

import random
import threading
import time
import uuid
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Protocol, runtime_checkable


class Clock(Protocol):
    """Wall time and waiting, in seconds."""

    def now(self) -> float:
        """Seconds since the Unix epoch."""
        ...

    def monotonic(self) -> float:
        """Seconds from an arbitrary start that never go back."""
        ...

    def sleep(self, duration_s: float) -> None:
        """Return after `duration_s` seconds of this clock."""
        ...

    def wait(self, event: threading.Event, timeout_s: float | None) -> bool:
        """Return True once `event` is set, False after `timeout_s` seconds of this clock."""
        ...


class RealClock:
    """The machine's clock."""

    def now(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, duration_s: float) -> None:
        time.sleep(duration_s)

    def wait(self, event: threading.Event, timeout_s: float | None) -> bool:
        return event.wait(timeout_s)


class Ids(Protocol):
    """A source of UUIDs."""

    def uuid(self) -> str:
        """A new UUID in lower-case text form."""
        ...


@runtime_checkable
class StreamedIds(Ids, Protocol):
    """A source whose UUIDs follow from how many were drawn before: who draws beside others has a stream of his own."""

    def stream(self, name: str) -> StreamedIds:
        """That of this name."""
        ...


class RandomIds:
    """Random (version 4) UUIDs."""

    def uuid(self) -> str:
        return str(uuid.uuid4())


@dataclass(frozen=True)
class Providers:
    """One server's clock, identifier source and random source."""

    clock: Clock = field(default_factory=RealClock)
    ids: Ids = field(default_factory=RandomIds)
    random: random.Random = field(default_factory=random.SystemRandom)

    def stream(self, name: str) -> Providers:
        """The same with identifiers of their own, for what happens beside the calls and jobs of users."""
        return replace(self, ids=self.ids.stream(name)) if isinstance(self.ids, StreamedIds) else self

    def utcnow(self) -> datetime:
        """The clock's time as a naive UTC `datetime`, the form that the store keeps."""
        return datetime.fromtimestamp(self.clock.now(), UTC).replace(tzinfo=None)
