"""Accounts and users: their searches and the views that lists show.

Upstream: server/.../api/query/QueryManagerImpl.java (searchForAccounts, searchForUsers), dao/AccountJoinDaoImpl.java,
dao/UserAccountJoinDaoImpl.java; field order of recorded answers.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, String, and_, cast, false, func, not_, select
from sqlalchemy.orm import InstrumentedAttribute, Session, contains_eager, joinedload

from mgmt.errors import InvalidParameterValueError, PermissionDeniedError
from mgmt.inventory.limits import GIB, STORAGE_TYPES, UNLIMITED, account_counts, account_limit
from mgmt.inventory.listing import Window, any_like_keyword, equals_ignoring_case, page
from mgmt.inventory.scope import (
    DOMAIN_ADMIN,
    NORMAL,
    PROJECT,
    ROOT_ADMIN,
    CallerLike,
    check_domain_access,
    check_owner_access,
    domain_fields,
    find_active_account,
    is_admin,
    resolve_scope,
)
from mgmt.store.models import Account, Domain, User, VmInstance

# The account and user that the server itself acts as; lists never show them.
SYSTEM = "system"

# Whether API keys are allowed, where an account or user leaves it to its parent.
API_KEY_ACCESS = "INHERIT"
_KEY_ACCESS = {None: API_KEY_ACCESS, True: "ENABLED", False: "DISABLED"}

# The resource types of an account answer, with the start of their field names, in the order of recorded answers. None
# stands for the two counts of VMs by state, which come among them.
RESOURCES: tuple[tuple[str, str] | None, ...] = (
    ("user_vm", "vm"),
    ("public_ip", "ip"),
    ("volume", "volume"),
    ("snapshot", "snapshot"),
    ("backup", "backup"),
    ("backup_storage", "backupstorage"),
    ("template", "template"),
    None,
    ("project", "project"),
    ("network", "network"),
    ("vpc", "vpc"),
    ("cpu", "cpu"),
    ("memory", "memory"),
    ("gpu", "gpu"),
    ("primary_storage", "primarystorage"),
    ("secondary_storage", "secondarystorage"),
    ("bucket", "bucket"),
    ("object_storage", "objectstorage"),
)


def find_accounts(
    session: Session, caller: CallerLike, params: Mapping[str, Any], paging: Window
) -> tuple[list[Account], int]:
    """The page of accounts that match `params` and that `caller` may see, and the number of all of them.

    `params` are the bound parameters of listAccounts by name. Raises InvalidParameterValueError for a domain or account
    that is not there, PermissionDeniedError for one that is out of the caller's reach.
    """
    conditions = [
        Account.removed.is_(None),
        Account.type != PROJECT,
        not_(and_(Account.name == SYSTEM, Account.is_default)),
    ]
    conditions += _account_scope(session, caller, params)
    if not is_admin(caller):
        conditions.append(Account.type != DOMAIN_ADMIN)
    if params.get("accounttype") is not None:
        conditions.append(Account.type == params["accounttype"])
    for name, column in (("name", Account.name), ("state", Account.state)):
        if params.get(name) is not None:
            conditions.append(equals_ignoring_case(column, params[name]))
    if params.get("keyword") is not None:
        conditions.append(any_like_keyword((Account.name, Account.state), params["keyword"]))
    if params.get("iscleanuprequired"):
        conditions.append(false())
    conditions += _with_key_access(Account.api_key_access, params)
    statement = (
        select(Account)
        .where(*conditions)
        .order_by(Account.id)
        .options(joinedload(Account.domain), joinedload(Account.role))
    )
    return page(session, statement, paging)


def _account_scope(session: Session, caller: CallerLike, params: Mapping[str, Any]) -> list[ColumnElement[bool]]:
    """Which accounts a call may show: the rules of listAccounts differ from those of owned resources."""
    domain_id, account_id, name = params.get("domainid"), params.get("id"), params.get("name")
    domain = None
    if domain_id is not None:
        domain = session.get(Domain, domain_id)
        if domain is None or domain.removed is not None:
            raise InvalidParameterValueError(f"Domain id={domain_id} doesn't exist")
        check_domain_access(caller, domain)
    is_recursive = bool(params.get("isrecursive"))
    if account_id is None:
        if params.get("listall") and is_admin(caller):
            domain = domain or session.get_one(Domain, caller.domain_id)
            is_recursive = True
        elif not is_admin(caller) or domain is None:
            account_id = caller.account_id
    else:
        check_owner_access(caller, *_named_account(session, account_id, domain_id, name))
    conditions: list[ColumnElement[bool]] = []
    if account_id is not None:
        conditions.append(Account.id == account_id)
    if domain is not None:
        conditions.append(_in_subtree(domain) if is_recursive else Account.domain_id == domain.id)
    return conditions


def _named_account(session: Session, account_id: int, domain_id: int | None, name: str | None) -> tuple[int, str]:
    """The owner to check for a call with `id`: its number and the path of its domain."""
    if domain_id is not None and name is not None:
        account = find_active_account(session, name, domain_id)
        missing = f"Unable to find account by name {name} in domain {domain_id}"
    else:
        account = session.get(Account, account_id)
        if account is not None and (account.removed is not None or domain_id not in (None, account.domain_id)):
            account = None
        missing = f"Unable to find account by id {account_id}"
        missing += "" if domain_id is None else f" in domain {domain_id}"
    if account is None or (account.name == SYSTEM and account.is_default):
        raise InvalidParameterValueError(missing)
    return account.id, account.domain.path


def _in_subtree(domain: Domain) -> ColumnElement[bool]:
    return Account.domain_id.in_(select(Domain.id).where(Domain.path.startswith(domain.path, autoescape=True)))


def _with_key_access(
    column: InstrumentedAttribute[bool | None], params: Mapping[str, Any]
) -> list[ColumnElement[bool]]:
    wanted = params.get("apikeyaccess")
    if not wanted:
        return []
    return [column.is_(value) for value, word in _KEY_ACCESS.items() if word == wanted.upper()] or [false()]


def find_users(
    session: Session, caller: CallerLike, user_id: int, params: Mapping[str, Any], paging: Window
) -> tuple[list[User], int]:
    """The page of users that match `params` and that the caller `user_id` may see, and the number of all of them.

    `params` are the bound parameters of listUsers by name. A normal user sees himself alone: raises
    PermissionDeniedError when he asks for another.
    """
    wanted = params.get("id")
    if caller.account_type == NORMAL:
        if wanted is not None and wanted != user_id:
            raise PermissionDeniedError("Calling user is not authorized to see the user requested by id")
        wanted = user_id
    scope = resolve_scope(session, caller, params, has_id=wanted is not None)
    conditions = [
        User.removed.is_(None),
        not_(and_(User.username == SYSTEM, User.is_default)),
        scope.clause(User.account_id, Account.domain_id),
    ]
    if wanted is not None:
        conditions.append(User.id == wanted)
    conditions += _user_filters(params)
    statement = (
        select(User)
        .join(User.account)
        .where(*conditions)
        .order_by(User.id)
        .options(contains_eager(User.account).options(joinedload(Account.domain), joinedload(Account.role)))
    )
    return page(session, statement, paging)


def _user_filters(params: Mapping[str, Any]) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    for name, column in (("username", User.username), ("state", User.state), ("account", Account.name)):
        if params.get(name) is not None:
            conditions.append(equals_ignoring_case(column, params[name]))
    if params.get("accounttype") is not None:
        conditions.append(Account.type == params["accounttype"])
    if params.get("keyword") is not None:
        columns = (User.username, User.firstname, User.lastname, User.email, User.state, Account.name)
        conditions.append(any_like_keyword((*columns, cast(Account.type, String)), params["keyword"]))
    if (params.get("usersource") or "native").lower() != "native":
        conditions.append(false())
    return conditions + _with_key_access(User.api_key_access, params)


def find_user_with_keys(session: Session, caller: CallerLike, user_id: int) -> User:
    """The user whose keys `caller` wants to see.

    Raises InvalidParameterValueError when he is gone, PermissionDeniedError when the caller may not.
    Upstream: AccountManagerImpl.getKeys.
    """
    user = session.get(User, user_id)
    if user is None or user.removed is not None:
        raise InvalidParameterValueError("Unable to find user by id")
    check_owner_access(caller, user.account_id, user.account.domain.path)
    return user


def user_view(user: User, caller: CallerLike, *, in_list: bool) -> dict[str, Any]:
    """A user inside an account, or with `in_list` as an entry of `listUsers`."""
    account = user.account
    path = account.domain.path
    view = {
        "id": user.uuid,
        "username": user.username,
        "firstname": user.firstname,
        "lastname": user.lastname,
        "email": user.email or None,
        "created": user.created,
        "state": user.state,
        "account": account.name,
        "accounttype": account.type,
        "usersource": "native",
        "roleid": account.role.uuid,
        "roletype": account.role.role_type,
        "rolename": account.role.name,
        "domainid": account.domain.uuid,
        "domain": account.domain.name,
        "timezone": user.timezone,
        "apikey": user.api_key,
        "accountid": account.uuid,
        "iscallerchilddomain": caller.domain_path != path and caller.domain_path.startswith(path),
        "isdefault": user.is_default,
        "is2faenabled": False,  # nobody can set up a second factor here
        "is2famandated": False,
    }
    if in_list and caller.account_type == ROOT_ADMIN:
        view["apikeyaccess"] = _KEY_ACCESS[user.api_key_access]
    return view


def account_views(
    session: Session, accounts: Sequence[Account], caller: CallerLike, details: Collection[str] = ("all",)
) -> list[dict[str, Any]]:
    """The accounts as `listAccounts` shows them, in the given order; `min` leaves limits and use out."""
    ids = [account.id for account in accounts]
    users: dict[int, list[User]] = defaultdict(list)
    for user in session.scalars(select(User).where(User.account_id.in_(ids), User.removed.is_(None)).order_by(User.id)):
        users[user.account_id].append(user)
    wants_resources = "all" in details or "resource" in details
    resources = resource_fields(session, accounts) if wants_resources else [{} for _ in accounts]
    return [
        {
            **_account_identity(account),
            **fields,
            "state": account.state,
            "created": account.created,
            "user": [user_view(user, caller, in_list=False) for user in users[account.id]],
            "isdefault": account.is_default,
            "groups": [],
            "apikeyaccess": _KEY_ACCESS[account.api_key_access] if caller.account_type == ROOT_ADMIN else None,
        }
        for account, fields in zip(accounts, resources, strict=True)
    ]


def resource_fields(session: Session, accounts: Sequence[Account]) -> list[dict[str, Any]]:
    """Limits and use of accounts, or of the accounts of projects, as their answers show them."""
    ids = [account.id for account in accounts]
    counts, states = account_counts(session, ids), _vm_states(session, ids)
    return [_resources(account, counts[account.id], states.get(account.id, {})) for account in accounts]


def _account_identity(account: Account) -> dict[str, Any]:
    return {
        "id": account.uuid,
        "name": account.name,
        "accounttype": account.type,
        "roleid": account.role.uuid,
        "roletype": account.role.role_type,
        "rolename": account.role.name,
        **domain_fields(account.domain),
        "networkdomain": account.network_domain,
        "accountdetails": account.details or None,
    }


def _vm_states(session: Session, account_ids: Sequence[int]) -> dict[int, dict[str, int]]:
    rows = session.execute(
        select(VmInstance.account_id, VmInstance.state, func.count())
        .where(VmInstance.account_id.in_(account_ids), VmInstance.removed.is_(None))
        .group_by(VmInstance.account_id, VmInstance.state)
    )
    states: dict[int, dict[str, int]] = defaultdict(dict)
    for account_id, state, count in rows:
        states[account_id][state] = count
    return states


def _resources(account: Account, counts: Mapping[str, int], vm_states: Mapping[str, int]) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for resource in RESOURCES:
        if resource is None:
            fields |= {"vmstopped": vm_states.get("Stopped", 0), "vmrunning": vm_states.get("Running", 0)}
            continue
        resource_type, prefix = resource
        limit, used = account_limit(account, resource_type), counts.get(resource_type, 0)
        fields[f"{prefix}limit"] = shown_limit(resource_type, limit)
        fields[f"{prefix}total"] = shown_amount(resource_type, used)
        free = limit if limit == UNLIMITED else max(0, limit - used)
        fields[f"{prefix}available"] = shown_limit(resource_type, free, is_available=True)
    return fields


def shown_amount(resource_type: str, amount: int) -> int | float:
    """An amount as the API shows it: whole GiB of storage, but for secondary storage, which has decimals."""
    if resource_type == "secondary_storage":
        return amount / GIB
    return amount // GIB if resource_type in STORAGE_TYPES else amount


def shown_limit(resource_type: str, amount: int, *, is_available: bool = False) -> str:
    """A limit, or what is left of it, as the API shows it."""
    if amount == UNLIMITED:
        return "Unlimited"
    if resource_type == "secondary_storage" and not is_available:
        return str(amount // GIB)
    return str(shown_amount(resource_type, amount))
