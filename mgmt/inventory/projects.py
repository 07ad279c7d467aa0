"""Projects: making, changing and finding them, and who takes part.

Upstream: server/.../projects/ProjectManagerImpl.java, server/.../api/query/QueryManagerImpl.java (listProjects,
listProjectAccounts), dao/ProjectJoinDaoImpl.java. Invitations are off, as by default.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from mgmt.errors import CloudRuntimeError, InvalidParameterValueError, PermissionDeniedError
from mgmt.inventory.accounts import resource_fields, user_view
from mgmt.inventory.limits import PROJECTS, release, reserve
from mgmt.inventory.listing import Window, any_like_keyword, equals_ignoring_case, page
from mgmt.inventory.owner import finalize_owner
from mgmt.inventory.scope import (
    DOMAIN_ADMIN,
    NO_PERMISSION_TEXT,
    NORMAL,
    PROJECT,
    ROOT_ADMIN,
    CallerLike,
    account_text,
    check_domain_access,
    domain_fields,
    find_active_account,
    is_admin,
)
from mgmt.inventory.settings import GlobalSettings
from mgmt.inventory.tags import has_tags
from mgmt.providers import Providers
from mgmt.store.models import (
    Account,
    Domain,
    Network,
    Project,
    ProjectAccount,
    ProjectRole,
    Role,
    Template,
    User,
    VmInstance,
    Volume,
)

ACTIVE, SUSPENDED = "Active", "Suspended"
ADMIN, REGULAR = "Admin", "Regular"
USERS_SETTING = "allow.user.create.projects"
MISSING = "Unable to find project with specified id"


def create_project(
    session: Session, providers: Providers, settings: GlobalSettings, caller: CallerLike, params: Mapping[str, Any]
) -> Project:
    """Record a project with its account from the bound parameters of createProject.

    Raises InvalidParameterValueError, PermissionDeniedError and ResourceAllocationError with CloudStack's texts.
    """
    if caller.account_type == NORMAL and not settings.get_bool(USERS_SETTING):
        raise PermissionDeniedError("Regular user is not permitted to create a project")
    owner, user = _first_owner(session, caller, params)
    name = params["name"]
    taken = select(Project.id).where(
        equals_ignoring_case(Project.name, name), Project.domain_id == owner.domain_id, Project.removed.is_(None)
    )
    if session.scalar(taken.limit(1)) is not None:
        raise InvalidParameterValueError(f"Project with name {name} already exists in domain id={owner.domain_id}")
    claims = reserve(session, owner.id, {PROJECTS: 1})
    now = providers.utcnow().replace(microsecond=0)
    account = Account(
        uuid=providers.ids.uuid(),
        name=f"PrjAcct-{name}-{owner.domain_id}",
        type=PROJECT,
        role_id=session.scalars(select(Role.id).where(Role.role_type == "User").order_by(Role.id).limit(1)).one(),
        domain_id=owner.domain_id,
        created=now,
    )
    project = Project(
        uuid=providers.ids.uuid(),
        name=name,
        display_text=params["displaytext"],
        domain_id=owner.domain_id,
        account=account,
        created=now,
    )
    session.add(project)
    session.flush()
    _join(session, project, owner.id, ADMIN, user)
    release(session, claims)  # the record counts from now on
    return project


def _first_owner(session: Session, caller: CallerLike, params: Mapping[str, Any]) -> tuple[Account, User | None]:
    """The account, and the single user of it, that a new project belongs to."""
    name, domain_id, user_id = params["account"], params["domainid"], params["userid"]
    if name is not None and domain_id is None:
        raise InvalidParameterValueError("Account name and domain id must be specified together")
    if user_id is not None and params["accountid"] is None and domain_id is None:
        raise InvalidParameterValueError("Account ID and Domain ID must be specified with userID")
    named = {"account": name or caller.account_name, "domainid": domain_id or caller.domain_id}
    is_named = name is not None or domain_id is not None
    owner = finalize_owner(session, caller, named) if is_named else session.get_one(Account, caller.account_id)
    if user_id is None:
        return owner, None
    user = session.get(User, user_id)
    if user is None:
        raise InvalidParameterValueError("Invalid user ID provided")
    if user.account_id != params["accountid"] or user.account.domain_id != named["domainid"]:
        raise InvalidParameterValueError("User doesn't belong to the specified account or domain")
    return user.account, user


def _join(session: Session, project: Project, account_id: int, role: str, user: User | None = None) -> ProjectAccount:
    member = ProjectAccount(
        project_id=project.id, account_id=account_id, user_id=None if user is None else user.id, role=role
    )
    session.add(member)
    session.flush()
    return member


def live_project(session: Session, project_id: int, missing: str) -> Project:
    """The project; InvalidParameterValueError with the text `missing` for one that is gone."""
    project = session.get(Project, project_id)
    if project is None or project.removed is not None:
        raise InvalidParameterValueError(missing)
    return project


def check_may_change(caller: CallerLike, project: Project) -> None:
    """Raise PermissionDeniedError unless the caller is an admin of the project or above its domain."""
    if caller.account_type == ROOT_ADMIN or project.account_id in caller.managed_project_accounts:
        return
    if caller.account_type != DOMAIN_ADMIN:
        raise PermissionDeniedError(NO_PERMISSION_TEXT)
    check_domain_access(caller, project.domain)


def set_state(session: Session, caller: CallerLike, project_id: int, state: str) -> Project:
    """Activate a suspended project, or suspend one."""
    project = live_project(session, project_id, MISSING)
    check_may_change(caller, project)
    if state == ACTIVE and project.state not in (ACTIVE, SUSPENDED):
        raise InvalidParameterValueError(f"Can't activate the project in {project.state} state")
    project.state = state
    project.account.state = "enabled" if state == ACTIVE else "disabled"
    return project


def update_project(session: Session, caller: CallerLike, params: Mapping[str, Any]) -> Project:
    """Change names, hand the project over (`swapowner`), or give a member another role."""
    if params["account"] is not None and params["userid"] is not None:
        raise InvalidParameterValueError(
            "Account name and User ID are mutually exclusive. Provide either Account nameto update Account or user ID"
            " to update the user of the project"
        )
    project = live_project(session, params["id"], f"Unable to find the project id={params['id']}")
    check_may_change(caller, project)
    for name, attribute in (("name", "name"), ("displaytext", "display_text")):
        if params[name] is not None:
            setattr(project, attribute, params[name])
    if params["account"] is not None:
        member = _named_member(session, project, params["account"])
        if params["swapowner"] is not False:
            _hand_over(session, project, member)
        else:
            _give_role(session, project, member, checked_role(params["roletype"]) or REGULAR)
    elif params["userid"] is not None and params["swapowner"] is False:
        member = _user_member(session, project, params["userid"])
        _give_role(session, project, member, checked_role(params["roletype"]) or REGULAR)
    session.flush()
    return project


def checked_role(text: str | None) -> str | None:
    """`Admin` or `Regular` in any case; None for none; InvalidParameterValueError for another word."""
    if not text:
        return None
    if text.capitalize() not in (ADMIN, REGULAR):
        raise InvalidParameterValueError("Only Admin or Regular project role types are valid")
    return text.capitalize()


def _named_member(session: Session, project: Project, name: str) -> ProjectAccount:
    account = _account_of(session, project, name)
    member = _member(session, project, account.id)
    if member is None:
        raise InvalidParameterValueError(
            f"Account {name} doesn't belong to the project. Add it to the project first and then change the project's"
            " ownership"
        )
    return member


def _user_member(session: Session, project: Project, user_id: int) -> ProjectAccount:
    user = session.get(User, user_id)
    if user is None:
        raise InvalidParameterValueError("Invalid user ID provided")
    if user.account.domain_id != project.domain_id:
        raise InvalidParameterValueError("User doesn't belong to the specified account or domain")
    member = _member(session, project, user.account_id, user.id)
    if member is None:
        raise InvalidParameterValueError(
            f"User {user.username} doesn't belong to the project. Add it to the project first and then change the"
            " project's ownership"
        )
    return member


def _account_of(session: Session, project: Project, name: str) -> Account:
    account = find_active_account(session, name, project.domain_id)
    if account is None:
        raise InvalidParameterValueError(f"Unable to find account name={name} in domain id={project.domain_id}")
    return account


def _member(session: Session, project: Project, account_id: int, user_id: int | None = None) -> ProjectAccount | None:
    """The membership of an account as a whole, or of one of its users."""
    return session.scalar(
        select(ProjectAccount).where(
            ProjectAccount.project_id == project.id,
            ProjectAccount.account_id == account_id,
            ProjectAccount.user_id.is_(None) if user_id is None else ProjectAccount.user_id == user_id,
        )
    )


def _admins(session: Session, project: Project) -> list[ProjectAccount]:
    wanted = select(ProjectAccount).where(ProjectAccount.project_id == project.id, ProjectAccount.role == ADMIN)
    return list(session.scalars(wanted.order_by(ProjectAccount.id)))


def _hand_over(session: Session, project: Project, member: ProjectAccount) -> None:
    (current, *_) = _admins(session, project)
    if current.account_id != member.account_id:
        release(session, reserve(session, member.account_id, {PROJECTS: 1}))
        current.role, member.role = REGULAR, ADMIN


def _give_role(session: Session, project: Project, member: ProjectAccount, role: str) -> None:
    if role != ADMIN and [member.id] == [each.id for each in _admins(session, project)]:
        raise InvalidParameterValueError("Cannot demote the only admin of the project")
    if role == ADMIN and member.role != ADMIN:
        release(session, reserve(session, member.account_id, {PROJECTS: 1}))
    member.role = role


def check_emptied(session: Session, project: Project) -> None:
    """Raise CloudRuntimeError while the project owns something."""
    owner = project.account_id
    for name, model, more in (
        ("VirtualMachineTemplate", Template, ()),
        ("VirtualMachine", VmInstance, ()),
        ("Volume", Volume, (Volume.vm_id.is_(None),)),
        ("Network", Network, ()),
    ):
        found: Any = model
        count = len(
            session.scalars(select(found.id).where(found.account_id == owner, found.removed.is_(None), *more)).all()
        )
        if count:
            raise CloudRuntimeError(
                f"Can't delete the project yet because it has {count} {name} to clean up",
                uuid_list=({"uuid": project.uuid, "description": "projectId"},),
            )


# Members -------------------------------------------------------------------------------------------------------------


def add_account(session: Session, caller: CallerLike, params: Mapping[str, Any]) -> None:
    """Let an account take part; one that does already stays as it is."""
    name = params["account"]
    if name is None and params["email"] is None:
        raise InvalidParameterValueError("Either accountName or email is required")
    project = live_project(session, params["projectid"], MISSING)
    _refuse_inactive(
        project, f"Can't add account to the specified project id in state={project.state} as it's no longer active"
    )
    if name is None:
        raise InvalidParameterValueError("Account information is required for assigning account to the project")
    account = find_active_account(session, name, project.domain_id)
    if account is None:
        raise InvalidParameterValueError(
            f"Unable to find account name={name} in specified domain id",
            uuid_list=({"uuid": project.domain.uuid, "description": "domainId"},),
        )
    check_may_change(caller, project)
    if _member(session, project, account.id) is None:
        _admit(session, project, account, params)


def add_user(session: Session, caller: CallerLike, params: Mapping[str, Any]) -> None:
    """Let a single user take part."""
    project = live_project(session, params["projectid"], MISSING)
    _refuse_inactive(
        project, f"Can't add user to the specified project id in state={project.state} as it isn't currently active"
    )
    user = session.scalar(
        select(User)
        .join(User.account)
        .where(
            equals_ignoring_case(User.username, params["username"]),
            Account.domain_id == project.domain_id,
            User.removed.is_(None),
        )
    )
    if user is None:
        raise InvalidParameterValueError("Invalid user ID provided")
    check_may_change(caller, project)
    if _member(session, project, user.account_id) is not None:
        raise InvalidParameterValueError(
            f"User belongs to account {user.account_id} which is already part of the project"
        )
    if _member(session, project, user.account_id, user.id) is None:
        _admit(session, project, user.account, params, user)


def _refuse_inactive(project: Project, text: str) -> None:
    if project.state != ACTIVE:
        raise InvalidParameterValueError(text, uuid_list=({"uuid": project.uuid, "description": "projectId"},))


def _admit(
    session: Session, project: Project, account: Account, params: Mapping[str, Any], user: User | None = None
) -> None:
    role_id = params["projectroleid"]
    role = None if role_id is None else session.get(ProjectRole, role_id)
    if role_id is not None and (role is None or role.project_id != project.id):
        raise InvalidParameterValueError("Invalid project role ID for the given project")
    kind = checked_role(params["roletype"]) or REGULAR
    if kind == ADMIN:
        release(session, reserve(session, account.id, {PROJECTS: 1}))
    _join(session, project, account.id, kind, user).project_role = role


def remove_account(session: Session, caller: CallerLike, project_id: int, name: str) -> None:
    """Take an account out of a project; the only admin stays."""
    project = live_project(session, project_id, MISSING)
    account = _account_of(session, project, name)
    check_may_change(caller, project)
    member = _member(session, project, account.id)
    proxy = ({"uuid": project.uuid, "description": "projectId"},)
    if member is None:
        raise InvalidParameterValueError(
            f"Account {name} is not assigned to the project with specified id", uuid_list=proxy
        )
    if [member.id] == [each.id for each in _admins(session, project)]:
        raise InvalidParameterValueError(
            f"Unable to delete account {name} from the project with specified id as the account is the owner of the"
            " project",
            uuid_list=proxy,
        )
    session.delete(member)


def remove_user(session: Session, caller: CallerLike, project_id: int, user_id: int) -> None:
    """Take a single user out of a project."""
    project = live_project(session, project_id, MISSING)
    user = session.get(User, user_id)
    if user is None or user.removed is not None:
        raise InvalidParameterValueError("Invalid userId provided")
    if user.account.domain_id != project.domain_id:
        raise InvalidParameterValueError(f"Unable to find user {user.username} in domain id={project.domain_id}")
    check_may_change(caller, project)
    member = _member(session, project, user.account_id, user.id)
    if member is None:
        raise InvalidParameterValueError(
            f"User {user.username} is not assigned to the project with specified id",
            uuid_list=({"uuid": project.uuid, "description": "projectId"},),
        )
    session.delete(member)


# Lists ---------------------------------------------------------------------------------------------------------------


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
    return [
        {
            "id": project.uuid,
            "name": project.name,
            "displaytext": project.display_text,
            "projectaccountname": project.account.name,
            "domainid": project.domain.uuid,
            "domain": project.domain.name,
            "owner": [_owner(member) for member in _admins(session, project)],
            **fields,
            "state": project.state,
            "tags": [],
            "created": project.created,
        }
        for project, fields in zip(projects, resources, strict=True)
    ]


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
