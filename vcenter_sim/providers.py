"""Where the stand-in gets time and identifiers from; nothing else here reads the clock or makes UUIDs.

Structurally the same as the management server's providers, so that one clock can be handed to both.
"""

from __future__ import annotations

import threading
import time
import uuid
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Wall time and waiting, in seconds."""

    def now(self) -> float:
        """Seconds since the Unix epoch."""
        ...

    def monotonic(self) -> float:
        """Seconds from an arbitrary start that never go back."""
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

    def wait(self, event: threading.Event, timeout_s: float | None) -> bool:
        return event.wait(timeout_s)


class Ids(Protocol):
    """A source of UUIDs."""

    def uuid(self) -> str:
        """A new UUID in lower-case text form."""
        ...


class RandomIds:
    """Random (version 4) UUIDs."""

    def uuid(self) -> str:
        return str(uuid.uuid4())


def utc(clock: Clock) -> datetime:
    """The clock's time as an aware UTC `datetime`, the form that SOAP answers carry."""
    return datetime.fromtimestamp(clock.now(), UTC)


def stable_uuid(text: str) -> str:
    """The same UUID for the same text, on every machine: what seeded objects have."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"vcenter-sim:{text}"))
