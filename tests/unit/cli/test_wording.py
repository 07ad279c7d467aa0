"""Words that the commands share."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from mgmt.cli.wording import counted, program


def test_numbers_with_their_nouns() -> None:
    """One host, no and two hosts."""
    assert [counted(number, "host") for number in (0, 1, 2)] == ["0 hosts", "1 host", "2 hosts"]


def test_the_program_is_named_as_a_shell_finds_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By its name on the PATH, else by the path that it was called by, else by its module."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "argv", ["mgmt/cli/__main__.py"])
    assert program() == f"{sys.executable} -m mgmt.cli"
    monkeypatch.setattr(sys, "argv", ["my envs/bin/cloudstack-mock"])
    assert program() == "'my envs/bin/cloudstack-mock'"
    script = tmp_path / "cloudstack-mock"
    script.touch(mode=0o755)
    assert program() == "cloudstack-mock"
