"""One agent of a fleet: its socket, its running commands, its process life."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, Literal

from agent_sim.agent import Action, Agent, Close, Connect, Execute, Exit, Phase, Send
from agent_sim.commands import answer_command
from agent_sim.commands.lost import take_back
from agent_sim.host import Domain, HostDescription
from agent_sim.hypervisor import Hypervisor
from agent_sim.providers import Clock, Timer, Timers
from agent_sim.startup import Identity, MeasuredPool, startup_commands
from mgmt.protocol.commands import Answer, Command, HostVmStateReportEntry
from mgmt.protocol.link import LinkError, TlsLink
from mgmt.protocol.records import simple_name

logger = logging.getLogger(__name__)

DomainEnd = Literal["shutdown", "crash", "destroy"]


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
    ) -> None:
        self.hypervisor = hypervisor
        self.identity = Identity()
        self.exit_reason: str | None = None
        self._connect_to = connect
        self._clock = clock
        self._timers = timers
        self._context = context
        self._pause_scale = pause_scale
        self._on_change = on_change
        self._tasks: set[asyncio.Task[None]] = set()
        self._pools: list[MeasuredPool] = []
        self._timer: Timer | None = None
        self._wire: _Wire | None = None
        self._workers = asyncio.Semaphore(hypervisor.host.properties.workers)
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

    # -- process life

    def start(self) -> None:
        """Start the agent's process."""
        self.exit_reason = None
        self.hypervisor.start_agent()
        self._workers = asyncio.Semaphore(self.hypervisor.host.properties.workers)
        self._agent = self._new_agent()
        self._perform(self._agent.start(self._clock.monotonic()))

    async def kill(self) -> None:
        """End it at once: no word to the server, tools die."""
        self._agent.end()
        if self._wire is not None:
            self._wire.abort()
            self._wire = None
        await self._end_tasks()
        self._cancel_timer()
        self._on_change(self.phase)

    async def revive(self, host: HostDescription | None) -> None:
        """Start it again after `kill` or a refusal; no effect on one that lives."""
        if host is not None:
            self.hypervisor.change_host(host)
        if self._agent.phase is Phase.STOPPED:
            await self._end_tasks()
            self.start()

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

    async def close(self) -> None:
        """Stop it in order: say goodbye, close, end tools."""
        self._perform(self._agent.stop())
        self._agent.end()
        if self._wire is not None:
            await self._wire.closed()
        await self._end_tasks()
        self._cancel_timer()

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
        servers = self._connect_to[0]
        return startup_commands(hypervisor.host, hypervisor.capabilities, self._pools, self.identity, servers)

    def _power_report(self) -> dict[str, HostVmStateReportEntry]:
        return {
            domain.name: HostVmStateReportEntry(state="PowerOn", host=self.name)
            for domain in self.hypervisor.domains.values()
            if domain.state != "shut off"
        }

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
        self._arm()
        self._on_change(self._agent.phase)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._task_done)

    def _task_done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._on_change(self._agent.phase)

    def _arm(self) -> None:
        deadline_s = self._agent.deadline_s
        if self._timer is not None and not self._timer.cancelled and self._timer.due_s == deadline_s:
            return
        self._cancel_timer()
        if deadline_s is not None:
            self._timer = self._timers.call_at(deadline_s, self._tick)

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _tick(self) -> None:
        self._perform(self._agent.tick(self._clock.monotonic()))

    # -- the link

    async def _open(self) -> None:
        hypervisor, agent = self.hypervisor, self._agent
        self._pools = await hypervisor.bench.blocking(hypervisor.measure_local_pools)
        host, port = self._connect_to
        wire = _Wire(self, TlsLink(False, self._context))
        try:
            await asyncio.get_running_loop().create_connection(lambda: wire, host, port)
        except OSError as error:
            logger.info("%s: no connection to %s:%d: %s", self.name, host, port, error)
            if agent is self._agent:
                self._perform(agent.connect_failed(self._clock.monotonic()))

    def wire_opened(self, wire: _Wire) -> None:
        """The TCP connection is there; TLS has to be done in time."""
        if self._agent.phase is not Phase.CONNECTING:
            wire.abort()
            return
        self._wire = wire
        limit_s = self.hypervisor.host.properties.ssl_handshake_timeout_s
        wire.handshake_timer = self._timers.call_at(self._clock.monotonic() + limit_s, wire.abort)

    def wire_secured(self) -> None:
        self._perform(self._agent.link_up(self._clock.monotonic()))

    def wire_message(self, wire: _Wire, message: bytes) -> None:
        if wire is self._wire:
            self._perform(self._agent.received(message, self._clock.monotonic()))

    def wire_lost(self, wire: _Wire) -> None:
        if wire is not self._wire:
            return
        self._wire = None
        now_s = self._clock.monotonic()
        if self._agent.phase is Phase.CONNECTING:
            self._perform(self._agent.connect_failed(now_s))
        elif self._agent.phase in (Phase.STARTING, Phase.RUNNING):
            logger.info("%s: the link is lost", self.name)
            self._perform(self._agent.link_down(now_s))

    async def _execute(self, agent: Agent, execute: Execute) -> None:
        """Run a request's commands one after the other, as one of the agent's workers."""
        request = execute.request
        answers: list[Answer] = []
        async with self._workers:
            for command in request.commands:
                if request.stop_on_error and answers and not answers[-1].result:
                    answers.append(Answer(result=False, details="Stopped by previous failure"))
                    continue
                answer = agent.shell_answer(request, command, self._clock.monotonic())
                answers.append(answer if answer is not None else await self._run_command(command))
        if agent is not self._agent or not agent.can_answer(execute):
            for command, answer in zip(request.commands, answers, strict=False):
                take_back(self.hypervisor, command, answer)
        if agent is self._agent:
            self._perform(agent.answered(execute, answers))

    async def _run_command(self, command: Command) -> Answer:
        try:
            return await answer_command(self.hypervisor, command)
        except Exception as error:
            logger.exception("%s: %s failed", self.name, simple_name(command))
            return Answer(result=False, details=f"java.lang.RuntimeException: {type(error).__name__}\n")


