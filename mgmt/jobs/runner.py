"""Runs async jobs: a queue, worker threads, and the job's row, events and journal entries.

Upstream: framework/jobs/.../AsyncJobManagerImpl.java and server/.../event/ActionEventInterceptor.java (the framework's
events around a command).
"""

from __future__ import annotations

import logging
import threading
import traceback
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Protocol, TypeVar

from sqlalchemy import delete, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from mgmt.clock import Hold, making_current
from mgmt.errors import CloudError, ServerApiError, ServerStoppingError
from mgmt.jobs.backlog import Backlog
from mgmt.jobs.ids import check_custom_job_id, job_id_taken
from mgmt.jobs.states import JobSignal, JobState, Outcome, advance, cut_short, raised, returned
from mgmt.observe.correlation import correlated, current_correlation_id
from mgmt.observe.journal import Journal
from mgmt.observe.redaction import Redactor
from mgmt.providers import Providers
from mgmt.store.database import Store
from mgmt.store.models import AsyncJob

logger = logging.getLogger(__name__)

DEFAULT_WORKERS = 10
DEFAULT_EXPIRE_MINUTES = 1440
PURGE_INTERVAL_S = 60.0
SERVICE_UNAVAILABLE = 503
SHUTDOWN_TEXT = "Maintenance or Shutdown has been initiated on this management server. Can not accept new jobs"

B = TypeVar("B", contravariant=True)


class JobEventSpec(Protocol[B]):
    """The framework's events of a command (`mgmt.commands.declaration.EventSpec`)."""

    @property
    def type(self) -> str: ...
    @property
    def scheduled(self) -> Callable[[B], str]: ...
    @property
    def gerund(self) -> str: ...
    @property
    def resource_type(self) -> str | None: ...


class JobCommand(Protocol[B]):
    """What a job needs to know of its command (`mgmt.commands.declaration.Declaration` has it)."""

    @property
    def name(self) -> str: ...
    @property
    def java_class(self) -> str: ...
    @property
    def job_instance_type(self) -> str | None: ...
    @property
    def event(self) -> JobEventSpec[B] | None: ...


class JobCaller(Protocol):
    """Whose job it is (`mgmt.commands.declaration.Caller` has it)."""

    @property
    def user_id(self) -> int: ...
    @property
    def account_id(self) -> int: ...
    @property
    def domain_id(self) -> int: ...


class EventRecorder(Protocol):
    """`mgmt.inventory.events.record_event`: writes an event and returns its internal number."""

    def __call__(
        self,
        session: Session,
        providers: Providers,
        *,
        type: str,
        level: str,
        state: str,
        description: str,
        user_id: int,
        account_id: int,
        domain_id: int,
        resource_type: str | None = None,
        resource_uuid: str | None = None,
        start_id: int | None = None,
    ) -> int: ...


class _Events:
    """The events of one job; does nothing for a command that has none."""

    def __init__(
        self,
        providers: Providers,
        spec: JobEventSpec[Any] | None,
        record: EventRecorder | None,
        caller: JobCaller,
        instance_uuid: str | None,
    ) -> None:
        self._providers = providers
        self._spec = spec if record is not None else None
        self._record = record
        self._caller = caller
        self._instance_uuid = instance_uuid
        self._start_id: int | None = None

    def scheduled(self, session: Session, bound: object) -> None:
        if self._spec is not None:
            self._start_id = self._write(session, "INFO", "Scheduled", self._spec.scheduled(bound))

    def started(self, session: Session) -> None:
        if self._spec is not None and self._spec.gerund:
            gerund = self._spec.gerund
            self._write(session, "INFO", "Started", gerund[:1].upper() + gerund[1:])

    def ended(self, session: Session, state: JobState) -> None:
        if self._spec is None or not self._spec.gerund:
            return
        if state is JobState.SUCCEEDED:
            self._write(session, "INFO", "Completed", f"Successfully completed {self._spec.gerund}")
        else:
            self._write(session, "ERROR", "Completed", f"Error while {self._spec.gerund}")

    def _write(self, session: Session, level: str, state: str, description: str) -> int:
        assert self._spec is not None and self._record is not None
        return self._record(
            session,
            self._providers,
            type=self._spec.type,
            level=level,
            state=state,
            description=description,
            user_id=self._caller.user_id,
            account_id=self._caller.account_id,
            domain_id=self._caller.domain_id,
            resource_type=self._spec.resource_type,
            resource_uuid=self._instance_uuid,
            start_id=self._start_id,
        )


