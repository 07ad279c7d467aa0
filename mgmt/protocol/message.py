"""Messages: a 40-byte header and a JSON array, gzipped when it is long.

Upstream: core/.../agent/transport/Request.java and Response.java.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from mgmt.protocol.records import Answer, Command, ContentError, decode_answers, decode_commands, encode_array

FLAG_REQUEST = 0x01
FLAG_STOP_ON_ERROR = 0x02
FLAG_IN_SEQUENCE = 0x04
FLAG_FROM_SERVER = 0x20
FLAG_CONTROL = 0x40
FLAG_COMPRESSED = 0x80

COMPRESS_FROM_BYTES = 8192
MAX_CONTENT_BYTES = 64 * 1024 * 1024  # ours: Java has no limit, but one message must not take all memory

_LONG_HEADER = struct.Struct(">BBHqiqqq")
_SHORT_HEADER = struct.Struct(">BBHqiqq")  # version byte 2 has no `via`
_VERSION_NAMES = ("v1", "v2", "v3")


class MessageError(ValueError):
    """Bytes that are no message; `header` is there when it could be read, so that an answer can be sent."""

    def __init__(self, text: str, header: Header | None = None) -> None:
        super().__init__(text)
        self.header = header


@dataclass(frozen=True)
class Header:
    """The header's fields; `size` is the length of the content before compression, in bytes."""

    flags: int
    sequence: int
    size: int
    management_id: int = -1
    agent_id: int = -1
    via: int = -1
    version: int = 0

    def encode(self) -> bytes:
        """The 40 bytes of version byte 0."""
        return _LONG_HEADER.pack(
            self.version, 0, self.flags, self.sequence, self.size, self.management_id, self.agent_id, self.via
        )

    @classmethod
    def decode(cls, data: bytes) -> tuple[Self, int]:
        """The header and its length; raises MessageError with CloudStack's text for a version that is not read."""
        if not data:
            raise MessageError("the message is empty")
        version = data[0]
        if version >= len(_VERSION_NAMES):
            raise MessageError(f"Can't lookup version: {version}")
        if version == 1:
            raise MessageError(f"This version is no longer supported: {_VERSION_NAMES[version]}")
        layout = _LONG_HEADER if version == 0 else _SHORT_HEADER
        if len(data) < layout.size:
            raise MessageError(f"a header of {layout.size} bytes was expected, not {len(data)}")
        _, _, flags, sequence, size, management_id, agent_id, *rest = layout.unpack_from(data)
        via = rest[0] if rest else agent_id
        return cls(flags, sequence, size, management_id, agent_id, via, version), layout.size

    @property
    def is_request(self) -> bool:
        """True for a request, False for a response: bit 0x01 alone decides."""
        return bool(self.flags & FLAG_REQUEST)


def _encode(flags: int, sequence: int, ids: tuple[int, int, int], records: Sequence[Command]) -> bytes:
    content = encode_array(records).encode("utf-8", errors="replace")
    size = len(content)
    if size >= COMPRESS_FROM_BYTES:
        flags |= FLAG_COMPRESSED
        packer = zlib.compressobj(6, zlib.DEFLATED, 31)
        content = packer.compress(content) + packer.flush()
    return Header(flags, sequence, size, *ids).encode() + content


@dataclass(frozen=True)
class Request:
    """A request, with the header's control bits by name."""

    sequence: int
    commands: tuple[Command, ...]
    management_id: int = -1
    agent_id: int = -1
    via: int = -1
    from_server: bool = False
    stop_on_error: bool = True
    in_sequence: bool = False
    control: bool = False
    version: int = 0

    def encode(self) -> bytes:
        """The message's bytes, compressed when the content has 8192 bytes or more."""
        flags = FLAG_REQUEST
        flags |= FLAG_STOP_ON_ERROR * self.stop_on_error
        flags |= FLAG_IN_SEQUENCE * self.in_sequence
        flags |= FLAG_FROM_SERVER * self.from_server
        flags |= FLAG_CONTROL * self.control
        return _encode(flags, self.sequence, (self.management_id, self.agent_id, self.via), self.commands)


