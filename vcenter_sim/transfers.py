"""How long it takes to download a disk of an export: the same rates, per ESXi host, as the hosts' tools have.

A stream carries what one HTTPS connection does, and no more than its share of what the ESXi host delivers at all.
"""

from __future__ import annotations

import math
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Protocol

MIB = 1024**2
LEAST_PARTS = 10
LONGEST_PART_S = 60.0  # a client hears something before it gives up


class Streams(Protocol):
    """How many disks stream from each ESXi host; whoever has other readers of the same hosts counts those too."""

    def stream(self, esxi_host: str) -> AbstractContextManager[None]:
        """Count one stream for the time of the block."""
        ...

    def count(self, esxi_host: str) -> int:
        """The streams that are open now."""
        ...


class OwnStreams:
    """The streams of one stand-in alone; safe from many threads."""

    def __init__(self) -> None:
        self._open: Counter[str] = Counter()
        self._lock = threading.Lock()

    @contextmanager
    def stream(self, esxi_host: str) -> Iterator[None]:
        """See Streams."""
        with self._lock:
            self._open[esxi_host] += 1
        try:
            yield
        finally:
            with self._lock:
                self._open[esxi_host] -= 1

    def count(self, esxi_host: str) -> int:
        """See Streams."""
        return self._open[esxi_host]


@dataclass(frozen=True)
class TransferModel:
    """Rates in MiB/s of the disks' sizes; all durations are divided by `time_scale`, infinity means no time at all."""

    https_stream_mib_s: float = 53.0  # 445 Mbit/s were measured for one stream
    esxi_limit_mib_s: float = 284.0
    time_scale: float = math.inf

    def duration_s(self, size_bytes: float, streams: int) -> float:
        """How long so many bytes take while `streams` read from the same ESXi host."""
        if math.isinf(self.time_scale):
            return 0.0
        rate = min(self.https_stream_mib_s, self.esxi_limit_mib_s / max(1, streams)) * MIB
        return size_bytes / rate / self.time_scale

    def parts(self, size_bytes: float) -> int:
        """In how many parts a file of that size is delivered, so that others who begin or end are felt."""
        return max(LEAST_PARTS, math.ceil(self.duration_s(size_bytes, 1) / LONGEST_PART_S))
