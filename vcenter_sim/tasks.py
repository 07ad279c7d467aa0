"""Tasks: work that takes some of the clock's time, shows its progress and ends in a result or a fault.

One thread serves all tasks of a stand-in from a heap of due steps, so that any number of them costs no threads.
"""

from __future__ import annotations

import heapq
import itertools
import logging
import queue
import threading
from collections import deque
from collections.abc import Callable
from typing import Any

from vcenter_sim import faults, wire
from vcenter_sim.injection import Injection, TaskFault
from vcenter_sim.inventory import Inventory, Managed
from vcenter_sim.providers import Clock, SteeredClock, utc
from vcenter_sim.types import Fault, Reference, vim, vmodl

log = logging.getLogger(__name__)

KEPT_TASKS = 500  # finished tasks that can still be read


class Scheduler:
    """Runs callbacks when the clock reaches their time, one after another on one daemon thread."""

    @classmethod
    def on(cls, clock: Clock) -> Scheduler:
        """One that waits on the clock, or that a steered clock calls."""
        return SteeredScheduler(clock) if isinstance(clock, SteeredClock) else cls(clock)

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._heap: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._stopped = False
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to run callbacks."""
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name="vcenter-sim-tasks", daemon=True)
        self._thread.start()

    def stop(self, timeout_s: float = 2.0) -> None:
        """Run nothing any more; what is still due is forgotten."""
        with self._lock:
            self._stopped = True
            self._heap.clear()
        self._wake.set()
        if self._thread is not None:
            self._thread.join(timeout_s)
            self._thread = None

    def after(self, delay_s: float, callback: Callable[[], None], *, drives: bool = True) -> None:
        """Run the callback `delay_s` seconds from now; a steered clock does not move for what does not drive."""
        with self._lock:
            if self._stopped:
                return
            heapq.heappush(self._heap, (self._clock.monotonic() + delay_s, next(self._order), callback))
        self._wake.set()

    def _run(self) -> None:
        while not self._stopped:
            self._wake.clear()
            callback, wait_s = self._next()
            if callback is None:
                self._clock.wait(self._wake, wait_s)
                continue
            try:
                callback()
            except Exception:
                log.exception("a step of a task failed")

    def _next(self) -> tuple[Callable[[], None] | None, float | None]:
        with self._lock:
            if not self._heap:
                return None, None
            wait_s = self._heap[0][0] - self._clock.monotonic()
            return (None, wait_s) if wait_s > 0 else (heapq.heappop(self._heap)[2], 0.0)


class SteeredScheduler(Scheduler):
    """Its timers are the clock's, in one order with all others there; the clock stands still for each callback."""

    def __init__(self, clock: SteeredClock) -> None:
        super().__init__(clock)
        self._steered = clock
        self._due: queue.SimpleQueue[tuple[Callable[[], None], Any] | None] = queue.SimpleQueue()

    def stop(self, timeout_s: float = 2.0) -> None:
        """See Scheduler."""
        self._due.put(None)
        super().stop(timeout_s)

    def after(self, delay_s: float, callback: Callable[[], None], *, drives: bool = True) -> None:
        """See Scheduler."""
        if not self._stopped:
            due_s = self._steered.monotonic() + delay_s
            self._steered.call_at(due_s, lambda hold: self._due.put((callback, hold)), drives=drives)

    def _run(self) -> None:
        while (due := self._due.get()) is not None:
            callback, hold = due
            try:
                if not self._stopped:
                    callback()
            except Exception:
                log.exception("a step of a task failed")
            finally:
                hold.end()


