"""Domains: making, renaming and deleting them.

Upstream: server/.../user/DomainManagerImpl.java.
"""

from __future__ import annotations

import re

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from mgmt.errors import (
    PARAM_ERROR,
    CloudRuntimeError,
    InvalidParameterValueError,
    PermissionDeniedError,
    ServerApiError,
)
from mgmt.inventory.domains import live_domain
from mgmt.inventory.listing import equals_ignoring_case
from mgmt.inventory.scope import CallerLike, check_domain_access
from mgmt.providers import Providers
from mgmt.store.models import Account, Domain

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_NETWORK_DOMAIN = re.compile(
    r"(?=.{1,190}$)[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*", re.IGNORECASE
)


def create_domain(
    session: Session,
    providers: Providers,
    caller: CallerLike,
    *,
    name: str,
    parent_id: int | None,
    network_domain: str | None,
    custom_uuid: str | None,
) -> Domain:
    """Record a domain below `parent_id`, by default below ROOT."""
    if "/" in name:
        raise ServerApiError(
            PARAM_ERROR,
            "Domain name contains one or more invalid characters.  Please enter a name without '/' characters.",
        )
    parent = (
        root(session)
        if parent_id is None
        else live_domain(session, parent_id, f"Unable to create domain {name}, parent domain {parent_id} not found.")
    )
    check_domain_access(caller, parent)
    check_network_domain(network_domain)
    _refuse_taken(session, name, parent.id)
    domain = Domain(
        uuid=_custom_uuid(session, custom_uuid) or providers.ids.uuid(),
        name=name,
        path=f"{parent.path}{name}/",
        level=parent.level + 1,
        parent_id=parent.id,
        network_domain=network_domain,
        created=providers.utcnow().replace(microsecond=0),
    )
    session.add(domain)
    session.flush()
    return domain


def root(session: Session) -> Domain:
    """The ROOT domain."""
    return session.scalars(select(Domain).where(Domain.parent_id.is_(None)).order_by(Domain.id).limit(1)).one()


def _custom_uuid(session: Session, text: str | None) -> str | None:
    if not text:
        return None
    if not _UUID.fullmatch(text):
        raise InvalidParameterValueError(f"UUID: {text} doesn't follow the UUID format")
    if session.scalar(select(Domain.id).where(Domain.uuid == text.lower())) is not None:
        raise InvalidParameterValueError(f"UUID: {text} already exists so can't create/update with custom id")
    return text.lower()


def _refuse_taken(session: Session, name: str, parent_id: int) -> None:
    taken = select(Domain.id).where(
        equals_ignoring_case(Domain.name, name), Domain.parent_id == parent_id, Domain.removed.is_(None)
    )
    if session.scalar(taken) is not None:
        raise InvalidParameterValueError(
            f"Domain with name [{name}] already exists for the parent with ID [{parent_id}]."
        )


def check_network_domain(text: str | None) -> None:
    """Raise InvalidParameterValueError for a network domain that is no domain name (NetUtils.verifyDomainName)."""
    if text and not _NETWORK_DOMAIN.fullmatch(text):
        raise InvalidParameterValueError(
            "Invalid network domain. Total length shouldn't exceed 190 chars. Each domain label must be between 1 and"
            " 63 characters long, can contain ASCII letters 'a' through 'z', the digits '0' through '9', and the hyphen"
            " ('-'); can't start or end with \"-\""
        )


def update_domain(
    session: Session, caller: CallerLike, domain_id: int, *, name: str | None, network_domain: str | None
) -> Domain:
    """Rename a domain, with the paths of those below, or change its network domain."""
    domain = live_domain(session, domain_id, f"Unable to find domain with id {domain_id}")
    check_domain_access(caller, domain)
    if name is not None:
        if domain.parent_id is None:
            raise PermissionDeniedError("Update of ROOT domain is not allowed")
        if "/" in name or not name.strip():
            raise InvalidParameterValueError(f"Domain name {name} is not valid")
        if name.lower() != domain.name.lower():
            _refuse_taken(session, name, domain.parent_id)
        _rename(session, domain, name)
    if network_domain is not None:
        check_network_domain(network_domain)
        domain.network_domain = network_domain or None
    return domain


def _rename(session: Session, domain: Domain, name: str) -> None:
    old = domain.path
    new = f"{old[: -len(domain.name) - 1]}{name}/"
    for below in session.scalars(select(Domain).where(Domain.path.startswith(old, autoescape=True))):
        below.path = new + below.path[len(old) :]
    domain.name = name


def below(session: Session, domain: Domain) -> list[Domain]:
    """The domains below, the deepest first."""
    inside = select(Domain).where(
        Domain.path.startswith(domain.path, autoescape=True), Domain.id != domain.id, Domain.removed.is_(None)
    )
    return list(session.scalars(inside.order_by(Domain.level.desc(), Domain.id)))


def accounts_of(session: Session, domain_ids: list[int]) -> list[int]:
    """The accounts of these domains."""
    owners = select(Account.id).where(Account.domain_id.in_(domain_ids), Account.removed.is_(None))
    return list(session.scalars(owners.order_by(Account.id)))


def check_deletable(session: Session, caller: CallerLike, domain: Domain, *, cleanup: bool) -> None:
    """Raise for a domain that deleteDomain refuses; without `cleanup` it must have neither accounts nor domains."""
    check_domain_access(caller, domain)
    if domain.parent_id is None:
        raise PermissionDeniedError("Can't delete ROOT domain")
    if domain.id == caller.domain_id:
        raise PermissionDeniedError("Cannot delete the domain of the caller")
    if cleanup:
        return
    accounts = session.scalar(
        select(func.count()).select_from(Account).where(Account.domain_id == domain.id, Account.removed.is_(None))
    )
    if accounts or below(session, domain):
        raise CloudRuntimeError(
            f"Failed to delete domain {domain.name} (id: {domain.id}): it has {accounts} accounts and"
            f" {len(below(session, domain))} domains, and cleanup was not asked for"
        )
