"""Accounts, users, domains and roles: who is made, changed and taken away, and who may do what."""

from __future__ import annotations

from typing import Any

import pytest

from mgmt.api.dispatch import AUTHENTICATION_COMMANDS
from mgmt.store.models import Volume

ROOT = "00000002-0000-4000-8000-000000000001"
TENANT = "00000002-0000-4000-8000-000000000002"
DENIED = "The API [{}] does not exist or is not available for the account for user id ["


def account(world: Any, name: str, *, who: str = "admin", **given: str) -> dict[str, Any]:
    """A new account with a user of the same name, who has keys."""
    fields = {"accounttype": "0", "firstname": "F", "lastname": "L", "email": "x@x", "password": "secret", **given}
    made: dict[str, Any] = world.ok("createAccount", who=who, username=name, **fields)["account"]
    keys = world.ok("registerUserKeys", who=who, id=made["user"][0]["id"])["userkeys"]
    world.keys[name] = (keys["apikey"], keys["secretkey"])
    return made


def test_an_account_and_its_users(own_world: Any) -> None:
    """An account comes with its first user; others join; names are taken once in a domain; texts are CloudStack's."""
    made = account(own_world, "anna", domainid=TENANT)
    assert (made["domainpath"], made["rolename"], made["vmlimit"]) == ("ROOT/tenant", "User", "20")
    other = own_world.ok(
        "createUser", account="anna", domainid=TENANT, username="ben", firstname="B", lastname="L", email="b@x",
        password="p", timezone="Europe/Paris",
    )["user"]  # fmt: skip
    assert (other["account"], other["timezone"]) == ("anna", "Europe/Paris")
    person = {"firstname": "F", "lastname": "L", "email": "x@x", "password": "p"}
    code, text = own_world.refused("createUser", account="anna", domainid=TENANT, username="ANNA", **person)
    assert (code, text.partition(" in domain ")[0]) == (431, "The user ANNA already exists")
    refusals = {
        "Neither account type and role ID are not provided": {"username": "x"},
        "Empty passwords are not allowed": {"username": "x", "accounttype": "0", "password": " "},
        "The specified account: anna already exists": {"username": "x", "accounttype": "0", "account": "anna"},
        "Unable to set timezone to Moon": {"username": "x", "accounttype": "0", "timezone": "Moon"},
        "Firstname is empty": {"username": "x", "accounttype": "0", "firstname": " "},
    }
    for text, given in refusals.items():
        assert own_world.refused("createAccount", domainid=TENANT, **(person | given)) == (431, text)
    code, text = own_world.refused("createAccount", domainid=TENANT, username="x", accounttype="1", **person)
    assert text.startswith("Invalid account type 1 given; unable to create user in domain Domain {")
    assert own_world.ok("moveUser", id=other["id"], account="tenant-admin") == {"success": True}
    assert own_world.ok("listUsers", id=other["id"])["user"][0]["account"] == "tenant-admin"
    assert own_world.ok("deleteUser", id=other["id"]) == {"success": True}
    assert own_world.ok("listUsers", id=other["id"]) == {}
    admin = own_world.ok("listUsers", username="admin")["user"][0]
    assert own_world.refused("deleteUser", id=admin["id"]) == (431, "The user is default and can't be removed")


def test_a_user_changes_his_password(own_world: Any) -> None:
    """A user needs the old password, an admin does not; hashes are kept, not passwords."""
    user = account(own_world, "carla")["user"][0]["id"]
    text = "To set a new password the current password must be provided."
    assert own_world.refused("updateUser", who="carla", id=user, password="new") == (431, text)
    wrong = own_world.refused("updateUser", who="carla", id=user, password="new", currentpassword="bad")
    assert wrong == (431, "Current password is incorrect.")
    own_world.ok("updateUser", who="carla", id=user, password="new", currentpassword="secret", email="c@y")
    assert own_world.login("carla", "new").status_code == 200
    own_world.ok("updateUser", id=user, password="newer", firstname="Carla")
    assert own_world.login("carla", "new").status_code == 531
    assert own_world.login("carla", "newer").json["loginresponse"]["firstname"] == "Carla"


def test_wrong_passwords_disable_a_user(own_world: Any) -> None:
    """After as many wrong passwords in a row as the setting says the user is disabled; a right one counts anew."""
    user = account(own_world, "dora")["user"][0]["id"]
    own_world.ok("updateConfiguration", name="incorrect.login.attempts.allowed", value="3")
    for password, status in (("x", 531), ("x", 531), ("secret", 200), ("x", 531), ("x", 531), ("x", 531)):
        assert own_world.login("dora", password).status_code == status
    answer = own_world.login("dora", "secret")
    assert answer.json["loginresponse"]["errortext"].endswith("is disabled/locked. Please contact the administrator.")
    own_world.ok("enableUser", id=user)
    assert own_world.login("dora", "secret").status_code == 200
    for _ in range(4):
        assert own_world.login("admin", "x").status_code == 531
    assert own_world.login("admin", "password").status_code == 200


