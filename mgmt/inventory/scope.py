"""Who may see which owned resources: from the caller and the list parameters to a filter on owner columns.

One rule for every list of owned resources (VMs, volumes, events, users, ...). `decide_scope` is pure; `resolve_scope`
looks up the named domain and account and calls it. Upstream: AccountManagerImpl.buildACLSearchParameters and
DomainChecker (server/.../user, server/.../acl).
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from sqlalchemy import ColumnElement, and_, select, true
from sqlalchemy.orm import InstrumentedAttribute, Session

from mgmt.errors import InvalidParameterValueError, PermissionDeniedError
from mgmt.inventory.listing import equals_ignoring_case
from mgmt.inventory.lookup import get_live
from mgmt.store.models import Account, Domain, Project

NORMAL = 0
ROOT_ADMIN = 1
DOMAIN_ADMIN = 2
RESOURCE_DOMAIN_ADMIN = 3
PROJECT = 5

ALL_PROJECTS = -1
NO_PERMISSION_TEXT = "Caller does not have permission to operate with provided resource."


class CallerLike(Protocol):
    """What the rules need to know of a caller (`mgmt.commands.declaration.Caller` has it)."""

    @property
    def account_id(self) -> int: ...
    @property
    def account_uuid(self) -> str: ...
    @property
    def account_name(self) -> str: ...
    @property
    def account_type(self) -> int: ...
    @property
    def domain_id(self) -> int: ...
    @property
    def domain_path(self) -> str: ...
    @property
    def project_accounts(self) -> Collection[int]: ...
    @property
    def managed_project_accounts(self) -> Collection[int]: ...


@dataclass(frozen=True)
class DomainRef:
    """A domain as the rules see it; `path` is the stored one (`/`, `/D1/`)."""

    id: int
    uuid: str
    path: str


@dataclass(frozen=True)
class ScopeRequest:
    """The scope parameters of a list call, look-ups done.

    `has_id` is true when the call names the entity by `id`; `account_id` is the account that `account` named, or that
    of the project that `projectid` named.
    """

    domain: DomainRef | None = None
    account_id: int | None = None
    project_id: int | None = None
    listall: bool = False
    isrecursive: bool = False
    has_id: bool = False


@dataclass(frozen=True)
class Scope:
    """What a call may see: resources of `account_ids` when there are any, else those of `domain_path`'s subtree or of
    `domain_id`, else everything. `projects` narrows by owner: None both kinds, True projects only, False none of them.
    """

    account_ids: tuple[int, ...] = ()
    domain_id: int | None = None
    domain_path: str | None = None
    projects: bool | None = None

    def clause(
        self,
        account_id: InstrumentedAttribute[int] | ColumnElement[int],
        domain_id: InstrumentedAttribute[int] | ColumnElement[int],
    ) -> ColumnElement[bool]:
        """The scope as a condition on a table's owner columns."""
        conditions: list[ColumnElement[bool]] = []
        if self.account_ids:
            conditions.append(account_id.in_(self.account_ids))
        elif self.domain_path is not None:
            subtree = select(Domain.id).where(Domain.path.startswith(self.domain_path, autoescape=True))
            conditions.append(domain_id.in_(subtree))
        elif self.domain_id is not None:
            conditions.append(domain_id == self.domain_id)
        if self.projects is not None:
            owners = select(Account.id).where(Account.type == PROJECT)
            conditions.append(account_id.in_(owners) if self.projects else account_id.not_in(owners))
        return and_(true(), *conditions)


