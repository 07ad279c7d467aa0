"""Pings, other requests of agents, silence and its investigation, and how hosts are lost."""

from __future__ import annotations

import queue
import threading
from typing import Any

import pytest
from sqlalchemy import select

from mgmt.protocol.commands import (
    AgentConnectStatusCommand,
    AgentControlAnswer,
    AgentControlCommand,
    Answer,
    CheckHealthAnswer,
    CheckHealthCommand,
    HostVmStateReportEntry,
    PingAnswer,
    PingCommand,
    PingRoutingCommand,
    PingRoutingWithNwGroupsCommand,
    ShutdownCommand,
    UnknownCommand,
    UnsupportedAnswer,
)
from mgmt.protocol.message import Header, Response, decode
from mgmt.store.models import Alert, Host, HostDetail

NODE_ID = 345050284381


def up(edge: Any) -> Any:
    agent = edge.agent()
    agent.attach()
    edge.wait_for_status("Up")
    return agent


def reply(agent: Any, *commands: Any, **header: Any) -> Response:
    request = agent.request(*commands, **header)
    response = agent.receive()
    assert isinstance(response, Response)
    assert response.sequence == request.sequence
    return response


def test_a_ping_is_answered_with_itself(edge: Any) -> None:
    """PingAnswer repeats the whole ping; node id and host id stand in the header."""
    agent = up(edge)
    host_id = edge.host_id()
    ping = PingRoutingCommand(
        _hostVmStateReport={"i-2-14-VM": HostVmStateReportEntry(state="PowerOn", host="kvm1")},
        hostType="Routing",
        hostId=host_id,
    )
    raw: list[bytes] = []
    feed = agent.link.feed
    agent.link.feed = lambda data: raw.extend(messages := feed(data)) or messages
    response = reply(agent, ping, agent_id=host_id, via=-1)
    (answer,) = response.answers
    assert isinstance(answer, PingAnswer)
    assert (answer.result, answer.sendStartup, answer.avoidMsList, answer.reconcileCommands) == (True, False, [], [])
    assert b'"_command":{"_hostVmStateReport":{"i-2-14-VM":{"state":"PowerOn","host":"kvm1"}}' in raw[-1]
    assert Header.decode(raw[-1])[0].flags == 0x22
    assert (response.management_id, response.agent_id, response.via) == (NODE_ID, host_id, host_id)


