"""Who an API key or a login belongs to, cached.

A look-up reads user, account, domain and role; the result is kept until any of those rows changes in this store's
sessions, and at most `MAX_AGE_S` seconds, because another server may share the database.
"""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, event, select
from sqlalchemy.orm import Session

from mgmt.commands.declaration import Caller
from mgmt.providers import Clock
from mgmt.store.database import Store
from mgmt.store.models import User

MAX_AGE_S = 5.0
_CHANGES_WATCHED_TABLE = re.compile(
    r'\s*(?:INSERT INTO|UPDATE|DELETE FROM)\s+[`"]?(?:user|account|domain|roles)[`"]?\s', re.IGNORECASE
)
_CHANGED = "mgmt.api.credentials.changed"


@dataclass(frozen=True)
class Credentials:
    """A user as the edge needs it. `is_enabled` is False when the user or its account is disabled or locked."""

    caller: Caller
    secret_key: str | None
    is_enabled: bool

    def __repr__(self) -> str:
        return f"Credentials(user={self.caller.username!r})"


def load_credentials(session: Session, user: User) -> Credentials:
    """The credentials of a user row."""
    account = user.account
    domain = account.domain
    return Credentials(
        caller=Caller(
            user_id=user.id,
            user_uuid=user.uuid,
            username=user.username,
            account_id=account.id,
            account_uuid=account.uuid,
            account_name=account.name,
            account_type=account.type,
            domain_id=domain.id,
            domain_uuid=domain.uuid,
            domain_path=domain.path,
            role_type=account.role.role_type,
        ),
        secret_key=user.secret_key,
        is_enabled=user.state == "enabled" and account.state == "enabled" and account.removed is None,
    )


class CredentialCache:
    """Credentials by API key and by user, for one store; thread-safe."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._lock = threading.Lock()
        self._generation = 0
        self._entries: dict[object, tuple[float, Credentials]] = {}
        self._watch(store.engine)

    def by_api_key(self, api_key: str) -> Credentials | None:
        """The live user with this API key (case counts), None when there is none."""
        return self._get(("key", api_key))

    def by_user(self, user_id: int) -> Credentials | None:
        """The live user with this internal number, None when it is gone."""
        return self._get(("user", user_id))

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._generation += 1
            self._entries.clear()

    def _get(self, key: tuple[str, object]) -> Credentials | None:
        now = self._clock.monotonic()
        entry = self._entries.get(key)
        if entry is not None and now - entry[0] <= MAX_AGE_S:
            return entry[1]
        generation = self._generation
        with self._store.session() as session:
            column = User.api_key if key[0] == "key" else User.id
            user = session.scalar(select(User).where(column == key[1], User.removed.is_(None)))
            if user is None or (key[0] == "key" and user.api_key != key[1]):
                return None  # a database may compare without case; an API key has one spelling
            credentials = load_credentials(session, user)
        with self._lock:
            # A change committed while we read must win over what we read.
            if generation == self._generation:
                self._entries[key] = (now, credentials)
        return credentials

    def _watch(self, engine: Engine) -> None:
        changed = (_CHANGED, id(self))  # each cache of a store has a mark of its own

        def on_statement(
            connection: Connection, _cursor: object, statement: str, _parameters: object, _context: object, _many: bool
        ) -> None:
            if _CHANGES_WATCHED_TABLE.match(statement):
                connection.info[changed] = True

        def on_checkin(_connection: object, record: Any) -> None:  # Any: SQLAlchemy's pool record has no public type
            # The connection comes back to the pool after its commit, when new look-ups see the change.
            if record.info.pop(changed, False):
                self.clear()

        event.listen(engine, "after_cursor_execute", on_statement)
        event.listen(engine, "checkin", on_checkin)
