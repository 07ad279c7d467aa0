"""The TLS link without a socket: handshake, framing, limits."""

from __future__ import annotations

import ssl
import struct

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mgmt.protocol.link import LinkError, TlsLink, client_context, frame_size


def linked(server_tls: ssl.SSLContext) -> tuple[TlsLink, TlsLink]:
    """A client and a server end whose handshake is done."""
    client, server = TlsLink(False, client_context()), TlsLink(True, server_tls)
    while not (client.handshake_done and server.handshake_done):
        assert server.feed(client.take_outgoing()) == []
        assert client.feed(server.take_outgoing()) == []
    return client, server


def sent(link: TlsLink, *messages: bytes) -> bytes:
    for message in messages:
        link.send(message)
    return link.take_outgoing()


def test_the_client_offers_tls_1_2_and_nothing_else() -> None:
    """G5: the ClientHello carries 0303 and no supported version above; no session, no server name."""
    hello = TlsLink(False, client_context()).take_outgoing()
    assert hello[:1] == b"\x16"
    assert hello[9:11] == b"\x03\x03"
    assert b"\x00\x2b\x00\x05\x04\x03\x04" not in hello  # supported_versions with TLS 1.3
    assert hello[43] == 0  # session id length


def test_a_server_caps_itself_at_tls_1_2_and_issues_no_ticket(server_tls: ssl.SSLContext) -> None:
    """A client that offers TLS 1.3 gets 1.2, and nothing follows the handshake unframed."""
    modern = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    modern.check_hostname, modern.verify_mode = False, ssl.CERT_NONE
    client, server = TlsLink(False, modern), TlsLink(True, server_tls)
    while not client.handshake_done:
        server.feed(client.take_outgoing())
        flight = server.take_outgoing()
        assert b"\x16\x03\x03\x00\xba\x04" not in flight
        client.feed(flight)
    assert client._tls.version() == "TLSv1.2"
    assert server.take_outgoing() == b""


def test_an_old_client_is_refused(server_tls: ssl.SSLContext) -> None:
    """A client that offers only TLS 1.3 cannot shake hands; only its link is closed."""
    modern = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    modern.check_hostname, modern.verify_mode = False, ssl.CERT_NONE
    modern.minimum_version = ssl.TLSVersion.TLSv1_3
    server = TlsLink(True, server_tls)
    with pytest.raises(LinkError, match="TLS handshake failed"):
        server.feed(TlsLink(False, modern).take_outgoing())
    assert server.take_outgoing()[:1] == b"\x15"  # the alert still goes out


def test_a_frame_has_the_record_length_in_clear(server_tls: ssl.SSLContext) -> None:
    """142 bytes take one frame of 171 bytes: 5 + 8 + 142 + 16."""
    _, server = linked(server_tls)
    wire = sent(server, b"x" * 142)
    assert wire[:4].hex() == "000000ab"
    assert wire[4:7].hex() == "170303"
    assert len(wire) == 4 + 171


def test_a_long_message_is_cut_into_frames(server_tls: ssl.SSLContext) -> None:
    """20000 bytes go as two frames, the first with the flag 0x10000."""
    client, server = linked(server_tls)
    wire = sent(client, b"y" * 20000)
    assert wire[:4].hex() == "0001401d"
    assert wire[4 + 0x401D : 8 + 0x401D].hex() == "00000e3d"
    assert server.feed(wire) == [b"y" * 20000]


def test_messages_that_were_sent_too_early_wait_for_the_handshake(server_tls: ssl.SSLContext) -> None:
    """A message that is sent before the handshake is done goes out with its end."""
    client, server = TlsLink(False, client_context()), TlsLink(True, server_tls)
    client.send(b"early")
    received: list[bytes] = []
    for _ in range(4):
        received += server.feed(client.take_outgoing())
        client.feed(server.take_outgoing())
    assert received == [b"early"]


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(messages=st.lists(st.binary(min_size=1, max_size=40_000), min_size=1, max_size=4), data=st.data())
def test_messages_survive_any_cutting(server_tls: ssl.SSLContext, messages: list[bytes], data: st.DataObject) -> None:
    """However TCP cuts the bytes, each message comes out once and whole."""
    client, server = linked(server_tls)
    wire = sent(client, *messages)
    received: list[bytes] = []
    while wire:
        size = data.draw(st.integers(1, len(wire)))
        received += server.feed(wire[:size])
        wire = wire[size:]
    assert received == messages


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(position=st.integers(0, 10_000), value=st.integers(0, 255), tail=st.binary(max_size=64))
def test_changed_frames_never_crash_nor_pass(
    server_tls: ssl.SSLContext, position: int, value: int, tail: bytes
) -> None:
    """A changed byte ends the link, leaves it waiting or gives the message; never another message, never a crash."""
    client, server = linked(server_tls)
    wire = bytearray(sent(client, b"z" * 300))
    wire[position % len(wire)] = value
    try:
        received = server.feed(bytes(wire) + tail)
    except LinkError as error:
        assert str(error)
    else:
        assert received in ([], [b"z" * 300], [b""], [b"", b"z" * 300])


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(st.binary(min_size=1, max_size=200))
def test_garbage_instead_of_a_handshake_never_crashes(server_tls: ssl.SSLContext, garbage: bytes) -> None:
    """Bytes that are no TLS end the link or leave it waiting for more."""
    server = TlsLink(True, server_tls)
    try:
        assert server.feed(garbage) == []
    except LinkError as error:
        assert "TLS handshake failed" in str(error)


