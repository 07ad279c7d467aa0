"""Commands to attached hosts: answers, time-outs, order, limits, lost links."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from mgmt.errors import AgentUnavailableError, CommandAbandonedError, OperationTimedOutError, ServerStoppingError
from mgmt.observe.correlation import correlated
from mgmt.protocol.commands import (
    Answer,
    CheckConvertInstanceAnswer,
    CheckConvertInstanceCommand,
    CheckHealthAnswer,
    CheckHealthCommand,
    ConvertInstanceCommand,
    MaintainCommand,
    RemoteInstanceTO,
    UnknownCommand,
)
from mgmt.protocol.message import Request


def up(edge: Any) -> Any:
    agent = edge.agent()
    agent.attach()
    edge.wait_for_status("Up")
    assert edge.manager.wait_for_hosts_up([edge.guid], 60)
    return agent


def test_a_command_and_its_answer(edge: Any) -> None:
    """send gives the answer of the host; on the wire the command has its wait, a logid and the flags 0x23."""
    agent = up(edge)
    asked = edge.ask(CheckConvertInstanceCommand(useVddk=True, wait=60))
    request = agent.receive_request(CheckConvertInstanceCommand)
    assert (request.from_server, request.stop_on_error, request.in_sequence) == (True, True, False)
    command = request.commands[0]
    assert (command.useVddk, command.wait, len(command.contextMap["logid"])) == (True, 60, 8)
    agent.answer(request, CheckConvertInstanceAnswer(ovfExportSupported=True, result=True, details=""))
    assert asked.result(60) == CheckConvertInstanceAnswer(ovfExportSupported=True, result=True, details="")


def test_the_callers_command_is_left_alone(edge: Any) -> None:
    """send does not write into the command that it was given; `wait_s` goes onto the wire."""
    agent = up(edge)
    command = CheckHealthCommand(contextMap={"job": "job-7"})
    asked = edge.ask(command, wait_s=9)
    request = agent.receive_request(CheckHealthCommand)
    assert request.commands[0].wait == 9
    assert request.commands[0].contextMap["job"] == "job-7"
    agent.answer(request, CheckHealthAnswer(result=True))
    asked.result(60)
    assert command == CheckHealthCommand(contextMap={"job": "job-7"})


def test_an_abandoned_command(edge: Any) -> None:
    """Nobody waits for it any more; the answer that comes all the same is given to whoever asked for it."""
    agent = up(edge)
    late: list[Answer] = []
    came = threading.Event()

    def take(answer: Answer) -> None:
        late.append(answer)
        came.set()

    for wanted in (None, take):
        command = CheckHealthCommand(wait=60)
        asked = edge.ask(command)
        request = agent.receive_request(CheckHealthCommand)
        edge.manager.abandon(command, wanted)
        with pytest.raises(CommandAbandonedError):
            asked.result(60)
        agent.answer(request, CheckHealthAnswer(result=True, details=str(wanted is take)))
    assert came.wait(60)
    assert [answer.details for answer in late] == ["True"]


def test_several_commands_in_one_request(edge: Any) -> None:
    """send_all gives one answer per command; without stop_on_error the flag 0x02 is missing."""
    agent = up(edge)
    commands = [CheckHealthCommand(), UnknownCommand(java_class="com.example.Foo")]
    asked = edge.callers.submit(edge.manager.send_all, edge.host_id(), commands, stop_on_error=False)
    request = agent.receive()
    assert isinstance(request, Request)
    assert not request.stop_on_error
    assert len(request.commands) == 2
    agent.answer(request, CheckHealthAnswer(result=True), Answer(result=False, details="no"))
    assert asked.result(60) == [CheckHealthAnswer(result=True), Answer(result=False, details="no")]


def test_the_journal_has_one_entry_per_command_and_answer(edge: Any) -> None:
    """Command and answer are journalled under the caller's correlation id, the vCenter password masked."""
    agent = up(edge)
    source = RemoteInstanceTO(instanceName="web01", vcenterPassword="VMware1!secret")

    def call() -> Answer:
        with correlated("a1b2c3d4-0000"):
            answer: Answer = edge.manager.send(edge.host_id(), ConvertInstanceCommand(sourceInstance=source))
            return answer

    asked = edge.callers.submit(call)
    request = agent.receive_request(ConvertInstanceCommand)
    assert request.commands[0].sourceInstance.vcenterPassword == "VMware1!secret"
    assert request.commands[0].contextMap["logid"] == "a1b2c3d4"
    agent.answer(request, Answer(result=False, details="failed"))
    asked.result(60)
    command, answer = edge.journal.entries(kind="agent", correlation_id="a1b2c3d4-0000")
    assert (command.name, command.fields["direction"], command.fields["host"]) == (
        "ConvertInstanceCommand",
        "sent",
        "kvm1",
    )
    assert (answer.name, answer.fields["direction"]) == ("Answer", "received")
    assert command.fields["sequence"] == answer.fields["sequence"] == request.sequence
    assert "VMware1" not in str(edge.journal.entries())


