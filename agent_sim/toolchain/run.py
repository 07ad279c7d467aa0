"""One simulated run of a program: its model time, its lines, its limit, its report."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import ParamSpec, TypeVar

from agent_sim.execution import current_execution
from agent_sim.host import HostDescription
from agent_sim.injection import FaultPort, ToolFaults
from agent_sim.ledger import Ledger
from agent_sim.providers import Timers
from agent_sim.storage import HostFiles, HostStorage, Pool
from agent_sim.toolchain.images import set_allocated, write_qcow2
from agent_sim.toolchain.interface import (
    Invocation,
    ProgressEvent,
    ProgressListener,
    ToolRun,
    ToolRunListener,
    ToolTimeoutError,
)
from agent_sim.toolchain.timing import EsxiStreams, TimeModel

logger = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")

_BAR_COLUMNS = 40
_SPINNER = "▖▗▘▙▚▛▜▝"
_KEPT_LINES = 500


class ToolFailure(Exception):
    """The program printed `lines` and ended with `exit_status`."""

    def __init__(self, *lines: str, exit_status: int = 1) -> None:
        super().__init__(lines[0] if lines else f"exit status {exit_status}")
        self.lines = lines
        self.exit_status = exit_status


@dataclass
class Bench:
    """What the simulated programs of one host share."""

    host: HostDescription
    files: HostFiles
    storage: HostStorage
    timers: Timers
    executor: Executor
    streams: EsxiStreams
    model: TimeModel = field(default_factory=TimeModel)
    time_scale: float = 1.0
    on_progress: ProgressListener | None = None
    on_tool_run: ToolRunListener | None = None
    faults: FaultPort | None = None
    ledger: Ledger = field(default_factory=Ledger)

    def note_file(self, path: Path, kind: str, name: str) -> None:
        """Tell the ledger of a file that a program has just made; `name` is its path on the host."""
        self.ledger.made(path, kind, self.host.name, name)

    async def blocking(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `function` in a worker thread."""
        thread = self.executor.submit(partial(function, *args, **kwargs))
        execution = current_execution()
        if execution is not None:
            execution.thread = thread
        return await asyncio.wrap_future(thread)

    async def room(self, pool: Pool) -> int:
        """Bytes that are free in the pool; in a worker thread where its files must be counted first."""
        is_quick = pool.space is None or pool.space.is_quick
        return pool.available_bytes() if is_quick else await self.blocking(pool.available_bytes)

    # A few microseconds each: handing them to a thread would take longer, and there are dozens in a conversion.

    def grow_image(
        self, pool: Pool | None, path: Path, virtual_size_bytes: int, allocated_bytes: int, *, is_first: bool
    ) -> None:
        """Make the image at `path`, or say what it holds by now; in `pool` where it lies in one."""
        if is_first and pool is not None and pool.space is not None:
            pool.space.write_image(path, virtual_size_bytes, allocated_bytes=allocated_bytes)
        elif is_first:
            write_qcow2(path, virtual_size_bytes, allocated_bytes=allocated_bytes)
        elif pool is not None and pool.space is not None:
            pool.space.set_allocated(path, allocated_bytes)
        else:
            set_allocated(path, allocated_bytes)

    def write_text(self, pool: Pool | None, path: Path, text: str) -> None:
        """Write a file of text; in `pool` where it lies in one."""
        if pool is not None and pool.space is not None:
            pool.space.write_text(path, text)
        else:
            path.write_text(text, encoding="utf-8")

    async def pause(self, duration_s: float) -> None:
        """Wait for the scaled part of `duration_s` seconds of the time model."""
        await self.timers.sleep(self.scaled(duration_s))

    def scaled(self, duration_s: float) -> float:
        """The scaled part of `duration_s` seconds of the time model."""
        return 0.0 if math.isinf(self.time_scale) else duration_s / self.time_scale


