"""Figures in readable units of zones, clusters, pools, VMs and volumes, as the metrics lists show them.

Upstream: plugins/metrics/.../MetricsServiceImpl.java and the responses beside it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from mgmt.inventory.capacity import CPU, MEMORY, capacities, percentage
from mgmt.inventory.settings import GlobalSettings
from mgmt.store.models import Cluster, Host

GIB = 1024.0**3
KIB_A_MIB = 1024.0
# The defaults of the settings on the capacity of storage, which this server does not have.
NOTE_SHARE, DISABLE_SHARE = 0.75, 0.85


def zone_metrics(session: Session, settings: GlobalSettings, zone_id: int, view: Mapping[str, Any]) -> dict[str, Any]:
    """A zone's answer with its metrics."""
    clusters = session.execute(
        select(Cluster.id, Cluster.managed_state, Cluster.allocation_state).where(
            Cluster.zone_id == zone_id, Cluster.removed.is_(None)
        )
    ).all()
    with_hosts = set(
        session.scalars(
            select(Host.cluster_id).where(Host.zone_id == zone_id, Host.removed.is_(None), Host.status == "Up")
        )
    )
    used = sum(cluster.id in with_hosts for cluster in clusters)
    return {
        "state": view["allocationstate"],
        "clusters": f"{used} / {len(clusters)}",
        **_compute(capacities(session, settings, zone_id=zone_id), settings),
        **view,
    }


def cluster_metrics(
    session: Session, settings: GlobalSettings, cluster_id: int, view: Mapping[str, Any]
) -> dict[str, Any]:
    """A cluster's answer with its metrics; one without hosts has no shares."""
    wanted = (Host.cluster_id == cluster_id, Host.removed.is_(None), Host.type == "Routing")
    all_hosts = session.scalar(select(func.count()).select_from(Host).where(*wanted)) or 0
    up = session.scalar(select(func.count()).select_from(Host).where(*wanted, Host.status == "Up")) or 0
    is_enabled = view["allocationstate"] == "Enabled"
    return {
        "state": view["allocationstate"] if view["managedstate"] == "Managed" or not is_enabled else "Unmanaged",
        "hosts": f"{up} / {all_hosts}",
        **_compute(capacities(session, settings, cluster_id=cluster_id), settings),
        **view,
    }


def _compute(found: list[dict[str, Any]], settings: GlobalSettings) -> dict[str, Any]:
    by_type = {each["type"]: each for each in found}
    cpu, memory = by_type[CPU], by_type[MEMORY]
    fields: dict[str, Any] = {
        "cputotal": f"{cpu['capacitytotal'] / 1000:.2f} Ghz",
        "memorytotal": f"{memory['capacitytotal'] / GIB:.2f} GB",
    }
    for name, capacity in (("cpu", cpu), ("memory", memory)):
        total, allocated = capacity["capacitytotal"], capacity["capacityused"]
        if not total:
            continue
        note = settings.get_float(f"cluster.{name}.allocated.capacity.notificationthreshold")
        stop = settings.get_float(f"cluster.{name}.allocated.capacity.disablethreshold")
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
