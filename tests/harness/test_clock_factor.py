"""Whole worlds on clocks of any speed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

import cloudstack_mock
from cloudstack_mock import Cloud

URL = "https://cloud.example.org/client/api"
WAYS: list[dict[str, object]] = [{}, {"usevddk": False}, {"usevddk": False, "forcemstoimportvmfiles": True}]


@pytest.fixture(scope="module")
def lab() -> Iterator[Cloud]:
    """A world in memory on the automatic clock."""
    with cloudstack_mock.activate(URL, seed=7, time_scale=1.0) as cloud:
        yield cloud


def told(cloud: Cloud, changes: dict[str, object]) -> list[tuple[object, ...]]:
    """What the journal tells of an import in a world as it is after its start: all but times, identifiers included."""
    cloud.reset()  # all hosts connect at once at a start, and their threads race
    with cloud.clock.held():  # what is looked up for the request may age otherwise until it is used
        job = cloud.start_import("web01", **changes)
    cloud.await_job(job)
    facts = ("host", "job", "state", "outcome")
    return [(entry.kind, entry.name, entry.correlation_id, *map(entry.fields.get, facts)) for entry in cloud.journal]


# An import takes a thousand seconds and more: with a smaller factor the test would wait for them.
@settings(max_examples=3, phases=[Phase.generate])
@given(factor=st.floats(3.5, 7).map(lambda power: 10**power), changes=st.sampled_from(WAYS))
def test_the_order_of_events_does_not_depend_on_the_factor(
    lab: Cloud, factor: float, changes: dict[str, object]
) -> None:
    """An import has the same journal, apart from times, on a scaled clock of any factor and on the automatic one."""
    expected = told(lab, changes)
    url = URL.replace("cloud", "other")
    with cloudstack_mock.activate(url, seed=7, time_scale=1.0, clock="scaled", clock_factor=factor) as scaled:
        assert told(scaled, changes) == expected
    assert len(expected) > 30
