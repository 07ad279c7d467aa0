"""What follows when a host is lost: the verdicts, and whom the server asks."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select

from mgmt.agents.investigation import Case, Notice, Verdict, judge
from mgmt.agents.states import Event, Status
from mgmt.protocol.commands import (
    Answer,
    CheckHealthAnswer,
    CheckHealthCommand,
    CheckOnHostCommand,
    PingAnswer,
    PingRoutingCommand,
    PingTestCommand,
)
from mgmt.store.models import Alert, StoragePool

LOST, SILENT = Event.AGENT_DISCONNECTED, Event.PING_TIMEOUT
OTHER = "other-LibvirtComputingResource"


@pytest.mark.parametrize(
    ("name", "finding", "status", "resource_state", "silent_s", "verdict"),
    [
        ("up", "Up", "Up", "Enabled", 9999, Verdict(Event.PING)),
        ("down", "Down", "Up", "Enabled", 0, Verdict(Event.HOST_DOWN, True, Notice.DOWN)),
        ("down, was Alert", "Down", "Alert", "Enabled", 0, Verdict(Event.HOST_DOWN, True, Notice.DOWN)),
        ("was Up", "Disconnected", "Up", "Enabled", 0, Verdict(LOST, True, Notice.DISCONNECTED)),
        ("was Disconnected", "Disconnected", "Disconnected", "Enabled", 1800, Verdict(None)),
        ("waited", "Disconnected", "Disconnected", "Enabled", 1801, Verdict(Event.WAITED_TOO_LONG, True)),
        ("prepares", "Disconnected", "Up", "PrepareForMaintenance", 1800, Verdict(None)),
        ("prepares, waited", "Disconnected", "Up", "PrepareForMaintenance", 1801, Verdict(SILENT, True)),
        ("was Connecting", "Disconnected", "Connecting", "Enabled", 0, Verdict(SILENT, True)),
        ("unknown", None, "Up", "Enabled", 1800, Verdict(None)),
        ("unknown, waited", None, "Up", "Enabled", 1801, Verdict(SILENT, True, Notice.ALERT)),
    ],
)
def test_verdicts(
    name: str, finding: str | None, status: str, resource_state: str, silent_s: float, verdict: Verdict
) -> None:
    """Each row of the table of findings and results."""
    found = None if finding is None else Status(finding)
    assert judge(Case(found, Status(status), resource_state, SILENT, silent_s, 1800)) == verdict


@pytest.fixture
def two(edge: Any) -> tuple[Any, Any]:
    """The host and a neighbour of its cluster, both Up."""
    host, neighbour = edge.agent(), edge.agent()
    host.attach()
    neighbour.attach(edge.startup(guid=OTHER, name="kvm2", privateIpAddress="192.0.2.12"))
    edge.wait_for_status("Up")
    edge.wait_for_status("Up", OTHER)
    return host, neighbour


def alerts(edge: Any) -> list[tuple[int, str, str]]:
    with edge.store.session() as session:
        return [(a.type, a.name, a.description) for a in session.scalars(select(Alert).order_by(Alert.id))]


def no_heartbeats(edge: Any) -> None:
    with edge.store.session() as session:
        session.scalars(select(StoragePool)).one().pool_type = "RBD"


def test_a_lost_host_whose_heartbeat_is_seen_is_disconnected(edge: Any, two: Any) -> None:
    """A neighbour says that the heart is beating: event AgentDisconnected, Alert, and the alert `Host disconnected`."""
    host, neighbour = two
    host.close()
    question = neighbour.receive_request(CheckOnHostCommand)
    (command,) = question.commands
    assert (command.host.guid, command.host.privateNetwork.ip, command.wait) == (edge.guid, "192.0.2.11", 20)
    neighbour.answer(question, Answer(result=False, details="Heart is beating..."))
    edge.wait_for_last_move("Up", "Alert", "AgentDisconnected")
    place = f"name: kvm1 (id:{edge.host().uuid}), availability zone: zone1, pod: pod1"
    assert alerts(edge) == [(7, "ALERT.COMPUTE.HOST", f"Host disconnected, {place}")]


def test_a_lost_host_whose_heartbeat_is_missed_is_down(edge: Any, two: Any) -> None:
    """No neighbour sees the heartbeat: event HostDown, Down, the alert `Host down`, and whoever cares is told."""
    told: list[int] = []
    edge.manager.on_host_down = told.append
    host, neighbour = two
    host.close()
    neighbour.answer(neighbour.receive_request(CheckOnHostCommand), Answer(result=True))
    edge.wait_for_last_move("Up", "Down", "HostDown")
    edge.wait_for(lambda: told == [edge.host_id()], "the word that the host is down")
    row = edge.host()
    text = f'Host {{"id":{row.id},"name":"kvm1","type":"Routing","uuid":"{row.uuid}"}}'
    assert alerts(edge) == [(7, "ALERT.COMPUTE.HOST", f"Host down, {text}")]
    edge.agent().attach()
    edge.wait_for_last_move("Connecting", "Up", "Ready")
    assert ("Down", "Connecting", "AgentConnected") in edge.moves()


@pytest.mark.parametrize(("answers", "after"), [(True, "Alert"), (False, "Down")])
def test_without_heartbeats_a_neighbour_pings_the_host(edge: Any, two: Any, answers: bool, after: str) -> None:
    """Without a pool for heartbeats a host of the pod pings the lost one: Disconnected, or Down."""
    no_heartbeats(edge)
    host, neighbour = two
    host.close()
    question = neighbour.receive_request(PingTestCommand)
    assert question.commands[0]._computingHostIp == "192.0.2.11"
    neighbour.answer(question, Answer(result=answers))
    edge.wait_for_status(after)


def test_a_silent_host_is_asked_first_and_then_its_neighbours(edge: Any, two: Any) -> None:
    """Ping time-out: CheckHealth to the host, then CheckOnHost to the neighbours; its link is closed by the server."""
    host, neighbour = two
    edge.clock.advance(100)
    neighbour.request(PingRoutingCommand())
    assert isinstance(neighbour.receive().answers[0], PingAnswer)
    edge.clock.advance(61)
    host.answer(host.receive_request(CheckHealthCommand), CheckHealthAnswer(result=False))
    neighbour.answer(neighbour.receive_request(CheckOnHostCommand), Answer(result=True))
    host.wait_closed()
    edge.wait_for_last_move("Up", "Down", "HostDown")


def test_a_host_that_comes_back_during_its_investigation_stays_up(edge: Any, two: Any) -> None:
    """A new link of the host ends the investigation of the old one: no alert, no Down."""
    host, neighbour = two
    host.close()
    question = neighbour.receive_request(CheckOnHostCommand)
    edge.agent().attach()
    edge.wait_for_last_move("Connecting", "Up", "Ready")
    neighbour.answer(question, Answer(result=True))
    neighbour.request(PingRoutingCommand())
    assert isinstance(neighbour.receive().answers[0], PingAnswer)
    assert (edge.status(), alerts(edge)) == ("Up", [])


def test_a_lost_host_that_prepares_for_maintenance_may_wait(edge: Any, caplog: pytest.LogCaptureFixture) -> None:
    """Up and preparing for maintenance: nothing happens until alert.wait, then Alert."""
    agent = edge.agent()
    agent.attach()
    edge.wait_for_status("Up")
    edge.set_resource_state("PrepareForMaintenance")
    caplog.set_level("INFO", "mgmt.agents.investigation")
    agent.close()
    # Its verdict is what tells that the investigation of the lost link is over: time that passes before would be in it.
    edge.wait_for(lambda: "nothing is done yet" in caplog.text, "the end of the investigation")
    assert edge.status() == "Up"
    edge.clock.advance(1900)

    def is_given_up() -> bool:
        edge.clock.advance(60)  # the look at 1,900 s may have met one that began before they had passed
        return bool(edge.moves()[-1:] == [("Up", "Alert", "PingTimeout")])

    edge.wait_for(is_given_up, "the Alert")


def test_a_deleted_hosts_agent_is_told_to_stop(edge: Any) -> None:
    """deleteHost: ShutdownCommand `deleteHost`, not in the way of its answer, link closed at once, Removed."""
    agent = edge.agent()
    agent.attach()
    edge.wait_for_status("Up")
    edge.manager.remove(edge.host_id())
    edge.wait_for_last_move("Up", "Removed", "Remove")
    agent.wait_closed()
    command = agent.seen[-1].commands[0]
    assert (type(command).__name__, command.reason, command.removeHost) == ("ShutdownCommand", "deleteHost", False)
    assert agent.seen[-1].in_sequence


def test_a_host_without_a_link_is_removed_too(edge: Any) -> None:
    """deleteHost of a Disconnected host: nothing can be sent, Removed."""
    agent = edge.agent()
    agent.attach()
    edge.wait_for_status("Up")
    assert edge.manager.disconnect(edge.host_id(), "reconnectHost")
    assert edge.status() == "Disconnected"
    assert not edge.manager.disconnect(edge.host_id(), "reconnectHost")
    edge.manager.remove(edge.host_id())
    edge.wait_for_last_move("Disconnected", "Removed", "Remove")
