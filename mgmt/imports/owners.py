"""Who will own the imported VM (import-vm 2.1 row 10), and the checks of it that happen on the HTTP call.

Upstream: server/.../user/AccountManagerImpl.finalyzeAccountId, UnmanagedVMsManagerImpl.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import Row, Select, bindparam, select
from sqlalchemy.orm import Session

from mgmt.errors import InvalidParameterValueError, PermissionDeniedError
from mgmt.imports.request import Requester
from mgmt.inventory.owner import active_project
from mgmt.inventory.scope import find_active_account
from mgmt.store.models import Account, User
from mgmt.store.rows import find_row, run, table_of


@dataclass(frozen=True)
class Owner:
    """The account that will own the VM, and the user that the VM will name."""

    account_id: int
    account_uuid: str
    account_type: int
    domain_id: int
    user_id: int


def check_account(session: Session, account: str | None, domain_id: int | None, project_id: int | None = None) -> None:
    """Raise what a call with a wrong `account`/`domainid` pair or `projectid` is answered with, before a job exists."""
    if account is None:
        if project_id is not None:
            active_project(session, project_id)
        return
    if domain_id is None:
        raise InvalidParameterValueError("Account must be specified with domainId parameter")
    _named(session, account, domain_id)


def _named(session: Session, account: str, domain_id: int) -> Account:
    found = find_active_account(session, account, domain_id)
    if found is None:
        raise InvalidParameterValueError(
            f"Unable to find account by name {account} in domain with specified id", row="10"
        )
    if found.state != "enabled":
        raise PermissionDeniedError(
            f"Can't add resources to the account id={found.id} in state={found.state} as it's no longer active",
            row="10",
        )
    return found


def find_owner(
    session: Session, account: str | None, domain_id: int | None, requester: Requester, project_id: int | None = None
) -> Owner:
    """The owner: the named account, the project's, or the caller's; its first user, or the calling one."""
    if account and domain_id is not None:
        row: Account | Row[Any] = _named(session, account, domain_id)
    elif project_id is not None:
        row = active_project(session, project_id).account
    else:
        own = find_row(session, Account, requester.account_id, "id", "uuid", "type", "domain_id")
        assert own is not None, "accounts are marked as removed, not deleted"
        row = own
    user_id = run(session, _first_user(), {"account": row.id}).scalar()
    return Owner(row.id, row.uuid, row.type, row.domain_id, user_id or requester.user_id)


@cache
def _first_user() -> Select[tuple[int]]:
    user = table_of(User).c
    return (
        select(user.id)
        .where(user.account_id == bindparam("account"), user.removed.is_(None))
        .order_by(user.id)
        .limit(1)
    )


# What stands in docs/import-rules.md: when each row holds, and what it gives where it refuses nothing.
RULES: Mapping[str, str] = {
    "10": "the account or the project does not exist, or is not active",
}