def test_a_repeated_ping_is_answered_without_being_read(edge: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same ping with the next number gets the same answer, and counts as one; any other is read anew."""
    agent, reports = up(edge), queue.Queue[Any]()
    edge.manager.on_power_report = lambda told: [reports.put(dict(each.states)) or False for each in told]
    on = {"i-2-14-VM": HostVmStateReportEntry(state="PowerOn", host="kvm1")}
    first = reply(agent, PingRoutingCommand(_hostVmStateReport=on, hostId=7))
    read: list[bytes] = []
    monkeypatch.setattr("mgmt.agents.hub.decode", lambda data: read.append(data) or decode(data))
    before_s = edge.clock.monotonic()
    again = reply(agent, PingRoutingCommand(_hostVmStateReport=on, hostId=7))
    assert not read
    assert (again.answers, again.via, again.from_server) == (first.answers, first.via, first.from_server)
    assert edge.attached().last_ping >= before_s
    other = reply(agent, PingRoutingCommand(_hostVmStateReport={}, hostId=7))
    assert len(read) == 1
    assert other.answers[0]._command == PingCommand(hostId=7)  # as the field's class is declared
    states = {"i-2-14-VM": "PowerOn"}
    assert [reports.get(timeout=60) for _ in range(3)] == [states, states, {}]


def test_the_ping_of_a_host_with_bridge_firewalling(edge: Any) -> None:
    """PingRoutingWithNwGroupsCommand is a PingRoutingCommand, and is repeated under its own name."""
    agent = up(edge)
    ping = PingRoutingWithNwGroupsCommand(_hostVmStateReport={}, newGroupStates={"i-2-14-VM": [3, None]})
    (answer,) = reply(agent, ping).answers
    assert isinstance(answer, PingAnswer)
    assert answer.result
    assert edge.attached().last_ping > 0


def test_power_reports_are_handed_on_in_turn(edge: Any) -> None:
    """Each ping's power states go to the listener, in a thread that may use the database, one after the other."""
    heard: list[tuple[int, dict[str, str], bool]] = []
    answered, done = threading.Event(), threading.Event()

    def listen(reports: Any) -> list[bool]:
        if not heard:
            answered.wait(60)  # the loop answers pings meanwhile, and a second report has to wait
        for report in reports:
            with edge.store.session() as session:
                assert session.get_one(Host, report.host_id).name == "kvm1"
            heard.append((report.host_id, dict(report.states), report.is_out_of_band))
        if len(heard) == 2:
            done.set()
        return [False] * len(reports)

    edge.manager.on_power_report = listen
    agent = up(edge)
    on = HostVmStateReportEntry(state="PowerOn", host="kvm1")
    reply(agent, PingRoutingCommand(_hostVmStateReport={"i-2-14-VM": on}))
    reply(agent, PingRoutingCommand(_hostVmStateReport={}, outOfBand=True))
    reply(agent, PingRoutingCommand())
    answered.set()
    assert done.wait(60)
    assert heard == [(edge.host_id(), {"i-2-14-VM": "PowerOn"}, False), (edge.host_id(), {}, True)]


def test_several_commands_in_one_request_are_answered_one_by_one(edge: Any) -> None:
    """One response with one answer per command."""
    answers = reply(up(edge), PingCommand(), AgentControlCommand(), CheckHealthCommand()).answers
    assert [type(answer) for answer in answers] == [PingAnswer, AgentControlAnswer, Answer]
    assert all(answer.result for answer in answers)


@pytest.mark.parametrize(
    "command",
    [
        UnknownCommand(java_class="com.example.FooCommand"),
        CheckHealthCommand(),
        AgentConnectStatusCommand(),
    ],
)
def test_requests_that_nobody_handles_are_answered_true(edge: Any, command: Any) -> None:
    """An unknown class and commands that are not for a server get a plain Answer true."""
    assert reply(up(edge), command).answers == (Answer(result=True),)


def test_a_request_that_cannot_be_read_is_answered_once(edge: Any) -> None:
    """Bad content gets one plain Answer true; the link lives on."""
    agent = up(edge)
    content = b'[{"com.cloud.agent.api.PingCommand":null}]'
    agent.link.send(Header(0x03, 77, len(content)).encode() + content)
    agent.flush()
    response = agent.receive()
    assert (response.sequence, response.answers) == (77, (Answer(result=True),))
    assert isinstance(reply(agent, PingCommand()).answers[0], PingAnswer)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x01" + b"\x00" * 60,
        b"\x09" * 60,
        Header(0x02, 5, 3).encode() + b"foo",
        Header(0x02, 5, 2).encode() + b"[]",
    ],
    ids=["empty", "version 2", "version 9", "bad response", "empty response"],
)
def test_messages_that_cannot_be_answered_are_dropped(edge: Any, data: bytes) -> None:
    """Empty messages, foreign versions and bad responses are dropped without an answer; the link lives on."""
    agent = up(edge)
    agent.link.send(data)
    agent.flush()
    assert isinstance(reply(agent, PingCommand()).answers[0], PingAnswer)


def test_an_empty_request_gets_no_answer(edge: Any) -> None:
    """`[]` from an agent is not answered."""
    agent = up(edge)
    agent.request()
    assert isinstance(reply(agent, PingCommand()).answers[0], PingAnswer)


def silent(edge: Any) -> None:
    """Let the time pass in which no ping came: ping.interval x ping.timeout and one round of the watch."""
    edge.clock.advance(60 * 2.5 + 1)


