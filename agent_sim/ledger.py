"""What the programs of a fleet have made and run now: asked instead of searched for, which is cheap.

An entry is there as long as its file is; whoever knows that a file belongs to a volume settles it.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

FILE = "file"
FOLDER = "folder"
PASSWORD_FILE = "password file"
MOUNT = "mount"
PROCESS = "process"


@dataclass(frozen=True)
class Holding:
    """A thing that is there: its kind, the host that made it or has it, and its name there."""

    kind: str
    host: str
    name: str
    path: Path | None = field(default=None, compare=False, repr=False)
    """The real file; None for what is no file."""

    @property
    def is_there(self) -> bool:
        """Whether the file is still there; always so for what is none."""
        return self.path is None or self.path.exists()


class Ledger:
    """Notes of all hosts of a fleet; safe from many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._made: dict[Path, Holding] = {}
        self._running: dict[object, Holding] = {}

    def made(self, path: Path, kind: str, host: str, name: str) -> None:
        """A program or command of `host` has just made the file that is called `name` there."""
        real = path.resolve()  # a mount on its way may be unmounted before the file goes
        with self._lock:
            self._made[real] = Holding(kind, host, name, real)

    @contextmanager
    def running(self, tool: str, host: str, vm: str) -> Iterator[None]:
        """A program runs as long as the block does."""
        key = object()
        with self._lock:
            self._running[key] = Holding(PROCESS, host, f"{tool} for {vm}")
        try:
            yield
        finally:
            with self._lock:
                del self._running[key]

    def holdings(self) -> list[Holding]:
        """The files that are there and nobody settled, and the programs that run. Entries of files gone are dropped."""
        with self._lock:
            made, running = list(self._made.items()), list(self._running.values())
        gone = [path for path, holding in made if not holding.is_there]
        self._forget(gone)
        return [holding for path, holding in made if path not in gone] + running

    def settle(self, file_names: Collection[str]) -> None:
        """Forget the files with these names: they belong to somebody now."""
        with self._lock:
            paths = [path for path in self._made if path.name in file_names]
        self._forget(paths)

    def save(self) -> dict[Path, Holding]:
        """The entries for files, for `restore`."""
        with self._lock:
            return dict(self._made)

    def restore(self, made: Mapping[Path, Holding]) -> None:
        """Have those entries and no others."""
        with self._lock:
            self._made = dict(made)

    def _forget(self, paths: Iterable[Path]) -> None:
        with self._lock:
            for path in paths:
                self._made.pop(path, None)
