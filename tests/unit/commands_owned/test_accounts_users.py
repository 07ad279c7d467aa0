"""listAccounts, listUsers, getUserKeys: who sees whom."""

from __future__ import annotations

from datetime import datetime

import pytest

from mgmt.commands.accounts import list_accounts
from mgmt.commands.capabilities import list_capabilities
from mgmt.commands.users import get_user_keys, list_users
from mgmt.errors import InvalidParameterValueError, PermissionDeniedError
from mgmt.store import models

EVERYBODY = ["admin", "user1", "dadmin", "subuser", "other"]
D1 = ["user1", "dadmin", "subuser"]


def with_ids(world, given):
    return {key: world.ids.get(item, item) if key in ("id", "domainid") else item for key, item in given.items()}


@pytest.mark.parametrize(
    ("by", "given", "expected"),
    [
        ("admin", {}, ["admin"]),
        ("admin", {"listall": True}, EVERYBODY),
        ("admin", {"listall": True, "domainid": "D1"}, D1),
        ("admin", {"domainid": "D1"}, ["user1", "dadmin"]),
        ("admin", {"domainid": "D1", "isrecursive": True}, D1),
        ("admin", {"id": "other"}, ["other"]),
        ("admin", {"id": "user1", "domainid": "D1"}, ["user1"]),
        ("admin", {"id": "user1", "domainid": "D1", "name": "User1"}, ["user1"]),
        ("dadmin", {"listall": True}, D1),
        ("dadmin", {"id": "subuser"}, ["subuser"]),
        ("user1", {"listall": True}, ["user1"]),
        ("user1", {"domainid": "D1"}, ["user1"]),
        ("admin", {"listall": True, "accounttype": 2}, ["dadmin"]),
        ("admin", {"listall": True, "state": "ENABLED", "name": "OTHER"}, ["other"]),
        ("admin", {"listall": True, "keyword": "user"}, ["user1", "subuser"]),
        ("admin", {"name": "admin"}, ["admin"]),
        ("admin", {"listall": True, "iscleanuprequired": True}, []),
        ("admin", {"listall": True, "apikeyaccess": "inherit"}, EVERYBODY),
        ("admin", {"listall": True, "apikeyaccess": "enabled"}, []),
    ],
)
def test_accounts_in_sight(world, names, by, given, expected):
    """Admins see accounts of their domains, users themselves; nobody sees the system account."""
    assert names(world.run(list_accounts, by, **with_ids(world, given))) == expected


@pytest.mark.parametrize(
    ("given", "error", "text"),
    [
        ({"domainid": 999}, InvalidParameterValueError, "Domain id=999 doesn't exist"),
        ({"id": 999}, InvalidParameterValueError, "Unable to find account by id 999"),
        (
            {"id": "other", "domainid": "D1"},
            InvalidParameterValueError,
            "Unable to find account by id {other} in domain {D1}",
        ),
        ({"id": "system"}, InvalidParameterValueError, "Unable to find account by id {system}"),
        (
            {"id": "other", "domainid": "D1", "name": "nope"},
            InvalidParameterValueError,
            "Unable to find account by name nope in domain {D1}",
        ),
    ],
)
def test_account_texts(world, given, error, text):
    """Accounts and domains that are not there are refused with the server's texts."""
    with pytest.raises(error) as caught:
        world.run(list_accounts, **with_ids(world, given))
    assert caught.value.text == text.format(**world.ids)


@pytest.mark.parametrize(("by", "account"), [("user1", "admin"), ("dadmin", "other"), ("user1", "dadmin")])
def test_foreign_account_text(world, by, account):
    """An account out of reach is refused."""
    with pytest.raises(PermissionDeniedError) as caught:
        world.run(list_accounts, by, id=world.ids[account])
    assert caught.value.text == "Caller does not have permission to operate with provided resource."


def test_use_and_limits(world):
    """An account shows what it has, what it may have and the rest; an admin has no limits."""
    (account,) = world.run(list_accounts, id=world.ids["subuser"]).items
    assert (account["vmlimit"], account["vmtotal"], account["vmavailable"]) == ("3", 1, "2")
    assert (account["primarystoragelimit"], account["primarystoragetotal"]) == ("200", 5)
    assert (account["vmstopped"], account["vmrunning"]) == (1, 0)
    (admin,) = world.run(list_accounts, id=world.ids["admin"]).items
    assert (admin["vmlimit"], admin["vmtotal"], admin["vmavailable"]) == ("Unlimited", 3, "Unlimited")
    assert (admin["networktotal"], admin["templatetotal"], admin["vmrunning"]) == (2, 1, 1)


