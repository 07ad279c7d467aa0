"""The table of login sessions."""

from __future__ import annotations

import random
from typing import Any

import pytest

from mgmt.api.sessions import SessionTable, session_key_is_right
from mgmt.providers import Providers, RealClock


class Clock(RealClock):
    def __init__(self) -> None:
        self.time_s = 0.0

    def monotonic(self) -> float:
        return self.time_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def table(clock: Clock) -> SessionTable:
    return SessionTable(Providers(clock=clock, random=random.Random(1)), idle_timeout_s=100)


def test_session_is_found_with_and_without_node(table: SessionTable) -> None:
    """The cookie's node suffix is not needed; unknown and empty cookies find nothing."""
    session = table.open(table.new_session_id(), 7)
    assert table.find(session.cookie_value) is table.find(session.session_id) is session
    assert table.find("node0nothing.node0") is table.find("") is table.find(None) is None


def test_idle_sessions_are_swept_out(table: SessionTable, clock: Clock) -> None:
    """A session that idled too long is gone when it is asked for, and at the latest with the next login."""
    first, second = (table.open(table.new_session_id(), 7) for _ in range(2))
    clock.time_s = 101
    assert table.find(first.cookie_value) is None
    third = table.open(table.new_session_id(), 7)
    assert len(table) == 1
    table.drop(third)
    table.drop(second)
    assert len(table) == 0


def test_ids_and_keys_differ(table: SessionTable) -> None:
    """Every login has an id and a key of its own."""
    sessions = [table.open(table.new_session_id(), 7) for _ in range(20)]
    assert len({each.session_id for each in sessions}) == len({each.session_key for each in sessions}) == 20


@pytest.mark.parametrize(
    ("locations", "accepted"),
    [
        ("CookieAndParameter", [True, False, False, False]),
        ("CookieOrParameter", [True, True, True, False]),
        ("ParameterOnly", [True, False, True, False]),
        ("nonsense", [True, False, False, False]),
    ],
)
def test_where_a_key_counts(table: SessionTable, locations: str, accepted: list[bool]) -> None:
    """Cookie and parameter, cookie alone, parameter alone, none: what each setting accepts."""
    session = table.open(table.new_session_id(), 7)
    key: Any = session.session_key
    tries = [(key, key), (key, None), (None, key), (None, None)]
    assert [session_key_is_right(session, *each, locations) for each in tries] == accepted