@pytest.mark.parametrize("header", [18001, 0x7FFF, 0x8000, 0xFFFF, 100_000_000, 0x00010000 | 18001])
def test_a_frame_that_is_too_long_ends_the_link(server_tls: ssl.SSLContext, header: int) -> None:
    """More than 18000 bytes, a negative 16-bit length and a 100 MB prefix are refused before anything is read."""
    _, server = linked(server_tls)
    with pytest.raises(LinkError, match=r"Wrong packet size: -?\d+"):
        server.feed(struct.pack(">I", header))


def test_the_length_is_the_low_16_bits_signed() -> None:
    """18000 is the longest frame, bits above 0x10000 are ignored, 0x8000 is -32768."""
    assert frame_size(18000) == 18000
    assert frame_size(0x00010000 | 5) == 5
    assert frame_size(0x40020005) == 5
    with pytest.raises(LinkError, match="Wrong packet size: -32768"):
        frame_size(0x8000)
    with pytest.raises(LinkError, match="Wrong packet size: 18001"):
        frame_size(18001)


def test_half_a_record_in_a_frame_ends_the_link(server_tls: ssl.SSLContext) -> None:
    """A frame may hold several records, but no part of one."""
    client, server = linked(server_tls)
    wire = sent(client, b"hello")
    record = wire[4:]
    with pytest.raises(LinkError, match="SSL: Unable to unwrap received data! still remaining"):
        server.feed(struct.pack(">i", len(record) - 3) + record[:-3])
    with pytest.raises(LinkError, match=r"still remaining 3bytes!"):
        server.feed(struct.pack(">i", len(record) + 3) + record + b"\x17\x03\x03")


def test_several_records_in_one_frame_are_one_message(server_tls: ssl.SSLContext) -> None:
    """A reader decrypts a frame until all its bytes are used."""
    client, server = linked(server_tls)
    first, second = sent(client, b"hello ")[4:], sent(client, b"world")[4:]
    assert server.feed(struct.pack(">i", len(first + second)) + first + second) == [b"hello world"]


def test_an_empty_frame_is_an_empty_message(server_tls: ssl.SSLContext) -> None:
    """A frame of size 0 gives an empty message, with the flag it gives nothing; the link lives on."""
    client, server = linked(server_tls)
    assert server.feed(b"\x00\x00\x00\x00") == [b""]
    assert server.feed(b"\x00\x01\x00\x00") == []
    assert server.feed(sent(client, b"next")) == [b"next"]


def test_a_bad_record_ends_the_link(server_tls: ssl.SSLContext) -> None:
    """A record that was changed on its way cannot be decrypted."""
    client, server = linked(server_tls)
    wire = bytearray(sent(client, b"hello"))
    wire[-1] ^= 1
    with pytest.raises(LinkError, match="TLS failed"):
        server.feed(bytes(wire))


def test_a_framed_farewell_ends_the_link(server_tls: ssl.SSLContext) -> None:
    """A close_notify inside a frame is the end of the TLS session."""
    client, server = linked(server_tls)
    with pytest.raises(ssl.SSLWantReadError):
        client._tls.unwrap()
    alert = client._outgoing.read()
    with pytest.raises(LinkError):
        server.feed(struct.pack(">i", len(alert)) + alert)


def test_a_message_without_end_is_cut_off(server_tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch) -> None:
    """A message that grows beyond the limit ends the link instead of taking all memory."""
    monkeypatch.setattr("mgmt.protocol.link.MAX_MESSAGE_BYTES", 30_000)
    client, server = linked(server_tls)
    with pytest.raises(LinkError, match="longer than 30000 bytes"):
        server.feed(sent(client, b"w" * 40_000))


def test_an_agent_shows_no_certificate_and_sees_the_authoritys(server_tls: ssl.SSLContext) -> None:
    """No client certificate is asked for; the server shows the authority's own certificate."""
    client, server = linked(server_tls)
    assert server.peer_certificate() is None
    certificate = client.peer_certificate()
    assert certificate is not None
    assert b"ca.cloudstack.apache.org" in certificate
