"""May a role call a command: its rules in their order, then the default of its type.

The first four default roles have their rules in the catalogue; the other default roles and all others have rows of
their own, and where none of them fits, what the command's annotation says of the role's type.

Upstream: plugins/acl/dynamic-role-based/.../DynamicRoleBasedAPIAccessChecker.java, api/.../acl/Rule.java.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from mgmt.store.models import RolePermission

ALLOW = "ALLOW"
DENY = "DENY"

# Each rule with whether it allows, in the order in which they are asked.
Rules = tuple[tuple[str, bool], ...]

_RULE = re.compile(r"[a-zA-Z0-9*]+", re.ASCII)


def rules_of(session: Session, role_id: int) -> Rules:
    """The rules that a role has of its own; none for the first default roles."""
    return tuple((each.rule, each.permission == ALLOW) for each in permissions_of(session, role_id))


def permissions_of(session: Session, role_id: int) -> Sequence[RolePermission]:
    """The rows of a role's rules, in their order."""
    ordered = (RolePermission.sort_order, RolePermission.id)
    return session.scalars(select(RolePermission).where(RolePermission.role_id == role_id).order_by(*ordered)).all()


def is_rule(text: str) -> bool:
    """True for a text that can be a rule: the letters of command names, and `*`."""
    return _RULE.fullmatch(text) is not None


def fits(rule: str, command: str) -> bool:
    """True when `rule` means `command`; `*` stands for any text, and case does not count."""
    pattern = ".*".join(re.escape(part) for part in rule.split("*"))
    return re.fullmatch(pattern, command, re.IGNORECASE) is not None


def is_allowed(command: str, role_type: str, rules: Rules, by_default: Collection[str]) -> bool:
    """Whether a role with these rules may call `command`, which `by_default` is open to these role types."""
    for rule, allows in rules:
        if fits(rule, command):
            return allows
    return role_type in by_default
