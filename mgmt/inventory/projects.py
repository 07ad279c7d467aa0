"""Projects: making and changing them, and who takes part.

Upstream: server/.../projects/ProjectManagerImpl.java. Invitations are off, as by default.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from mgmt.errors import CloudRuntimeError, InvalidParameterValueError, PermissionDeniedError
from mgmt.inventory.limits import PROJECTS, release, reserve
from mgmt.inventory.listing import equals_ignoring_case
from mgmt.inventory.owner import finalize_owner
from mgmt.inventory.scope import (
    DOMAIN_ADMIN,
    NO_PERMISSION_TEXT,
    NORMAL,
    PROJECT,
    ROOT_ADMIN,
    CallerLike,
    check_domain_access,
    find_active_account,
    live_project,
    named_in_error,
)
from mgmt.inventory.settings import GlobalSettings
from mgmt.providers import Providers
from mgmt.store.models import (
    Account,
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
        if params["swapowner"] is not False:
            _hand_over(session, project, params["account"])
        else:
            member = _named_member(session, project, params["account"])
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


def admins_of(session: Session, project: Project) -> list[ProjectAccount]:
    """The members who manage the project, the first of them its owner."""
    wanted = select(ProjectAccount).where(ProjectAccount.project_id == project.id, ProjectAccount.role == ADMIN)
    return list(session.scalars(wanted.order_by(ProjectAccount.id)))


def _is_only_admin(session: Session, project: Project, member: ProjectAccount) -> bool:
    return [member.id] == [each.id for each in admins_of(session, project)]


def _check_room(session: Session, account_id: int) -> None:
    """Raise ResourceAllocationError for an account that may manage no further project."""
    release(session, reserve(session, account_id, {PROJECTS: 1}))


def _hand_over(session: Session, project: Project, name: str) -> None:
    account = _account_of(session, project, name)
    admins = admins_of(session, project)
    if not admins:  # the single user whom it was made for has left
        raise InvalidParameterValueError(f"Unable to find the current owner for the project id={project.id}")
    if admins[0].account_id != account.id:
        member = _named_member(session, project, name)
        _check_room(session, account.id)
        admins[0].role, member.role = REGULAR, ADMIN


def _give_role(session: Session, project: Project, member: ProjectAccount, role: str) -> None:
    if role != ADMIN and _is_only_admin(session, project, member):
        raise InvalidParameterValueError("Cannot demote the only admin of the project")
    if role == ADMIN and member.role != ADMIN:
        _check_room(session, member.account_id)
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
                uuid_list=named_in_error(project),
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
        raise InvalidParameterValueError(text, uuid_list=named_in_error(project))


def _admit(
    session: Session, project: Project, account: Account, params: Mapping[str, Any], user: User | None = None
) -> None:
    role_id = params["projectroleid"]
    role = None if role_id is None else session.get(ProjectRole, role_id)
    if role_id is not None and (role is None or role.project_id != project.id):
        raise InvalidParameterValueError("Invalid project role ID for the given project")
    kind = checked_role(params["roletype"]) or REGULAR
    if kind == ADMIN:
        _check_room(session, account.id)
    _join(session, project, account.id, kind, user).project_role = role


def remove_account(session: Session, caller: CallerLike, project_id: int, name: str) -> None:
    """Take an account out of a project; the only admin stays."""
    project = live_project(session, project_id, MISSING)
    account = _account_of(session, project, name)
    check_may_change(caller, project)
    member = _member(session, project, account.id)
    if member is None:
        raise InvalidParameterValueError(
            f"Account {name} is not assigned to the project with specified id", uuid_list=named_in_error(project)
        )
    if _is_only_admin(session, project, member):
        raise InvalidParameterValueError(
            f"Unable to delete account {name} from the project with specified id as the account is the owner of the"
            " project",
            uuid_list=named_in_error(project),
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
            uuid_list=named_in_error(project),
        )
    session.delete(member)
