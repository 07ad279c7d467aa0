"""How many API calls an account may send in a time: the settings api.throttling.*, which are read at a start.

Upstream: plugins/api/rate-limit/.../ApiRateLimitServiceImpl.java (root admins are never counted; the call after the
last one that is allowed is refused until the interval of the first one is over).
"""

from __future__ import annotations

import threading
from dataclasses import dataclass

from mgmt.errors import API_LIMIT_EXCEED, ServerApiError
from mgmt.inventory.settings import GlobalSettings
from mgmt.providers import Clock


@dataclass
class _Count:
    """The calls of one account since the first of its interval."""

    ends_at: float
    calls: int = 0


@dataclass(frozen=True)
class ApiCalls:
    """What an account has of its calls: how many are gone, how many are left, and milliseconds to the next interval."""

    issued: int
    allowed: int
    expires_ms: int


class ApiLimits:
    """Counts calls by account; thread-safe. Without `is_enabled` nothing is counted."""

    def __init__(self, clock: Clock, *, is_enabled: bool = False, interval_s: int = 1, maximum: int = 25) -> None:
        self._clock = clock
        self.is_enabled = is_enabled
        self._interval_s = interval_s
        self._maximum = maximum
        self._lock = threading.Lock()
        self._counts: dict[int, _Count] = {}

    @classmethod
    def of(cls, settings: GlobalSettings, clock: Clock) -> ApiLimits:
        """The limits that the settings ask for now."""
        return cls(
            clock,
            is_enabled=settings.get_bool("api.throttling.enabled"),
            interval_s=settings.get_int("api.throttling.interval"),
            maximum=settings.get_int("api.throttling.max"),
        )

    def count(self, account_id: int) -> None:
        """Count a call of the account; raises ServerApiError 429 when it has none left."""
        if not self.is_enabled:
            return
        with self._lock:
            entry = self._entry(account_id)
            entry.calls += 1
            if entry.calls <= self._maximum:
                return
            left_ms = self._left_ms(entry)
        raise ServerApiError(
            API_LIMIT_EXCEED,
            f"The given user has reached his/her account api limit, please retry after [{left_ms}] ms.",
        )

    def of_account(self, account_id: int) -> ApiCalls:
        """What the account has; its interval begins when it has none yet."""
        with self._lock:
            entry = self._entry(account_id)
            return ApiCalls(entry.calls, self._maximum - entry.calls, self._left_ms(entry))

    def reset(self, account_id: int | None = None) -> None:
        """Forget the calls of an account, or of all."""
        with self._lock:
            if account_id is None:
                self._counts.clear()
            else:
                self._counts.pop(account_id, None)

    def _entry(self, account_id: int) -> _Count:
        now = self._clock.monotonic()
        entry = self._counts.get(account_id)
        if entry is None or now >= entry.ends_at:
            entry = self._counts[account_id] = _Count(now + self._interval_s)
        return entry

    def _left_ms(self, entry: _Count) -> int:
        return round((entry.ends_at - self._clock.monotonic()) * 1000)
