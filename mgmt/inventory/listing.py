"""What every list command shares: the window of a page, the count over all pages, and CloudStack's text matching."""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from sqlalchemy import ColumnElement, Connection, Select, bindparam, func, or_, select
from sqlalchemy.orm import InstrumentedAttribute, Session

T = TypeVar("T")

_FEW = 20  # ids that are cheap as parameters


class Window(Protocol):
    """The wanted part of a list: `offset` from 0; `limit` None means everything after it, 0 means only the count."""

    @property
    def offset(self) -> int: ...

    @property
    def limit(self) -> int | None: ...


@dataclass(frozen=True)
class _Window:
    offset: int
    limit: int | None


ONE: Window = _Window(0, 1)


# Columns of any nullability and statements of any row take part: hence Any.
TextColumn = ColumnElement[Any] | InstrumentedAttribute[Any]


class RowPages:
    """A statement of plain columns that is listed again and again, built once; it carries the order.

    Its rows are named tuples: reading a column of SQLAlchemy's rows by name costs as much as fetching it.
    """

    def __init__(self, statement: Select[Any], record: Callable[[Iterable[Any]], Any] | None = None) -> None:
        self.statement = statement
        if record is None:
            make_type: Callable[[str, list[str]], Any] = namedtuple
            record = make_type("_Record", statement.selected_columns.keys())._make
        self._record = record
        self._window = statement.limit(bindparam("row_limit")).offset(bindparam("row_offset"))

    def page(
        self, session: Session, conditions: Sequence[ColumnElement[bool]], paging: Window
    ) -> tuple[list[Any], int]:
        """The rows that meet `conditions` in the window `paging`, and how many there are over all pages."""
        if conditions:
            return RowPages(self.statement.where(*conditions), self._record).page(session, (), paging)
        connection = session.connection()
        if paging.limit == 0:
            return [], self._count(connection)
        if paging.limit is None:
            found = connection.execute(self.statement.offset(paging.offset) if paging.offset else self.statement)
        else:
            found = connection.execute(self._window, {"row_limit": paging.limit, "row_offset": paging.offset})
        rows = list(map(self._record, found.all()))
        if _is_last_page(paging, len(rows)):
            return rows, paging.offset + len(rows)
        return rows, self._count(connection)

    def _count(self, connection: Connection) -> int:
        all_rows = self.statement.order_by(None).subquery()
        return connection.execute(select(func.count()).select_from(all_rows)).scalar_one()


def page(session: Session, statement: Select[T], paging: Window) -> tuple[list[T], int]:
    """The rows of `statement` in the window `paging`, and the number of rows over all pages.

    `statement` selects one entity and carries the order and the loader options. A limit of 0 counts without fetching.
    """
    if paging.limit == 0:
        return [], count(session, statement)
    window = statement
    if paging.offset:
        window = window.offset(paging.offset)
    if paging.limit is not None:
        window = window.limit(paging.limit)
    rows = list(session.scalars(window).unique())
    return rows, _total(session, statement, paging, len(rows))


def in_window(rows: Sequence[T], window: Window) -> list[T]:
    """The part of all rows that a window wants, where they had to be made before they could be narrowed."""
    end = None if window.limit is None else window.offset + window.limit
    return list(rows[window.offset : end])


def _total(session: Session, statement: Select[Any], paging: Window, found: int) -> int:
    """How many rows there are over all pages when this page has `found`: counted only when the page does not tell."""
    return paging.offset + found if _is_last_page(paging, found) else count(session, statement)


def _is_last_page(paging: Window, found: int) -> bool:
    return (found > 0 or paging.offset == 0) and (paging.limit is None or found < paging.limit)


def count(session: Session, statement: Select[T]) -> int:
    """How many rows `statement` has."""
    key = statement.column_descriptions[0]["entity"].__mapper__.primary_key[0]
    keys = statement.order_by(None).with_only_columns(key)
    return session.scalar(select(func.count()).select_from(keys.subquery())) or 0


def like_keyword(column: TextColumn, keyword: str) -> ColumnElement[bool]:
    """True where `column` contains `keyword`, whatever the case; `%` and `_` in it are wildcards (api-gateway 3)."""
    return func.lower(column).like(f"%{keyword.lower()}%")


def any_like_keyword(columns: tuple[TextColumn, ...], keyword: str) -> ColumnElement[bool]:
    """True where one of `columns` contains `keyword`."""
    return or_(*(like_keyword(column, keyword) for column in columns))


def equals_ignoring_case(column: TextColumn, value: str) -> ColumnElement[bool]:
    """True where `column` is `value`, whatever the case, as with CloudStack's MySQL collation.

    Most rows are as written, and `lower` is a call of Python's on SQLite: ten thousand hosts count.
    """
    return or_(column == value, func.lower(column) == value.lower())


class ByIds:
    """A statement about rows whose `column` is one of some ids, built once.

    A dense page is asked for by its range, so that rows of a few others may come too: hundreds of parameters cost more
    than those rows. For look-ups by id only.
    """

    def __init__(self, statement: Select[Any], column: ColumnElement[Any] | InstrumentedAttribute[Any]) -> None:
        self._listed = statement.where(column.in_(bindparam("ids", expanding=True)))
        self._ranged = statement.where(column.between(bindparam("low"), bindparam("high")))

    def rows(self, session: Session, ids: Sequence[int]) -> Sequence[Any]:
        """The rows for `ids`, and perhaps of some others; none for no ids."""
        if not ids:
            return []
        low, high = min(ids), max(ids)
        if low == high or (len(ids) > _FEW and high - low < 2 * len(ids)):
            return session.execute(self._ranged, {"low": low, "high": high}).all()
        return session.execute(self._listed, {"ids": list(ids)}).all()
