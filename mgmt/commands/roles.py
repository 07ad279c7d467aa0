"""Roles and their rules."""

from __future__ import annotations

from collections.abc import Mapping

from mgmt.commands.catalogue import catalogue
from mgmt.commands.catalogued import completed, done, listed
from mgmt.commands.declaration import Bound, Call, Item, Listing, Success
from mgmt.errors import PARAM_ERROR, ServerApiError
from mgmt.inventory import roles
from mgmt.inventory.permissions import permissions_of
from mgmt.store.models import Role, RolePermission

ROLE = "Role"


def _made(call: Call, bound: Bound) -> Role:
    return roles.create_role(
        call.db,
        call.services.providers,
        call.caller,
        name=bound["name"],
        type_=bound["type"],
        based_on=bound.get("roleid"),
        description=bound["description"],
        is_public=bound["ispublic"] is not False,
        default_rules=catalogue().default_rules(),
    )


@done("createRole", "role", since="4.9.0")
def create_role(call: Call, bound: Bound) -> Item:
    """A role of a type, or a copy of another one."""
    role = _made(call, bound)
    completed(call.db, call, "ROLE.CREATE", "creating Role", ROLE, role.uuid)
    return Item(roles.role_view(role))


@done("importRole", "role", since="4.15.0")
def import_role(call: Call, bound: Bound) -> Item:
    """A role with all its rules; `forced` replaces the rules of one that has the name already."""
    rules = [_rule(entry) for _, entry in sorted(bound["rules"].items(), key=lambda each: int(each[0]))]
    role = call.db.query(Role).filter(Role.name == bound["name"], Role.removed.is_(None)).one_or_none()
    if role is not None and bound["forced"]:
        roles.refuse_default(role, "Role cannot be imported for a default role")
        for old in permissions_of(call.db, role.id):
            call.db.delete(old)
        call.db.flush()
    else:
        role = _made(call, bound)
    for rule, permission, description in rules:
        roles.add_rule(call.db, call.services.providers, role, rule, permission, description)
    completed(call.db, call, "ROLE.IMPORT", "importing Role", ROLE, role.uuid)
    return Item(roles.role_view(role))


def _rule(entry: Mapping[str, str]) -> tuple[str, str, str | None]:
    rule, permission = entry.get("rule"), entry.get("permission")
    if not rule or not permission:
        raise ServerApiError(PARAM_ERROR, "Invalid rule and/or permission provided for the role")
    return rule, permission, entry.get("description")


@done("updateRole", "role", since="4.9.0")
def update_role(call: Call, bound: Bound) -> Item:
    """Change name, type, text or visibility of a role."""
    role = roles.update_role(
        call.db,
        call.caller,
        roles.live_role(call.db, call.caller, bound["id"]),
        name=bound["name"],
        type_=bound["type"],
        description=bound["description"],
        is_public=bound["ispublic"],
    )
    completed(call.db, call, "ROLE.UPDATE", "updating Role", ROLE, role.uuid)
    return Item(roles.role_view(role))


@done("deleteRole", since="4.9.0")
def delete_role(call: Call, bound: Bound) -> Success:
    """Delete a role that nobody has."""
    role = roles.live_role(call.db, call.caller, bound["id"])
    roles.delete_role(call.db, call.services.providers, role)
    completed(call.db, call, "ROLE.DELETE", "deleting Role", ROLE, role.uuid)
    return Success()


def _set_state(call: Call, bound: Bound, state: str, event: str, gerund: str) -> Success:
    role = roles.live_role(call.db, call.caller, bound["id"])
    if role.is_default and state == "disabled":
        roles.refuse_default(role, "Default roles cannot be disabled")
    role.state = state
    completed(call.db, call, event, gerund, ROLE, role.uuid)
    return Success()


@done("enableRole", since="4.20.0")
def enable_role(call: Call, bound: Bound) -> Success:
    """Let the users of a role in again."""
    return _set_state(call, bound, "enabled", "ROLE.ENABLE", "enabling Role")


