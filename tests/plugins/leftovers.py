"""What tests may leave behind beside threads: open files and sockets, processes, files in the temporary folder.

Each process of a run has a temporary folder of its own, so that nobody else's files are found in it.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import os
import shutil
import tempfile
import time
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

import pytest

LOOK_S = 0.02
_DESCRIPTORS = Path("/proc/self/fd")
_TASKS = Path("/proc/self/task")
# What Python keeps for the whole process once it was needed, and what the machine's libraries do.
_OF_THE_PROCESS = ("/dev/", "/proc/", "/sys/")
_OWN_PROGRAMS = ("multiprocessing.resource_tracker", "multiprocessing.forkserver")


@dataclass(frozen=True)
class Held:
    """What this process has at some time: descriptors by number with what they are, child processes, files."""

    descriptors: frozenset[tuple[str, str]]
    children: frozenset[str]
    files: frozenset[str]

    def beyond(self, other: Held) -> list[str]:
        """What is there and was not at the other time, as words."""
        opened = [
            (number, target)
            for number, target in sorted(self.descriptors - other.descriptors)
            if other.files.isdisjoint(Path(target).parts)  # a database that is meant to be there may be opened again
        ]
        found = [f"open {target} (descriptor {number})" for number, target in opened]
        found += [f"process {pid}: {_command_of(pid)}" for pid in sorted(self.children - other.children)]
        found += [f"file {name}" for name in sorted(self.files - other.files)]
        return found

    def __or__(self, other: Held) -> Held:
        return Held(self.descriptors | other.descriptors, self.children | other.children, self.files | other.files)

    def __sub__(self, other: Held) -> Held:
        return Held(self.descriptors - other.descriptors, self.children - other.children, self.files - other.files)


NOTHING = Held(frozenset(), frozenset(), frozenset())


class OfTheSession:
    """A plug-in that remembers what fixtures of the whole session hold: no module leaves that."""

    def __init__(self) -> None:
        self.held = NOTHING

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef: pytest.FixtureDef[object]) -> Generator[None, object, object]:
        """Compare before and after."""
        if fixturedef.scope != "session":
            return (yield)
        before = held()
        try:
            return (yield)
        finally:
            self.held |= held() - before


def own_temporary_folder() -> Path:
    """Make the temporary folder of this process, which goes with it; pytest's own files stay where they were."""
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", tempfile.gettempdir())
    folder = tempfile.mkdtemp(prefix="cloudstack-mock-tests-")
    tempfile.tempdir = os.environ["TMPDIR"] = folder
    owner = os.getpid()
    atexit.register(lambda: shutil.rmtree(folder, ignore_errors=True) if os.getpid() == owner else None)
    return Path(folder)


def held() -> Held:
    """What this process has now."""
    return Held(_descriptors(), _children(), frozenset(_names_in(Path(tempfile.gettempdir()))))


def left_since(before: Held, allowed: Held, timeout_s: float) -> list[str]:
    """What is there beyond both; waits for what is being closed."""
    deadline = time.monotonic() + timeout_s
    has_collected = False
    while left := held().beyond(before | allowed):
        if not has_collected:
            gc.collect()
            has_collected = True
        elif time.monotonic() > deadline:
            break
        else:
            time.sleep(LOOK_S)
    return left


def _names_in(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()] if folder.is_dir() else []  # not all systems have /proc


def _descriptors() -> frozenset[tuple[str, str]]:
    found = set()
    for number in _names_in(_DESCRIPTORS):
        with contextlib.suppress(OSError):  # the one that lists them
            target = str((_DESCRIPTORS / number).readlink())
            if int(number) > 2 and not target.startswith(_OF_THE_PROCESS):  # pytest exchanges the first three
                found.add((number, target))
    return frozenset(found)


def _children() -> frozenset[str]:
    found: set[str] = set()
    for task in _names_in(_TASKS):
        with contextlib.suppress(OSError):  # a thread that has ended
            found.update((_TASKS / task / "children").read_text().split())
    return frozenset(pid for pid in found if not any(name in _command_of(pid) for name in _OWN_PROGRAMS))


def _command_of(pid: str) -> str:
    try:
        command = (Path("/proc") / pid / "cmdline").read_text().replace("\0", " ").strip()
    except OSError:
        return "it has ended"
    return command or "it has ended, and nobody has asked how"
