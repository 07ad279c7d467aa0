"""Projects and their members as lists find and show them.

Upstream: server/.../api/query/QueryManagerImpl.java (listProjects, listProjectAccounts), dao/ProjectJoinDaoImpl.java.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from mgmt.errors import InvalidParameterValueError, PermissionDeniedError
from mgmt.inventory.accounts import resource_fields, user_view
from mgmt.inventory.listing import Window, any_like_keyword, equals_ignoring_case, page
from mgmt.inventory.projects import admins_of
from mgmt.inventory.scope import (
    DOMAIN_ADMIN,
    CallerLike,
    account_text,
    check_domain_access,
    domain_fields,
    find_active_account,
    is_admin,
    live_project,
)
from mgmt.inventory.tags import has_tags, with_tags
from mgmt.store.models import (
    Account,
    Domain,
    Project,
    ProjectAccount,
    User,
)


def find_projects(
    session: Session, caller: CallerLike, params: Mapping[str, Any], window: Window
) -> tuple[list[Project], int]:
    """The page of projects that match the bound parameters of listProjects and that the caller may see."""
    conditions: list[ColumnElement[bool]] = [Project.removed.is_(None), *_seen(session, caller, params)]
    if params["id"] is not None:
        conditions.append(Project.id == params["id"])
    for name, column in (("name", Project.name), ("displaytext", Project.display_text), ("state", Project.state)):
        if params[name] is not None:
            conditions.append(equals_ignoring_case(column, params[name]))
    if params["username"] is not None:
        members = select(ProjectAccount.project_id).join(ProjectAccount.user)
        conditions.append(Project.id.in_(members.where(equals_ignoring_case(User.username, params["username"]))))
    if params["keyword"] is not None:
        conditions.append(any_like_keyword((Project.name, Project.display_text), params["keyword"]))
    conditions += has_tags(Project.uuid, "Project", params["tags"])
    return page(session, select(Project).where(*conditions).order_by(Project.id), window)


def _seen(session: Session, caller: CallerLike, params: Mapping[str, Any]) -> list[ColumnElement[bool]]:
    """Whose projects a call may show: those that an account takes part in, of a domain, or all."""
    domain_id, name, listall = params["domainid"], params["account"], bool(params["listall"])
    account_id, domain = None, None
    if is_admin(caller):
        if domain_id is None and name is not None:
            raise InvalidParameterValueError(f"could not find account {name} because domain is not specified")
        if domain_id is not None:
            domain = session.get(Domain, domain_id)
            if domain is None or domain.removed is not None:
                raise InvalidParameterValueError(f"Domain id={domain_id} doesn't exist in the system")
            check_domain_access(caller, domain)
            if name is not None:
                owner = find_active_account(session, name, domain_id)
                if owner is None:
                    raise InvalidParameterValueError(f"Unable to find account {name} in domain {domain_id}")
                account_id = owner.id
    else:
        if name is not None and name != caller.account_name:
            raise PermissionDeniedError(f"Can't list account {name} projects; unauthorized")
        if domain_id is not None and domain_id == caller.domain_id:  # upstream compares the wrong way round
            raise PermissionDeniedError(f"Can't list domain id= {domain_id} projects; unauthorized")
        account_id = caller.account_id
    conditions: list[ColumnElement[bool]] = []
    if domain_id is None and account_id is None and not listall:
        account_id = caller.account_id
    elif caller.account_type == DOMAIN_ADMIN or (params["isrecursive"] and not listall):
        path = caller.domain_path if domain is None else domain.path
        inside = select(Domain.id).where(Domain.path.startswith(path, autoescape=True))
        conditions.append(Project.domain_id.in_(inside))
    if account_id is not None:
        mine = select(ProjectAccount.project_id).where(ProjectAccount.account_id == account_id)
        conditions.append(Project.id.in_(mine))
    if domain_id is not None and not params["isrecursive"]:
        conditions.append(Project.domain_id == domain_id)
    return conditions


def project_views(
    session: Session, projects: Sequence[Project], details: Collection[str] = ("all",)
) -> list[dict[str, Any]]:
    """The projects as answers show them; `min` leaves limits and use out."""
    wants_resources = "all" in details or "resource" in details
    accounts = [project.account for project in projects]
    resources = resource_fields(session, accounts) if wants_resources else [{} for _ in accounts]
    views = [
        {
            "id": project.uuid,
            "name": project.name,
            "displaytext": project.display_text,
            "projectaccountname": project.account.name,
            "domainid": project.domain.uuid,
            "domain": project.domain.name,
            "owner": [_owner(member) for member in admins_of(session, project)],
            **fields,
            "state": project.state,
            "tags": [],
            "created": project.created,
        }
        for project, fields in zip(projects, resources, strict=True)
    ]
    return list(with_tags(session, "Project", views))


def _owner(member: ProjectAccount) -> dict[str, str]:
    user = member.user
    of_user = {} if user is None else {"userid": user.uuid, "user": user.username}
    return {"account": member.account.name, **of_user}


def find_members(
    session: Session, caller: CallerLike, params: Mapping[str, Any], window: Window
) -> tuple[list[ProjectAccount], int]:
    """The page of a project's members that the bound parameters of listProjectAccounts ask for."""
    project = live_project(session, params["projectid"], f"Unable to find the project id={params['projectid']}")
    if not is_admin(caller) and project.account_id not in caller.project_accounts:
        raise PermissionDeniedError(
            f"Account {account_text(caller)} is not authorized to list users of the project id={project.id}"
        )
    conditions = [ProjectAccount.project_id == project.id]
    for name, column in (("userid", ProjectAccount.user_id), ("projectroleid", ProjectAccount.project_role_id)):
        if params[name] is not None:
            conditions.append(column == params[name])
    if params["role"] is not None:
        conditions.append(equals_ignoring_case(ProjectAccount.role, params["role"]))
    if params["account"] is not None:
        conditions.append(ProjectAccount.account.has(equals_ignoring_case(Account.name, params["account"])))
    return page(session, select(ProjectAccount).where(*conditions).order_by(ProjectAccount.id), window)


def member_view(session: Session, member: ProjectAccount, caller: CallerLike) -> dict[str, Any]:
    """A member of a project; an account that takes part as a whole is shown with its users."""
    project, account, user = session.get_one(Project, member.project_id), member.account, member.user
    users: list[User] = []
    if user is None:
        of_account = select(User).where(User.account_id == account.id, User.removed.is_(None)).order_by(User.id)
        users = list(session.scalars(of_account))
    return {
        "projectid": project.uuid,
        "project": project.name,
        "accountid": account.uuid,
        "account": account.name,
        "accounttype": account.type,
        "userid": None if user is None else user.uuid,
        "username": None if user is None else user.username,
        "role": member.role,
        "projectroleid": None if member.project_role is None else member.project_role.uuid,
        **domain_fields(account.domain),
        "user": [user_view(each, caller, in_list=False) for each in users] if user is None else None,
    }
