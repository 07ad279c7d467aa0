"""Which tables the connections of an engine change: told when a connection goes back to its pool, after its commit.

The execution context looks at each statement that may change something. SQLAlchemy's events of connections would do,
too, but with one of them in use it asks for listeners ten times on the way of every statement.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from functools import cache
from typing import Any

from sqlalchemy import Engine, event

_CHANGES = re.compile(r'\s*(?:INSERT INTO|UPDATE|DELETE FROM)\s+[`"]?(?P<table>\w+)', re.IGNORECASE)
_CHANGED = "mgmt.store.changes"


class TableChanges:
    """Tells of changed tables of one engine; what is rolled back is told of, too."""

    def __init__(self, engine: Engine) -> None:
        self._listeners: list[tuple[frozenset[str], Callable[[], None]]] = []
        context: Any = engine.dialect.execution_ctx_cls
        engine.dialect.execution_ctx_cls = _noting(context)
        event.listen(engine, "checkin", self._checked_in)

    def listen(self, tables: Collection[str], callback: Callable[[], None]) -> None:
        """Call `callback`, in any thread, after each change of one of `tables`."""
        self._listeners.append((frozenset(tables), callback))

    def _checked_in(self, _connection: object, record: Any) -> None:  # Any: SQLAlchemy's pool record has no public type
        changed = record.info.pop(_CHANGED, None)
        if changed:
            for tables, callback in self._listeners:
                if not tables.isdisjoint(changed):
                    callback()


@cache
def _noting(context: type[Any]) -> type[Any]:
    """The execution context of a dialect, with a note of the table that a statement changes."""
    if issubclass(context, _Noting):
        return context
    return type(f"Noting{context.__name__}", (_Noting, context), {})


class _Noting:
    """What is added to the execution context of a dialect."""

    compiled: Any
    isinsert: bool
    isupdate: bool
    isdelete: bool
    statement: str | None
    root_connection: Any

    def post_exec(self) -> None:
        super().post_exec()  # type: ignore[misc]  # the context's own
        if self.compiled is not None and not (self.isinsert or self.isupdate or self.isdelete):
            return
        found = _CHANGES.match(self.statement or "")
        if found is not None:
            self.root_connection.info.setdefault(_CHANGED, set()).add(found["table"].lower())
