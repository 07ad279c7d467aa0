"""SELECTs that are run again and again: compiled once for SQLite, and run on the driver's own connection.

For each run of a statement SQLAlchemy looks it up, makes a context and a cursor of its own and reads what came through
several layers. That takes more than twice as long as all that is left here.
"""

from __future__ import annotations

import sqlite3
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, Executable, Result, Select
from sqlalchemy.engine import Dialect, IteratorResult
from sqlalchemy.engine.result import SimpleResultMetaData

Processor = Callable[[Any], Any]

_MAX_KEPT = 500
_seen: weakref.WeakSet[Executable] = weakref.WeakSet()


class PreparedSelect:
    """One SELECT over tables for one dialect."""

    def __init__(self, statement: Select[Any], dialect: Dialect) -> None:
        compiled = statement.compile(dialect=dialect)
        names = compiled.positiontup or []
        binds = [compiled.binds[name] for name in names]
        self.is_fixed = not any(bind.expanding or bind.literal_execute for bind in binds)
        self._text = str(compiled)
        self._names = names
        self._given = compiled.params
        processors = {name: compiled.binds[name].type.dialect_impl(dialect).bind_processor(dialect) for name in names}
        self._binders = [(name, process) for name, process in processors.items() if process is not None]
        columns = statement.selected_columns
        self._readers: list[tuple[int, Processor]] = [
            (place, process)
            for place, column in enumerate(columns)
            if (process := column.type.dialect_impl(dialect).result_processor(dialect, None)) is not None
        ]
        self._columns = SimpleResultMetaData(columns.keys())

    def run(self, driver: sqlite3.Connection, values: Mapping[str, Any] | None) -> Result[Any]:
        """The rows; raises the driver's own errors."""
        given = {**self._given, **(values or {})}
        for name, process in self._binders:
            given[name] = process(given[name])
        rows = driver.execute(self._text, [given[name] for name in self._names]).fetchall()
        return IteratorResult(self._columns, self._read(rows) if self._readers else iter(rows))

    def _read(self, rows: Sequence[tuple[Any, ...]]) -> Iterator[list[Any]]:
        for row in rows:
            read = list(row)
            for place, process in self._readers:
                read[place] = process(read[place])
            yield read


@lru_cache(maxsize=_MAX_KEPT)
def _prepared(statement: Select[Any], dialect: Dialect) -> PreparedSelect | None:
    found = PreparedSelect(statement, dialect)
    return found if found.is_fixed else None


def run_prepared(connection: Connection, statement: Executable, values: Mapping[str, Any] | None) -> Result[Any] | None:
    """The rows of a SELECT that somebody keeps; None where SQLAlchemy has to run it.

    That is: anything else than a SELECT, one that is run for the first time, one with a list of values, any other
    database than SQLite, and while somebody listens to statements (faults do).
    """
    if not isinstance(statement, Select) or connection.dialect.name != "sqlite":
        return None
    if statement not in _seen:  # most that are made for one run never come back: compiling them would not pay
        _seen.add(statement)
        return None
    if connection.engine.dispatch.before_cursor_execute:
        return None
    prepared = _prepared(statement, connection.dialect)
    if prepared is None:
        return None
    driver: Any = connection.connection.dbapi_connection  # SQLAlchemy knows all drivers by what they have in common
    try:
        return prepared.run(driver, values)
    except sqlite3.Error:
        return None  # fails again, in SQLAlchemy's words
