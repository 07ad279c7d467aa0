"""Several management servers: which list a host is told, and when."""

from __future__ import annotations

import random
from typing import Any

import pytest

from mgmt.agents.serverlist import is_known, servers_for
from mgmt.protocol.commands import (
    Answer,
    CheckHealthAnswer,
    CheckHealthCommand,
    MigrateAgentConnectionAnswer,
    MigrateAgentConnectionCommand,
    SetHostParamsCommand,
    SetupMSListAnswer,
    SetupMSListCommand,
)


class Settings(dict[str, str]):
    """Global settings of a test."""

    def get_text(self, name: str) -> str | None:
        return self.get(name)

    def get_int(self, name: str) -> int:
        return int(self[name])

    def get_float(self, name: str) -> float:
        return float(self[name])


@pytest.mark.parametrize(
    ("algorithm", "place", "expected"),
    [
        ("static", 1, ["a", "b", "c"]),
        ("roundrobin", 0, ["a", "b", "c"]),
        ("roundrobin", 1, ["b", "c", "a"]),
        ("roundrobin", 2, ["c", "a", "b"]),
        ("roundrobin", 3, ["a", "b", "c"]),
    ],
)
def test_the_order_of_servers(algorithm: str, place: int, expected: list[str]) -> None:
    """`static` gives each host the same list, `roundrobin` begins one later for each host."""
    settings = Settings({"host": "a, b,c", "indirect.agent.lb.algorithm": algorithm})
    assert servers_for(settings, lambda: place, random.Random(1)) == expected


def test_a_shuffled_list_has_all_servers() -> None:
    """`shuffle` gives each host an order of its own."""
    settings = Settings({"host": "a,b,c", "indirect.agent.lb.algorithm": "shuffle"})
    orders = {tuple(servers_for(settings, int, random.Random(seed)) or ()) for seed in range(20)}
    assert len(orders) > 1
    assert all(sorted(order) == ["a", "b", "c"] for order in orders)


@pytest.mark.parametrize("text", ["", "localhost"])
def test_a_list_that_nobody_set_is_not_passed_on(text: str) -> None:
    """The default of the setting `host` would send agents to their own machine."""
    assert servers_for(Settings({"host": text}), int, random.Random(1)) is None


@pytest.mark.parametrize(
    ("told", "algorithm", "expected"),
    [
        ("a,b@static", "static", True),
        ("b,a@static", "static", False),
        ("b,a@shuffle", "shuffle", True),
        ("a,b@static", "roundrobin", False),
        ("a,b", "static", False),
        (None, "static", False),
    ],
)
def test_what_an_agent_knows_already(told: str | None, algorithm: str, expected: bool) -> None:
    """The list of the Startup is compared with the server's, a shuffled one without its order."""
    assert is_known(told, ["a", "b"], algorithm) is expected


def test_hosts_are_told_of_a_changed_list(edge: Any) -> None:
    """A change of `host` or of the algorithm sends SetupMSListCommand as recorded; other settings send nothing."""
    agent = edge.agent()
    agent.attach()
    edge.wait_for_status("Up")
    edge.settings.on_change.append(edge.manager.settings_changed)
    edge.set("alert.wait", "1801")
    edge.set("host", "192.0.2.2,192.0.2.3")
    request = agent.receive_request(SetupMSListCommand)
    command = request.commands[0]
    assert (command.msList, command.avoidMsList, command.lbAlgorithm) == (["192.0.2.2", "192.0.2.3"], [], "static")
    assert (command.lbCheckInterval, command.triggerHostLb, command.wait) == (0, False, 60)
    assert (request.stop_on_error, request.in_sequence) == (True, False)
    agent.answer(request, SetupMSListAnswer(result=True))
    edge.set("indirect.agent.lb.algorithm", "roundrobin")
    assert agent.receive_request(SetupMSListCommand).commands[0].lbAlgorithm == "roundrobin"


def test_hosts_are_told_of_changed_parameters(edge: Any) -> None:
    """A change of `migratewait` sends the two parameters that can change, in sequence."""
    agent = edge.agent()
    agent.attach()
    edge.wait_for_status("Up")
    edge.settings.on_change.append(edge.manager.settings_changed)
    edge.set("migratewait", "3601")
    request = agent.receive_request(SetHostParamsCommand)
    assert set(request.commands[0].params) == {"migratewait", "router.aggregation.command.each.timeout"}
    assert (request.commands[0].params["migratewait"], request.in_sequence) == ("3601", True)


def test_agents_are_sent_to_the_other_servers(edge: Any) -> None:
    """MigrateAgentConnectionCommand names all servers and this one to avoid; who goes leaves Disconnected, no alert."""
    edge.set("host", "127.0.0.1,127.0.0.2")
    assert edge.manager.other_servers() == ["127.0.0.2"]
    agent = edge.agent()
    agent.attach()
    edge.wait_for_status("Up")
    assert edge.manager.send_agents_away("roundrobin") == 1
    request = agent.receive_request(MigrateAgentConnectionCommand)
    command = request.commands[0]
    assert isinstance(command, MigrateAgentConnectionCommand)
    assert (command.msList, command.avoidMsList) == (["127.0.0.1", "127.0.0.2"], ["127.0.0.1"])
    assert (command.lbAlgorithm, command.lbCheckInterval, command.wait) == ("roundrobin", 0, 60)
    assert edge.manager.send_agents_away("roundrobin") == 1  # nobody is told twice
    agent.answer(request, MigrateAgentConnectionAnswer(result=True))
    edge.wait_for(lambda: edge.attached().is_leaving, "its answer")
    agent.close()
    edge.wait_for_last_move("Up", "Disconnected", "ShutdownRequested")
    assert edge.manager.send_agents_away(None) == 0


def test_a_server_that_sends_agents_away_accepts_none(edge: Any) -> None:
    """What connects is closed at once, until agents are accepted again; one that will not go stays."""
    edge.set("host", "127.0.0.1,127.0.0.2")
    agent = edge.agent()
    agent.attach()
    edge.wait_for_status("Up")
    edge.manager.send_agents_away(None)
    agent.answer(agent.receive_request(MigrateAgentConnectionCommand), Answer(result=False))
    with pytest.raises((edge.peer_closed, ConnectionError)):  # noticed at the reading, or at the writing
        edge.agent()
    edge.manager.accept_agents()
    answer = edge.ask(CheckHealthCommand())
    agent.answer(agent.receive_request(CheckHealthCommand), CheckHealthAnswer(result=True))
    assert answer.result(60).result
    assert not edge.attached().is_leaving
    edge.agent().attach()
