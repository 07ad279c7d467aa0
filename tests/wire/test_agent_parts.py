"""Timers, locks, certificates and starting of the agent edge."""

from __future__ import annotations

import asyncio
import socket
import stat
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from mgmt.agents.certificates import ssh_key_pair, tls_context
from mgmt.agents.hostrecords import describe, move
from mgmt.agents.locks import KeyedLocks
from mgmt.agents.manager import AgentManager
from mgmt.agents.policy import command_timeouts
from mgmt.agents.requests import Requests
from mgmt.agents.states import Event, NoTransitionError
from mgmt.agents.timers import Timers
from mgmt.protocol.commands import CheckHealthCommand
from mgmt.protocol.message import Response


def test_timers_call_in_order_and_can_be_cancelled(clock: Any) -> None:
    """Timers are called when they are due, earliest first; a cancelled or failing one does not disturb the others."""

    async def scenario() -> list[str]:
        timers, called, done = Timers(clock, 0.005), [], asyncio.Event()
        timers.call_later(30, done.set)
        timers.call_later(20, lambda: called.append("twenty"))
        timers.call_later(10, lambda: called.append("ten"))
        timers.call_later(15, lambda: 1 / 0)
        timers.call_later(5, lambda: called.append("cancelled")).cancel()
        assert called == []
        clock.advance(31)
        await asyncio.wait_for(done.wait(), 60)
        timers.call_later(1, lambda: called.append("closed"))
        timers.close()
        timers.call_later(0, lambda: called.append("after the end"))
        clock.advance(5)
        await asyncio.sleep(0.02)
        return called

    assert asyncio.run(scenario()) == ["ten", "twenty"]


def test_a_lock_is_kept_while_somebody_wants_it() -> None:
    """Work under one key runs one after the other, other keys at once; nothing is left behind."""

    async def scenario() -> list[str]:
        locks, log, entered, leave = KeyedLocks(), [], asyncio.Event(), asyncio.Event()

        async def first() -> None:
            async with locks.held("a"):
                entered.set()
                await leave.wait()
                log.append("first")

        async def second() -> None:
            async with locks.held("a"):
                log.append("second")

        tasks = [asyncio.create_task(first())]
        await entered.wait()
        tasks.append(asyncio.create_task(second()))
        async with locks.held("b"):
            log.append("other")
        leave.set()
        await asyncio.gather(*tasks)
        assert locks._locks == {}
        return log

    assert asyncio.run(scenario()) == ["other", "first", "second"]


def test_the_authority_is_made_once_and_kept(tmp_path: Path) -> None:
    """With a folder the certificate and its key (mode 0600) survive a restart; the subject is CloudStack's."""
    folder = tmp_path / "ca"
    tls_context(folder, datetime(2026, 1, 1))
    made = (folder / "ca.crt").read_bytes()
    assert stat.S_IMODE((folder / "ca.key").stat().st_mode) == 0o600
    certificate = x509.load_pem_x509_certificate(made)
    assert certificate.subject.rfc4514_string() == "CN=ca.cloudstack.apache.org"
    assert certificate.subject == certificate.issuer
    assert certificate.not_valid_after_utc.year >= 2055
    tls_context(folder, datetime(2027, 1, 1))
    assert (folder / "ca.crt").read_bytes() == made


def test_ssh_keys_are_a_new_pair() -> None:
    """A public and a private key in OpenSSH form."""
    public, private = ssh_key_pair()
    assert public.startswith("ssh-ed25519 ")
    assert private.startswith("-----BEGIN OPENSSH PRIVATE KEY-----")
    assert ssh_key_pair()[1] != private


def test_the_command_timeouts_setting() -> None:
    """`Name=seconds` parts are read, others skipped, an empty setting gives none."""
    assert command_timeouts(" A=5, B = 7,C=x,D,,=3") == {"A": 5, "B ".strip(): 7, "": 3}
    assert command_timeouts(None) == {}


