"""Roles and their rules: making, changing and deleting them, and their views.

Upstream: server/.../acl/RoleManagerImpl.java, api/.../command/admin/acl/.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from mgmt.errors import PARAM_ERROR, InvalidParameterValueError, PermissionDeniedError, ServerApiError
from mgmt.inventory.listing import equals_ignoring_case
from mgmt.inventory.permissions import ALLOW, DENY, is_rule, permissions_of
from mgmt.inventory.scope import ROOT_ADMIN, CallerLike
from mgmt.providers import Providers
from mgmt.store.models import Account, Role, RolePermission

ROLE_TYPES = ("Admin", "ResourceAdmin", "DomainAdmin", "User")


def live_role(
    session: Session, caller: CallerLike, role_id: int | None, text: str = "Invalid role id provided"
) -> Role:
    """The role with this number; InvalidParameterValueError with `text` for one that is gone or hidden from the caller.

    Roles of root admins are for root admins alone.
    """
    role = None if role_id is None else session.get(Role, role_id)
    if role is None or role.removed is not None or (role.role_type == "Admin" and caller.account_type != ROOT_ADMIN):
        raise ServerApiError(PARAM_ERROR, text)
    return role


def role_type(text: str) -> str:
    """A role type as it is spelt; ServerApiError for an unknown one."""
    for known in ROLE_TYPES:
        if known.lower() == text.lower():
            return known
    raise ServerApiError(PARAM_ERROR, "Invalid role type provided")


def create_role(
    session: Session,
    providers: Providers,
    caller: CallerLike,
    *,
    name: str,
    type_: str | None,
    based_on: int | None,
    description: str | None,
    is_public: bool,
    default_rules: Mapping[str, Sequence[str]],
) -> Role:
    """Record a role of a type, or one with the rules of another role; `default_rules` are by role type."""
    if (type_ is None) == (based_on is None):
        both = "Both role type and role ID should not be specified"
        raise ServerApiError(PARAM_ERROR, both if type_ else "Neither role type nor role ID were provided")
    source = None if based_on is None else live_role(session, caller, based_on)
    _refuse_taken(session, name)
    role = Role(
        uuid=providers.ids.uuid(),
        name=name,
        role_type=source.role_type if source else role_type(type_ or ""),
        description=description,
        is_default=False,
        is_public=is_public,
    )
    session.add(role)
    session.flush()
    if source is not None:
        for rule, permission, text in _rules(session, source, default_rules):
            add_rule(session, providers, role, rule, permission, text)
    return role


def _refuse_taken(session: Session, name: str) -> None:
    taken = select(Role.id).where(equals_ignoring_case(Role.name, name), Role.removed.is_(None))
    if session.scalar(taken.limit(1)) is not None:
        raise InvalidParameterValueError(f"Role with name {name} already exists")


def _rules(
    session: Session, role: Role, default_rules: Mapping[str, Sequence[str]]
) -> list[tuple[str, str, str | None]]:
    own = permissions_of(session, role.id)
    if role.is_default and not own:
        return [(rule, ALLOW, None) for rule in default_rules.get(role.role_type, ())]
    return [(each.rule, each.permission, each.description) for each in own]


def update_role(
    session: Session,
    caller: CallerLike,
    role: Role,
    *,
    name: str | None,
    type_: str | None,
    description: str | None,
    is_public: bool | None,
) -> Role:
    """Change a role that is no default one; its type only while nobody has it."""
    refuse_default(role, "Default roles cannot be updated")
    if name is not None and name.lower() != role.name.lower():
        _refuse_taken(session, name)
    if type_ is not None and role_type(type_) != role.role_type:
        if has_accounts(session, role):
            raise PermissionDeniedError("Found accounts that have role in use, won't allow to update role type")
        role.role_type = role_type(type_)
    role.name = name or role.name
    role.description = description if description is not None else role.description
    role.is_public = role.is_public if is_public is None else is_public
    return role


def has_accounts(session: Session, role: Role) -> bool:
    """True while an account has the role."""
    users = select(func.count()).select_from(Account).where(Account.role_id == role.id, Account.removed.is_(None))
    return bool(session.scalar(users))


def delete_role(session: Session, providers: Providers, role: Role) -> None:
    """Delete a role that is no default one and that nobody has."""
    refuse_default(role, "Default roles cannot be deleted")
    if has_accounts(session, role):
        raise PermissionDeniedError("Found accounts that have role in use, won't allow to delete role")
    for permission in permissions_of(session, role.id):
        session.delete(permission)
    role.removed = providers.utcnow()


def refuse_default(role: Role, text: str) -> None:
    """Raise PermissionDeniedError with `text` for a default role."""
    if role.is_default:
        raise PermissionDeniedError(text)


def add_rule(
    session: Session, providers: Providers, role: Role, rule: str, permission: str, description: str | None
) -> RolePermission:
    """Put a rule behind the others of a role; ServerApiError for a word that is no rule or no permission."""
    if not is_rule(rule):
        raise InvalidParameterValueError(f"Only API names and wildcards are allowed, invalid rule provided: {rule}")
    last = session.scalar(select(func.max(RolePermission.sort_order)).where(RolePermission.role_id == role.id))
    row = RolePermission(
        uuid=providers.ids.uuid(),
        role_id=role.id,
        rule=rule,
        permission=permission_word(permission),
        description=description,
        sort_order=0 if last is None else last + 1,
    )
    session.add(row)
    session.flush()
    return row


def permission_word(text: str) -> str:
    """ALLOW or DENY as they are kept; ServerApiError for another word."""
    if text.upper() not in (ALLOW, DENY):
        raise ServerApiError(PARAM_ERROR, "Values for permission parameter should be: allow or deny")
    return text.upper()


def order_rules(session: Session, role: Role, ordered: Sequence[int]) -> None:
    """Give a role's rules another order: `ordered` are the numbers of all of them."""
    rows = {row.id: row for row in permissions_of(session, role.id)}
    if set(ordered) != set(rows) or len(ordered) != len(rows):
        raise InvalidParameterValueError("Rule permissions list has changed since. Please refresh and try again.")
    for position, number in enumerate(ordered):
        rows[number].sort_order = position


def role_view(role: Role) -> dict[str, Any]:
    """A role as lists and answers show it; a default one says so."""
    return {
        "type": role.role_type,
        "isdefault": True if role.is_default else None,
        "state": role.state,
        "id": role.uuid,
        "name": role.name,
        "description": role.description,
        "ispublic": role.is_public,
    }


def permission_views(session: Session, role: Role, default_rules: Mapping[str, Sequence[str]]) -> list[dict[str, Any]]:
    """The rules of a role as listRolePermissions shows them; those of the first default roles are no rows."""
    own = permissions_of(session, role.id)
    if own or not role.is_default:
        return [permission_view(role, each) for each in own]
    return [
        {
            "id": str(uuid.uuid5(uuid.UUID(role.uuid), rule)),
            "roleid": role.uuid,
            "rolename": role.name,
            "rule": rule,
            "permission": ALLOW.lower(),
        }
        for rule in default_rules.get(role.role_type, ())
    ]


def permission_view(role: Role, permission: RolePermission) -> dict[str, Any]:
    """One rule of a role."""
    return {
        "id": permission.uuid,
        "roleid": role.uuid,
        "rolename": role.name,
        "rule": permission.rule,
        "permission": permission.permission.lower(),
        "description": permission.description,
    }
