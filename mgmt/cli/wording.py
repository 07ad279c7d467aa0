"""Words that the commands share: numbers with their nouns, and how this program is called."""

from __future__ import annotations

import shlex
import shutil
import sys
from pathlib import Path

PROGRAM = "cloudstack-mock"


def counted(number: int, noun: str) -> str:
    """`1 host`, `2 hosts`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def program() -> str:
    """How a shell calls this program: by its name where that is on the PATH, else by the path that was used."""
    if shutil.which(PROGRAM) is not None:
        return PROGRAM
    called = Path(sys.argv[0])
    if called.name == PROGRAM:
        return shlex.quote(sys.argv[0])
    return f"{shlex.quote(sys.executable)} -m mgmt.cli"
