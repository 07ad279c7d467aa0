"""What the rarer parameters of projects, groups, tags, details and users do, and what they are refused with."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from mgmt.store.models import Project

ROOT = "00000002-0000-4000-8000-000000000001"
TENANT = "00000002-0000-4000-8000-000000000002"
ISOLATED = "52000000-0000-4000-8000-000000000001"
PLACED = {
    "zoneid": "20000000-0000-4000-8000-000000000001",
    "serviceofferingid": "41000000-0000-4000-8000-000000000001",
    "templateid": "60000000-0000-4000-8000-000000000002",
    "networkids": ISOLATED,
}
NO_PERMISSION = "Caller does not have permission to operate with provided resource."
LONER = {"account": "loner", "domainid": ROOT}
PERSON = {"firstname": "F", "lastname": "L", "email": "x@x", "password": "secret"}
ADD_FIRST = "doesn't belong to the project. Add it to the project first and then change the project's ownership"


@pytest.fixture(scope="module")
def loner(own_world: Any) -> dict[str, Any]:
    """An account in ROOT beside the lab's, whose user has keys."""
    made: dict[str, Any] = own_world.ok("createAccount", username="loner", accounttype="0", **PERSON)["account"]
    keys = own_world.ok("registerUserKeys", id=made["user"][0]["id"])["userkeys"]
    own_world.keys["loner"] = (keys["apikey"], keys["secretkey"])
    return made


