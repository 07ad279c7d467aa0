"""Who is to own what a call makes: the caller, or the account that `account` and `domainid` name.

Upstream: AccountManagerImpl.finalizeOwner.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy.orm import Session

from mgmt.errors import InvalidParameterValueError, PermissionDeniedError
from mgmt.inventory.scope import CallerLike, check_domain_access, check_owner_access, find_active_account, is_admin
from mgmt.store.models import Account, Domain


def finalize_owner(session: Session, caller: CallerLike, params: Mapping[str, Any]) -> Account:
    """The owner that `account`, `domainid` and `projectid` mean; raises when the caller may not act for it."""
    name, domain_id, project_id = params.get("account"), params.get("domainid"), params.get("projectid")
    if project_id is not None:
        raise InvalidParameterValueError(f"Unable to find project by id {project_id}")
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
