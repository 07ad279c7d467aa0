"""How another thread ends what a vCenter session is doing."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from mgmt.vmware.errors import VcenterError

log = logging.getLogger(__name__)


class Cancellation:
    """Whether the session's work was cancelled, and how what it waits for ends; safe from many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._is_cancelled = False
        self._ends: list[Callable[[], None]] = []

    def cancel(self) -> None:
        """End what is waited for now and refuse what would be waited for next."""
        with self._lock:  # held meanwhile: the session is not closed under an `end` that still talks to vCenter
            self._is_cancelled = True
            for end in self._ends:
                _try(end)

    def check(self) -> None:
        """Raise VcenterError once the work was cancelled."""
        if self._is_cancelled:
            raise VcenterError("The work in vCenter was cancelled")

    @contextmanager
    def ending_with(self, end: Callable[[], None]) -> Iterator[None]:
        """A block that waits; `end` lets it end early."""
        with self._lock:
            self._ends.append(end)
            if self._is_cancelled:
                _try(end)
        try:
            yield
        finally:
            with self._lock:
                self._ends.remove(end)


def _try(end: Callable[[], None]) -> None:
    try:
        end()
    except VcenterError as error:  # such as a task that cannot be cancelled: it takes as long as it takes
        log.info("the work in vCenter could not be cancelled: %s", error.text)
