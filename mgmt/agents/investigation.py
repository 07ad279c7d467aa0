"""What became of a host that went silent or lost its link: whom to ask, and what follows from what they say.

Upstream: AgentManagerImpl.handleDisconnectWithInvestigation and investigate, KVMInvestigator, UserVmDomRInvestigator
(isAgentAlive), HighAvailabilityManagerImpl.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from mgmt.agents.alerts import HOST, host_place, host_text, record_alert
from mgmt.agents.attachment import Attachment
from mgmt.agents.core import Core
from mgmt.agents.states import Event, NoTransitionError, Status, next_status
from mgmt.errors import AgentUnavailableError, OperationTimedOutError
from mgmt.protocol.commands import CheckHealthCommand, CheckOnHostCommand, HostTO, PingTestCommand
from mgmt.protocol.commands.machines import NetworkTO
from mgmt.protocol.records import Answer, Command
from mgmt.store.models import Host, StoragePool

logger = logging.getLogger(__name__)

CHECK_HEALTH_WAIT_S = 50
NEIGHBOUR_WAIT_S = 20
HEARTBEAT_POOLS = ("NetworkFilesystem",)  # pool types on which KVM hosts write heartbeats


class Notice(StrEnum):
    """The alert that goes with a verdict."""

    DOWN = "Host down"
    DISCONNECTED = "Host disconnected"
    ALERT = "Host in ALERT state"


@dataclass(frozen=True)
class Case:
    """A host that is looked into: what was found, and what it was when `cause` happened.

    `finding` is Up, Down, Disconnected, or None when nobody could tell. `silent_s`: seconds since its last ping.
    """

    finding: Status | None
    status: Status
    resource_state: str
    cause: Event
    silent_s: float
    alert_wait_s: float

    @property
    def has_waited(self) -> bool:
        return self.silent_s > self.alert_wait_s


@dataclass(frozen=True)
class Verdict:
    """What follows: the event that moves the host (None: nothing happens), whether its link ends, and the alert."""

    event: Event | None
    ends_link: bool = False
    notice: Notice | None = None


@dataclass(frozen=True)
class _Row:
    name: str
    applies: Callable[[Case], bool]
    verdict: Callable[[Case], Verdict]


def _may_wait(case: Case) -> bool:
    return case.status is Status.DISCONNECTED or (
        case.status is Status.UP and case.resource_state == "PrepareForMaintenance"
    )


def _waited_event(case: Case) -> Event:
    """WaitedTooLong has no row in the table of states for a host that is Up; its cause takes it to Alert instead."""
    return Event.WAITED_TOO_LONG if case.status is Status.DISCONNECTED else case.cause


VERDICTS: tuple[_Row, ...] = (
    _Row("up", lambda c: c.finding is Status.UP, lambda c: Verdict(Event.PING)),
    _Row("down", lambda c: c.finding is Status.DOWN, lambda c: Verdict(Event.HOST_DOWN, True, Notice.DOWN)),
    _Row(
        "disconnected, waits",
        lambda c: c.finding is Status.DISCONNECTED and _may_wait(c) and not c.has_waited,
        lambda c: Verdict(None),
    ),
    _Row(
        "disconnected, waited too long",
        lambda c: c.finding is Status.DISCONNECTED and _may_wait(c),
        lambda c: Verdict(_waited_event(c), True),
    ),
    _Row(
        "disconnected, was up",
        lambda c: c.finding is Status.DISCONNECTED and c.status is Status.UP,
        lambda c: Verdict(Event.AGENT_DISCONNECTED, True, Notice.DISCONNECTED),
    ),
    _Row("disconnected otherwise", lambda c: c.finding is Status.DISCONNECTED, lambda c: Verdict(c.cause, True)),
    _Row("undetermined", lambda c: c.finding is None and not c.has_waited, lambda c: Verdict(None)),
    _Row("undetermined for too long", lambda c: True, lambda c: Verdict(c.cause, True, Notice.ALERT)),
)


def judge(case: Case) -> Verdict:
    """The verdict of the first row that applies."""
    return next(row.verdict(case) for row in VERDICTS if row.applies(case))


@dataclass(frozen=True)
class _Suspect:
    """The record of a host that is looked into."""

    status: Status
    resource_state: str
    silent_s: float
    to: HostTO
    address: str | None
    has_heartbeat: bool


class Investigator:
    """Looks into hosts, one investigation of a host at a time."""

    def __init__(self, core: Core) -> None:
        self._core = core

    async def look_into(self, attachment: Attachment, cause: Event, reason: str) -> None:
        """Find out what became of the host, and move it; a host that would not go to Alert is detached at once."""
        if attachment.investigating:
            return
        attachment.investigating = True
        try:
            suspect = await self._core.db(self._read, attachment.host_id)
            if suspect is None or not _leads_to_alert(suspect.status, cause):
                await self._core.drop(attachment, cause, reason)
                return
            finding, how = await self._find(attachment, suspect)
        finally:
            attachment.investigating = False
        case = Case(
            finding=finding,
            status=suspect.status,
            resource_state=suspect.resource_state,
            cause=cause,
            silent_s=suspect.silent_s,
            alert_wait_s=self._core.settings.get_int("alert.wait"),
        )
        await self._act(attachment, judge(case), f"{reason}; {how}")

    async def _act(self, attachment: Attachment, verdict: Verdict, reason: str) -> None:
        if self._core.attached.get(attachment.host_id) is not attachment:
            return  # the host came back meanwhile
        if verdict.event is None:
            logger.info("host %s: nothing is done yet: %s", attachment.host_name, reason)
            return
        if not verdict.ends_link:
            logger.info("host %s is well: %s", attachment.host_name, reason)
            return  # event Ping: from Up to Up
        if verdict.notice is not None:
            await self._core.db(self._notify, attachment.host_id, verdict.notice)
        await self._core.drop(attachment, verdict.event, reason)
        if verdict.event is Event.HOST_DOWN:
            self._core.on_down(attachment.host_id)

    def _read(self, session: Session, host_id: int) -> _Suspect | None:
        host = session.get(Host, host_id)
        if host is None or host.removed is not None:
            return None
        now = self._core.providers.utcnow()
        # What the pings since the last round said is not in the record yet.
        last_ping = self._core.pings.get(host_id) or host.last_ping or host.created
        pools = select(StoragePool.id).where(
            StoragePool.removed.is_(None),
            StoragePool.pool_type.in_(HEARTBEAT_POOLS),
            StoragePool.zone_id == host.zone_id,
            or_(StoragePool.scope == "ZONE", StoragePool.cluster_id == host.cluster_id),
        )
        return _Suspect(
            status=Status(host.status),
            resource_state=host.resource_state,
            silent_s=(now - last_ping) / timedelta(seconds=1),
            to=HostTO(
                guid=host.guid,
                privateNetwork=NetworkTO(
                    ip=host.private_ip_address, netmask=host.private_netmask, mac=host.private_mac_address
                ),
            ),
            address=host.private_ip_address,
            has_heartbeat=session.scalar(pools.limit(1)) is not None,
        )

    def _notify(self, session: Session, host_id: int, notice: Notice) -> None:
        host = session.get_one(Host, host_id)
        shown = host_text(host) if notice is Notice.DOWN else host_place(host)
        record_alert(session, self._core.providers, HOST, f"{notice}, {shown}", zone_id=host.zone_id)

    # -- who is asked

    async def _find(self, attachment: Attachment, suspect: _Suspect) -> tuple[Status | None, str]:
        answer = await self._ask(attachment, CheckHealthCommand(wait=CHECK_HEALTH_WAIT_S))
        if answer is not None and answer.result:
            return Status.UP, "its health check is good"
        if suspect.has_heartbeat:
            return await self._by_heartbeat(attachment, suspect)
        return await self._by_ping(attachment, suspect)

    async def _by_heartbeat(self, attachment: Attachment, suspect: _Suspect) -> tuple[Status, str]:
        """KVMInvestigator: the host's heartbeat on NFS, as the other hosts of its cluster see it.

        The host itself is not asked: the recorded server gives up a host whose health check is bad.
        """
        question = CheckOnHostCommand(host=suspect.to, wait=NEIGHBOUR_WAIT_S)
        is_missed = False
        for neighbour in self._neighbours(attachment):
            answer = await self._ask(neighbour, question)
            if answer is None:
                continue
            if not answer.result:
                return Status.DISCONNECTED, f"{neighbour.host_name} sees its heartbeat"
            is_missed = True
        if is_missed:
            return Status.DOWN, "no neighbour sees its heartbeat"
        return Status.DISCONNECTED, "no neighbour could be asked"

    async def _by_ping(self, attachment: Attachment, suspect: _Suspect) -> tuple[Status, str]:
        """UserVmDomRInvestigator: another host of the pod pings it; nobody to ask: disconnected."""
        question = PingTestCommand(_computingHostIp=suspect.address, wait=NEIGHBOUR_WAIT_S)
        for other in self._core.others(attachment):
            if other.pod_id != attachment.pod_id or other.status is not Status.UP:
                continue
            answer = await self._ask(other, question)
            if answer is not None:
                return (
                    (Status.DISCONNECTED, "it answers a neighbour's ping")
                    if answer.result
                    else (Status.DOWN, "it does not answer a neighbour's ping")
                )
        return Status.DISCONNECTED, "no neighbour could be asked"

    def _neighbours(self, attachment: Attachment) -> Iterator[Attachment]:
        for other in self._core.others(attachment):
            if other.cluster_id == attachment.cluster_id and other.status is Status.UP:
                yield other

    async def _ask(self, attachment: Attachment, question: Command) -> Answer | None:
        """The answer, None when there is none (AgentManager.easySend)."""
        if attachment.link.closed:
            return None
        try:
            return await self._core.conversation(attachment).ask(question)
        except (AgentUnavailableError, OperationTimedOutError) as error:
            logger.info("host %s: %s", attachment.host_name, error.text)
            return None


def _leads_to_alert(status: Status, cause: Event) -> bool:
    try:
        return next_status(status, cause) is Status.ALERT
    except NoTransitionError:
        return False
