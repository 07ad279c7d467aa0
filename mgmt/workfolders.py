"""Temporary folders of a process, and the removal of those that killed processes left.

Simulated hosts keep files with a vCenter's password below such a folder. A process that is killed (`kill -9`, a lost
machine) cannot remove it; the next one does, by a lock that the system drops with its holder.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PREFIX = "cloudstack-mock-"
LOCK_NAME = ".in-use"


class WorkFolder:
    """A new folder of this process alone, below the system's folder for temporary files, until `remove`."""

    def __init__(self, purpose: str = "") -> None:
        self.path = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{purpose}"))  # mode 0700
        self._lock = os.open(self.path / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        # A lock file without a pid is that of a process that has not come to its lock yet: nobody removes its folder.
        os.write(self._lock, f"{os.getpid()}\n".encode())

    def __enter__(self) -> Path:
        return self.path

    def __exit__(self, *exc: object) -> None:
        self.remove()

    def remove(self) -> None:
        """Remove the folder with all that is in it; may be called once."""
        shutil.rmtree(self.path, ignore_errors=True)
        os.close(self._lock)


def remove_left_folders() -> list[Path]:
    """Remove the folders that processes of this user left which live no more; which they were.

    A folder without a lock file, one of another user, and what only looks like a folder stay as they are.
    """
    removed = []
    for folder in _candidates():
        with _taken(folder) as is_left:
            if is_left:
                shutil.rmtree(folder, ignore_errors=True)
                removed.append(folder)
    return removed


def _candidates() -> list[Path]:
    return [path for path in Path(tempfile.gettempdir()).iterdir() if path.name.startswith(PREFIX) and _is_own(path)]


def _is_own(folder: Path) -> bool:
    try:
        about = folder.lstat()
    except OSError:  # its process has just removed it
        return False
    return stat.S_ISDIR(about.st_mode) and about.st_uid == os.geteuid()


@contextmanager
def _taken(folder: Path) -> Iterator[bool]:
    """Whether nobody holds the folder's lock: it is held here meanwhile."""
    try:
        lock = os.open(folder / LOCK_NAME, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        yield False
        return
    try:
        yield _is_left(lock)
    finally:
        os.close(lock)


def _is_left(lock: int) -> bool:
    about = os.fstat(lock)
    if not stat.S_ISREG(about.st_mode) or about.st_uid != os.geteuid():
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return os.fstat(lock).st_size > 0
