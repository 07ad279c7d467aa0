"""A TLS link over asyncio streams, as recorder and player use it."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections import deque

from mgmt.protocol.link import LinkError, TlsLink

READ_BYTES = 65536


class MessageStream:
    """Whole messages in and out over one connection."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        context: ssl.SSLContext,
        *,
        server_side: bool,
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._link = TlsLink(server_side, context)
        self._messages: deque[bytes] = deque()

    @property
    def peer(self) -> str:
        """The peer's address."""
        name = self._writer.get_extra_info("peername")
        return f"{name[0]}:{name[1]}" if name else "?"

    async def secure(self) -> None:
        """Return once TLS stands; raises ConnectionError when it does not come to that."""
        await self._flush()
        while not self._link.handshake_done:
            await self._read()

    async def receive(self) -> bytes:
        """The next message; raises ConnectionError at the end of the link, however it ends."""
        while not self._messages:
            await self._read()
        return self._messages.popleft()

    async def send(self, message: bytes) -> None:
        """Send a message; raises ConnectionError on a link that is gone."""
        self._link.send(message)
        await self._flush()

    async def close(self) -> None:
        """Close the connection, without a TLS farewell."""
        self._writer.close()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()

    async def _read(self) -> None:
        data = await self._reader.read(READ_BYTES)
        if not data:
            raise ConnectionError("the peer closed the link")
        try:
            self._messages += self._link.feed(data)
        except LinkError as error:
            await self._flush()
            raise ConnectionError(str(error)) from None
        await self._flush()

    async def _flush(self) -> None:
        outgoing = self._link.take_outgoing()
        if outgoing:
            self._writer.write(outgoing)
            await self._writer.drain()


async def connect(host: str, port: int, context: ssl.SSLContext) -> MessageStream:
    """A secured link to a server; raises OSError."""
    reader, writer = await asyncio.open_connection(host, port)
    stream = MessageStream(reader, writer, context, server_side=False)
    try:
        await stream.secure()
    except BaseException:
        await stream.close()
        raise
    return stream
