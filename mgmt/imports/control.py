"""An import in the server's hands: how far it is, and how it is told to end (extension cancelImportVm).

An import runs in one thread at a time. Others look at it and cancel it: what it waits for registers how to be
interrupted, and every step begins with a look whether it should still begin.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import Enum

from mgmt.errors import CloudError
from mgmt.imports.progress import ProgressBoard
from mgmt.imports.queue import Demand, ImportQueue, Ticket
from mgmt.providers import Clock, RealClock

logger = logging.getLogger(__name__)


class Phase(Enum):
    """The life of an import. From ENDING on it cannot be cancelled any more."""

    RUNNING = "Running"
    CANCELLING = "Cancelling"
    ENDING = "Ending"
    COMPLETED = "Completed"
    FAILED = "Failed"
    CANCELLED = "Cancelled"


class ImportCancelledError(CloudError):
    """The import was cancelled: 530 in the job. Nothing of CloudStack's catches it on its way."""


class TooLateError(Exception):
    """An import that has ended, or is just ending, cannot be cancelled; `phase` says which."""

    def __init__(self, phase: Phase) -> None:
        super().__init__(phase.value)
        self.phase = phase


class ImportControl:
    """One import. `job_uuid` and `task_uuid` are its names for callers; safe from many threads.

    `order` is when it was asked for, `log_id` what its commands carry as `logid`, `host_id` the KVM host that copies
    disks for it, or did last.
    """

    def __init__(
        self, vm_name: str = "", job_uuid: str = "", *, log_id: str = "", order: float = 0.0, clock: Clock | None = None
    ) -> None:
        self.vm_name = vm_name
        self.job_uuid = job_uuid
        self.log_id = log_id
        self.order = order
        self.progress = ProgressBoard((clock or RealClock()).monotonic)
        self.host_id: int | None = None
        self.task_uuid: str | None = None
        self.step: str | None = None
        self._lock = threading.Lock()
        self._phase = Phase.RUNNING
        self._by: str | None = None
        self._interrupts: list[Callable[[], None]] = []
        self._notes: list[str] = []
        self._ticket: Ticket | None = None

    @property
    def phase(self) -> Phase:
        """Where in its life the import is."""
        return self._phase

    @property
    def was_cancelled(self) -> bool:
        """True once somebody cancelled it."""
        return self._by is not None

    @property
    def ticket(self) -> Ticket | None:
        """Its place in the queue of imports, once it is known what it needs."""
        return self._ticket

    @property
    def notes(self) -> tuple[str, ...]:
        """What a cancelled import could not be made to undo or to stop, in words."""
        with self._lock:
            return tuple(self._notes)

    @property
    def cancelled_text(self) -> str:
        """Who cancelled the import, and where it was, as job and task tell it."""
        at = f" at step: {self.step}" if self.step else " before it began"
        return f"The import of VM {self.vm_name} was cancelled by {self._by}{at}"

    def note(self, text: str) -> None:
        """Keep what the one who cancels should know."""
        with self._lock:
            self._notes.append(text)

    # For those who cancel -----------------------------------------------------------------------------------------

    def cancel(self, by: str) -> bool:
        """Have the import end; True when this call is the first to say so. Raises TooLateError.

        What the import waits for is interrupted; it then unmakes what it made, in its own time.
        """
        with self._lock:
            if self._phase is Phase.CANCELLING:
                return False
            if self._phase is not Phase.RUNNING:
                raise TooLateError(self._phase)
            self._phase, self._by = Phase.CANCELLING, by
            interrupts = list(reversed(self._interrupts))
        for interrupt in interrupts:
            try:
                interrupt()
            except Exception as error:  # the import notices at its next step at the latest
                logger.warning("the import of VM %s could not be interrupted: %s", self.vm_name, error)
        return True

    # For the import -----------------------------------------------------------------------------------------------

    def check(self) -> None:
        """Raise ImportCancelledError when the import was cancelled and has not begun to unmake what it made."""
        if self._phase is Phase.CANCELLING:
            raise ImportCancelledError(self.cancelled_text)

    @contextmanager
    def interruptible(self, interrupt: Callable[[], None]) -> Iterator[None]:
        """A block that waits for something: `interrupt` lets it end early, and may come when it has ended already."""
        with self._lock:
            self.check()
            self._interrupts.append(interrupt)
        try:
            yield
        finally:
            with self._lock:
                self._interrupts.remove(interrupt)

    def begin(self, step: str) -> None:
        """A step is about to begin; raises ImportCancelledError."""
        self.check()
        self.step = step

    def commit(self) -> None:
        """The import has succeeded; raises ImportCancelledError when it was cancelled just before."""
        with self._lock:
            self.check()
            self._phase = Phase.ENDING

    def fail(self) -> bool:
        """The import begins to unmake what it made; True when that is because it was cancelled."""
        with self._lock:
            was_cancelled = self._phase is Phase.CANCELLING
            self._phase = Phase.ENDING
            return was_cancelled

    def enter(self, queue: ImportQueue, demand: Demand) -> Ticket:
        """The import's ticket for what it needs; one that was granted for something else is given back."""
        ticket = self._ticket
        if ticket is None or ticket.demand != demand or not ticket.is_granted:
            self.leave_queue()
            ticket = self._ticket = queue.enter(demand, self.order)
        return ticket

    def leave_queue(self) -> None:
        """Give back the import's place."""
        if self._ticket is not None:
            self._ticket.withdraw()

    def end(self, phase: Phase) -> None:
        """The import has ended as `phase`; what it held for others to call goes."""
        with self._lock:
            self._phase = phase
            self._interrupts.clear()
