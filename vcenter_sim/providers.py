"""Where the stand-in gets time and identifiers from; nothing else here reads the clock or makes UUIDs.

Structurally the same as the management server's providers, so that one clock can be handed to both.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Protocol, runtime_checkable


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


@runtime_checkable
class SteeredClock(Clock, Protocol):
    """A clock that moves from timer to timer while no work is in hand (the management server has one)."""

    def event(self) -> threading.Event:
        """An event that `wait` takes: who sets it makes the work of those who wait be in hand again."""
        ...

    def call_at(self, due_s: float, fire: Callable[[Any], None], *, drives: bool = True) -> object:
        """Call `fire` with work in hand, which it has to end. The clock does not move for what does not drive."""
        ...

    def wait(self, event: threading.Event, timeout_s: float | None, *, on_behalf_of: str | None = None) -> bool:
        """As Clock's; a client in this process that knows the key `on_behalf_of` has lent its work in hand for it."""
        ...


def new_event(clock: Clock) -> threading.Event:
    """An event to wait for on that clock."""
    return clock.event() if isinstance(clock, SteeredClock) else threading.Event()


def wait_for(clock: Clock, event: threading.Event, timeout_s: float | None, *, on_behalf_of: str) -> bool:
    """`clock.wait` for a client who waits for the answer meanwhile; `on_behalf_of` is its session's cookie."""
    if isinstance(clock, SteeredClock):
        return clock.wait(event, timeout_s, on_behalf_of=on_behalf_of)
    return clock.wait(event, timeout_s)


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