def decide_scope(caller: CallerLike, request: ScopeRequest) -> Scope:
    """The scope of a list call; raises PermissionDeniedError for a domain that the caller may not look into."""
    domain = request.domain
    if domain is not None:
        check_domain_access(caller, domain)
    accounts = () if request.account_id is None else (request.account_id,)
    if request.project_id == ALL_PROJECTS:
        return _project_scope(caller, request, accounts)
    if request.project_id is not None:
        return Scope(account_ids=accounts)
    projects = None if request.has_id else False
    if domain is not None:
        if caller.account_type == NORMAL:
            accounts = (*accounts, caller.account_id)
        return _in_domain(domain, request.isrecursive, accounts, projects)
    if accounts:
        return Scope(account_ids=accounts, projects=projects)
    if caller.account_type == NORMAL:
        return Scope(account_ids=(caller.account_id,), projects=projects)
    if request.listall:
        if caller.account_type == DOMAIN_ADMIN:
            return Scope(domain_path=caller.domain_path, projects=projects)
        return Scope(projects=projects)
    if not request.has_id:
        return Scope(account_ids=(caller.account_id,), projects=projects)
    if caller.account_type != ROOT_ADMIN:
        return Scope(domain_path=caller.domain_path, projects=projects)
    return Scope(projects=projects)


def _project_scope(caller: CallerLike, request: ScopeRequest, accounts: tuple[int, ...]) -> Scope:
    """The scope of `projectid=-1`: projects only, with `listall` everything that the caller may see.

    An account that is no root admin sees what its projects own, and with `listall` what it owns itself.
    """
    if caller.account_type != ROOT_ADMIN:
        accounts = (*accounts, *sorted(caller.project_accounts))
        if request.listall or not accounts:
            accounts = (*accounts, caller.account_id)
    projects = None if request.listall else True
    if request.domain is not None:
        return _in_domain(request.domain, request.isrecursive, accounts, projects)
    return Scope(account_ids=accounts, projects=projects)


def _in_domain(domain: DomainRef, is_recursive: bool, accounts: tuple[int, ...], projects: bool | None) -> Scope:
    return Scope(
        account_ids=accounts,
        domain_id=None if is_recursive else domain.id,
        domain_path=domain.path if is_recursive else None,
        projects=projects,
    )


def resolve_scope(session: Session, caller: CallerLike, params: Mapping[str, Any], *, has_id: bool = False) -> Scope:
    """The scope of a list call with the bound parameters `params` (domainid, account, projectid, listall, isrecursive).

    Raises InvalidParameterValueError for an account or domain that is not there, PermissionDeniedError for one that the
    caller may not see.
    """
    domain_id = params.get("domainid")
    domain = None
    if domain_id is not None:
        domain = session.get(Domain, domain_id)
        if domain is None or domain.removed is not None:
            raise InvalidParameterValueError(f"Unable to find domain by id {domain_id}")
        check_domain_access(caller, domain)
    project_id = params.get("projectid")
    account_name = params.get("account")
    account_id = None
    if account_name is not None:
        if project_id is not None:
            raise InvalidParameterValueError("Account and projectId can't be specified together")
        account_id = _named_account(session, caller, account_name, domain)
    if project_id is not None and project_id != ALL_PROJECTS:
        project = live_project(session, project_id, f"Unable to find project by id {project_id}")
        if not may_use_project(caller, project):
            raise PermissionDeniedError(f"Account {account_text(caller)} can't access project id={project_id}")
        account_id = project.account_id
    return decide_scope(
        caller,
        ScopeRequest(
            domain=None if domain is None else DomainRef(domain.id, domain.uuid, domain.path),
            account_id=account_id,
            project_id=project_id,
            listall=bool(params.get("listall")),
            isrecursive=bool(params.get("isrecursive")),
            has_id=has_id,
        ),
    )


def find_active_account(session: Session, name: str, domain_id: int) -> Account | None:
    """The account `name` (any case) of a domain that is not removed."""
    named = equals_ignoring_case(Account.name, name)
    return session.scalar(
        select(Account).where(named, Account.domain_id == domain_id, Account.removed.is_(None), Account.type != PROJECT)
    )


def _named_account(session: Session, caller: CallerLike, name: str, domain: Domain | None) -> int:
    in_domain = domain or session.get_one(Domain, caller.domain_id)
    account = find_active_account(session, name, in_domain.id)
    if account is None:
        raise InvalidParameterValueError(f"could not find account {name} in domain {domain_text(in_domain)}")
    check_owner_access(caller, account.id, account.domain.path)
    return account.id