def test_least_details(world):
    """details=min leaves limits and use out."""
    (account,) = world.run(list_accounts, details=["min"]).items
    assert "vmlimit" not in account
    assert account["user"][0]["username"] == "admin"
    with pytest.raises(InvalidParameterValueError, match=r"The allowed values are \[all, resource, min\]$"):
        world.run(list_accounts, details=["foo"])


@pytest.mark.parametrize(
    ("by", "given", "expected"),
    [
        ("admin", {}, ["admin"]),
        ("admin", {"listall": True}, EVERYBODY),
        ("dadmin", {"listall": True}, D1),
        ("user1", {"listall": True}, ["user1"]),
        ("user1", {"id": "user1-login"}, ["user1"]),
        ("admin", {"id": "other-login"}, ["other"]),
        ("admin", {"id": "system-login"}, []),
        ("admin", {"domainid": "D1"}, ["user1", "dadmin"]),
        ("admin", {"domainid": "D1", "account": "user1"}, ["user1"]),
        ("admin", {"listall": True, "username": "USER1"}, ["user1"]),
        ("admin", {"listall": True, "accounttype": 2}, ["dadmin"]),
        ("admin", {"listall": True, "state": "locked"}, []),
        ("admin", {"listall": True, "keyword": "other@"}, ["other"]),
        ("admin", {"listall": True, "usersource": "ldap"}, []),
        ("admin", {"listall": True, "usersource": "Native"}, EVERYBODY),
        ("admin", {"listall": True, "apikeyaccess": "Disabled"}, []),
    ],
)
def test_users_in_sight(world, names, by, given, expected):
    """Admins see users of their domains, users themselves; nobody sees the system user."""
    assert names(world.run(list_users, by, **with_ids(world, given))) == expected


def test_foreign_user_text(world):
    """A user may not ask for another one."""
    with pytest.raises(PermissionDeniedError) as caught:
        world.run(list_users, "user1", id=world.ids["admin-login"])
    assert caught.value.text == "Calling user is not authorized to see the user requested by id"


def test_key_access_is_shown_to_root_admins(world):
    """Whether API keys are allowed is shown to root admins alone; secret keys to nobody."""
    assert world.run(list_users).items[0]["apikeyaccess"] == "INHERIT"
    (user,) = world.run(list_users, "user1").items
    assert "apikeyaccess" not in user
    assert "secretkey" not in user


def test_keys_of_others(world):
    """getUserKeys serves the user, and admins above him."""
    assert world.run(get_user_keys, "user1", id=world.ids["user1-login"]).fields["apikey"] == "user1-key"
    assert world.run(get_user_keys, "dadmin", id=world.ids["subuser-login"]).fields["apikey"] == "subuser-key"
    with pytest.raises(PermissionDeniedError) as caught:
        world.run(get_user_keys, "user1", id=world.ids["admin-login"])
    assert caught.value.text == "Caller does not have permission to operate with provided resource."


def test_shown_secret_is_masked_from_then_on(world):
    """A secret key that was shown cannot get into a log any more."""
    world.run(get_user_keys, id=world.ids["other-login"])
    assert world.services.redactor.text("key other-secret") == "key *****"


def test_keys_of_a_missing_user_text(own_world):
    """A removed or unknown user has no keys to show."""
    with own_world.store.session() as session:
        session.get_one(models.User, own_world.ids["other-login"]).removed = datetime(2026, 1, 1)
    for user_id in (own_world.ids["other-login"], 4711):
        with pytest.raises(InvalidParameterValueError, match=r"^Unable to find user by id$"):
            own_world.run(get_user_keys, id=user_id)


def test_capabilities_of_a_user(world):
    """A user may do what the settings say, and does not see the server's folders."""
    user = world.run(list_capabilities, "user1").fields
    admin = world.run(list_capabilities).fields
    assert (user["allowuserviewdestroyedvm"], admin["allowuserviewdestroyedvm"]) == (False, True)
    assert user["extensionspath"] is None


def test_capabilities_follow_settings(own_world):
    """A changed setting shows in the capabilities."""
    with own_world.store.session() as session:
        own_world.services.settings.set(session, "allow.user.view.destroyed.vm", "true")
        own_world.services.settings.set(session, "expose.cloudstack.version.api.list.capabilities", "false")
        session.get_one(models.Zone, own_world.ids["zone"]).security_groups_enabled = True
    fields = own_world.run(list_capabilities, "user1").fields
    assert fields["allowuserviewdestroyedvm"] is True
    assert fields["cloudstackversion"] is None
    assert fields["securitygroupsenabled"] is True
