"""Making, changing and deleting primary pools and image stores, and the maintenance of pools.

Upstream: api/.../command/admin/storage/.
"""

from __future__ import annotations

from typing import Any

from mgmt.commands.declaration import Bound, Call, Item, Success, command, events_of
from mgmt.commands.fields import Boolean, ListOf, Long, MapParam, Params, Str, Uuid
from mgmt.commands.life_calls import completed, life_services, refuse_unknown
from mgmt.commands.responses.storage import ImageStoreResponse, StoragePoolResponse
from mgmt.commands.responses.success import SuccessResponse
from mgmt.errors import INTERNAL_ERROR, CloudRuntimeError, InvalidParameterValueError, ServerApiError
from mgmt.inventory.image_stores import add_image_store, delete_image_store
from mgmt.inventory.lookup import get_live
from mgmt.inventory.pools import image_store_view, pool_views
from mgmt.life.pool_maintenance import cancel_maintenance, enable_maintenance
from mgmt.life.pools import NewPool, create_pool, delete_pool, set_enabled
from mgmt.store.models import StoragePool

STORAGE = "org.apache.cloudstack.api.command.admin.storage"
POOL = "StoragePool"
# The listing shows these, the answers of the commands that make and change pools do not.
_ONLY_LISTED = ("storagecapabilities", "details")


class PoolIdParams(Params):
    """Parameters of the commands that name a pool."""

    id = Uuid("the pool", entity="storagepool", required=True)


class CreateStoragePoolParams(Params):
    """Parameters of createStoragePool."""

    name = Str("name of the pool", required=True)
    url = Str("where the pool is, such as nfs://192.0.2.20/export/primary2", required=True)
    zoneid = Uuid("zone of the pool", entity="zone", required=True)
    podid = Uuid("pod of the pool", entity="pod")
    clusterid = Uuid("cluster that gets the pool; of scope CLUSTER", entity="cluster")
    scope = Str("CLUSTER, the default, or ZONE")
    hypervisor = Str("hypervisor of a zone's pool")
    tags = Str("storage tags, separated by commas")
    istagarule = Boolean("whether the tags are a rule in JavaScript")
    provider = Str("storage provider: DefaultPrimary")
    managed = Boolean("whether the storage itself manages the volumes")
    capacitybytes = Long("bytes of managed storage")
    capacityiops = Long("IOPS of managed storage")
    details = MapParam("details of the pool")
    storageaccessgroups = Str("storage access groups of the pool", since="4.21.0")


class UpdateStoragePoolParams(Params):
    """Parameters of updateStoragePool."""

    id = Uuid("the pool", entity="storagepool", required=True)
    name = Str("a new name", since="4.15")
    tags = ListOf("the tags of the pool, in place of those that it has", Str("a tag"))
    istagarule = Boolean("whether the tags are a rule in JavaScript")
    enabled = Boolean("false disables a pool that is Up, true enables it again")
    capacitybytes = Long("bytes of the pool")
    capacityiops = Long("IOPS of the pool")
    details = MapParam("details of the pool", since="4.19.0")
    url = Str("a new place of the pool", since="4.19.0")


class DeleteStoragePoolParams(PoolIdParams):
    """Parameters of deleteStoragePool."""

    forced = Boolean("delete it although volumes that are destroyed are on it")


class AddImageStoreParams(Params):
    """Parameters of addImageStore."""

    provider = Str("storage provider: NFS", required=True)
    name = Str("name of the store; its URL when absent")
    url = Str("where the store is, such as nfs://192.0.2.20/export/secondary2", max_length=2048)
    zoneid = Uuid("zone of the store", entity="zone")
    details = MapParam("details of the store")


class DeleteImageStoreParams(Params):
    """Parameters of deleteImageStore."""

    id = Uuid("the store", entity="imagestore", required=True)


def _view(call: Call, pool_id: int) -> dict[str, Any]:
    services = call.services
    with services.store.session() as session:
        (view,) = pool_views(session, services.settings, [session.get_one(StoragePool, pool_id)])
    return {name: value for name, value in view.items() if name not in _ONLY_LISTED}


@command(
    "createStoragePool",
    params=CreateStoragePoolParams,
    response=StoragePoolResponse,
    description="Makes a primary pool on the hosts of a cluster or of a zone.",
    object_name="storagepool",
    java_class=f"{STORAGE}.CreateStoragePoolCmd",
)
def create(call: Call, bound: Bound) -> Item:
    refuse_unknown(bound, "storageaccessgroups", "details")
    new = NewPool(
        name=bound["name"],
        url=bound["url"],
        zone_id=bound["zoneid"],
        pod_id=bound["podid"],
        cluster_id=bound["clusterid"],
        scope=bound["scope"],
        hypervisor=bound["hypervisor"],
        tags=bound["tags"],
        is_tag_a_rule=bool(bound["istagarule"]),
    )
    try:
        pool_id = create_pool(life_services(call), new)
    except (InvalidParameterValueError, CloudRuntimeError) as error:
        raise ServerApiError(INTERNAL_ERROR, error.text) from error
    return Item(_view(call, pool_id))


