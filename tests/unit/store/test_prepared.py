"""SELECTs that are kept and run on SQLite's own connection give what SQLAlchemy gives."""

from __future__ import annotations

from contextlib import closing
from datetime import datetime
from typing import Any

import pytest
from sqlalchemy import bindparam, event, select
from sqlalchemy.exc import OperationalError

from mgmt.providers import Providers
from mgmt.store import models, prepared
from mgmt.store.database import Store
from mgmt.store.rows import add_row, run, table_of

NOW = datetime(2026, 1, 2, 3, 4, 5)


@pytest.fixture
def store() -> Any:
    """A store with two zones and a linked datacenter."""
    with closing(Store("sqlite://", Providers())) as opened:
        yield opened


@pytest.fixture
def zones(store: Store) -> list[int]:
    """The numbers of two zones; the second has a linked datacenter with a password."""
    with store.session() as session:
        numbers = [add_row(session, models.Zone, {"uuid": name, "name": name}) for name in ("one", "two")]
        linked = {"uuid": "dc", "name": "dc", "vcenter_host": "vc", "username": "u", "password": "s3cret"}
        add_row(session, models.VmwareDatacenter, {**linked, "zone_id": numbers[1]})
        session.add(
            models.AsyncJob(
                uuid="j",
                command="c",
                command_class="c",
                correlation_id="x",
                user_id=1,
                account_id=1,
                result={"a": [1]},
                created=NOW,
            )
        )
    return numbers


def rows_of(store: Store, statement: Any, **values: Any) -> list[Any]:
    with store.session() as session:
        return list(run(session, statement, values or None))


def test_the_second_run_is_like_the_first(store: Store, zones: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    """Names, values of every kind of column and given conditions are the same, however often it is run."""
    ran: list[str] = []
    original = prepared.PreparedSelect.run
    monkeypatch.setattr(
        prepared.PreparedSelect, "run", lambda self, *given: (ran.append(self._text), original(self, *given))[1]
    )
    linked, job, zone = (table_of(model) for model in (models.VmwareDatacenter, models.AsyncJob, models.Zone))
    kept = [
        select(linked).where(linked.c.name == "dc"),  # an encrypted column, and a value that stands in the statement
        select(job.c.result, job.c.created).where(job.c.created == bindparam("at")),  # JSON and times, both ways
        select(zone.c.id, linked.c.id, zone.c.name).join(linked, linked.c.zone_id == zone.c.id),  # a name twice
    ]
    for statement, values in zip(kept, ({}, {"at": NOW}, {}), strict=True):
        first, *later = [rows_of(store, statement, **values) for _ in range(3)]
        assert later == [first, first]
        assert len(first) == 1
        assert later[0][0]._fields == first[0]._fields
    assert len(ran) == 2 * len(kept)
    assert rows_of(store, kept[0])[0].password == "s3cret"
    assert rows_of(store, kept[1], at=NOW)[0].result == {"a": [1]}
    with store.session() as session:
        assert run(session, kept[0]).one().zone_id == zones[1]
        assert run(session, kept[1], {"at": datetime(2000, 1, 1)}).one_or_none() is None


def test_what_sqlalchemy_runs(store: Store, zones: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    """Lists of values, first runs, and everything while somebody listens to statements."""
    monkeypatch.setattr(prepared.PreparedSelect, "run", lambda *_: pytest.fail("it was run on the driver"))
    zone = table_of(models.Zone)
    with_list = select(zone.c.name).where(zone.c.id.in_(bindparam("ids", expanding=True)))
    for _ in range(3):
        assert len(rows_of(store, with_list, ids=zones)) == 2
        assert len(rows_of(store, select(zone.c.name))) == 2
    kept, heard = select(zone.c.uuid), []
    event.listen(store.engine, "before_cursor_execute", lambda *given: heard.append(given[2]))
    for _ in range(2):
        rows_of(store, kept)
    assert len(heard) == 2


def test_a_failure_is_told_in_sqlalchemys_words(store: Store, zones: list[int]) -> None:
    """What the driver refuses is an error of SQLAlchemy's, whose text hides values."""
    zone = table_of(models.Zone)
    kept = select(zone.c.name)
    assert len(rows_of(store, kept)) == 2
    with store.engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE data_center RENAME TO gone")
    with pytest.raises(OperationalError, match="no such table"):
        rows_of(store, kept)


def test_unwritten_objects_are_seen(store: Store, zones: list[int]) -> None:
    """What the session holds unwritten is written before the rows are read."""
    zone = table_of(models.Zone)
    kept = select(zone.c.name).order_by(zone.c.id)
    for name in ("three", "four"):
        with store.session() as session:
            session.add(models.Zone(uuid=name, name=name))
            assert run(session, kept).all()[-1].name == name
