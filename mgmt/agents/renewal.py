"""Agents' certificates that end soon: a background task looks for them and has them renewed.

Upstream: CAManagerImpl.CABackgroundTask, which remembers the certificates by the address of their link; here each link
remembers its own, since simulated agents share an address.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from mgmt.agents.core import Core
from mgmt.agents.states import Status
from mgmt.clock import is_automatic

DELAY_SETTING = "ca.framework.background.task.delay"
PERIOD_SETTING = "ca.framework.cert.expiry.alert.period"
DAY_S = 86400.0


@dataclass(frozen=True)
class Ending:
    """A host whose agent's certificate ends at `ends` (naive UTC), and what to call once it has another one."""

    host_id: int
    ends: datetime
    renewed: Callable[[datetime], None]


class CertificateWatch:
    """Looks every `ca.framework.background.task.delay` seconds; used in the event loop's thread only.

    `on_ending` gets the certificates that end within `ca.framework.cert.expiry.alert.period` days, and must not block.
    """

    def __init__(self, core: Core, on_ending: Callable[[Sequence[Ending]], None]) -> None:
        self._core = core
        self._on_ending = on_ending
        self._due_s = 0.0
        self._delay_s = 0.0

    def start(self) -> None:
        """Look for the first time after one delay."""
        self._delay_s = float(max(self._core.settings.get_int(DELAY_SETTING), 1))
        self._due_s = self._core.providers.clock.monotonic() + self._delay_s
        self._core.timers.call_later(self._delay_s, self._tick, drives=False, pass_over=self._needed_s)

    def _period_s(self) -> float:
        return self._core.settings.get_int(PERIOD_SETTING) * DAY_S

    def _tick(self) -> None:
        self.start()
        latest_s = self._core.providers.clock.monotonic() + self._period_s()
        found = []
        for attachment in self._core.attached.values():
            certificate = attachment.link.certificate
            if certificate is not None and attachment.status is Status.UP and certificate.ends_s < latest_s:
                found.append(Ending(attachment.host_id, certificate.ends, attachment.link.certify))
        if found:
            self._on_ending(found)

    def _needed_s(self, limit_s: float) -> float | None:
        """When the next look is needed, for a virtual clock that passes over the others."""
        if is_automatic(self._core.providers.clock):
            return None
        links = [attachment.link.certificate for attachment in list(self._core.attached.values())]
        ends_s = min((each.ends_s for each in links if each is not None), default=float("inf"))
        needed_s = min(ends_s - self._period_s(), limit_s)
        return self._due_s + max(0.0, (needed_s - self._due_s) // self._delay_s) * self._delay_s
