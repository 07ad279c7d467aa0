"""What every test gets: a check that it leaves no thread behind, and no socket, file or process either."""

from __future__ import annotations

import atexit
import gc
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator

import pytest
from hypothesis import HealthCheck, settings

from tests.plugins import leftovers

# Enough for a run of the whole suite, and the same examples each time, however slow the machine; CI takes more of them,
# and HYPOTHESIS_PROFILE=deep searches anew and longer.
ANY_MACHINE = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("suite", ANY_MACHINE, max_examples=20, derandomize=True)
settings.register_profile("ci", ANY_MACHINE, max_examples=40, derandomize=True)
settings.register_profile("deep", ANY_MACHINE, max_examples=1000, derandomize=False)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "suite"))

LEAK_TIMEOUT_S = 60.0
WORLD_THREADS = ("agent-fleet", "agents", "http-loop", "vcenter-sim-tasks")

leftovers.own_temporary_folder()
of_the_session = leftovers.OfTheSession()

atexit.register(gc.freeze)  # or the end of each worker looks through all of its memory once more


def pytest_configure(config: pytest.Config) -> None:
    """Hooks of this file are not asked about fixtures of the session."""
    config.pluginmanager.register(of_the_session)


def pytest_collection_finish() -> None:
    """Leave what lives as long as the run, modules and tests, out of the collector's rounds from now on."""
    gc.collect()
    gc.freeze()
    gc.enable()


gc.disable()  # nothing that the collection of tests imports is garbage; what the tests make is collected again
gc.set_threshold(50_000, 20, 20)  # worlds come and go with 100,000s of objects; rounds of 700 cost more than they free


def _must_end(before: set[threading.Thread]) -> None:
    """Fail if threads that are not in `before` go on running."""
    deadline = time.monotonic() + LEAK_TIMEOUT_S
    left = [thread for thread in threading.enumerate() if thread not in before]
    for thread in left:
        thread.join(max(0.0, deadline - time.monotonic()))
    left = [thread for thread in left if thread.is_alive()]
    assert not left, f"threads left behind: {', '.join(thread.name for thread in left)}"


@pytest.fixture(scope="module", autouse=True)
def no_thread_is_left_by_the_module() -> Iterator[None]:
    """Fail a module that leaves a thread running, those of its shared worlds included."""
    before = set(threading.enumerate())
    yield
    _must_end(before)


@pytest.fixture(scope="module", autouse=True)
def nothing_is_left_by_the_module() -> Iterator[None]:
    """Fail a module that leaves files or sockets open, processes running, or files in the temporary folder."""
    before = leftovers.held()
    yield
    left = leftovers.left_since(before, of_the_session.held, LEAK_TIMEOUT_S)
    assert not left, "left behind: " + "; ".join(left)


@pytest.fixture(autouse=True)
def no_thread_is_left(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test that leaves a thread running; a world that a module shares starts its threads when it needs them."""
    before = set(threading.enumerate())
    is_named = not {"lab", "replays"}.isdisjoint(request.fixturenames)
    shares_a_world = is_named or any(thread.name in WORLD_THREADS for thread in before)
    yield
    if not shares_a_world:
        _must_end(before)


@pytest.fixture(scope="session")
def wait_until() -> object:
    """`wait_until(condition, what, timeout_s=60)`: the condition's first true value, or a failed test at the bound."""

    def wait(condition: object, what: str, timeout_s: float = 60.0) -> object:
        assert callable(condition)
        deadline = time.monotonic() + timeout_s
        pause = threading.Event()
        while True:
            value = condition()
            if value:
                return value
            assert time.monotonic() < deadline, f"not within {timeout_s} s: {what}"
            pause.wait(0.01)

    return wait


@pytest.fixture(scope="session")
def for_each() -> Callable[[Iterable[str], Callable[[str], None]], None]:
    """`for_each(names, check)`: `check(name)` for each of many names; fails with all that do not hold.

    For checks of microseconds: a test of its own for each of a thousand names costs seconds.
    """

    def check_all(names: Iterable[str], check: Callable[[str], None]) -> None:
        wrong, count = [], 0
        for name in names:
            count += 1
            try:
                check(name)
            except Exception as error:
                wrong.append(f"{name}: {type(error).__name__}: {error}")
        assert count, "there is nothing to check"
        assert not wrong, "\n".join(wrong)

    return check_all
