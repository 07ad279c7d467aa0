"""The decision traces of the last imports, by their jobs."""

from __future__ import annotations

import threading
from collections import OrderedDict

from mgmt.imports.trace import Trace

KEPT = 1000


class TraceArchive:
    """Keeps the traces of the last `KEPT` imports in memory; safe from many threads."""

    def __init__(self) -> None:
        self._traces: OrderedDict[str, Trace] = OrderedDict()
        self._lock = threading.Lock()

    def keep(self, job_uuid: str, trace: Trace) -> None:
        """Keep the trace of a job that begins; it grows while the import runs."""
        with self._lock:
            self._traces[job_uuid] = trace
            while len(self._traces) > KEPT:
                self._traces.popitem(last=False)

    def clear(self) -> None:
        """Forget all."""
        with self._lock:
            self._traces.clear()

    def find(self, job_uuid: str) -> Trace | None:
        """The trace of a job, None when there is none (any more)."""
        with self._lock:
            return self._traces.get(job_uuid)
