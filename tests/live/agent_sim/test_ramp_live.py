"""A fleet whose agents start one after the other."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import pytest

from agent_sim.agent import Phase
from agent_sim.host import NfsExport, generated_hosts
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


def test_some_agents_shake_hands_at_a_time(
    make_fleet: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, wait_until: Callable[..., Any]
) -> None:
    """Of a fleet so many begin a connection; the next ones follow as handshakes end, well or badly."""
    monkeypatch.setattr("agent_sim.fleet.HANDSHAKES_AT_ONCE", 2)
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        listener.settimeout(60)
        fleet = make_fleet(generated_hosts(5), connect=listener.getsockname())
        stack.callback(fleet.stop)
        served = [stack.enter_context(listener.accept()[0]) for _ in range(2)]
        wait_until(lambda: sum(agent.link is not None for agent in fleet.agents) == 2, "two links", 60)
        fleet.add_export(NfsExport("192.0.2.1", "/none"))  # the loop has come round
        assert sum(agent.link is not None for agent in fleet.agents) == 2
        for _ in range(3):
            served.pop().close()
            served.insert(0, stack.enter_context(listener.accept()[0]))