def test_answers_may_come_in_any_order(edge: Any) -> None:
    """Responses are matched by their sequence."""
    agent = up(edge)
    asked = [edge.ask(CheckHealthCommand(wait=number + 1)) for number in range(3)]
    requests = [agent.receive_request(CheckHealthCommand) for _ in asked]
    for request in reversed(requests):
        agent.answer(request, Answer(result=True, details=str(request.commands[0].wait)))
    assert [future.result(60).details for future in asked] == ["1", "2", "3"]


def test_in_sequence_commands_go_one_by_one(edge: Any) -> None:
    """A second in-sequence request waits for the answer of the first, others do not."""
    agent = up(edge)
    first, second, other = (
        edge.ask(command) for command in (MaintainCommand(), MaintainCommand(), CheckHealthCommand())
    )
    received = [agent.receive(), agent.receive()]
    by_class = {type(request.commands[0]): request for request in received}
    assert set(by_class) == {MaintainCommand, CheckHealthCommand}
    agent.answer(by_class[MaintainCommand], Answer(result=True))
    agent.answer(by_class[CheckHealthCommand], Answer(result=True))
    agent.answer(agent.receive_request(MaintainCommand), Answer(result=True))
    assert all(future.result(60).result for future in (first, second, other))


def test_at_most_50_requests_are_unanswered(edge: Any) -> None:
    """The 51st request waits until one of the others is answered."""
    agent = up(edge)
    asked = [edge.callers.submit(edge.manager.send, edge.host_id(), CheckHealthCommand()) for _ in range(1)]
    agent.answer(agent.receive_request(CheckHealthCommand), Answer(result=True))
    asked[0].result(60)
    callers = [
        threading.Thread(target=edge.manager.send, args=(edge.host_id(), CheckHealthCommand())) for _ in range(53)
    ]
    for caller in callers:
        caller.start()
    requests = [agent.receive_request(CheckHealthCommand) for _ in range(50)]
    edge.wait_for(lambda: len(edge.attached().requests._backlog) == 3, "the backlog")
    agent.sock.settimeout(0.05)
    with pytest.raises(TimeoutError):
        agent.receive()
    agent.sock.settimeout(60)
    for request in requests:
        agent.answer(request, Answer(result=True))
    for _ in range(3):
        agent.answer(agent.receive_request(CheckHealthCommand), Answer(result=True))
    for caller in callers:
        caller.join(60)
        assert not caller.is_alive()


def test_a_timeout_after_twice_the_wait(edge: Any) -> None:
    """Two waiting periods, then `Commands <sequence> to Host <id> timed out after <2 x wait> secs`."""
    agent = up(edge)
    asked = edge.ask(CheckHealthCommand(wait=60))
    request = agent.receive_request(CheckHealthCommand)
    edge.clock.advance(61)
    edge.wait_for(lambda: edge.attached().requests._pending[request.sequence].second_period, "the second wait")
    edge.clock.advance(61)
    with pytest.raises(OperationTimedOutError) as caught:
        asked.result(60)
    assert caught.value.text == f"Commands {request.sequence} to Host {edge.host_id()} timed out after 120 secs"
    agent.answer(request, Answer(result=True))  # a late answer hurts nobody
    again = edge.ask(CheckHealthCommand())
    agent.answer(agent.receive_request(CheckHealthCommand), Answer(result=True))
    assert again.result(60).result


