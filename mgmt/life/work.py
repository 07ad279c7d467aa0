"""One piece of work on a VM at a time (upstream: the per-VM queue of framework/jobs VmWorkJob)."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from mgmt.clock import new_event
from mgmt.providers import Clock, RealClock


class VmWork:
    """The work on VMs that is under way or waits, by the VM's internal number."""

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or RealClock()
        self._guard = threading.Lock()
        self._queues: dict[int, deque[threading.Event]] = {}
        self.stopped_for_pool: dict[int, list[int]] = {}  # VMs to start when a pool's maintenance ends
        self.remounted_pools: set[int] = set()  # pools that a host may have missed the end of the maintenance of

    @contextmanager
    def on(self, vm_id: int) -> Iterator[None]:
        """Wait until nothing else works on the VM and keep others from it."""
        turn = new_event(self._clock)
        with self._guard:
            queue = self._queues.setdefault(vm_id, deque())
            queue.append(turn)
            is_first = len(queue) == 1
        try:
            if not is_first:
                self._clock.wait(turn, None)
            yield
        finally:
            with self._guard:
                queue.remove(turn)
                if queue:
                    queue[0].set()
                else:
                    del self._queues[vm_id]

    def is_pending(self, vm_id: int) -> bool:
        """True while something works on the VM or waits to."""
        with self._guard:
            return vm_id in self._queues
