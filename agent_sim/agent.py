"""One agent's life without its socket: connect, start up, ready, ping, answer, reconnect, shut down.

The machine takes what happened and the clock's monotonic time in seconds, and returns what is to be done. Behaviour is
that of the classic agent (4.22). Upstream: agent/src/main/java/com/cloud/agent/Agent.java, AgentShell.java.
"""

from __future__ import annotations

import enum
import itertools
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from agent_sim.commands import unsupported
from agent_sim.properties import AgentProperties
from agent_sim.reading import BadRequest, read_message
from agent_sim.startup import Identity
from mgmt.protocol.commands import (
    AgentControlAnswer,
    AgentControlCommand,
    Answer,
    BadCommand,
    CleanupNetworkRulesCmd,
    Command,
    HostVmStateReportEntry,
    MaintainAnswer,
    MaintainCommand,
    MigrateAgentConnectionAnswer,
    MigrateAgentConnectionCommand,
    PingAnswer,
    PingRoutingCommand,
    ReadyCommand,
    SetupMSListAnswer,
    SetupMSListCommand,
    ShutdownCommand,
    StartupAnswer,
)
from mgmt.protocol.message import Request, Response

logger = logging.getLogger(__name__)

_LINK_LOSS_PAUSE_S = 5.0
_FIRST_STARTUP_LIMIT_S = 180.0
_LATER_STARTUP_LIMIT_S = 360.0
_SHORTEST_PAUSE_S = 0.05


class Phase(enum.Enum):
    """Where an agent stands."""

    STOPPED = "stopped"
    WAITING = "waiting"
    CONNECTING = "connecting"
    STARTING = "starting"
    RUNNING = "running"


@dataclass(frozen=True)
class Connect:
    """Open a connection to the server."""


@dataclass(frozen=True)
class Send:
    """Send these bytes as one message."""

    message: bytes = field(repr=False)


@dataclass(frozen=True)
class Execute:
    """Run the commands and hand the answers to `Agent.answered`, with `link` as it is here."""

    request: Request
    link: int


@dataclass(frozen=True)
class Close:
    """Close the connection, sending what is queued first."""


@dataclass(frozen=True)
class Exit:
    """The agent's process ends."""

    reason: str


Action = Connect | Send | Execute | Close | Exit


@dataclass
class _Cron:
    """A repeated job: the same response again every `period_s`."""

    response: Response
    period_s: float
    due_s: float


@dataclass
class _PingTimer:
    period_s: float
    due_s: float


