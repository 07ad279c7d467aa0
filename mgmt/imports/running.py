"""The imports of one server by their jobs and tasks, those that wait for a worker included."""

from __future__ import annotations

import threading
from collections import OrderedDict

from mgmt.imports.control import ImportControl, Phase

KEPT_ENDED = 200
_ENDED = (Phase.COMPLETED, Phase.FAILED, Phase.CANCELLED)


class RunningImports:
    """Every import that runs and the last `KEPT_ENDED` that ended; safe from many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._by_job: OrderedDict[str, ImportControl] = OrderedDict()
        self._doomed: dict[str, str] = {}

    def begin(self, control: ImportControl) -> None:
        """Know an import that begins; one whose job was cancelled while it waited for a worker is cancelled at once."""
        with self._lock:
            self._by_job[control.job_uuid] = control
            self._forget_old()
            by = self._doomed.pop(control.job_uuid, None)
        if by is not None:
            control.cancel(by)

    def find(self, uuid: str) -> ImportControl | None:
        """The import of that job or task; None for one that has not begun, or is forgotten."""
        with self._lock:
            found = self._by_job.get(uuid)
            return found or next((item for item in self._by_job.values() if item.task_uuid == uuid), None)

    def doom(self, job_uuid: str, by: str) -> ImportControl | bool:
        """Cancel the import of a job that waits for a worker: True when this call is the first to say so.

        The import itself, when it has begun meanwhile.
        """
        with self._lock:
            begun = self._by_job.get(job_uuid)
            if begun is not None:
                return begun
            is_first = job_uuid not in self._doomed
            self._doomed.setdefault(job_uuid, by)
            return is_first

    def _forget_old(self) -> None:
        if len(self._by_job) <= KEPT_ENDED:
            return
        ended = [job for job, item in self._by_job.items() if item.phase in _ENDED]
        for job in ended[: max(0, len(ended) - KEPT_ENDED)]:
            del self._by_job[job]
