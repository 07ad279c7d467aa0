"""A fleet whose agents start one after the other."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from agent_sim.agent import Phase
from agent_sim.host import generated_hosts
from agent_sim.member import Member


class HandClock:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.ahead_s = 0.0

    def now(self) -> float:
        return time.time() + self.ahead_s

    def monotonic(self) -> float:
        return time.monotonic() + self.ahead_s


def test_no_agent_starts_while_the_fleet_stops(
    make_fleet: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """An agent whose turn comes while the others are being stopped stays where it is."""
    clock, closed = HandClock(), threading.Event()
    fleet = make_fleet(generated_hosts(3), clock=clock, start_after_s=lambda place: 3600.0)
    close = Member.close

    async def slow(member: Member) -> None:
        await close(member)
        clock.ahead_s = 7200.0
        for _ in range(10):  # longer than the timers of such a clock are looked at
            await asyncio.sleep(0.005)
        closed.set()

    monkeypatch.setattr(Member, "close", slow)
    fleet.stop()
    assert closed.is_set()
    assert [agent.phase for agent in fleet.agents] == [Phase.STOPPED] * 3
    assert not [record for record in caplog.records if record.levelname == "ERROR"]
