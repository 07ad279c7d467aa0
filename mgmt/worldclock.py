"""The clock of a world, as its users move it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

from mgmt.clock import AUTOMATIC, MANUAL, SCALED, ClockError, ClockStalledError, VirtualClock
from mgmt.clock.virtual import STALL_LIMIT_S
from mgmt.config import ConfigError, Settings
from mgmt.providers import Clock, RealClock
from mgmt.store.seeding import saved_at_s

if TYPE_CHECKING:
    from mgmt.jobs.runner import JobRunner

_LOOK_S = 0.05


def clock_of(settings: Settings) -> Clock:
    """The clock that the settings ask for.

    Raises ConfigError where it could not keep its promise: hosts of other processes have clocks of their own, and
    their work cannot be waited for.
    """
    if settings.clock == "real":
        return RealClock()
    if settings.agents == "none" and settings.clock in (AUTOMATIC, SCALED):
        raise ConfigError(
            "settings",
            "clock",
            settings.clock,
            "'real' or 'manual' with agents = 'none': hosts of other processes do not follow a clock of this one",
        )
    return VirtualClock(
        settings.clock, factor=settings.clock_factor if settings.clock == SCALED else 1.0, start_s=_start_s(settings)
    )


def _start_s(settings: Settings) -> float | None:
    """No earlier than when the world was saved: its records have times of its own clock."""
    saved_s = saved_at_s(settings.seed)
    return saved_s if saved_s is not None and saved_s > RealClock().now() else None


class WorldClock:
    """Reads and moves the clock of one world; for threads that are not part of it, such as a test's."""

    def __init__(self, clock: Clock, jobs: Callable[[], JobRunner]) -> None:
        self._clock = clock
        self._jobs = jobs

    @property
    def virtual(self) -> VirtualClock | None:
        """The virtual clock, None on the machine's."""
        return self._clock if isinstance(self._clock, VirtualClock) else None

    @property
    def mode(self) -> str:
        """`real`, `scaled`, `manual` or `automatic`."""
        return self.virtual.mode if self.virtual is not None else "real"

    def now(self) -> float:
        """Seconds since the Unix epoch."""
        return self._clock.now()

    def monotonic(self) -> float:
        """Seconds from an arbitrary start that never go back."""
        return self._clock.monotonic()

    def advance(self, *, seconds: float = 0.0, minutes: float = 0.0, hours: float = 0.0, days: float = 0.0) -> None:
        """Move on by that much: whatever is due on the way happens in its order and is done when this returns.

        For the manual and the automatic clock; raises ClockError for another. Raises ClockStalledError when work does
        not end within a minute of real time.
        """
        duration_s = timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds).total_seconds()
        if duration_s < 0:
            raise ClockError("a clock does not go back")
        self._movable().advance(duration_s)

    def run_until(self, until: str | Callable[[], bool], *, limit_s: float = STALL_LIMIT_S) -> None:
        """Return when a job (by its UUID) has ended, or a condition holds; a manual clock is moved from timer to timer.

        Any clock can do it: those that run by themselves are waited for. Raises ClockError when nothing is left that
        could make it happen, and ClockStalledError after `limit_s` real seconds on a virtual clock that runs by itself.
        """
        if isinstance(until, str):
            job_uuid = until
            self._run(lambda: self._jobs().wait(job_uuid, 0.0), lambda: self._jobs().wait(job_uuid, limit_s))
            return
        self._run(until, lambda: self._await(until, limit_s))

    def _run(self, is_done: Callable[[], bool], wait: Callable[[], bool]) -> None:
        if self.mode != MANUAL:
            if not wait():
                raise ClockStalledError("what was waited for did not happen in time")
            if self.mode == AUTOMATIC:  # a scaled clock runs on: pings and figures may leave it no moment without work
                self._movable().settle()
            return
        clock = self._movable()
        clock.settle()
        while not is_done():
            if not clock.advance_to_next() and not is_done():
                raise ClockError("everything waits, and no timer is left that could make it happen")

    def _await(self, condition: Callable[[], bool], limit_s: float) -> bool:
        real = RealClock()
        deadline_s = real.monotonic() + limit_s
        while not condition():
            if real.monotonic() > deadline_s:
                return False
            real.sleep(_LOOK_S)
        return True

    @contextmanager
    def held(self) -> Iterator[None]:
        """Let the clock stand still during the block, to begin several things at one time; not the machine's clock."""
        if self.virtual is None:
            yield
            return
        with self.virtual.held():
            yield

    def start(self) -> None:
        """Let it run."""
        if self.virtual is not None:
            self.virtual.start()

    def close(self) -> None:
        """Stop moving it, so that the world can be taken down in real time."""
        if self.virtual is not None:
            self.virtual.close()

    def _movable(self) -> VirtualClock:
        if self.virtual is None or self.mode == SCALED:
            raise ClockError(
                f"the {self.mode} clock runs by itself: start the world with clock='manual' or 'automatic'"
            )
        return self.virtual
