"""The agent's state machine, without sockets and with time as a number."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from agent_sim.agent import Agent, Close, Connect, Execute, Exit, Phase, Send
from agent_sim.properties import AgentProperties
from agent_sim.startup import Identity
from mgmt.protocol.commands import (
    AgentControlAnswer,
    AgentControlCommand,
    Answer,
    CheckHealthCommand,
    CleanupNetworkRulesCmd,
    HostVmStateReportEntry,
    PingAnswer,
    PingRoutingCommand,
    ReadyCommand,
    SetupMSListCommand,
    ShutdownCommand,
    StartupAnswer,
    StartupRoutingCommand,
)
from mgmt.protocol.message import Request, Response, decode


def make_agent(**options) -> Agent:
    return Agent(
        "kvm1",
        options.pop("properties", AgentProperties({"backoff.seconds": "2"})),
        options.pop("identity", Identity()),
        introduce=lambda: [StartupRoutingCommand(guid="g")],
        power_report=lambda: {"i-2-3-VM": HostVmStateReportEntry(state="PowerOn", host="kvm1")},
        **options,
    )


def linked(agent: Agent, now_s: float = 0.0, *, welcome: StartupAnswer | None = None) -> Agent:
    agent.start(now_s)
    (startup,) = agent.link_up(now_s)
    assert isinstance(startup, Send)
    if welcome is not None:
        request = decode(startup.message)
        agent.received(Response.to(request, [welcome]).encode(), now_s)
    return agent


def welcome(**fields) -> StartupAnswer:
    values = {"result": True, "hostId": 7, "hostUuid": "u", "hostName": "kvm1", "pingInterval": 60}
    return StartupAnswer(**{**values, **fields})


def request(*commands, **options) -> Request:
    return Request(1, commands, from_server=True, **options)


def sent(actions) -> list[Request | Response]:
    return [decode(action.message) for action in actions if isinstance(action, Send)]


def test_first_life() -> None:
    """Connect, Startup with no ids, running after the StartupAnswer, pings with the id that was given."""
    agent = make_agent()
    assert agent.start(0.0) == [Connect()]
    (startup,) = sent(agent.link_up(1.0))
    assert (startup.sequence, startup.agent_id, startup.stop_on_error) == (0, -1, False)
    assert agent.phase is Phase.STARTING
    agent.received(Response.to(startup, [welcome()]).encode(), 1.0)
    assert agent.phase is Phase.RUNNING
    assert agent.deadline_s == 61.0
    assert agent.tick(60.9) == []
    (ping,) = sent(agent.tick(61.0))
    assert (ping.sequence, ping.agent_id, ping.via, ping.stop_on_error) == (1, 7, 7, True)
    assert isinstance(ping.commands[0], PingRoutingCommand)
    assert ping.commands[0]._hostVmStateReport["i-2-3-VM"].state == "PowerOn"


def test_a_vm_that_ended_is_told_at_once_when_wanted() -> None:
    """With libvirt.events.enabled a ping goes out of turn and moves no other; without, and before the welcome, none."""
    properties = AgentProperties({"libvirt.events.enabled": "true"})
    agent = make_agent(properties=properties)
    assert linked(agent).domain_ended() == []
    agent = linked(make_agent(properties=properties), welcome=welcome())
    (ping,) = sent(agent.domain_ended())
    assert ping.commands[0].outOfBand and set(ping.commands[0]._hostVmStateReport) == {"i-2-3-VM"}
    assert agent.deadline_s == 60.0
    assert not sent(agent.tick(60.0))[0].commands[0].outOfBand
    assert linked(make_agent(), welcome=welcome()).domain_ended() == []


def test_late_tick_sends_one_ping_and_keeps_the_rate() -> None:
    """After a long sleep one ping goes out, and the next is due at the old rate."""
    agent = linked(make_agent(), welcome=welcome())
    assert len(sent(agent.tick(200.0))) == 1
    assert agent.deadline_s == 240.0


def test_an_agent_that_was_stopped_for_long_stays_silent() -> None:
    """No ping for more than ping.retries intervals: none is sent any more, until some other answer comes."""
    agent = linked(make_agent(), welcome=welcome())
    assert sent(agent.tick(301.0)) == []
    for answer in (PingAnswer(result=True), AgentControlAnswer(result=True)):
        agent.received(Response(7, (answer,)).encode(), 350.0)
    assert sent(agent.tick(360.0)) == []
    agent.received(Response(7, (Answer(result=True),)).encode(), 370.0)
    assert len(sent(agent.tick(420.0))) == 1
    assert len(sent(agent.tick(480.0))) == 1


def test_no_startup_answer_means_connecting_anew() -> None:
    """180 s at first, 360 s later, then one pause and a new try."""
    agent = linked(make_agent())
    assert agent.deadline_s == 180.0
    assert agent.tick(180.0) == [Close()]
    assert (agent.phase, agent.deadline_s) == (Phase.WAITING, 182.0)
    assert agent.tick(182.0) == [Connect()]
    agent.link_up(190.0)
    assert agent.deadline_s == 550.0


def test_link_loss_waits_five_seconds_and_a_pause() -> None:
    """Timers end with the link; a failed try waits one pause only; the scale shortens both, to 50 ms at least."""
    agent = linked(make_agent(), welcome=welcome())
    assert agent.link_down(100.0) == []
    assert agent.deadline_s == 107.0
    agent.tick(107.0)
    agent.connect_failed(107.5)
    assert agent.deadline_s == 109.5
    scaled = linked(make_agent(pause_scale=float("inf")), welcome=welcome())
    scaled.link_down(100.0)
    assert scaled.deadline_s == pytest.approx(100.05)


@pytest.mark.parametrize("fields", [{"hostUuid": None}, {"hostName": None}, {"pingInterval": 0}])
def test_incomplete_welcome_is_the_silent_trap(fields) -> None:
    """Without names or interval the agent never pings and never retries, but answers."""
    agent = linked(make_agent(), welcome=welcome(**fields))
    assert (agent.phase, agent.deadline_s, agent.identity.host_id) == (Phase.RUNNING, None, 7)
    assert isinstance(agent.received(request(CheckHealthCommand()).encode(), 5.0)[0], Execute)


def test_refusal_by_startup_answer_ends_the_process() -> None:
    """`result` false: ShutdownCommand, close, exit, no reconnect."""
    agent = linked(make_agent())
    actions = agent.received(Response(0, (StartupAnswer(result=False, details="no"),)).encode(), 1.0)
    assert isinstance(sent(actions)[0].commands[0], ShutdownCommand)
    assert actions[1:] == [Close(), Exit("no")]
    assert (agent.phase, agent.link_down(2.0), agent.deadline_s) == (Phase.STOPPED, [], None)


def test_send_startup_repeats_the_introduction_and_doubles_the_pings() -> None:
    """A PingAnswer with `sendStartup`: Startup again with the own ids; each StartupAnswer adds a ping timer."""
    agent = linked(make_agent(), welcome=welcome())
    (again,) = sent(agent.received(Response(1, (PingAnswer(result=True, sendStartup=True),)).encode(), 10.0))
    assert isinstance(again.commands[0], StartupRoutingCommand)
    assert (again.agent_id, again.via) == (7, 7)
    agent.received(Response(2, (welcome(pingInterval=10),)).encode(), 10.0)
    assert len(sent(agent.tick(60.0))) == 2
    assert agent.received(Response(3, (PingAnswer(result=True),)).encode(), 11.0) == []
    assert agent.received(Response(3, (Answer(result=True),)).encode(), 11.0) == []


def test_answers_follow_their_link() -> None:
    """An answer is built from its request; one whose link is gone is lost."""
    agent = linked(make_agent(), welcome=welcome())
    (execute,) = agent.received(request(CheckHealthCommand(), in_sequence=True, management_id=9).encode(), 1.0)
    (response,) = sent(agent.answered(execute, [Answer(result=True)]))
    assert (response.in_sequence, response.stop_on_error, response.from_server) == (True, True, False)
    assert response.management_id == 9
    agent.link_down(2.0)
    agent.tick(50.0)
    agent.link_up(50.0)
    assert agent.answered(execute, [Answer(result=True)]) == []


def test_shutdown_from_the_server_ends_timers_and_reconnects() -> None:
    """After ShutdownCommand no pings, no cron, no new link; the answer is true."""
    agent = linked(make_agent(), welcome=welcome())
    cron = request(CleanupNetworkRulesCmd(interval=30))
    assert agent.shell_answer(cron, cron.commands[0], 0.0) == Answer(result=True)
    assert agent.deadline_s == 30.0
    shutdown = request(ShutdownCommand(reason="deleteHost"))
    assert agent.shell_answer(shutdown, shutdown.commands[0], 1.0) == Answer(result=True)
    assert agent.deadline_s is None
    agent.link_down(5.0)
    assert (agent.phase, agent.deadline_s) == (Phase.STOPPED, None)


def test_ready_is_remembered() -> None:
    """Id, uuid and name are stored; without uuid or name the id is stored and the answer is a null pointer."""
    agent = linked(make_agent(), welcome=welcome(hostId=0, hostUuid="", hostName=""))
    good = request(ReadyCommand(hostId=8, hostUuid="u8", hostName="n8", arch="aarch64"))
    assert agent.shell_answer(good, good.commands[0], 0.0) is None
    assert (agent.identity.host_id, agent.identity.uuid, agent.identity.name) == (8, "u8", "n8")
    assert agent.ready_seen
    bad = request(ReadyCommand(hostId=9))
    answer = agent.shell_answer(bad, bad.commands[0], 0.0)
    assert answer is not None and "NullPointerException" in (answer.details or "")
    assert agent.identity.host_id == 9
    without = request(ReadyCommand())
    assert agent.shell_answer(without, without.commands[0], 0.0) is None


def test_other_commands_of_the_shell() -> None:
    """SetupMSList wants `triggerHostLb`; AgentControl is true; others are not the shell's."""
    agent = linked(make_agent(), welcome=welcome())
    lists = [SetupMSListCommand(msList=["a"], triggerHostLb=False), SetupMSListCommand(msList=["a"])]
    answers = [agent.shell_answer(request(command), command, 0.0) for command in lists]
    assert [answer is not None and answer.result for answer in answers] == [True, False]
    control = AgentControlCommand()
    assert agent.shell_answer(request(control), control, 0.0) == AgentControlAnswer(result=True)
    health = CheckHealthCommand()
    assert agent.shell_answer(request(health), health, 0.0) is None