class Run:
    """A run in progress. Model seconds pass in `advance`; `say` prints a line and notices that the limit is over."""

    def __init__(self, bench: Bench, tool: str, invocation: Invocation) -> None:
        self.bench = bench
        self.tool = tool
        self.invocation = invocation
        self.elapsed_s = 0.0
        self.lines: list[str] = []
        self.environment = dict(invocation.environment)
        self.shell_splice = False
        execution = current_execution()
        self._log_id = execution.log_id if execution is not None else ""
        self.faults = ToolFaults(self) if bench.faults is not None else None

    async def advance(self, duration_s: float) -> None:
        """Let model time pass, waiting for the scaled part of it."""
        if self.faults is not None:
            duration_s = await self.faults.passing(duration_s)
        self.elapsed_s += duration_s
        await self.bench.pause(duration_s)

    async def follow(self, durations: Iterator[float]) -> None:
        """Let model time pass again and again, as `durations` says; what it does in between must not wait."""
        await self.bench.timers.follow(self._pauses(durations))
        if self.faults is not None and self.faults.hangs:
            await self.advance(0.0)

    def _pauses(self, durations: Iterator[float]) -> Iterator[float]:
        for duration_s in durations:
            if self.faults is not None:
                if self.faults.hangs:
                    return
                duration_s = self.faults.stretched(duration_s)
            self.elapsed_s += duration_s
            yield self.bench.scaled(duration_s)

    def knows(self, **facts: object) -> None:
        """Tell what the run works on, for faults that ask for it."""
        if self.faults is not None:
            self.faults.facts.update(facts)

    def parts(self, count: int, total_bytes: int, *, disk: int) -> list[tuple[float, int]]:
        """Where a copy of `total_bytes` stops to tell how far it is: percent and bytes, in `count` parts or more."""
        percents = {100.0 * step / count for step in range(count + 1)}
        if self.faults is not None:
            percents.update(self.faults.positions(total_bytes, disk))
        return [(percent, int(total_bytes * percent / 100)) for percent in sorted(percents)]

    def copied(self, percent: float, done_bytes: int, total_bytes: int, *, disk: int) -> None:
        """Notice that so much of a disk has been copied."""
        if self.faults is not None:
            self.faults.copied(percent, done_bytes, total_bytes, disk)

    def say(self, text: str) -> None:
        """Print a line; raises ToolTimeoutError when the run is past its limit.

        The agent looks at its limit only when it reads a line, so a silent program lives on (Script.java upstream).
        """
        self.lines.append(text)
        logger.debug("(%s) %s on %s: %s", self.invocation.vm, self.tool, self.bench.host.name, text)
        if self.faults is not None:
            self.faults.printed(text)
        limit_s = self.invocation.limit_s
        if limit_s is not None and self.elapsed_s > limit_s:
            raise ToolTimeoutError(f"{self.tool} still ran after its limit of {limit_s:g} s")

    def stage(self, text: str) -> None:
        """Print one of virt-v2v's stage lines."""
        self.progress(text)
        self.say(f"[{self.elapsed_s:6.1f}] {text}")

    def bar(self, percent: float) -> None:
        """Print nbdcopy's progress bar, which ends in a carriage return and is a line to the agent."""
        stars = int(_BAR_COLUMNS * percent / 100)
        glyph = "█" if percent == 100 else _SPINNER[int(percent / 10) % len(_SPINNER)]
        self.say(f"{glyph} {int(percent):3d}% [{'*' * stars}{'-' * (_BAR_COLUMNS - stars)}]")

    def progress(self, phase: str, *, disk: int = 0, disks: int = 0, bytes_done: int = 0, bytes_total: int = 0) -> None:
        """Tell the listener where the run stands."""
        if self.bench.on_progress is not None:
            event = ProgressEvent(
                self.bench.host.name,
                self.invocation.vm,
                self.tool,
                phase,
                disk,
                disks,
                bytes_done,
                bytes_total,
                self.elapsed_s,
                self._log_id,
            )
            self.bench.on_progress(event)

    def report(self, exit_status: int | None) -> None:
        """Tell the listener that the run is over; None: it was killed."""
        level = logging.INFO if exit_status == 0 else logging.WARNING
        ended = "was killed" if exit_status is None else f"ended with exit code {exit_status}"
        reason = "" if exit_status == 0 or not self.lines else f": {self._last_words()}"
        logger.log(level, "(%s) %s on %s %s%s", self.invocation.vm, self.tool, self.bench.host.name, ended, reason)
        if self.bench.on_tool_run is not None:
            self.bench.on_tool_run(
                ToolRun(
                    self.bench.host.name,
                    self.invocation.vm,
                    self.invocation.shown_argv,
                    self.environment,
                    exit_status,
                    self.elapsed_s,
                    tuple(self.lines[-_KEPT_LINES:]),
                    self.shell_splice,
                    self.invocation.password_file_mode,
                    self._log_id,
                )
            )

    def _last_words(self) -> str:
        errors = [line for line in self.lines if "error" in line.lower()]
        return (errors or self.lines)[-1]
