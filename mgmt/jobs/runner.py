"""Runs async jobs: a queue, worker threads, and the job's row, events and journal entries.

Upstream: framework/jobs/.../AsyncJobManagerImpl.java and server/.../event/ActionEventInterceptor.java (the framework's
events around a command).
"""

from __future__ import annotations

import logging
import threading
import traceback
from collections.abc import Callable, Generator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import cache
from typing import Any, TypeVar

from sqlalchemy import Delete, Select, bindparam, delete, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from mgmt.clock import Hold, making_current
from mgmt.errors import CloudError, ServerApiError, ServerStoppingError
from mgmt.jobs.backlog import Backlog
from mgmt.jobs.events import EventRecorder, JobCaller, JobCommand, JobEvents
from mgmt.jobs.ids import check_custom_job_id, job_id_taken
from mgmt.jobs.states import JobSignal, JobState, Outcome, advance, cut_short, raised, returned
from mgmt.jobs.waiting import Work
from mgmt.observe.correlation import correlated, current_correlation_id
from mgmt.observe.journal import Journal
from mgmt.observe.redaction import Redactor
from mgmt.providers import Providers
from mgmt.store.database import Store
from mgmt.store.models import AsyncJob
from mgmt.store.rows import add_row, change_row, table_of
from mgmt.store.rows import run as run_statement

logger = logging.getLogger(__name__)

DEFAULT_WORKERS = 10
DEFAULT_EXPIRE_MINUTES = 1440
PURGE_INTERVAL_S = 60.0
SERVICE_UNAVAILABLE = 503
SHUTDOWN_TEXT = "Maintenance or Shutdown has been initiated on this management server. Can not accept new jobs"

B = TypeVar("B", contravariant=True)
JobResult = Mapping[str, Any]


@dataclass(frozen=True)
class _Order:
    job_uuid: str
    command: str
    correlation_id: str
    run: Callable[[str], JobResult | Work[JobResult]]
    events: JobEvents
    work: Work[JobResult] | None = None  # of a job that has begun and waits


