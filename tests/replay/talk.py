"""One side of a recorded conversation on the agent wire, played against a live peer, and everything that differs."""

from __future__ import annotations

import json
import re
import socket
import ssl
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeGuard

from mgmt.protocol.link import TlsLink
from mgmt.protocol.message import Header
from mgmt.recording.lines import Line, parsed
from mgmt.recording.replay import simple
from tests.replay.comparison import differing
from tests.replay.stream import BOUND_S, HandClock, PeerClosed, Stream

__all__ = ["BOUND_S", "AgentSide", "HandClock", "ServerSide", "Stream", "rows_of"]

STARTUP = "com.cloud.agent.api.StartupRoutingCommand"
PING = "com.cloud.agent.api.PingRoutingCommand"
PING_WITH_GROUPS = "com.cloud.agent.api.PingRoutingWithNwGroupsCommand"
SHUTDOWN = "com.cloud.agent.api.ShutdownCommand"
PROBE = 0x7000000000000001
BASE = {"contextMap": {}, "wait": 0, "bypassHostMaintenance": False}
HEALTH = {"com.cloud.agent.api.CheckHealthCommand": BASE}
SEND_STARTUP = {"com.cloud.agent.api.PingAnswer": {"sendStartup": True, "result": True, **BASE}}
WELCOME = {"hostId": 0, "hostName": "", "hostUuid": "", "pingInterval": 60, "result": True, **BASE}
ANSWER = {"com.cloud.agent.api.Answer": {"result": True, **BASE}}

SERVERS = re.compile(r'"192\.0\.2\.[23]"')

Act = Callable[[], object]


def rows_of(file: Path) -> list[tuple[int, str, Line | None]]:
    """(number, host, message) of each line of a recording; None for the end of a link."""
    return list(parsed(file))


@dataclass
class Link:
    """A link of the played side, and what the peer said on it that the recording has later or not at all."""

    stream: Stream
    early: list[Line] = field(default_factory=list)
    live_sequences: dict[int, int] = field(default_factory=dict)
    is_dead: bool = False


@dataclass
class AgentSide:
    """Plays the recorded agents against a live server.

    `acts` are done before the line of that number, `closes` are the numbers of the ends that are the server's.
    `translate` turns a recorded content into one of the live world, `connect` makes a secured link.
    """

    rows: list[tuple[int, str, Line | None]]
    connect: Callable[[], Stream]
    translate: Callable[[Any], Any] = lambda content: content
    acts: Mapping[int, Act] = field(default_factory=dict)
    closes: Collection[int] = ()
    kept: Collection[int] = ()  # ends that are the recorded server's and not the live one's
    missing: Collection[int] = ()  # lines that the live server is known not to send
    answers: Collection[int] = ()  # requests whose answers are not in the recording
    values: bool = True
    links: dict[str, Link] = field(default_factory=dict)
    found: list[str] = field(default_factory=list)
    place: int = 0
    answered: set[tuple[str, int]] = field(default_factory=set)  # requests that came early, by recorded sequence

    def play(self) -> list[str]:
        """Every difference, each with the number of its line; the links are closed then."""
        try:
            self.run()
        finally:
            for link in self.links.values():
                link.stream.close()
        return self.found

    def run(self) -> None:
        """Play, and leave the links open."""
        for place, (number, host, line) in enumerate(self.rows):
            self.place = place
            if number in self.acts:
                self.acts[number]()
            if line is None:
                self._end(number, host)
            elif line.sender == "agent":
                if (host, line.header.sequence) not in self.answered or line.is_request:
                    self._say(host, line)
            elif number in self.missing:
                self.found.append(f"{number}: not sent")
            else:
                self._hear(number, host, line)

    def _end(self, number: int, host: str) -> None:
        link = self.links.pop(host)
        if number in self.kept:
            self.found.append(f"{number}: the link is kept")
        if number in self.closes and not link.is_dead:
            try:
                while True:
                    link.early.append(_line(link.stream.receive()))
            except PeerClosed:
                pass
        link.stream.close()
        self._leftover(number, link)

    def _leftover(self, number: int, link: Link) -> None:
        for line in link.early:
            self.found.append(f"{number}: also {', '.join(map(simple, line.classes))}")

    def _say(self, host: str, line: Line) -> None:
        link = self.links.get(host)
        if link is None:
            link = self.links[host] = Link(self.connect())
        content = self.translate(line.content)
        sequence = line.header.sequence
        if not line.is_request:
            if sequence >= 0 and sequence not in link.live_sequences:
                return  # the answer to a request that did not come
            sequence = link.live_sequences.get(sequence, sequence)
        if not link.is_dead:
            link.stream.send(Line(line.sender, 0, host, line.header, content).message(sequence))

    def _hear(self, number: int, host: str, line: Line) -> None:
        link = self.links[host]
        if link.is_dead:
            return
        try:
            live = self._next_like(link, line)
        except PeerClosed:
            link.is_dead = True
            self.found.append(f"{number}: the server closed the link instead")
            return
        except TimeoutError:
            link.is_dead = True
            said = [simple(name) for early in link.early for name in early.classes]
            self.found.append(f"{number}: {', '.join(map(simple, line.classes))} did not come, but {said or 'nothing'}")
            return
        if line.is_request:
            link.live_sequences[line.header.sequence] = live.header.sequence
        if number in self.answers:
            header = Header(live.header.flags & 0x26 ^ 0x20, live.header.sequence, 0, -1, -1, -1)
            link.stream.send(Line("agent", 0, host, header, [ANSWER]).message(header.sequence))
        if (line.header.flags | 0x80) != (live.header.flags | 0x80):
            self.found.append(f"{number}: flags {live.header.flags:#x}, not {line.header.flags:#x}")
        if (line.header.agent_id < 0, line.header.via < 0) != (live.header.agent_id < 0, live.header.via < 0):
            self.found.append(f"{number}: agent {live.header.agent_id}, via {live.header.via}")
        for text in differing(self.translate(line.content), live.content, values=self.values):
            self.found.append(f"{number}: {text}")

    def _next_like(self, link: Link, line: Line) -> Line:
        for place, early in enumerate(link.early):
            if _is_like(line, early):
                return link.early.pop(place)
        while True:
            live = _line(link.stream.receive())
            if _is_like(line, live):
                return live
            link.early.append(live)
            self._answer_early(link, line.host, live)

    def _answer_early(self, link: Link, host: str, live: Line) -> None:
        """Answer a request that the recording has later: the server may wait for it."""
        later = [line for _, each, line in self.rows[self.place + 1 :] if each == host and line is not None]
        for line in later:
            recorded = (host, line.header.sequence)
            if live.is_request and line.sender == "server" and _is_like(line, live) and recorded not in self.answered:
                for answer in later:
                    if answer.sender == "agent" and not answer.is_request and answer.header.sequence == recorded[1]:
                        link.live_sequences[recorded[1]] = live.header.sequence
                        self._say(host, answer)
                        self.answered.add(recorded)
                        return


