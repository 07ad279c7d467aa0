"""What every list command shares: the window of a page, the count over all pages, and CloudStack's text matching."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, TypeVar

from sqlalchemy import ColumnElement, Select, func, or_, select
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
    is_last_page = (bool(rows) or paging.offset == 0) and (paging.limit is None or len(rows) < paging.limit)
    return rows, paging.offset + len(rows) if is_last_page else count(session, statement)


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


def among(column: ColumnElement[Any] | InstrumentedAttribute[Any], ids: Sequence[int]) -> ColumnElement[bool]:
    """True where `column` is one of `ids`; for a dense page, where it lies in their range, so that rows of a few others
    may come too. Hundreds of parameters cost more than those rows: for look-ups by id only.
    """
    if len(ids) > _FEW:
        low, high = min(ids), max(ids)
        if high - low < 2 * len(ids):
            return column.between(low, high)
    return column.in_(ids)
