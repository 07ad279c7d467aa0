"""Primary pools and image stores: finding them, and the fields of their answers.

Upstream: server/.../api/query/QueryManagerImpl.java (searchForStoragePools, searchForImageStores),
dao/StoragePoolJoinDaoImpl.java and dao/ImageStoreJoinDaoImpl.java.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Select, and_, false, or_, select
from sqlalchemy.orm import Session, joinedload

from mgmt.errors import InvalidParameterValueError
from mgmt.inventory.capacity import allocated_by_pool, overprovisioning_factor
from mgmt.inventory.listing import Window, any_like_keyword, equals_ignoring_case, page
from mgmt.inventory.settings import GlobalSettings
from mgmt.store.models import Host, ImageStore, StoragePool

# StoragePoolStatus.java and ScopeType.java
_STATUSES = (
    "Initial",
    "Initialized",
    "Creating",
    "Attaching",
    "Up",
    "PrepareForMaintenance",
    "ErrorInMaintenance",
    "CancelMaintenance",
    "Maintenance",
    "Disabled",
    "Removed",
)
_SCOPES = ("HOST", "CLUSTER", "ZONE", "REGION", "GLOBAL")


def find_pools(session: Session, params: Mapping[str, Any], window: Window) -> tuple[list[StoragePool], int]:
    """The pools that the parameters of listStoragePools ask for, and how many there are over all pages.

    Raises InvalidParameterValueError for an unknown status or scope.
    """
    statement = (
        select(StoragePool)
        .where(StoragePool.removed.is_(None))
        .order_by(StoragePool.id)
        .options(joinedload(StoragePool.zone), joinedload(StoragePool.pod), joinedload(StoragePool.cluster))
    )
    for key, column in (
        ("id", StoragePool.id),
        ("zoneid", StoragePool.zone_id),
        ("podid", StoragePool.pod_id),
        ("clusterid", StoragePool.cluster_id),
    ):
        if params[key] is not None:
            statement = statement.where(column == params[key])
    for key, text in (
        ("name", StoragePool.name),
        ("path", StoragePool.path),
        ("ipaddress", StoragePool.host_address),
    ):
        if params[key] is not None:
            statement = statement.where(equals_ignoring_case(text, params[key]))
    if params["status"] is not None:
        word = _known_word(params["status"], _STATUSES, "Invalid status")
        statement = statement.where(StoragePool.status == word)
    if params["scope"] is not None:
        word = _known_word(params["scope"], _SCOPES, "Invalid scope type")
        statement = statement.where(StoragePool.scope == word)
    if params["keyword"] is not None:
        statement = statement.where(any_like_keyword((StoragePool.name, StoragePool.pool_type), params["keyword"]))
    if params["storageaccessgroup"] is not None:
        statement = statement.where(false())
    if params["hostid"] is not None:
        statement = _reachable_from(session, statement, params["hostid"])
    return page(session, statement, window)


def _known_word(value: str, words: Sequence[str], text: str) -> str:
    for word in words:
        if word.lower() == value.lower():
            return word
    raise InvalidParameterValueError(f"{text}: {value}")


def _reachable_from(session: Session, statement: Select[StoragePool], host_id: int) -> Select[StoragePool]:
    """Narrow to the pools that a host has: its own, those of its cluster and of its zone."""
    host = session.get(Host, host_id)
    if host is None:
        return statement.where(false())
    return statement.where(
        or_(
            StoragePool.host_id == host.id,
            and_(StoragePool.scope == "CLUSTER", StoragePool.cluster_id == host.cluster_id),
            and_(StoragePool.scope == "ZONE", StoragePool.zone_id == host.zone_id),
        )
    )


def pool_views(session: Session, settings: GlobalSettings, pools: Sequence[StoragePool]) -> list[dict[str, Any]]:
    """The answers of these pools, with the space that volumes have been promised."""
    allocated = allocated_by_pool(session, [pool.id for pool in pools])
    return [_pool_view(pool, allocated.get(pool.id, 0), overprovisioning_factor(settings, pool)) for pool in pools]


def _pool_view(pool: StoragePool, allocated_bytes: int, factor: float) -> dict[str, Any]:
    return {
        "id": pool.uuid,
        "zoneid": pool.zone.uuid,
        "zonename": pool.zone.name,
        "podid": pool.pod.uuid if pool.pod else None,
        "podname": pool.pod.name if pool.pod else None,
        "name": pool.name,
        "ipaddress": pool.host_address,
        "path": pool.path,
        "created": pool.created,
        "type": pool.pool_type,
        "clusterid": pool.cluster.uuid if pool.cluster else None,
        "clustername": pool.cluster.name if pool.cluster else None,
        "capacitybytes": pool.capacity_bytes,
        "disksizetotal": pool.capacity_bytes,
        "disksizeallocated": allocated_bytes,
        "disksizeused": pool.used_bytes,
        "tags": pool.tags,
        "istagarule": pool.is_tag_a_rule,
        "state": pool.status,
        "scope": pool.scope,
        "overprovisionfactor": str(factor),
        "hypervisor": pool.hypervisor,
        "provider": pool.provider,
        "storagecapabilities": {"VOLUME_SNAPSHOT_QUIESCEVM": "false"},
        "managed": pool.managed,
        "details": {},
        "hasannotations": False,
    }


def find_image_stores(session: Session, params: Mapping[str, Any], window: Window) -> tuple[list[ImageStore], int]:
    """The stores that the parameters of listImageStores ask for, and how many there are over all pages."""
    statement = (
        select(ImageStore)
        .where(ImageStore.removed.is_(None))
        .order_by(ImageStore.id)
        .options(joinedload(ImageStore.zone))
    )
    for key, column in (("id", ImageStore.id), ("zoneid", ImageStore.zone_id)):
        if params[key] is not None:
            statement = statement.where(column == params[key])
    for key, text in (
        ("name", ImageStore.name),
        ("protocol", ImageStore.protocol),
        ("provider", ImageStore.provider),
    ):
        if params[key] is not None:
            statement = statement.where(equals_ignoring_case(text, params[key]))
    if params["readonly"] is not None:
        statement = statement.where(ImageStore.read_only == params["readonly"])
    if params["keyword"] is not None:
        statement = statement.where(any_like_keyword((ImageStore.name, ImageStore.provider), params["keyword"]))
    return page(session, statement, window)


def image_store_view(store: ImageStore) -> dict[str, Any]:
    """An image store's answer; its sizes only once they are known."""
    return {
        "id": store.uuid,
        "zoneid": store.zone.uuid if store.zone else None,
        "zonename": store.zone.name if store.zone else None,
        "name": store.name,
        "url": store.url,
        "protocol": store.protocol,
        "providername": store.provider,
        "scope": store.scope,
        "readonly": store.read_only,
        "disksizetotal": store.total_bytes or None,
        "disksizeused": store.used_bytes if store.total_bytes else None,
        "hasannotations": False,
    }