class Tasks:
    """Makes `Task` objects and drives them."""

    def __init__(self, inventory: Inventory, scheduler: Scheduler, injection: Injection | None = None) -> None:
        self._inventory = inventory
        self._scheduler = scheduler
        self._injection = injection
        self._recent: deque[Managed] = deque()

    def recent(self) -> Any:
        """The references of the latest tasks, for `TaskManager.recentTask`."""
        return wire.array("vim.Task", [task.ref for task in list(self._recent)[-20:]])

    def kept(self) -> tuple[Managed, ...]:
        """The tasks that can be read, for `keep_only`."""
        return tuple(self._recent)

    def keep_only(self, tasks: tuple[Managed, ...]) -> None:
        """Forget all other tasks; what is left of them to do is not done any more."""
        with self._inventory.lock:
            for task in self._recent:
                if task not in tasks and task["info"].completeTime is None:
                    task["info"].completeTime = utc(self._inventory.clock)
            self._recent = deque(tasks)

    def start(
        self,
        method: str,
        entity: Managed,
        user: str,
        work: Callable[[], Any],
        *,
        duration_s: float,
        steps: tuple[int, ...] = (25, 50, 75),
        cancelable: bool = False,
    ) -> Reference:
        """A task that reports each of `steps` (percent) over `duration_s`, then does `work` under the lock.

        What `work` returns is the task's result; a fault that it raises becomes the task's error.
        """
        task = self._add(method, entity, user)
        task["info"].cancelable = cancelable
        failing = self._injection.task(method, entity) if self._injection is not None else None
        if failing is not None:
            steps, work = tuple(step for step in steps if step <= failing.percent), _failing(failing, work)
        pause_s = duration_s / (len(steps) + 1)
        self._scheduler.after(0, lambda: self._advance(task, list(steps), pause_s, work))
        return task.ref

    def open(self, method: str, entity: Managed, user: str) -> Managed:
        """A task that runs until `close`: work that a client drives, such as an export."""
        with self._inventory.lock:
            task = self._add(method, entity, user)
            task["info"].state = "running"
            task["info"].startTime = utc(self._inventory.clock)
            return task

    def cancel(self, task: Managed) -> None:
        """End a task before its work is done; raises NotSupported, or InvalidState for one that has ended."""
        with self._inventory.lock:
            info = task["info"]
            if info.completeTime is not None:
                raise faults.invalid_state()
            if not info.cancelable:
                raise faults.not_cancelable()
            info.cancelled = True
            info.progress = None
            self.close(task, faults.request_canceled())

    def close(self, task: Managed, fault: Fault | None = None) -> None:
        """End a task of `open`, in `fault` when one is given; does nothing for one that has ended."""
        with self._inventory.lock:
            info = task["info"]
            if info.completeTime is not None:
                return
            info.error = fault
            info.state = "success" if fault is None else "error"
            info.completeTime = utc(self._inventory.clock)
            self._inventory.changed()

    def _add(self, method: str, entity: Managed, user: str) -> Managed:
        moid = self._inventory.new_moid("task-")
        info = vim.TaskInfo(
            key=moid,
            task=wire.reference(vim.Task, moid),
            name=wire.managed_method(method),
            descriptionId=f"{entity.kind._wsdlName}.{_description(method)}",
            entity=entity.ref,
            entityName=entity.name,
            state="queued",
            cancelled=False,
            cancelable=False,
            reason=vim.TaskReasonUser(userName=user),
            queueTime=utc(self._inventory.clock),
            eventChainId=int(moid.rpartition("-")[2]),
        )
        task = self._inventory.add(vim.Task, moid, info=info)
        self._keep(task)
        return task

    def _keep(self, task: Managed) -> None:
        with self._inventory.lock:
            self._recent.append(task)
            while len(self._recent) > KEPT_TASKS and self._recent[0]["info"].completeTime is not None:
                self._inventory.remove(self._recent.popleft())

    def _advance(self, task: Managed, steps: list[int], pause_s: float, work: Callable[[], Any]) -> None:
        with self._inventory.lock:
            info = task["info"]
            if info.completeTime is not None:
                return  # cancelled
            if info.state == "queued":
                info.state = "running"
                info.startTime = utc(self._inventory.clock)
                info.progress = 0
            elif steps:
                info.progress = steps.pop(0)
            else:
                self._finish(info, work)
                self._inventory.changed()
                return
            self._inventory.changed()
        self._scheduler.after(pause_s, lambda: self._advance(task, steps, pause_s, work))

    def _finish(self, info: Any, work: Callable[[], Any]) -> None:
        try:
            info.result = work()
            info.state = "success"
        except vmodl.MethodFault as fault:
            log.info("task %s (%s) failed: %s", info.key, info.descriptionId, fault.msg)
            info.error = fault
            info.state = "error"
        except Exception as error:
            log.exception("task %s (%s) failed", info.key, info.descriptionId)
            info.error = faults.system_error(type(error).__name__)
            info.state = "error"
        info.progress = None
        info.completeTime = utc(self._inventory.clock)


def _failing(failing: TaskFault, work: Callable[[], Any]) -> Callable[[], Any]:
    def fail() -> Any:
        if failing.leaves_work:
            work()
        raise failing.fault

    return fail


def _description(method: str) -> str:
    name = method.removesuffix("_Task").removesuffix("VM")
    return name[:1].lower() + name[1:]
