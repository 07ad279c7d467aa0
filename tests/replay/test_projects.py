"""Projects: their life, who takes part, and what is theirs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

ROOT = "00000002-0000-4000-8000-000000000001"
TENANT = "00000002-0000-4000-8000-000000000002"
ZONE = "20000000-0000-4000-8000-000000000001"
CUSTOM_DISK = "40000000-0000-4000-8000-000000000001"
NO_PERMISSION = "Caller does not have permission to operate with provided resource."


@pytest.fixture
def project(own_world: Any) -> Iterator[dict[str, Any]]:
    """A project of `user`, gone after the test."""
    made: dict[str, Any] = own_world.ok("createProject", who="user", name="solo", displaytext="Solo")["project"]
    yield made
    if own_world.ok("listProjects", id=made["id"], listall="true"):
        own_world.ok("deleteProject", id=made["id"], cleanup="true")


def account_of(world: Any, name: str) -> dict[str, Any]:
    (found,) = world.ok("listAccounts", name=name, listall="true")["account"]
    return dict(found)


def test_a_project_is_made_and_seen(own_world: Any, project: dict[str, Any]) -> None:
    """Who makes a project is its admin; it has an account of its own with limits; others do not see it."""
    assert (project["state"], project["domain"], project["owner"]) == ("Active", "ROOT", [{"account": "user"}])
    assert (project["projectaccountname"], project["vmlimit"], project["vmtotal"]) == ("PrjAcct-solo-1", "20", 0)
    assert account_of(own_world, "user")["projecttotal"] == 1
    assert own_world.ok("listProjects", who="user")["project"] == [project]
    assert own_world.ok("listProjects", who="tenant-admin", listall="true") == {}
    assert own_world.ok("listProjects") == {}, "root admins see theirs alone without listall"
    assert own_world.ok("listProjects", listall="true", keyword="SOL")["count"] == 1
    assert "vmlimit" not in own_world.ok("listProjects", listall="true", details="min")["project"][0]
    code, text = own_world.refused("createProject", who="user", name="SOLO", displaytext="x")
    assert (code, text) == (431, "Project with name SOLO already exists in domain id=1")
    events = own_world.ok("listEvents", listall="true", resourcetype="Project", resourceid=project["id"])["event"]
    texts = [each["description"] for each in reversed(events) if each["type"] == "PROJECT.CREATE"]
    assert texts == [
        "Successfully created entity for creating project",
        "creating project",
        "Creating project",
        "Successfully completed creating project",
    ]


def test_members_come_and_go(own_world: Any, project: dict[str, Any]) -> None:
    """Only its admins change a project; the last one stays; members see it and what it owns."""
    own = {"projectid": project["id"]}
    outsider = own_world.refused("addAccountToProject", who="tenant-admin", account="admin", **own)
    assert outsider[1].startswith("Account Account [{")
    assert own_world.ok("addAccountToProject", who="user", account="admin", roletype="regular", **own)["success"]
    members = own_world.ok("listProjectAccounts", who="user", **own)["projectaccount"]
    assert [(each["account"], each["role"]) for each in members] == [("user", "Admin"), ("admin", "Regular")]
    assert [each["username"] for each in members[0]["user"]] == ["user"]
    code, text = own_world.refused("deleteAccountFromProject", account="user", **own)
    assert code == 431
    assert text.endswith("user from the project with specified id as the account is the owner of the project")
    last = own_world.refused("updateProject", id=project["id"], account="user", swapowner="false", roletype="Regular")
    assert last == (431, "Cannot demote the only admin of the project")
    changed = own_world.ok("updateProject", id=project["id"], account="admin", displaytext="Handed over")["project"]
    assert (changed["owner"], changed["displaytext"]) == ([{"account": "admin"}], "Handed over")
    assert own_world.refused("updateProject", who="user", id=project["id"], name="mine")[1] == NO_PERMISSION
    assert own_world.ok("deleteAccountFromProject", account="user", **own)["success"]
    assert own_world.refused("listProjectAccounts", who="user", **own)[0] == 531
    missing = own_world.refused("deleteAccountFromProject", account="user", **own)
    assert missing == (431, "Account user is not assigned to the project with specified id")
    word = own_world.refused("addAccountToProject", account="user", roletype="boss", **own)
    assert word == (431, "Only Admin or Regular project role types are valid")


def test_a_single_user_takes_part(own_world: Any, project: dict[str, Any]) -> None:
    """A user of an account takes part alone; not where his account does."""
    own = {"projectid": project["id"]}
    assert own_world.refused("addUserToProject", username="user", **own)[1].endswith("already part of the project")
    assert own_world.ok("addUserToProject", username="admin", roletype="Admin", **own)["success"]
    (member,) = own_world.ok("listProjectAccounts", role="admin", account="admin", **own)["projectaccount"]
    assert (member["username"], "user" in member) == ("admin", False)
    assert own_world.ok("deleteUserFromProject", userid=member["userid"], **own)["success"]
    gone = own_world.refused("deleteUserFromProject", userid=member["userid"], **own)
    assert gone == (431, "User admin is not assigned to the project with specified id")


def test_what_a_project_owns(own_world: Any, project: dict[str, Any]) -> None:
    """`projectid` makes and lists a project's own; -1 lists those of all; without it they are left out."""
    own = {"projectid": project["id"]}
    given = {"name": "shared", "zoneid": ZONE, "diskofferingid": CUSTOM_DISK, "size": "1"}
    volume = own_world.ok("createVolume", who="user", **given, **own)["volume"]
    assert (volume["projectid"], volume["project"], "account" in volume) == (project["id"], "solo", False)
    key = own_world.ok("createSSHKeyPair", who="user", name="of-solo", **own)["keypair"]
    assert key["projectid"] == project["id"]
    for who in ("user", "admin"):
        for given_id in (project["id"], "-1"):
            listed = own_world.ok("listVolumes", who=who, projectid=given_id)["volume"]
            assert [each["id"] for each in listed] == [volume["id"]], who
        assert own_world.ok("listVolumes", who=who, listall="true") == {}, who
    assert own_world.ok("listVolumes", who="tenant-admin", projectid="-1") == {}
    denied = own_world.refused("listVolumes", who="tenant-admin", **own)
    assert (denied[0], denied[1].startswith("Account Account [{")) == (531, True)
    limits = own_world.ok("listResourceLimits", who="user", resourcetype="2", **own)["resourcelimit"]
    assert [(each["project"], each["max"]) for each in limits] == [("solo", 20)]
    own_world.ok("updateResourceLimit", resourcetype="2", max="1", **own)
    code, text = own_world.refused("createVolume", who="user", **given, **own)
    assert (code, "for Project Name = solo in Domain Id = 1 is exceeded" in text) == (535, True)
    code, text = own_world.refused("createVolume", who="user", account="user", domainid=ROOT, **given, **own)
    assert code in (431, 535)


