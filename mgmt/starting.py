"""How a world that starts says that it has, or has not: its error and its ready file; and files that hold keys."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path


class StartError(RuntimeError):
    """The world did not come up; the text says which part and why."""


def write_private(file: Path, text: str) -> None:
    """Write a text that holds keys to a file that its owner alone may read; raises OSError."""
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as out:
        os.fchmod(out.fileno(), 0o600)  # of a file that was there
        out.write(text)


def write_ready_file(path: Path, content: Mapping[str, object]) -> None:
    """Write the content to `path` at once (no half-written file is ever seen), readable by its owner only.

    Raises StartError when the file is that of another server that still runs.
    """
    _refuse_foreign(path)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # mkstemp makes it mode 0600
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(content, file, indent=2)
            file.write("\n")
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def clear_ready_file(path: Path) -> None:
    """Remove what a server that is gone left at `path`: who waits for the file must not find its ports.

    Raises StartError when the file is that of a server that still runs, or when none could be written there.
    """
    _refuse_foreign(path)
    if path.is_dir() or not path.parent.is_dir() or not os.access(path.parent, os.W_OK):
        raise StartError(f"ready_file = '{path}' cannot be used: expected a file to write in a folder that is there")
    path.unlink(missing_ok=True)


def _refuse_foreign(ready_file: Path) -> None:
    other_pid = owner_of(ready_file)
    if other_pid is not None and other_pid != os.getpid() and _runs(other_pid):
        raise StartError(f"{ready_file}: the ready file of a server that still runs, with pid {other_pid}")


def owner_of(ready_file: Path) -> int | None:
    """The pid that a ready file names; None when there is no such file, or it is none of ours."""
    try:
        content = json.loads(ready_file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    pid = content.get("pid") if isinstance(content, dict) else None
    return pid if isinstance(pid, int) and pid > 0 else None


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