@pytest.mark.parametrize(
    ("off", "on"),
    [("disableUser", "enableUser"), ("lockUser", "enableUser")],
)
def test_states_of_a_user(off: str, on: str, own_world: Any) -> None:
    """Who is disabled or locked signs nothing and does not get in."""
    name = f"user-{off}"
    user = account(own_world, name)["user"][0]["id"]
    assert own_world.ok(off, id=user)["user"]["state"] in ("disabled", "locked")
    assert own_world.answer("listZones", who=name)[0] == 401
    assert own_world.ok(on, id=user)["user"]["state"] == "enabled"
    assert own_world.answer("listZones", who=name)[0] == 200


def test_states_of_an_account(own_world: Any) -> None:
    """A disabled account's users are out; a default account cannot be disabled; a disabled one cannot be locked."""
    made = account(own_world, "emil")
    given = {"account": "emil", "domainid": ROOT}
    assert own_world.ok("disableAccount", id=made["id"], lock="false")["account"]["state"] == "disabled"
    assert own_world.answer("listZones", who="emil")[0] == 401
    assert own_world.refused("lockAccount", **given) == (431, "Unable to lock account emil, it is disabled")
    own_world.ok("enableAccount", **given)
    assert own_world.ok("lockAccount", **given)["account"]["state"] == "locked"
    own_world.ok("enableAccount", id=made["id"])
    assert own_world.answer("listZones", who="emil")[0] == 200
    admin = own_world.ok("listAccounts", name="admin")["account"][0]["id"]
    assert own_world.refused("disableAccount", id=admin, lock="true")[0] == 431


def test_api_key_access(own_world: Any) -> None:
    """What the user says of API keys wins over the account, and the account over the domain's setting."""
    made = account(own_world, "fred")
    user = made["user"][0]["id"]
    for said, status in (("disabled", 401), ("Enabled", 200), ("inherit", 200)):
        own_world.ok("updateUser", id=user, apikeyaccess=said)
        assert own_world.answer("listZones", who="fred")[0] == status
        assert own_world.ok("getUserKeys", id=user)["userkeys"]["apikeyaccess"] is (status == 200)
    own_world.ok("updateAccount", id=made["id"], apikeyaccess="Disabled")
    assert own_world.answer("listZones", who="fred")[0] == 401
    assert own_world.ok("listAccounts", apikeyaccess="disabled", listall="true")["count"] == 1
    assert own_world.refused("updateUser", id=user, apikeyaccess="maybe")[0] == 431


def test_an_account_is_changed_and_deleted(own_world: Any) -> None:
    """Names, details and role change; a deleted account is gone with its users, and its name is free."""
    made = account(own_world, "gina", domainid=TENANT)
    changed = own_world.ok(
        "updateAccount", id=made["id"], newname="gigi", networkdomain="gigi.example", **{"accountdetails[0].a": "b"}
    )["account"]
    assert (changed["name"], changed["networkdomain"], changed["accountdetails"]) == (
        "gigi",
        "gigi.example",
        {"a": "b"},
    )
    role = own_world.ok("listRoles", name="Domain Admin")["role"][0]["id"]
    assert own_world.ok("updateAccount", id=made["id"], roleid=role)["account"]["accounttype"] == 2
    assert own_world.ok("deleteAccount", id=made["id"]) == {"success": True}
    assert own_world.answer("listZones", who="gina")[0] == 401
    assert own_world.refused("updateAccount", id=made["id"])[1].startswith("Unable to find account by id")
    account(own_world, "gigi", domainid=TENANT)
    types = [
        each["type"] for each in own_world.ok("listEvents", resourceid=made["id"], resourcetype="Account")["event"]
    ]
    assert {"ACCOUNT.CREATE", "ACCOUNT.UPDATE", "ACCOUNT.DELETE"} <= set(types)


