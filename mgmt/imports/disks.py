"""Which disk is the root, where each disk's pool is, and whether the offerings take them (import-vm 3.8 items 2-5).

Upstream: UnmanagedVMsManagerImpl.getRootAndDataDisks, checkUnmanagedDiskAndOfferingForImport, getStoragePool.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from sqlalchemy import Select, bindparam, or_, select
from sqlalchemy.orm import Session

from mgmt.errors import INTERNAL_ERROR, InvalidParameterValueError, ServerApiError
from mgmt.imports.facts import ClusterFacts, DiskOfferingFacts, PoolFacts
from mgmt.imports.pools import Offerings
from mgmt.imports.tags import supports
from mgmt.imports.trace import Trace
from mgmt.protocol.commands import UnmanagedDisk
from mgmt.store.models import StoragePool
from mgmt.store.rows import run, table_of

GIB = 1024**3


@dataclass(frozen=True)
class PlacedDisk:
    """A disk with its size, its pool and its offering; the first of a VM is the root."""

    disk: UnmanagedDisk
    size_bytes: int
    pool: PoolFacts
    offering: DiskOfferingFacts | None


@dataclass(frozen=True)
class DiskRules:
    """What the disks are checked against."""

    display_name: str
    zone_uuid: str
    cluster: ClusterFacts
    offerings: Offerings
    trace: Trace = field(default_factory=Trace, compare=False)


def split_disks(disks: Sequence[UnmanagedDisk], rules: DiskRules) -> tuple[UnmanagedDisk, list[UnmanagedDisk]]:
    """The root disk, which is the one without an entry in the request's map, and the data disks."""
    with rules.trace.rule("3.8-2", disks=len(disks)):
        if not disks:
            raise ServerApiError(
                INTERNAL_ERROR, f"No attached disks found for the unmanaged VM: {rules.display_name}", row="3.8-2"
            )
    check_mappings([disk.diskId for disk in disks], rules)
    unmapped = [disk for disk in disks if disk.diskId not in rules.offerings.data]
    with rules.trace.rule("3.8-4", unmapped=[disk.diskId for disk in unmapped]):
        if not unmapped or not unmapped[0].controller:
            raise ServerApiError(  # the blank at the end is upstream's
                INTERNAL_ERROR,
                f"VM import failed. Unable to retrieve root disk details for VM: {rules.display_name} ",
                row="3.8-4",
            )
    root = unmapped[0]
    return root, [disk for disk in disks if disk is not root]


def check_mappings(disk_ids: Sequence[str | None], rules: DiskRules) -> None:
    """Item 3: the request's map names all of these disks but one."""
    mapped, total = rules.offerings.data, len(disk_ids)
    with rules.trace.rule("3.8-3", disks=list(disk_ids), mapped=list(mapped)):
        if len(mapped) != total - 1:
            raise InvalidParameterValueError(
                f"VM has total {total} disks for which {len(mapped)} disk offering mappings provided. "
                f"{total - 1} disks need a disk offering for import",
                row="3.8-3",
            )
        unmapped = [disk_id for disk_id in disk_ids if disk_id not in mapped]
        if len(unmapped) > 1:
            raise InvalidParameterValueError(
                f"VM has total {total} disks, disk offering mapping not provided for {len(unmapped) - 1} disks. "
                f"Disk IDs that may need a disk offering - {', '.join(map(str, unmapped))}",
                row="3.8-3",
            )


def place_disks(
    session: Session, root: UnmanagedDisk, data: Sequence[UnmanagedDisk], rules: DiskRules
) -> list[PlacedDisk]:
    """Every disk with its pool, the root first; raises what the checks of item 5 refuse."""
    offering = rules.offerings.root
    root_size = root.capacity or (offering.size_bytes if offering else 0)
    pools = pools_of(session, rules.cluster)
    with rules.trace.rule("3.8-5", root=root.diskId, data=[disk.diskId for disk in data]) as rule:
        placed = _place_each(pools, root, root_size, data, rules)
        rule.saw(pools=[disk.pool.name for disk in placed])
        return placed


