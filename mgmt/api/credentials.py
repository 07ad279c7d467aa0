"""Who an API key or a login belongs to, cached.

A look-up reads user, account, domain and role; the result is kept until any of those rows changes in this store's
sessions, and at most `MAX_AGE_S` seconds, because another server may share the database.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from sqlalchemy import Row, Select, and_, bindparam, or_, select
from sqlalchemy.orm import Session

from mgmt.commands.declaration import Caller
from mgmt.inventory.permissions import Rules, rules_of
from mgmt.providers import Clock
from mgmt.store.database import Store
from mgmt.store.models import Account, Domain, Project, ProjectAccount, Role, User
from mgmt.store.rows import run, table_of

MAX_AGE_S = 5.0
_WATCHED_TABLES = ("user", "account", "domain", "roles", "role_permissions", "projects", "project_account")


@dataclass(frozen=True)
class Credentials:
    """A user as the edge needs it. `is_enabled` is False when the user or its account is disabled or locked.

    `rules` are those of a role that is no default one; `key_access` is what user or account say of API keys, None when
    they leave it to the setting.
    """

    caller: Caller
    secret_key: str | None
    is_enabled: bool
    rules: Rules = ()
    key_access: bool | None = None

    def __repr__(self) -> str:
        return f"Credentials(user={self.caller.username!r})"


@cache
def _credentials(column: str) -> Select[Any]:
    """A live user with its account, domain and role, by one column of the user."""
    user, account, domain, role = (table_of(model) for model in (User, Account, Domain, Role))
    joined = user.join(account, account.c.id == user.c.account_id)
    joined = joined.join(domain, domain.c.id == account.c.domain_id).join(role, role.c.id == account.c.role_id)
    caller = (  # in the order of a Caller's fields
        user.c.id,
        user.c.uuid,
        user.c.username,
        account.c.id,
        account.c.uuid,
        account.c.name,
        account.c.type,
        domain.c.id,
        domain.c.uuid,
        domain.c.path,
        role.c.role_type,
        role.c.id,
        role.c.is_default,
    )
    more = (
        user.c.api_key,
        user.c.secret_key,
        user.c.state,
        account.c.state,
        account.c.removed,
        role.c.state,
        user.c.api_key_access,
        account.c.api_key_access,
    )
    wanted = (user.c[column] == bindparam("wanted"), user.c.removed.is_(None))
    return select(*caller, *more).select_from(joined).where(*wanted)


def _made(row: Row[Any], session: Session) -> tuple[str | None, Credentials]:
    """The user's API key as it is spelt, and the credentials."""
    *fields, api_key, secret_key, state, account_state, account_removed, role_state, of_user, of_account = tuple(row)
    caller = _with_projects(session, Caller(*fields))
    return api_key, Credentials(
        caller=caller,
        secret_key=secret_key,
        is_enabled=(state, account_state, role_state, account_removed) == ("enabled", "enabled", "enabled", None),
        rules=rules_of(session, caller.role_id),
        key_access=of_account if of_user is None else of_user,
    )


@cache
def _projects() -> Select[Any]:
    """The accounts of the projects that a user takes part in, himself or by his account, with his role there."""
    project, member = table_of(Project).c, table_of(ProjectAccount).c
    is_member = or_(
        and_(member.account_id == bindparam("account"), member.user_id.is_(None)), member.user_id == bindparam("user")
    )
    joined = table_of(Project).join(table_of(ProjectAccount), member.project_id == project.id)
    return select(project.account_id, member.role).select_from(joined).where(is_member, project.removed.is_(None))


def _with_projects(session: Session, caller: Caller) -> Caller:
    found = run(session, _projects(), {"account": caller.account_id, "user": caller.user_id}).all()
    if not found:
        return caller
    return replace(
        caller,
        project_accounts=frozenset(row.account_id for row in found),
        managed_project_accounts=frozenset(row.account_id for row in found if row.role == "Admin"),
    )


class CredentialCache:
    """Credentials by API key and by user, for one store; thread-safe."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._lock = threading.Lock()
        self._generation = 0
        self._entries: dict[object, tuple[float, Credentials]] = {}
        store.changes.listen(_WATCHED_TABLES, self.clear)

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
            statement = _credentials("api_key" if key[0] == "key" else "id")
            user = run(session, statement, {"wanted": key[1]}).first()
            if user is None:
                return None
            api_key, credentials = _made(user, session)
        if key[0] == "key" and api_key != key[1]:
            return None  # a database may compare without case; an API key has one spelling
        with self._lock:
            # A change committed while we read must win over what we read.
            if generation == self._generation:
                self._entries[key] = (now, credentials)
        return credentials
