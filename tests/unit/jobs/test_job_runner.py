"""The job runner against a real store."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mgmt.errors import InvalidParameterValueError, ServerApiError
from mgmt.jobs.runner import SHUTDOWN_TEXT, JobRunner
from mgmt.observe.correlation import correlated, current_correlation_id
from mgmt.observe.journal import Journal
from mgmt.observe.redaction import Redactor
from mgmt.providers import Providers, RealClock
from mgmt.store.database import Store
from mgmt.store.models import AsyncJob
from tests.unit.jobs.doubles import Command, Owner

TIMEOUT_S = 60
UUID = "fbbf0edd-f3ab-4bf1-9910-566fc732e5ad"


class Clock(RealClock):
    def __init__(self) -> None:
        self.offset_s = 0.0

    def now(self) -> float:
        return super().now() + self.offset_s

    def monotonic(self) -> float:
        return super().monotonic() + self.offset_s


class World:
    """A store and runners on it."""

    def __init__(self, url: str) -> None:
        self.clock = Clock()
        self.providers = Providers(clock=self.clock)
        self.redactor = Redactor()
        self.journal = Journal(self.clock, self.redactor)
        self.store = Store(url, self.providers)
        self.runners: list[JobRunner] = []

    def runner(self, **options: Any) -> JobRunner:
        runner = JobRunner(self.store, self.providers, self.journal, self.redactor, workers=2, **options)
        self.runners.append(runner)
        return runner

    def job(self, job_uuid: str) -> AsyncJob | None:
        with self.store.session() as session:
            return session.query(AsyncJob).filter_by(uuid=job_uuid).one_or_none()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(f"sqlite:///{tmp_path / 'cloud.db'}")
    yield world
    for runner in world.runners:
        runner.stop(TIMEOUT_S)
    world.store.close()


def submit(runner: JobRunner, run: Any = lambda job: {"success": True}, **options: Any) -> str:
    return runner.submit(Command(), Owner(), None, run=run, **options)


def test_job_runs_on_a_worker_under_the_calls_correlation_id(world: World) -> None:
    """The function gets the job's id, on another thread, with the correlation id of who submitted it."""
    seen: list[Any] = []

    def run(job_uuid: str) -> dict[str, Any]:
        seen.extend([job_uuid, current_correlation_id(), threading.current_thread().name[:10]])
        return {"success": True}

    runner = world.runner()
    runner.start()
    with correlated("c-1"):
        job_uuid = submit(runner, run)
    assert runner.wait(job_uuid, TIMEOUT_S)
    assert seen == [job_uuid, "c-1", "job-worker"]
    job = world.job(job_uuid)
    assert job is not None
    assert (job.status, job.result_code, job.result, job.user_id, job.account_id) == (1, 0, {"success": True}, 2, 3)
    assert job.completed is not None and job.completed >= job.created


def test_jobs_run_side_by_side(world: World) -> None:
    """Two jobs that wait for each other both end."""
    barrier = threading.Barrier(2)
    runner = world.runner()
    runner.start()
    jobs = [submit(runner, lambda job: {"n": barrier.wait(TIMEOUT_S)}) for _ in range(2)]
    assert all(runner.wait(job, TIMEOUT_S) for job in jobs)
    assert {job.status for job in map(world.job, jobs) if job} == {1}


