"""The recorder: between agents and a server, it hands every message on and writes it down."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
from collections.abc import Callable

from mgmt.protocol.link import client_context
from mgmt.protocol.message import MessageError
from mgmt.providers import Clock
from mgmt.recording.lines import AGENT, SERVER, Line, end_text
from mgmt.recording.streams import MessageStream, connect

logger = logging.getLogger(__name__)

_STARTUP = "com.cloud.agent.api.StartupRoutingCommand"


class Recorder:
    """Listens with `context` and connects each agent on to `server`; `write` gets the lines, in order.

    `client` is how it connects, with a certificate to show when the server is a strict one.
    """

    def __init__(
        self,
        server: tuple[str, int],
        context: ssl.SSLContext,
        clock: Clock,
        write: Callable[[str], None],
        client: ssl.SSLContext | None = None,
    ) -> None:
        self._server_address = server
        self._context = context
        self._client = client or client_context()
        self._clock = clock
        self._write = write
        self._begun_s: float | None = None
        self._server: asyncio.Server | None = None
        self._links: set[asyncio.Task[None]] = set()

    async def listen(self, host: str, port: int) -> tuple[str, int]:
        """Listen; returns where. Raises OSError."""
        self._server = await asyncio.start_server(self._accepted, host, port)
        name = self._server.sockets[0].getsockname()
        return str(name[0]), int(name[1])

    async def stop(self) -> None:
        """Close every link and the listener."""
        if self._server is not None:
            self._server.close()
        for task in list(self._links):
            task.cancel()
        await asyncio.gather(*self._links, return_exceptions=True)

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._links.add(task)
        agent = MessageStream(reader, writer, self._context, server_side=True)
        try:
            await self._carry(agent)
        except OSError as error:
            logger.info("the link of %s ended: %s", agent.peer, error)
        except asyncio.CancelledError:
            logger.debug("the recorder stops")
        finally:
            try:
                await agent.close()
            finally:  # only now: `stop` waits for it
                self._links.discard(task)

    async def _carry(self, agent: MessageStream) -> None:
        await agent.secure()
        server = await connect(*self._server_address, self._client)
        host = _HostName(agent.peer)
        ways = {
            asyncio.create_task(self._copy(agent, server, AGENT, host)),
            asyncio.create_task(self._copy(server, agent, SERVER, host)),
        }
        try:
            done, _ = await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            self._write(end_text(self._at_s(), host.name))
            for way in done:
                way.result()
        finally:
            for way in ways:
                way.cancel()
            try:
                await asyncio.gather(*ways, return_exceptions=True)
            finally:  # also when the recorder is stopped just then
                await server.close()

    async def _copy(self, source: MessageStream, target: MessageStream, sender: str, host: _HostName) -> None:
        with contextlib.suppress(ConnectionError):  # the end of the link is the end of the copying
            while True:
                message = await source.receive()
                self._note(message, sender, host)
                await target.send(message)

    def _note(self, message: bytes, sender: str, host: _HostName) -> None:
        try:
            line = Line.of(message, sender=sender, at_s=self._at_s(), host=host.name)
        except MessageError as error:
            logger.warning("a message of %s is handed on but cannot be written down: %s", sender, error)
            return
        if host.learn(line):
            line = Line(line.sender, line.at_s, host.name, line.header, line.content)
        self._write(line.text())

    def _at_s(self) -> float:
        now_s = self._clock.monotonic()
        if self._begun_s is None:
            self._begun_s = now_s
        return now_s - self._begun_s


class _HostName:
    """The name of the host on a link: that of its Startup, before it the address."""

    def __init__(self, peer: str) -> None:
        self.name = peer

    def learn(self, line: Line) -> bool:
        """Take the name from a Startup; True when it was one."""
        if _STARTUP not in line.classes:
            return False
        fields = next(element[_STARTUP] for element in line.content if _STARTUP in element)
        name = fields.get("name") if isinstance(fields, dict) else None
        self.name = str(name or self.name)
        return True
