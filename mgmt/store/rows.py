"""Plain rows, for records that are read and written often: no objects, no unit of work, statements made once.

What a session holds unwritten is written first, as it would be for objects.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from sqlalchemy import Executable, Insert, Result, Row, Select, Table, Update, bindparam, insert, select, update
from sqlalchemy.orm import Session

from mgmt.store.models import Base, Entity


def table_of(model: type[Base] | type[Entity]) -> Table:
    """The table behind a model: statements over tables are run without the object mapper."""
    assert issubclass(model, Base)
    table = model.__table__
    assert isinstance(table, Table)
    return table


def run(session: Session, statement: Executable, values: Mapping[str, Any] | None = None) -> Result[Any]:
    """Run a statement over tables in the session's transaction; `values` are those of its parameters."""
    session.flush()
    return session.connection().execute(statement, None if values is None else dict(values))


def find_row(session: Session, model: type[Base], internal_id: int | None, *columns: str) -> Row[Any] | None:
    """The given columns (all, without any) of the row with that number; None when there is none."""
    if internal_id is None:
        return None
    return run(session, _select(model, columns), {"row_id": internal_id}).one_or_none()


def live_row(session: Session, model: type[Base], internal_id: int | None) -> Row[Any] | None:
    """The row with number `internal_id` unless it is missing or removed."""
    row = find_row(session, model, internal_id)
    return None if row is None or getattr(row, "removed", None) is not None else row


def add_row(session: Session, model: type[Base], values: Mapping[str, Any]) -> int:
    """Write one row now, column defaults included, and return its internal number."""
    session.flush()
    key = session.connection().execute(_insert(model), dict(values)).inserted_primary_key
    assert key is not None, "one row was inserted"
    return int(key[0])


def add_rows(session: Session, model: type[Base], rows: Sequence[Mapping[str, Any]]) -> None:
    """Write several rows with the same columns now; none is nothing to do."""
    if rows:
        session.flush()
        session.connection().execute(_insert(model), [dict(row) for row in rows])


def change_row(session: Session, model: type[Base], internal_id: int | None, values: Mapping[str, Any]) -> None:
    """Change columns of the row with that number now."""
    run(session, _update(model), {"row_id": internal_id, **values})


@cache
def _select(model: type[Base], columns: tuple[str, ...]) -> Select[Any]:
    table = table_of(model)
    shown = [table.c[name] for name in columns] if columns else list(table.c)
    return select(*shown).where(table.c.id == bindparam("row_id"))


@cache
def _insert(model: type[Base]) -> Insert:
    return insert(table_of(model))


@cache
def _update(model: type[Base]) -> Update:
    table = table_of(model)
    return update(table).where(table.c.id == bindparam("row_id"))
