"""What `cloudstack-mock agents` says of a fleet that is not welcome."""

from __future__ import annotations

import socket
from collections import Counter
from types import SimpleNamespace
from typing import Any

import click
import pytest

from mgmt.cli import agents

NOBODY = ("127.0.0.1", 1)  # a port of the system, on which nobody listens


class Fleet:
    """Hosts that are welcome from the look of that number on; never for None."""

    def __init__(self, welcome_at: int | None, *refusals: str) -> None:
        self.looks = 0
        self._welcome_at = welcome_at
        self.agents = [SimpleNamespace(exit_reason=text) for text in refusals]
        self.is_stopped = False

    def start(self) -> None:
        pass

    def stop(self) -> None:
        self.is_stopped = True

    def wait_until_ready(self, timeout_s: float) -> bool:
        self.looks += 1
        return self._welcome_at is not None and self.looks >= self._welcome_at

    def census(self) -> Counter[str]:
        return Counter()


class Stop:
    """Somebody who stops the program at the wait of that number."""

    def __init__(self, at: int) -> None:
        self.waits, self._at = 0, at

    def is_set(self) -> bool:
        return self.waits >= self._at

    def wait(self, timeout_s: float | None = None) -> bool:
        self.waits += 1
        return self.is_set()


def serve(fleet: Any, stop: Any, connect: tuple[str, int] = NOBODY, hosts: int = 1) -> None:
    agents._serve(fleet, [object()] * hosts, connect, stop)  # type: ignore[list-item]


def test_nobody_listens(capsys: pytest.CaptureFixture[str]) -> None:
    """The reason is told while the hosts go on trying, and the end is an error."""
    fleet = Fleet(None)
    with pytest.raises(click.ClickException, match=r"^no host was ever welcome$"):
        serve(fleet, Stop(2))
    said = capsys.readouterr()
    assert said.out == "1 host connects to 127.0.0.1:1; stop with Ctrl-C\n"
    assert said.err.endswith("they go on trying (127.0.0.1:1: Connection refused)\n")
    assert fleet.is_stopped


def test_something_else_listens_or_the_server_refuses(capsys: pytest.CaptureFixture[str]) -> None:
    """A port that is no management server's, and the refusals of one, are told apart."""
    with socket.create_server(("127.0.0.1", 0)) as other, pytest.raises(click.ClickException):
        serve(Fleet(None), Stop(1), other.getsockname())
    assert "does not answer as a management server" in capsys.readouterr().err
    with pytest.raises(click.ClickException):
        serve(Fleet(None, "no such zone", "no such zone"), Stop(1))
    assert "they go on trying (the server refuses: no such zone)\n" in capsys.readouterr().err


def test_hosts_that_are_welcome_late(capsys: pytest.CaptureFixture[str]) -> None:
    """Who is welcome in the end is told so, and the end is no error."""
    serve(Fleet(3), Stop(4), hosts=2)
    said = capsys.readouterr()
    assert said.out.splitlines()[-1] == "all 2 hosts are welcome"
    assert "not all hosts were welcome within 5 s" in said.err
    serve(Fleet(1), Stop(1))
    assert capsys.readouterr() == ("1 host connects to 127.0.0.1:1; stop with Ctrl-C\nthe host is welcome\n", "")
