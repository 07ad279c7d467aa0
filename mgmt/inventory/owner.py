"""Who is to own what a call makes: the caller, or the account that `account` and `domainid` name.

Upstream: AccountManagerImpl (finalizeOwner, finalyzeAccountId).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from mgmt.errors import InvalidParameterValueError, PermissionDeniedError
from mgmt.inventory.events import Originator
from mgmt.inventory.scope import (
    CallerLike,
    account_text,
    check_domain_access,
    check_owner_access,
    find_active_account,
    is_admin,
    live_project,
    may_use_project,
    named_in_error,
)
from mgmt.store.models import Account, Domain, Project


def finalize_owner(session: Session, caller: CallerLike, params: Mapping[str, Any]) -> Account:
    """The owner that `account`, `domainid` and `projectid` mean; raises when the caller may not act for it."""
    name, domain_id, project_id = params.get("account"), params.get("domainid"), params.get("projectid")
    if project_id is not None:
        if name is not None and domain_id is not None:
            raise InvalidParameterValueError("ProjectId and account/domainId can't be specified together")
        return project_owner(session, caller, project_id)
    if name is None and domain_id is None:
        return session.get_one(Account, caller.account_id)
    if name is None or domain_id is None:
        what = "Account" if name is None else "DomainId"
        if name is None and not is_admin(caller):
            return session.get_one(Account, caller.account_id)
        raise InvalidParameterValueError(
            f"{what} must be specified together with {'domainid' if name is None else 'account'}"
        )
    domain = session.get(Domain, domain_id)
    if domain is None or domain.removed is not None:
        raise InvalidParameterValueError("Unable to find the domain by id=" + str(domain_id))
    check_domain_access(caller, domain)
    owner = find_active_account(session, name, domain_id)
    if owner is None:
        raise InvalidParameterValueError(f"Unable to find account {name} in domain {domain.uuid}")
    if owner.id != caller.account_id and not is_admin(caller):
        raise PermissionDeniedError(
            f"Can't create/list resources for account {owner.name} in domain {domain_id}, permission denied"
        )
    check_owner_access(caller, owner.id, owner.domain.path)
    return owner


def teller_of_project(session: Session, user_id: int, project_uuid: str) -> Originator | None:
    """A user in the name of a project's account, as events of requests tell that name the project (ApiServlet)."""
    found = select(Account.id, Account.domain_id).join(Project, Project.account_id == Account.id)
    row = session.execute(found.where(Project.uuid == project_uuid.lower())).first()
    return None if row is None else Originator(user_id, row.id, row.domain_id)


def project_owner(session: Session, caller: CallerLike, project_id: int) -> Account:
    """The account of a project, if it is active and the caller may act in it."""
    project = active_project(session, project_id, f"Unable to find project by id={project_id}")
    if not may_use_project(caller, project):
        raise PermissionDeniedError(f"Account {account_text(caller)} is unauthorised to use project id={project_id}")
    return project.account


def active_project(session: Session, project_id: int, missing: str = "Unable to find project by id") -> Project:
    """The project if something may be made in it; raises with the text `missing` for one that is gone."""
    project = live_project(session, project_id, missing)
    if project.state != "Active":
        raise PermissionDeniedError(
            f"Can't add resources to the project with specified projectId in state={project.state} as it's no longer"
            " active",
            uuid_list=named_in_error(project),
        )
    return project