def test_a_snapshot_needs_an_image_store_and_goes_with_its_account(own_world: Any) -> None:
    """Without an image store that takes it a snapshot ends in Error, counts no more, and is gone with its account."""
    made = account(own_world, "snappy", domainid=TENANT)
    zone = own_world.ok("listZones")["zone"][0]["id"]
    offering = own_world.ok("listDiskOfferings", name="Custom Disk")["diskoffering"][0]["id"]
    of_account = {"account": "snappy", "domainid": TENANT}
    volume = own_world.ok("createVolume", name="v", zoneid=zone, diskofferingid=offering, size="1", **of_account)
    volume_id = volume["volume"]["id"]
    with own_world.server.services.store.session() as session:
        session.query(Volume).filter(Volume.uuid == volume_id).one().state = "Ready"
    own_world.ok("updateResourceLimit", resourcetype="3", max="1", **of_account)
    store = own_world.ok("listImageStores")["imagestore"][0]["id"]
    own_world.ok("updateImageStore", id=store, readonly="true")
    code, text = own_world.refused("createSnapshot", volumeid=volume_id)
    assert (code, text) == (
        530,
        f"Failed to create snapshot due to an internal error creating snapshot for volume {volume_id}",
    )
    own_world.ok("updateImageStore", id=store, readonly="false")
    snapshot = own_world.ok("createSnapshot", volumeid=volume_id, name="s")["snapshot"]
    assert (snapshot["name"], snapshot["account"], snapshot["datastoreid"]) == ("s", "snappy", store)
    text = own_world.refused("createSnapshot", volumeid=volume_id)[1]
    assert text.startswith("Maximum amount of resources of Type = 'snapshot'")
    states = [each["state"] for each in own_world.ok("listSnapshots", **of_account)["snapshot"]]
    assert states == ["Error", "BackedUp"]
    assert own_world.ok("listSnapshots", who="user", id=snapshot["id"]) == {}
    assert own_world.refused("deleteSnapshot", who="user", id=snapshot["id"])[0] == 531
    own_world.ok("deleteAccount", id=made["id"])
    assert own_world.ok("listSnapshots", listall="true") == {}


def test_domains(own_world: Any) -> None:
    """A domain is made below another, renamed with those below it, and deleted with `cleanup` when it is not empty."""
    top = own_world.ok("createDomain", name="top", networkdomain="top.example")["domain"]
    below = own_world.ok("createDomain", name="below", parentdomainid=top["id"])["domain"]
    assert (top["path"], below["path"], below["level"]) == ("ROOT/top", "ROOT/top/below", 2)
    assert own_world.refused("createDomain", name="top")[1] == (
        "Domain with name [top] already exists for the parent with ID [1]."
    )
    assert own_world.refused("createDomain", name="x", networkdomain="-")[1].startswith("Invalid network domain.")
    own_world.ok("updateDomain", id=top["id"], name="tip")
    assert own_world.ok("listDomains", id=below["id"])["domain"][0]["path"] == "ROOT/tip/below"
    account(own_world, "hans", domainid=below["id"])
    assert own_world.refused("deleteDomain", id=top["id"])[0] == 530
    assert own_world.ok("deleteDomain", id=top["id"], cleanup="true") == {"success": True}
    assert own_world.ok("listDomains", name="below") == {}
    assert own_world.answer("listZones", who="hans")[0] == 401
    assert own_world.refused("deleteDomain", id=ROOT) == (531, "Can't delete ROOT domain")
    assert own_world.refused("updateDomain", id=ROOT, name="x") == (531, "Update of ROOT domain is not allowed")


def test_a_domain_admin_rules_his_domain_only(own_world: Any) -> None:
    """A domain admin makes accounts and domains of his own domain, none of root admins and none elsewhere."""
    who = "tenant-admin"
    account(own_world, "ida", who=who, domainid=TENANT)
    assert own_world.refused("createDomain", who=who, name="x", parentdomainid=ROOT)[0] == 531
    person = {"firstname": "F", "lastname": "L", "email": "x@x", "password": "p", "username": "x"}
    code, text = own_world.refused("createAccount", who=who, accounttype="0", domainid=ROOT, **person)
    assert code == 531
    assert text.endswith(f"does not have permission to operate within domain id={ROOT}")
    code, _ = own_world.refused("createAccount", who=who, accounttype="1", domainid=TENANT, **person)
    assert code == 531
    other = own_world.ok("listUsers", username="user", listall="true")["user"][0]["id"]
    for command in ("updateUser", "lockUser", "registerUserKeys", "getUserKeys"):
        assert own_world.refused(command, who=who, id=other) == (
            531,
            "Caller does not have permission to operate with provided resource.",
        )


