"""What a ReadyAnswer writes to host_details."""

from __future__ import annotations

from typing import Any

from mgmt.protocol.commands import Answer, CheckHealthCommand, ReadyAnswer, ReadyCommand

VDDK = {
    "host.vddk.support": "true",
    "vddk.lib.dir": "/opt/vmware-vddk/vmware-vix-disklib-distrib",
    "host.vddk.version": "8.0.3",
}
TOOLS = {"host.uefi.enable": "true", "host.virtv2v.version": "2.5.6rhel=9", "host.ovftool.version": "4.6.0"}


def details_after(edge: Any, *ready_answers: dict[str, str] | None) -> dict[str, str]:
    """The stored details after the agent has attached once for each map."""
    for details in ready_answers:
        answer: Answer = Answer(result=True) if details is None else ReadyAnswer(detailsMap=details, result=True)

        def answers(command: Any, answer: Answer = answer) -> Answer:
            return answer if isinstance(command, ReadyCommand) else edge.good_answer(command)

        edge.agent().attach(answers=answers)
        edge.wait_for_status("Up")
    stored: dict[str, str] = edge.details()
    return {name: value for name, value in stored.items() if name not in edge.startup().hostDetails}


def test_ready_details_are_stored(edge: Any) -> None:
    """UEFI, virt-v2v, ovftool and VDDK values become host details, under the keys that the agent sends."""
    assert details_after(edge, TOOLS | VDDK) == TOOLS | VDDK


def test_the_other_name_of_the_library_directory_is_stored_too(edge: Any) -> None:
    """`host.vddk.lib.dir` is stored under that key when an agent sends it."""
    sent = {"host.vddk.support": "true", "host.vddk.lib.dir": "/opt/vddk"}
    assert details_after(edge, sent) == sent


def test_instance_conversion_follows_a_ready_answer(edge: Any) -> None:
    """`host.instance.conversion` comes with the Startup, and a ReadyAnswer that has it wins."""
    details_after(edge, {"host.instance.conversion": "false"})
    assert edge.details()["host.instance.conversion"] == "false"


def test_a_later_answer_updates_values(edge: Any) -> None:
    """A later ReadyAnswer overwrites what changed."""
    newer = {"host.vddk.support": "true", "vddk.lib.dir": "/opt/new", "host.vddk.version": "9.0.0"}
    assert details_after(edge, TOOLS | VDDK, {"host.virtv2v.version": "2.7.0"} | newer) == (
        TOOLS | {"host.virtv2v.version": "2.7.0"} | newer
    )


def test_vddk_facts_that_are_gone_are_removed(edge: Any) -> None:
    """With `host.vddk.support` in the answer, a blank or absent directory or version is removed; `false` is stored."""
    assert details_after(edge, VDDK, {"host.vddk.support": "false", "vddk.lib.dir": " "}) == {
        "host.vddk.support": "false"
    }


def test_an_agent_that_knows_no_vddk_any_more_loses_it(edge: Any) -> None:
    """A details map without `host.vddk.support` removes all that was stored about VDDK."""
    assert details_after(edge, TOOLS | VDDK, TOOLS) == TOOLS
    assert details_after(edge, VDDK, TOOLS | {"host.vddk.version": "8.0.3"}) == TOOLS
    assert details_after(edge, VDDK, {}) == TOOLS


def test_tool_versions_are_never_removed(edge: Any) -> None:
    """Absent or blank virt-v2v, ovftool and UEFI values leave the stored ones, as upstream does."""
    assert details_after(edge, TOOLS, {"host.virtv2v.version": "", "host.vddk.support": "false"}) == TOOLS | {
        "host.vddk.support": "false"
    }


def test_an_answer_without_details_changes_nothing(edge: Any) -> None:
    """A plain Answer leaves the stored details as they are."""
    assert details_after(edge, TOOLS | VDDK, None) == TOOLS | VDDK


def test_uefi_false_is_stored_and_unknown_keys_are_dropped(edge: Any) -> None:
    """`host.uefi.enable` `false` is stored as well; keys that the server does not know are not."""
    assert details_after(edge, {"host.uefi.enable": "false", "zz": "1"}) == {"host.uefi.enable": "false"}


def test_startup_details_are_overwritten_and_never_removed(edge: Any) -> None:
    """hostDetails of the Startup: any key, overwritten, never removed."""
    edge.agent().attach(edge.startup(hostDetails={"Host.OS": "Rocky Linux", "own.key": "1"}))
    edge.agent().attach(edge.startup(hostDetails={"Host.OS": "Rocky Linux", "secured": "true"}))
    stored = edge.details()
    assert (stored["own.key"], stored["secured"]) == ("1", "true")


def test_the_second_ready_answer_is_not_looked_at(edge: Any) -> None:
    """Only the answer to ReadyCommand #1 is stored, and a failed second one does no harm."""
    answers = iter([ReadyAnswer(detailsMap=TOOLS, result=True), ReadyAnswer(detailsMap=VDDK, result=False)])
    agent = edge.agent()
    agent.attach(
        answers=lambda command: next(answers) if isinstance(command, ReadyCommand) else edge.good_answer(command)
    )
    asked = edge.ask(CheckHealthCommand())
    agent.answer(agent.receive_request(CheckHealthCommand), Answer(result=True))
    assert asked.result(10).result
    assert {name: edge.details().get(name) for name in VDDK} == dict.fromkeys(VDDK)
