"""One database for many tests, set back before each: the statements that were compiled for it stay."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass

from mgmt.providers import Providers
from mgmt.store.database import Store


@dataclass(frozen=True)
class SharedStore:
    """A store in memory, and what was in it at first."""

    store: Store
    start: sqlite3.Connection

    def reset(self) -> None:
        """Put everything back as it was made."""
        with closing(self.store.engine.raw_connection()) as connection:
            self.start.backup(connection.driver_connection)


@contextmanager
def share_store(fill: Callable[[Store], object]) -> Iterator[SharedStore]:
    """A store that `fill` filled; closed at the end of the block."""
    store = Store("sqlite://", Providers())
    try:
        fill(store)
        with closing(sqlite3.connect(":memory:")) as start:
            with closing(store.engine.raw_connection()) as connection:
                connection.driver_connection.backup(start)
            yield SharedStore(store, start)
    finally:
        store.close()
