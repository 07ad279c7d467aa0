"""The player: one side of a recorded conversation against a live peer, up to the first difference."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from mgmt.protocol.message import MessageError
from mgmt.recording.lines import ANY_VALUE, Line
from mgmt.recording.streams import MessageStream

VARYING = frozenset({"contextMap"})


@dataclass(frozen=True)
class Difference:
    """What the peer did otherwise than recorded; `line` counts the conversation's messages from 1."""

    line: int
    where: str
    recorded: object
    live: object

    def __str__(self) -> str:
        return f"message {self.line}: {self.where}: recorded {self.recorded!r}, now {self.live!r}"


class Player:
    """Plays `side` (`agent` or `server`) of `lines`. Fields named in `ignored` may differ.

    The peer's messages may come in another order than recorded: each is compared with the first message that is still
    expected and has the same classes. Requests of the peer that the recording does not have, such as more pings, are
    a difference unless their class is in `ignored`.
    """

    def __init__(
        self, lines: Sequence[Line], side: str, *, ignored: Collection[str] = (), timeout_s: float = 30.0
    ) -> None:
        self._lines = lines
        self._side = side
        self._ignored = VARYING | frozenset(ignored)
        self._timeout_s = timeout_s
        self._live_sequences: dict[int, int] = {}  # of the peer's requests, by the recorded ones
        self._early: list[Line] = []
        self.compared = 0

    async def play(self, stream: MessageStream) -> Difference | None:
        """The first difference, None when the peer did all that is recorded. The link stays open."""
        for number, line in enumerate(self._lines, start=1):
            if line.sender == self._side:
                try:
                    await self._say(stream, line)
                except ConnectionError as error:
                    return Difference(number, "the link", [simple(name) for name in line.classes], str(error))
                continue
            if set(map(simple, line.classes)) & self._ignored:
                continue
            found = await self._hear(stream, line, number)
            if found is not None:
                return found
        return None

    async def _say(self, stream: MessageStream, line: Line) -> None:
        recorded = line.header.sequence
        sequence = recorded if line.is_request else self._live_sequences.get(recorded, recorded)
        await stream.send(line.message(sequence))

    async def _hear(self, stream: MessageStream, line: Line, number: int) -> Difference | None:
        try:
            async with asyncio.timeout(self._timeout_s):
                live = await self._next_like(stream, line)
        except TimeoutError:
            waiting = [simple(name) for early in self._early for name in early.classes]
            return Difference(number, "the message", [simple(name) for name in line.classes], waiting or "nothing")
        except ConnectionError as error:
            return Difference(number, "the link", [simple(name) for name in line.classes], str(error))
        if line.is_request:
            self._live_sequences[line.header.sequence] = live.header.sequence
        self.compared += 1
        if live.header.flags | 0x80 != line.header.flags | 0x80:  # compression depends on the values
            return Difference(number, "flags", hex(line.header.flags), hex(live.header.flags))
        found = difference(line.content, live.content, self._ignored)
        return None if found is None else Difference(number, *found)

    async def _next_like(self, stream: MessageStream, line: Line) -> Line:
        for place, early in enumerate(self._early):
            if self._is_like(line, early):
                return self._early.pop(place)
        while True:
            try:
                live = Line.of(await stream.receive(), sender=line.sender, at_s=0.0, host=line.host)
            except MessageError as error:
                raise ConnectionError(f"a message that cannot be read: {error}") from None
            if self._is_like(line, live):
                return live
            if not set(map(simple, live.classes)) & self._ignored:
                self._early.append(live)

    def _is_like(self, line: Line, live: Line) -> bool:
        if line.is_request != live.is_request:
            return False
        if not line.is_request:  # ours are numbered as recorded, and so are their answers
            return live.header.sequence == line.header.sequence
        return live.classes == line.classes


def simple(name: str) -> str:
    """A Java class name without its package."""
    return name.rpartition(".")[2]


def difference(
    recorded: Any, live: Any, ignored: Collection[str], where: str = ""
) -> tuple[str, object, object] | None:
    """The first place where two JSON values differ, as (place, recorded, live); placeholders equal everything."""
    if isinstance(recorded, str) and recorded in ANY_VALUE:
        return None
    if isinstance(recorded, dict) and isinstance(live, dict):
        for key in dict.fromkeys((*recorded, *live)):
            if key in ignored:
                continue
            place = f"{where}.{simple(key)}" if where else simple(key)
            if (key in recorded) != (key in live):
                return place, recorded.get(key, "nothing"), live.get(key, "nothing")
            found = difference(recorded[key], live[key], ignored, place)
            if found is not None:
                return found
        return None
    if isinstance(recorded, list) and isinstance(live, list) and len(recorded) == len(live):
        for index, (one, other) in enumerate(zip(recorded, live, strict=True)):
            found = difference(one, other, ignored, f"{where}[{index}]" if where else "")
            if found is not None:
                return found
        return None
    return None if recorded == live else (where, recorded, live)