def check_domain_access(caller: CallerLike, domain: DomainRef | Domain) -> None:
    """Raise PermissionDeniedError when `domain` is outside the caller's own (a user) or his subtree (an admin)."""
    if caller.account_type in (NORMAL, PROJECT):
        allowed = caller.domain_id == domain.id
    else:
        allowed = domain.path.startswith(caller.domain_path)
    if not allowed:
        raise PermissionDeniedError(
            f"Account {account_text(caller)} does not have permission to operate within domain id={domain.uuid}"
        )


def check_owner_access(caller: CallerLike, owner_id: int, owner_domain_path: str) -> None:
    """Raise PermissionDeniedError when the caller may not touch what account `owner_id` owns (DomainChecker)."""
    if caller.account_type == ROOT_ADMIN or caller.account_id == owner_id:
        return
    is_admin_above = caller.account_type in (DOMAIN_ADMIN, RESOURCE_DOMAIN_ADMIN)
    if is_admin_above and owner_domain_path.startswith(caller.domain_path):
        return
    if owner_id not in caller.project_accounts:
        raise PermissionDeniedError(NO_PERMISSION_TEXT)


def live_project(session: Session, project_id: int, missing: str) -> Project:
    """The project; InvalidParameterValueError with the text `missing` for one that is gone."""
    project = get_live(session, Project, project_id)
    if project is None:
        raise InvalidParameterValueError(missing)
    return project


def named_in_error(project: Project) -> tuple[dict[str, str], ...]:
    """How an error names the project in its `uuidList`."""
    return ({"uuid": project.uuid, "description": "projectId"},)


def may_use_project(caller: CallerLike, project: Project) -> bool:
    """Whether the caller may act in a project (ProjectManagerImpl.canAccessProjectAccount).

    Raises PermissionDeniedError for a domain admin of another domain.
    """
    if caller.account_type == DOMAIN_ADMIN:
        check_domain_access(caller, project.domain)
        return True
    return caller.account_type == ROOT_ADMIN or project.account_id in caller.project_accounts


def is_admin(caller: CallerLike) -> bool:
    """True for root, domain and resource domain admins (AccountManagerImpl.isAdmin)."""
    return caller.account_type in (ROOT_ADMIN, DOMAIN_ADMIN, RESOURCE_DOMAIN_ADMIN)


def account_text(caller: CallerLike) -> str:
    """The caller's account as Java's `AccountVO.toString` writes it into error texts."""
    fields = {"accountName": caller.account_name, "id": caller.account_id, "uuid": caller.account_uuid}
    return f"Account [{java_json(fields)}]"


def domain_text(domain: Domain) -> str:
    """The domain as Java's `DomainVO.toString` writes it into error texts."""
    fields = {"id": domain.id, "name": domain.name, "path": domain.path, "uuid": domain.uuid}
    return f"Domain {java_json(fields)}"


def java_json(fields: Mapping[str, Any]) -> str:
    """Fields as the `toString` of CloudStack's records writes them."""
    # org.json's writer, which escapes the slash
    return json.dumps(fields, separators=(",", ":"), ensure_ascii=False).replace("/", "\\/")


def domain_fields(domain: Domain) -> dict[str, Any]:
    """How an answer tells the domain of what it shows."""
    return {"domainid": domain.uuid, "domain": domain.name, "domainpath": shown_domain_path(domain.path)}


def owner_names(account: Account) -> dict[str, Any]:
    """How an answer tells whose something is: of an account by its name, of a project by id and name."""
    project = account.project if account.type == PROJECT else None
    if project is None:
        return {"account": account.name}
    return {"projectid": project.uuid, "project": project.name}


def owner_fields(account: Account, domain: Domain) -> dict[str, Any]:
    """How an answer tells the account or project that something belongs to, and its domain."""
    return {**owner_names(account), **domain_fields(domain)}


def shown_domain_path(path: str) -> str:
    """The stored path `/D1/` as the API shows it: `ROOT/D1`."""
    inner = path.strip("/")
    return f"ROOT/{inner}" if inner else "ROOT"
