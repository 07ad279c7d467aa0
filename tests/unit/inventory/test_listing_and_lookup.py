"""Pages, counts, text matching and look-up by UUID."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from mgmt.inventory.capacity import decimal, percentage
from mgmt.inventory.listing import any_like_keyword, count, equals_ignoring_case, like_keyword, page
from mgmt.inventory.lookup import ENTITIES, find_internal_id, get_live, uuids_of
from mgmt.inventory.passwords import hash_password, verify_password
from mgmt.providers import Providers
from mgmt.store import models
from mgmt.store.database import Store

NAMES = ["alpha", "Beta", "gamma_1", "100%", "Ünïcode", "beta two"]


@dataclass(frozen=True)
class Window:
    offset: int = 0
    limit: int | None = None


@pytest.fixture(scope="module")
def store():
    made = Store("sqlite://", Providers())
    with made.session() as session:
        for number, name in enumerate(NAMES):
            session.add(models.Zone(uuid=f"zone-{number}", name=name))
    yield made
    made.close()


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(offset=st.integers(0, 8), limit=st.none() | st.integers(0, 8))
def test_a_page_is_a_slice_with_the_count_of_all(store, offset, limit):
    """Whatever the window, the rows are those of the slice and the count is that of the whole list."""
    statement = select(models.Zone).order_by(models.Zone.id)
    with store.session() as session:
        rows, total = page(session, statement, Window(offset, limit))
    end = None if limit is None else offset + limit
    assert [row.name for row in rows] == NAMES[offset:end]
    assert total == len(NAMES)


def test_count_follows_joins_and_filters(store):
    """The count has the statement's filters and ignores its order."""
    statement = select(models.Zone).where(models.Zone.id > 2).order_by(models.Zone.name)
    with store.session() as session:
        assert count(session, statement) == 4


@pytest.mark.parametrize(
    ("keyword", "names"),
    [
        ("beta", ["Beta", "beta two"]),
        ("BETA ", ["beta two"]),
        ("", NAMES),
        ("a_p", ["alpha"]),
        ("%", NAMES),
        ("a%a", ["alpha", "gamma_1"]),
        ("ünÏ", ["Ünïcode"]),
        ("'", []),
    ],
)
def test_keyword_matches_anywhere_without_case(store, keyword, names):
    """A keyword is looked for anywhere, in any alphabet without case, with % and _ as wildcards."""
    with store.session() as session:
        found = session.scalars(
            select(models.Zone.name).where(like_keyword(models.Zone.name, keyword)).order_by(models.Zone.id)
        )
        assert list(found) == names


def test_any_of_several_columns_may_match(store):
    """A keyword may be in any of the columns."""
    columns = (models.Zone.name, models.Zone.uuid)
    with store.session() as session:
        found = session.scalars(select(models.Zone.name).where(any_like_keyword(columns, "ZONE-3")))
        assert list(found) == ["100%"]


@pytest.mark.parametrize(("value", "name"), [("ALPHA", "alpha"), ("ÜNÏCODE", "Ünïcode"), ("alph", None), ("%", None)])
def test_equal_without_case(store, value, name):
    """A name matches whole and without case; wildcards mean nothing."""
    with store.session() as session:
        found = session.scalar(select(models.Zone.name).where(equals_ignoring_case(models.Zone.name, value)))
    assert found == name


def test_look_up_takes_any_case_and_removed_rows(store):
    """A UUID is found in upper case too, and removed rows are found; other kinds and values give None."""
    with store.session() as session:
        session.add(models.Zone(uuid="abcdef", name="gone", removed=store.providers.utcnow()))
        session.flush()
        found = find_internal_id(session, "zone", "ABCDEF")
        assert found == len(NAMES) + 1
        assert find_internal_id(session, "pod", "abcdef") is None
        assert find_internal_id(session, "project", "abcdef") is None
        assert get_live(session, models.Zone, found) is None
        assert get_live(session, models.Zone, 1) is not None
        assert get_live(session, models.Zone, None) is None
        assert get_live(session, models.Zone, 99) is None
        session.rollback()


def test_every_kind_can_be_looked_up(store):
    """Each kind of entity names a table with UUIDs."""
    with store.session() as session:
        assert {kind: find_internal_id(session, kind, "nothing") for kind in ENTITIES} == dict.fromkeys(ENTITIES)


def test_uuids_of_many_rows_at_once(store):
    """Public ids by number, in one query; none for no numbers."""
    with store.session() as session:
        assert uuids_of(session, models.Zone, {1, 3, 99}) == {1: "zone-0", 3: "zone-2"}
        assert uuids_of(session, models.Zone, set()) == {}


@pytest.mark.parametrize(
    ("part", "whole", "text"),
    [(0, 100, "0.00%"), (5, 0, "0.00%"), (1500, 32000, "4.69%"), (2, 8, "25%"), (1, 3, "33.33%"), (15, 150, "10%")],
)
def test_percentages_as_recorded(part, whole, text):
    """Two decimals without trailing zeros; nothing taken is `0.00%`."""
    assert percentage(part, whole) == text


def test_big_numbers_have_no_exponent():
    """Sizes in bytes are written out."""
    assert decimal(8589934592.0) == "8589934592"
    assert decimal(100) == "100"


def test_passwords_are_at_hand_above_the_store():
    """The inventory offers the store's password hashes."""
    providers = Providers()
    assert verify_password("x", hash_password("x", providers.random))
