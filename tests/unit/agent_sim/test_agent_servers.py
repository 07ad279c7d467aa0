"""An agent's list of management servers, and its moves between them."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from agent_sim.providers import RealClock, Timers
from agent_sim.serverlist import Moves, ServerList
from mgmt.protocol.commands import Command, MigrateAgentConnectionCommand, ReadyCommand, SetupMSListCommand


class Mover:
    """An agent's process that notes what it is told."""

    name = "kvm1"

    def __init__(self) -> None:
        self.left: list[bool] = []
        self.tasks: list[asyncio.Task[None]] = []

    def leave(self, *, is_transferred: bool) -> None:
        self.left.append(is_transferred)

    def work(self, work: Coroutine[Any, Any, None]) -> None:
        self.tasks.append(asyncio.get_running_loop().create_task(work))


class FastTimers(Timers):
    """Timers for which a second is a millisecond."""

    def call_at(self, due_s: float, callback: Any, **options: Any) -> Any:
        now_s = self.now_s()
        return super().call_at(now_s + (due_s - now_s) / 1000, callback, **options)


def hear(*commands: Command) -> tuple[Mover, ServerList, list[str]]:
    """What comes of the commands for an agent that is connected to 127.0.0.9, while 127.0.0.1 answers."""
    mover, kept, servers = Mover(), list[str](), ServerList("127.0.0.9")
    servers.next()

    async def scenario() -> None:
        listener = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
        timers = FastTimers(RealClock())
        async with listener:
            port = listener.sockets[0].getsockname()[1]
            moves = Moves(servers, port, timers, mover, kept.append)
            for command in commands:
                moves.heard(command)
            for _ in range(40):
                await asyncio.sleep(0.002)
                await asyncio.gather(*mover.tasks)
            moves.ended()
        timers.close()

    asyncio.run(scenario())
    return mover, servers, kept


def test_servers_are_tried_in_turn() -> None:
    """Each attempt to connect goes to the next server of the list."""
    servers = ServerList("a")
    assert [servers.next(), servers.next()] == ["a", "a"]
    servers.take(["b", "c"], "roundrobin")
    assert [servers.next() for _ in range(3)] == ["b", "c", "b"]
    assert (servers.text, servers.connected) == ("b,c@roundrobin", "b")


def test_a_list_is_kept_and_the_agent_stays() -> None:
    """Without triggerHostLb the agent writes the list to its properties and moves at its next reconnect only."""
    mover, servers, kept = hear(
        SetupMSListCommand(msList=["127.0.0.1", "127.0.0.9"], lbAlgorithm="static", triggerHostLb=False)
    )
    assert (mover.left, kept, servers.hosts) == ([], ["127.0.0.1,127.0.0.9@static"], ["127.0.0.1", "127.0.0.9"])


@pytest.mark.parametrize(
    ("command", "left"),
    [
        (SetupMSListCommand(msList=["127.0.0.1"], lbAlgorithm="static", triggerHostLb=True), [False]),
        (SetupMSListCommand(msList=["127.0.0.9"], lbAlgorithm="static", triggerHostLb=True), []),
        (SetupMSListCommand(msList=["127.0.0.2"], lbAlgorithm="static", triggerHostLb=True), []),
        (SetupMSListCommand(msList=["127.0.0.1"], lbAlgorithm="static"), []),
        (MigrateAgentConnectionCommand(msList=["127.0.0.1"], avoidMsList=["127.0.0.9"]), [True]),
        (MigrateAgentConnectionCommand(msList=["127.0.0.9", "127.0.0.1"], avoidMsList=["127.0.0.9"]), [True]),
        (MigrateAgentConnectionCommand(msList=["127.0.0.1"]), []),
        (MigrateAgentConnectionCommand(msList=["127.0.0.9"], avoidMsList=["127.0.0.9"]), []),
        (ReadyCommand(msHostList=["127.0.0.1"], lbAlgorithm="static"), []),
    ],
    ids=[
        "moves",
        "there already",
        "nobody answers",
        "no trigger",
        "migrates",
        "avoids",
        "no avoid list",
        "none",
        "ready",
    ],
)
def test_when_an_agent_moves(command: Command, left: list[bool]) -> None:
    """It goes to the first server when told to and when somebody answers there; a migration is a transfer."""
    assert hear(command)[0].left == left


def test_the_first_server_is_looked_for_again_and_again() -> None:
    """With a check interval the agent goes back to the first server once that answers."""
    command = SetupMSListCommand(msList=["127.0.0.1"], lbAlgorithm="static", lbCheckInterval=5, triggerHostLb=False)
    assert hear(command)[0].left[:1] == [False]


def test_a_list_without_algorithm_is_ignored() -> None:
    """ReadyCommand's list counts only together with its algorithm."""
    assert hear(ReadyCommand(msHostList=["127.0.0.1"]))[2] == []