def _line(message: bytes) -> Line:
    return Line.of(message, sender="", at_s=0.0, host="")


def _is_like(line: Line, live: Line) -> bool:
    if line.is_request != live.is_request:
        return False
    if not line.is_request:
        return live.header.sequence == line.header.sequence and len(live.classes) == len(line.classes)
    return live.classes == line.classes


@dataclass
class ServerSide:
    """Plays the recorded server against one live agent, which connects to `listener` whenever it has lost its link.

    `acts` are done before the line of that number. `restart` stops the agent and starts it, `pass_time` lets so many
    seconds pass on its clock.
    """

    rows: list[tuple[int, Line | None]]
    listener: socket.socket
    context: ssl.SSLContext
    restart: Act
    pass_time: Callable[[float], None]
    acts: Mapping[int, Act] = field(default_factory=dict)
    values: bool | str = False
    found: list[str] = field(default_factory=list)
    stream: Stream | None = None
    ping_interval_s: float = 60.0
    is_stopped: bool = False
    said: list[Line] = field(default_factory=list)  # requests of the agent that nothing has asked for yet

    def play(self) -> list[str]:
        """Every difference, each with the number of its line."""
        recorded = {line.header.sequence: line for _, line in reversed(self.rows) if _is_answer_of_agent(line)}
        replies = {line.header.sequence: line for _, line in self.rows if _is_reply(line)}
        try:
            for number, line in self.rows:
                if number in self.acts:
                    self.acts[number]()
                if line is None:
                    self._end()
                elif line.sender == "agent" and line.is_request:
                    self._hear(number, line, replies.get(line.header.sequence))
                elif line.sender == "server" and line.is_request:
                    self._ask(number, line, recorded.get(line.header.sequence))
        finally:
            self._end()
        return self.found

    def _end(self) -> None:
        if self.stream is not None:
            self.stream.close()
        self.stream = None

    def _linked(self, startup: Line | None = None, number: int = 0, reply: Line | None = None) -> Stream:
        """The agent's link, made and welcomed if there is none; its Startup is compared."""
        if self.stream is None:
            if self.is_stopped:
                self.is_stopped = False
                self.restart()
            sock, _ = self.listener.accept()
            self.stream = Stream(sock, TlsLink(True, self.context))
            self._welcome(self.stream, startup, number, reply)
        return self.stream

    def _welcome(self, stream: Stream, startup: Line | None, number: int, reply: Line | None) -> None:
        live = _line(stream.receive())
        if startup is not None:
            self._compare(number, startup, live)
        content = [{"com.cloud.agent.api.StartupAnswer": dict(WELCOME)}] if reply is None else reply.content
        self.ping_interval_s = content[0]["com.cloud.agent.api.StartupAnswer"]["pingInterval"]
        header = Header(0x20, live.header.sequence, 0, 1, -1, -1)
        stream.send(Line("server", 0, "", header, content).message(live.header.sequence))

    def _hear(self, number: int, line: Line, reply: Line | None) -> None:
        if STARTUP in line.classes:
            if self.stream is None:
                self._linked(line, number, reply)
            else:  # on a link that has a host: the server asked for it
                header = Header(0x22, 0, 0, 1, line.header.agent_id, line.header.via)
                self.stream.send(Line("server", 0, "", header, [SEND_STARTUP]).message(0))
                self._welcome(self.stream, line, number, reply)
        elif line.classes == [PING] or line.classes == [PING_WITH_GROUPS]:
            stream = self._linked()
            self._settle(stream)  # or its timer would begin after the time has passed
            if not any(PING in said.classes for said in self.said):
                self.pass_time(self.ping_interval_s)
            live = self._next_request(stream, PING)
            self._compare(number, line, live)
            if reply is not None:
                stream.send(reply.message(live.header.sequence))
        elif line.classes == [SHUTDOWN] and line.content[0][SHUTDOWN]["reason"] == "sig.kill" and not self.is_stopped:
            stream = self._linked()
            self.restart()
            self._compare(number, line, self._next_request(stream, SHUTDOWN))
            self._end()

    def _settle(self, stream: Stream) -> None:
        """Return once the agent has taken what was sent to it before."""
        stream.send(Line("server", 0, "", Header(0x23, PROBE, 0, 1, 7, 7), [HEALTH]).message(PROBE))
        self._answer_to(stream, PROBE)

    def _answer_to(self, stream: Stream, sequence: int) -> Line:
        while True:
            live = _line(stream.receive())
            if live.is_request:
                self.said.append(live)
            elif live.header.sequence == sequence:
                return live

    def _next_request(self, stream: Stream, name: str) -> Line:
        while True:
            for place, line in enumerate(self.said):
                if name in line.classes:
                    return self.said.pop(place)
            self.said.append(_line(stream.receive()))

    def _ask(self, number: int, line: Line, recorded: Line | None) -> None:
        stream = self._linked()
        sequence = line.header.sequence
        content = json.loads(SERVERS.sub('"127.0.0.1"', json.dumps(line.content)))  # or the agent would go there
        stream.send(Line("server", 0, "", line.header, content).message(sequence))
        if sequence < 0:  # a refusal: the agent says goodbye and ends
            try:
                live = self._next_request(stream, SHUTDOWN)
                self.found.append(f"{number}: {', '.join(map(simple, live.classes))} instead of an answer")
            except PeerClosed:
                self.found.append(f"{number}: no answer, the link is closed")
            self.is_stopped = True
            self._end()
            return
        try:
            if recorded is None:
                self._settle(stream)
            else:
                self._compare(number, recorded, self._answer_to(stream, sequence))
        except PeerClosed:
            self.found.append(f"{number}: no answer, the link is closed")
            self._end()
            return
        self.is_stopped = line.classes == [SHUTDOWN]

    def _compare(self, number: int, recorded: Line, live: Line) -> None:
        if recorded.classes != live.classes:
            said = live.content[0].get(next(iter(live.classes), ""), {}) if live.content else {}
            details = f" ({said['details'][:120]})" if said.get("details") and not said.get("result") else ""
            names = ", ".join(map(simple, recorded.classes))
            self.found.append(f"{number}: {', '.join(map(simple, live.classes))}{details}, not {names}")
            return
        if (recorded.header.flags | 0x80) != (live.header.flags | 0x80):
            self.found.append(f"{number}: flags {live.header.flags:#x}, not {recorded.header.flags:#x}")
        for text in differing(recorded.content, live.content, values=self.values):
            self.found.append(f"{number}: {text}")


def _is_answer_of_agent(line: Line | None) -> TypeGuard[Line]:
    return line is not None and line.sender == "agent" and not line.is_request


def _is_reply(line: Line | None) -> TypeGuard[Line]:
    return line is not None and line.sender == "server" and not line.is_request