@dataclass(frozen=True)
class Response:
    """A response: answer i belongs to command i of the request with the same sequence."""

    sequence: int
    answers: tuple[Answer, ...]
    management_id: int = -1
    agent_id: int = -1
    via: int = -1
    from_server: bool = False
    stop_on_error: bool = False
    in_sequence: bool = False
    version: int = 0

    @classmethod
    def to(
        cls,
        request: Request | Header,
        answers: Sequence[Answer],
        *,
        management_id: int | None = None,
        via: int | None = None,
    ) -> Self:
        """The response to `request` (or to the header of one that could not be read), as Response.java builds it.

        IN_SEQUENCE and STOP_ON_ERROR are copied, FROM_SERVER is inverted, ids are echoed but for those given here.
        """
        if isinstance(request, Header):
            from_server = bool(request.flags & FLAG_FROM_SERVER)
            stop_on_error = bool(request.flags & FLAG_STOP_ON_ERROR)
            in_sequence = bool(request.flags & FLAG_IN_SEQUENCE)
        else:
            from_server, stop_on_error, in_sequence = request.from_server, request.stop_on_error, request.in_sequence
        return cls(
            sequence=request.sequence,
            answers=tuple(answers),
            management_id=request.management_id if management_id is None else management_id,
            agent_id=request.agent_id,
            via=request.via if via is None else via,
            from_server=not from_server,
            stop_on_error=stop_on_error,
            in_sequence=in_sequence,
        )

    def encode(self) -> bytes:
        """The message's bytes."""
        flags = FLAG_STOP_ON_ERROR * self.stop_on_error
        flags |= FLAG_IN_SEQUENCE * self.in_sequence
        flags |= FLAG_FROM_SERVER * self.from_server
        return _encode(flags, self.sequence, (self.management_id, self.agent_id, self.via), self.answers)


def content_of(header: Header, body: bytes) -> bytes:
    """The JSON text of a message; the compression bit decides, not the length. Raises MessageError."""
    if not header.flags & FLAG_COMPRESSED:
        return body
    if not 0 <= header.size <= MAX_CONTENT_BYTES:
        raise MessageError(f"a content of {header.size} bytes is not taken", header)
    unpacker = zlib.decompressobj(31)
    try:
        content = unpacker.decompress(body, header.size + 1)
    except zlib.error as error:
        raise MessageError(f"the content is no gzip: {error}", header) from None
    if len(content) > header.size:
        raise MessageError(f"the content is longer than the header's {header.size} bytes", header)
    if not unpacker.eof:
        raise MessageError("the gzip content is cut short", header)
    return content


def decode(data: bytes) -> Request | Response:
    """The message in `data`; raises MessageError, with the header when at least that was sound."""
    header, length = Header.decode(data)
    content = content_of(header, data[length:])
    from_server = bool(header.flags & FLAG_FROM_SERVER)
    stop_on_error = bool(header.flags & FLAG_STOP_ON_ERROR)
    in_sequence = bool(header.flags & FLAG_IN_SEQUENCE)
    try:
        if header.is_request:
            return Request(
                sequence=header.sequence,
                commands=tuple(decode_commands(content)),
                management_id=header.management_id,
                agent_id=header.agent_id,
                via=header.via,
                from_server=from_server,
                stop_on_error=stop_on_error,
                in_sequence=in_sequence,
                control=bool(header.flags & FLAG_CONTROL),
                version=header.version,
            )
        return Response(
            sequence=header.sequence,
            answers=tuple(decode_answers(content)),
            management_id=header.management_id,
            agent_id=header.agent_id,
            via=header.via,
            from_server=from_server,
            stop_on_error=stop_on_error,
            in_sequence=in_sequence,
            version=header.version,
        )
    except ContentError as error:
        raise MessageError(str(error), header) from None
