"""Plain inserts, for the records that are written often and read later: no objects, no unit of work."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import insert
from sqlalchemy.orm import Session

from mgmt.store.models import Base


def add_row(session: Session, model: type[Base], values: Mapping[str, Any]) -> int:
    """Write one row now, column defaults included, and return its internal number.

    What the session holds unwritten goes first, as it would with an object.
    """
    session.flush()
    result = session.connection().execute(insert(model), dict(values))
    key = result.inserted_primary_key
    assert key is not None, "one row was inserted"
    return int(key[0])


def add_rows(session: Session, model: type[Base], rows: Sequence[Mapping[str, Any]]) -> None:
    """Write several rows with the same columns now; none is nothing to do."""
    if rows:
        session.flush()
        session.connection().execute(insert(model), [dict(row) for row in rows])
