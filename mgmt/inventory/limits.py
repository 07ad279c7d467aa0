"""Resource limits: what an account and its domains use, what they may use, and claims on it by work under way.

Counts are computed from the records, never kept, so they cannot drift. Amounts: `user_vm`, `volume` and `cpu` are
numbers, `memory` is MB, `primary_storage` bytes. Upstream: server/.../resourcelimit/ResourceLimitManagerImpl.java,
CheckedReservation.java.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Select, delete, func, select
from sqlalchemy.orm import Session

from mgmt.errors import ResourceAllocationError
from mgmt.inventory.scope import PROJECT, ROOT_ADMIN
from mgmt.store.models import (
    Account,
    Domain,
    Network,
    Project,
    ProjectAccount,
    PublicIp,
    ResourceReservation,
    Snapshot,
    Template,
    VmInstance,
    Volume,
)
from mgmt.store.rows import find_row

UNLIMITED = -1
GIB = 1024**3

USER_VM = "user_vm"
CPU = "cpu"
MEMORY = "memory"
VOLUME = "volume"
PRIMARY_STORAGE = "primary_storage"
TEMPLATE = "template"
SNAPSHOT = "snapshot"
NETWORK = "network"
PROJECTS = "project"
PUBLIC_IP = "public_ip"

# The storage types, whose amounts are bytes; listAccounts shows them in GiB.
STORAGE_TYPES = frozenset({PRIMARY_STORAGE, "secondary_storage", "backup_storage", "object_storage"})

# The defaults of the settings max.account.* and max.project.* (storage in bytes).
DEFAULT_ACCOUNT_LIMITS: Mapping[str, int] = {
    USER_VM: 20,
    PUBLIC_IP: 20,
    VOLUME: 20,
    SNAPSHOT: 20,
    "backup": 20,
    "backup_storage": 400 * GIB,
    TEMPLATE: 20,
    PROJECTS: 10,
    NETWORK: 20,
    "vpc": 20,
    CPU: 40,
    MEMORY: 40960,
    "gpu": 20,
    PRIMARY_STORAGE: 200 * GIB,
    "secondary_storage": 400 * GIB,
    "bucket": 20,
    "object_storage": 400 * GIB,
}

# The defaults of the settings max.domain.* for what can be reserved; ROOT has no limits.
DEFAULT_DOMAIN_LIMITS: Mapping[str, int] = {
    USER_VM: 40,
    VOLUME: 40,
    CPU: 80,
    MEMORY: 81920,
    PRIMARY_STORAGE: 400 * GIB,
    SNAPSHOT: 40,
    TEMPLATE: 40,
    NETWORK: 40,
    PROJECTS: 50,
    PUBLIC_IP: 40,
}

_COUNTED = (
    USER_VM, CPU, MEMORY, VOLUME, PRIMARY_STORAGE, SNAPSHOT, TEMPLATE, NETWORK, PROJECTS, PUBLIC_IP,
)  # fmt: skip
_UNCOUNTED_VM_STATES = ("Destroyed", "Error", "Expunging")
_UNCOUNTED_VOLUME_STATES = ("Destroy", "Expunging", "Expunged")


def account_limit(account: Account, resource_type: str) -> int:
    """How much of `resource_type` an account may have; UNLIMITED for a root admin's."""
    if account.type == ROOT_ADMIN:
        return UNLIMITED
    limit = account.limits.get(resource_type)
    if limit is None:  # the defaults of max.project.* are those of max.account.*
        limit = DEFAULT_ACCOUNT_LIMITS.get(resource_type, UNLIMITED)
    return UNLIMITED if limit < 0 else limit


def domain_limit(domain: Domain, resource_type: str) -> int:
    """How much of `resource_type` the accounts of a domain may have together; UNLIMITED for ROOT."""
    if domain.parent_id is None:
        return UNLIMITED
    limit = domain.limits.get(resource_type, DEFAULT_DOMAIN_LIMITS.get(resource_type, UNLIMITED))
    return UNLIMITED if limit < 0 else limit


