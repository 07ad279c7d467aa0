"""Ten thousand mutated messages: whatever bytes come, both ends read them or refuse them, and hold nothing of them."""

from __future__ import annotations

import random
import ssl
import sys
from collections.abc import Iterator

import pytest

from agent_sim.reading import BadRequest, read_message
from mgmt.protocol.commands import (
    Answer,
    GetUnmanagedInstancesCommand,
    PingRoutingCommand,
    ReadyAnswer,
    ReadyCommand,
    StartupRoutingCommand,
)
from mgmt.protocol.link import LinkError, TlsLink, client_context
from mgmt.protocol.message import MessageError, Request, Response, decode

MESSAGES = 10_000
FRAMES_A_LINK = 400


def samples() -> list[bytes]:
    """Small and compressed requests, and responses."""
    names = [f"i-2-{number}-VM" for number in range(900)]
    requests = [
        Request(1, (StartupRoutingCommand(name="kvm1", hostDetails={"Host.OS": "x"}),)),
        Request(2, (PingRoutingCommand(hostType="Routing", hostId=7), ReadyCommand(hostId=7))),
        Request(3, (GetUnmanagedInstancesCommand(managedInstancesNames=names),)),
    ]
    answer = Response.to(requests[0], [ReadyAnswer(result=True, detailsMap={"a": "b"}), Answer(result=False)])
    return [*(request.encode() for request in requests), answer.encode()]


def mutants(count: int, seed: int) -> Iterator[bytes]:
    """Messages with bytes changed, cut out, doubled or cut off; the same ones each time."""
    source, originals = random.Random(seed), samples()
    for _ in range(count):
        data = bytearray(source.choice(originals))
        for _ in range(source.randint(1, 4)):
            place = source.randrange(len(data))
            match source.randrange(5):
                case 0:
                    data[place] = source.randrange(256)
                case 1:
                    data[place] ^= 1 << source.randrange(8)
                case 2:
                    del data[place : place + source.randint(1, 40)]
                case 3:
                    data[place:place] = data[place : place + source.randint(1, 40)]
                case _:
                    del data[place + 1 :]
            if not data:
                data = bytearray(b"\x00")
        yield bytes(data)


def test_ten_thousand_mutated_messages_are_read_or_refused() -> None:
    """The server's reader raises MessageError or gives a message; the agent's gives one, a BadRequest, or nothing."""
    read = refused = 0
    blocks = sys.getallocatedblocks()
    for data in mutants(MESSAGES, seed=4):
        try:
            assert isinstance(decode(data), Request | Response)
            read += 1
        except MessageError as error:
            assert str(error)
            refused += 1
        assert read_message(data) is None or isinstance(read_message(data), Request | Response | BadRequest)
    assert read + refused == MESSAGES
    assert min(read, refused) > MESSAGES // 50  # the mutants are neither all sound nor all beyond reading
    assert sys.getallocatedblocks() - blocks < 20_000  # nothing is kept of them


@pytest.mark.parametrize("seed", range(5))
def test_mutated_frames_end_their_link_or_pass(server_tls: ssl.SSLContext, seed: int) -> None:
    """Sound frames pass however odd their content; the first frame that is not sound ends the link."""
    source = random.Random(seed)
    client, server = TlsLink(False, client_context()), TlsLink(True, server_tls)
    while not client.handshake_done:
        server.feed(client.take_outgoing())
        client.feed(server.take_outgoing())
    passed = 0
    for data in mutants(FRAMES_A_LINK, seed):
        client.send(data)
        assert server.feed(client.take_outgoing()) == [data]
        passed += 1
    client.send(b"x" * 100)
    wire = bytearray(client.take_outgoing())
    wire[source.randrange(4, len(wire))] ^= 1 << source.randrange(8)
    try:
        assert server.feed(bytes(wire)) == []
    except LinkError as error:
        assert str(error)
    assert passed == FRAMES_A_LINK
