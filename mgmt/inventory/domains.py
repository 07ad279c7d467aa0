"""Domains: the searches of listDomains and listDomainChildren, and their view.

Upstream: server/.../api/query/QueryManagerImpl.java (searchForDomains), server/.../user/DomainManagerImpl.java
(searchForDomainChildren), dao/DomainJoinDaoImpl.java; field order of recorded answers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from mgmt.errors import InvalidParameterValueError
from mgmt.inventory.accounts import RESOURCES, shown_amount, shown_limit
from mgmt.inventory.limits import UNLIMITED, account_counts
from mgmt.inventory.listing import Window, equals_ignoring_case, like_keyword, page
from mgmt.inventory.scope import ROOT_ADMIN, CallerLike, check_domain_access, shown_domain_path
from mgmt.store.models import Account, Domain


def find_domains(
    session: Session, caller: CallerLike, params: Mapping[str, Any], paging: Window
) -> tuple[list[Domain], int]:
    """The page of domains that match the bound parameters of listDomains, and the number of all of them.

    Without `listall` all but a root admin see their own domain only. Raises InvalidParameterValueError for a domain
    that is gone, PermissionDeniedError for one out of the caller's reach.
    """
    conditions = _conditions(params)
    if params["id"] is not None:
        conditions.append(Domain.id == _reachable(session, caller, params["id"]).id)
    elif caller.account_type != ROOT_ADMIN:
        in_reach = Domain.path.startswith(caller.domain_path, autoescape=True)
        conditions.append(in_reach if params["listall"] else Domain.id == caller.domain_id)
    if params["level"]:
        conditions.append(Domain.level == params["level"])
    return page(session, select(Domain).where(*conditions).order_by(Domain.id), paging)


def find_children(
    session: Session, caller: CallerLike, params: Mapping[str, Any], paging: Window
) -> tuple[list[Domain], int]:
    """The page of domains below the one of listDomainChildren's `id`, by default the caller's own."""
    top = _reachable(session, caller, params["id"] if params["id"] is not None else caller.domain_id)
    conditions = _conditions(params)
    if params["isrecursive"] or params["listall"]:
        conditions += [Domain.path.startswith(top.path, autoescape=True), Domain.id != top.id]
    else:
        conditions.append(Domain.parent_id == top.id)
    return page(session, select(Domain).where(*conditions).order_by(Domain.id), paging)


def _conditions(params: Mapping[str, Any]) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = [Domain.removed.is_(None)]
    if params["name"] is not None:
        conditions.append(equals_ignoring_case(Domain.name, params["name"]))
    if params["keyword"] is not None:
        conditions.append(like_keyword(Domain.name, params["keyword"]))
    return conditions


def live_domain(session: Session, domain_id: int, missing: str) -> Domain:
    """The domain with this number; InvalidParameterValueError with the text `missing` when it is gone."""
    domain = session.get(Domain, domain_id)
    if domain is None or domain.removed is not None:
        raise InvalidParameterValueError(missing)
    return domain


def _reachable(session: Session, caller: CallerLike, domain_id: int) -> Domain:
    domain = live_domain(session, domain_id, f"Domain id={domain_id} doesn't exist")
    check_domain_access(caller, domain)
    return domain


def domain_views(
    session: Session, domains: Sequence[Domain], *, with_resources: bool, in_list: bool = True
) -> list[dict[str, Any]]:
    """Domains as lists show them, or (not `in_list`) as the answers about one do.

    What a domain uses is what its accounts and those of its sub-domains use.
    """
    parents = {each.id: each for each in session.scalars(select(Domain).where(Domain.removed.is_(None)))}
    with_children = {each.parent_id for each in parents.values()}
    views = []
    used = _used(session) if with_resources else {}
    for domain in domains:
        parent = parents.get(domain.parent_id or 0)
        view: dict[str, Any] = {
            "id": domain.uuid,
            "name": domain.name,
            "level": domain.level,
            "parentdomainid": parent.uuid if parent else None,
            "parentdomainname": parent.name if parent else None,
            "haschild": domain.id in with_children,
            "path": shown_domain_path(domain.path),
            "networkdomain": domain.network_domain,
            "created": domain.created if in_list else None,
        }
        if with_resources:
            view["state"] = domain.state
            view |= _resources(
                domain, sum((counts for path, counts in used.items() if path.startswith(domain.path)), Counter())
            )
            view["hasannotations"] = False
        else:
            view["secondarystoragetotal"] = 0.0
        views.append(view)
    return views


def _used(session: Session) -> dict[str, Counter[str]]:
    """What is used by the accounts of each domain, by its path."""
    rows = session.execute(select(Account.id, Domain.path).join(Domain, Account.domain_id == Domain.id)).all()
    counts = account_counts(session, [account_id for account_id, _ in rows])
    used: dict[str, Counter[str]] = {}
    for account_id, path in rows:
        used.setdefault(path, Counter()).update(counts[account_id])
    return used


def _resources(domain: Domain, counts: Mapping[str, int]) -> dict[str, Any]:
    """A domain shows the limits that were set; those of the settings it keeps to itself, as the real server does."""
    fields: dict[str, Any] = {}
    for resource in RESOURCES:
        if resource is not None:
            resource_type, prefix = resource
            limit, used = domain.limits.get(resource_type, UNLIMITED), counts.get(resource_type, 0)
            fields[f"{prefix}limit"] = shown_limit(resource_type, limit)
            fields[f"{prefix}total"] = shown_amount(resource_type, used)
            free = limit if limit == UNLIMITED else max(0, limit - used)
            fields[f"{prefix}available"] = shown_limit(resource_type, free, is_available=True)
    return fields