def test_stop_before_and_after_the_link() -> None:
    """A stopped agent says goodbye only when it has a link."""
    agent = linked(make_agent(), welcome=welcome())
    actions = agent.stop()
    assert isinstance(sent(actions)[0].commands[0], ShutdownCommand)
    assert actions[-1] == Close()
    assert make_agent().stop() == [Close()]


def test_bytes_that_are_no_message_are_dropped() -> None:
    """Unknown versions and short headers do nothing."""
    agent = linked(make_agent(), welcome=welcome())
    for data in (b"", b"\x05", b"\x01" * 50, b"\x00" * 12):
        assert agent.received(data, 1.0) == []


class AnyLife(RuleBasedStateMachine):
    """Whatever happens in whatever order, the agent stays sane."""

    def __init__(self) -> None:
        super().__init__()
        self.now_s = 0.0
        self.agent = make_agent()
        self.linked = False
        self.wanted = len(self.agent.start(0.0))

    def take(self, actions) -> None:
        for action in actions:
            if isinstance(action, Connect):
                assert not self.linked
            elif isinstance(action, Send):
                decode(action.message)
            elif isinstance(action, Close):
                self.linked = False

    @precondition(lambda self: not self.linked and self.agent.phase is Phase.CONNECTING)
    @rule(works=st.booleans())
    def connect(self, works) -> None:
        if works:
            self.linked = True
            self.take(self.agent.link_up(self.now_s))
        else:
            self.take(self.agent.connect_failed(self.now_s))

    @precondition(lambda self: self.linked)
    @rule()
    def lose(self) -> None:
        self.linked = False
        self.take(self.agent.link_down(self.now_s))

    @precondition(lambda self: self.linked)
    @rule(interval=st.integers(0, 90))
    def be_welcomed(self, interval) -> None:
        self.take(self.agent.received(Response(0, (welcome(pingInterval=interval),)).encode(), self.now_s))

    @precondition(lambda self: self.linked)
    @rule(data=st.binary(max_size=60))
    def hear_garbage(self, data) -> None:
        self.take(self.agent.received(data, self.now_s))

    @precondition(lambda self: self.linked)
    @rule()
    def be_refused(self) -> None:
        self.take(self.agent.received(request(ReadyCommand(_details="no")).encode(), self.now_s))

    @rule(pause_s=st.floats(0, 1000))
    def wait(self, pause_s) -> None:
        self.now_s += pause_s
        self.take(self.agent.tick(self.now_s))

    @precondition(lambda self: self.agent.phase is Phase.STOPPED)
    @rule()
    def restart(self) -> None:
        self.agent = make_agent(identity=self.agent.identity)
        self.take(self.agent.start(self.now_s))

    @invariant()
    def never_stuck(self) -> None:
        """A waiting agent has a time to wait for; nothing that is due is left after a tick."""
        if self.agent.phase is Phase.WAITING:
            assert self.agent.deadline_s is not None
        if self.agent.phase is Phase.STOPPED:
            assert self.agent.deadline_s is None


TestAnyLife = AnyLife.TestCase
TestAnyLife.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
