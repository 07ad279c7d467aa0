"""Storage pools as the agent edge sees them: which ones a host must mount, and what its answers say about them.

Upstream: StoragePoolMonitor.java, DefaultHostListener.java, StorageManagerImpl.java (createLocalStorage).
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, bindparam, insert, or_, select, update

from mgmt.protocol.commands import ModifyStoragePoolCommand, StartupStorageCommand, StorageFilerTO, StoragePoolInfo
from mgmt.providers import Providers
from mgmt.store.models import StoragePool

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


_POOLS = StoragePool.__table__
_IN_CLUSTER = (_POOLS.c.scope == "CLUSTER") & (_POOLS.c.cluster_id == bindparam("in_cluster"))
_IN_ZONE = (_POOLS.c.scope == "ZONE") & or_(_POOLS.c.hypervisor.is_(None), _POOLS.c.hypervisor.in_(("KVM", "Any")))
_SHARED = (
    select(*(_POOLS.c[name] for name in ("id", "uuid", "host_address", "path", "user_info", "port", "pool_type")))
    .where(_POOLS.c.zone_id == bindparam("in_zone"), _POOLS.c.scope.in_(("CLUSTER", "ZONE")))
    .where(_POOLS.c.removed.is_(None), _POOLS.c.status == "Up")
    .where(_IN_CLUSTER | _IN_ZONE)
    .order_by(_POOLS.c.scope.desc(), _POOLS.c.id)  # as seen: those of the zone first
)
_LOCAL = select(
    *(
        _POOLS.c[name]
        for name in (
            "id", "zone_id", "pod_id", "cluster_id", "host_id", "host_address", "path", "capacity_bytes", "used_bytes"
        )
    )
).where(_POOLS.c.uuid == bindparam("of_uuid"), _POOLS.c.removed.is_(None))  # fmt: skip
_INSERT = insert(_POOLS)  # type: ignore[arg-type]  # a table
_UPDATE = update(_POOLS).where(_POOLS.c.id == bindparam("of_pool"))  # type: ignore[arg-type]


def shared_pools(connection: Connection, zone_id: int, cluster_id: int) -> tuple[SharedPool, ...]:
    """The pools that are shared by the cluster's or the zone's KVM hosts: first those of the zone, each by id."""
    pools = connection.execute(_SHARED, {"in_zone": zone_id, "in_cluster": cluster_id})
    return tuple(SharedPool(pool.id, pool.uuid, modify_pool_command(pool)) for pool in pools)


def modify_pool_command(pool: Row[Any] | StoragePool) -> ModifyStoragePoolCommand:
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


def unmount_pool_command(pool: StoragePool) -> ModifyStoragePoolCommand:
    """The command that takes `pool` off a host, as the maintenance of pools sends it."""
    command = modify_pool_command(pool)
    command.add, command.details, command.wait = False, None, 0
    return command


def save_pool_sizes(connection: Connection, sizes: Mapping[int, StoragePoolInfo]) -> None:
    """Keep the sizes that a host's answers give for pools, by their numbers."""
    if sizes:
        connection.execute(_UPDATE, [{"of_pool": pool_id, **_size(info)} for pool_id, info in sizes.items()])


def save_local_pools(
    connection: Connection,
    providers: Providers,
    place: Mapping[str, int | None],
    host_name: str,
    storages: Sequence[StartupStorageCommand],
) -> None:
    """Make or update the HOST-scope pools of a host; `place` has their `zone_id`, `pod_id`, `cluster_id`, `host_id`."""
    for storage in storages:
        info = storage.poolInfo
        if info is None or info.uuid is None or storage.resourceType != "STORAGE_POOL":
            continue
        values = {
            **place,
            **_size(info),
            "host_address": info.host or "",
            "path": info.hostPath or info.localPath or "",
        }
        pool = connection.execute(_LOCAL, {"of_uuid": info.uuid}).first()
        if pool is None:
            made = {
                "uuid": info.uuid,
                "name": info.name or f"{host_name.strip()}-local-{info.uuid.partition('-')[0]}",
                "pool_type": info.poolType or "Filesystem",
                "scope": "HOST",
                "hypervisor": "KVM",
                "created": providers.utcnow(),
            }
            connection.execute(_INSERT, made | values)
        elif any(getattr(pool, column) != value for column, value in values.items()):
            connection.execute(_UPDATE, {"of_pool": pool.id, **values})


def _size(info: StoragePoolInfo) -> dict[str, int]:
    return {
        "capacity_bytes": info.capacityBytes,
        "used_bytes": max(info.capacityBytes - info.availableBytes, 0),
    }
