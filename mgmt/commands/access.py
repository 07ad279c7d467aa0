"""Which commands a caller's role is allowed, for the edge that checks it and for listApis, which shows it."""

from __future__ import annotations

from collections.abc import Collection

from mgmt.commands.catalogue import catalogue
from mgmt.commands.declaration import ADMIN, Caller
from mgmt.inventory.permissions import Rules, is_allowed


def may_call(caller: Caller, rules: Rules, command: str, roles: Collection[str]) -> bool:
    """Whether `caller`, whose role has `rules` of its own, may call `command`, which the default roles `roles` may.

    A default role may have rules too. That of root admins has none, and may call everything, also what does not exist.
    """
    if caller.has_default_role and not rules:
        return caller.role_type == ADMIN or caller.role_type in roles
    annotated = catalogue().annotated_roles(command)
    return is_allowed(command, caller.role_type, rules, roles if annotated is None else annotated)
