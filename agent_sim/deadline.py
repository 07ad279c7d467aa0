"""When an agent has something to do next: its one timer on the fleet's heap."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from agent_sim.agent import Agent
from agent_sim.providers import Timer, Timers

# Gets the time of the last ping that would be left out; answers whether it may be, because it would change nothing.
MayPass = Callable[[float], bool]

# Gets a host's guid, the power states that its pings report and the time of the last ping that is left out; answers
# whether they may be left out, because they would change nothing.
PingsPassed = Callable[[str, Mapping[str, str], float], bool]


class Deadline:
    """Calls `tick` when an agent is due; a clock that jumps from timer to timer asks `may_pass` to omit pings."""

    def __init__(self, timers: Timers, tick: Callable[[], None], may_pass: MayPass | None) -> None:
        self._timers = timers
        self._tick = tick
        self._may_pass = may_pass
        self._timer: Timer | None = None
        self._agent: Agent | None = None

    def follow(self, agent: Agent) -> None:
        """Wait for what this agent has to do next, if anything."""
        self._agent = agent
        due_s = agent.deadline_s
        if self._timer is not None and not self._timer.cancelled and self._timer.due_s == due_s:
            return
        self.cancel()
        if due_s is not None:
            drives = agent.is_waiting_to_connect
            self._timer = self._timers.call_at(due_s, self._tick, drives=drives, pass_over=self._needed_s)

    def cancel(self) -> None:
        """Wait for nothing."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _needed_s(self, limit_s: float) -> float:
        """When the agent really has something to do, for a clock that is to move to `limit_s`.

        Pings that would tell the server nothing new are counted as sent.
        """
        agent, timer = self._agent, self._timer
        if timer is None or agent is None:
            return limit_s
        if not agent.only_repeats or self._may_pass is None:
            return timer.due_s
        last_s = agent.last_ping_s(limit_s)
        if last_s is not None and not self._may_pass(last_s):
            return timer.due_s
        agent.pass_over(limit_s)
        timer.due_s = agent.deadline_s or timer.due_s
        return timer.due_s
