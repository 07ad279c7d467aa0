"""From a Startup request to the state Up."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy.orm import Session

from mgmt.agents import hostrecords
from mgmt.agents.admission import Admitted, admit_or_refuse, host_key, startup_of
from mgmt.agents.attachment import Attachment
from mgmt.agents.core import Core
from mgmt.agents.link import AgentLink
from mgmt.agents.pools import save_pool_sizes
from mgmt.agents.requests import Pending, Requests
from mgmt.agents.states import Event, Status
from mgmt.agents.trace import NO_SEQUENCE
from mgmt.agents.welcome import ConnectFailedError, Welcome
from mgmt.protocol.commands import ReadyAnswer, ReadyCommand, StartupAnswer, StoragePoolInfo
from mgmt.protocol.message import Request, Response
from mgmt.protocol.records import Command

logger = logging.getLogger(__name__)

RANDOM_SEQUENCES = 32767


class Connector:
    """Attaches links to hosts."""

    def __init__(self, core: Core, ssh_keys: tuple[str, str]) -> None:
        self._core = core
        self._ssh_keys = ssh_keys
        self._admissions = 0
        self._maintenance_news: dict[int, bool] = {}

    def set_maintenance(self, host_id: int, is_in_maintenance: bool) -> None:
        """A host's maintenance begins or ends: an agent that is being admitted may have read otherwise before."""
        if self._admissions:
            self._maintenance_news[host_id] = is_in_maintenance

    def startup_received(self, link: AgentLink, request: Request) -> None:
        """Answer a Startup request at once and begin to connect its host."""
        answer = StartupAnswer(
            hostId=0, hostName="", hostUuid="", pingInterval=self._core.settings.get_int("ping.interval"), result=True
        )
        link.send(Response.to(request, [answer], management_id=self._core.node_id, via=-1))
        self._core.spawn(self._connect(link, request.commands))

    async def _connect(self, link: AgentLink, commands: Sequence[Command]) -> None:
        startup = startup_of(commands)
        assert startup is not None
        async with self._core.locks.held(host_key(startup.guid)):
            if link.closed:
                return
            admitted = await self._admit(link, commands)
            if admitted is None:
                return
            before = admitted.previous_status
            self._core.trace.move(
                admitted.host_id, admitted.name, before, Status.CONNECTING, Event.AGENT_CONNECTED, link.peer
            )
            attachment = self._attach(link, admitted)
            if attachment.link.closed:  # lost meanwhile, when nothing was attached to it that could be told
                await self._core.detach(attachment, Event.AGENT_DISCONNECTED, "the link is lost")
                return
            for command in commands:
                self._core.trace.message(
                    command, is_sent=False, host_id=attachment.host_id, host_name=attachment.host_name
                )
            try:
                await self._welcome(attachment, admitted)
            except ConnectFailedError as failure:
                logger.warning("host %s cannot be used: %s", admitted.name, failure)
                await self._core.detach(attachment, failure.event, str(failure))
            except Exception:
                logger.exception("welcoming host %s failed", admitted.name)
                await self._core.detach(attachment, Event.AGENT_DISCONNECTED, "the server failed")

    async def _admit(self, link: AgentLink, commands: Sequence[Command]) -> Admitted | None:
        """The host that the agent stands for; None when it was refused."""
        self._admissions += 1
        try:
            admitted = await self._core.db_together(admit_or_refuse, self._core.providers, commands, self._core.node_id)
            if isinstance(admitted, Exception):
                self._refuse(link, str(admitted))
                return None
            is_in_maintenance = self._maintenance_news.get(admitted.host_id, admitted.is_in_maintenance)
            return replace(admitted, is_in_maintenance=is_in_maintenance)
        except Exception:
            logger.exception("admitting the agent at %s failed", link.peer)
            self._refuse(link, "com.cloud.utils.exception.CloudRuntimeException: Unable to update on DB")
        finally:
            self._admissions -= 1
            if not self._admissions:
                self._maintenance_news.clear()
        return None

    def _refuse(self, link: AgentLink, text: str) -> None:
        logger.warning("the agent at %s is refused: %s", link.peer, text)
        command = ReadyCommand(_details=text)
        self._core.trace.message(command, is_sent=True, host_id=None, host_name=link.peer)
        link.send(Request(sequence=NO_SEQUENCE, commands=(command,), stop_on_error=True, in_sequence=True))

    def _attach(self, link: AgentLink, admitted: Admitted) -> Attachment:
        older = self._core.attached.get(admitted.host_id)
        if older is not None:
            older.requests.close()
            self._core.on_gone(older)
            if older.link is not link:  # the host stays Up: its state follows the newer link
                older.link.attachment = None
                older.link.close()
        attachment: Attachment

        def write(pending: Pending, request: Request) -> None:
            for command in () if pending.is_quiet else pending.commands:
                self._core.trace.message(
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
                self._core.timers,
                node_id=self._core.node_id,
                first_sequence=self._core.providers.random.randrange(RANDOM_SEQUENCES) << 48,
            ),
            status=Status.CONNECTING,
            maintenance=admitted.is_in_maintenance,
            last_ping=self._core.providers.clock.monotonic(),
            zone_id=admitted.zone_id,
            pod_id=admitted.pod_id,
            cluster_id=admitted.cluster_id,
        )
        self._core.attach(attachment)
        link.attachment = attachment
        return attachment

    async def _welcome(self, attachment: Attachment, admitted: Admitted) -> None:
        welcome = Welcome(
            admitted=admitted,
            providers=self._core.providers,
            settings=self._core.settings,
            ssh_keys=self._ssh_keys,
        )
        conversation = self._core.conversation(attachment)
        ready = await welcome.give(conversation)
        await self._core.db_together(self._ready, attachment, ready, welcome.pool_sizes)
        attachment.status = Status.UP
        self._core.trace.move(
            attachment.host_id, attachment.host_name, Status.CONNECTING, Status.UP, Event.READY, "the host is ready"
        )
        if attachment.link.closed:
            raise ConnectFailedError("the link is lost")
        attachment.last_ping = self._core.providers.clock.monotonic()
        conversation.tell(welcome.second_ready(self._core.attached))
        self._core.on_up(attachment)

    def _ready(
        self,
        session: Session,
        attachment: Attachment,
        answer: ReadyAnswer | None,
        pool_sizes: dict[int, StoragePoolInfo],
    ) -> None:
        host_id = attachment.host_id
        save_pool_sizes(session.connection(), pool_sizes)
        if answer is not None:
            details = answer.detailsMap
            if details is not None and not self._core.stores_vddk_facts:
                details = {name: value for name, value in details.items() if name not in hostrecords.VDDK_NAMES}
            hostrecords.save_ready_details(session, host_id, details)
        hostrecords.move(session, host_id, Event.READY, self._core.providers.utcnow())
        attachment.is_shown_up = True  # before the commit: whoever sees the host Up may use it