class JobRunner:
    """The async jobs of one server. `expire_minutes` gives how long an ended job is kept."""

    def __init__(
        self,
        store: Store,
        providers: Providers,
        journal: Journal,
        redactor: Redactor,
        *,
        workers: int = DEFAULT_WORKERS,
        expire_minutes: Callable[[], int] = lambda: DEFAULT_EXPIRE_MINUTES,
    ) -> None:
        self._store = store
        self._providers = providers
        self._journal = journal
        self._redactor = redactor
        self._worker_count = workers
        self._expire_minutes = expire_minutes
        self._queue: Backlog[_Order] = Backlog(providers.clock)
        self._changed = threading.Condition()
        self._pending: set[str] = set()
        self._threads: list[threading.Thread] = []
        self.accepts = True  # False: the server is about to be shut down
        self._is_stopping = False
        self._is_abandoned = False
        self._suspended: dict[str, _Order] = {}
        self._last_purge: float | None = None

    def start(self) -> None:
        """End jobs that an earlier server left pending, then begin to work on the queue."""
        self._end_left_over_jobs()
        for number in range(1, self._worker_count + 1):
            thread = threading.Thread(target=self._work, name=f"job-worker-{number}", daemon=True)
            self._threads.append(thread)
            thread.start()

    def stop(self, timeout_s: float) -> None:
        """Take no more jobs and give running ones `timeout_s` seconds to end.

        A job that has not ended by then, or waits without a thread, stays pending in the store, and the next server
        ends it as failed.
        """
        with self._changed:
            self._is_stopping = True
            suspended = list(self._suspended.values())
            self._suspended.clear()
        for order in suspended:
            self._cut_short(order)
        for _ in self._threads:
            self._queue.put(None)
        deadline = self._providers.clock.monotonic() + timeout_s
        for thread in self._threads:
            thread.join(max(0.0, deadline - self._providers.clock.monotonic()))
        self._threads = [thread for thread in self._threads if thread.is_alive()]
        if self._threads:
            self._is_abandoned = True
            logger.warning("jobs were still running %.1f s after the stop and are left pending", timeout_s)

    def join(self, timeout_s: float) -> None:
        """After `stop`, and once nothing is left for them to wait for: let the workers of abandoned jobs end."""
        deadline = self._providers.clock.monotonic() + timeout_s
        for thread in self._threads:
            thread.join(max(0.0, deadline - self._providers.clock.monotonic()))

    def submit(
        self,
        declaration: JobCommand[B],
        caller: JobCaller,
        bound: B,
        *,
        custom_job_uuid: str | None = None,
        run: Callable[[str], JobResult | Work[JobResult]],
        record_event: EventRecorder | None = None,
        tells_as: JobCaller | None = None,
        instance_uuid: str | None = None,
    ) -> str:
        """Write a pending job, queue it and return its UUID.

        `run` gets that UUID on a worker thread and returns the `jobresult`, or work that does so and gives the thread
        back while it waits; what it raises ends the job as `mgmt.jobs.states.raised` says. `instance_uuid` is the
        entity that the job acts on, `tells_as` whose its events are, the caller's by default. Raises
        InvalidParameterValueError for a custom id that is no UUID or is taken, ServerApiError 503 while the server
        stops.
        """
        if self._is_stopping or not self.accepts:
            raise ServerApiError(SERVICE_UNAVAILABLE, SHUTDOWN_TEXT)
        job_uuid = self._providers.ids.uuid()
        if custom_job_uuid is not None:
            job_uuid = check_custom_job_id(custom_job_uuid)
        correlation_id = current_correlation_id() or self._providers.ids.uuid()
        events = JobEvents(self._providers, declaration.event, record_event, tells_as or caller, instance_uuid)
        try:
            with self._store.session() as session:
                if custom_job_uuid is not None and _find(session, job_uuid) is not None:
                    raise job_id_taken(custom_job_uuid)
                job = {
                    "uuid": job_uuid,
                    "command": declaration.name,
                    "command_class": declaration.java_class,
                    "user_id": caller.user_id,
                    "account_id": caller.account_id,
                    "status": int(JobState.IN_PROGRESS),
                    "instance_type": declaration.job_instance_type,
                    "instance_uuid": instance_uuid,
                    "correlation_id": correlation_id,
                    "created": self._providers.utcnow(),
                }
                add_row(session, AsyncJob, job)
                events.scheduled(session, bound)
                self._purge(session)
        except IntegrityError:
            if custom_job_uuid is None:
                raise
            raise job_id_taken(custom_job_uuid) from None
        with self._changed:
            self._pending.add(job_uuid)
        self._journal.record("job", declaration.name, correlation_id=correlation_id, job=job_uuid, state="queued")
        self._queue.put(_Order(job_uuid, declaration.name, correlation_id, run, events))
        return job_uuid

    @property
    def pending(self) -> frozenset[str]:
        """The jobs that have not ended, by their UUIDs."""
        with self._changed:
            return frozenset(self._pending)

    def wait(self, job_uuid: str, timeout_s: float) -> bool:
        """Wait until a job of this server has ended; False when it has not after `timeout_s` seconds of real time."""
        with self._changed:
            return self._changed.wait_for(lambda: job_uuid not in self._pending, timeout_s)

    # Workers ------------------------------------------------------------------------------------------------------

    def _work(self) -> None:
        hold: Hold | None = None
        while True:
            order, hold = self._queue.take(hold)
            if order is None:
                if hold is not None:
                    hold.end()
                return
            if self._is_stopping:
                self._cut_short(order)
                continue  # left pending: the next server ends it
            if hold is not None:
                hold.label = f"job {order.job_uuid} of {order.command}"
            with correlated(order.correlation_id), making_current(hold) if hold is not None else nullcontext():
                self._execute(order)

    def _execute(self, order: _Order) -> None:
        self._journal.record("job", order.command, job=order.job_uuid, state="running")
        try:
            result = self._advance(order)
            if result is None:
                return
            outcome = returned(result)
        except ServerStoppingError:
            logger.warning("job %s of %s was cut short by the stop and is left pending", order.job_uuid, order.command)
            return
        except Exception as error:
            outcome = raised(error)
            self._log_failure(order, error)
        try:
            self._finish(order, outcome)
        except Exception:
            logger.exception("job %s of %s ended but its end could not be written", order.job_uuid, order.command)

    def _advance(self, order: _Order) -> JobResult | None:
        """The job's result; None for one that waits now and is queued again when its wait is over."""
        work = order.work
        if work is None:
            with self._store.session() as session:
                order.events.started(session)
            begun = order.run(order.job_uuid)
            if not isinstance(begun, Generator):
                return begun
            work = begun
        try:
            wait = next(work)
        except StopIteration as end:
            result: JobResult = end.value
            return result
        suspended = replace(order, work=work)
        with self._changed:
            is_kept = not self._is_stopping
            if is_kept:
                self._suspended[order.job_uuid] = suspended
        if not is_kept:
            self._cut_short(suspended)
            return None
        self._journal.record("job", order.command, job=order.job_uuid, state="waiting")
        wait.on_ready(lambda: self._resume(order.job_uuid))
        return None

    def _resume(self, job_uuid: str) -> None:
        with self._changed:
            order = self._suspended.pop(job_uuid, None)
        if order is not None:
            self._queue.put(order)

    def _cut_short(self, order: _Order) -> None:
        """Tell work that waits that the server stops, so that it unmakes nothing on its way out."""
        if order.work is None:
            return
        try:
            order.work.throw(ServerStoppingError("the server is being stopped"))
        except (ServerStoppingError, StopIteration):
            logger.warning("job %s of %s waited at the stop and is left pending", order.job_uuid, order.command)
        except Exception:
            logger.exception("job %s of %s could not be cut short", order.job_uuid, order.command)

    def _log_failure(self, order: _Order, error: Exception) -> None:
        # Through the redactor: exceptions of libraries may quote what they were given.
        if isinstance(error, CloudError):  # an answer of CloudStack's, not a fault of ours
            logger.warning("job %s of %s failed: %s", order.job_uuid, order.command, self._redactor.text(error.text))
            if not logger.isEnabledFor(logging.DEBUG):
                return
        trace = self._redactor.text("".join(traceback.format_exception(error)))
        logger.error("job %s of %s failed: %s", order.job_uuid, order.command, trace)

    def _finish(self, order: _Order, outcome: Outcome) -> None:
        if self._is_abandoned:
            logger.warning("job %s of %s ended after the server had stopped", order.job_uuid, order.command)
            return
        with self._store.session() as session:
            job = run_statement(
                session, _status_by_uuid(), {"job": order.job_uuid}
            ).one()  # pending jobs are not purged
            state, ended = self._end(JobState(job.status), outcome)
            change_row(session, AsyncJob, job.id, ended)
            order.events.ended(session, state)
            # Before the commit: whoever sees the job's end finds it in the journal.
            self._journal.record(
                "job", order.command, job=order.job_uuid, state=state.name.lower(), resultcode=outcome.result_code
            )
        with self._changed:
            self._pending.discard(order.job_uuid)
            self._changed.notify_all()

    def _end(self, was: JobState, outcome: Outcome) -> tuple[JobState, dict[str, Any]]:
        """The state that follows, and the columns of the ended job."""
        state = advance(was, outcome.signal)
        # A result is what any client may see; only error texts can quote what the job was given.
        is_result = outcome.signal is JobSignal.RETURNED
        return state, {
            "status": int(state),
            "result_code": outcome.result_code,
            "result": dict(outcome.result) if is_result else self._redactor.value(outcome.result),
            "completed": self._providers.utcnow(),
        }

    # Housekeeping -------------------------------------------------------------------------------------------------

    def _end_left_over_jobs(self) -> None:
        with self._store.session() as session:
            pending = select(AsyncJob.id, AsyncJob.uuid, AsyncJob.command).where(
                AsyncJob.status == int(JobState.IN_PROGRESS)
            )
            for job in session.execute(pending).all():
                if job.uuid not in self._pending:
                    change_row(session, AsyncJob, job.id, self._end(JobState.IN_PROGRESS, cut_short())[1])
                    logger.warning("job %s of %s was left pending by an earlier server", job.uuid, job.command)

    def _purge(self, session: Session) -> None:
        now = self._providers.clock.monotonic()
        if self._last_purge is not None and now - self._last_purge < PURGE_INTERVAL_S:
            return
        self._last_purge = now
        oldest = self._providers.utcnow() - timedelta(minutes=self._expire_minutes())
        run_statement(session, _delete_ended(), {"oldest": oldest})


@cache
def _delete_ended() -> Delete:
    table = table_of(AsyncJob)
    return delete(table).where(table.c.status != int(JobState.IN_PROGRESS), table.c.completed < bindparam("oldest"))


@cache
def _status_by_uuid() -> Select[Any]:
    job = table_of(AsyncJob).c
    return select(job.id, job.status).where(job.uuid == bindparam("job"))


def _find(session: Session, job_uuid: str) -> AsyncJob | None:
    return session.scalar(select(AsyncJob).where(AsyncJob.uuid == job_uuid))
