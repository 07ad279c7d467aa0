"""What a host's agent asks of the tools around it: run this argument list, in this environment, for so long.

The simulated tool chain understands the argument lists that the real one would run. Another implementation could run
them for real: nothing here says how a run happens.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

MASK = "******"


class ToolNotFoundError(Exception):
    """The program is not on the host."""


class ToolTimeoutError(Exception):
    """The run went past its limit: the agent found the process still alive and killed it."""


@dataclass(frozen=True)
class Invocation:
    """One run of a program. `argv` may hold a secret (ovftool's locator does): show `shown_argv` instead.

    `limit_s` is in seconds of the time model, None for no limit. `vm` is the VM's name as the user knows it. `disk`
    says which disk of how many a program works on that handles one.
    """

    argv: tuple[str, ...] = field(repr=False)
    shown_argv: tuple[str, ...]
    vm: str
    environment: Mapping[str, str] = field(default_factory=dict)
    limit_s: float | None = None
    disk: tuple[int, int] = (1, 1)
    password_file_mode: int | None = None
    log_id: str = ""

    @classmethod
    def of(
        cls,
        argv: tuple[str, ...],
        *,
        vm: str,
        environment: Mapping[str, str] | None = None,
        limit_s: float | None = None,
        disk: tuple[int, int] = (1, 1),
    ) -> Invocation:
        """A run whose argument list holds no secret."""
        return cls(argv, argv, vm, dict(environment or {}), limit_s, disk)


@dataclass(frozen=True)
class Outcome:
    """How a run ended, and the lines it printed."""

    exit_status: int
    output: tuple[str, ...] = ()


@dataclass(frozen=True)
class ToolRun:
    """The report of a finished run, without secrets. `exit_status` is None when it was killed.

    `duration_s` is in seconds of the time model. `shell_splice` tells that a shell would have read more than one
    command, or other words, out of an unquoted value. `password_file_mode` is the mode that CloudStack's agent would
    have given the password file of the run (the one here is 0600); None without one. `log_id` is what the server wrote
    into the context of the command that the tool ran for.
    """

    host: str
    vm: str
    argv: tuple[str, ...]
    environment: Mapping[str, str]
    exit_status: int | None
    duration_s: float
    output: tuple[str, ...]
    shell_splice: bool = False
    password_file_mode: int | None = None
    log_id: str = ""


@dataclass(frozen=True)
class ProgressEvent:
    """Where a run stands. `phase` is the tool's stage line; bytes are of the disk `disk_index` (from 1; 0: no disk).

    `log_id` is what the server wrote into the context of the command that the tool runs for.
    """

    host: str
    vm: str
    tool: str
    phase: str
    disk_index: int
    disk_count: int
    bytes_done: int
    bytes_total: int
    elapsed_s: float
    log_id: str = ""


ProgressListener = Callable[[ProgressEvent], None]
ToolRunListener = Callable[[ToolRun], None]


class Toolchain(Protocol):
    """The programs of one host."""

    async def run(self, invocation: Invocation) -> Outcome:
        """Run to the end. Raises ToolNotFoundError, ToolTimeoutError; a cancelled run leaves no process behind."""
        ...
