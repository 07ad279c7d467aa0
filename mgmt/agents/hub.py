"""Every agent link of one server, in one event loop: attach, pings, requests, silence, loss."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Callable, Collection, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Protocol, TypeVar

import msgspec
from sqlalchemy.orm import Session

from mgmt.agents import hostrecords, pools
from mgmt.agents.admission import Admitted, Refusal, admit, startup_of
from mgmt.agents.attachment import Attachment
from mgmt.agents.link import AgentLink
from mgmt.agents.locks import KeyedLocks
from mgmt.agents.policy import check_allowed, command_timeouts
from mgmt.agents.ports import AgentSettings
from mgmt.agents.requests import Pending, Requests
from mgmt.agents.states import Event, NoTransitionError, Status
from mgmt.agents.timers import Timers
from mgmt.agents.trace import NO_SEQUENCE, Trace
from mgmt.agents.welcome import ConnectFailedError, Welcome
from mgmt.errors import AgentUnavailableError, OperationTimedOutError
from mgmt.observe.journal import Journal
from mgmt.protocol.commands import (
    AgentConnectStatusAnswer,
    AgentConnectStatusCommand,
    AgentControlAnswer,
    AgentControlCommand,
    CheckHealthCommand,
    PingAnswer,
    PingCommand,
    ReadyAnswer,
    ReadyCommand,
    ShutdownCommand,
    StartupAnswer,
    StoragePoolInfo,
)
from mgmt.protocol.message import Header, MessageError, Request, Response, decode
from mgmt.protocol.records import Answer, Command, java_class, simple_name
from mgmt.providers import Providers
from mgmt.store.database import Store

logger = logging.getLogger(__name__)

T = TypeVar("T")


class Submit(Protocol):
    """`Hub._submit`."""

    def __call__(
        self, attachment: Attachment, commands: Sequence[Command], *, log_id: str
    ) -> asyncio.Future[tuple[Answer, ...]]: ...


CHECK_HEALTH_WAIT_S = 50
STOPPED_BY_SIGNAL = "sig.kill"  # the reason that Java's constant ShutdownCommand.Requested has
RANDOM_SEQUENCES = 32767


class NotAttachedError(Exception):
    """There is no link to the host, or not in a state in which commands may be sent."""


class Conversation:
    """Commands to one host that belong together: they share a `logid`."""

    def __init__(self, submit: Submit, attachment: Attachment, log_id: str) -> None:
        self._submit = submit
        self._attachment = attachment
        self._log_id = log_id

    async def ask(self, command: Command) -> Answer:
        """The host's answer; raises AgentUnavailableError and OperationTimedOutError."""
        answers = await self._submit(self._attachment, [command], log_id=self._log_id)
        return answers[0]

    def tell(self, command: Command) -> None:
        """Send without waiting; a missing answer is only logged."""
        self._submit(self._attachment, [command], log_id=self._log_id).add_done_callback(_log_failure)


def _log_failure(answers: asyncio.Future[tuple[Answer, ...]]) -> None:
    if not answers.cancelled() and (error := answers.exception()) is not None:
        logger.info("nobody waited, but: %s", error)


