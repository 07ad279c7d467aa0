"""Projects, their members and their roles.

Upstream: api/.../command/user/project, command/user/account and command/admin/acl/project.
"""

from __future__ import annotations

from sqlalchemy.orm import Session

from mgmt.commands.catalogued import job, listed
from mgmt.commands.declaration import Bound, Call, Item, Listing, Success, events_of
from mgmt.commands.life_calls import created, created_record, life_services
from mgmt.commands.owned import DOMAIN_DETAILS, checked_details
from mgmt.inventory import project_views, projects
from mgmt.inventory.scope import live_project
from mgmt.life.owners import delete_owner
from mgmt.store.models import Project

PROJECT = "Project"
_event = events_of(PROJECT)


def _item(session: Session, project: Project) -> Item:
    return Item(project_views.project_views(session, [project])[0])


def _create(call: Call, bound: Bound) -> str:
    services = call.services
    project = projects.create_project(call.db, services.providers, services.settings, call.caller, bound)
    created(call, "PROJECT.CREATE", "creating project", PROJECT, project.uuid)
    return project.uuid


@job(
    "createProject",
    "project",
    since="3.0.0",
    event=_event("PROJECT.CREATE", "creating project", lambda bound: "creating project"),
    instance_type=PROJECT,
    create=_create,
)
def create_project(call: Call, bound: Bound) -> Item:
    """Show the project that `_create` recorded."""
    with call.services.store.session() as session:
        project = created_record(session, Project, bound)
        return _item(session, project)


@job(
    "updateProject",
    "project",
    since="3.0.0",
    event=_event("PROJECT.UPDATE", "updating project", lambda bound: f"Updating project: {bound['id']}"),
    instance_type=PROJECT,
    instance_param="id",
)
def update_project(call: Call, bound: Bound) -> Item:
    """Rename a project, hand it over, or change a member's role."""
    with call.services.store.session() as session:
        project = projects.update_project(session, call.caller, bound)
        return _item(session, project)


def _set_state(call: Call, bound: Bound, state: str) -> Item:
    with call.services.store.session() as session:
        project = projects.set_state(session, call.caller, bound["id"], state)
        return _item(session, project)


@job(
    "activateProject",
    "project",
    since="3.0.0",
    event=_event("PROJECT.ACTIVATE", "activating project", lambda bound: f"Activating project: {bound['id']}"),
    instance_type=PROJECT,
    instance_param="id",
)
def activate_project(call: Call, bound: Bound) -> Item:
    """Let things be made in a suspended project again."""
    return _set_state(call, bound, projects.ACTIVE)


@job(
    "suspendProject",
    "project",
    since="3.0.0",
    event=_event("PROJECT.SUSPEND", "suspending project", lambda bound: f"Suspending project: {bound['id']}"),
    instance_type=PROJECT,
    instance_param="id",
)
def suspend_project(call: Call, bound: Bound) -> Item:
    """Let nothing be made in a project any more."""
    return _set_state(call, bound, projects.SUSPENDED)


@job(
    "deleteProject",
    since="3.0.0",
    event=_event("PROJECT.DELETE", "deleting project", lambda bound: f"Deleting project: {bound['id']}"),
    instance_type=PROJECT,
    instance_param="id",
)
def delete_project(call: Call, bound: Bound) -> Success:
    """Delete a project; with `cleanup` everything that it owns."""
    with call.services.store.session() as session:
        project = live_project(session, bound["id"], f"Unable to find project by id {bound['id']}")
        projects.check_may_change(call.caller, project)
        if not bound["cleanup"]:
            projects.check_emptied(session, project)
        account_id = project.account_id
    delete_owner(life_services(call), call.caller, account_id)
    return Success()


def _adding(bound: Bound) -> str:
    if bound["account"] is None:
        return f"Sending invitation to email {bound['email']} to join project: {bound['projectid']}"
    return f"Adding account {bound['account']} to project: {bound['projectid']}"


@job(
    "addAccountToProject",
    since="3.0.0",
    event=_event("PROJECT.ACCOUNT.ADD", "adding account to project", _adding),
    instance_type=PROJECT,
    instance_param="projectid",
)
def add_account_to_project(call: Call, bound: Bound) -> Success:
    """Let an account take part in a project."""
    with call.services.store.session() as session:
        projects.add_account(session, call.caller, bound)
    return Success()


@job(
    "addUserToProject",
    since="4.14",
    event=_event(
        "PROJECT.USER.ADD",
        "adding user to project",
        lambda bound: f"Adding user {bound['username']} to project: {bound['projectid']}",
    ),
    instance_type=PROJECT,
    instance_param="projectid",
)
def add_user_to_project(call: Call, bound: Bound) -> Success:
    """Let a single user take part in a project."""
    with call.services.store.session() as session:
        projects.add_user(session, call.caller, bound)
    return Success()


@job(
    "deleteAccountFromProject",
    since="3.0.0",
    event=_event(
        "PROJECT.ACCOUNT.REMOVE",
        "removing account from project",
        lambda bound: f"Removing account {bound['account']} from project: {bound['projectid']}",
    ),
    instance_type=PROJECT,
    instance_param="projectid",
)
def delete_account_from_project(call: Call, bound: Bound) -> Success:
    """Take an account out of a project."""
    with call.services.store.session() as session:
        projects.remove_account(session, call.caller, bound["projectid"], bound["account"])
    return Success()


@job(
    "deleteUserFromProject",
    since="4.15.0",
    event=_event(
        "PROJECT.USER.REMOVE",
        "removing user from project",
        lambda bound: f"Removing user {bound['userid']} from project: {bound['projectid']}",
    ),
    instance_type=PROJECT,
    instance_param="projectid",
)
def delete_user_from_project(call: Call, bound: Bound) -> Success:
    """Take a single user out of a project."""
    with call.services.store.session() as session:
        projects.remove_user(session, call.caller, bound["projectid"], bound["userid"])
    return Success()


@listed("listProjects", "project", since="3.0.0")
def list_projects(call: Call, bound: Bound) -> Listing:
    details = checked_details(bound["details"], DOMAIN_DETAILS)
    found, count = project_views.find_projects(call.db, call.caller, bound, bound.paging)
    return Listing(project_views.project_views(call.db, found, details), count)


@listed("listProjectAccounts", "projectaccount", since="3.0.0")
def list_project_accounts(call: Call, bound: Bound) -> Listing:
    """Who takes part in a project."""
    found, count = project_views.find_members(call.db, call.caller, bound, bound.paging)
    return Listing([project_views.member_view(call.db, member, call.caller) for member in found], count)


COMMANDS = (
    create_project,
    update_project,
    activate_project,
    suspend_project,
    delete_project,
    add_account_to_project,
    add_user_to_project,
    delete_account_from_project,
    delete_user_from_project,
    list_projects,
    list_project_accounts,
)
