"""What a fault injector may do to a simulated host: a small port, and its effects on programs and on commands.

Whoever runs the hosts hands in the port. Without one nothing here is ever called.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from agent_sim.providers import parked

if TYPE_CHECKING:
    from agent_sim.hypervisor import Hypervisor
    from agent_sim.toolchain.run import Run
    from mgmt.protocol.commands import Answer, Command

logger = logging.getLogger(__name__)

_STAGE = re.compile(r"^\[ *[\d.]+\] ")
_SIGNALLED = 128  # what a shell makes of a signal's number


class FaultEffect(Protocol):
    """Something to do."""

    @property
    def kind(self) -> str: ...

    @property
    def args(self) -> Mapping[str, Any]: ...


class FaultPort(Protocol):
    """Asked at each point that a host passes."""

    def hit(self, point: str, facts: Mapping[str, object]) -> Sequence[FaultEffect]:
        """What is to be done now."""
        ...

    def positions(self, point: str, facts: Mapping[str, object]) -> Sequence[float]:
        """At which percent of a copy it wants to be asked."""
        ...


async def forever() -> None:
    """Wait until somebody ends the task; a clock that jumps does not wait for it."""
    with parked():
        await asyncio.Event().wait()


class ToolFaults:
    """What goes wrong with one run of a program."""

    def __init__(self, run: Run) -> None:
        assert run.bench.faults is not None
        self._run = run
        self._port = run.bench.faults
        self._percent: dict[int, float] = {}
        self._factor = 1.0
        self._delay_s = 0.0
        self._hangs = False
        self._is_speaking = False
        self.facts: dict[str, object] = {
            "tool": run.tool,
            "host": run.bench.host.name,
            "ip": run.bench.host.ip,
            "vm": run.invocation.vm,
            "line": "",
        }

    async def begin(self) -> None:
        """The program starts."""
        self._do(self._port.hit("tool", self.facts | {"line": "start"}))
        await self._wait()

    async def end(self) -> None:
        """It has done all it had to do."""
        self._do(self._port.hit("tool", self.facts | {"line": "end"}))
        await self._wait()

    async def passing(self, duration_s: float) -> float:
        """How long a piece of work really takes."""
        await self._wait()
        return duration_s * self._factor

    @property
    def hangs(self) -> bool:
        """Whether the program does not go on any more: `passing` then never returns."""
        return self._hangs

    def stretched(self, duration_s: float) -> float:
        """How long a piece of work really takes with what delays it, for a program that does not hang."""
        delay_s, self._delay_s = self._delay_s, 0.0
        return delay_s + duration_s * self._factor

    def printed(self, line: str) -> None:
        """A line was printed; a stage line is known without its time."""
        if not self._is_speaking:
            self._do(self._port.hit("tool", self.facts | {"line": _STAGE.sub("", line)}))

    def positions(self, total_bytes: int, disk: int) -> Sequence[float]:
        """Where a copy has to stop beside its usual places."""
        return self._port.positions("tool", self.facts | {"disk": disk, "bytes_total": total_bytes})

    def copied(self, percent: float, done_bytes: int, total_bytes: int, disk: int) -> None:
        """So much of a disk was copied."""
        before = self._percent.get(disk, -1.0)
        self._percent[disk] = percent
        counted = {"disk": disk, "percent": percent, "percent_before": before}
        sizes = {"bytes": done_bytes, "bytes_total": total_bytes}
        self._do(self._port.hit("tool", self.facts | counted | sizes))

    async def _wait(self) -> None:
        delay_s, self._delay_s = self._delay_s, 0.0
        if delay_s:
            self._run.elapsed_s += delay_s
            await self._run.bench.pause(delay_s)
        if self._hangs:
            await forever()

    def _do(self, effects: Sequence[FaultEffect]) -> None:
        """Do what can be done at once, and keep the rest for when the program works on; raises what ends it."""
        if not effects:  # nearly always
            return
        from agent_sim.toolchain.interface import ToolNotFoundError
        from agent_sim.toolchain.run import ToolFailure

        for effect in effects:
            args = effect.args
            match effect.kind:
                case "print":
                    self._say(args["lines"])
                case "exit":
                    raise ToolFailure(*args.get("lines", ()), exit_status=args.get("status", 1))
                case "die":
                    raise ToolFailure(*args.get("lines", ()), exit_status=_SIGNALLED + args.get("signal", 9))
                case "not_found":
                    program = self._run.invocation.argv[0]
                    raise ToolNotFoundError(f'Cannot run program "{program}": error=2, No such file or directory')
                case "hang":
                    self._hangs = True
                case "delay":
                    self._delay_s += args["for_s"]
                case "slow_down":
                    self._factor *= args["factor"]
                case "remove":
                    for file in self._files(args["files"]):
                        file.unlink()
                case "overwrite":
                    for file in self._files(args["files"]):
                        file.write_text(args["text"], encoding="utf-8")
                case other:
                    raise ValueError(f"a program cannot do {other!r}")

    def _say(self, lines: Sequence[str]) -> None:
        self._is_speaking = True
        try:
            for line in lines:
                self._run.say(line)
        finally:
            self._is_speaking = False

    def _files(self, ending: str) -> list[Path]:
        """What the run has written, narrowed by how the names end."""
        prefix = self._run.bench.files.real(str(self.facts.get("output", "/nowhere/")))
        folder, stem = (prefix, "") if str(self.facts.get("output", "")).endswith("/") else (prefix.parent, prefix.name)
        return sorted(folder.glob(f"{stem}{ending}"))


@dataclass(frozen=True)
class Damage:
    """What becomes of one message on its way: cut off (with the link), or a byte of it turned over."""

    cut_at_byte: int | None = None
    flip_at_byte: int | None = None

    def of(self, message: bytes) -> bytes:
        """The message with the byte turned over; the last one where it is shorter."""
        if self.flip_at_byte is None:
            return message
        at = min(self.flip_at_byte, len(message) - 1)
        return message[:at] + bytes([message[at] ^ 0xFF]) + message[at + 1 :]


class CommandFaults:
    """What goes wrong with the commands of one host's agent."""

    def __init__(self, port: FaultPort, end_guest: Callable[[str, float], None]) -> None:
        self._port = port
        self._end_guest = end_guest
        self._damages: dict[int, Damage] = {}

    def damage_to(self, commands: Sequence[Command]) -> Damage | None:
        """What becomes of the message with the answers to these commands."""
        found = [self._damages.pop(id(command), None) for command in commands]
        return next((damage for damage in found if damage is not None), None)

    async def run(
        self, hypervisor: Hypervisor, command: Command, name: str, work: Callable[[Hypervisor], Any]
    ) -> Answer:
        """The answer: that of `work` on the host as this command finds it, or what a fault makes of it."""
        from mgmt.protocol.commands import Answer

        facts = {"command": name, "host": hypervisor.host.name, "ip": hypervisor.host.ip, "vm": _subject(command)}
        amended: dict[str, Any] = {}
        console: list[str] = []
        off_after_s: float | None = None
        for effect in self._port.hit("agent.command", facts):
            args = effect.args
            match effect.kind:
                case "answer":
                    return Answer(result=False, details=args["details"])
                case "amend":
                    amended.update(args["set"])
                case "hang":
                    await forever()
                case "delay":
                    await hypervisor.bench.pause(args["for_s"])
                case "wait":
                    await hypervisor.bench.timers.sleep(args["for_s"])
                case "answer_json":
                    given = _given_answer(args["text"])
                    if given is not None:
                        return given
                case "cut_answer":
                    self._damages[id(command)] = Damage(cut_at_byte=args["at_byte"])
                case "corrupt_answer":
                    self._damages[id(command)] = Damage(flip_at_byte=args["at_byte"])
                case "console":
                    console.extend(args["lines"])
                case "guest_off":
                    off_after_s = float(args["for_s"])
                case "host_as":
                    hypervisor = host_as(hypervisor, args["set"])
                case other:
                    raise ValueError(f"an agent cannot do {other!r}")
        answer: Answer = await work(hypervisor)
        guest = _guest(command)
        if guest is not None and answer.result:
            for line in console:
                logger.info("console of %s on %s: %s", guest, hypervisor.host.name, line)
            if off_after_s is not None:
                self._end_guest(guest, off_after_s)
        for path, value in amended.items():
            _amend(answer, path.split("."), value)
        return answer


