"""Where the disks of an import from a KVM source are looked at or copied to (import-vm 5.3, 5.4).

CloudStack runs its deployment planner although the VM is not started: it picks a host of the zone with room for the VM
and, for each disk, a pool which that host reaches and whose tags fit. `storageid` of a shared import plays no part in
it. Upstream: UnmanagedVMsManagerImpl.importKvmVirtualMachineFromDisk, DeploymentPlanningManagerImpl.planDeployment.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Select, or_, select
from sqlalchemy.orm import Session

from mgmt.errors import CloudRuntimeError
from mgmt.imports.facts import DiskOfferingFacts, PoolFacts
from mgmt.imports.tags import supports
from mgmt.imports.trace import Trace
from mgmt.inventory.capacity import NO_USAGE, usage_by_host
from mgmt.store.models import Cluster, Host, StoragePool, Zone

MIB = 1024 * 1024


@dataclass(frozen=True)
class Demand:
    """What the VM needs: its numbers (None: nobody said) and the offering of each disk, the root first."""

    zone_id: int
    cpu_number: int | None
    cpu_speed_mhz: int | None
    memory_mb: int | None
    disks: Sequence[DiskOfferingFacts | None]


@dataclass(frozen=True)
class Destination:
    """The host that does the work and the pool of each disk."""

    host_id: int
    pools: tuple[PoolFacts, ...]


def plan(session: Session, demand: Demand, instance_name: str, trace: Trace) -> Destination:
    """A destination; raises CloudRuntimeError (rows 5.3-10 and 5.3-11) with CloudStack's texts."""
    numbers = {"cpu": demand.cpu_number, "mhz": demand.cpu_speed_mhz, "memory_mb": demand.memory_mb}
    with trace.rule("5.3-10", **numbers):
        if demand.cpu_number is None or demand.cpu_speed_mhz is None or demand.memory_mb is None:
            raise CloudRuntimeError(
                f"Import failed for Vm: {instance_name} while finding deployment destination", row="5.3-10"
            )
    with trace.rule("5.3-11", zone=demand.zone_id, disks=len(demand.disks)) as rule:
        for host in _hosts_with_room(session, demand):
            pools = _pools_of(session, host)
            chosen = [next((pool for pool in pools if supports(pool, offering)), None) for offering in demand.disks]
            found = tuple(pool for pool in chosen if pool is not None)
            if len(found) == len(demand.disks):
                rule.saw(host=host.name, pools=[pool.name for pool in found])
                return Destination(host.id, found)
        raise CloudRuntimeError(
            f"Import failed for Vm: {instance_name}. Suitable deployment destination not found", row="5.3-11"
        )


def first_host(session: Session, zone_id: int) -> Host | None:
    """The first KVM host of the zone that is Up and Enabled; it talks to remote hosts."""
    return session.scalars(_usable_hosts(zone_id).limit(1)).first()


def _usable_hosts(zone_id: int) -> Select[Host]:
    return (
        select(Host)
        .where(
            Host.zone_id == zone_id,
            Host.removed.is_(None),
            Host.type == "Routing",
            Host.status == "Up",
            Host.resource_state == "Enabled",
            Host.hypervisor_type == "KVM",
        )
        .order_by(Host.id)
    )


def _hosts_with_room(session: Session, demand: Demand) -> list[Host]:
    # The cluster with most free memory first, in it the host with most: what the planners do with their defaults.
    zone = session.get_one(Zone, demand.zone_id)
    if zone.allocation_state != "Enabled":
        return []
    hosts = [
        host
        for host in session.scalars(_usable_hosts(demand.zone_id))
        if host.cluster is not None and host.cluster.allocation_state == "Enabled"
    ]
    free = _free_memory(session, hosts)
    by_cluster: dict[int | None, int] = {}
    for host in hosts:
        by_cluster[host.cluster_id] = by_cluster.get(host.cluster_id, 0) + free[host.id]
    wanted = (demand.memory_mb or 0) * MIB
    fitting = [host for host in hosts if not host.ram_bytes or free[host.id] >= wanted]
    return sorted(fitting, key=lambda host: (-by_cluster[host.cluster_id], -free[host.id], host.id))


def _free_memory(session: Session, hosts: Sequence[Host]) -> Mapping[int, int]:
    used = usage_by_host(session, [host.id for host in hosts])
    return {
        host.id: host.ram_bytes - host.dom0_min_memory_bytes - used.get(host.id, NO_USAGE).memory_bytes
        for host in hosts
    }


def _pools_of(session: Session, host: Host) -> list[PoolFacts]:
    cluster = session.get_one(Cluster, host.cluster_id)
    rows = session.scalars(
        select(StoragePool)
        .where(
            StoragePool.removed.is_(None),
            StoragePool.status == "Up",
            or_(
                (StoragePool.scope == "CLUSTER") & (StoragePool.cluster_id == cluster.id),
                (StoragePool.scope == "ZONE") & (StoragePool.zone_id == cluster.zone_id),
            ),
        )
        .order_by(StoragePool.scope, StoragePool.id)
    )
    return [PoolFacts.of(row) for row in rows if row.hypervisor in (None, "KVM", "Any")]


RULES: Mapping[str, str] = {
    "5.3-10": "a custom offering and no cpuNumber, cpuSpeed or memory in the details",
    "5.3-11": "no host of the zone has room and pools with the offerings' tags; the VM's records stay",
}
