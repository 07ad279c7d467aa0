"""Pings: the sign of life, what it tells of the host and its VMs, and the answer.

Most pings repeat the last one byte by byte, but for their number. Those are not read again: ten thousand hosts would
keep a processor busy with the same few texts.
"""

from __future__ import annotations

from mgmt.agents.attachment import Attachment
from mgmt.agents.core import Core
from mgmt.agents.pingnews import PingNews
from mgmt.agents.powerreports import PowerReport
from mgmt.agents.states import Status
from mgmt.protocol.commands import PingAnswer, PingCommand, PingRoutingCommand
from mgmt.protocol.message import Request, Response

_NUMBER = slice(4, 12)  # where the header has the sequence number
_BEFORE, _BEHIND = slice(0, 4), slice(12, None)
_LINKED = (Status.UP, Status.CONNECTING)


class Echo:
    """The last ping that was read, and what was answered."""

    __slots__ = ("_answer", "_ping", "report")

    def __init__(self, ping: bytes, answer: bytes, report: PowerReport | None) -> None:
        self.report = report
        self._ping = ping[_BEFORE], ping[_BEHIND]
        self._answer = answer[_BEFORE], answer[_BEHIND]

    def answer_to(self, message: bytes) -> bytes | None:
        """The answer to a message that is this ping again; None for any other."""
        before, behind = self._ping
        if message[_BEHIND] != behind or message[_BEFORE] != before:
            return None
        return self._answer[0] + message[_NUMBER] + self._answer[1]


class Pings:
    """Takes the pings of all links, in the event loop's thread."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._news = PingNews(core)

    def is_repeated(self, attachment: Attachment, message: bytes) -> bool:
        """Whether a message is the last ping once more; it is answered then, and counts as one."""
        echo = attachment.echo
        if echo is None or attachment.status not in _LINKED:
            return False
        answer = echo.answer_to(message)
        if answer is None:
            return False
        self._heard(attachment)
        if echo.report is not None:
            self._core.power.came(echo.report)
        attachment.link.send_encoded(answer)
        return True

    def answer(self, attachment: Attachment, command: PingCommand) -> PingAnswer:
        """Take a ping."""
        self._heard(attachment)
        if isinstance(command, PingRoutingCommand):
            self._news.heard(attachment, command)
            report = _report_in(attachment, command)
            if report is not None:
                self._core.power.came(report)
        has_gateway = getattr(command, "_gatewayAccessible", True)
        is_lost = attachment.status not in _LINKED
        return PingAnswer(
            _command=command, sendStartup=has_gateway and is_lost, avoidMsList=[], reconcileCommands=[], result=True
        )

    def answered(self, attachment: Attachment, ping: tuple[bytes, Request], answer: tuple[bytes, Response]) -> None:
        """Know a ping again that was just answered; both as they travel and as they read."""
        (message, request), (encoded, response) = ping, answer
        said = response.answers[0]
        if len(request.commands) != 1 or not isinstance(said, PingAnswer):
            return
        command = request.commands[0]
        report = _report_in(attachment, command) if isinstance(command, PingRoutingCommand) else None
        is_usual = request.version == 0 and not said.sendStartup
        attachment.echo = Echo(message, encoded, report) if is_usual else None

    def _heard(self, attachment: Attachment) -> None:
        attachment.last_ping = self._core.providers.clock.monotonic()
        self._core.pings[attachment.host_id] = self._core.providers.utcnow()


def _report_in(attachment: Attachment, ping: PingRoutingCommand) -> PowerReport | None:
    if ping._hostVmStateReport is None:
        return None
    states = {name: entry.state or "" for name, entry in ping._hostVmStateReport.items()}
    return PowerReport(attachment.host_id, states, ping.outOfBand)
