"""Showing and setting the limits of accounts and domains, and counting what they use.

Upstream: server/.../resourcelimit/ResourceLimitManagerImpl.java, api/.../configuration/Resource.java.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from mgmt.errors import InvalidParameterValueError, PermissionDeniedError
from mgmt.inventory.limits import (
    GIB,
    STORAGE_TYPES,
    UNLIMITED,
    account_counts,
    account_limit,
    domain_limit,
)
from mgmt.inventory.scope import (
    ROOT_ADMIN,
    CallerLike,
    check_domain_access,
    check_owner_access,
    domain_fields,
    find_active_account,
    is_admin,
    live_project,
    owner_names,
)
from mgmt.store.models import Account, Domain

# The types by their numbers in the API.
TYPES: tuple[str, ...] = (
    "user_vm", "public_ip", "volume", "snapshot", "template", "project", "network", "vpc", "cpu", "memory",
    "primary_storage", "secondary_storage", "backup", "backup_storage", "bucket", "object_storage", "gpu",
)  # fmt: skip


def checked_type(number: int | None, name: str | None = None) -> str | None:
    """The type of this number or name; None without either; InvalidParameterValueError for an unknown one."""
    if name is not None:
        if name.lower() not in TYPES:
            raise InvalidParameterValueError("Please specify a valid resource type name.")
        return name.lower()
    if number is None or number == UNLIMITED:
        return None
    if not 0 <= number < len(TYPES):
        raise InvalidParameterValueError("Please specify a valid resource type.")
    return TYPES[number]


def owner_of(session: Session, caller: CallerLike, params: Mapping[str, Any]) -> Account | Domain:
    """Whose limits a call means: an account, a domain, or the caller's account."""
    name, domain_id = params.get("account"), params.get("domainid")
    if params.get("projectid") is not None:
        return _project_account(session, caller, params["projectid"])
    if domain_id is not None:
        domain = session.get(Domain, domain_id)
        if domain is None or domain.removed is not None:
            raise InvalidParameterValueError(f"Unable to find domain by id {domain_id}")
        check_domain_access(caller, domain)
    if name is not None:
        in_domain = caller.domain_id if domain_id is None else domain_id
        account = find_active_account(session, name, in_domain)
        if account is None:
            raise InvalidParameterValueError(f"Unable to find account by name {name} in domain {in_domain}")
        check_owner_access(caller, account.id, account.domain.path)
        return account
    if domain_id is not None:
        return session.get_one(Domain, domain_id)
    return session.get_one(Account, caller.account_id)


def _project_account(session: Session, caller: CallerLike, project_id: int) -> Account:
    project = live_project(session, project_id, f"Unable to find project by id {project_id}")
    check_owner_access(caller, project.account_id, project.domain.path)
    return project.account


def limit_views(owner: Account | Domain, wanted: str | None) -> list[dict[str, Any]]:
    """The limits of an owner, of all types or of the wanted one."""
    return [limit_view(owner, name) for name in TYPES if wanted in (None, name)]


def limit_view(owner: Account | Domain, name: str) -> dict[str, Any]:
    """One limit; storage in GiB, and -1 for none."""
    amount = account_limit(owner, name) if isinstance(owner, Account) else domain_limit(owner, name)
    return {**_owner_fields(owner), **_type_fields(name), "max": _shown(name, amount)}


def _owner_fields(owner: Account | Domain) -> dict[str, Any]:
    domain = owner.domain if isinstance(owner, Account) else owner
    return {**(owner_names(owner) if isinstance(owner, Account) else {}), **domain_fields(domain)}


def _type_fields(name: str) -> dict[str, Any]:
    return {"resourcetype": str(TYPES.index(name)), "resourcetypename": name}


def _shown(name: str, amount: int) -> int:
    return amount // GIB if name in STORAGE_TYPES and amount >= 0 else amount


def set_limit(caller: CallerLike, owner: Account | Domain, name: str, maximum: int | None) -> None:
    """Give an owner a limit; -1 or none means no limit, storage comes in GiB."""
    if not is_admin(caller):
        raise PermissionDeniedError("Only admins can update resource limits")
    if isinstance(owner, Account):
        if owner.id == caller.account_id and caller.account_type != ROOT_ADMIN:
            raise PermissionDeniedError("Unable to update resource limit for the account of the caller")
        if owner.type == ROOT_ADMIN and maximum not in (None, UNLIMITED):
            raise InvalidParameterValueError("Only " + str(UNLIMITED) + " limit is supported for Root Admin accounts")
    elif owner.parent_id is None:
        raise PermissionDeniedError("Cannot update resource limit for ROOT domain")
    elif owner.id == caller.domain_id and caller.account_type != ROOT_ADMIN:
        raise PermissionDeniedError("Unable to update resource limit for the domain of the caller")
    if maximum is None or maximum < UNLIMITED:
        maximum = UNLIMITED
    if name in STORAGE_TYPES and maximum > 0:
        maximum *= GIB
    owner.limits = {**owner.limits, name: maximum}


def count_views(session: Session, owner: Account | Domain, wanted: str | None) -> list[dict[str, Any]]:
    """What an owner uses; a domain uses what its accounts and those below do. Storage is in bytes."""
    if isinstance(owner, Account):
        ids = [owner.id]
    else:
        inside = select(Domain.id).where(Domain.path.startswith(owner.path, autoescape=True))
        ids = list(session.scalars(select(Account.id).where(Account.domain_id.in_(inside), Account.removed.is_(None))))
    counts = account_counts(session, ids).values()
    return [
        {
            **_owner_fields(owner),
            **_type_fields(name),
            "resourcecount": sum(each.get(name, 0) for each in counts),
        }
        for name in TYPES
        if wanted in (None, name)
    ]
