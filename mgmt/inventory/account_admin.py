"""Accounts: making, changing, disabling and deleting them.

Upstream: server/.../user/AccountManagerImpl.java (createUserAccount, updateAccount, disableAccount, lockAccount,
enableAccount, deleteUserAccount).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import delete, or_, select
from sqlalchemy.orm import Session

from mgmt.errors import PARAM_ERROR, InvalidParameterValueError, PermissionDeniedError, ServerApiError
from mgmt.inventory.accounts import SYSTEM
from mgmt.inventory.public_ips import free
from mgmt.inventory.roles import live_role
from mgmt.inventory.scope import (
    DOMAIN_ADMIN,
    NORMAL,
    PROJECT,
    RESOURCE_DOMAIN_ADMIN,
    ROOT_ADMIN,
    CallerLike,
    check_domain_access,
    check_owner_access,
    domain_text,
    find_active_account,
)
from mgmt.inventory.user_admin import (
    DISABLED,
    ENABLED,
    LOCKED,
    add_user,
    key_access,
    refuse_taken_username,
    remove_user,
)
from mgmt.inventory.volume_snapshots import forget_snapshot
from mgmt.providers import Providers
from mgmt.store.models import (
    Account,
    AffinityGroup,
    Domain,
    InstanceGroup,
    Network,
    Project,
    ProjectAccount,
    PublicIp,
    Role,
    SecurityGroup,
    SecurityGroupRule,
    Snapshot,
    SshKeyPair,
    Template,
    User,
    UserData,
    VmInstance,
    Volume,
)

ACCOUNT_TYPES: Mapping[str, int] = {
    "Admin": ROOT_ADMIN,
    "ResourceAdmin": RESOURCE_DOMAIN_ADMIN,
    "DomainAdmin": DOMAIN_ADMIN,
    "User": NORMAL,
}
_DEFAULT_ROLES = {number: name for name, number in ACCOUNT_TYPES.items()}


def create_account(session: Session, providers: Providers, caller: CallerLike, params: Mapping[str, Any]) -> Account:
    """Record an account with its first user from the bound parameters of createAccount.

    Raises ServerApiError, InvalidParameterValueError and PermissionDeniedError with CloudStack's texts.
    """
    role = _role(session, caller, params["roleid"], params["accounttype"])
    domain_id = caller.domain_id if params["domainid"] is None else params["domainid"]
    domain = session.get(Domain, domain_id)
    if domain is None or domain.removed is not None:
        raise InvalidParameterValueError(f"The domain {domain_id} does not exist; unable to create account")
    check_domain_access(caller, domain)
    type_ = ACCOUNT_TYPES[role.role_type]
    if type_ == RESOURCE_DOMAIN_ADMIN:
        # zones of one domain do not exist here
        raise InvalidParameterValueError(
            f"The account cannot be created as domain {domain_text(domain)} is not associated with any private Zone"
        )
    _check_privileges(caller, type_, role)
    for name, shown in (("username", "Username"), ("firstname", "Firstname"), ("lastname", "Lastname")):
        if not params[name].strip():
            raise InvalidParameterValueError(f"{shown} is empty")
    refuse_taken_username(session, params["username"], domain)
    name = params["account"] or params["username"]
    refuse_taken_name(session, name, domain)
    if type_ == ROOT_ADMIN and domain.parent_id is not None:
        raise InvalidParameterValueError(
            f"Invalid account type {type_} given; unable to create user in domain {domain_text(domain)}"
        )
    account = Account(
        uuid=providers.ids.uuid(),
        name=name,
        type=type_,
        role=role,
        domain=domain,
        network_domain=params["networkdomain"],
        details=_details(params["accountdetails"]),
        created=providers.utcnow().replace(microsecond=0),
    )
    session.add(account)
    session.flush()
    add_user(session, providers, account, params)
    return account


def _role(session: Session, caller: CallerLike, role_id: int | None, type_: int | None) -> Role:
    if role_id is None and type_ is None:
        raise ServerApiError(PARAM_ERROR, "Neither account type and role ID are not provided")
    if role_id is not None:
        role = live_role(session, caller, role_id, "Could not find role")
        if type_ is not None and ACCOUNT_TYPES[role.role_type] != type_:
            raise InvalidParameterValueError(f"Account type {type_} and the type of role {role.name} do not fit")
        return role
    wanted = _DEFAULT_ROLES.get(type_ if type_ is not None else NORMAL)
    found = session.scalar(
        select(Role)
        .where(Role.role_type == wanted, Role.is_default.is_(True), Role.removed.is_(None))
        .order_by(Role.id)
    )
    if found is None:
        raise InvalidParameterValueError(f"Could not find role for account type {type_}")
    return found


def _check_privileges(caller: CallerLike, type_: int, role: Role) -> None:
    """Nobody makes an account that may do more than his own (RoleBasedEntityQuerySelector of the caller's type)."""
    higher = {ROOT_ADMIN: 3, RESOURCE_DOMAIN_ADMIN: 2, DOMAIN_ADMIN: 2, NORMAL: 0}
    if higher.get(type_, 0) > higher.get(caller.account_type, 0):
        raise PermissionDeniedError(f"Caller does not have the privileges to create an account with role {role.name}")


def refuse_taken_name(session: Session, name: str, domain: Domain) -> None:
    """Raise InvalidParameterValueError when an account of the domain has that name."""
    if find_active_account(session, name, domain.id) is not None:
        raise InvalidParameterValueError(f"The specified account: {name} already exists")


def _details(given: Mapping[str, Mapping[str, str]] | None) -> dict[str, str]:
    merged: dict[str, str] = {}
    for entry in (given or {}).values():
        merged |= {entry["key"]: entry["value"]} if set(entry) == {"key", "value"} else entry
    return merged


def find_account(session: Session, caller: CallerLike, params: Mapping[str, Any], doing: str) -> Account:
    """The account that `id`, or `account` and `domainid`, name; one of the system is refused."""
    if params.get("id") is not None:
        account = session.get(Account, params["id"])
        missing = f"Unable to find account by id: {params['id']}"
    else:
        name, domain_id = params.get("account"), params.get("domainid")
        account = None if name is None or domain_id is None else find_active_account(session, name, domain_id)
        missing = f"Unable to find active account by name {name} in domain {domain_id}"
    if account is None or account.removed is not None or account.type == PROJECT:
        raise InvalidParameterValueError(missing)
    if account.name == SYSTEM and account.is_default:
        raise PermissionDeniedError(f"Account id : {account.id} is a system account, {doing} is not allowed")
    check_owner_access(caller, account.id, account.domain.path)
    return account


def update_account(session: Session, caller: CallerLike, account: Account, params: Mapping[str, Any]) -> Account:
    """Change what the bound parameters of updateAccount carry."""
    name, role_id = params["newname"], params["roleid"]
    if name is not None and name != account.name:
        if name.lower() != account.name.lower():
            refuse_taken_name(session, name, account.domain)
        account.name = name
    if params["networkdomain"] is not None:
        account.network_domain = params["networkdomain"] or None
    if params["accountdetails"]:
        account.details = {**account.details, **_details(params["accountdetails"])}
    if params["apikeyaccess"] is not None:
        account.api_key_access = key_access(caller, params["apikeyaccess"])
    if role_id is not None and role_id != account.role_id:
        role = live_role(session, caller, role_id, "Provided role id is invalid")
        if account.is_default:
            raise PermissionDeniedError("Role of a default account cannot be changed")
        if ACCOUNT_TYPES[role.role_type] != account.type and account.type == ROOT_ADMIN and account.domain.parent_id:
            raise PermissionDeniedError("Root admin accounts are in the ROOT domain alone")
        _check_privileges(caller, ACCOUNT_TYPES[role.role_type], role)
        account.role = role
        account.type = ACCOUNT_TYPES[role.role_type]
    return account


def set_account_state(account: Account, state: str) -> Account:
    """Enable, disable or lock an account; a default one stays enabled, and a disabled one is not locked."""
    if state != ENABLED and account.is_default:
        refused = "locked" if state == LOCKED else "disabled"
        raise InvalidParameterValueError(f"Account id : {account.id} is a default account and cannot be {refused}")
    if state == LOCKED and account.state == DISABLED:
        raise InvalidParameterValueError(f"Unable to lock account {account.name}, it is disabled")
    account.state = state
    return account


def check_deletable(session: Session, caller: CallerLike, account: Account) -> None:
    """Raise for an account that deleteAccount refuses."""
    if account.is_default:
        raise InvalidParameterValueError("The account is default and can't be removed")
    if account.id == caller.account_id:
        raise InvalidParameterValueError(
            "The caller is requesting to delete their own account. You are not allowed to do that."
        )
    managed = session.scalars(
        select(Project.id)
        .join(ProjectAccount, ProjectAccount.project_id == Project.id)
        .where(
            ProjectAccount.account_id == account.id,
            ProjectAccount.role == "Admin",
            ProjectAccount.user_id.is_(None),
            Project.removed.is_(None),
        )
        .order_by(Project.id)
    ).all()
    if managed:
        raise InvalidParameterValueError(
            f"Unable to delete account [{account.id}], because it manages the following project(s): {list(managed)}."
            " Please, remove the account from these projects or demote it to a regular project role first."
        )


def owned_vms(session: Session, account_id: int) -> list[int]:
    """The VMs that deleting an account has to remove first."""
    vms = select(VmInstance.id).where(VmInstance.account_id == account_id, VmInstance.removed.is_(None))
    return list(session.scalars(vms.order_by(VmInstance.id)))


def owned_volumes(session: Session, account_id: int) -> list[int]:
    """The volumes that deleting an account has to remove."""
    volumes = select(Volume.id).where(Volume.account_id == account_id, Volume.removed.is_(None))
    return list(session.scalars(volumes.order_by(Volume.id)))


def remove_account(session: Session, providers: Providers, account: Account) -> None:
    """Take an account away with its users, networks, templates and snapshots; VMs and volumes are gone before."""
    now = providers.utcnow()
    for user in session.scalars(select(User).where(User.account_id == account.id, User.removed.is_(None))):
        remove_user(providers, user)
    for network in session.scalars(select(Network).where(Network.account_id == account.id, Network.removed.is_(None))):
        network.removed = now
    owned = select(Template).where(Template.account_id == account.id, Template.removed.is_(None))
    for template in session.scalars(owned):
        template.removed = now
    for snapshot in session.scalars(
        select(Snapshot).where(Snapshot.account_id == account.id, Snapshot.removed.is_(None))
    ):
        forget_snapshot(session, providers, snapshot)
    _forget_belongings(session, account.id)
    if account.project is not None:
        account.project.state, account.project.removed = "Disabled", now
    account.removed = now


def _forget_belongings(session: Session, account_id: int) -> None:
    """Take away what an account owns beside machines and images, its addresses, and its places in projects."""
    for address in session.scalars(select(PublicIp).where(PublicIp.account_id == account_id)):
        free(address)
    groups = select(SecurityGroup.id).where(SecurityGroup.account_id == account_id)
    for model, condition in (
        (
            SecurityGroupRule,
            or_(SecurityGroupRule.group_id.in_(groups), SecurityGroupRule.allowed_group_id.in_(groups)),
        ),
        (SecurityGroup, SecurityGroup.account_id == account_id),
        (AffinityGroup, AffinityGroup.account_id == account_id),
        (InstanceGroup, InstanceGroup.account_id == account_id),
        (SshKeyPair, SshKeyPair.account_id == account_id),
        (UserData, UserData.account_id == account_id),
        (ProjectAccount, ProjectAccount.account_id == account_id),
    ):
        session.execute(delete(model).where(condition))