class Agent:
    """The state machine. `introduce` makes the Startup array; `power_report` gives the running VMs for pings.

    `pause_scale` divides the pauses between connection attempts, never below 50 ms.
    """

    def __init__(
        self,
        name: str,
        properties: AgentProperties,
        identity: Identity,
        *,
        introduce: Callable[[], Sequence[Command]],
        power_report: Callable[[], dict[str, HostVmStateReportEntry]],
        pause_scale: float = 1.0,
    ) -> None:
        self.name = name
        self.identity = identity
        self.phase = Phase.STOPPED
        self.link = 0
        self.ready_seen = False
        self._properties = properties
        self._introduce = introduce
        self._power_report = power_report
        self._pause_scale = pause_scale
        self._sequence = itertools.count()
        self._pings: list[_PingTimer] = []
        self._crons: list[_Cron] = []
        self._reconnect_due_s: float | None = None
        self._startup_due_s: float | None = None
        self._startups = 0
        self._contact_s = 0.0  # when a ping was sent, or an answer came that is none to a ping
        self._may_reconnect = True

    # -- what happens

    def start(self, now_s: float) -> list[Action]:
        """The process starts."""
        self._may_reconnect = True
        self.phase = Phase.CONNECTING
        return [Connect()]

    def connect_failed(self, now_s: float) -> list[Action]:
        """No connection, or no TLS handshake: try again after one pause."""
        return self._wait(now_s, 0.0)

    def link_up(self, now_s: float) -> list[Action]:
        """The TLS handshake is done: introduce the host."""
        self.link += 1
        self.phase = Phase.STARTING
        limit_s = _FIRST_STARTUP_LIMIT_S if self._startups == 0 else _LATER_STARTUP_LIMIT_S
        self._startups += 1
        self._startup_due_s = now_s + limit_s
        return [self._startup()]

    def link_down(self, now_s: float) -> list[Action]:
        """The connection is gone: five seconds and one pause, then try again."""
        return self._wait(now_s, _LINK_LOSS_PAUSE_S)

    def received(self, data: bytes, now_s: float) -> list[Action]:
        """A whole message came."""
        message = read_message(data)
        if message is None:
            return []
        if isinstance(message, BadRequest):
            return [Send(Response.to(message.header, [unsupported(BadCommand)]).encode())]
        if isinstance(message, Response):
            return self._response(message, now_s)
        for command in message.commands:
            if isinstance(command, ReadyCommand) and command._details is not None:
                return self._refused(command._details)
        if not message.commands:
            return [Send(Response.to(message, []).encode())]
        return [Execute(message, self.link)]

    def can_answer(self, execute: Execute) -> bool:
        """Whether the link that the request came on is still there."""
        return execute.link == self.link and self.phase in (Phase.STARTING, Phase.RUNNING)

    def answered(self, execute: Execute, answers: Sequence[Answer]) -> list[Action]:
        """The commands of a request are done. An answer whose link is gone is lost, as upstream."""
        if not self.can_answer(execute):
            logger.info("%s: the link of request %d is gone, its answer is lost", self.name, execute.request.sequence)
            return []
        return [Send(Response.to(execute.request, answers).encode())]

    def link_left(self, now_s: float) -> list[Action]:
        """The agent itself gave the link up, to go to another server: one pause, then connect."""
        return [Close(), *self._wait(now_s, 0.0)]

    def tick(self, now_s: float) -> list[Action]:
        """Time has passed: do what is due."""
        actions: list[Action] = []
        if self._reconnect_due_s is not None and now_s >= self._reconnect_due_s:
            self._reconnect_due_s = None
            self.phase = Phase.CONNECTING
            actions.append(Connect())
        if self._startup_due_s is not None and now_s >= self._startup_due_s:
            logger.warning("%s: no StartupAnswer in time, connecting anew", self.name)
            self._startup_due_s = None
            return [Close(), *self._wait(now_s, 0.0)]
        for ping in self._pings:
            if now_s >= ping.due_s:
                # a fixed rate: a late ping does not move the next one
                missed = int((now_s - ping.due_s) // ping.period_s)
                ping.due_s += (missed + 1) * ping.period_s
                if now_s - self._contact_s > ping.period_s * self._properties.ping_retries:
                    # upstream's trap for a process that was stopped for long: it stays silent from now on
                    logger.warning("%s: Ping Interval has gone past, no ping is sent", self.name)
                    continue
                self._contact_s = now_s
                actions.append(self._ping())
        for cron in self._crons:
            if now_s >= cron.due_s:
                cron.due_s = now_s + cron.period_s
                actions.append(Send(cron.response.encode()))
        return actions

    def domain_ended(self) -> list[Action]:
        """A VM ended by itself: with `libvirt.events.enabled` a ping goes out of turn."""
        if self.phase is not Phase.RUNNING or not self._properties.libvirt_events_enabled:
            return []
        return [self._ping(out_of_band=True)]

    def stop(self, detail: str | None = None) -> list[Action]:
        """The process is asked to end (SIGTERM), or ends for the reason in `detail`: tell the server, then close."""
        was_linked = self.phase in (Phase.STARTING, Phase.RUNNING)
        self._halt()
        self.phase = Phase.STOPPED
        return [self._shutdown(detail), Close()] if was_linked else [Close()]

    def end(self) -> None:
        """The process is gone without a word: whatever is still under way is never answered."""
        self._halt()
        self.phase = Phase.STOPPED
        self.link += 1

    @property
    def deadline_s(self) -> float | None:
        """When `tick` has something to do next, None when there is nothing to wait for."""
        due = [ping.due_s for ping in self._pings] + [cron.due_s for cron in self._crons]
        due += [moment for moment in (self._reconnect_due_s, self._startup_due_s) if moment is not None]
        return min(due, default=None)

    @property
    def is_waiting_to_connect(self) -> bool:
        """Whether the next thing to do is to connect again."""
        return self._reconnect_due_s is not None

    @property
    def only_repeats(self) -> bool:
        """Whether everything that comes with time is one more ping or one more repeated answer."""
        return self.phase is Phase.RUNNING and self._startup_due_s is None and self._reconnect_due_s is None

    def last_ping_s(self, until_s: float) -> float | None:
        """When the last ping by `until_s` is due, None when none is."""
        due = [ping.due_s + (until_s - ping.due_s) // ping.period_s * ping.period_s for ping in self._pings]
        return max((moment for moment in due if moment <= until_s), default=None)

    def pass_over(self, until_s: float) -> None:
        """Count pings and repeated answers that are due by `until_s` as sent."""
        timers: list[_PingTimer | _Cron] = [*self._pings, *self._crons]
        for timer in timers:
            if timer.due_s <= until_s:
                self._contact_s = until_s
            while timer.due_s <= until_s:
                timer.due_s += (1 + (until_s - timer.due_s) // timer.period_s) * timer.period_s

    # -- the shell's own commands

    def shell_answer(self, request: Request, command: Command, now_s: float) -> Answer | None:
        """The answer to a command that the agent shell handles itself, None for one of the resource's."""
        if isinstance(command, ReadyCommand):
            return self._remember(command)
        if isinstance(command, MaintainCommand):
            return MaintainAnswer(result=True, willMigrate=True)
        if isinstance(command, ShutdownCommand):
            # timers end and the link is not renewed; commands are answered while it lasts
            self._pings.clear()
            self._crons.clear()
            self._may_reconnect = False
            return Answer(result=True)
        if isinstance(command, SetupMSListCommand):
            if command.triggerHostLb is None:
                return _null_pointer('"java.lang.Boolean.booleanValue()" because "triggerHostLb" is null')
            return SetupMSListAnswer(result=True)
        if isinstance(command, MigrateAgentConnectionCommand):
            return MigrateAgentConnectionAnswer(result=True)
        if isinstance(command, AgentControlCommand):
            return AgentControlAnswer(result=True)
        if isinstance(command, CleanupNetworkRulesCmd):
            return self._cron(request, command, now_s)
        return None

    def _remember(self, command: ReadyCommand) -> Answer | None:
        if command.hostId is not None:
            self.identity.host_id = command.hostId
            if command.hostUuid is None or command.hostName is None:
                return _null_pointer('"String.length()" because "value" is null')
            self.identity.uuid, self.identity.name = command.hostUuid, command.hostName
        if command.arch and not self.ready_seen:
            logger.debug("%s: the server expects %s", self.name, command.arch)
        self.ready_seen = True
        return None

    def _cron(self, request: Request, command: CleanupNetworkRulesCmd, now_s: float) -> Answer:
        if command.interval <= 0:
            return Answer(result=False, details="java.lang.IllegalArgumentException: Non-positive period.\n")
        later = Response.to(request, [Answer(result=False, details="")])
        self._crons.append(_Cron(later, float(command.interval), now_s + command.interval))
        return Answer(result=True)

    # -- inside

    def _response(self, response: Response, now_s: float) -> list[Action]:
        answer = response.answers[0] if response.answers else None
        if isinstance(answer, StartupAnswer):
            return self._welcomed(answer, now_s)
        if isinstance(answer, PingAnswer):
            return [self._startup()] if answer.sendStartup else []
        if answer is not None and not isinstance(answer, AgentControlAnswer):
            self._contact_s = now_s
        return []

    def _welcomed(self, answer: StartupAnswer, now_s: float) -> list[Action]:
        if not answer.result:
            return self._refused(answer.details or "")
        self._startup_due_s = None
        self._contact_s = now_s
        self.phase = Phase.RUNNING
        self.identity.host_id = answer.hostId
        if answer.hostUuid is None or answer.hostName is None or answer.pingInterval <= 0:
            # upstream an exception ends the handler here: the link stays, no ping is ever sent
            logger.warning("%s: a StartupAnswer without names or ping interval: no pings will be sent", self.name)
            return []
        self.identity.uuid, self.identity.name = answer.hostUuid, answer.hostName
        # every StartupAnswer adds a timer: after sendStartup the agent pings twice per interval
        self._pings.append(_PingTimer(float(answer.pingInterval), now_s + answer.pingInterval))
        return []

    def _refused(self, reason: str) -> list[Action]:
        logger.error("%s: the server refuses this agent: %s", self.name, reason)
        self._halt()
        self.phase = Phase.STOPPED
        return [self._shutdown(), Close(), Exit(reason)]

    def _halt(self) -> None:
        self._pings.clear()
        self._crons.clear()
        self._reconnect_due_s = self._startup_due_s = None
        self._may_reconnect = False

    def _wait(self, now_s: float, extra_s: float) -> list[Action]:
        self._pings.clear()
        self._crons.clear()
        self._startup_due_s = None
        self.ready_seen = False
        if not self._may_reconnect:
            self.phase = Phase.STOPPED
            return []
        pause_s = (extra_s + self._properties.backoff_s) / self._pause_scale
        self.phase = Phase.WAITING
        self._reconnect_due_s = now_s + max(_SHORTEST_PAUSE_S, pause_s)
        return []

    def _request(self, commands: Sequence[Command], *, stop_on_error: bool) -> Send:
        request = Request(
            next(self._sequence),
            tuple(commands),
            agent_id=self.identity.header_id,
            via=self.identity.header_id,
            stop_on_error=stop_on_error,
        )
        return Send(request.encode())

    def _startup(self) -> Send:
        return self._request(self._introduce(), stop_on_error=False)

    def _ping(self, *, out_of_band: bool = False) -> Send:
        ping = PingRoutingCommand(
            hostType="Routing",
            hostId=self.identity.header_id,
            outOfBand=out_of_band,
            _hostVmStateReport=self._power_report(),
        )
        return self._request([ping], stop_on_error=True)

    def _shutdown(self, detail: str | None = None) -> Send:
        request = Request(
            -1,
            (ShutdownCommand(reason="sig.kill", detail=detail),),
            agent_id=self.identity.header_id,
            via=self.identity.header_id,
            in_sequence=True,
        )
        return Send(request.encode())


def _null_pointer(what: str) -> Answer:
    text = (
        f"java.lang.NullPointerException: Cannot invoke {what}\n\tat com.cloud.agent.Agent.processRequest(Agent.java)\n"
    )
    return Answer(result=False, details=text)
