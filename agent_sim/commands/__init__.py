"""What the agent does for each command: handlers by Java class name."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.resources import files

from agent_sim.commands import (
    certificates,
    conversion,
    hostsetup,
    importing,
    machines,
    migration,
    remote,
    statistics,
    storage,
    unmanaged,
    volumes,
)
from agent_sim.commands.base import Handler, HandlerTable
from agent_sim.errors import AgentFailure
from agent_sim.hypervisor import Hypervisor
from mgmt.protocol.commands import Answer, BadCommand, Command, UnsupportedAnswer
from mgmt.protocol.records import java_class

__all__ = ["Handler", "answer_command", "is_java_command", "unsupported"]


_FAMILIES = (
    certificates,
    conversion,
    hostsetup,
    importing,
    machines,
    migration,
    remote,
    statistics,
    storage,
    unmanaged,
    volumes,
)


@cache
def _handlers() -> Mapping[str, Handler]:
    table: dict[str, Handler] = {}
    for module in _FAMILIES:
        handlers: HandlerTable = module.HANDLERS
        table.update(handlers)
    return table


@cache
def _java_commands() -> frozenset[str]:
    return frozenset(files(__package__).joinpath("java_commands.txt").read_text(encoding="utf-8").split())


def is_java_command(name: str) -> bool:
    """Whether the agent's class loader knows the command class (4.22)."""
    return name in _java_commands()


def unsupported(command: Command | type[BadCommand]) -> Answer:
    """The answer for a command that the agent knows and does not handle (Command.java, UnsupportedAnswer.java)."""
    return UnsupportedAnswer(
        result=False,
        details=f"Unsupported command issued: {java_class(command)}.  Are you sure you got the right type of server?",
    )


async def answer_command(hypervisor: Hypervisor, command: Command) -> Answer:
    """The one answer to one command. An exception on the host becomes a failed Answer with its stack trace."""
    name = java_class(command)
    handler = _handlers().get(name)
    if handler is None:
        return unsupported(command)
    try:
        return await handler(hypervisor, command)
    except AgentFailure as failure:
        simple = name.rpartition(".")[2]
        where = f"com.cloud.hypervisor.kvm.resource.wrapper.Libvirt{simple}Wrapper.execute(Libvirt{simple}Wrapper.java)"
        return Answer(result=False, details=failure.stack_trace(where))