def host_as(hypervisor: Hypervisor, changes: Mapping[str, Any]) -> Hypervisor:
    """The host with other tools, findings or properties, beside the one that goes on as it is.

    Keys are dotted: `tools.virtio_win`, `capabilities.windows_conversion`, `properties.vddk.lib.dir`.
    """
    host, findings = hypervisor.host, {}
    for key, value in changes.items():
        where, _, name = key.partition(".")
        if where == "tools":
            host = replace(host, tools=replace(host.tools, **{name: value}))
        elif where == "properties":
            host = replace(host, properties=host.properties.with_values(**{name: str(value)}))
        elif where == "capabilities":
            findings[name] = value
        else:
            raise ValueError(f"a host has no {key!r}")
    return hypervisor.as_if(host, findings)


def _subject(command: Command) -> str | None:
    source = getattr(command, "sourceInstance", None)
    name = getattr(command, "originalVMName", None) or getattr(source, "instanceName", None)
    return name if isinstance(name, str) else None


def _given_answer(text: str) -> Answer | None:
    """The answer that a text like `{"com.cloud.agent.api.Answer":{...}}` holds; None where it holds none."""
    from mgmt.protocol.records import ContentError, UnknownAnswer, decode_answers

    try:
        (answer,) = decode_answers(f"[{text}]".encode())
    except (ContentError, ValueError) as error:
        logger.info("an answer that was asked for cannot be used: %s", error)
        return None
    return None if isinstance(answer, UnknownAnswer) else answer


def _guest(command: Command) -> str | None:
    """The domain that a StartCommand starts."""
    name = getattr(getattr(command, "vm", None), "name", None)
    return name if isinstance(name, str) else None


def _amend(target: Any, path: Sequence[str], value: Any) -> None:
    """Set a field of an answer; a number names an entry of a list, `-` as the value of one takes it away.

    `reversed` as the value of a list turns it round.
    """
    *way, last = path
    for name in way:
        target = target[int(name)] if isinstance(target, list) else getattr(target, name)
    if value == "reversed":
        value = list(reversed(getattr(target, last)))
    if isinstance(target, list):
        if value == "-":
            del target[int(last)]
        else:
            target[int(last)] = value
    else:
        setattr(target, last, value)
