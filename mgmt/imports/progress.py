"""How far the copies of an import are: bytes, rate and time left, for each disk and in all.

Only what was measured is shown: a rate is bytes over the time since the first report, and what nobody told is absent.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum


class Stage(Enum):
    """What copies disks, in the order in which it happens."""

    DOWNLOAD = "download"
    """the management server takes the disks of an OVF export"""
    EXPORT = "export"
    """the host exports the OVF with ovftool"""
    CONVERT = "convert"
    """virt-v2v on the host writes the disks"""
    IMPORT = "import"
    """the host copies the converted disks into their pools"""


STAGE_OF_TOOL = {"ovftool": Stage.EXPORT, "virt-v2v": Stage.CONVERT, "qemu-img": Stage.IMPORT}


@dataclass(frozen=True)
class Measure:
    """Bytes of a disk or of all, with the first and the last report of them; times in seconds of one clock."""

    bytes_done: int
    total_bytes: int | None
    first_bytes: int
    first_s: float
    last_s: float

    @property
    def rate_bytes_s(self) -> float | None:
        """Bytes a second since the first report; None while that cannot be told."""
        passed_s, done = self.last_s - self.first_s, self.bytes_done - self.first_bytes
        return done / passed_s if passed_s > 0 and done > 0 else None

    @property
    def eta_s(self) -> float | None:
        """Seconds that the rest takes at this rate; None while that cannot be told."""
        rate = self.rate_bytes_s
        if self.total_bytes is None or rate is None:
            return None
        return max(0, self.total_bytes - self.bytes_done) / rate

    def after(self, bytes_done: int, total_bytes: int | None, at_s: float) -> Measure:
        """With one more report."""
        return Measure(bytes_done, total_bytes, self.first_bytes, self.first_s, at_s)


@dataclass(frozen=True)
class Progress:
    """One stage: its disks by their number from 1, and all together."""

    stage: Stage
    disk_count: int
    disks: dict[int, Measure]

    @property
    def total(self) -> Measure | None:
        """All disks; its total is known once that of every disk is."""
        if not self.disks:
            return None
        measures = self.disks.values()
        totals = [measure.total_bytes for measure in measures if measure.total_bytes is not None]
        is_known = len(totals) == max(self.disk_count, len(self.disks))
        return Measure(
            bytes_done=sum(measure.bytes_done for measure in measures),
            total_bytes=sum(totals) if is_known else None,
            first_bytes=sum(measure.first_bytes for measure in measures),
            first_s=min(measure.first_s for measure in measures),
            last_s=max(measure.last_s for measure in measures),
        )


class ProgressBoard:
    """The latest stage of one import; safe from many threads. `now` is the clock, in seconds."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._lock = threading.Lock()
        self._stage: Stage | None = None
        self._disk_count = 0
        self._disks: dict[int, Measure] = {}
        self._alone: tuple[int, int] | None = None

    def copying(self, disk: int, disk_count: int) -> None:
        """The hosts' reports from now on are of that disk alone: each disk is copied by a command of its own."""
        with self._lock:
            self._alone = disk, disk_count

    def report(self, stage: Stage, disk: int, disk_count: int, bytes_done: int, total_bytes: int | None) -> None:
        """Disk number `disk` of `disk_count` is so far; a new stage replaces the one before."""
        with self._lock:
            if self._alone is not None:
                disk, disk_count = self._alone
            if stage is not self._stage:
                self._stage, self._disks = stage, {}
            self._disk_count = disk_count
            at_s, known = self._now(), self._disks.get(disk)
            if known is None or bytes_done < known.bytes_done or bytes_done == 0:  # its copy begins, or begins anew
                self._disks[disk] = Measure(bytes_done, total_bytes, bytes_done, at_s, at_s)
            else:
                self._disks[disk] = known.after(bytes_done, total_bytes, at_s)

    def latest(self) -> Progress | None:
        """The stage under way or last seen; None before anything was reported."""
        with self._lock:
            return None if self._stage is None else Progress(self._stage, self._disk_count, dict(self._disks))