@done("disableRole", since="4.20.0")
def disable_role(call: Call, bound: Bound) -> Success:
    """Let the users of a role in no more."""
    return _set_state(call, bound, "disabled", "ROLE.DISABLE", "disabling Role")


@listed("listRolePermissions", "rolepermission", is_list=False, since="4.9.0")
def list_role_permissions(call: Call, bound: Bound) -> Listing:
    """The rules of a role, in their order; without a role those of all that the caller sees."""
    if bound["roleid"] is not None:
        shown = [roles.live_role(call.db, call.caller, bound["roleid"])]
    else:
        query = call.db.query(Role).filter(Role.removed.is_(None)).order_by(Role.id)
        shown = [role for role in query if call.caller.is_root_admin or role.role_type != "Admin"]
    defaults = catalogue().default_rules()
    views = [view for role in shown for view in roles.permission_views(call.db, role, defaults)]
    return Listing(views, len(views))


@done("createRolePermission", "rolepermission", since="4.9.0")
def create_role_permission(call: Call, bound: Bound) -> Item:
    """Put a rule behind the others of a role."""
    role = roles.live_role(call.db, call.caller, bound["roleid"])
    roles.refuse_default(role, "Role permission cannot be added for Default roles")
    rule = roles.add_rule(
        call.db, call.services.providers, role, bound["rule"], bound["permission"], bound["description"]
    )
    completed(call.db, call, "ROLE.PERMISSION.CREATE", "creating Role Permission", ROLE, role.uuid)
    return Item(roles.permission_view(role, rule))


@done("updateRolePermission", since="4.9.0")
def update_role_permission(call: Call, bound: Bound) -> Success:
    """Give the rules of a role another order, or one of them another permission."""
    role = roles.live_role(call.db, call.caller, bound["roleid"])
    roles.refuse_default(role, "Role permission cannot be updated for Default roles")
    if bound["ruleorder"]:
        if bound["ruleid"] is not None or bound["permission"] is not None:
            raise ServerApiError(
                PARAM_ERROR, "Parameters permission and ruleid must be mutually exclusive with ruleorder"
            )
        roles.order_rules(call.db, role, [_number(call, text) for text in bound["ruleorder"]])
    else:
        rule = None if bound["ruleid"] is None else call.db.get(RolePermission, bound["ruleid"])
        if rule is None or rule.role_id != role.id or bound["permission"] is None:
            raise ServerApiError(
                PARAM_ERROR, "At least one of the parameters ruleid and permission, or ruleorder, has to be given"
            )
        rule.permission = roles.permission_word(bound["permission"])
    completed(call.db, call, "ROLE.PERMISSION.UPDATE", "updating Role Permission order", ROLE, role.uuid)
    return Success()


def _number(call: Call, given: int | str) -> int:
    if isinstance(given, int):
        return given
    found = call.db.query(RolePermission.id).filter(RolePermission.uuid == given.lower()).scalar()
    if found is None:
        raise ServerApiError(PARAM_ERROR, "Provided role permission(s) do not exist")
    return int(found)


@done("deleteRolePermission", since="4.9.0")
def delete_role_permission(call: Call, bound: Bound) -> Success:
    """Take a rule away."""
    rule = call.db.get(RolePermission, bound["id"])
    if rule is None:
        raise ServerApiError(PARAM_ERROR, "Invalid role permission id provided")
    role = roles.live_role(call.db, call.caller, rule.role_id)
    call.db.delete(rule)
    completed(call.db, call, "ROLE.PERMISSION.DELETE", "deleting Role Permission", ROLE, role.uuid)
    return Success()


COMMANDS = (
    create_role,
    import_role,
    update_role,
    delete_role,
    enable_role,
    disable_role,
    list_role_permissions,
    create_role_permission,
    update_role_permission,
    delete_role_permission,
)
