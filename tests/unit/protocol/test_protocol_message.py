"""Header, compression and flags."""

from __future__ import annotations

import gzip
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mgmt.protocol.commands import Answer, CheckHealthCommand, GetUnmanagedInstancesCommand, ReadyCommand
from mgmt.protocol.message import Header, MessageError, Request, Response, decode

LONGS = st.integers(-(2**63), 2**63 - 1)
CHECK = '[{"com.cloud.agent.api.CheckHealthCommand":{"contextMap":{},"wait":50,"bypassHostMaintenance":false}}]'


def message(content: bytes, *, flags: int = 0x23, size: int | None = None) -> bytes:
    return Header(flags, 1, len(content) if size is None else size, 2, 3, 4).encode() + content


def padded(length: int) -> tuple[GetUnmanagedInstancesCommand, int]:
    """A command whose content has `length` bytes."""
    empty = len(Request(sequence=1, commands=(GetUnmanagedInstancesCommand(instanceName=""),)).encode()) - 40
    return GetUnmanagedInstancesCommand(instanceName="x" * (length - empty)), length


@given(
    sequence=LONGS,
    ids=st.tuples(LONGS, LONGS, LONGS),
    from_server=st.booleans(),
    stop_on_error=st.booleans(),
    in_sequence=st.booleans(),
    control=st.booleans(),
    text=st.text(),
)
def test_a_request_survives(
    sequence: int,
    ids: tuple[int, int, int],
    from_server: bool,
    stop_on_error: bool,
    in_sequence: bool,
    control: bool,
    text: str,
) -> None:
    """Any request is read back as it was sent (lone surrogates aside, which Java loses too)."""
    text = text.encode("utf-8", errors="replace").decode()
    command = GetUnmanagedInstancesCommand(instanceName=text, managedInstancesNames=[text] * 3)
    request = Request(
        sequence, (command,), *ids, from_server, stop_on_error=stop_on_error, in_sequence=in_sequence, control=control
    )
    assert decode(request.encode()) == request


@given(
    st.integers(0, 255),
    st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), max_size=5),
    st.integers(0, 200),
)
def test_mutated_messages_never_crash(version: int, changes: list[tuple[int, int]], cut: int) -> None:
    """Whatever happens to a message's bytes, it is read or refused with a MessageError."""
    data = bytearray(Request(sequence=7, commands=(CheckHealthCommand(), ReadyCommand(hostId=3))).encode())
    for position, value in changes:
        data[position % len(data)] = value
    data[0] = version
    try:
        decode(bytes(data[: len(data) - cut % len(data)]))
    except MessageError as error:
        assert str(error)


@given(st.binary(max_size=300))
def test_garbage_never_crashes(data: bytes) -> None:
    """Random bytes are refused with a MessageError."""
    with pytest.raises(MessageError):
        decode(b"\x00" * 40 + b"!" + data)


def test_8191_bytes_go_plain_and_8192_compressed() -> None:
    """Content of 8192 bytes and more is gzipped, `size` stays the length before compression."""
    for length, flag in ((8191, 0), (8192, 0x80)):
        command, size = padded(length)
        data = Request(sequence=1, commands=(command,)).encode()
        assert data[3] & 0x80 == flag
        assert struct.unpack_from(">i", data, 12) == (size,)
        assert decode(data).commands == (command,)  # type: ignore[union-attr]


def test_the_compression_bit_decides_not_the_length() -> None:
    """A small compressed and a large plain content are both read."""
    small = message(gzip.compress(CHECK.encode()), flags=0xA3, size=len(CHECK))
    assert decode(small).commands == (CheckHealthCommand(wait=50),)  # type: ignore[union-attr]
    large = message(CHECK.encode() + b" " * 20_000)
    assert decode(large).commands == (CheckHealthCommand(wait=50),)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("body", "size", "text"),
    [
        (b"no gzip", 10, "the content is no gzip"),
        (gzip.compress(CHECK.encode()), len(CHECK) - 1, "longer than the header's"),
        (gzip.compress(CHECK.encode()), -1, "a content of -1 bytes is not taken"),
        (gzip.compress(CHECK.encode()), 2**31 - 1, "is not taken"),
        (gzip.compress(CHECK.encode())[:-9], len(CHECK), "cut short"),
    ],
)
def test_bad_compressed_content_is_refused(body: bytes, size: int, text: str) -> None:
    """A wrong `size`, and gzip that is none or is cut short, are refused; the header is still known."""
    with pytest.raises(MessageError, match=text) as caught:
        decode(message(body, flags=0xA3, size=size))
    assert caught.value.header is not None
    assert caught.value.header.is_request


def test_a_size_that_is_too_large_is_taken() -> None:
    """A `size` above the true length does not hurt."""
    data = message(gzip.compress(CHECK.encode()), flags=0xA3, size=len(CHECK) + 7)
    assert decode(data).commands == (CheckHealthCommand(wait=50),)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("version", "text"),
    [
        (1, "This version is no longer supported: v2"),
        (3, "Can't lookup version: 3"),
        (255, "Can't lookup version: 255"),
    ],
)
def test_versions_that_are_not_read(version: int, text: str) -> None:
    """Version byte 1 and those above 2 are refused with CloudStack's texts, without a header to answer to."""
    with pytest.raises(MessageError) as caught:
        decode(bytes([version]) + message(CHECK.encode())[1:])
    assert str(caught.value) == text
    assert caught.value.header is None


def test_version_byte_2_has_no_via() -> None:
    """Version byte 2 has a header of 32 bytes; via is the agent id."""
    data = message(CHECK.encode())
    request = decode(b"\x02" + data[1:32] + data[40:])
    assert isinstance(request, Request)
    assert (request.version, request.agent_id, request.via) == (2, 3, 3)


@pytest.mark.parametrize("data", [b"", b"\x00" * 39, b"\x02" + b"\x00" * 30])
def test_a_short_header_is_refused(data: bytes) -> None:
    """Fewer bytes than a header are no message."""
    with pytest.raises(MessageError):
        decode(data)


def test_bad_content_leaves_the_header() -> None:
    """A request that cannot be read still says whom to answer."""
    with pytest.raises(MessageError) as caught:
        decode(message(b"nonsense"))
    assert caught.value.header == Header(0x23, 1, 8, 2, 3, 4)


@pytest.mark.parametrize(
    ("request_flags", "response_flags"),
    [(0x23, 0x02), (0x27, 0x06), (0x21, 0x00), (0x63, 0x02), (0x3B, 0x02), (0x0123, 0x02), (0x03, 0x22), (0x01, 0x20)],
)
def test_the_flags_of_a_response(request_flags: int, response_flags: int) -> None:
    """A response copies IN_SEQUENCE and STOP_ON_ERROR, inverts FROM_SERVER and drops everything else."""
    request = decode(message(CHECK.encode(), flags=request_flags))
    assert isinstance(request, Request)
    header, _ = Header.decode(Response.to(request, [Answer(result=True)]).encode())
    assert header.flags == response_flags
    assert (header.sequence, header.management_id, header.agent_id, header.via) == (1, 2, 3, 4)


def test_a_response_to_a_header_that_was_all_that_could_be_read() -> None:
    """A bad request is answered from its header alone."""
    header = Header(0x27, 9, 0, 2, 3, 4)
    response = Response.to(header, [Answer(result=True)], management_id=5, via=6)
    assert (response.sequence, response.from_server, response.stop_on_error, response.in_sequence) == (
        9,
        False,
        True,
        True,
    )
    assert (response.management_id, response.agent_id, response.via) == (5, 3, 6)