def test_an_answer_to_a_request_that_was_not_sent_yet_is_nobodys(clock: Any) -> None:
    """Guessing the sequence of a queued request does not answer it; after the link is lost nothing can be sent."""

    async def scenario() -> None:
        timers = Timers(clock, 1)
        requests = Requests(7, lambda *_: None, timers, node_id=1, first_sequence=0)
        for _ in range(50):
            requests.submit([CheckHealthCommand()], 10).add_done_callback(lambda future: future.exception())
        queued = requests.submit([CheckHealthCommand()], 10)
        assert requests.answered(Response(sequence=51, answers=())) is None
        assert requests.answered(Response(sequence=99, answers=())) is None
        assert not queued.done()
        requests.close()
        with pytest.raises(Exception, match="Commands 51 to Host 7 timed out after 20 secs"):
            await queued
        with pytest.raises(Exception, match="Commands 52 to Host 7 timed out"):
            await requests.submit([CheckHealthCommand()], 10)
        timers.close()

    asyncio.run(scenario())


def manager(edge: Any, **options: Any) -> AgentManager:
    """Another manager on the same store."""
    return AgentManager(
        edge.store,
        edge.store.providers,
        edge.settings,
        edge.journal,
        node_id=345050284381,
        management_server_uuid="ms",
        **options,
    )


def test_a_taken_port_is_an_error(edge: Any) -> None:
    """start raises OSError when somebody else listens on the port, and leaves nothing open."""
    other = manager(edge, port=edge.manager.address[1])
    with pytest.raises(OSError, match="in use"):
        other.start()
    with pytest.raises(RuntimeError, match="not started"):
        _ = other.address
    other.stop()


def test_a_folder_that_cannot_be_used_is_an_error(edge: Any, tmp_path: Path) -> None:
    """start raises when its certificate folder cannot be made, and the port is free again."""
    blocked = tmp_path / "file"
    blocked.write_text("")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    with pytest.raises(OSError):
        manager(edge, port=port, ssl_dir=blocked / "ca").start()
    second = manager(edge, port=port, ssl_dir=tmp_path / "ca")
    second.start()
    with pytest.raises(RuntimeError, match="started already"):
        second.start()
    second.stop()


def test_a_thread_that_cannot_begin_is_an_error(edge: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the event loop's thread fails at once, start raises its error instead of waiting for ever."""

    def broken(_: object) -> None:
        raise RuntimeError("no watch")

    monkeypatch.setattr("mgmt.agents.hub.SilenceWatch.start", broken)
    other = manager(edge)
    with pytest.raises(RuntimeError, match="no watch"):
        other.start()


def test_hosts_of_a_killed_server_are_disconnected_at_start(edge: Any) -> None:
    """Hosts that count as linked to this server are Disconnected before agents can connect."""
    agent = edge.agent()
    agent.attach()
    edge.wait_for_status("Up")
    second = manager(edge)
    second.start()
    try:
        assert edge.status() == "Disconnected"
        agent.close()
    finally:
        second.stop()


def test_ipv6_addresses(edge: Any) -> None:
    """An IPv6 address can be listened on."""
    second = manager(edge, host="::1")
    try:
        second.start()
    except OSError:
        pytest.skip("this machine has no IPv6 loopback")
    assert second.address[0] == "::1"
    second.stop()


def test_waiting_for_hosts_ends(edge: Any) -> None:
    """wait_for_hosts_up is False after its time; no hosts are up at once."""
    assert not edge.manager.wait_for_hosts_up(["nobody"], 0.01)
    assert edge.manager.wait_for_hosts_up([], 0)


def test_a_host_without_record_cannot_move(edge: Any) -> None:
    """A state change of an unknown host is refused, and it has no description."""
    with edge.store.session() as session:
        with pytest.raises(NoTransitionError, match="there is no host 99"):
            move(session, 99, Event.PING, edge.created)
        assert describe(session, 99) is None
