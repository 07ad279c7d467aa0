"""Peers that do not speak the protocol hurt their own link only."""

from __future__ import annotations

import random
import socket
import struct
from typing import Any

import pytest

from mgmt.protocol.commands import Answer, CheckOnHostCommand, PingAnswer, PingCommand
from mgmt.protocol.message import Request, Response


def closed_by_server(sock: socket.socket) -> bool:
    """True once the server has closed the connection; whatever it still sends is read."""
    with sock:
        try:
            while sock.recv(4096):
                pass
        except ConnectionResetError:
            pass
    return True


@pytest.fixture
def healthy(edge: Any) -> Any:
    """An agent that is Up before and after."""
    agent = edge.agent()
    agent.attach()
    edge.wait_for_status("Up")
    yield agent
    agent.request(PingCommand())
    assert isinstance(agent.receive().answers[0], PingAnswer)
    assert edge.status() == "Up"
    assert edge.manager.is_attached(edge.host_id())


@pytest.mark.parametrize(
    "data",
    [b"GET / HTTP/1.1\r\n\r\n", b"\x00" * 100, b"SSH-2.0-x\r\n", struct.pack(">I", 100_000_000) + b"x" * 5000],
    ids=["http", "zeros", "ssh", "100 MB prefix"],
)
def test_garbage_instead_of_a_handshake_closes_that_link(edge: Any, healthy: Any, data: bytes) -> None:
    """Bytes that are no TLS close the connection at once; the server stays healthy."""
    sock = edge.connect()
    sock.sendall(data)
    assert closed_by_server(sock)


@pytest.mark.parametrize(
    "data",
    [struct.pack(">I", 100_000_000), struct.pack(">I", 18001), b"\xff" * 4, struct.pack(">I", 50) + b"garbage" * 10],
    ids=["100 MB prefix", "18001", "all ones", "garbage frame"],
)
def test_a_bad_frame_closes_that_link_and_leaves_alert(edge: Any, healthy: Any, data: bytes) -> None:
    """A frame of a bad length or content after the handshake closes the link; its host goes to Alert."""
    bad = edge.agent()
    guid = "bad-LibvirtComputingResource"
    bad.attach(edge.startup(guid=guid, name="bad"))
    edge.wait_for_status("Up", guid)
    bad.sock.sendall(data)
    bad.wait_closed()
    healthy.answer(healthy.receive_request(CheckOnHostCommand), Answer(result=False, details="Heart is beating..."))
    edge.wait_for_status("Alert", guid)


def test_a_bare_probe_is_ignored(edge: Any, healthy: Any) -> None:
    """A connection that is closed without a byte, as agents probe servers, is nothing."""
    for _ in range(3):
        edge.connect().close()


def test_an_idle_client_is_cut_after_the_handshake_timeout(edge: Any, healthy: Any) -> None:
    """A client that never finishes the handshake is cut after agent.ssl.handshake.timeout."""
    edge.set("agent.ssl.handshake.timeout", "30")
    sock = edge.connect()
    sock.sendall(b"\x16\x03\x01")
    edge.wait_for(lambda: len(edge.manager._calls.hub._links) == 2, "the accepted socket")
    edge.clock.advance(31)
    assert closed_by_server(sock)


def test_single_bytes_are_enough(edge: Any) -> None:
    """A Startup whose bytes come one by one is taken."""
    agent = edge.agent()
    real = agent.sock.sendall
    agent.flush = lambda: [real(bytes([byte])) for byte in agent.link.take_outgoing()]
    agent.attach()
    edge.wait_for_status("Up")


def test_a_long_message_is_taken(edge: Any, healthy: Any) -> None:
    """A ping of many frames is read, and its answer is compressed and cut into frames the same way."""
    names = {f"i-2-{number}-VM": "x" * 20 for number in range(3000)}
    healthy.request(PingCommand(contextMap=names))
    answer = healthy.receive().answers[0]
    assert isinstance(answer, PingAnswer)
    assert answer._command is not None
    assert answer._command.contextMap == names


def test_a_peer_that_does_not_read_is_not_read_from(edge: Any, healthy: Any) -> None:
    """Answers that nobody reads do not pile up: the server stops taking requests, and goes on once they are read."""
    greedy = edge.agent()
    greedy.attach(edge.startup(guid="greedy-LibvirtComputingResource", name="greedy"))
    noise = {"noise": random.Random(7).randbytes(3_500).hex()}
    greedy.sock.settimeout(0.2)
    sent = 0
    with pytest.raises(TimeoutError):
        while sent < 20_000:
            greedy.request(PingCommand(contextMap=noise))
            sent += 1
    assert sent < 20_000
    greedy.sock.settimeout(60)
    for _ in range(sent - 1):
        assert isinstance(greedy.receive().answers[0], PingAnswer)


def test_an_error_in_the_server_ends_one_link_only(edge: Any, healthy: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """When handling a message fails, that link is closed and the error is logged."""
    other = edge.agent()

    def broken(*_: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr("mgmt.agents.hub.startup_of", broken)
    other.request(edge.startup(guid="x-LibvirtComputingResource"))
    other.wait_closed()
    monkeypatch.undo()


def test_a_link_reset_at_the_end_does_not_disturb_the_stop(edge: Any, healthy: Any) -> None:
    """A peer's reset that the loop has not read of yet: ending the link closes it, and the server stops as ever."""
    other = edge.agent()

    def reset_and_end() -> bool:
        (link,) = [link for link in edge.links() if link.attachment is None]
        other.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        other.sock.close()
        link.end_sending()
        return bool(link.closed)

    assert edge.in_loop(reset_and_end)


def test_a_fuzzed_link_hurts_nobody(edge: Any, healthy: Any) -> None:
    """Five hundred messages of changed bytes on an attached link: it answers still, and so does the other agent's."""
    odd = edge.agent()
    odd.attach(edge.startup(guid="odd-LibvirtComputingResource", name="odd"))
    source = random.Random(11)
    sound = Request(7, (PingCommand(hostType="Routing", hostId=7),)).encode()
    for _ in range(500):
        data = bytearray(sound)
        for _ in range(source.randint(1, 6)):
            data[source.randrange(len(data))] = source.randrange(256)
        odd.link.send(bytes(data))
    odd.flush()
    odd.sequence = 10**6
    asked = odd.request(PingCommand())
    while (answer := odd.receive()).sequence != asked.sequence:
        assert isinstance(answer, Response)
    assert isinstance(answer.answers[0], PingAnswer)


def test_a_half_open_peer_is_given_up_when_it_is_silent(edge: Any) -> None:
    """A peer that is gone without closing its link: no ping, no answer to the health check, and the host is Alert."""
    agent = edge.agent()
    agent.attach()
    edge.wait_for_status("Up")

    def is_given_up() -> bool:
        edge.clock.advance(60)  # nothing of the agent is read or sent any more
        return bool(edge.status() == "Alert")

    edge.wait_for(is_given_up, "the host is given up")
    assert not edge.manager.is_attached(edge.host_id())
