"""Which host a VM starts on, and which host reaches a pool.

Upstream: server/.../deploy/DeploymentPlanningManagerImpl.java, FirstFitPlanner.java, agent/manager/allocator/impl/
FirstFitAllocator.java, UserVmManagerImpl.getDestinationHost.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from mgmt.errors import InvalidParameterValueError, PermissionDeniedError
from mgmt.inventory.capacity import MIB, usage_by_host
from mgmt.inventory.groups import hosts_by_affinity
from mgmt.inventory.lookup import get_live
from mgmt.inventory.scope import ROOT_ADMIN, CallerLike
from mgmt.life.records import live_volumes
from mgmt.store.models import Cluster, Host, Pod, StoragePool, VmInstance


def is_usable(host: Host) -> bool:
    """True for a hypervisor host that is Up and Enabled."""
    return host.removed is None and host.type == "Routing" and host.status == "Up" and host.resource_state == "Enabled"


def given_host(session: Session, caller: CallerLike, host_id: int) -> Host:
    """The host that a request names; raises with getDestinationHost's texts."""
    if caller.account_type != ROOT_ADMIN:
        raise PermissionDeniedError("Parameter hostid can only be specified by a Root Admin, permission denied")
    host = get_live(session, Host, host_id)
    if host is None:
        raise InvalidParameterValueError(f"Unable to find the host to deploy the VM, host id={host_id}")
    if host.resource_state != "Enabled" or host.status != "Up":
        raise InvalidParameterValueError(f"Unable to deploy the VM as the host: {host.name} is not in the right state")
    return host


def check_given_place(session: Session, caller: CallerLike, pod_id: int | None, cluster_id: int | None) -> None:
    """Check the pod and the cluster that a request names (getDestinationPod, getDestinationCluster)."""
    for name, word, model, row_id in (("podid", "pod", Pod, pod_id), ("clusterid", "cluster", Cluster, cluster_id)):
        if row_id is None:
            continue
        if caller.account_type != ROOT_ADMIN:
            raise PermissionDeniedError(f"Parameter {name} can only be specified by a Root Admin, permission denied")
        if get_live(session, model, row_id) is None:
            raise InvalidParameterValueError(f"Unable to find the {word} to deploy the VM, {word} id={row_id}")


def has_capacity(session: Session, host: Host, vm: VmInstance) -> bool:
    """True while the host has CPU and memory left for the VM, overcommit included."""
    return host.id in _with_capacity(session, [host], vm)


def check_capacity(session: Session, host: Host, vm: VmInstance) -> None:
    """Raise InvalidParameterValueError when the host that was asked for is too slow or too full for the VM."""
    has_capability = host.speed_mhz >= vm.cpu_speed_mhz and host.cpus >= vm.cpu_number
    has_room = has_capacity(session, host, vm)
    if not (has_capability and has_room):
        raise InvalidParameterValueError(
            f"Cannot deploy the VM to specified host {host.id}; host has cpu capability? {str(has_capability).lower()},"
            f" host has capacity? {str(has_room).lower()}"
        )


def _with_capacity(session: Session, hosts: Sequence[Host], vm: VmInstance) -> set[int]:
    usage = usage_by_host(session, [host.id for host in hosts])
    fitting = set()
    for host in hosts:
        used = usage.get(host.id)
        cluster = host.cluster
        cpu_ratio = float(cluster.cpu_overcommit_ratio) if cluster else 1.0
        memory_ratio = float(cluster.memory_overcommit_ratio) if cluster else 1.0
        free_mhz = host.cpus * host.speed_mhz * cpu_ratio - (used.cpu_mhz if used else 0)
        free_bytes = host.ram_bytes * memory_ratio - (used.memory_bytes if used else 0)
        if free_mhz >= vm.cpu_number * vm.cpu_speed_mhz and free_bytes >= vm.memory_mb * MIB:
            fitting.add(host.id)
    return fitting


def candidates(
    session: Session,
    vm: VmInstance,
    *,
    avoid: Collection[int] = (),
    host_id: int | None = None,
    cluster_id: int | None = None,
    pod_id: int | None = None,
) -> list[Host]:
    """The hosts that can run the VM, best first: the last host, then those with the least memory taken.

    A host must be usable, reach the pools of all volumes, carry the compute offering's tag and have capacity left; what
    the VM's affinity groups say of hosts comes first.
    """
    statement = select(Host).where(Host.zone_id == vm.zone_id, Host.removed.is_(None)).order_by(Host.id)
    hosts = [host for host in session.scalars(statement) if is_usable(host) and host.id not in avoid]
    if host_id is not None:
        hosts = [host for host in hosts if host.id == host_id]
    elif cluster_id is not None:
        hosts = [host for host in hosts if host.cluster_id == cluster_id]
    elif pod_id is not None:
        hosts = [host for host in hosts if host.pod_id == pod_id]
    forbidden, demanded, disliked, liked = hosts_by_affinity(session, vm)
    hosts = [host for host in hosts if host.id not in forbidden and (not demanded or host.id in demanded)]
    pools = [volume.pool for volume in live_volumes(session, vm.id) if volume.pool is not None]
    tag = vm.service_offering.host_tag
    hosts = [
        host
        for host in hosts
        if host.hypervisor_type == vm.hypervisor_type
        and all(reaches(host, pool) for pool in pools)
        and (not tag or tag in _tags(host))
    ]
    fitting = _with_capacity(session, hosts, vm)
    usage = usage_by_host(session, [host.id for host in hosts])

    def rank(host: Host) -> tuple[bool, bool, bool, int, int]:
        used = usage.get(host.id)
        by_group = (host.id in disliked, host.id not in liked)
        return (*by_group, host.id != vm.last_host_id, used.memory_bytes if used else 0, host.id)

    return sorted((host for host in hosts if host.id in fitting), key=rank)


def _tags(host: Host) -> set[str]:
    return {tag.strip() for tag in (host.host_tags or "").split(",")}


def reaches(host: Host, pool: StoragePool) -> bool:
    """True when the pool is the host's own, its cluster's or its zone's."""
    if pool.host_id is not None:
        return pool.host_id == host.id
    if pool.cluster_id is not None:
        return pool.cluster_id == host.cluster_id
    return pool.zone_id == host.zone_id


def host_of_pool(session: Session, pool: StoragePool) -> Host | None:
    """A usable host that reaches the pool (DefaultEndPointSelector), None when there is none."""
    statement = select(Host).where(Host.zone_id == pool.zone_id, Host.removed.is_(None)).order_by(Host.id)
    return next((host for host in session.scalars(statement) if is_usable(host) and reaches(host, pool)), None)
