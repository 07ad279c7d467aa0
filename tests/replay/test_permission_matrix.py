"""Every command of this server, called by each of the four kinds of account: who may is what the catalogue says."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mgmt.api.dispatch import AUTHENTICATION_COMMANDS, SILENT_WITHOUT_ID
from mgmt.commands.declaration import ADMIN, DOMAIN_ADMIN, RESOURCE_ADMIN, USER, Declaration
from mgmt.inventory.permissions import is_allowed
from mgmt.store.default_roles import RULED_ROLES
from mgmt.store.models import Account, Role, User

ROOT = Path(__file__).parents[2]
# What a real server lists for its default roles, and what the commands' own annotations say.
SEEN: dict[str, list[str]] = json.loads((ROOT / "fixtures" / "catalog" / "roles.json").read_text("utf-8"))
COMMANDS: dict[str, Any] = json.loads((ROOT / "fixtures" / "catalog" / "api.json").read_text("utf-8"))["commands"]
ACCOUNT_TYPES = {ADMIN: "1", RESOURCE_ADMIN: "3", DOMAIN_ADMIN: "2", USER: "0"}
DENIED = "The API [{}] does not exist or is not available for the account for user id ["
UNPRINTABLE = "Received value containing illegal ASCII non-printable characters for parameter x"
# Before any role: who sends these is nobody yet.
OF_NOBODY = AUTHENTICATION_COMMANDS
# The default rules of resource admins, as upstream's database script inserts them.
OF_RESOURCE_ADMINS = {
    name
    for line in (ROOT / "fixtures" / "catalog" / "resource_admin.txt").read_text("utf-8").splitlines()
    if not line.startswith("#")
    for name in line.split()
}
READING = ("list", "get", "query", "find")


@pytest.fixture(scope="module")
def people(own_world: Any) -> Iterator[dict[str, str]]:
    """A user of each kind of account, by role type; they all have keys."""
    names = {}
    with own_world.server.services.store.session() as session:
        roles = {role.role_type: role.uuid for role in session.query(Role).order_by(Role.id.desc())}
    for role_type in ACCOUNT_TYPES:
        name = names[role_type] = f"matrix-{role_type.lower()}"
        own_world.ok(
            "createAccount", username=name, password="Matrix-1234", firstname="F", lastname="L", email="x@example.com",
            accounttype="0", roleid=roles[USER],
        )  # fmt: skip
    with own_world.server.services.store.session() as session:
        # not all of them may be made by the API: resource admins need a zone of their own
        for role_type, number in ACCOUNT_TYPES.items():
            account = session.query(Account).filter(Account.name == names[role_type]).one()
            role = session.query(Role).filter(Role.uuid == roles[role_type]).one()
            account.type, account.role_id = int(number), role.id
        for user in session.query(User).filter(User.username.in_(names.values())):
            user.api_key, user.secret_key = f"{user.username}-key", f"{user.username}-secret"
            own_world.keys[user.username] = (user.api_key, user.secret_key)
        types = dict(session.query(Account.name, Account.type).filter(Account.name.in_(names.values())))
    assert types == {names[role_type]: int(number) for role_type, number in ACCOUNT_TYPES.items()}
    yield names


def may_by_catalogue(role_type: str, name: str) -> bool:
    """Whether a default role may call a command.

    No server's list of a resource admin was recorded: it may what its default rules or the annotation say.
    """
    seen, annotated = SEEN.get(name), COMMANDS.get(name, {}).get("roles")
    if role_type == ADMIN:
        return True
    if role_type == RESOURCE_ADMIN:
        return name in OF_RESOURCE_ADMINS or RESOURCE_ADMIN in (annotated or ())
    return role_type in ((annotated or ()) if seen is None else seen)


def harmless(declaration: Declaration) -> dict[str, str]:
    """Parameters with which a call that is let through changes nothing.

    Without parameters, lists list and most others miss one. The rest gets a character that is refused after the role
    was looked at and before the command runs.
    """
    if declaration.name in SILENT_WITHOUT_ID:
        return {"x": "\x01"}
    wants_one = any(getattr(field, "required", False) for field in declaration.params._declared_fields.values())
    if wants_one or declaration.name.startswith(READING):
        return {}
    return {"x": "\x01"}


@pytest.mark.parametrize("role_type", ACCOUNT_TYPES)
def test_who_may_call_what(own_world: Any, people: dict[str, str], role_type: str) -> None:
    """Each command is refused with 432 and its text, or let through, as the catalogue's list of roles says."""
    wrong, let_through = [], 0
    for name, declaration in own_world.server.services.commands.items():
        if name in OF_NOBODY or declaration.extension:
            continue
        parameters = harmless(declaration)
        status, key, fields = own_world.answer(name, who=people[role_type], **parameters)
        text = fields.get("errortext", "")
        is_denied = (status, key) == (432, "errorresponse") and text.startswith(DENIED.format(name))
        may = may_by_catalogue(role_type, name)
        let_through += may
        if is_denied == may:
            wrong.append(f"{name}: {status} {text}, by the catalogue it {'may' if may else 'may not'}")
        elif may and parameters and text != UNPRINTABLE:
            wrong.append(f"{name} did something: {status} {fields}")
        elif status in (401, 500, 530) and not text:
            wrong.append(f"{name}: {status}")
    assert not wrong, "\n".join(wrong)
    assert let_through > 100