@pytest.fixture
def project(own_world: Any, loner: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A project of `loner`, gone after the test."""
    made: dict[str, Any] = own_world.ok("createProject", who="loner", name="duo", displaytext="Duo")["project"]
    yield made
    own_world.ok("deleteProject", id=made["id"], cleanup="true")


def user_of(world: Any, name: str) -> dict[str, Any]:
    (found,) = world.ok("listUsers", username=name, listall="true")["user"]
    return dict(found)


def internal_id(world: Any, uuid: str) -> int:
    """The number of a project, which texts of refusals carry."""
    with world.server.services.store.session() as session:
        return int(session.query(Project).filter(Project.uuid == uuid).one().id)


def test_who_may_make_projects(own_world: Any, loner: dict[str, Any]) -> None:
    """Users make projects while the setting allows it; whom a project is made for is named in full."""
    given = {"name": "p", "displaytext": "p"}
    own_world.ok("updateConfiguration", name="allow.user.create.projects", value="false")
    refused = own_world.refused("createProject", who="loner", **given)
    own_world.ok("updateConfiguration", name="allow.user.create.projects", value="true")
    assert refused == (531, "Regular user is not permitted to create a project")
    user, other = loner["user"][0]["id"], user_of(own_world, "user")["id"]
    for wrong, text in (
        ({"account": "loner"}, "Account name and domain id must be specified together"),
        ({"userid": user}, "Account ID and Domain ID must be specified with userID"),
        (
            {"userid": other, "accountid": loner["id"], "domainid": ROOT},
            "User doesn't belong to the specified account or domain",
        ),
        (
            {"userid": user, "accountid": loner["id"], "domainid": TENANT, "account": "tenant-admin"},
            "User doesn't belong to the specified account or domain",
        ),
    ):
        assert own_world.refused("createProject", **given, **wrong) == (431, text)
    assert own_world.ok("listProjects", listall="true") == {}


def test_a_project_of_one_user(own_world: Any, loner: dict[str, Any]) -> None:
    """A project can belong to a single user; once he has left, nobody is there to take it over from."""
    user = loner["user"][0]
    given = {"userid": user["id"], "accountid": loner["id"], "domainid": ROOT}
    made = own_world.ok("createProject", name="one", displaytext="One", **given)["project"]
    own = {"projectid": made["id"]}
    assert made["owner"] == [{"account": "loner", "userid": user["id"], "user": "loner"}]
    assert [each["id"] for each in own_world.ok("listProjects", listall="true", username="LONER")["project"]] == [
        made["id"]
    ]
    assert own_world.ok("listProjects", listall="true", username="user") == {}
    assert own_world.ok("listProjectAccounts", userid=user["id"], **own)["count"] == 1
    kept = own_world.ok("updateProject", id=made["id"], account="loner")["project"]["owner"]
    assert kept == made["owner"], "his account need not take part as a whole"
    assert own_world.ok("addAccountToProject", account="user", **own) == {"success": True}
    assert own_world.ok("deleteUserFromProject", userid=user["id"], **own) == {"success": True}
    number = internal_id(own_world, made["id"])
    orphaned = own_world.refused("updateProject", id=made["id"], account="user")
    assert orphaned == (431, f"Unable to find the current owner for the project id={number}")
    anew = own_world.refused("updateProject", id=made["id"], account="nobody")
    assert anew == (431, "Unable to find account name=nobody in domain id=1")
    adopted = own_world.ok("updateProject", id=made["id"], account="user", swapowner="false", roletype="admin")
    assert adopted["project"]["owner"] == [{"account": "user"}]
    assert own_world.ok("deleteProject", id=made["id"]) == {"success": True}
    assert own_world.refused("listProjectAccounts", **own)[0] == 431


def test_roles_of_members(own_world: Any, project: dict[str, Any]) -> None:
    """A member is made an admin beside the others and a regular again, as an account or as a user of it."""
    own, change = {"projectid": project["id"]}, {"id": project["id"], "swapowner": "false"}
    user, tenant = user_of(own_world, "user"), user_of(own_world, "tenant-admin")
    by_name = {"account": "user", **change}
    by_id = {"userid": user["id"], **change}
    both = own_world.refused("updateProject", account="user", **by_id)
    assert both == (
        431,
        (
            "Account name and User ID are mutually exclusive. Provide either Account nameto update Account or user ID"
            " to update the user of the project"
        ),
    )
    assert own_world.refused("updateProject", **by_name) == (431, f"Account user {ADD_FIRST}")
    assert own_world.refused("updateProject", **by_id) == (431, f"User user {ADD_FIRST}")
    assert own_world.refused("updateProject", **(by_name | {"account": "tenant-admin"})) == (
        431,
        "Unable to find account name=tenant-admin in domain id=1",
    )
    assert own_world.refused("updateProject", **(by_id | {"userid": tenant["id"]})) == (
        431,
        "User doesn't belong to the specified account or domain",
    )
    own_world.ok("addAccountToProject", account="user", **own)
    own_world.ok("addAccountToProject", account="user", roletype="Admin", **own)  # stays as it is
    shown = own_world.ok("updateProject", who="loner", roletype="ADMIN", **by_name)["project"]
    assert shown["owner"] == [{"account": "loner"}, {"account": "user"}]
    assert own_world.ok("updateProject", roletype="Admin", **by_name)["project"]["owner"] == shown["owner"]
    assert own_world.ok("updateProject", id=project["id"], account="loner")["project"]["owner"] == shown["owner"]
    assert own_world.ok("updateProject", **by_name)["project"]["owner"] == [{"account": "loner"}]
    own_world.ok("deleteAccountFromProject", account="user", **own)
    own_world.ok("addUserToProject", username="USER", **own)
    own_world.ok("addUserToProject", username="user", roletype="Admin", **own)  # stays as it is
    (member,) = own_world.ok("listProjectAccounts", userid=user["id"], **own)["projectaccount"]
    assert (member["username"], member["role"]) == ("user", "Regular")
    raised = own_world.ok("updateProject", roletype="Admin", **by_id)["project"]["owner"]
    assert raised == [{"account": "loner"}, {"account": "user", "userid": user["id"], "user": "user"}]
    assert own_world.ok("updateProject", id=project["id"], userid=user["id"], name="duet")["project"]["name"] == "duet"


def test_whom_a_project_does_not_take(own_world: Any, project: dict[str, Any]) -> None:
    """Accounts and users of other domains, and those that are not named, are neither let in nor put out."""
    own = {"projectid": project["id"]}
    tenant = user_of(own_world, "tenant-admin")
    for name, given, text in (
        ("addAccountToProject", {}, "Either accountName or email is required"),
        (
            "addAccountToProject",
            {"email": "x@x"},
            "Account information is required for assigning account to the project",
        ),
        (
            "addAccountToProject",
            {"account": "tenant-admin"},
            "Unable to find account name=tenant-admin in specified domain id",
        ),
        ("addUserToProject", {"username": "tenant-admin"}, "Invalid user ID provided"),
        (
            "deleteAccountFromProject",
            {"account": "tenant-admin"},
            "Unable to find account name=tenant-admin in domain id=1",
        ),
        ("deleteUserFromProject", {"userid": tenant["id"]}, "Unable to find user tenant-admin in domain id=1"),
    ):
        assert own_world.refused(name, **own, **given) == (431, text), name
    own_world.ok("suspendProject", id=project["id"])
    assert own_world.refused("addUserToProject", username="user", **own) == (
        431,
        "Can't add user to the specified project id in state=Suspended as it isn't currently active",
    )
    assert own_world.ok("listProjects", listall="true", state="suspended")["count"] == 1
    assert own_world.ok("listProjects", listall="true", state="Active") == {}


def test_whose_projects_are_listed(own_world: Any, project: dict[str, Any], loner: dict[str, Any]) -> None:
    """Admins list the projects of a domain, of an account in it, or below; users their own and no others'."""

    def names(**given: str) -> list[str]:
        return [each["name"] for each in own_world.ok("listProjects", **given).get("project", [])]

    assert names(domainid=ROOT) == names(**LONER) == names(domainid=ROOT, isrecursive="true") == ["duo"]
    assert names(isrecursive="true", listall="true") == names(displaytext="DUO", listall="true") == ["duo"]
    assert names(account="user", domainid=ROOT) == names(domainid=TENANT) == names(isrecursive="true") == []
    assert names(who="tenant-admin", domainid=TENANT) == names(who="tenant-admin", listall="true") == []
    assert names(who="loner", account="loner") == ["duo"]
    for who, given, code, text in (
        ("admin", {"account": "loner"}, 431, "could not find account loner because domain is not specified"),
        ("admin", {"account": "nobody", "domainid": ROOT}, 431, "Unable to find account nobody in domain 1"),
        ("user", {"account": "loner"}, 531, "Can't list account loner projects; unauthorized"),
        ("user", {"domainid": ROOT}, 531, "Can't list domain id= 1 projects; unauthorized"),
    ):
        assert own_world.refused("listProjects", who=who, **given) == (code, text)
    outside = own_world.refused("listProjects", who="tenant-admin", domainid=ROOT)
    assert outside[0] == 531 and outside[1].endswith(f"does not have permission to operate within domain id={ROOT}")
    own_world.ok(
        "createTags",
        resourceids=project["id"],
        resourcetype="project",
        **{"tags[0].key": "tier", "tags[0].value": "gold"},
    )
    (tag,) = own_world.ok("listProjects", listall="true")["project"][0]["tags"]
    assert (tag["key"], tag["value"], tag["resourceid"]) == ("tier", "gold", project["id"])
    assert names(listall="true", **{"tags[0].key": "TIER", "tags[0].value": "gold"}) == ["duo"]
    assert names(listall="true", **{"tags[0].key": "tier", "tags[0].value": "tin"}) == []


def test_affinity_groups_of_others(own_world: Any, loner: dict[str, Any]) -> None:
    """A group is no domain's, and VMs are in groups of their own account only; each is found by what it is."""
    kind = "host affinity"
    shared = own_world.refused("createAffinityGroup", name="g", type=kind, domainid=ROOT)
    assert shared == (
        431,
        (
            "Unable to create affinity group, account name is needed. Affinity group type host affinity cannot be"
            " shared domain wide"
        ),
    )
    mine = own_world.ok("createAffinityGroup", name="mine", type=kind)["affinitygroup"]
    theirs = own_world.ok("createAffinityGroup", name="theirs", type=kind, **LONER)["affinitygroup"]
    assert own_world.refused("deleteAffinityGroup", who="loner", id=mine["id"])[1] == NO_PERMISSION
    assert own_world.refused("deleteAffinityGroup", name="none") == (431, "Unable to find affinity group none")
    for given, code, text in (
        (
            {"affinitygroupids": mine["id"], "affinitygroupnames": "mine"},
            431,
            "affinitygroupids parameter is mutually exclusive with affinitygroupnames parameter",
        ),
        ({"affinitygroupids": theirs["id"]}, 531, "Affinity Group theirs does not belong to the VM's account"),
        ({"affinitygroupnames": "theirs"}, 431, "Unable to find affinity group by name theirs"),
    ):
        assert own_world.refused("deployVirtualMachine", startvm="false", **PLACED, **given) == (code, text)
    for given, found in (
        ({"id": mine["id"]}, ["mine"]),
        ({"type": "HOST AFFINITY", "listall": "true"}, ["mine", "theirs"]),
        ({"type": "host anti-affinity", "listall": "true"}, []),
        ({"keyword": "HEI", "listall": "true"}, ["theirs"]),
    ):
        listed = own_world.ok("listAffinityGroups", **given).get("affinitygroup", [])
        assert [each["name"] for each in listed] == found
    own_world.ok("deleteAffinityGroup", name="theirs", **LONER)
    own_world.ok("deleteAffinityGroup", id=mine["id"])


def test_instance_groups_by_name(own_world: Any, loner: dict[str, Any]) -> None:
    """A name is an account's own until the group is gone; lists look for parts of names."""
    web = own_world.ok("createInstanceGroup", name="web-1")["instancegroup"]
    own_world.ok("createInstanceGroup", name="web-2", **LONER)
    other = own_world.ok("createInstanceGroup", name="db")["instancegroup"]
    assert own_world.ok("updateInstanceGroup", id=web["id"])["instancegroup"] == web
    taken = own_world.refused("updateInstanceGroup", id=web["id"], name="DB")
    assert taken == (431, "Unable to update vm group, a group with name DB already exists for account 2")
    for given, found in (
        ({"id": web["id"]}, ["web-1"]),
        ({"name": "WEB", "listall": "true"}, ["web-1", "web-2"]),
        ({"keyword": "b", "listall": "true"}, ["web-1", "web-2", "db"]),
        ({"keyword": "b", "name": "web"}, ["web-1"]),
    ):
        listed = own_world.ok("listInstanceGroups", **given)["instancegroup"]
        assert [each["name"] for each in listed] == found
    own_world.ok("deleteInstanceGroup", id=other["id"])
    assert own_world.refused("deleteInstanceGroup", id=other["id"])[0] == 431
    assert own_world.ok("updateInstanceGroup", id=web["id"], name="db")["instancegroup"]["name"] == "db"


def test_tags_of_many_kinds(own_world: Any, loner: dict[str, Any]) -> None:
    """Tags are on what can have some, by UUID or number; they are found and taken away by key, value and customer."""
    zone = own_world.ok("listZones")["zone"][0]["id"]
    host_free = {"resourceids": zone, "tags[0].key": "k"}
    for given, code, text in (
        ({"resourcetype": "Host", "tags[0].value": "v"}, 431, "The resource type Host doesn't support resource tags"),
        ({"resourcetype": "Zone"}, 431, "Value for the key k is either null or empty"),
        ({"resourcetype": "Zone", "tags[0].value": " "}, 431, "Value for the key k is either null or empty"),
        (
            {"resourcetype": "vpc", "tags[0].value": "v"},
            431,
            f"Unable to find resource by id {zone} and type Vpc",
        ),
    ):
        assert own_world.refused("createTags", **host_free, **given) == (code, text)
    of_domain = {"resourceids": TENANT, "resourcetype": "domain"}
    own_world.ok("createTags", customer="c1", **of_domain, **{"tags[0].color": "red", "tags[1].size": "big"})
    own_world.ok("createTags", resourceids="1", resourcetype="zone", **{"tags[0].color": "blue"})
    for given, found in (
        ({"value": "BLUE"}, [("Zone", "color")]),
        ({"customer": "C1"}, [("Domain", "color"), ("Domain", "size")]),
        ({"resourcetype": "DOMAIN", "key": "Color"}, [("Domain", "color")]),
        ({"keyword": "SIZ"}, [("Domain", "size")]),
    ):
        listed = own_world.ok("listTags", listall="true", **given)["tag"]
        assert [(each["resourcetype"], each["key"]) for each in listed] == found
    assert own_world.refused("listTags", resourcetype="Foo") == (431, "Invalid resource type Foo")
    nothing = "Unable to find any tags which conform to specified delete parameters."
    assert own_world.refused("deleteTags", **of_domain, **{"tags[0].color": "blue"}) == (431, nothing)
    own_world.ok("deleteTags", **of_domain, **{"tags[0].color": "red"})
    assert own_world.ok("listTags", listall="true", resourceid=TENANT)["tag"][0]["key"] == "size"
    own_world.ok("deleteTags", **of_domain)
    own_world.ok("deleteTags", resourceids=zone, resourcetype="Zone")


def test_details_are_kept_one_by_one(own_world: Any, loner: dict[str, Any]) -> None:
    """A detail has one value, shown or not as the last call said; one goes and the others stay."""
    named = {"resourcetype": "Network", "resourceid": ISOLATED}

    def shown(**given: str) -> list[tuple[str, str]]:
        found = own_world.ok("listResourceDetails", **named, **given).get("resourcedetail", [])
        return [(each["key"], each["value"]) for each in found]

    own_world.ok("addResourceDetail", **named, **{"details[0].a": "1", "details[1].b": "2"})
    own_world.ok("addResourceDetail", fordisplay="false", **named, **{"details[0].b": "3"})
    assert shown() == [("a", "1"), ("b", "3")]
    hidden = own_world.ok("listResourceDetails", key="b", **named)["resourcedetail"][0]
    assert (hidden["fordisplay"], hidden["resourcetype"]) == (False, "Network")
    assert shown(key="b") == shown(value="3") == [("b", "3")]
    own_world.ok("removeResourceDetail", key="a", **named)
    assert shown() == [("b", "3")]
    own_world.ok("removeResourceDetail", **named)
    assert shown() == []


def test_details_of_a_machine(own_world: Any, loner: dict[str, Any]) -> None:
    """What is set on a VM as details is what the VM's own answer shows, one value for each name."""
    vm = own_world.ok("deployVirtualMachine", startvm="false", **PLACED)["virtualmachine"]["id"]
    named = {"resourcetype": "uservm", "resourceid": vm}

    def shown() -> dict[str, str]:
        found = own_world.ok("listResourceDetails", **named).get("resourcedetail", [])
        return {each["key"]: each["value"] for each in found}

    before = shown()
    own_world.ok("addResourceDetail", **named, **{"details[0].a": "1", "details[1].b": "2"})
    own_world.ok("addResourceDetail", **named, **{"details[0].a": "3"})
    assert shown() == {**before, "a": "3", "b": "2"}
    details = own_world.ok("listVirtualMachines", id=vm)["virtualmachine"][0]["details"]
    assert (details["a"], details["b"]) == ("3", "2")
    own_world.ok("removeResourceDetail", key="a", **named)
    assert shown() == {**before, "b": "2"}
    own_world.ok("removeResourceDetail", **named)
    assert shown() == {}
    tag = {"resourcetype": "UserVm", "resourceids": vm, "tags[0].a": "1"}
    assert own_world.refused("createTags", who="loner", **tag)[1] == NO_PERMISSION
    own_world.ok("destroyVirtualMachine", id=vm, expunge="true")


def test_a_user_is_changed(own_world: Any, loner: dict[str, Any]) -> None:
    """Names are neither empty nor another's, keys come in pairs and are nobody else's, passwords have characters."""
    one = own_world.ok("createUser", username="solo", **LONER, **PERSON)["user"]["id"]
    other = own_world.keys["user"][0]
    for given, text in (
        ({"firstname": " "}, "Firstname is empty"),
        ({"lastname": " "}, "Lastname is empty"),
        ({"email": " "}, "Email is empty"),
        ({"username": " "}, "Username cannot be empty"),
        ({"password": " "}, "Password cannot be empty or blank."),
        ({"timezone": "Moon"}, "Unable to set timezone to Moon"),
        ({"userapikey": "k"}, "Please provide a userApiKey/userSecretKey pair"),
        ({"usersecretkey": "k"}, "Please provide a userApiKey/userSecretKey pair"),
        (
            {"userapikey": other, "usersecretkey": "s"},
            f"The API key [{other}] exists in the system. Please provide a unique key.",
        ),
    ):
        assert own_world.refused("updateUser", id=one, **given) == (431, text)
    taken = own_world.refused("updateUser", id=one, username="User")
    assert taken[0] == 431 and taken[1].startswith("The user User already exists in domain Domain {")
    given = {"username": "Solo", "lastname": "N", "timezone": "Asia/Tokyo"}
    changed = own_world.ok("updateUser", id=one, userapikey="solo-key", usersecretkey="solo-secret", **given)["user"]
    assert {name: changed[name] for name in given} == given
    assert own_world.ok("updateUser", id=one, username="duo")["user"]["username"] == "duo"
    own_world.keys["duo"] = ("solo-key", "solo-secret")
    assert own_world.ok("getUser", userapikey="solo-key")["user"]["username"] == "duo"
    assert own_world.answer("listZones", who="duo")[0] == 200
    unknown = own_world.refused("getUser", userapikey="no-key")
    assert unknown == (431, "User with specified API key does not exist")
    said = own_world.refused("updateUser", who="duo", id=one, apikeyaccess="enabled")
    assert said == (531, "Only Root Admins can change the API key access")
    own_world.ok("deleteUser", id=one)
    assert own_world.refused("updateUser", id=one)[0] == 431
    assert own_world.refused("getUser", userapikey="solo-key") == unknown


def test_a_user_is_moved_locked_and_deleted(own_world: Any, loner: dict[str, Any]) -> None:
    """A user moves within his domain, loses his keys by it, is not locked while disabled, and never deletes himself."""
    one = own_world.ok("createUser", username="nomad", **LONER, **PERSON)["user"]["id"]
    tenant = own_world.ok("listAccounts", name="tenant-admin", listall="true")["account"][0]["id"]
    for given, text in (
        ({}, "Please provide either account id or account name"),
        ({"account": "nobody"}, "Unable to find the account to move the user to"),
        (
            {"account": "loner"},
            "User nomad is already part of account loner; cannot move a user to its own account",
        ),
        ({"accountid": tenant}, "User can't be moved between accounts of different domains"),
    ):
        assert own_world.refused("moveUser", id=one, **given) == (431, text)
    own_world.ok("disableUser", id=one)
    code, text = own_world.refused("lockUser", id=one)
    assert (code, text.startswith("Unable to lock user with id ")) == (530, True)
    assert own_world.login("nomad", "wrong").status_code == 531
    own_world.ok("moveUser", id=one, account="user")
    assert own_world.ok("listUsers", id=one, listall="true")["user"][0]["account"] == "user"
    own_world.ok("deleteUser", id=one)
    boss = own_world.ok("createUser", username="boss", account="admin", **PERSON)["user"]["id"]
    keys = own_world.ok("registerUserKeys", id=boss)["userkeys"]
    own_world.keys["boss"] = (keys["apikey"], keys["secretkey"])
    itself = own_world.refused("deleteUser", who="boss", id=boss)
    assert itself == (431, "The caller is requesting to delete itself. You are not allowed to do that.")
    own_world.ok("deleteUser", id=boss)
