"""The agent edge of one management server, for callers in any thread."""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import timedelta
from pathlib import Path

from sqlalchemy import select

from mgmt.agents import hostrecords
from mgmt.agents.admission import host_key
from mgmt.agents.attachment import Attachment
from mgmt.agents.calls import Calls
from mgmt.agents.certificates import authority_in, ssh_key_pair
from mgmt.agents.core import THREAD_NAME, Core, NotAttachedError
from mgmt.agents.hoststats import HostLoad
from mgmt.agents.hub import Hub
from mgmt.agents.migration import other_servers
from mgmt.agents.policy import unreachable_text
from mgmt.agents.ports import AgentSettings
from mgmt.agents.powerreports import PowerReport
from mgmt.agents.renewal import Ending
from mgmt.agents.states import Event, Status
from mgmt.agents.trust import Trust
from mgmt.errors import AgentUnavailableError
from mgmt.observe.journal import Journal
from mgmt.protocol.memory import MemoryListener
from mgmt.protocol.records import Answer, Command
from mgmt.providers import Providers
from mgmt.store.database import Store
from mgmt.store.models import ManagementServer

logger = logging.getLogger(__name__)

BACKLOG = 1024
WILDCARDS = ("0.0.0.0", "::")
STOP_TIMEOUT_S = 30.0  # for a machine under load; it takes milliseconds
STOP_EACH_S = 0.01  # a large fleet takes longer

# Gets what pings report, in a thread that may use the database; answers for each report whether it told nothing new
# (mgmt.inventory.power_sync).
FollowPower = Callable[[Sequence[PowerReport]], Sequence[bool]]


