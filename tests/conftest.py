"""What every test gets: a check that it leaves no thread behind."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator

import pytest
from hypothesis import settings

# Enough for a run of the whole suite; HYPOTHESIS_PROFILE=deep searches longer.
settings.register_profile("suite", max_examples=40, deadline=None)
settings.register_profile("deep", max_examples=1000, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "suite"))

LEAK_TIMEOUT_S = 60.0


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


@pytest.fixture(autouse=True)
def no_thread_is_left(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test that leaves a thread running; a world that a module shares starts its threads when it needs them."""
    before = set(threading.enumerate())
    yield
    if "lab" not in request.fixturenames:
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
