"""How long a conversion takes: rates in MiB/s of allocated data, all values of the published measurements.

T_vddk = fixed + provisioned TiB * extent query + allocated / min(one stream, ESXi limit / streams)
T_ovf  = allocated / min(HTTPS stream * threads, ESXi limit / streams) + fixed + 2 * allocated / copy rate
T_move = allocated / copy rate
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

MIB = 1024**2
TIB = 1024**4


@dataclass(frozen=True)
class TimeModel:
    """The parameters; see the module for what they do."""

    disk_stream_mib_s: float = 100.0
    esxi_limit_mib_s: float = 284.0
    https_stream_mib_s: float = 53.0  # 445 Mbit/s were measured for one stream
    copy_mib_s: float = 200.0
    fixed_linux_s: float = 60.0
    fixed_windows_s: float = 120.0
    extent_s_per_tib: float = 30.0

    def fixed_s(self, *, windows: bool) -> float:
        """Appliance, inspection and drivers: the part that does not depend on the size."""
        return self.fixed_windows_s if windows else self.fixed_linux_s

    def extent_query_s(self, provisioned_bytes: int) -> float:
        """Asking for a disk's allocated blocks."""
        return provisioned_bytes / TIB * self.extent_s_per_tib

    def vddk_rate(self, streams: int) -> float:
        """Bytes per second of one VDDK stream while `streams` read from the same ESXi host."""
        return min(self.disk_stream_mib_s, self.esxi_limit_mib_s / max(1, streams)) * MIB

    def export_rate(self, threads: int, streams: int) -> float:
        """Bytes per second of an OVF export."""
        return min(self.https_stream_mib_s * max(1, threads), self.esxi_limit_mib_s / max(1, streams)) * MIB

    def copy_rate(self) -> float:
        """Bytes per second from a temporary to the final place."""
        return self.copy_mib_s * MIB


@dataclass
class EsxiStreams:
    """How many disks stream from each ESXi host now, over all hosts of a fleet; safe from many threads."""

    _open: Counter[str] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def stream(self, esxi_host: str) -> Iterator[None]:
        """Count one stream for the time of the block."""
        with self._lock:
            self._open[esxi_host] += 1
        try:
            yield
        finally:
            with self._lock:
                self._open[esxi_host] -= 1

    def count(self, esxi_host: str) -> int:
        """The streams that are open now."""
        return self._open[esxi_host]