class _Wire(asyncio.Protocol):
    """One connection: moves bytes between the socket and the TLS link."""

    def __init__(self, member: Member, link: TlsLink) -> None:
        self._member = member
        self._link = link
        self._transport: asyncio.Transport | None = None
        self._secured = False
        self._gone = asyncio.Event()
        self.handshake_timer: Timer | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._member.wire_opened(self)
        self._flush()

    def data_received(self, data: bytes) -> None:
        try:
            messages = self._link.feed(data)
        except LinkError as error:
            logger.warning("%s: the link is broken: %s", self._member.name, error)
            self._flush()
            self.abort()
            return
        self._flush()
        if self._link.handshake_done and not self._secured:
            self._secured = True
            if self.handshake_timer is not None:
                self.handshake_timer.cancel()
            self._member.wire_secured()
        for message in messages:
            self._member.wire_message(self, message)

    def connection_lost(self, exc: Exception | None) -> None:
        if self.handshake_timer is not None:
            self.handshake_timer.cancel()
        self._gone.set()
        self._member.wire_lost(self)

    def send(self, message: bytes) -> None:
        self._link.send(message)
        self._flush()

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    async def closed(self) -> None:
        """Return once the socket is gone; an unwilling peer is given half a second."""
        try:
            async with asyncio.timeout(0.5):
                await self._gone.wait()
        except TimeoutError:
            self.abort()
            await self._gone.wait()

    def _flush(self) -> None:
        outgoing = self._link.take_outgoing()
        if outgoing and self._transport is not None and not self._transport.is_closing():
            self._transport.write(outgoing)