def _place_each(
    pools: Sequence[PoolFacts], root: UnmanagedDisk, root_size: int, data: Sequence[UnmanagedDisk], rules: DiskRules
) -> list[PlacedDisk]:
    placed = [_placed(pools, root, root_size, None, rules)]
    for disk in data:
        if disk.controller != data[0].controller:
            raise InvalidParameterValueError(
                f"Multiple data disk controllers of different type ({data[0].controller}, {disk.controller}) are not "
                "supported for import. Please make sure that all data disk controllers are of the same type",
                row="3.8-5",
            )
        own = rules.offerings.data[disk.diskId or ""][1]
        placed.append(_placed(pools, disk, disk.capacity or (own.size_bytes if own else 0), own, rules))
    return placed


def _placed(
    pools: Sequence[PoolFacts], disk: UnmanagedDisk, size_bytes: int, own: DiskOfferingFacts | None, rules: DiskRules
) -> PlacedDisk:
    if not size_bytes:
        raise ServerApiError(
            INTERNAL_ERROR, f"Size of disk(ID: {disk.diskId}) is found invalid during VM import", row="3.8-5"
        )
    if own is not None and not own.customized and own.size_bytes == 0:
        raise ServerApiError(
            INTERNAL_ERROR,
            f"Size of fixed disk offering(ID: {own.uuid}) is found invalid during VM import",
            row="3.8-5",
        )
    if own is not None and not own.customized and own.size_bytes < size_bytes:
        raise ServerApiError(
            INTERNAL_ERROR,
            f"Size of disk offering(ID: {own.uuid}) {own.size_bytes // GIB}GB is found less than the size of "
            f"disk(ID: {disk.diskId}) {size_bytes // GIB}GB during VM import",
            row="3.8-5",
        )
    offering = own or rules.offerings.root
    pool = find_pool(pools, disk, offering)
    if pool is None:
        label = "null" if disk.label is None else disk.label
        raise ServerApiError(
            INTERNAL_ERROR,
            f"Storage pool for disk {label}({disk.diskId}) with datastore: {disk.datastoreName} not found in zone ID: "
            f"{rules.zone_uuid}",
            row="3.8-5",
        )
    return PlacedDisk(disk, size_bytes, pool, offering)


def pools_of(session: Session, cluster: ClusterFacts) -> list[PoolFacts]:
    """The pools that a cluster's VMs may be on."""
    rows = run(session, _pools(), {"zone": cluster.zone_id, "cluster": cluster.id})
    return [PoolFacts.of(row) for row in rows]


@cache
def _pools() -> Select[Any]:
    pool = table_of(StoragePool)
    of_cluster = or_(pool.c.cluster_id.is_(None), pool.c.cluster_id == bindparam("cluster"))
    wanted = (pool.c.removed.is_(None), pool.c.zone_id == bindparam("zone"), of_cluster)
    return select(pool).where(*wanted).order_by(pool.c.id)


def find_pool(pools: Sequence[PoolFacts], disk: UnmanagedDisk, offering: DiskOfferingFacts | None) -> PoolFacts | None:
    """The pool that holds a disk: by host and path, else by a part of the path or by uuid; its tags must fit."""
    wanted_path = (disk.datastorePath or "").strip() or disk.datastoreName
    exact = [
        pool
        for pool in pools
        if disk.datastoreType is not None and (pool.host_address, pool.path) == (disk.datastoreHost, disk.datastorePath)
    ]
    near = [
        pool
        for pool in pools
        if (wanted_path is not None and wanted_path in pool.path) or pool.uuid == disk.datastoreName
    ]
    return next((pool for pool in (*exact, *near) if supports(pool, offering)), None)


# What stands in docs/import-rules.md: when each row holds, and what it gives where it refuses nothing.
RULES: Mapping[str, str] = {
    "3.8-2": "no disk came out of the conversion",
    "3.8-3": "the disk offering map does not name all disks but one",
    "3.8-4": "the root disk has no controller, or every disk is named in the map",
    "3.8-5": "a disk has no size, does not fit its offering or its pool, or data disks have different controllers",
}