class AgentManager:
    """Listens for agents, attaches them to hosts and carries commands to them.

    One thread with one event loop serves all links. `port` 0 lets the system choose, see `address`. `timer_poll_s` is
    how often (in real seconds) an injected clock is looked at. Set `on_power_report` to follow the VMs' power states,
    `on_host_up` to learn in the agents' thread, without waiting there, of each host that comes Up or leaves
    maintenance. With `memory` no port is listened on: agents of this process connect there.
    """

    def __init__(
        self,
        store: Store,
        providers: Providers,
        settings: AgentSettings,
        journal: Journal,
        *,
        node_id: int,
        management_server_uuid: str,
        host: str = "127.0.0.1",
        port: int = 0,
        ssl_dir: Path | None = None,
        timer_poll_s: float = 0.25,
        stores_vddk_facts: bool = True,
        memory: MemoryListener | None = None,
    ) -> None:
        self.management_server_uuid = management_server_uuid
        self.on_power_report: FollowPower | None = None
        self.on_host_up: Callable[[int], None] | None = None
        self.on_host_down: Callable[[int], None] | None = None
        self.on_certificates_ending: Callable[[Sequence[Ending]], None] | None = None
        self.host_loads: dict[int, HostLoad] = {}
        self._store = store
        self._providers = providers
        self._settings = settings
        self._journal = journal
        self._node_id = node_id
        self._listen_on = (host, port)
        self._memory = memory
        self._ssl_dir = ssl_dir
        self._timer_poll_s = timer_poll_s
        self._stores_vddk_facts = stores_vddk_facts
        self._address: tuple[str, int] | None = None
        self._start_failure: Exception | None = None
        self._thread: threading.Thread | None = None
        self._calls = Calls(providers.clock)
        self._stop_wanted: asyncio.Event | None = None
        self._changed = threading.Condition()
        self._up: dict[int, str] = {}
        self._up_keys: set[str] = set()
        self.trust: Trust | None = None  # once it is started

    @property
    def address(self) -> tuple[str, int]:
        """Where agents connect to; raises RuntimeError before `start`."""
        if self._address is None:
            raise RuntimeError("the agent manager is not started")
        return self._address

    def start(self) -> None:
        """Listen; returns once agents can connect. Raises OSError when the port cannot be had."""
        if self._thread is not None:
            raise RuntimeError("the agent manager is started already")
        self._calls.is_stopping = False
        listener = self._open() if self._memory is None else None
        try:
            self._release_hosts()
            core = Core(
                self._store,
                self._providers,
                self._settings,
                self._journal,
                node_id=self._node_id,
                timer_poll_s=self._timer_poll_s,
                stores_vddk_facts=self._stores_vddk_facts,
                on_up=self._host_up,
                on_gone=self._host_gone,
                on_power=self._power_reported,
                on_down=self._host_down,
            )
            kept = None if self._ssl_dir is None else authority_in(self._ssl_dir, self._providers.utcnow())
            self.trust = Trust(self._store, self._providers, self._settings, kept)
            self._calls.hub = Hub(core, self.trust, ssh_key_pair(), self.host_loads, self._certificates_ending)
        except BaseException:
            if listener is not None:
                listener.close()
            raise
        if self._memory is not None:
            self._address = self._memory.address
        elif listener is not None:
            self._address = (str(listener.getsockname()[0]), int(listener.getsockname()[1]))
        listening = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(listener, listening), name=THREAD_NAME, daemon=True)
        self._thread.start()
        listening.wait()
        if self._start_failure is not None:
            failure, self._start_failure = self._start_failure, None
            self.stop()
            raise failure

    def stop(self) -> None:
        """Close all links and the listener; hosts become Disconnected. Safe to call twice.

        A `send` that still waits raises ServerStoppingError.
        """
        self._calls.is_stopping = True
        thread, hub, stop_wanted = self._thread, self._calls.hub, self._stop_wanted
        if thread is None:
            return
        if stop_wanted is not None:
            self._calls.soon(stop_wanted.set)
        limit_s = STOP_TIMEOUT_S + STOP_EACH_S * (len(hub.core.attached) if hub is not None else 0)
        thread.join(limit_s)
        if thread.is_alive():
            logger.error("the agents' thread did not end within %g s", limit_s)
        self._thread = None

    def send(self, host_id: int, command: Command, *, wait_s: int | None = None) -> Answer:
        """The answer of host `host_id` to `command`.

        `wait_s` overrides the command's `wait`; 0 means the global setting `wait`. Raises AgentUnavailableError when
        there is no link or it is lost, OperationTimedOutError when no answer comes in time, CommandAbandonedError
        after `abandon`, and ServerStoppingError when this server is stopped meanwhile.
        """
        return self.send_all(host_id, [command], stop_on_error=True, wait_s=wait_s)[0]

    def send_all(
        self, host_id: int, commands: Sequence[Command], *, stop_on_error: bool, wait_s: int | None = None
    ) -> list[Answer]:
        """The answers to commands that travel in one request; errors as in `send`.

        An agent that cannot read the request gives one answer for all of it.
        """
        try:
            return self._calls.send_all(host_id, commands, stop_on_error=stop_on_error, wait_s=wait_s)
        except NotAttachedError:
            raise self._unavailable(host_id) from None

    def abandon(self, command: Command, late: Callable[[Answer], None] | None = None) -> None:
        """Let the `send` of this very command raise CommandAbandonedError; the host's answer is then nobody's.

        The host is not told: CloudStack's agents have no command for it. `late` gets the answer that it gives in the
        end, in a thread of its own.
        """
        self._calls.abandon(command, late)

    def pings_passed(self, guid: str, states: Mapping[str, str], last_s: float) -> bool:
        """Take the pings of a host of this process as received, the last one at `last_s` of the clock's `monotonic`.

        For pings that a virtual clock passes over: any thread may call it while nothing else runs. False when a ping
        would set something off, so that it has to be sent: when the host is not Up or reports `states` for the first
        times.
        """
        hub = self._calls.hub
        if hub is None or self._calls.is_stopping:
            return False
        attachment = hub.core.attached_by_key.get(host_key(guid))
        if attachment is None or attachment.status is not Status.UP or attachment.investigating:
            return False
        if attachment.settled_power != states:
            return False
        attachment.last_ping = last_s
        ago_s = self._providers.clock.monotonic() - last_s
        hub.core.pings[attachment.host_id] = self._providers.utcnow() - timedelta(seconds=ago_s)
        return True

    def is_attached(self, host_id: int) -> bool:
        """True while the host has a link and is Up."""
        with self._changed:
            return host_id in self._up

    def is_linked(self, guid: str) -> bool:
        """True while the host with that guid (suffix or not) has a link and is Up."""
        with self._changed:
            return host_key(guid) in self._up_keys

    def records_exchanged(self, in_maintenance: Collection[int]) -> None:
        """Take nothing that attached hosts reported before as known: other records are there now.

        `in_maintenance` are the hosts that may have the commands of maintenance only.
        """

        async def forget(hub: Hub) -> None:
            for attachment in hub.core.attached.values():
                attachment.settled_power = None
                hub.set_maintenance(attachment.host_id, attachment.host_id in in_maintenance)

        self._calls.in_loop(forget)
        self.host_loads.clear()

    def disconnect(self, host_id: int, reason: str) -> bool:
        """Close the link to a host, as reconnectHost does, and return once it is Disconnected; False without a link."""
        return self._calls.in_loop(lambda hub: hub.disconnect(host_id, Event.SHUTDOWN_REQUESTED, reason))

    def remove(self, host_id: int) -> None:
        """Let the agent of a deleted host stop, end its link, and return once the host is Removed."""
        self._calls.in_loop(lambda hub: hub.remove(host_id))
        self.host_loads.pop(host_id, None)

    def ask_for_figures(self) -> None:
        """Ask every host how busy it is and how full its pools are now; return once all have answered."""
        self._calls.in_loop(lambda hub: hub.stats.ask_all())

    def set_maintenance(self, host_id: int, is_in_maintenance: bool) -> None:
        """Let a host have the commands of maintenance only, or all again."""

        async def change(hub: Hub) -> None:
            hub.set_maintenance(host_id, is_in_maintenance)

        self._calls.in_loop(change)

    def other_servers(self) -> list[str]:
        """The addresses of the other management servers, from the setting `host`."""
        return other_servers(self._settings, self._own_addresses())

    def send_agents_away(self, algorithm: str | None) -> int:
        """Tell attached agents to go to the other servers and accept no more; gives back how many are here still."""

        async def send(hub: Hub) -> int:
            return hub.migration.send_away(own, algorithm)

        own = self._own_addresses()
        return self._calls.in_loop(send)

    def accept_agents(self) -> None:
        """Accept agents again, after `send_agents_away`."""

        async def accept(hub: Hub) -> None:
            hub.migration.end()

        self._calls.in_loop(accept)

    def _own_addresses(self) -> list[str]:
        listening = self.address[0]
        if listening not in WILDCARDS:
            return [listening]
        with self._store.session() as session:
            return list(session.scalars(select(ManagementServer.service_ip)))

    def settings_changed(self) -> None:
        """Tell attached hosts what they must know of changed settings; returns at once."""
        hub = self._calls.hub
        if hub is not None:
            self._calls.soon(hub.settings_news.changed)

    def wait_for_hosts_up(self, guids: Collection[str], timeout_s: float) -> bool:
        """True once the hosts with these guids (suffix or not) are Up, False after `timeout_s` real seconds."""
        wanted = {host_key(guid) for guid in guids}
        with self._changed:
            return self._changed.wait_for(lambda: wanted <= self._up_keys, timeout_s)

    def _host_up(self, attachment: Attachment) -> None:
        with self._changed:
            self._up[attachment.host_id] = host_key(attachment.guid)
            self._up_keys.add(self._up[attachment.host_id])
            self._changed.notify_all()
        if self.on_host_up is not None:
            self.on_host_up(attachment.host_id)

    def _host_gone(self, attachment: Attachment) -> None:
        with self._changed:
            self._up_keys.discard(self._up.pop(attachment.host_id, ""))
            self._changed.notify_all()

    def _host_down(self, host_id: int) -> None:
        if self.on_host_down is not None:
            self.on_host_down(host_id)

    def _certificates_ending(self, found: Sequence[Ending]) -> None:
        if self.on_certificates_ending is not None:
            self.on_certificates_ending(found)

    def _power_reported(self, reports: Sequence[PowerReport]) -> Sequence[bool]:
        return [True] * len(reports) if self.on_power_report is None else self.on_power_report(reports)

    def _unavailable(self, host_id: int) -> AgentUnavailableError:
        """The text of ClusteredAgentManagerImpl.getAttache inside that of AgentUnavailableException."""
        with self._store.session() as session:
            host = hostrecords.describe(session, host_id)
        if host is None:
            return AgentUnavailableError(unreachable_text(host_id, "Can't find the host "))
        uuid, status = host
        reason = f"Host with specified id is not in the right state: {status}"
        return AgentUnavailableError(unreachable_text(host_id, reason), uuid_list=({"uuid": uuid},))

    def _release_hosts(self) -> None:
        """A server that was killed left its hosts Up: they are not linked any more."""
        with self._store.session() as session:
            hostrecords.release_all(session, self._node_id, self._providers.utcnow())

    def _open(self) -> socket.socket:
        family = socket.AF_INET6 if ":" in self._listen_on[0] else socket.AF_INET
        listener = socket.socket(family, socket.SOCK_STREAM)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(self._listen_on)
            listener.listen(BACKLOG)
            listener.setblocking(False)
        except OSError:
            listener.close()
            raise
        return listener

    def _run(self, listener: socket.socket | None, listening: threading.Event) -> None:
        try:
            with asyncio.Runner() as runner:
                runner.run(self._serve(listener, listening))
        except Exception as failure:
            logger.exception("the agents' thread failed")
            if listener is not None:
                listener.close()
            self._start_failure = failure  # of use only while `start` still waits
        finally:
            self._calls.ended()
            listening.set()

    async def _serve(self, listener: socket.socket | None, listening: threading.Event) -> None:
        hub = self._calls.hub
        assert hub is not None
        self._calls.loop = asyncio.get_running_loop()
        self._stop_wanted = asyncio.Event()
        close = await self._listen(listener, hub.new_link)
        try:
            hub.start()
            listening.set()
            await self._stop_wanted.wait()
        finally:
            close()
            await hub.stop()

    async def _listen(
        self, listener: socket.socket | None, new_link: Callable[[], asyncio.Protocol]
    ) -> Callable[[], None]:
        """Accept agents from now on; gives back what ends that."""
        loop = asyncio.get_running_loop()
        if listener is not None:
            server = await loop.create_server(new_link, sock=listener, backlog=BACKLOG)
            return server.close
        assert self._memory is not None
        self._memory.open(loop, new_link)
        return self._memory.close