def test_a_timeout_after_one_wait_behind_an_in_sequence_request(edge: Any) -> None:
    """While another request is the current in-sequence one there is no second period."""
    agent = up(edge)
    edge.ask(MaintainCommand(wait=1000))
    agent.receive_request(MaintainCommand)
    asked = edge.ask(CheckHealthCommand(wait=60))
    request = agent.receive_request(CheckHealthCommand)
    queued = edge.ask(MaintainCommand(wait=60))
    edge.wait_for(lambda: len(edge.attached().requests._in_sequence_queue) == 1, "the queue")
    edge.clock.advance(61)
    with pytest.raises(OperationTimedOutError) as caught:
        asked.result(60)
    assert caught.value.text == f"Commands {request.sequence} to Host {edge.host_id()} timed out after 60 secs"
    with pytest.raises(OperationTimedOutError, match="timed out after 60 secs"):
        queued.result(60)


def test_the_default_wait_is_the_global_setting(edge: Any) -> None:
    """`wait` 0 on the wire means the setting `wait`."""
    edge.set("wait", "30")
    agent = up(edge)
    asked = edge.ask(CheckHealthCommand())
    request = agent.receive_request(CheckHealthCommand)
    assert request.commands[0].wait == 0
    edge.clock.advance(31)
    edge.wait_for(lambda: edge.attached().requests._pending[request.sequence].second_period, "the second wait")
    edge.clock.advance(31)
    with pytest.raises(OperationTimedOutError, match="timed out after 60 secs"):
        asked.result(60)


def test_a_limit_per_command_overwrites_the_wait(edge: Any) -> None:
    """`commands.timeout` gives a command its wait, also on the wire; parts that make no sense are skipped."""
    edge.set("commands.timeout", "CheckHealthCommand=77, bad, Other=x")
    agent = up(edge)
    edge.ask(CheckHealthCommand(wait=5))
    assert agent.receive_request(CheckHealthCommand).commands[0].wait == 77


def test_a_link_cut_during_a_command_fails_at_once(edge: Any) -> None:
    """The caller is told at once, with the text that CloudStack has for it."""
    agent = up(edge)
    asked = [
        edge.ask(command) for command in (CheckConvertInstanceCommand(wait=60), MaintainCommand(), MaintainCommand())
    ]
    request = next(
        message
        for message in (agent.receive(), agent.receive())
        if type(message.commands[0]) is CheckConvertInstanceCommand
    )
    host_id = edge.host_id()
    agent.close()
    with pytest.raises(AgentUnavailableError) as caught:
        asked[0].result(60)
    assert caught.value.text == f"Commands {request.sequence} to Host {host_id} timed out after 120 secs"
    for future in asked[1:]:
        with pytest.raises(AgentUnavailableError):
            future.result(60)


def test_a_stopped_agent_during_a_command_fails_it_at_once(edge: Any) -> None:
    """A ShutdownCommand ends what waits, like a cut."""
    from mgmt.protocol.commands import ShutdownCommand

    agent = up(edge)
    asked = edge.ask(CheckHealthCommand())
    agent.receive_request(CheckHealthCommand)
    agent.request(ShutdownCommand(reason="sig.kill"))
    with pytest.raises(AgentUnavailableError, match="timed out after 3600 secs"):
        asked.result(60)


def test_a_host_without_link_cannot_be_asked(edge: Any) -> None:
    """No link: the text names the host's state and the error its uuid."""
    agent = up(edge)
    agent.close()
    edge.wait_for_status("Alert")
    host = edge.host()
    with pytest.raises(AgentUnavailableError) as caught:
        edge.manager.send(host.id, CheckHealthCommand())
    assert caught.value.text == (
        f"Resource [Host:{host.id}] is unreachable: Host {host.id}: "
        "Host with specified id is not in the right state: Alert"
    )
    assert caught.value.uuid_list == ({"uuid": host.uuid},)


