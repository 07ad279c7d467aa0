"""The commands that an agent works on: each gets one answer, long ones can be ended from beside the wire."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence

from agent_sim.commands import answer_command
from agent_sim.commands.base import pools_in_use
from agent_sim.commands.lost import take_back
from agent_sim.execution import ENDED_TEXT, Ending, Execution, set_current
from agent_sim.hypervisor import Hypervisor
from agent_sim.injection import CommandFaults, Damage
from agent_sim.providers import acquire
from mgmt.protocol.commands import Answer, Command
from mgmt.protocol.message import Request
from mgmt.protocol.records import simple_name

logger = logging.getLogger(__name__)

ENDABLE = frozenset({"ConvertInstanceCommand", "ImportConvertedInstanceCommand", "CopyRemoteVolumeCommand"})
"""What takes long, and can be ended from beside the wire."""
_KEPT_KEYS = 64


class CommandWork:
    """The work of one host's agent; it outlives the agent's process, as the host does."""

    def __init__(self, hypervisor: Hypervisor, end_guest: Callable[[str, float], None]) -> None:
        self._hypervisor = hypervisor
        faults = hypervisor.bench.faults
        self._faults = CommandFaults(faults, end_guest) if faults is not None else None
        self._workers = asyncio.Semaphore(hypervisor.host.properties.workers)
        self._executions: dict[tuple[str, str], Execution] = {}
        self._unwanted: deque[tuple[str, str]] = deque(maxlen=_KEPT_KEYS)
        self._done: deque[tuple[str, str]] = deque(maxlen=_KEPT_KEYS)

    def set_workers(self, count: int) -> None:
        """Work on so many requests at once from now on, as a process that starts."""
        self._workers = asyncio.Semaphore(count)

    async def answers_to(self, request: Request, shell: Callable[[Command], Answer | None]) -> list[Answer]:
        """The answers to a request's commands, one after the other, as one of the agent's workers.

        `shell` answers what the agent answers itself.
        """
        workers = self._workers
        await acquire(workers)
        answers: list[Answer] = []
        try:
            for command in request.commands:
                if request.stop_on_error and answers and not answers[-1].result:
                    answers.append(Answer(result=False, details="Stopped by previous failure"))
                    continue
                answer = shell(command)
                answers.append(answer if answer is not None else await self.run(command))
        finally:
            workers.release()
        return answers

    async def run(self, command: Command) -> Answer:
        """The one answer to one command; whatever goes wrong becomes a failed one."""
        name = simple_name(command)
        try:
            if name in ENDABLE:
                with self._hypervisor.storage.in_use(pools_in_use(command)):
                    return await self._run_endable(command, name)
            return await self._run_plain(command, name)
        except Exception as error:
            logger.exception("%s: %s failed", self._hypervisor.host.name, simple_name(command))
            return Answer(result=False, details=f"java.lang.RuntimeException: {type(error).__name__}\n")

    def end(self, log_id: str, command: str) -> Ending:
        """End the work on the command of that class name and log id, or refuse it when its turn comes."""
        key = (log_id, command)
        execution = self._executions.get(key)
        if execution is not None:
            execution.end()
        elif command in ENDABLE and key not in self._done:
            self._unwanted.append(key)
            return "never begins"
        return "ends"  # what cannot be ended takes no time that is worth it

    @property
    def under_way(self) -> list[tuple[str, str]]:
        """The long commands that are being worked on, each by its log id and the name of its class."""
        return list(self._executions)

    def damage_to(self, commands: Sequence[Command]) -> Damage | None:
        """What a fault makes of the message with the answers to these commands."""
        return None if self._faults is None else self._faults.damage_to(commands)

    async def _run_endable(self, command: Command, name: str) -> Answer:
        execution = Execution(command.contextMap.get("logid", ""), name)
        key = (execution.log_id, name)
        if key in self._unwanted:
            self._unwanted.remove(key)
            return Answer(result=False, details=ENDED_TEXT)

        async def work() -> Answer:
            set_current(execution)
            return await self._run_plain(command, name)

        task = asyncio.get_running_loop().create_task(work())
        execution.task = task
        self._executions[key] = execution
        try:
            return await task
        except asyncio.CancelledError:
            if not execution.is_ended:
                self._answer_dies(command, task)
                raise
            await execution.clean_up()
            return Answer(result=False, details=ENDED_TEXT)
        finally:
            del self._executions[key]
            self._done.append(key)

    def _answer_dies(self, command: Command, task: asyncio.Task[Answer]) -> None:
        """The agent's process ends: if the command was done and not answered yet, nobody learns what it made."""
        was_done = task.done() and not task.cancelled() and task.exception() is None
        if was_done and not self._hypervisor.is_killed:
            take_back(self._hypervisor, command, task.result())

    async def _run_plain(self, command: Command, name: str) -> Answer:
        if self._faults is None:
            return await answer_command(self._hypervisor, command)
        return await self._faults.run(
            self._hypervisor, command, name, lambda hypervisor: answer_command(hypervisor, command)
        )