@pytest.mark.parametrize("role_type", ACCOUNT_TYPES)
def test_list_apis_shows_a_caller_what_it_may_call(own_world: Any, people: dict[str, str], role_type: str) -> None:
    """listApis has just the commands that the catalogue opens to the caller's role."""
    shown = {api["name"] for api in own_world.ok("listApis", who=people[role_type])["api"]}
    commands = own_world.server.services.commands
    wanted = {name for name in commands if name not in OF_NOBODY and may_by_catalogue(role_type, name)}
    assert shown - OF_NOBODY == wanted


# How many commands a real server lists for each of these roles; no list of the support user was recorded.
RULED = {"Read-Only Admin - Default": 230, "Read-Only User - Default": 78, "Support Admin - Default": 255}


@pytest.mark.parametrize("name", RULED)
def test_default_roles_with_rules_may_what_a_real_server_lists(name: str) -> None:
    """The rules of a read-only or support role open as many of CloudStack's commands as a real server lists for it."""
    type_, _, rules = RULED_ROLES[name]
    ordered = tuple((rule, permission == "ALLOW") for rule, permission in rules)
    assert sum(is_allowed(command, type_, ordered, ()) for command in SEEN) == RULED[name]


def test_who_reads_only_and_who_supports(own_world: Any) -> None:
    """Accounts of these roles may what their rules say, whatever their type may; their rules are listed and copied."""
    roles = {role["name"]: role for role in own_world.ok("listRoles")["role"]}
    assert [name for name, role in roles.items() if role.get("isdefault")] == [
        "Root Admin", "Resource Admin", "Domain Admin", "User", *RULED_ROLES,
    ]  # fmt: skip
    for number, (name, may, may_not) in enumerate(
        (
            ("Read-Only Admin - Default", "listHosts", "createDiskOffering"),
            ("Read-Only User - Default", "listVolumes", "startVirtualMachine"),
            ("Support Admin - Default", "createDiskOffering", "updateConfiguration"),
            ("Support User - Default", "startVirtualMachine", "deployVirtualMachine"),
        )
    ):
        who, role = f"ruled-{number}", roles[name]["id"]
        made = own_world.ok(
            "createAccount", username=who, password="Ruled-1234", firstname="F", lastname="L", email="x@example.com",
            roleid=role,
        )["account"]  # fmt: skip
        keys = own_world.ok("registerUserKeys", id=made["user"][0]["id"])["userkeys"]
        own_world.keys[who] = (keys["apikey"], keys["secretkey"])
        shown = {api["name"] for api in own_world.ok("listApis", who=who)["api"]}
        assert (may in shown, may_not in shown) == (True, False), name
        assert own_world.answer(may, who=who)[0] != 432, name
        assert own_world.answer(may_not, who=who)[0] == 432, name
        rules = own_world.ok("listRolePermissions", roleid=role)["rolepermission"]
        assert (rules[-1]["rule"], rules[-1]["permission"]) == ("*", "deny"), name
        text = own_world.refused("createRolePermission", roleid=role, rule="listHosts", permission="allow")[1]
        assert text == "Role permission cannot be added for Default roles"
        copied = own_world.ok("createRole", name=f"copy-{number}", roleid=role)["role"]["id"]
        copies = own_world.ok("listRolePermissions", roleid=copied)["rolepermission"]
        assert [(each["rule"], each["permission"]) for each in copies] == [
            (each["rule"], each["permission"]) for each in rules
        ]