class Hub:
    """The event-loop side of the agent edge; every method runs in the loop's thread."""

    def __init__(
        self,
        store: Store,
        providers: Providers,
        settings: AgentSettings,
        journal: Journal,
        *,
        node_id: int,
        context: ssl.SSLContext,
        ssh_keys: tuple[str, str],
        timer_poll_s: float,
        on_up: Callable[[Attachment], None],
        on_gone: Callable[[Attachment], None],
    ) -> None:
        self.attached: dict[int, Attachment] = {}
        self._store = store
        self._providers = providers
        self._settings = settings
        self._trace = Trace(journal)
        self._node_id = node_id
        self._context = context
        self._ssh_keys = ssh_keys
        self._on_up = on_up
        self._on_gone = on_gone
        self._timers = Timers(providers.clock, timer_poll_s)
        self._executor = ThreadPoolExecutor(max_workers=4, thread_name_prefix="agents-db")
        self._links: set[AgentLink] = set()
        self._locks = KeyedLocks()
        self._tasks: set[asyncio.Task[None]] = set()
        self._pings: dict[int, datetime] = {}
        self._stopping = False

    # -- life of the hub

    def start(self) -> None:
        """Begin to watch for silent hosts."""
        self._schedule_monitor()

    def new_link(self) -> AgentLink:
        """The protocol object of an accepted socket."""
        timeout_s = float(self._settings.get_int("agent.ssl.handshake.timeout"))
        return AgentLink(self, self._context, self._timers, timeout_s)

    async def stop(self) -> None:
        """Close every link; the hosts become Disconnected, whoever waits for an answer gets an error."""
        self._stopping = True
        self._timers.close()
        for task in list(self._tasks):
            task.cancel()
        for attachment in list(self.attached.values()):
            attachment.requests.close()
            self._on_gone(attachment)
        self.attached.clear()
        for link in list(self._links):
            link.abort()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        try:
            await self._db(self._end)
        finally:
            self._executor.shutdown(wait=True)

    def _end(self, session: Session) -> None:
        now = self._providers.utcnow()
        hostrecords.save_pings(session, self._pings)
        for host_id, before, after in hostrecords.release_all(session, self._node_id, now):
            self._trace.move(host_id, None, before, after, Event.MANAGEMENT_SERVER_DOWN, "the server stops")

    # -- what links tell

    def link_made(self, link: AgentLink) -> None:
        """Part of LinkOwner."""
        if self._stopping:
            link.abort()
        else:
            self._links.add(link)

    def link_lost(self, link: AgentLink) -> None:
        """Part of LinkOwner: who waits for an answer is told at once, then the host's state follows."""
        self._links.discard(link)
        attachment = link.attachment
        if attachment is not None and not self._stopping:
            attachment.requests.close()
            self._spawn(self._drop(attachment, Event.AGENT_DISCONNECTED, "the link is lost"))

    def message_received(self, link: AgentLink, message: bytes) -> None:
        """Part of LinkOwner: bad messages are logged and hurt nobody."""
        try:
            decoded = decode(message)
        except MessageError as error:
            logger.warning("message from %s: %s", link.peer, error)
            if error.header is not None and error.header.is_request and link.attachment is not None:
                link.send(self._response(error.header, [Answer(result=True)], link.attachment))
            return
        if isinstance(decoded, Request):
            self._request_received(link, decoded)
        else:
            self._response_received(link, decoded)

    # -- requests from agents

    def _request_received(self, link: AgentLink, request: Request) -> None:
        if startup_of(request.commands) is not None:
            self._startup_received(link, request)
            return
        attachment = link.attachment
        if attachment is None:
            if isinstance(next(iter(request.commands), None), AgentConnectStatusCommand):
                answer = AgentConnectStatusAnswer(lockAvailable=True, result=True)
                link.send(Response.to(request, [answer], management_id=self._node_id))
            else:
                logger.info("a request from %s before its Startup is dropped", link.peer)
            return
        answers = []
        for command in request.commands:
            if isinstance(command, ShutdownCommand):
                self._shutdown_received(attachment, command)
                return
            answers.append(self._answer(attachment, command))
        if answers:
            link.send(self._response(request, answers, attachment))

    def _response(self, request: Request | Header, answers: Sequence[Answer], attachment: Attachment) -> Response:
        return Response.to(request, answers, management_id=self._node_id, via=attachment.host_id)

    def _answer(self, attachment: Attachment, command: Command) -> Answer:
        if isinstance(command, PingCommand):
            attachment.last_ping = self._providers.clock.monotonic()
            self._pings[attachment.host_id] = self._providers.utcnow()
            has_gateway = getattr(command, "_gatewayAccessible", True)
            is_lost = attachment.status not in (Status.UP, Status.CONNECTING)
            return PingAnswer(
                _command=command, sendStartup=has_gateway and is_lost, avoidMsList=[], reconcileCommands=[], result=True
            )
        if isinstance(command, AgentControlCommand):
            return AgentControlAnswer(result=True)
        return Answer(result=True)

    def _shutdown_received(self, attachment: Attachment, command: ShutdownCommand) -> None:
        self._trace.message(command, is_sent=False, host_id=attachment.host_id, host_name=attachment.host_name)
        if command.reason != STOPPED_BY_SIGNAL:
            logger.info("host %s: a shutdown for the reason %r is ignored", attachment.host_name, command.reason)
            return
        attachment.link.close()
        attachment.requests.close()
        reason = f"the agent was stopped: {command.detail or command.reason}"
        self._spawn(self._drop(attachment, Event.SHUTDOWN_REQUESTED, reason))

    # -- attaching

    def _startup_received(self, link: AgentLink, request: Request) -> None:
        answer = StartupAnswer(
            hostId=0, hostName="", hostUuid="", pingInterval=self._settings.get_int("ping.interval"), result=True
        )
        link.send(Response.to(request, [answer], management_id=self._node_id, via=-1))
        self._spawn(self._connect(link, request.commands))

    async def _connect(self, link: AgentLink, commands: Sequence[Command]) -> None:
        startup = startup_of(commands)
        assert startup is not None
        async with self._locks.held(startup.guid or ""):
            if link.closed:
                return
            try:
                admitted = await self._db(admit, self._providers, commands, self._node_id)
            except (Refusal, NoTransitionError) as refusal:
                self._refuse(link, str(refusal))
                return
            before = admitted.previous_status
            self._trace.move(
                admitted.host_id, admitted.name, before, Status.CONNECTING, Event.AGENT_CONNECTED, link.peer
            )
            attachment = self._attach(link, admitted)
            for command in commands:
                self._trace.message(command, is_sent=False, host_id=attachment.host_id, host_name=attachment.host_name)
            try:
                await self._welcome(attachment, admitted)
            except ConnectFailedError as failure:
                logger.warning("host %s cannot be used: %s", admitted.name, failure)
                await self._detach(attachment, failure.event, str(failure))
            except Exception:
                logger.exception("welcoming host %s failed", admitted.name)
                await self._detach(attachment, Event.AGENT_DISCONNECTED, "the server failed")

    def _refuse(self, link: AgentLink, text: str) -> None:
        logger.warning("the agent at %s is refused: %s", link.peer, text)
        command = ReadyCommand(_details=text)
        self._trace.message(command, is_sent=True, host_id=None, host_name=link.peer)
        link.send(Request(sequence=NO_SEQUENCE, commands=(command,), stop_on_error=True, in_sequence=True))

    def _attach(self, link: AgentLink, admitted: Admitted) -> Attachment:
        older = self.attached.get(admitted.host_id)
        if older is not None:
            older.requests.close()
            if older.link is not link:  # the host stays Up: its state follows the newer link
                older.link.attachment = None
                older.link.close()
        attachment: Attachment

        def write(pending: Pending, request: Request) -> None:
            for command in pending.commands:
                self._trace.message(
                    command,
                    is_sent=True,
                    host_id=admitted.host_id,
                    host_name=admitted.name,
                    sequence=pending.sequence,
                    correlation_id=pending.correlation_id,
                )
            link.send(request)

        attachment = Attachment(
            host_id=admitted.host_id,
            host_uuid=admitted.uuid,
            host_name=admitted.name,
            guid=admitted.guid,
            link=link,
            requests=Requests(
                admitted.host_id,
                write,
                self._timers,
                node_id=self._node_id,
                first_sequence=self._providers.random.randrange(RANDOM_SEQUENCES) << 48,
            ),
            status=Status.CONNECTING,
            maintenance=admitted.is_in_maintenance,
            last_ping=self._providers.clock.monotonic(),
        )
        self.attached[admitted.host_id] = attachment
        link.attachment = attachment
        return attachment

    async def _welcome(self, attachment: Attachment, admitted: Admitted) -> None:
        async def save_pool_size(pool_id: int, info: StoragePoolInfo) -> None:
            await self._db(pools.save_pool_size, pool_id, info)

        welcome = Welcome(
            admitted=admitted,
            providers=self._providers,
            settings=self._settings,
            pools=await self._db(pools.shared_pools, admitted.zone_id, admitted.cluster_id),
            physical_network_ids=await self._db(hostrecords.physical_network_ids, admitted.zone_id),
            ssh_keys=self._ssh_keys,
            save_pool_size=save_pool_size,
        )
        conversation = Conversation(self._submit, attachment, self._providers.ids.uuid()[:8])
        ready = await welcome.give(conversation)
        await self._db(self._ready, attachment, ready)
        attachment.status = Status.UP
        self._trace.move(
            attachment.host_id, attachment.host_name, Status.CONNECTING, Status.UP, Event.READY, "the host is ready"
        )
        if attachment.link.closed:
            raise ConnectFailedError("the link is lost")
        attachment.last_ping = self._providers.clock.monotonic()
        conversation.tell(welcome.second_ready())
        self._on_up(attachment)

    def _ready(self, session: Session, attachment: Attachment, answer: ReadyAnswer | None) -> None:
        if answer is not None:
            hostrecords.save_ready_details(session, attachment.host_id, answer.detailsMap)
        hostrecords.move(session, attachment.host_id, Event.READY, self._providers.utcnow())

    # -- losing

    async def _drop(self, attachment: Attachment, event: Event, reason: str) -> None:
        """Detach in turn: a host that is just being welcomed is detached by its welcome."""
        async with self._locks.held(attachment.guid):
            await self._detach(attachment, event, reason)

    async def _detach(self, attachment: Attachment, event: Event, reason: str) -> None:
        if self.attached.get(attachment.host_id) is not attachment:
            return  # a newer link serves the host
        del self.attached[attachment.host_id]
        attachment.link.attachment = None
        attachment.link.close()
        attachment.requests.close()
        self._on_gone(attachment)
        await self._move(attachment.host_id, attachment.host_name, event, reason)

    async def _move(self, host_id: int, name: str | None, event: Event, reason: str) -> None:
        try:
            before, after = await self._db(hostrecords.move, host_id, event, self._providers.utcnow())
        except NoTransitionError as error:
            logger.warning("host %s: %s", name or host_id, error)
            return
        self._trace.move(host_id, name, before, after, event, reason)

    def disconnect(self, host_id: int, event: Event, reason: str) -> None:
        """Close the link to a host, if there is one; its state follows `event`."""
        attachment = self.attached.get(host_id)
        if attachment is not None:
            self._spawn(self._drop(attachment, event, reason))

    # -- silence

    def _schedule_monitor(self) -> None:
        def tick() -> None:
            self._spawn(self._monitor())
            self._schedule_monitor()

        self._timers.call_later(self._settings.get_int("ping.interval"), tick)

    async def _monitor(self) -> None:
        pings, self._pings = self._pings, {}
        limit_s = self._settings.get_int("ping.interval") * self._settings.get_float("ping.timeout")
        oldest = self._providers.clock.monotonic() - limit_s
        silent = [
            attachment
            for attachment in self.attached.values()
            if attachment.status is Status.UP and attachment.last_ping < oldest and not attachment.investigating
        ]
        states, waited = await self._db(self._look, pings, [attachment.host_id for attachment in silent])
        for attachment in silent:
            if states.get(attachment.host_id) == "Enabled":
                self._spawn(self._investigate(attachment))
            else:
                reason = "no ping came, and the host is not in use"
                self._spawn(self._drop(attachment, Event.SHUTDOWN_REQUESTED, reason))
        for host_id in waited:
            await self._move(host_id, None, Event.WAITED_TOO_LONG, "the agent did not come back")

    def _look(
        self, session: Session, pings: dict[int, datetime], host_ids: Collection[int]
    ) -> tuple[dict[int, str], list[int]]:
        hostrecords.save_pings(session, pings)
        alert_wait_s = self._settings.get_int("alert.wait")
        states = hostrecords.resource_states(session, host_ids) if host_ids else {}
        return states, hostrecords.waited_too_long(session, self._providers.utcnow(), alert_wait_s)

    async def _investigate(self, attachment: Attachment) -> None:
        attachment.investigating = True
        conversation = Conversation(self._submit, attachment, self._providers.ids.uuid()[:8])
        try:
            answer = await conversation.ask(CheckHealthCommand(wait=CHECK_HEALTH_WAIT_S))
        except (AgentUnavailableError, OperationTimedOutError) as error:
            reason: str | None = error.text
        else:
            reason = None if answer.result else f"the health check failed: {answer.details or java_class(answer)}"
        finally:
            attachment.investigating = False
        if reason is not None:
            await self._drop(attachment, Event.PING_TIMEOUT, f"no ping came, and {reason}")

    # -- requests to agents

    def submit(
        self,
        host_id: int,
        commands: Sequence[Command],
        *,
        wait_s: int | None,
        stop_on_error: bool,
        correlation_id: str | None,
    ) -> asyncio.Future[tuple[Answer, ...]]:
        """Send commands to an attached host; raises NotAttachedError and AgentUnavailableError."""
        attachment = self.attached.get(host_id)
        if attachment is None or attachment.status not in (Status.UP, Status.CONNECTING):
            raise NotAttachedError(host_id)
        check_allowed(attachment, commands)
        log_id = (correlation_id or self._providers.ids.uuid())[:8]
        return self._submit(
            attachment,
            commands,
            log_id=log_id,
            wait_s=wait_s,
            stop_on_error=stop_on_error,
            correlation_id=correlation_id,
        )

    def _submit(
        self,
        attachment: Attachment,
        commands: Sequence[Command],
        *,
        log_id: str,
        wait_s: int | None = None,
        stop_on_error: bool = True,
        correlation_id: str | None = None,
    ) -> asyncio.Future[tuple[Answer, ...]]:
        limits = command_timeouts(self._settings.get_text("commands.timeout"))
        outgoing = []
        for command in commands:
            wait = limits.get(simple_name(command), command.wait if wait_s is None else wait_s)
            context = {"logid": log_id, **command.contextMap}
            outgoing.append(msgspec.structs.replace(command, wait=wait, contextMap=context))
        longest_s = max((command.wait for command in outgoing), default=0) or self._settings.get_int("wait")
        return attachment.requests.submit(
            outgoing, longest_s, stop_on_error=stop_on_error, correlation_id=correlation_id
        )

    def _response_received(self, link: AgentLink, response: Response) -> None:
        attachment = link.attachment
        if attachment is None or not response.answers:
            logger.info("a response from %s that nobody waits for is ignored", link.peer)
            return
        pending = attachment.requests.answered(response)
        if pending is None:  # late, or one of the repeated answers of a cron command
            logger.debug("host %s: response %d is late or repeated", attachment.host_name, response.sequence)
            return
        for answer in response.answers:
            self._trace.message(
                answer,
                is_sent=False,
                host_id=attachment.host_id,
                host_name=attachment.host_name,
                sequence=response.sequence,
                correlation_id=pending.correlation_id,
            )

    # -- helpers

    async def _db(self, work: Callable[..., T], *args: object) -> T:
        def run() -> T:
            with self._store.session() as session:
                return work(session, *args)

        return await asyncio.get_running_loop().run_in_executor(self._executor, run)

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._task_done)

    def _task_done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            logger.error("work for an agent failed", exc_info=task.exception())