def test_a_ping_keeps_the_host_up_and_is_written_down(edge: Any) -> None:
    """A host that pings is not investigated; last_ping is stored at the next round."""
    agent = up(edge)
    attached = edge.host().last_ping
    edge.clock.advance(100)
    reply(agent, PingCommand())
    edge.clock.advance(100)
    edge.wait_for(lambda: edge.host().last_ping > attached, "the ping's record")
    assert isinstance(reply(agent, PingCommand()).answers[0], PingAnswer)
    assert edge.status() == "Up"


def test_a_silent_host_that_says_it_is_well_stays_up(edge: Any) -> None:
    """No pings, CheckHealth true: stays Up, link kept, asked again after every ping interval."""
    agent = up(edge)
    silent(edge)
    check = agent.receive_request(CheckHealthCommand)
    assert (check.commands[0].wait, check.in_sequence) == (50, False)
    agent.answer(check, CheckHealthAnswer(result=True))
    edge.wait_for(lambda: not edge.attached().investigating, "the end of the investigation")
    edge.clock.advance(60)
    agent.answer(agent.receive_request(CheckHealthCommand), CheckHealthAnswer(result=True))
    assert edge.status() == "Up"


@pytest.mark.parametrize("answer", [CheckHealthAnswer(result=False, details="bad"), UnsupportedAnswer(result=False)])
def test_a_silent_host_that_is_not_well_goes_to_alert(edge: Any, answer: Answer) -> None:
    """No pings, CheckHealth false, nobody else to ask: Alert, the server closes the link."""
    agent = up(edge)
    silent(edge)
    agent.answer(agent.receive_request(CheckHealthCommand), answer)
    agent.wait_closed()
    edge.wait_for_status("Alert")
    edge.wait_for_last_move("Up", "Alert", "AgentDisconnected")


def test_a_host_that_does_not_answer_the_health_check_goes_to_alert(edge: Any) -> None:
    """No pings and no answer to CheckHealth within 2 x 50 s: Alert."""
    agent = up(edge)
    silent(edge)
    agent.receive_request(CheckHealthCommand)
    edge.clock.advance(51)
    edge.wait_for(lambda: any(p.second_period for p in edge.attached().requests._pending.values()), "the second wait")
    edge.clock.advance(51)
    agent.wait_closed()
    edge.wait_for_status("Alert")


@pytest.mark.parametrize("state", ["Disabled", "Maintenance"])
def test_a_silent_host_that_is_not_in_use_is_not_asked(edge: Any, state: str) -> None:
    """No pings in Disabled or Maintenance: no CheckHealth, link closed, Disconnected."""
    agent = up(edge)
    edge.set_resource_state(state)
    silent(edge)
    agent.wait_closed()
    edge.wait_for_status("Disconnected")
    assert CheckHealthCommand not in [type(m.commands[0]) for m in agent.seen if not isinstance(m, Response)]


def test_a_disconnected_host_that_stays_away_goes_to_alert(edge: Any) -> None:
    """Disconnected for longer than alert.wait: Alert."""
    agent = up(edge)
    agent.request(ShutdownCommand(reason="sig.kill"), in_sequence=True)
    agent.wait_closed()
    edge.wait_for_status("Disconnected")
    edge.clock.advance(1801)
    edge.wait_for_status("Alert")
    edge.wait_for_last_move("Disconnected", "Alert", "WaitedTooLong")


def test_a_stopped_agent_leaves_its_host_disconnected(edge: Any) -> None:
    """ShutdownCommand `sig.kill`: no answer, link closed at once, Disconnected; it may come back."""
    agent = up(edge)
    agent.request(ShutdownCommand(reason="sig.kill"), in_sequence=True)
    agent.wait_closed()
    edge.wait_for_status("Disconnected")
    assert not any(isinstance(message, Response) for message in agent.seen[1:])
    up(edge)


@pytest.mark.parametrize("reason", ["sys.exit", "deleteHost", None])
def test_a_shutdown_for_another_reason_is_ignored(edge: Any, reason: str | None) -> None:
    """Any other reason: no answer, link kept, state kept."""
    agent = up(edge)
    agent.request(ShutdownCommand(reason=reason))
    assert isinstance(reply(agent, PingCommand()).answers[0], PingAnswer)
    assert edge.status() == "Up"


