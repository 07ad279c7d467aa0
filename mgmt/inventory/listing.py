"""What every list command shares: the window of a page, the count over all pages, and CloudStack's text matching."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, TypeVar

from sqlalchemy import ColumnElement, Select, bindparam, func, or_, select
from sqlalchemy.orm import InstrumentedAttribute, Session

T = TypeVar("T")

_FEW = 20  # ids that are cheap as parameters


class Window(Protocol):
    """The wanted part of a list: `offset` from 0; `limit` None means everything after it, 0 means only the count."""

    @property
    def offset(self) -> int: ...

    @property
    def limit(self) -> int | None: ...


# Columns of any nullability and statements of any row take part: hence Any.
TextColumn = ColumnElement[Any] | InstrumentedAttribute[Any]


class Pages:
    """A statement that is listed again and again: its window is made of parameters, so that it is built only once.

    `statement` is as for `page`.
    """

    def __init__(self, statement: Select[Any]) -> None:
        self.statement = statement
        self._window = statement.limit(bindparam("row_limit")).offset(bindparam("row_offset"))

    def page(
        self, session: Session, conditions: Sequence[ColumnElement[bool]], paging: Window
    ) -> tuple[list[Any], int]:
        """As `page`, of the rows that meet `conditions`."""
        if conditions or not paging.limit:
            return page(session, self.statement.where(*conditions), paging)
        rows = list(session.scalars(self._window, {"row_limit": paging.limit, "row_offset": paging.offset}).unique())
        return rows, _total(session, self.statement, paging, len(rows))


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


def _total(session: Session, statement: Select[Any], paging: Window, found: int) -> int:
    """How many rows there are over all pages when this page has `found`: counted only when the page does not tell."""
    is_last_page = (found > 0 or paging.offset == 0) and (paging.limit is None or found < paging.limit)
    return paging.offset + found if is_last_page else count(session, statement)


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
    """True where `column` is `value`, whatever the case, as with CloudStack's MySQL collation."""
    return func.lower(column) == value.lower()


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