def account_counts(session: Session, account_ids: Collection[int]) -> dict[int, dict[str, int]]:
    """What each account uses now, by resource type; a few queries whatever the number of accounts."""
    counts: dict[int, dict[str, int]] = {account_id: dict.fromkeys(_COUNTED, 0) for account_id in account_ids}
    if not counts:
        return counts
    for names, statement in (
        ((USER_VM, CPU, MEMORY), _vm_usage(VmInstance.account_id.in_(counts))),
        ((VOLUME, PRIMARY_STORAGE), _volume_usage(Volume.account_id.in_(counts))),
        ((SNAPSHOT,), _snapshot_usage(Snapshot.account_id.in_(counts))),
        ((TEMPLATE,), _template_usage(Template.account_id.in_(counts))),
        ((NETWORK,), _network_usage(Network.account_id.in_(counts))),
        ((PROJECTS,), _project_usage(ProjectAccount.account_id.in_(counts))),
        ((PUBLIC_IP,), _ip_usage(PublicIp.account_id.in_(counts))),
    ):
        for account_id, *amounts in session.execute(statement):
            counts[account_id].update({name: int(amount or 0) for name, amount in zip(names, amounts, strict=True)})
    return counts


def _vm_usage(condition: ColumnElement[bool]) -> Select[*tuple[Any, ...]]:
    return (
        select(
            VmInstance.account_id,
            func.count(),
            func.sum(VmInstance.cpu_number),
            func.sum(VmInstance.memory_mb),
        )
        .where(condition, VmInstance.removed.is_(None), VmInstance.state.not_in(_UNCOUNTED_VM_STATES))
        .group_by(VmInstance.account_id)
    )


def _volume_usage(condition: ColumnElement[bool]) -> Select[*tuple[Any, ...]]:
    return (
        select(Volume.account_id, func.count(), func.sum(Volume.size_bytes))
        .where(condition, Volume.removed.is_(None), Volume.state.not_in(_UNCOUNTED_VOLUME_STATES))
        .group_by(Volume.account_id)
    )


def _snapshot_usage(condition: ColumnElement[bool]) -> Select[*tuple[Any, ...]]:
    return (
        select(Snapshot.account_id, func.count())
        .where(condition, Snapshot.removed.is_(None), Snapshot.state != "Error")
        .group_by(Snapshot.account_id)
    )


def _template_usage(condition: ColumnElement[bool]) -> Select[*tuple[Any, ...]]:
    return (
        select(Template.account_id, func.count())
        .where(condition, Template.removed.is_(None), Template.template_type == "USER")
        .group_by(Template.account_id)
    )


def _network_usage(condition: ColumnElement[bool]) -> Select[*tuple[Any, ...]]:
    return (
        select(Network.account_id, func.count())
        .where(condition, Network.removed.is_(None), Network.is_system.is_(False), Network.acl_type == "Account")
        .group_by(Network.account_id)
    )


def _project_usage(condition: ColumnElement[bool]) -> Select[*tuple[Any, ...]]:
    return (
        select(ProjectAccount.account_id, func.count(ProjectAccount.project_id.distinct()))
        .join(Project, Project.id == ProjectAccount.project_id)
        .where(condition, ProjectAccount.role == "Admin", Project.removed.is_(None))
        .group_by(ProjectAccount.account_id)
    )


def _ip_usage(condition: ColumnElement[bool]) -> Select[*tuple[Any, ...]]:
    return select(PublicIp.account_id, func.count()).where(condition).group_by(PublicIp.account_id)


def reserve(session: Session, account_id: int, amounts: Mapping[str, int]) -> tuple[int, ...]:
    """Claim `amounts` for an account and return the claim's numbers for `release`; a root admin needs no claim.

    Claims count against the limits until they are released: commit the session so that others see them, and release
    them once the records exist or the work failed. Raises ResourceAllocationError with nothing claimed when the limit
    of the account or of one of its domains would be exceeded; types are checked in the given order.
    """
    owner = find_row(session, Account, account_id, "type")
    if owner is not None and owner.type == ROOT_ADMIN:
        return ()
    account = session.get_one(Account, account_id)
    # Written before checking: the database then lets no second claim in between, and a claim never counts itself.
    claims = [
        ResourceReservation(
            account_id=account_id, domain_id=account.domain_id, resource_type=resource_type, amount=amount
        )
        for resource_type, amount in amounts.items()
    ]
    session.add_all(claims)
    session.flush()
    own = tuple(claim.id for claim in claims)
    try:
        for resource_type, amount in amounts.items():
            _check_account(session, account, resource_type, amount, own)
            _check_domains(session, account, resource_type, amount, own)
    except ResourceAllocationError:
        release(session, own)
        raise
    return own


