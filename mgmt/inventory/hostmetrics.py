"""Hosts' figures in readable units, as listHostsMetrics shows them.

Upstream: plugins/metrics/.../MetricsServiceImpl.java (listHostMetrics), response/HostMetricsResponse.java.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import case, func, select
from sqlalchemy.orm import Session

from mgmt.inventory.settings import GlobalSettings
from mgmt.store.models import Host, VmInstance

GIB = 1024.0**3
KIB_A_GIB = 1024.0**2


def instance_counts(session: Session, host_uuids: Sequence[str]) -> dict[str, tuple[int, int]]:
    """(running, all) instances of each host by its UUID; a host without any is missing."""
    running = func.sum(case((VmInstance.state == "Running", 1), else_=0))
    rows = session.execute(
        select(Host.uuid, running, func.count(VmInstance.id))
        .join(VmInstance, VmInstance.host_id == Host.id)
        .where(Host.uuid.in_(host_uuids), VmInstance.removed.is_(None))
        .group_by(Host.uuid)
    )
    return {uuid: (int(running or 0), total) for uuid, running, total in rows}


@dataclass(frozen=True)
class Limits:
    """The allocated shares above which to notify and above which to disable."""

    cpu_note: float
    cpu_stop: float
    memory_note: float
    memory_stop: float

    @classmethod
    def of(cls, settings: GlobalSettings) -> Limits:
        """As the settings say now."""
        return cls(
            settings.get_float("cluster.cpu.allocated.capacity.notificationthreshold"),
            settings.get_float("cluster.cpu.allocated.capacity.disablethreshold"),
            settings.get_float("cluster.memory.allocated.capacity.notificationthreshold"),
            settings.get_float("cluster.memory.allocated.capacity.disablethreshold"),
        )


def metrics(view: Mapping[str, Any], limits: Limits, counts: tuple[int, int]) -> dict[str, Any]:
    """The host's answer with its metrics; `counts` are its running and all instances."""
    ghz = view["cpunumber"] * view["cpuspeed"] / 1000.0
    cpu_used, cpu_allocated = _percent(view.get("cpuused")), _percent(view.get("cpuallocated"))
    total, used = view.get("memorytotal"), view.get("memoryused")
    allocated = view.get("memoryallocated")
    return {
        "powerstate": view["outofbandmanagement"]["powerstate"],
        "instances": f"{counts[0]} / {counts[1]}",
        "systeminstances": "0 / 0",
        "cputotalghz": f"{ghz:.2f} Ghz",
        "cpuusedghz": None if cpu_used is None else f"{cpu_used * ghz / 100:.2f} Ghz",
        "cpuallocatedghz": None if cpu_allocated is None else f"{cpu_allocated * ghz / 100:.2f} Ghz",
        "memorytotalgb": _gb(total, GIB),
        "memoryusedgb": _gb(used, GIB),
        "memoryallocatedgb": _gb(allocated, GIB),
        "networkread": _gb(view.get("networkkbsread"), KIB_A_GIB),
        "networkwrite": _gb(view.get("networkkbswrite"), KIB_A_GIB),
        "cputhreshold": _above(cpu_used, 100, limits.cpu_note),
        "cpudisablethreshold": _above(cpu_used, 100, limits.cpu_stop),
        "cpuallocatedthreshold": _above(cpu_allocated, 100, limits.cpu_note),
        "cpuallocateddisablethreshold": _above(cpu_allocated, 100, limits.cpu_stop),
        "memorythreshold": _above(used, total, limits.memory_note),
        "memorydisablethreshold": _above(used, total, limits.memory_stop),
        "memoryallocatedthreshold": _above(allocated, total, limits.memory_note),
        "memoryallocateddisablethreshold": _above(allocated, total, limits.memory_stop),
        **view,
    }


def _percent(text: str | None) -> float | None:
    return None if text is None else float(text.removesuffix("%"))


def _gb(amount: float | None, unit: float) -> str | None:
    return None if amount is None else f"{amount / unit:.2f} GB"


def _above(amount: float | None, whole: float | None, limit: float) -> bool | None:
    return None if amount is None or whole is None else amount > whole * limit