def test_a_role_with_rules(own_world: Any) -> None:
    """The first rule that fits decides; where none does, what the command's annotation says of the role's type."""
    role = own_world.ok("createRole", name="watcher", type="User", description="looks")["role"]
    assert (role["type"], role["state"], role["ispublic"], "isdefault" in role) == ("User", "enabled", True, False)
    rules = [
        own_world.ok("createRolePermission", roleid=role["id"], rule=rule, permission=permission)["rolepermission"]
        for rule, permission in (("listHosts", "allow"), ("listVolumes", "deny"), ("list*", "allow"))
    ]
    account(own_world, "jana", roleid=role["id"])
    for command, status in (("listHosts", 200), ("listVolumes", 432), ("listPods", 200), ("updateHost", 432)):
        assert own_world.answer(command, who="jana")[0] == status, command
    listed = {each["name"] for each in own_world.ok("listApis", who="jana")["api"]}
    assert "listHosts" in listed
    assert "listVolumes" not in listed
    own_world.ok("updateRolePermission", roleid=role["id"], ruleorder=",".join(rules[i]["id"] for i in (2, 0, 1)))
    assert own_world.answer("listVolumes", who="jana")[0] == 200
    own_world.ok("updateRolePermission", roleid=role["id"], ruleid=rules[2]["id"], permission="deny")
    assert own_world.answer("listPods", who="jana")[1:][1]["errortext"].startswith(DENIED.format("listPods"))
    own_world.ok("deleteRolePermission", id=rules[2]["id"])
    shown = own_world.ok("listRolePermissions", roleid=role["id"])["rolepermission"]
    assert [(each["rule"], each["permission"]) for each in shown] == [("listHosts", "allow"), ("listVolumes", "deny")]
    assert own_world.refused("deleteRole", id=role["id"]) == (
        531,
        "Found accounts that have role in use, won't allow to delete role",
    )
    own_world.ok("disableRole", id=role["id"])
    assert own_world.answer("listHosts", who="jana")[0] == 401
    own_world.ok("enableRole", id=role["id"])
    assert own_world.answer("listHosts", who="jana")[0] == 200


def test_roles_are_copied_imported_and_deleted(own_world: Any) -> None:
    """A copy has the rules of its source, an imported role those that are sent; default roles are fixed."""
    default = own_world.ok("listRoles", name="User")["role"][0]["id"]
    copy = own_world.ok("createRole", name="copy", roleid=default)["role"]["id"]
    rules = own_world.ok("listRolePermissions", roleid=default)
    assert own_world.ok("listRolePermissions", roleid=copy)["count"] == rules["count"] > 300
    sent = {"rules[0].rule": "listZones", "rules[0].permission": "allow"}
    own_world.ok("importRole", name="copy", type="User", forced="true", **sent)
    assert own_world.ok("listRolePermissions", roleid=copy)["count"] == 1
    assert own_world.ok("updateRole", id=copy, name="other", type="DomainAdmin")["role"]["type"] == "DomainAdmin"
    assert own_world.ok("deleteRole", id=copy) == {"success": True}
    assert own_world.ok("listRoles", name="other") == {}
    for command, text in (
        ("updateRole", "Default roles cannot be updated"),
        ("deleteRole", "Default roles cannot be deleted"),
    ):
        assert own_world.refused(command, id=default) == (531, text)
    refused = own_world.refused("createRolePermission", roleid=default, rule="x", permission="allow")
    assert refused == (531, "Role permission cannot be added for Default roles")
    assert own_world.refused("createRole", name="x")[0] == 431
    assert own_world.refused("createRole", name="x", type="King") == (431, "Invalid role type provided")
    made = own_world.ok("createRole", name="odd", type="User")["role"]["id"]
    for given, text in (
        (
            {"rule": "a b", "permission": "allow"},
            "Only API names and wildcards are allowed, invalid rule provided: a b",
        ),
        ({"rule": "a", "permission": "maybe"}, "Values for permission parameter should be: allow or deny"),
    ):
        assert own_world.refused("createRolePermission", roleid=made, **given) == (431, text)


def test_every_command_asks_the_default_roles(bare_world: Any) -> None:
    """Each command is there for the default roles that the catalogue names, and denied to the others."""
    matrix = {"user": "User", "tenant-admin": "DomainAdmin", "admin": "Admin"}
    for who, role in matrix.items():
        for name, declaration in bare_world.server.services.commands.items():
            if name in AUTHENTICATION_COMMANDS:  # of nobody
                continue
            key, _ = bare_world.keys[who]
            sent = {"command": name, "response": "json", "apiKey": key, "signature": "wrong"}
            status = bare_world.client().get("/client/api", query_string=sent).status_code
            # a denied command is told before the signature is looked at; a wrong signature is a 401
            assert status == (401 if role in declaration.roles else 432), (who, name)