def test_failure_holds_no_registered_secret(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """Secrets are masked in error texts and the log; a result, which is public, is kept as it is."""
    world.redactor.register("VMware1!lab")
    runner = world.runner()
    runner.start()

    def fail(job_uuid: str) -> dict[str, Any]:
        raise InvalidParameterValueError("login VMware1!lab refused")

    with caplog.at_level(logging.DEBUG):
        good = submit(runner, lambda job: {"vm": {"name": "vm", "password": "x"}})
        bad = submit(runner, fail)
        assert runner.wait(good, TIMEOUT_S) and runner.wait(bad, TIMEOUT_S)
    good_job, bad_job = world.job(good), world.job(bad)
    assert good_job is not None and bad_job is not None
    assert good_job.result == {"vm": {"name": "vm", "password": "x"}}
    assert bad_job.result == {"errorcode": 431, "errortext": "login ***** refused"}
    assert "login ***** refused" in caplog.text
    assert "VMware1!lab" not in caplog.text


def test_unexpected_failure_is_logged_with_its_trace(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """A Python exception ends the job with a text that says nothing, and the log has the masked trace."""
    world.redactor.register("VMware1!lab")
    runner = world.runner()
    runner.start()

    def fail(job_uuid: str) -> dict[str, Any]:
        raise KeyError("VMware1!lab")

    with caplog.at_level(logging.ERROR, logger="mgmt.jobs.runner"):
        job_uuid = submit(runner, fail)
        assert runner.wait(job_uuid, TIMEOUT_S)
    job = world.job(job_uuid)
    assert job is not None and job.result_code == 530
    assert job.result["errortext"] == "Internal error executing command, please contact your system administrator"
    assert "KeyError: '*****'" in caplog.text and "in fail" in caplog.text
    assert "VMware1!lab" not in caplog.text


def test_stop_leaves_running_and_waiting_jobs_to_the_next_server(world: World) -> None:
    """A job that does not end in time stays pending, as do queued ones; the next start ends them as failed."""
    runner = world.runner()
    runner.start()
    started, go_on = threading.Semaphore(0), threading.Event()

    def hold(job_uuid: str) -> dict[str, Any]:
        started.release()
        go_on.wait(TIMEOUT_S)
        return {"success": True}

    running = [submit(runner, hold) for _ in range(2)]
    waiting = submit(runner)
    for _ in running:
        assert started.acquire(timeout=TIMEOUT_S)
    runner.stop(0.01)
    with pytest.raises(ServerApiError) as caught:
        submit(runner)
    assert (caught.value.errorcode, caught.value.text) == (503, SHUTDOWN_TEXT)
    assert {job.status for job in map(world.job, [*running, waiting]) if job} == {0}
    world.runner().start()
    go_on.set()
    runner.stop(TIMEOUT_S)
    for job in map(world.job, [*running, waiting]):
        assert job is not None and job.status == 2 and job.result_code == 530
        assert job.result["errortext"] == "job cancelled because of management server restart or shutdown"
        assert job.completed is not None


def test_jobs_that_wait_for_the_start_are_not_left_over(world: World) -> None:
    """A job submitted before the start is run, not ended."""
    runner = world.runner()
    job_uuid = submit(runner)
    assert not runner.wait(job_uuid, 0)
    runner.start()
    assert runner.wait(job_uuid, TIMEOUT_S)
    job = world.job(job_uuid)
    assert job is not None and job.status == 1


def test_custom_id_counts_once_also_for_two_at_a_time(world: World) -> None:
    """Of several callers with one custom id exactly one gets it."""
    runner = world.runner()
    runner.start()
    outcomes: list[str] = []
    barrier = threading.Barrier(4)

    def try_it() -> None:
        barrier.wait(TIMEOUT_S)
        try:
            outcomes.append(submit(runner, custom_job_uuid=UUID))
        except InvalidParameterValueError as error:
            outcomes.append(error.text)

    callers = [threading.Thread(target=try_it) for _ in range(4)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join(TIMEOUT_S)
    refused = f"UUID: {UUID} already exists so can't create/update with custom id"
    assert sorted(outcomes) == sorted([UUID, refused, refused, refused])


def test_old_jobs_are_purged(world: World) -> None:
    """An ended job is kept for job.expire.minutes; a pending one is never purged."""
    runner = world.runner(expire_minutes=lambda: 10)
    go_on = threading.Event()
    runner.start()
    pending = submit(runner, lambda job: {"ok": go_on.wait(TIMEOUT_S)})
    old = submit(runner)
    assert runner.wait(old, TIMEOUT_S)
    world.clock.offset_s = 9 * 60
    young = submit(runner)
    assert runner.wait(young, TIMEOUT_S) and world.job(old) is not None
    world.clock.offset_s = 11 * 60
    submit(runner)
    assert world.job(old) is None
    assert world.job(young) is not None and world.job(pending) is not None
    go_on.set()
    assert runner.wait(pending, TIMEOUT_S)


def test_end_that_cannot_be_written_is_logged(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """When the store refuses the end of a job, the worker lives on and the log says so."""
    runner = world.runner()
    runner.start()
    with caplog.at_level(logging.ERROR, logger="mgmt.jobs.runner"):
        submit(runner, lambda job: {"x": object()})
        after = submit(runner)
        assert runner.wait(after, TIMEOUT_S)
        submit(runner, lambda job: {"y": object()})
        assert runner.wait(submit(runner), TIMEOUT_S)
    runner.stop(TIMEOUT_S)
    assert "ended but its end could not be written" in caplog.text
