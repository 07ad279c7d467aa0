"""Directory-backed space of fixed capacity: what the files in it stand for, counted without reading all of them anew.

A pool of a few thousand VMs is asked for its free space several times by every conversion. What the simulated tools
write is counted as they write it; whatever else changes a directory is noticed by the directory's time of change, and
files that others change in place when the count is older than `COUNT_LIFETIME_S`.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from agent_sim.providers import RealClock
from agent_sim.toolchain.images import modelled_size_bytes, set_allocated, write_qcow2

COUNT_LIFETIME_S = 5.0
FEW_FILES = 20  # counting them takes less time than waking a thread for it
# File systems stamp changes with the tick of the machine: a directory that just changed may change again unseen.
_TICK_NS = 20_000_000
_clock = RealClock()


@dataclass
class _Count:
    """Sizes by path, with the stamp of the file they were read from, and the stamps of the directories."""

    at_s: float
    sizes: dict[str, tuple[tuple[int, int, int], int]] = field(default_factory=dict)
    directories: dict[str, int] = field(default_factory=dict)
    used_bytes: int = 0
    is_outdated: bool = False  # somebody else changed a directory; sizes by stamp are still right


@dataclass
class Space:
    """Directory-backed space, in bytes. May be used from several threads."""

    directory: Path
    capacity_bytes: int
    used_before_bytes: int = 0
    _count: _Count | None = field(default=None, init=False, repr=False)
    _real_folders: dict[str, str] = field(default_factory=dict, init=False, repr=False)
    _own_changes: dict[str, int] = field(default_factory=dict, init=False, repr=False)  # the last one by directory
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False)

    @cached_property
    def real_directory(self) -> Path:
        """The directory without any link in its path."""
        return self.directory.resolve()

    def available_bytes(self) -> int:
        """What is free now. May read the directory: call it in a worker thread where `is_quick` is false."""
        with self._lock:
            count = self._fresh()
            if count is None:
                count = self._count = self._recount()
            return max(0, self.capacity_bytes - self.used_before_bytes - count.used_bytes)

    def forget_count(self) -> None:
        """Count anew at the next question: somebody else put files into the directory, or took some out."""
        with self._lock:
            self._count = None
            self._own_changes.clear()

    @property
    def is_counted(self) -> bool:
        """Whether `available_bytes` knows the answer already."""
        with self._lock:
            return self._fresh() is not None

    @property
    def is_quick(self) -> bool:
        """Whether `available_bytes` need not go to a thread: it is counted, or there were few files the last time."""
        count = self._count
        return count is not None and (len(count.sizes) <= FEW_FILES or self.is_counted)

    def write_image(self, path: Path, virtual_size_bytes: int, *, allocated_bytes: int) -> None:
        """Make a qcow2 image, as `write_qcow2` does."""
        with self._changing(path):
            write_qcow2(path, virtual_size_bytes, allocated_bytes=allocated_bytes)

    def set_allocated(self, path: Path, allocated_bytes: int) -> None:
        """Say what an image that `write_image` made holds by now."""
        with self._lock:
            status = set_allocated(path, allocated_bytes)
            name = self._real(path)[1]
            known = self._count.sizes.get(name) if self._count is not None else None
            if self._count is not None and known is not None:
                self._count.used_bytes += allocated_bytes - known[1]
                self._count.sizes[name] = (_stamp(status), allocated_bytes)

    def write_text(self, path: Path, text: str) -> None:
        """Write a file of text."""
        with self._changing(path):
            path.write_text(text, encoding="utf-8")

    def remove(self, path: Path) -> None:
        """Delete a file; it may be gone."""
        with self._changing(path):
            path.unlink(missing_ok=True)

    @contextmanager
    def _changing(self, path: Path) -> Iterator[None]:
        """A change of one file directly in a directory, which the count follows."""
        folder, name = self._real(path)
        with self._lock:
            count = self._count
            is_ours = self._own_changes.get(folder) == (before_ns := _changed_ns(folder))
            if count is not None and count.directories.get(folder) != before_ns:
                count.is_outdated = True  # somebody else was there: count anew at the next question
            yield
            after_ns = _changed_ns(folder)
            if is_ours or after_ns != before_ns:
                self._own_changes[folder] = after_ns
            if count is None or count.is_outdated:
                return
            old = count.sizes.pop(name, None)
            try:
                new = (_stamp(path.stat()), modelled_size_bytes(path))
                count.sizes[name] = new
            except FileNotFoundError:
                new = None
            count.used_bytes += (new[1] if new else 0) - (old[1] if old else 0)
            count.directories[folder] = after_ns

    def _real(self, path: Path) -> tuple[str, str]:
        """The directory of a file in this space and the file in it, by their own names: each host has links to them."""
        parent, _, name = str(path).rpartition("/")
        folder = self._real_folders.get(parent)
        if folder is None:
            folder = self._real_folders[parent] = os.path.realpath(parent)
        return folder, f"{folder}/{name}"

    def _fresh(self) -> _Count | None:
        count = self._count
        if count is None or count.is_outdated or _clock.monotonic() - count.at_s > COUNT_LIFETIME_S:
            return None
        if any(_changed_ns(folder) != stamp for folder, stamp in count.directories.items()):
            return None
        return count

    def _recount(self) -> _Count:
        old = self._count.sizes if self._count is not None else {}
        count = _Count(_clock.monotonic())
        now_ns = int(_clock.now() * 1e9)
        pending = [os.path.realpath(self.directory)]
        while pending:
            folder = pending.pop()
            changed_ns = _changed_ns(folder)
            is_certain = now_ns - changed_ns > _TICK_NS or changed_ns == self._own_changes.get(folder)
            count.directories[folder] = changed_ns if is_certain else 0
            try:
                entries = list(os.scandir(folder))
            except FileNotFoundError:
                continue
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    pending.append(entry.path)
                elif entry.is_file(follow_symlinks=False):
                    self._count_file(count, entry, old)
        return count

    @staticmethod
    def _count_file(count: _Count, entry: os.DirEntry[str], old: dict[str, tuple[tuple[int, int, int], int]]) -> None:
        try:
            stamp = _stamp(entry.stat(follow_symlinks=False))
        except FileNotFoundError:
            return
        known = old.get(entry.path)
        size = known[1] if known is not None and known[0] == stamp else modelled_size_bytes(Path(entry.path))
        count.sizes[entry.path] = (stamp, size)
        count.used_bytes += size


def _stamp(status: os.stat_result) -> tuple[int, int, int]:
    return status.st_ino, status.st_mtime_ns, status.st_size


def _changed_ns(folder: str) -> int:
    try:
        return os.stat(folder).st_mtime_ns  # noqa: PTH116 - asked often, and making a Path costs more than asking
    except FileNotFoundError:
        return 0