@dataclass(frozen=True)
class _Order:
    job_uuid: str
    command: str
    correlation_id: str
    run: Callable[[str], Mapping[str, Any]]
    events: _Events


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
        self._is_stopping = False
        self._is_abandoned = False
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

        A job that has not ended by then stays pending in the store, and the next server ends it as failed.
        """
        with self._changed:
            self._is_stopping = True
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
        run: Callable[[str], Mapping[str, Any]],
        record_event: EventRecorder | None = None,
        instance_uuid: str | None = None,
    ) -> str:
        """Write a pending job, queue it and return its UUID.

        `run` gets that UUID on a worker thread and returns the `jobresult`; what it raises ends the job as
        `mgmt.jobs.states.raised` says. `instance_uuid` is the entity that the job acts on. Raises
        InvalidParameterValueError for a custom id that is no UUID or is taken, ServerApiError 503 while the server
        stops.
        """
        if self._is_stopping:
            raise ServerApiError(SERVICE_UNAVAILABLE, SHUTDOWN_TEXT)
        job_uuid = self._providers.ids.uuid()
        if custom_job_uuid is not None:
            job_uuid = check_custom_job_id(custom_job_uuid)
        correlation_id = current_correlation_id() or self._providers.ids.uuid()
        events = _Events(self._providers, declaration.event, record_event, caller, instance_uuid)
        try:
            with self._store.session() as session:
                if custom_job_uuid is not None and _find(session, job_uuid) is not None:
                    raise job_id_taken(custom_job_uuid)
                session.add(
                    AsyncJob(
                        uuid=job_uuid,
                        command=declaration.name,
                        command_class=declaration.java_class,
                        user_id=caller.user_id,
                        account_id=caller.account_id,
                        status=int(JobState.IN_PROGRESS),
                        instance_type=declaration.job_instance_type,
                        instance_uuid=instance_uuid,
                        correlation_id=correlation_id,
                        created=self._providers.utcnow(),
                    )
                )
                session.flush()
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
                continue  # left pending: the next server ends it
            if hold is not None:
                hold.label = f"job {order.job_uuid} of {order.command}"
            with correlated(order.correlation_id), making_current(hold) if hold is not None else nullcontext():
                self._execute(order)

    def _execute(self, order: _Order) -> None:
        self._journal.record("job", order.command, job=order.job_uuid, state="running")
        try:
            with self._store.session() as session:
                order.events.started(session)
            outcome = returned(order.run(order.job_uuid))
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
            job = _find(session, order.job_uuid)
            assert job is not None, "pending jobs are not purged"
            state = self._end(job, outcome)
            order.events.ended(session, state)
        with self._changed:
            self._pending.discard(order.job_uuid)
            self._changed.notify_all()
        self._journal.record(
            "job", order.command, job=order.job_uuid, state=state.name.lower(), resultcode=outcome.result_code
        )

    def _end(self, job: AsyncJob, outcome: Outcome) -> JobState:
        state = advance(JobState(job.status), outcome.signal)
        job.status = int(state)
        job.result_code = outcome.result_code
        # A result is what any client may see; only error texts can quote what the job was given.
        is_result = outcome.signal is JobSignal.RETURNED
        job.result = dict(outcome.result) if is_result else self._redactor.value(outcome.result)
        job.completed = self._providers.utcnow()
        return state

    # Housekeeping -------------------------------------------------------------------------------------------------

    def _end_left_over_jobs(self) -> None:
        with self._store.session() as session:
            left_over = session.scalars(select(AsyncJob).where(AsyncJob.status == int(JobState.IN_PROGRESS)))
            for job in left_over:
                if job.uuid not in self._pending:
                    self._end(job, cut_short())
                    logger.warning("job %s of %s was left pending by an earlier server", job.uuid, job.command)

    def _purge(self, session: Session) -> None:
        now = self._providers.clock.monotonic()
        if self._last_purge is not None and now - self._last_purge < PURGE_INTERVAL_S:
            return
        self._last_purge = now
        oldest = self._providers.utcnow() - timedelta(minutes=self._expire_minutes())
        session.execute(
            delete(AsyncJob).where(AsyncJob.status != int(JobState.IN_PROGRESS), AsyncJob.completed < oldest)
        )


def _find(session: Session, job_uuid: str) -> AsyncJob | None:
    return session.scalar(select(AsyncJob).where(AsyncJob.uuid == job_uuid))
