"""What every part of the agent edge shares: the attached hosts, work in the database, requests, detaching."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Coroutine, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from itertools import chain, islice
from typing import TypeVar

import msgspec
from sqlalchemy.orm import Session

from mgmt.agents import hostrecords
from mgmt.agents.admission import host_key
from mgmt.agents.attachment import Attachment
from mgmt.agents.conversation import Conversation
from mgmt.agents.database import DatabaseThread
from mgmt.agents.locks import KeyedLocks
from mgmt.agents.policy import check_allowed, command_timeouts
from mgmt.agents.ports import AgentSettings
from mgmt.agents.powerreports import PowerReport, PowerReports
from mgmt.agents.states import Event, NoTransitionError, Status
from mgmt.agents.timers import timers_on
from mgmt.agents.trace import Trace
from mgmt.observe.journal import Journal
from mgmt.protocol.records import Answer, Command, simple_name
from mgmt.providers import Providers
from mgmt.store.database import Store

logger = logging.getLogger(__name__)

T = TypeVar("T")

THREAD_NAME = "agents"
LISTENER_THREADS = 4  # for power reports and lost hosts, which may wait for agents


class NotAttachedError(Exception):
    """There is no link to the host, or not in a state in which commands may be sent."""


class Core:
    """The shared state of one server's agent edge; every method runs in the event loop's thread."""

    def __init__(
        self,
        store: Store,
        providers: Providers,
        settings: AgentSettings,
        journal: Journal,
        *,
        node_id: int,
        timer_poll_s: float,
        stores_vddk_facts: bool = True,
        on_up: Callable[[Attachment], None],
        on_gone: Callable[[Attachment], None],
        on_power: Callable[[Sequence[PowerReport]], Sequence[bool]],
        on_down: Callable[[int], None],
    ) -> None:
        self.stores_vddk_facts = stores_vddk_facts
        self.attached: dict[int, Attachment] = {}
        self.attached_by_key: dict[str, Attachment] = {}
        self.pings: dict[int, datetime] = {}
        self.has_hosts_away = True  # whether a host may be given up for having been away too long
        self.providers = providers
        self.settings = settings
        self.node_id = node_id
        self.trace = Trace(journal)
        self.timers = timers_on(providers.clock, timer_poll_s)
        self.locks = KeyedLocks()
        self.on_up = on_up
        self.stopping = False
        self.on_gone = on_gone
        self._on_down = on_down
        self._store = store
        self._database = DatabaseThread(store)
        self._listeners = ThreadPoolExecutor(max_workers=LISTENER_THREADS, thread_name_prefix=f"{THREAD_NAME}-listener")
        self.power = PowerReports(self.attached, self._listeners, on_power, self.spawn, self.timers)
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        """Have all threads there from the beginning, rather than some day."""
        self._database.start()
        all_there = threading.Barrier(LISTENER_THREADS)
        for _ in range(LISTENER_THREADS):
            self._listeners.submit(all_there.wait)

    async def stop(self) -> None:
        """Cancel what is under way and write what is known; the hosts of this server become Disconnected."""
        self.stopping = True
        self.timers.close()
        for task in list(self._tasks):
            task.cancel()
        for attachment in list(self.attached.values()):
            attachment.requests.close()
            self.on_gone(attachment)
        self.attached.clear()
        self.attached_by_key.clear()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        # First let the database threads finish: what a cancelled task had begun must not be written after this.
        self._database.stop()
        self._listeners.shutdown(wait=True)
        with self._store.session() as session:
            self._end(session)

    def _end(self, session: Session) -> None:
        now = self.providers.utcnow()
        hostrecords.save_pings(session, self.pings)
        for host_id, before, after in hostrecords.release_all(session, self.node_id, now):
            self.trace.move(host_id, None, before, after, Event.MANAGEMENT_SERVER_DOWN, "the server stops")

    def attach(self, attachment: Attachment) -> None:
        """Know a host's link."""
        self.attached[attachment.host_id] = attachment
        self.attached_by_key[host_key(attachment.guid)] = attachment

    async def drop(self, attachment: Attachment, event: Event, reason: str) -> None:
        """Detach in turn: a host that is just being welcomed is detached by its welcome."""
        async with self.locks.held(host_key(attachment.guid)):
            await self.detach(attachment, event, reason)

    async def detach(self, attachment: Attachment, event: Event, reason: str) -> None:
        """Close the link of a host and move its state by `event`; the caller holds the lock of its guid."""
        if self.attached.get(attachment.host_id) is not attachment:
            return  # a newer link serves the host
        del self.attached[attachment.host_id]
        self.attached_by_key.pop(host_key(attachment.guid), None)
        attachment.link.attachment = None
        attachment.link.close()
        attachment.requests.close()
        self.on_gone(attachment)
        await self.move(attachment.host_id, attachment.host_name, event, reason)

    async def move(self, host_id: int, name: str | None, event: Event, reason: str) -> None:
        """Move a host's state by `event`; an impossible move is only logged."""
        try:
            before, after = await self.db_together(hostrecords.move, host_id, event, self.providers.utcnow())
        except NoTransitionError as error:
            logger.warning("host %s: %s", name or host_id, error)
            return
        self.has_hosts_away = True
        self.trace.move(host_id, name, before, after, event, reason)

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
        log_id = (correlation_id or self.providers.ids.uuid())[:8]
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
        is_quiet: bool = False,
    ) -> asyncio.Future[tuple[Answer, ...]]:
        limits = command_timeouts(self.settings.get_text("commands.timeout"))
        outgoing = []
        for command in commands:
            wait = limits.get(simple_name(command), command.wait if wait_s is None else wait_s)
            context = {"logid": log_id, **command.contextMap}
            outgoing.append(msgspec.structs.replace(command, wait=wait, contextMap=context))
        longest_s = max((command.wait for command in outgoing), default=0) or self.settings.get_int("wait")
        return attachment.requests.submit(
            outgoing, longest_s, stop_on_error=stop_on_error, correlation_id=correlation_id, is_quiet=is_quiet
        )

    def ask_quietly(self, attachment: Attachment, command: Command) -> asyncio.Future[tuple[Answer, ...]]:
        """Ask for figures, outside the journal."""
        return self._submit(attachment, [command], log_id=self.providers.ids.uuid()[:8], is_quiet=True)

    def others(self, attachment: Attachment) -> Iterator[Attachment]:
        """The other attached hosts, in an order that begins elsewhere for each host, so that not all ask the same."""
        hosts = list(self.attached.values())
        place = attachment.host_id % len(hosts) if hosts else 0
        return (host for host in chain(islice(hosts, place, None), islice(hosts, place)) if host is not attachment)

    def on_down(self, host_id: int) -> None:
        """Tell that a host is down, in a database thread."""
        self.spawn(self._tell_down(host_id))

    async def _tell_down(self, host_id: int) -> None:
        await asyncio.get_running_loop().run_in_executor(self._listeners, self._on_down, host_id)

    def conversation(self, attachment: Attachment) -> Conversation:
        """A new conversation with a host."""
        return Conversation(self._submit, attachment, self.providers.ids.uuid()[:8])

    async def db(self, work: Callable[..., T], *args: object) -> T:
        """The result of `work(session, *args)`, run in the database thread."""
        return await self._database.run(work, *args)

    async def db_together(self, work: Callable[..., T], *args: object) -> T:
        """The same in a transaction that it shares with what else waits; see DatabaseThread.run_together."""
        return await self._database.run_together(work, *args)

    def spawn(self, work: Coroutine[None, None, None]) -> None:
        """Run `work` beside everything else; its errors are logged."""
        task = self.timers.spawn("work of the agent edge", work)
        self._tasks.add(task)
        task.add_done_callback(self._task_done)

    def _task_done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            logger.error("work for an agent failed", exc_info=task.exception())