def test_a_cut_link_leaves_alert_and_the_host_comes_back(edge: Any) -> None:
    """Link cut: Alert at once without a question; a new Startup: Connecting, Up."""
    agent = up(edge)
    agent.close()
    edge.wait_for_status("Alert")
    edge.wait_for(lambda: not edge.manager.is_attached(edge.host_id()), "the loss")
    up(edge)
    edge.wait_for_last_move("Connecting", "Up", "Ready")
    assert [after for _, after, _ in edge.moves()] == ["Connecting", "Up", "Alert", "Connecting", "Up"]
    assert edge.host().disconnected is None


def test_a_disconnect_on_demand(edge: Any) -> None:
    """reconnectHost: nothing is sent, the link is closed, Disconnected; without a link nothing happens."""
    agent = up(edge)
    edge.manager.disconnect(edge.host_id(), "reconnectHost")
    agent.wait_closed()
    edge.wait_for_status("Disconnected")
    edge.manager.disconnect(edge.host_id(), "reconnectHost")
    up(edge)


def test_a_lost_status_asks_for_another_startup(edge: Any) -> None:
    """sendStartup is set when the attached host's state is neither Up nor Connecting and its gateway is reachable."""
    agent = up(edge)
    edge.attached().status = type(edge.attached().status)("Alert")
    assert reply(agent, PingRoutingCommand()).answers[0].sendStartup  # type: ignore[attr-defined]
    assert not reply(agent, PingRoutingCommand(_gatewayAccessible=False)).answers[0].sendStartup  # type: ignore[attr-defined]


def alerts(edge: Any) -> list[str]:
    with edge.store.session() as session:
        return [f"{alert.name}: {alert.description}" for alert in session.scalars(select(Alert))]


def test_a_lost_gateway_is_an_alert(edge: Any) -> None:
    """`_gatewayAccessible` false writes one alert of the type routing, until it was true again."""
    agent = up(edge)
    for has_gateway in (True, False, False, True, False):
        reply(agent, PingRoutingCommand(_gatewayAccessible=has_gateway))
    place = f"name: kvm1 (id:{edge.host().uuid}), availability zone: zone1, pod: pod1"
    expected = [f"ALERT.NETWORK.ROUTING: Host lost connection to gateway, {place}"] * 2
    edge.wait_for(lambda: alerts(edge) == expected, "the alerts")


def test_a_bad_health_check_disables_a_host_where_that_is_wanted(edge: Any) -> None:
    """With enable.kvm.host.auto.enable.disable a ping's health check disables and enables the host, else nothing.

    A host that an administrator has disabled stays so.
    """
    agent = up(edge)
    reply(agent, PingRoutingCommand(hostHealthCheckResult=False))
    edge.set("enable.kvm.host.auto.enable.disable", "true")
    reply(agent, PingRoutingCommand(hostHealthCheckResult=True))
    for is_healthy, state in ((False, "Disabled"), (True, "Enabled")):
        reply(agent, PingRoutingCommand(hostHealthCheckResult=is_healthy))
        edge.wait_for(lambda state=state: edge.host().resource_state == state, state)
    assert edge.details()["auto.enable.kvm.host"] == "true"
    with edge.store.session() as session:
        session.scalars(select(HostDetail).where(HostDetail.name == "auto.enable.kvm.host")).one().value = "false"
    edge.set_resource_state("Disabled")
    for is_healthy in (False, True):
        reply(agent, PingRoutingCommand(hostHealthCheckResult=is_healthy))
    edge.set_resource_state("Enabled")
    reply(agent, PingRoutingCommand(hostHealthCheckResult=False))
    reply(agent, PingRoutingCommand(_gatewayAccessible=False))
    edge.wait_for(lambda: len(alerts(edge)) == 1, "the work of the pings before")
    assert edge.host().resource_state == "Enabled"
