"""Every agent link of one server, in one event loop: who said what, and who is told."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from datetime import datetime

from mgmt.agents.admission import startup_of
from mgmt.agents.attachment import Attachment
from mgmt.agents.connector import Connector
from mgmt.agents.core import Core
from mgmt.agents.hoststats import HostLoad, StatsRounds
from mgmt.agents.investigation import Investigator
from mgmt.agents.link import AgentLink, Shown
from mgmt.agents.migration import LEAVING_TEXT, Migration
from mgmt.agents.pings import Pings
from mgmt.agents.renewal import CertificateWatch, Ending
from mgmt.agents.serverlist import SettingsNews
from mgmt.agents.silence import SilenceWatch
from mgmt.agents.states import Event, Status
from mgmt.agents.trust import Trust, end_of
from mgmt.protocol.commands import (
    AgentConnectStatusAnswer,
    AgentConnectStatusCommand,
    AgentControlAnswer,
    AgentControlCommand,
    PingCommand,
    ShutdownCommand,
)
from mgmt.protocol.message import Header, MessageError, Request, Response, decode
from mgmt.protocol.records import Answer, Command

logger = logging.getLogger(__name__)

DELETED = "deleteHost"
STOPPED_BY_SIGNAL = "sig.kill"  # the reason that Java's constant ShutdownCommand.Requested has

LAST_ANSWERS_LOOKS = 200  # a living agent closes its end at once; on a machine under load looks take longer, too
LAST_ANSWERS_LOOK_S = 0.002


class Hub:
    """The event-loop side of the agent edge; every method runs in the loop's thread."""

    def __init__(
        self,
        core: Core,
        trust: Trust,
        ssh_keys: tuple[str, str],
        loads: dict[int, HostLoad],
        on_ending: Callable[[Sequence[Ending]], None],
    ) -> None:
        self.core = core
        self._trust = trust
        self._connector = Connector(core, ssh_keys)
        self._investigator = Investigator(core)
        self._silence = SilenceWatch(core, self._investigator)
        self._pings = Pings(core)
        self.migration = Migration(core)
        self.settings_news = SettingsNews(core)
        self.stats = StatsRounds(core, loads)
        self._certificates = CertificateWatch(core, on_ending)
        self._links: set[AgentLink] = set()

    def start(self) -> None:
        """Begin to watch for silent hosts and to ask for figures."""
        self.core.start()
        self._silence.start()
        self.stats.start()
        self._certificates.start()

    async def stop(self) -> None:
        """Close every link; the hosts become Disconnected, whoever waits for an answer gets an error.

        Answers that are on their way are taken first: their hosts count them as told, and nobody else knows of them.
        """
        self.core.stopping = True
        try:
            for link in list(self._links):
                link.end_sending()
            for _ in range(LAST_ANSWERS_LOOKS):
                if not self._links:
                    break
                await asyncio.sleep(LAST_ANSWERS_LOOK_S)
            for link in list(self._links):
                link.abort()
        finally:
            await self.core.stop()

    def new_link(self) -> AgentLink:
        """The protocol object of an accepted socket."""
        timeout_s = float(self.core.settings.get_int("agent.ssl.handshake.timeout"))
        return AgentLink(self, self._trust.context(), self.core.timers, timeout_s)

    async def disconnect(self, host_id: int, event: Event, reason: str) -> bool:
        """Close the link to a host, its state follows `event`; False when there is no link."""
        attachment = self.core.attached.get(host_id)
        if attachment is None:
            return False
        await self.core.drop(attachment, event, reason)
        return True

    async def remove(self, host_id: int) -> None:
        """Tell the agent of a host that is deleted to stop, and end its link; the host becomes Removed."""
        attachment = self.core.attached.get(host_id)
        if attachment is None:
            await self.core.move(host_id, None, Event.REMOVE, "the host is deleted")
            return
        self.core.conversation(attachment).tell(ShutdownCommand(reason=DELETED))
        await self.core.drop(attachment, Event.REMOVE, "the host is deleted")

    def set_maintenance(self, host_id: int, is_in_maintenance: bool) -> None:
        """Let an attached host have the few commands of maintenance only, or all again, as one that comes Up."""
        self._connector.set_maintenance(host_id, is_in_maintenance)
        attachment = self.core.attached.get(host_id)
        if attachment is None:
            return
        may_be_used_again = attachment.maintenance and not is_in_maintenance and attachment.status is Status.UP
        attachment.maintenance = is_in_maintenance
        if may_be_used_again:
            self.core.on_up(attachment)

    # -- what links tell (LinkOwner)

    def link_made(self, link: AgentLink) -> None:
        """Part of LinkOwner."""
        if self.core.stopping or self.migration.is_under_way:
            link.abort()
        else:
            self._links.add(link)

    def link_secured(self, link: AgentLink, certificate_der: bytes | None) -> bool:
        """Part of LinkOwner: strictness asks for a good certificate, otherwise a bad one is only logged."""
        refusal = self._trust.refusal(certificate_der, link.peer_address)
        if refusal is not None:
            logger.warning("link from %s is closed: %s", link.peer, refusal)
            return False
        if certificate_der is not None:
            providers = self.core.providers

            def certify(ends: datetime) -> None:
                left_s = (ends - providers.utcnow()).total_seconds()
                link.certificate = Shown(ends, providers.clock.monotonic() + left_s)

            link.certify = certify
            certify(end_of(certificate_der))
        return True

    def link_lost(self, link: AgentLink) -> None:
        """Part of LinkOwner: who waits for an answer is told at once, then the host's state follows."""
        self._links.discard(link)
        attachment = link.attachment
        if attachment is not None and not self.core.stopping:
            attachment.requests.close()
            if attachment.is_leaving:
                work = self.core.drop(attachment, Event.SHUTDOWN_REQUESTED, LEAVING_TEXT)
            elif attachment.status is Status.UP and self.core.attached.get(attachment.host_id) is attachment:
                self.core.on_gone(attachment)
                work = self._investigator.look_into(attachment, Event.AGENT_DISCONNECTED, "the link is lost")
            else:
                work = self.core.drop(attachment, Event.AGENT_DISCONNECTED, "the link is lost")
            self.core.spawn(work)

    def message_received(self, link: AgentLink, message: bytes) -> None:
        """Part of LinkOwner: bad messages are logged and hurt nobody."""
        if link.attachment is not None and self._pings.is_repeated(link.attachment, message):
            return
        try:
            decoded = decode(message)
        except MessageError as error:
            logger.warning("message from %s: %s", link.peer, error)
            if error.header is not None and error.header.is_request and link.attachment is not None:
                link.send(self._response(error.header, [Answer(result=True)], link.attachment))
            return
        if isinstance(decoded, Request):
            self._request_received(link, decoded, message)
        else:
            self._response_received(link, decoded)

    # -- requests and answers of agents

    def _request_received(self, link: AgentLink, request: Request, message: bytes) -> None:
        if startup_of(request.commands) is not None:
            self._connector.startup_received(link, request)
            return
        attachment = link.attachment
        if attachment is None:
            if isinstance(next(iter(request.commands), None), AgentConnectStatusCommand):
                answer = AgentConnectStatusAnswer(lockAvailable=True, result=True)
                link.send(Response.to(request, [answer], management_id=self.core.node_id))
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
            response = self._response(request, answers, attachment)
            encoded = response.encode()
            link.send_encoded(encoded)
            self._pings.answered(attachment, (message, request), (encoded, response))

    def _response(self, request: Request | Header, answers: Sequence[Answer], attachment: Attachment) -> Response:
        return Response.to(request, answers, management_id=self.core.node_id, via=attachment.host_id)

    def _answer(self, attachment: Attachment, command: Command) -> Answer:
        if isinstance(command, PingCommand):
            return self._pings.answer(attachment, command)
        if isinstance(command, AgentControlCommand):
            return AgentControlAnswer(result=True)
        return Answer(result=True)

    def _shutdown_received(self, attachment: Attachment, command: ShutdownCommand) -> None:
        self.core.trace.message(command, is_sent=False, host_id=attachment.host_id, host_name=attachment.host_name)
        if command.reason != STOPPED_BY_SIGNAL:
            logger.info("host %s: a shutdown for the reason %r is ignored", attachment.host_name, command.reason)
            return
        attachment.link.close()
        attachment.requests.close()
        reason = f"the agent was stopped: {command.detail or command.reason}"
        self.core.spawn(self.core.drop(attachment, Event.SHUTDOWN_REQUESTED, reason))

    def _response_received(self, link: AgentLink, response: Response) -> None:
        attachment = link.attachment
        if attachment is None or not response.answers:
            logger.info("a response from %s that nobody waits for is ignored", link.peer)
            return
        pending = attachment.requests.answered(response)
        if pending is not None and pending.is_quiet:
            return
        if pending is None:  # late, or one of the repeated answers of a cron command
            logger.debug("host %s: response %d is late or repeated", attachment.host_name, response.sequence)
            return
        for answer in response.answers:
            self.core.trace.message(
                answer,
                is_sent=False,
                host_id=attachment.host_id,
                host_name=attachment.host_name,
                sequence=response.sequence,
                correlation_id=pending.correlation_id,
            )
