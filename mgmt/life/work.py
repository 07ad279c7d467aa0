"""One piece of work on a VM at a time (upstream: the per-VM queue of framework/jobs VmWorkJob)."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager


class VmWork:
    """The work on VMs that is under way or waits, by the VM's internal number."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._locks: dict[int, threading.Lock] = {}
        self._pending: Counter[int] = Counter()
        self.stopped_for_pool: dict[int, list[int]] = {}  # VMs to start when a pool's maintenance ends

    @contextmanager
    def on(self, vm_id: int) -> Iterator[None]:
        """Wait until nothing else works on the VM and keep others from it."""
        with self._guard:
            lock = self._locks.setdefault(vm_id, threading.Lock())
            self._pending[vm_id] += 1
        try:
            with lock:
                yield
        finally:
            with self._guard:
                self._pending[vm_id] -= 1
                if not self._pending[vm_id]:
                    del self._pending[vm_id], self._locks[vm_id]

    def is_pending(self, vm_id: int) -> bool:
        """True while something works on the VM or waits to."""
        with self._guard:
            return vm_id in self._pending
