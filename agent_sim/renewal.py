"""A new certificate: the agent starts anew with it once it is idle.

Upstream: Agent.java (PostCertificateRenewalTask).
"""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, Protocol

from agent_sim.agent import Phase
from agent_sim.providers import Timers

_PAUSE_S = 5.0
_DOWN_S = 1.0
_TEXT = "Restarting due to new X509 certificates"


class Renewed(Protocol):
    """The agent's process."""

    @property
    def phase(self) -> Phase: ...

    @property
    def running_commands(self) -> int: ...

    def work(self, work: Coroutine[Any, Any, None]) -> None:
        """Do this beside everything else."""
        ...

    async def start_anew(self, text: str, down_s: float) -> None:
        """Let the process end for that reason, and start it again."""
        ...


class Renewal:
    """Restarts an agent that got a certificate, five seconds later or when its commands are done."""

    def __init__(self, timers: Timers, process: Renewed) -> None:
        self._timers = timers
        self._process = process

    def begin(self) -> None:
        """A certificate is there."""
        self._timers.call_at(self._timers.now_s() + _PAUSE_S, self._when_idle)

    def _when_idle(self) -> None:
        if self._process.phase is not Phase.RUNNING:
            return
        if self._process.running_commands:
            self.begin()
        else:
            self._process.work(self._process.start_anew(_TEXT, _DOWN_S))
