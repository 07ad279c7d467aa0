"""Jobs that wait without a thread."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from mgmt.errors import CloudRuntimeError, ServerStoppingError
from mgmt.jobs.runner import JobRunner
from mgmt.jobs.waiting import Work, begun, run_blocking
from mgmt.observe.correlation import correlated, current_correlation_id
from mgmt.observe.journal import Journal
from mgmt.observe.redaction import Redactor
from mgmt.providers import Providers
from mgmt.store.database import Store
from mgmt.store.models import AsyncJob
from tests.unit.jobs.doubles import Command, Owner

TIMEOUT_S = 60


@dataclass
class Gate:
    """A wait that the test ends."""

    is_open: bool = False
    callbacks: list[Callable[[], None]] = field(default_factory=list)
    waited: threading.Event = field(default_factory=threading.Event)

    def on_ready(self, callback: Callable[[], None]) -> None:
        if self.is_open:
            callback()
        else:
            self.callbacks.append(callback)
        self.waited.set()

    def open(self) -> None:
        self.is_open = True
        for callback in self.callbacks:
            callback()


@pytest.fixture
def store() -> Iterator[Store]:
    made = Store("sqlite://", Providers())
    yield made
    made.close()


@pytest.fixture
def runner(store: Store) -> Iterator[JobRunner]:
    providers, redactor = Providers(), Redactor()
    made = JobRunner(store, providers, Journal(providers.clock, redactor), redactor, workers=2)
    made.start()
    yield made
    made.stop(TIMEOUT_S)


def submit(runner: JobRunner, run: Any) -> str:
    return runner.submit(Command(), Owner(), None, run=run)


def status(store: Store, job_uuid: str) -> tuple[int, Any]:
    with store.session() as session:
        job = session.query(AsyncJob).filter_by(uuid=job_uuid).one()
        return job.status, job.result


def test_waiting_jobs_hold_no_worker(runner: JobRunner, store: Store) -> None:
    """Twenty jobs that wait keep two workers from nothing, and go on under their own correlation id."""
    gates = [Gate() for _ in range(20)]

    def work(gate: Gate) -> Work[dict[str, Any]]:
        before = current_correlation_id()
        yield gate
        assert current_correlation_id() == before
        return {"correlation": before}

    jobs = []
    for number, gate in enumerate(gates):
        with correlated(f"c-{number}"):
            jobs.append(submit(runner, lambda job, gate=gate: work(gate)))
    assert all(gate.waited.wait(TIMEOUT_S) for gate in gates)
    other = submit(runner, lambda job: {"success": True})
    assert runner.wait(other, TIMEOUT_S)
    assert status(store, jobs[0]) == (0, None)
    for gate in reversed(gates):
        gate.open()
    assert all(runner.wait(job, TIMEOUT_S) for job in jobs)
    assert [status(store, job)[1] for job in jobs] == [{"correlation": f"c-{number}"} for number in range(20)]


def test_work_that_waits_twice_and_fails(runner: JobRunner, store: Store) -> None:
    """A wait that is over already takes no time; an error after a wait ends the job as any other."""
    gate = Gate()

    def work() -> Work[dict[str, Any]]:
        yield Gate(is_open=True)
        yield gate
        raise CloudRuntimeError("no luck")

    job = submit(runner, lambda job: work())
    assert gate.waited.wait(TIMEOUT_S)
    gate.open()
    assert runner.wait(job, TIMEOUT_S)
    assert status(store, job) == (2, {"errorcode": 530, "errortext": "no luck"})


def test_a_stop_cuts_waiting_work_short(runner: JobRunner, store: Store) -> None:
    """Work that waits is told that the server stops; its job stays pending, and a late end of the wait does nothing."""
    gate, seen = Gate(), []

    def work() -> Work[dict[str, Any]]:
        try:
            yield gate
        except ServerStoppingError:
            seen.append("stopping")
            raise
        finally:
            seen.append("left")
        return {}

    job = submit(runner, lambda job: work())
    assert gate.waited.wait(TIMEOUT_S)
    runner.stop(TIMEOUT_S)
    assert seen == ["stopping", "left"]
    gate.open()
    assert status(store, job)[0] == 0
    assert seen == ["stopping", "left"]


def test_blocking_and_begun() -> None:
    """Work can be run by one thread as well; work that never waits gives its result at once."""
    gate = Gate(is_open=True)

    def work(waits: int) -> Work[int]:
        for _ in range(waits):
            yield gate
        return waits

    assert run_blocking(work(3)) == 3
    assert begun(work(0)) == 0
    rest = begun(work(2))
    assert not isinstance(rest, int)
    assert run_blocking(rest) == 2
