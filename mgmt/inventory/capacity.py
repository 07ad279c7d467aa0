"""How much CPU, memory and storage there is, and how much of it instances and volumes have taken.

Counts are computed from the records of instances and volumes, never kept. Upstream:
server/.../capacity/CapacityManagerImpl.java and server/.../api/query/QueryManagerImpl (host and pool figures).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from mgmt.inventory.listing import ByIds
from mgmt.inventory.settings import GlobalSettings
from mgmt.store.models import Cluster, Host, ImageStore, StoragePool, VmInstance, Volume

MIB = 1024 * 1024
# What an instance in these states holds of its host; a stopped one holds nothing.
_HOLDING_STATES = ("Starting", "Running", "Stopping", "Migrating")
_FREE_VOLUME_STATES = ("Destroy", "Expunging", "Expunged", "Removed")

MEMORY = 0
CPU = 1
STORAGE = 2
STORAGE_ALLOCATED = 3
SECONDARY_STORAGE = 6
CPU_CORE = 90
_NAMES = {
    MEMORY: "MEMORY",
    CPU: "CPU",
    STORAGE: "STORAGE",
    STORAGE_ALLOCATED: "STORAGE_ALLOCATED",
    SECONDARY_STORAGE: "SECONDARY_STORAGE",
    CPU_CORE: "CPU_CORE",
}


@dataclass(frozen=True)
class Usage:
    """What instances hold of a host."""

    cpu_mhz: int = 0
    cpu_cores: int = 0
    memory_bytes: int = 0


NO_USAGE = Usage()


@dataclass(frozen=True)
class HostTotals:
    """What the hosts of a place may promise, and what of it instances hold."""

    cpu_mhz: int = 0
    cpu_cores: int = 0
    memory_bytes: int = 0
    used: Usage = NO_USAGE


NO_HOSTS = HostTotals()

_VMS = VmInstance.__table__
_VOLUMES = Volume.__table__
_USAGE = ByIds(
    select(
        _VMS.c.host_id,
        func.sum(_VMS.c.cpu_number * _VMS.c.cpu_speed_mhz),
        func.sum(_VMS.c.cpu_number),
        func.sum(_VMS.c.memory_mb),
    )
    .where(_VMS.c.state.in_(_HOLDING_STATES), _VMS.c.removed.is_(None))
    .group_by(_VMS.c.host_id),
    _VMS.c.host_id,
)
_ALLOCATED = ByIds(
    select(_VOLUMES.c.pool_id, func.sum(_VOLUMES.c.size_bytes))
    .where(_VOLUMES.c.removed.is_(None), _VOLUMES.c.state.not_in(_FREE_VOLUME_STATES))
    .group_by(_VOLUMES.c.pool_id),
    _VOLUMES.c.pool_id,
)


def usage_by_host(session: Session, host_ids: Sequence[int]) -> dict[int, Usage]:
    """What instances hold of each host; a host without any is missing."""
    rows = _USAGE.rows(session, host_ids)
    wanted = set(host_ids)
    return {
        host_id: Usage(cpu_mhz=int(cpu_mhz), cpu_cores=int(cores), memory_bytes=int(memory_mb) * MIB)
        for host_id, cpu_mhz, cores, memory_mb in rows
        if host_id in wanted
    }


def allocated_by_pool(session: Session, pool_ids: Sequence[int]) -> dict[int, int]:
    """The bytes promised to volumes in each pool; a pool without volumes is missing."""
    rows = _ALLOCATED.rows(session, pool_ids)
    wanted = set(pool_ids)
    return {pool_id: int(size_bytes) for pool_id, size_bytes in rows if pool_id in wanted}


def percentage(part: float, whole: float) -> str:
    """A share as hosts show it: `4.69%`, `25%`; nothing taken is `0.00%`, as recorded from the real server."""
    if part == 0 or whole == 0:
        return "0.00%"
    return f"{decimal(part / whole * 100)}%"


def decimal(value: float) -> str:
    """A number with at most two decimals and no trailing zeros (Java's DecimalFormat "#.##")."""
    return f"{value:.2f}".rstrip("0").rstrip(".")


def capacities(
    session: Session,
    settings: GlobalSettings,
    *,
    zone_id: int | None = None,
    pod_id: int | None = None,
    cluster_id: int | None = None,
) -> list[dict[str, Any]]:
    """The `capacity` array of a zone, pod or cluster, when showcapacities asks for it."""

    def inside(model: Any) -> tuple[Any, int | None]:  # Any: the models share these columns, not a base class
        if cluster_id is not None:
            return model.cluster_id, cluster_id
        if pod_id is not None:
            return model.pod_id, pod_id
        return model.zone_id, zone_id

    place, place_id = inside(Host)
    hosts = totals_by_place(session, place, [] if place_id is None else [place_id]).get(place_id or 0, NO_HOSTS)
    result = [
        _capacity(MEMORY, hosts.used.memory_bytes, hosts.memory_bytes),
        _capacity(CPU, hosts.used.cpu_mhz, hosts.cpu_mhz),
        _capacity(CPU_CORE, hosts.used.cpu_cores, hosts.cpu_cores),
    ]
    place, place_id = inside(StoragePool)
    result += _pool_capacities(session, settings, place == place_id)
    if zone_id is not None and pod_id is None and cluster_id is None:
        total, used = session.execute(
            select(func.sum(ImageStore.total_bytes), func.sum(ImageStore.used_bytes)).where(
                ImageStore.zone_id == zone_id, ImageStore.removed.is_(None)
            )
        ).one()
        result.append(_capacity(SECONDARY_STORAGE, int(used or 0), int(total or 0)))
    return result


def totals_by_place(session: Session, place: Any, place_ids: Sequence[int]) -> dict[int, HostTotals]:
    """What the hosts of each place have, in two queries; `place` is a column of Host. One without hosts is missing."""
    by_place: dict[int, list[Any]] = {}  # Any: rows of columns
    statement = (
        select(
            place,
            Host.id,
            Host.cpus,
            Host.speed_mhz,
            Host.ram_bytes,
            Cluster.cpu_overcommit_ratio,
            Cluster.memory_overcommit_ratio,
        )
        .join(Cluster, Host.cluster_id == Cluster.id)
        .where(place.in_(place_ids), Host.removed.is_(None), Host.type == "Routing")
    )
    for row in session.execute(statement):
        by_place.setdefault(row[0], []).append(row)
    usage = usage_by_host(session, [row.id for rows in by_place.values() for row in rows])
    return {place_id: _totals(rows, usage) for place_id, rows in by_place.items()}


def _totals(rows: Sequence[Any], usage: Mapping[int, Usage]) -> HostTotals:
    used = [usage[row.id] for row in rows if row.id in usage]
    return HostTotals(
        cpu_mhz=sum(int(row.cpus * row.speed_mhz * float(row.cpu_overcommit_ratio)) for row in rows),
        cpu_cores=sum(int(row.cpus * float(row.cpu_overcommit_ratio)) for row in rows),
        memory_bytes=sum(int(row.ram_bytes * float(row.memory_overcommit_ratio)) for row in rows),
        used=Usage(
            cpu_mhz=sum(each.cpu_mhz for each in used),
            cpu_cores=sum(each.cpu_cores for each in used),
            memory_bytes=sum(each.memory_bytes for each in used),
        ),
    )


def _pool_capacities(session: Session, settings: GlobalSettings, inside: ColumnElement[bool]) -> list[dict[str, Any]]:
    pools = session.scalars(select(StoragePool).where(inside, StoragePool.removed.is_(None))).all()
    allocated = allocated_by_pool(session, [pool.id for pool in pools])
    total = sum(pool.capacity_bytes for pool in pools)
    promised = sum(int(pool.capacity_bytes * overprovisioning_factor(settings, pool)) for pool in pools)
    return [
        _capacity(STORAGE, sum(pool.used_bytes for pool in pools), total),
        _capacity(STORAGE_ALLOCATED, sum(allocated.values()), promised),
    ]


def overprovisioning_factor(settings: GlobalSettings, pool: StoragePool) -> float:
    """The factor by which space of `pool` may be promised beyond what is there."""
    return settings.get_float("storage.overprovisioning.factor", scope="StoragePool", scope_id=pool.id)


def _capacity(kind: int, used: int, total: int) -> dict[str, Any]:
    share = "0" if total == 0 else decimal(used / total * 100)
    return {
        "type": kind,
        "name": _NAMES[kind],
        "capacityused": used,
        "capacitytotal": total,
        "percentused": share or "0",
    }