def test_an_unknown_host_cannot_be_asked(edge: Any) -> None:
    """A number that no host has."""
    with pytest.raises(AgentUnavailableError) as caught:
        edge.manager.send(4711, CheckHealthCommand())
    assert caught.value.text == "Resource [Host:4711] is unreachable: Host 4711: Can't find the host "


def test_a_host_in_maintenance_takes_some_commands_only(edge: Any) -> None:
    """In maintenance only the listed commands, and those that bypass it, are let through."""
    up(edge)
    edge.set_resource_state("Maintenance")
    agent = up(edge)
    with pytest.raises(AgentUnavailableError) as caught:
        edge.ask(ConvertInstanceCommand()).result(60)
    assert caught.value.text.endswith(
        "Unable to send class com.cloud.agent.api.ConvertInstanceCommand because agent kvm1 is in maintenance mode"
    )
    for command in (CheckHealthCommand(), ConvertInstanceCommand(bypassHostMaintenance=True)):
        asked = edge.ask(command)
        agent.answer(agent.receive_request(type(command)), Answer(result=True))
        assert asked.result(60).result


def test_a_host_that_is_connecting_takes_no_start(edge: Any) -> None:
    """While Connecting, commands are let through but StartCommand is not."""
    agent = edge.agent()
    agent.request(edge.startup())
    agent.receive()
    check = agent.receive()
    with pytest.raises(AgentUnavailableError, match="is in connecting mode"):
        edge.ask(UnknownCommand(java_class="com.cloud.agent.api.StartCommand")).result(60)
    asked = edge.ask(CheckHealthCommand())
    agent.answer(agent.receive_request(CheckHealthCommand), CheckHealthAnswer(result=True))
    assert asked.result(60).result
    assert not edge.manager.is_attached(edge.host_id())
    agent.answer(check, edge.good_answer(check.commands[0]))
    agent.serve_until_ready()
    edge.wait_for_status("Up")


def test_a_stopping_server_tells_whoever_waits(edge: Any) -> None:
    """stop lets waiting callers go, closes links and leaves the hosts Disconnected; nothing can be sent after it."""
    agent = up(edge)
    asked = edge.ask(CheckHealthCommand())
    agent.receive_request(CheckHealthCommand)
    edge.manager.stop()
    with pytest.raises(ServerStoppingError):
        asked.result(60)
    agent.wait_closed()
    assert edge.status() == "Disconnected"
    edge.wait_for_last_move("Up", "Disconnected", "ManagementServerDown")
    with pytest.raises(ServerStoppingError):
        edge.manager.send(edge.host_id(), CheckHealthCommand())
    with pytest.raises(ServerStoppingError):
        edge.manager.disconnect(edge.host_id(), "too late")
    edge.manager.stop()


def test_a_stopping_server_takes_the_last_answers(edge: Any) -> None:
    """What an agent answers before it sees the end of its link reaches the caller: the agent counts it as told."""
    agent = up(edge)
    asked = edge.ask(CheckHealthCommand())
    question = agent.receive_request(CheckHealthCommand)
    with ThreadPoolExecutor(1) as stopping:
        stopped = stopping.submit(edge.manager.stop)
        agent.wait_closed()
        agent.answer(question, CheckHealthAnswer(result=True))
        agent.close()
        assert asked.result(60).result
        stopped.result(60)


def test_two_agents_have_their_own_conversations(edge: Any) -> None:
    """Sequence numbers and answers of two hosts do not mix."""
    first = up(edge)
    second = edge.agent()
    other = "other-LibvirtComputingResource"
    second.attach(edge.startup(guid=other, name="kvm2"))
    edge.wait_for_status("Up", other)
    asked = edge.ask(CheckHealthCommand())
    asked_other = edge.callers.submit(edge.manager.send, edge.host_id(other), CheckHealthCommand())
    request, request_other = first.receive_request(CheckHealthCommand), second.receive_request(CheckHealthCommand)
    second.answer(request, Answer(result=True, details="not for me"))
    second.answer(request_other, Answer(result=True, details="two"))
    first.answer(request, Answer(result=True, details="one"))
    assert (asked.result(60).details, asked_other.result(60).details) == ("one", "two")
