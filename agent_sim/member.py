"""One agent of a fleet: its socket, its running commands, its process life."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, Literal

from agent_sim.agent import Action, Agent, Close, Connect, Execute, Exit, Phase, Send
from agent_sim.commands.certificates import has_keystore
from agent_sim.commands.lost import take_back
from agent_sim.commandwork import CommandWork
from agent_sim.deadline import Deadline, PingsPassed
from agent_sim.dialing import Dialer
from agent_sim.execution import Ending
from agent_sim.host import Domain, HostDescription
from agent_sim.hypervisor import Hypervisor
from agent_sim.providers import Clock, LineEnd, Timers, WorkInHand
from agent_sim.renewal import Renewal
from agent_sim.serverlist import Moves, ServerList
from agent_sim.startup import Identity, MeasuredPool, startup_commands
from agent_sim.wire import Wire
from mgmt.protocol.commands import Answer, Command, HostVmStateReportEntry, SetupCertificateAnswer
from mgmt.protocol.memory import MemoryListener

logger = logging.getLogger(__name__)

_POWERED_ON = "PowerOn"

DomainEnd = Literal["shutdown", "crash", "destroy"]
Misfortune = Literal["loses its link", "dies", "freezes"]


class Member:
    """An agent in its fleet. Coroutines and `start` are for the fleet's loop; properties may be read anywhere."""

    def __init__(
        self,
        hypervisor: Hypervisor,
        connect: tuple[str, int],
        *,
        clock: Clock,
        timers: Timers,
        context: ssl.SSLContext,
        pause_scale: float,
        on_change: Callable[[Phase], None],
        on_pings_passed: PingsPassed | None = None,
        memory: MemoryListener | None = None,
        gate: asyncio.Semaphore,
    ) -> None:
        self.hypervisor = hypervisor
        self.identity = Identity()
        self.exit_reason: str | None = None
        self._servers = ServerList(connect[0])
        self._is_transferred = False
        self._moves = Moves(self._servers, connect[1], timers, self, self._keep_servers)
        self._dialer = Dialer(hypervisor, self._servers, connect[1], context=context, memory=memory, gate=gate)
        self._clock = clock
        self._timers = timers
        self._pause_scale = pause_scale
        self._on_change = on_change
        self._on_pings_passed = on_pings_passed
        self._deadline = Deadline(timers, self._tick, None if on_pings_passed is None else self._may_pass)
        self._work = CommandWork(hypervisor, self._end_guest)
        self._is_frozen = False
        self._put_off: list[Callable[[], None]] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._pools: list[MeasuredPool] = []
        self._wire: Wire | None = None
        self._renewal = Renewal(timers, self)
        self._agent = self._new_agent()

    # -- what others see

    @property
    def name(self) -> str:
        return self.hypervisor.host.name

    @property
    def phase(self) -> Phase:
        return self._agent.phase

    @property
    def is_ready(self) -> bool:
        """Whether the server has welcomed the agent on its present link."""
        return self._agent.phase is Phase.RUNNING and self._agent.ready_seen

    @property
    def is_frozen(self) -> bool:
        """Whether its process is stopped by `freeze`."""
        return self._is_frozen

    @property
    def link(self) -> object:
        """The connection to the server that it has now: another one after each loss; None without."""
        return self._wire

    @property
    def standing(self) -> str:
        """Where the agent stands, in one word; see `Fleet.census`."""
        if self.exit_reason is not None:
            return "refused"
        phase = self._agent.phase
        if phase in (Phase.STOPPED, Phase.WAITING):
            return str(phase.value)
        return "ready" if self.is_ready else "connecting"

    @property
    def host_id(self) -> int | None:
        """The host id that the server gave."""
        return self.identity.host_id

    @property
    def root(self) -> Path:
        """The real directory that is `/` on the host."""
        return self.hypervisor.files.root

    @property
    def running_commands(self) -> int:
        """How many requests are being worked on."""
        return len(self._tasks)

    @property
    def long_work(self) -> list[tuple[str, str]]:
        """The long commands that are being worked on, each by its log id and the name of its class."""
        return self._work.under_way

    # -- process life

    def start(self) -> None:
        """Start the agent's process."""
        self.exit_reason = None
        self._is_frozen, self._put_off = False, []
        self.hypervisor.start_agent()
        self._work.set_workers(self.hypervisor.host.properties.workers)
        self._agent = self._new_agent()
        self._perform(self._agent.start(self._clock.monotonic()))

    async def kill(self, *, leaves_files: bool = False) -> None:
        """End it at once: no word to the server, tools die. With `leaves_files` nothing tidies up after it."""
        self._agent.end()
        self.hypervisor.is_killed = leaves_files
        self.hypervisor.agent_ended()
        if self._wire is not None:
            self._wire.abort()
            self._wire = None
        await self._end_tasks()
        self._deadline.cancel()
        self._on_change(self.phase)

    async def power_off(self) -> None:
        """Cut the host's power: its agent, its tools and its VMs are gone at once."""
        await self.kill()
        self.hypervisor.is_powered = False
        for domain in list(self.hypervisor.domains.values()):
            if domain.state != "shut off":
                self.hypervisor.end_domain(domain.name)

    async def change(self, change: Callable[[HostDescription], HostDescription]) -> None:
        """Change the host under the agent, which sees it at its next start."""
        self.hypervisor.change_host(change(self.hypervisor.described))

    async def remove_vddk(self, path: str) -> None:
        """Delete a VDDK tree of the host."""
        self.hypervisor.remove_vddk(path)

    async def restart(self) -> None:
        """Stop the agent's process in order, or start one that does not run, and let it connect anew."""
        await self.close()
        self._wire = None
        self.start()

    async def revive(self, host: HostDescription | None) -> None:
        """Start it again after `kill` or a refusal; no effect on one that lives."""
        if host is not None:
            self.hypervisor.change_host(host)
        self.hypervisor.is_powered = True
        if self._agent.phase is Phase.STOPPED:
            await self._end_tasks()
            self.start()

    async def freeze(self) -> None:
        """Stop the process (SIGSTOP): its link stays open, but it says nothing any more. Tools run on."""
        self._is_frozen = True
        self._deadline.cancel()

    async def thaw(self) -> None:
        """Let it go on (SIGCONT): what came meanwhile is dealt with now."""
        self._is_frozen = False
        put_off, self._put_off = self._put_off, []
        for deal_with in put_off:
            deal_with()
        self._tick()

    def strike(self, what: Misfortune, for_s: float) -> None:
        """Let something happen to the agent soon; it is unreachable for `for_s` seconds after losing its link."""
        if what == "loses its link":
            self._dialer.unreachable_until_s = self._clock.monotonic() + for_s
            self._spawn(self.drop_link())
        else:
            self._spawn(self.kill(leaves_files=True) if what == "dies" else self.freeze())

    async def drop_link(self) -> None:
        """Lose the connection, as with a network fault."""
        if self._wire is not None:
            self._wire.abort()

    async def start_domain(self, domain: str | Domain) -> None:
        """Start a VM behind the server's back; see `Hypervisor.start_domain`."""
        self.hypervisor.start_domain(domain)

    async def end_domain(self, name: str, how: DomainEnd) -> None:
        """End a VM behind the server's back; see `Fleet.end_domain`."""
        self.hypervisor.end_domain(name)
        if how != "destroy":  # libvirt's event for it does not make the agent ping
            self._perform(self._agent.domain_ended())

    def _end_guest(self, name: str, after_s: float) -> None:
        async def end() -> None:
            await self._timers.sleep(after_s)
            if name in self.hypervisor.domains:
                await self.end_domain(name, "shutdown")

        self._spawn(end())

    async def close(self) -> None:
        """Stop it in order: say goodbye, close, end tools."""
        self._perform(self._agent.stop())
        self._agent.end()
        self.hypervisor.agent_ended()
        if self._wire is not None:
            await self._wire.closed()
        await self._end_tasks()
        self._deadline.cancel()

    async def end_in_order(self) -> None:
        """End it as `close` does, also one that is frozen."""
        self._is_frozen, self._put_off = False, []
        await self.close()
        self._wire = None

    def reset(self, identity: Identity) -> None:
        """Be a stopped agent that knows itself by `identity`."""
        self.identity = identity
        self._dialer.unreachable_until_s = 0.0
        self._agent = self._new_agent()

    async def _end_tasks(self) -> None:
        tasks = [task for task in self._tasks if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # -- the machine's actions

    def _new_agent(self) -> Agent:
        host = self.hypervisor.host
        return Agent(
            host.name,
            host.properties,
            self.identity,
            introduce=self._introduce,
            power_report=self._power_report,
            pause_scale=self._pause_scale,
        )

    def _introduce(self) -> list[Command]:
        hypervisor = self.hypervisor
        is_transferred, self._is_transferred = self._is_transferred, False
        return startup_commands(
            hypervisor.host,
            hypervisor.capabilities,
            self._pools,
            self.identity,
            self._servers.text,
            is_transferred=is_transferred,
            is_secured=has_keystore(hypervisor.files),
        )

    def _power_report(self) -> dict[str, HostVmStateReportEntry]:
        return {name: HostVmStateReportEntry(state=_POWERED_ON, host=self.name) for name in self._running()}

    def _running(self) -> list[str]:
        return [domain.name for domain in self.hypervisor.domains.values() if domain.state != "shut off"]

    def _perform(self, actions: list[Action]) -> None:
        for action in actions:
            match action:
                case Connect():
                    self._spawn(self._open())
                case Send(message):
                    if self._wire is not None:
                        self._wire.send(message)
                case Execute():
                    self._spawn(self._execute(self._agent, action))
                case Close():
                    if self._wire is not None:
                        self._wire.close()
                case Exit(reason):
                    self.exit_reason = reason
                    self.hypervisor.agent_ended()
        if not self._is_frozen:
            self._deadline.follow(self._agent)
        self._on_change(self._agent.phase)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._timers.spawn(f"work of the agent on {self.name}", work)
        self._tasks.add(task)
        task.add_done_callback(self._task_done)

    def _task_done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._on_change(self._agent.phase)

    def _tick(self) -> None:
        self._perform(self._agent.tick(self._clock.monotonic()))

    def _may_pass(self, last_s: float) -> bool:
        """Whether pings up to the one at `last_s` may be left out: they would tell the server nothing new."""
        assert self._on_pings_passed is not None
        states = dict.fromkeys(self._running(), _POWERED_ON)
        return self._on_pings_passed(self.hypervisor.host.full_guid, states, last_s)

    # -- the link

    def _keep_servers(self, text: str) -> None:
        self.hypervisor.edit_properties(self.hypervisor.described.properties.edited({"host": text}))

    def work(self, work: Coroutine[Any, Any, None]) -> None:
        """Do this beside everything else."""
        self._spawn(work)

    def leave(self, *, is_transferred: bool) -> None:
        """Close the link without a word and connect anew, to the server that is next in the list."""
        if self._agent.phase is Phase.RUNNING and self._wire is not None:
            wire, self._wire = self._wire, None
            self._is_transferred = is_transferred
            self._perform(self._agent.link_left(self._clock.monotonic()))
            wire.close()

    async def _open(self) -> None:
        agent = self._agent
        self._pools = await self.hypervisor.measure_local_pools()
        is_dialed = await self._dialer.dial(self, self._clock.monotonic())
        if not is_dialed and agent is self._agent:
            self._perform(agent.connect_failed(self._clock.monotonic()))

    def new_hold(self) -> WorkInHand | None:
        """Work in hand of this agent's, on a clock that asks."""
        return self._timers.hold(f"the link of {self.name} being made")

    def line(self, transport: asyncio.Transport) -> LineEnd | None:
        """What is told of a connection's bytes."""
        return self._timers.line(transport)

    def wire_opened(self, wire: Wire) -> None:
        """The TCP connection is there; TLS has to be done in time."""
        if self._agent.phase is not Phase.CONNECTING:
            wire.abort()
            return
        self._wire = wire
        self.hypervisor.link_addresses.update(wire.local_addresses())
        limit_s = self.hypervisor.host.properties.ssl_handshake_timeout_s
        due_s = self._clock.monotonic() + limit_s
        wire.handshake_timer = self._timers.call_at(due_s, wire.abort, drives=False)

    def wire_secured(self) -> None:
        self._perform(self._agent.link_up(self._clock.monotonic()))

    def wire_message(self, wire: Wire, message: bytes) -> None:
        if self._is_frozen:
            self._put_off.append(lambda: self.wire_message(wire, message))
        elif wire is self._wire:
            self._perform(self._agent.received(message, self._clock.monotonic()))

    def wire_lost(self, wire: Wire) -> None:
        if wire is not self._wire:
            return
        if self._is_frozen:
            self._put_off.append(lambda: self.wire_lost(wire))
            return
        self._wire = None
        now_s = self._clock.monotonic()
        if self._agent.phase is Phase.CONNECTING:
            self._perform(self._agent.connect_failed(now_s))
        elif self._agent.phase in (Phase.STARTING, Phase.RUNNING):
            logger.info("%s: the link is lost", self.name)
            self._perform(self._agent.link_down(now_s))

    async def _execute(self, agent: Agent, execute: Execute) -> None:
        def shell(command: Command) -> Answer | None:
            self._moves.heard(command)
            return agent.shell_answer(execute.request, command, self._clock.monotonic())

        answers = await self._work.answers_to(execute.request, shell)
        if self._is_frozen:
            self._put_off.append(lambda: self._answer(agent, execute, answers))
        else:
            self._answer(agent, execute, answers)

    def _answer(self, agent: Agent, execute: Execute, answers: list[Answer]) -> None:
        if agent is not self._agent or not agent.can_answer(execute):
            for command, answer in zip(execute.request.commands, answers, strict=False):
                take_back(self.hypervisor, command, answer)
        if agent is self._agent:
            if self._wire is not None:
                self._wire.damage = self._work.damage_to(execute.request.commands)
            self._perform(agent.answered(execute, answers))
            if any(isinstance(answer, SetupCertificateAnswer) and answer.result for answer in answers):
                self._renewal.begin()

    async def start_anew(self, text: str, down_s: float) -> None:
        """Let the process end for that reason, and start it again after `down_s` seconds."""
        self._perform(self._agent.stop(text))
        self._agent.end()
        await self._timers.sleep(down_s)
        self._wire = None
        self.start()

    def end_command(self, log_id: str, command: str) -> Ending:
        """End the work on the command of that class name and log id, or refuse it when its turn comes.

        An agent that does not run, or was stopped by a signal, goes on as it is.
        """
        if self._agent.phase is not Phase.RUNNING or self._is_frozen:
            return "goes on"
        return self._work.end(log_id, command)