def test_events_of_a_project_are_its_own(own_world: Any, project: dict[str, Any]) -> None:
    """What a request does that names the project is told of its account; of the project itself, of the caller's."""
    own_world.ok("createSSHKeyPair", who="user", name="k", projectid=project["id"])
    own_world.ok("createAffinityGroup", who="user", name="g", type="host affinity", projectid=project["id"])
    told = own_world.ok("listEvents", who="user", projectid=project["id"])["event"]
    assert {(event["account"], event["username"]) for event in told} == {("PrjAcct-solo-1", "user")}
    kinds = [event["type"] for event in reversed(told)]
    assert kinds == ["REGISTER.SSH.KEYPAIR", "AG.CREATE", "AG.CREATE", "AG.CREATE", "AG.CREATE"]


def test_a_suspended_project_makes_nothing(own_world: Any, project: dict[str, Any]) -> None:
    """Nothing is made in a suspended project until it is activated; without an id there is no answer at all."""
    own = {"projectid": project["id"]}
    assert own_world.ok("suspendProject", who="user", id=project["id"])["project"]["state"] == "Suspended"
    refused = own_world.refused("createSSHKeyPair", who="user", name="k", **own)
    assert refused == (
        531, "Can't add resources to the project with specified projectId in state=Suspended as it's no longer active",
    )  # fmt: skip
    joined = own_world.refused("addAccountToProject", account="admin", **own)
    assert joined[1].endswith("in state=Suspended as it's no longer active")
    _, key, _ = own_world.answer("activateProject", who="user", id=project["id"], customjobid="no-uuid")
    assert key == "activaterojectresponse"
    assert own_world.ok("activateProject", who="user", id=project["id"])["project"]["state"] == "Active"
    for name in ("activateProject", "suspendProject", "updateProject", "deleteProject"):
        answer = own_world.ask(name)
        assert (answer.status_code, answer.content_type, answer.get_data()) == (200, "text/xml;charset=utf-8", b"")


def test_a_project_goes_with_what_it_owns(own_world: Any, project: dict[str, Any]) -> None:
    """A project that owns something is deleted with `cleanup` only; its account goes with it."""
    own = {"projectid": project["id"]}
    given = {"name": "doomed", "zoneid": ZONE, "diskofferingid": CUSTOM_DISK, "size": "1"}
    own_world.ok("createVolume", who="user", **given, **own)
    own_world.ok("createSecurityGroup", who="user", name="doomed", **own)
    code, text = own_world.refused("deleteProject", who="user", id=project["id"])
    assert (code, text) == (530, "Can't delete the project yet because it has 1 Volume to clean up")
    account = account_of(own_world, "user")
    managed = own_world.refused("deleteAccount", id=account["id"])
    assert managed[1].startswith("Unable to delete account [3], because it manages the following project(s): [")
    assert own_world.ok("deleteProject", who="user", id=project["id"], cleanup="true") == {"success": True}
    assert own_world.ok("listProjects", who="user") == {}
    assert own_world.ok("listVolumes", projectid="-1", listall="true") == {}
    assert own_world.ok("listSecurityGroups", projectid="-1", listall="true", keyword="doomed") == {}
    assert account_of(own_world, "user")["projecttotal"] == 0