@command(
    "updateStoragePool",
    params=UpdateStoragePoolParams,
    response=StoragePoolResponse,
    description="Changes a primary pool.",
    object_name="storagepool",
    since="3.0.0",
    java_class=f"{STORAGE}.UpdateStoragePoolCmd",
)
def update(call: Call, bound: Bound) -> Item:
    refuse_unknown(bound, "details", "url", "capacityiops")
    with call.services.store.session() as session:
        pool = get_live(session, StoragePool, bound["id"])
        if pool is None:
            raise InvalidParameterValueError(f"Unable to find storage pool with ID: {bound['id']}")
        if bound["name"]:
            pool.name = bound["name"]
        if bound["tags"] is not None:
            pool.tags = ",".join(tag for tag in bound["tags"] if tag) or None
            pool.is_tag_a_rule = bool(bound["istagarule"])
        if bound["enabled"] is not None:
            set_enabled(pool, bound["enabled"])
        if bound["capacitybytes"] is not None:
            pool.capacity_bytes = bound["capacitybytes"]
        completed(session, call, "UPDATE.PS", "update storage pool", "StoragePool", pool.uuid)
    return Item(_view(call, bound["id"]))


@command(
    "deleteStoragePool",
    params=DeleteStoragePoolParams,
    response=SuccessResponse,
    description="Deletes a primary pool in maintenance.",
    java_class=f"{STORAGE}.DeletePoolCmd",
)
def delete(call: Call, bound: Bound) -> Success:
    delete_pool(life_services(call), bound["id"], forced=bool(bound["forced"]))
    return Success()


_event = events_of(POOL)


@command(
    "enableStorageMaintenance",
    params=PoolIdParams,
    response=StoragePoolResponse,
    description="Puts a primary pool into maintenance: the VMs on it are stopped.",
    object_name="storagepool",
    is_async=True,
    response_name="prepareprimarystorageformaintenanceresponse",
    java_class=f"{STORAGE}.PreparePrimaryStorageForMaintenanceCmd",
    job_instance_type=POOL,
    job_instance_param="id",
    event=_event(
        "MAINT.PREPARE.PS",
        "preparing storage pool for maintenance",
        lambda bound: f"preparing storage pool: {bound.instance_uuid} for maintenance",
    ),
)
def enable_storage_maintenance(call: Call, bound: Bound) -> Item:
    enable_maintenance(life_services(call), bound["id"])
    return Item(_view(call, bound["id"]))


@command(
    "cancelStorageMaintenance",
    params=PoolIdParams,
    response=StoragePoolResponse,
    description="Ends the maintenance of a primary pool: the VMs that it stopped are started.",
    object_name="storagepool",
    is_async=True,
    response_name="cancelprimarystoragemaintenanceresponse",
    java_class=f"{STORAGE}.CancelPrimaryStorageMaintenanceCmd",
    job_instance_type=POOL,
    job_instance_param="id",
    event=_event(
        "MAINT.CANCEL.PS",
        "canceling maintenance for primary storage pool",
        lambda bound: f"canceling maintenance for primary storage pool: {bound.instance_uuid}",
    ),
)
def cancel_storage_maintenance(call: Call, bound: Bound) -> Item:
    cancel_maintenance(life_services(call), bound["id"])
    return Item(_view(call, bound["id"]))


@command(
    "addImageStore",
    params=AddImageStoreParams,
    response=ImageStoreResponse,
    description="Adds a secondary storage.",
    object_name="imagestore",
    since="4.2.0",
    java_class=f"{STORAGE}.AddImageStoreCmd",
)
def add_store(call: Call, bound: Bound) -> Item:
    refuse_unknown(bound, "details")
    try:
        store = add_image_store(
            call.db,
            call.services.providers,
            provider=bound["provider"],
            name=bound["name"],
            url=bound["url"],
            zone_id=bound["zoneid"],
        )
    except (InvalidParameterValueError, CloudRuntimeError) as error:
        raise ServerApiError(INTERNAL_ERROR, error.text) from error
    return Item(image_store_view(store))


@command(
    "deleteImageStore",
    params=DeleteImageStoreParams,
    response=SuccessResponse,
    description="Deletes a secondary storage.",
    since="4.2.0",
    java_class=f"{STORAGE}.DeleteImageStoreCmd",
)
def delete_store(call: Call, bound: Bound) -> Success:
    delete_image_store(call.db, call.services.providers, bound["id"])
    return Success()


COMMANDS = (
    create,
    update,
    delete,
    enable_storage_maintenance,
    cancel_storage_maintenance,
    add_store,
    delete_store,
)
