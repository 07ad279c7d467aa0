"""One server for each database file: a second one would end the jobs of the first."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path


class ClaimedError(Exception):
    """Another process, or another server of this one, has the file; `pid` is whose, as far as it is known."""

    def __init__(self, pid: str) -> None:
        super().__init__(f"claimed by process {pid}")
        self.pid = pid


class Claim:
    """The claim on `file`: a lock on `FILE.lock`, which the system drops with the process, however it ends.

    Raises ClaimedError when somebody has it, and OSError when the lock file cannot be made.
    """

    def __init__(self, file: Path) -> None:
        self._path = file.with_name(f"{file.name}.lock")
        while True:
            self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if self._is_current():
                    break
            except BlockingIOError:
                pid = os.read(self._descriptor, 32).decode("ascii", "replace").strip() or "unknown"
                os.close(self._descriptor)
                raise ClaimedError(pid) from None
            except BaseException:
                os.close(self._descriptor)
                raise
            os.close(self._descriptor)
        os.ftruncate(self._descriptor, 0)
        os.write(self._descriptor, f"{os.getpid()}\n".encode())

    def _is_current(self) -> bool:
        """False when the former owner removed the file between our opening and our locking it."""
        try:
            return os.path.samestat(os.fstat(self._descriptor), self._path.stat())
        except FileNotFoundError:
            return False

    def release(self) -> None:
        """Give it up; may be called once."""
        self._path.unlink(missing_ok=True)
        os.close(self._descriptor)
