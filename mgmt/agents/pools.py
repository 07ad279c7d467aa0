"""Storage pools as the agent edge sees them: which ones a host must mount, and what its answers say about them.

Upstream: StoragePoolMonitor.java, DefaultHostListener.java, StorageManagerImpl.java (createLocalStorage).
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from mgmt.protocol.commands import ModifyStoragePoolCommand, StartupStorageCommand, StorageFilerTO, StoragePoolInfo
from mgmt.providers import Providers
from mgmt.store.models import Host, StoragePool, Zone

MODIFY_POOL_WAIT_S = 300


@dataclass(frozen=True)
class SharedPool:
    """A pool that a host must mount, and the command that makes it."""

    pool_id: int
    uuid: str
    command: ModifyStoragePoolCommand


def name_uuid(text: str) -> str:
    """Java's `UUID.nameUUIDFromBytes` of a text."""
    digest = hashlib.md5(text.encode(), usedforsecurity=False).digest()
    return str(uuid.UUID(bytes=digest, version=3))


def shared_pools(session: Session, zone_id: int, cluster_id: int) -> tuple[SharedPool, ...]:
    """The pools that are shared by the cluster's or the zone's KVM hosts, in the order of their ids."""
    in_cluster = (StoragePool.scope == "CLUSTER") & (StoragePool.cluster_id == cluster_id)
    in_zone = (StoragePool.scope == "ZONE") & or_(
        StoragePool.hypervisor.is_(None), StoragePool.hypervisor.in_(("KVM", "Any"))
    )
    pools = session.scalars(
        select(StoragePool)
        .where(StoragePool.zone_id == zone_id, StoragePool.removed.is_(None), StoragePool.status == "Up")
        .where(in_cluster | in_zone)
        .order_by(StoragePool.id)
    )
    return tuple(SharedPool(pool.id, pool.uuid, modify_pool_command(pool)) for pool in pools)


def modify_pool_command(pool: StoragePool) -> ModifyStoragePoolCommand:
    """The command that mounts `pool` on a host."""
    return ModifyStoragePoolCommand(
        add=True,
        pool=StorageFilerTO(
            id=pool.id,
            uuid=pool.uuid,
            host=pool.host_address,
            path=pool.path,
            userInfo=pool.user_info,
            port=pool.port,
            type=pool.pool_type,
        ),
        localPath=f"/mnt//{name_uuid(pool.host_address + pool.path)}",
        details={},
        wait=MODIFY_POOL_WAIT_S,
    )


def save_pool_size(session: Session, pool_id: int, info: StoragePoolInfo) -> None:
    """Keep the size that a host's answer gives for a pool."""
    pool = session.get(StoragePool, pool_id)
    if pool is not None:
        _set_size(pool, info)


def save_local_pools(
    session: Session, providers: Providers, host: Host, zone: Zone, storages: Sequence[StartupStorageCommand]
) -> None:
    """Make or update the HOST-scope pools of a host, in a zone where local storage is enabled."""
    if not zone.local_storage_enabled:
        return
    for storage in storages:
        info = storage.poolInfo
        if info is None or info.uuid is None or storage.resourceType != "STORAGE_POOL":
            continue
        pool = session.scalar(select(StoragePool).where(StoragePool.uuid == info.uuid, StoragePool.removed.is_(None)))
        if pool is None:
            pool = StoragePool(
                uuid=info.uuid,
                name=info.name or f"{host.name.strip()}-local-{info.uuid.partition('-')[0]}",
                pool_type=info.poolType or "Filesystem",
                scope="HOST",
                hypervisor="KVM",
                created=providers.utcnow(),
            )
            session.add(pool)
        pool.zone_id, pool.pod_id, pool.cluster_id, pool.host_id = zone.id, host.pod_id, host.cluster_id, host.id
        pool.host_address = info.host or ""
        pool.path = info.hostPath or info.localPath or ""
        _set_size(pool, info)


def _set_size(pool: StoragePool, info: StoragePoolInfo) -> None:
    pool.capacity_bytes = info.capacityBytes
    pool.used_bytes = max(info.capacityBytes - info.availableBytes, 0)