def release(session: Session, reservations: Sequence[int]) -> None:
    """Give up claims made by `reserve`; claims that are gone already do no harm."""
    if reservations:
        session.execute(delete(ResourceReservation).where(ResourceReservation.id.in_(reservations)))


def release_all(session: Session) -> None:
    """Give up every claim: what a starting server does with those of the one that was killed."""
    session.execute(delete(ResourceReservation))


def _check_account(session: Session, account: Account, resource_type: str, amount: int, own: Collection[int]) -> None:
    limit = account_limit(account, resource_type)
    current = account_counts(session, [account.id])[account.id].get(resource_type, 0)
    reserved = _reserved(session, ResourceReservation.account_id == account.id, resource_type, own)
    if limit == UNLIMITED or current + reserved + amount <= limit:
        return
    show = _shown(resource_type)
    project = account.project if account.type == PROJECT else None
    owner = f"Account Name = {account.name}" if project is None else f"Project Name = {project.name}"
    raise ResourceAllocationError(
        f"Maximum amount of resources of Type = '{resource_type}', tag = 'null' for {owner}"
        f" in Domain Id = {account.domain_id} is exceeded: Account Resource Limit = {show(limit)},"
        f" Current Account Resource Amount = {show(current)},"
        f" Current Account Resource Reservation = {show(reserved)}, Requested Resource Amount = {show(amount)}."
    )


def _check_domains(session: Session, account: Account, resource_type: str, amount: int, own: Collection[int]) -> None:
    domain: Domain | None = account.domain
    while domain is not None and domain.parent_id is not None:
        limit = domain_limit(domain, resource_type)
        if limit == UNLIMITED:
            domain = session.get(Domain, domain.parent_id)
            continue
        subtree = select(Domain.id).where(Domain.path.startswith(domain.path, autoescape=True))
        members = session.scalars(select(Account.id).where(Account.domain_id.in_(subtree))).all()
        current = sum(counts.get(resource_type, 0) for counts in account_counts(session, members).values())
        reserved = _reserved(session, ResourceReservation.domain_id.in_(subtree), resource_type, own)
        if current + reserved + amount > limit:
            show = _shown(resource_type)
            raise ResourceAllocationError(
                f"Maximum domain resource limits of Type '{resource_type}' for Domain Id = {domain.uuid} is exceeded:"
                f" Domain Resource Limit = {show(limit)}, Current Domain Resource Amount = {show(current)},"
                f" Current Resource Reservation = {show(reserved)}, Requested Resource Amount = {show(amount)}."
            )
        domain = session.get(Domain, domain.parent_id)


def _reserved(session: Session, owned: ColumnElement[bool], resource_type: str, own: Collection[int]) -> int:
    total = session.scalar(
        select(func.sum(ResourceReservation.amount)).where(
            owned, ResourceReservation.resource_type == resource_type, ResourceReservation.id.not_in(own)
        )
    )
    return int(total or 0)


def _shown(resource_type: str) -> Callable[[int], str]:
    return readable_size if resource_type in STORAGE_TYPES else str


def readable_size(size_bytes: int) -> str:
    """A size as CloudStack's texts show it: `10737418240 (10.00 GB)` (NumbersUtil.toHumanReadableSize)."""
    if 0 <= size_bytes < 1024:
        return f"{size_bytes} ({size_bytes} bytes)"
    for unit, factor, digits in (("KB", 1024, 2), ("MB", 1024**2, 2), ("GB", GIB, 2)):
        if size_bytes < factor * 1024:
            return f"{size_bytes} ({size_bytes / factor:.{digits}f} {unit})"
    return f"{size_bytes} ({size_bytes / 1024**4:.4f} TB)"
