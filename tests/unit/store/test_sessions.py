"""The session of a store: rows and objects on one connection."""

from __future__ import annotations

import pytest
from sqlalchemy import event, func, select

from mgmt.store.models import Zone
from mgmt.store.rows import add_row, change_row, find_row, run


def names(store) -> list[str]:
    with store.session() as session:
        return list(session.scalars(select(Zone.name).order_by(Zone.name)))


def test_rows_and_objects_share_a_transaction(open_store):
    """A session's objects see the rows that it wrote, its rows see its objects, and others neither before its end."""
    store = open_store()
    with store.session() as session:
        number = add_row(session, Zone, {"uuid": "1", "name": "row"})
        assert session.get_one(Zone, number).name == "row"
        session.add(Zone(uuid="2", name="object"))
        assert run(session, select(func.count(Zone.__table__.c.id))).scalar() == 2
        assert names(store) == []
    assert names(store) == ["object", "row"]


@pytest.mark.parametrize("uses_objects", [False, True])
def test_what_fails_is_undone_whoever_wrote_it(open_store, uses_objects):
    """When the block raises, neither rows nor objects of it stay."""
    store = open_store()
    with pytest.raises(RuntimeError), store.session() as session:
        number = add_row(session, Zone, {"uuid": "1", "name": "row"})
        if uses_objects:
            session.get_one(Zone, number).name = "changed"
            session.flush()
        raise RuntimeError
    assert names(store) == []


@pytest.mark.parametrize("uses_objects", [False, True])
def test_a_commit_in_between_stays(open_store, uses_objects):
    """What was committed within the block is there although the block fails, and what came after it is not."""
    store = open_store()
    with pytest.raises(RuntimeError), store.session() as session:
        number = add_row(session, Zone, {"uuid": "1", "name": "first"})
        if uses_objects:
            session.get_one(Zone, number).name = "object"
        session.commit()
        change_row(session, Zone, number, {"name": "later"})
        raise RuntimeError
    assert names(store) == ["object" if uses_objects else "first"]


def test_a_rollback_in_between_undoes_rows_only(open_store):
    """A session of plain rows goes on after a rollback, without what came before it."""
    store = open_store()
    with store.session() as session:
        add_row(session, Zone, {"uuid": "1", "name": "undone"})
        session.rollback()
        add_row(session, Zone, {"uuid": "2", "name": "kept"})
    assert names(store) == ["kept"]


def test_objects_that_nobody_flushed_are_written_at_the_end(open_store):
    """A new and a changed object are written by the end of the block, without any query after them."""
    store = open_store()
    with store.session() as session:
        session.add(Zone(uuid="1", name="new"))
    with store.session() as session:
        session.scalars(select(Zone)).one().name = "changed"
    assert names(store) == ["changed"]


def test_others_see_the_change_when_a_commit_is_told(open_store):
    """Whoever listens for a session's commit finds it done."""
    store = open_store()
    seen: list[list[str]] = []
    with store.session() as session:
        find_row(session, Zone, 1)
        add_row(session, Zone, {"uuid": "2", "name": "row"})
        session.merge(Zone(id=7, uuid="1", name="told"))
        event.listen(session, "after_commit", lambda _: seen.append(names(store)))
    assert seen == [["row", "told"]]


def test_a_session_takes_one_connection_and_gives_it_back(open_store):
    """Rows and objects use the same connection, one is taken at the first use, and none is out at the end."""
    store = open_store()
    pool = store.engine.pool
    with store.session() as session:
        assert pool.checkedout() == 0
        find_row(session, Zone, 1)
        session.scalars(select(Zone)).all()
        assert pool.checkedout() == 1
    assert pool.checkedout() == 0
