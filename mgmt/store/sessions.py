"""The session of a store: one connection for its whole life, shared by objects and plain rows.

Most work is done with plain rows (`mgmt.store.rows`), and asking the unit of work for a connection anew at each
statement takes it about as long as the statement.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Engine
from sqlalchemy.orm import Session


class StoreSession(Session):
    """A session that takes its connection at the first use and gives it back in `close`.

    Objects join the connection's transaction: it is committed and rolled back here, whoever began it.
    """

    def __init__(self, engine: Engine) -> None:
        super().__init__(expire_on_commit=False, join_transaction_mode="control_fully")
        self._engine = engine
        self._connection: Connection | None = None

    def get_bind(self, *args: Any, **kwargs: Any) -> Connection:  # Any: as SQLAlchemy declares it
        """The session's connection, for whatever is asked."""
        return self.connection()

    def connection(self, *args: Any, **kwargs: Any) -> Connection:  # Any: as SQLAlchemy declares it
        """The session's connection; its transaction begins with the first statement."""
        if self._connection is None:
            self._connection = self._engine.connect()
        return self._connection

    def commit(self) -> None:
        """Write what objects hold and commit, whether or not objects took part."""
        if self.in_transaction() or self.new or self.dirty or self.deleted:
            super().commit()
        if self._connection is not None and self._connection.in_transaction():
            self._connection.commit()

    def rollback(self) -> None:
        """Undo what was not committed."""
        super().rollback()
        if self._connection is not None and self._connection.in_transaction():
            self._connection.rollback()

    def close(self) -> None:
        """Forget all objects and give the connection back; what was not committed is undone."""
        if self.in_transaction() or self.identity_map:  # most sessions see plain rows only
            super().close()
        if self._connection is not None:
            self._connection.close()
            self._connection = None
