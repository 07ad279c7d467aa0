"""The leak detector of the suite sees what it is there for."""

from __future__ import annotations

import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.plugins import leftovers


@contextmanager
def a_socket() -> Iterator[str]:
    with socket.socket():
        yield "open socket:"


@contextmanager
def an_open_file() -> Iterator[str]:
    with Path(__file__).open():
        yield f"open {__file__}"


@contextmanager
def a_process() -> Iterator[str]:
    with subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE) as process:
        yield f"process {process.pid}: "
        process.communicate()


@contextmanager
def a_temporary_file() -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="left-") as folder:
        yield f"file {Path(folder).name}"


@pytest.mark.parametrize("make", [a_socket, an_open_file, a_process, a_temporary_file])
def test_what_is_left_is_named(make: type) -> None:
    """An open socket or file, a process and a temporary file are told while they are there, and not afterwards."""
    before = leftovers.held()
    with make() as words:
        left = leftovers.left_since(before, leftovers.NOTHING, timeout_s=0.0)
        assert any(each.startswith(words) for each in left), left
        assert leftovers.left_since(before, leftovers.held(), timeout_s=0.0) == []
    assert leftovers.left_since(before, leftovers.NOTHING, timeout_s=60.0) == []
