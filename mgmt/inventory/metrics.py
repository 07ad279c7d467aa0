"""Figures in readable units of zones, clusters, pools, VMs and volumes, as the metrics lists show them.

Upstream: plugins/metrics/.../MetricsServiceImpl.java and the responses beside it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import case, func, select
from sqlalchemy.orm import Session

from mgmt.inventory.capacity import NO_HOSTS, HostTotals, percentage, totals_by_place
from mgmt.inventory.hostmetrics import Limits
from mgmt.inventory.settings import GlobalSettings
from mgmt.store.models import Cluster, Host, Zone

GIB = 1024.0**3
KIB_A_MIB = 1024.0
# The defaults of the settings on the capacity of storage, which this server does not have.
NOTE_SHARE, DISABLE_SHARE = 0.75, 0.85


def zone_metrics(
    session: Session, settings: GlobalSettings, views: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """The zones' answers with their metrics, in a fixed number of queries."""
    ids = _ids(session, Zone, views)
    in_zones = select(Cluster.zone_id, Cluster.id).where(Cluster.zone_id.in_(ids.values()), Cluster.removed.is_(None))
    clusters: dict[int, list[int]] = {}
    for zone_id, cluster_id in session.execute(in_zones):
        clusters.setdefault(zone_id, []).append(cluster_id)
    with_hosts = set(
        session.scalars(
            select(Host.cluster_id)
            .where(Host.zone_id.in_(ids.values()), Host.removed.is_(None), Host.status == "Up")
            .distinct()
        )
    )
    totals = totals_by_place(session, Host.zone_id, list(ids.values()))
    limits = Limits.of(settings)

    def shown(view: Mapping[str, Any]) -> dict[str, Any]:
        zone_id = ids[view["id"]]
        own = clusters.get(zone_id, [])
        return {
            "state": view["allocationstate"],
            "clusters": f"{len(with_hosts.intersection(own))} / {len(own)}",
            **_compute(totals.get(zone_id, NO_HOSTS), limits),
            **view,
        }

    return [shown(view) for view in views]


def cluster_metrics(
    session: Session, settings: GlobalSettings, views: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """The clusters' answers with their metrics, in a fixed number of queries; one without hosts has no shares."""
    ids = _ids(session, Cluster, views)
    counted = (
        select(Host.cluster_id, func.sum(case((Host.status == "Up", 1), else_=0)), func.count())
        .where(Host.cluster_id.in_(ids.values()), Host.removed.is_(None), Host.type == "Routing")
        .group_by(Host.cluster_id)
    )
    hosts = {cluster_id: (int(up), total) for cluster_id, up, total in session.execute(counted)}
    totals = totals_by_place(session, Host.cluster_id, list(ids.values()))
    limits = Limits.of(settings)

    def shown(view: Mapping[str, Any]) -> dict[str, Any]:
        cluster_id = ids[view["id"]]
        up, total = hosts.get(cluster_id, (0, 0))
        is_enabled = view["allocationstate"] == "Enabled"
        return {
            "state": view["allocationstate"] if view["managedstate"] == "Managed" or not is_enabled else "Unmanaged",
            "hosts": f"{up} / {total}",
            **_compute(totals.get(cluster_id, NO_HOSTS), limits),
            **view,
        }

    return [shown(view) for view in views]


def _ids(session: Session, model: type[Zone | Cluster], views: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """The numbers of what the views show, by UUID."""
    rows = session.execute(select(model.uuid, model.id).where(model.uuid.in_([view["id"] for view in views])))
    return {row.uuid: row.id for row in rows}


def _compute(hosts: HostTotals, limits: Limits) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "cputotal": f"{hosts.cpu_mhz / 1000:.2f} Ghz",
        "memorytotal": f"{hosts.memory_bytes / GIB:.2f} GB",
    }
    amounts = (
        ("cpu", hosts.cpu_mhz, hosts.used.cpu_mhz, limits.cpu_note, limits.cpu_stop),
        ("memory", hosts.memory_bytes, hosts.used.memory_bytes, limits.memory_note, limits.memory_stop),
    )
    for name, total, allocated, note, stop in amounts:
        if not total:
            continue
        fields |= {
            f"{name}allocated": percentage(allocated, total),
            f"{name}threshold": False,
            f"{name}disablethreshold": False,
            f"{name}allocatedthreshold": allocated > total * note,
            f"{name}allocateddisablethreshold": allocated > total * stop,
        }
    return fields


def pool_metrics(view: Mapping[str, Any]) -> dict[str, Any]:
    """A primary pool's answer with its metrics."""
    total, used, allocated = view["disksizetotal"], view["disksizeused"] or 0, view["disksizeallocated"]
    factor = float(view["overprovisionfactor"])
    promised = total * factor

    return {
        "disksizeusedgb": f"{used / GIB:.2f} GB",
        "disksizetotalgb": f"{total / GIB:.2f} GB (x{factor})",
        "disksizeallocatedgb": f"{allocated / GIB:.2f} GB",
        "disksizeunallocatedgb": f"{(promised - allocated) / GIB:.2f} GB",
        "storageusagethreshold": used > total * NOTE_SHARE,
        "storageusagedisablethreshold": used > total * DISABLE_SHARE,
        "storageallocatedthreshold": allocated > promised * NOTE_SHARE,
        "storageallocateddisablethreshold": allocated > promised * DISABLE_SHARE,
        **view,
    }


def vm_metrics(view: Mapping[str, Any]) -> dict[str, Any]:
    """A VM's answer with its metrics; those of network and disks need figures of its host."""
    cpus, memory_mb = view.get("cpunumber"), view.get("memory")
    return {
        "cputotal": None if cpus is None else f"{cpus * (view.get('cpuspeed') or 0) / 1000:.1f} Ghz",
        "memorytotal": None if memory_mb is None else f"{memory_mb / 1024:.2f} GiB",
        "networkread": _mib(view.get("networkkbsread")),
        "networkwrite": _mib(view.get("networkkbswrite")),
        "diskread": _mib(view.get("diskkbsread")),
        "diskwrite": _mib(view.get("diskkbswrite")),
        "diskiopstotal": _sum(view.get("diskioread"), view.get("diskiowrite")),
        **view,
    }


def volume_metrics(view: Mapping[str, Any]) -> dict[str, Any]:
    """A volume's answer with its metrics."""
    return {
        "sizegb": f"{view['size'] / GIB:.2f} GiB",
        "diskiopstotal": _sum(view.get("diskioread"), view.get("diskiowrite")),
        **view,
    }


def _mib(kib: float | None) -> str | None:
    return None if kib is None else f"{kib / KIB_A_MIB:.2f} MiB"


def _sum(first: int | None, second: int | None) -> int | None:
    return None if first is None or second is None else first + second
