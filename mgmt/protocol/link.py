"""One end of a link without its socket: the TLS handshake and CloudStack's framing of TLS records.

The handshake is plain TLS. After it each TLS record travels behind four clear bytes: the record's length in the low 16
bits, and 0x10000 when more records of the same message follow. Upstream: utils/.../nio/Link.java, NioConnection.java.
"""

from __future__ import annotations

import ssl
import struct
from collections import deque
from pathlib import Path
from typing import TypeVar

B = TypeVar("B", bytes, bytearray)

MAX_FRAME_BYTES = 18000
MORE_FOLLOWS = 0x00010000
RECORD_PLAINTEXT_BYTES = 16384
MAX_MESSAGE_BYTES = 64 * 1024 * 1024  # ours: Java has no limit, but one link must not take all memory

_HEADER = struct.Struct(">i")
_RECORD_HEADER_BYTES = 5


class LinkError(Exception):
    """The peer broke the protocol or closed the TLS session: this link must be closed, no other is concerned."""


def client_context() -> ssl.SSLContext:
    """TLS as an agent without a key store does it: version 1.2 and nothing else, any certificate is accepted."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def server_context(certificate_file: Path, key_file: Path) -> ssl.SSLContext:
    """TLS as a server must do it for Java agents: version 1.2, no tickets, no resumption, no client certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_TICKET | ssl.OP_NO_RENEGOTIATION
    context.verify_mode = ssl.CERT_NONE
    context.load_cert_chain(certificate_file, key_file)
    return context


class TlsLink:
    """Bytes from the socket in, messages out, and the other way round.

    `feed` takes what the socket gave and returns the messages that are now whole; `send` queues a message;
    `take_outgoing` gives what the socket must send. A client's first `take_outgoing` holds its ClientHello. Messages
    sent before the handshake is done wait for its end. After a LinkError the link is of no more use.
    """

    def __init__(self, server_side: bool, context: ssl.SSLContext) -> None:
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=server_side)
        self._handshake_done = False
        self._received = bytearray()
        self._message = bytearray()
        self._to_send: deque[bytes] = deque()
        self._wire = bytearray()
        if not server_side:
            self._handshake()

    @property
    def handshake_done(self) -> bool:
        """True once both ends speak TLS."""
        return self._handshake_done

    def peer_certificate(self) -> bytes | None:
        """The peer's certificate in DER form, if it showed one."""
        return self._tls.getpeercert(binary_form=True)

    def feed(self, data: bytes) -> list[bytes]:
        """The messages that `data` completes; raises LinkError."""
        if not self._handshake_done:
            self._incoming.write(data)
            if not self._handshake():
                return []
        elif not self._received and _is_one_frame(data):  # as most are: nothing has to be put together
            message = self._decrypt(data[_HEADER.size :])
            if self._message:
                message = bytes(self._message) + message
                self._message.clear()
            return [self._checked(message)]
        else:
            self._received += data
        return self._read_frames()

    def send(self, message: bytes) -> None:
        """Queue `message` for sending."""
        self._to_send.append(message)
        if self._handshake_done:
            self._write_frames()

    def take_outgoing(self) -> bytes:
        """The bytes to send now; they count as sent."""
        if not self._wire:
            return b""
        outgoing = bytes(self._wire)
        self._wire.clear()
        return outgoing

    def _handshake(self) -> bool:
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            self._wire += self._outgoing.read()
            return False
        except ssl.SSLError as error:
            self._wire += self._outgoing.read()  # the alert
            raise LinkError(f"TLS handshake failed: {error.reason or error}") from None
        self._wire += self._outgoing.read()
        self._handshake_done = True
        self._received += self._incoming.read()  # a frame may share a segment with the last handshake record
        self._write_frames()
        return True

    def _write_frames(self) -> None:
        while self._to_send:
            message = memoryview(self._to_send.popleft())
            for start in range(0, len(message) or 1, RECORD_PLAINTEXT_BYTES):
                self._tls.write(message[start : start + RECORD_PLAINTEXT_BYTES])
                record = self._outgoing.read()
                more = start + RECORD_PLAINTEXT_BYTES < len(message)
                self._wire += _HEADER.pack(len(record) | (MORE_FOLLOWS if more else 0))
                self._wire += record

    def _read_frames(self) -> list[bytes]:
        messages = []
        while len(self._received) >= _HEADER.size:
            (header,) = _HEADER.unpack_from(self._received)
            size = frame_size(header)
            end = _HEADER.size + size
            if len(self._received) < end:
                break
            records = bytes(self._received[_HEADER.size : end])
            del self._received[:end]
            self._message += self._decrypt(records)
            self._checked(self._message)
            if not header & MORE_FOLLOWS:
                messages.append(bytes(self._message))
                self._message.clear()
        return messages

    @staticmethod
    def _checked(message: B) -> B:
        if len(message) > MAX_MESSAGE_BYTES:
            raise LinkError(f"a message is longer than {MAX_MESSAGE_BYTES} bytes")
        return message

    def _decrypt(self, records: bytes) -> bytes:
        left = _incomplete_bytes(records)
        if left:
            raise LinkError(f"SSL: Unable to unwrap received data! still remaining {left}bytes!")
        self._incoming.write(records)
        parts = []
        try:
            while self._incoming.pending or self._tls.pending():
                part = self._tls.read(RECORD_PLAINTEXT_BYTES)
                if not part:
                    raise LinkError("the peer closed the TLS session")
                parts.append(part)
        except ssl.SSLWantReadError:  # a record that holds no data
            pass
        except ssl.SSLError as error:
            raise LinkError(f"TLS failed: {error.reason or error}") from None
        if self._outgoing.pending:
            self._wire += self._outgoing.read()
        return parts[0] if len(parts) == 1 else b"".join(parts)


def frame_size(header: int) -> int:
    """The length of the frame behind `header`: its low 16 bits, signed; raises LinkError when it is out of range."""
    size = header & 0xFFFF
    if size >= 0x8000:
        size -= 0x10000
    if size > MAX_FRAME_BYTES or size < 0:
        raise LinkError(f"Wrong packet size: {size}")
    return size


def _is_one_frame(data: bytes) -> bool:
    """Whether `data` is one frame that ends a message."""
    if len(data) < _HEADER.size:
        return False
    (header,) = _HEADER.unpack_from(data)
    return not header & MORE_FOLLOWS and _HEADER.size + frame_size(header) == len(data)


def _incomplete_bytes(records: bytes) -> int:
    """How many bytes at the end of `records` are no whole TLS record."""
    position = 0
    while position < len(records):
        if len(records) - position < _RECORD_HEADER_BYTES:
            return len(records) - position
        length = int.from_bytes(records[position + 3 : position + 5], "big")
        if len(records) - position - _RECORD_HEADER_BYTES < length:
            return len(records) - position
        position += _RECORD_HEADER_BYTES + length
    return 0
