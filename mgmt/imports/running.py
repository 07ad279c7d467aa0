"""The imports of one server by their jobs and tasks, those that wait for a worker included."""

from __future__ import annotations

import threading
from collections import OrderedDict
from contextlib import suppress

from mgmt.imports.control import ImportControl, Phase, TooLateError
from mgmt.imports.progress import STAGE_OF_TOOL
from mgmt.imports.queue import ImportQueue

KEPT_ENDED = 200
WAITING_STEP = "[2/5] Waiting"  # CloudStack's second step has not begun
_ENDED = (Phase.COMPLETED, Phase.FAILED, Phase.CANCELLED)


def extended_view(control: ImportControl | None, queue: ImportQueue) -> dict[str, object]:
    """What a task shows with extensions beyond, or in place of, what CloudStack's does."""
    if control is None or control.phase in _ENDED:
        return {}
    shown: dict[str, object] = {"jobid": control.job_uuid, "jobstatus": 0}
    waits_for = queue.waits_for(control.ticket) if control.ticket is not None else []
    if waits_for:
        shown |= {
            "step": WAITING_STEP,
            "description": f"Waiting for a place: {', '.join(map(str, waits_for))}",
        }
    return shown


class RunningImports:
    """Every import that runs and the last `KEPT_ENDED` that ended; safe from many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._by_job: OrderedDict[str, ImportControl] = OrderedDict()
        self._by_log: dict[str, list[ImportControl]] = {}
        self._doomed: dict[str, str] = {}

    def begin(self, control: ImportControl) -> None:
        """Know an import that begins; one whose job was cancelled while it waited for a worker is cancelled at once."""
        with self._lock:
            self._by_job[control.job_uuid] = control
            self._by_log.setdefault(control.log_id, []).append(control)
            self._forget_old()
            by = self._doomed.pop(control.job_uuid, None)
        if by is not None:
            control.cancel(by)

    def clear(self) -> None:
        """Forget the imports that ended."""
        with self._lock:
            self._by_job.clear()
            self._by_log.clear()
            self._doomed.clear()

    def cancel_all(self, by: str) -> None:
        """Cancel what runs, and what begins later of the jobs that wait for a worker not at all."""
        with self._lock:
            controls = [control for control in self._by_job.values() if control.phase not in _ENDED]
        for control in controls:
            with suppress(TooLateError):
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

    def reported(self, log_id: str, tool: str, disk: int, disk_count: int, bytes_done: int, total_bytes: int) -> None:
        """A host tells how far a tool is with a disk, for the command with that log id; `disk` 0 is no disk."""
        stage = STAGE_OF_TOOL.get(tool)
        if stage is None or disk == 0:
            return
        with self._lock:
            under_way = [item for item in self._by_log.get(log_id, ()) if item.phase not in _ENDED]
        if len(under_way) == 1:  # else nobody knows whose it is
            under_way[0].progress.report(stage, disk, disk_count, bytes_done, total_bytes)

    def _forget_old(self) -> None:
        if len(self._by_job) <= KEPT_ENDED:
            return
        ended = [job for job, item in self._by_job.items() if item.phase in _ENDED]
        for job in ended[: max(0, len(ended) - KEPT_ENDED)]:
            control = self._by_job.pop(job)
            alike = self._by_log[control.log_id]
            alike.remove(control)
            if not alike:
                del self._by_log[control.log_id]
