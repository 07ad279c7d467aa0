"""listStoragePools and listImageStores."""

from __future__ import annotations

from mgmt.commands.declaration import ADMIN, RESOURCE_ADMIN, Bound, Call, Listing, command
from mgmt.commands.fields import Boolean, ListParams, Str, Uuid
from mgmt.commands.responses.storage import ImageStoreResponse, StoragePoolResponse
from mgmt.inventory.pools import find_image_stores, find_pools, image_store_view, pool_views


class ListStoragePoolsParams(ListParams):
    """Parameters of listStoragePools."""

    id = Uuid("show this pool", entity="storagepool")
    name = Str("show pools with this name")
    zoneid = Uuid("show pools of this zone", entity="zone")
    podid = Uuid("show pools of this pod", entity="pod")
    clusterid = Uuid("show pools of this cluster; pools of a whole zone are not among them", entity="cluster")
    hostid = Uuid("show pools that this host has", entity="host")
    ipaddress = Str("show pools on this server")
    path = Str("show pools with this path on their server")
    scope = Str("show pools of this scope: CLUSTER, ZONE or HOST")
    status = Str("show pools in this state, such as Up")
    storagecustomstats = Boolean("show figures of the storage provider too", since="4.18.1")
    storageaccessgroup = Str("show pools in this storage access group", since="4.21.0")


@command(
    "listStoragePools",
    params=ListStoragePoolsParams,
    response=StoragePoolResponse,
    description="Lists primary storage pools.",
    object_name="storagepool",
    is_list=True,
    roles=(ADMIN, RESOURCE_ADMIN),
    java_class="org.apache.cloudstack.api.command.admin.storage.ListStoragePoolsCmd",
)
def list_storage_pools(call: Call, bound: Bound) -> Listing:
    pools, count = find_pools(call.db, bound, bound.paging)
    return Listing(pool_views(call.db, call.services.settings, pools), count)


class ListImageStoresParams(ListParams):
    """Parameters of listImageStores."""

    id = Uuid("show this store", entity="imagestore")
    name = Str("show stores with this name")
    zoneid = Uuid("show stores of this zone", entity="zone")
    protocol = Str("show stores with this protocol, such as nfs")
    provider = Str("show stores of this provider, such as NFS")
    readonly = Boolean("show stores that are read only, or the others", since="4.15.0")


@command(
    "listImageStores",
    params=ListImageStoresParams,
    response=ImageStoreResponse,
    description="Lists secondary storages.",
    object_name="imagestore",
    is_list=True,
    since="4.2.0",
    java_class="org.apache.cloudstack.api.command.admin.storage.ListImageStoresCmd",
)
def list_image_stores(call: Call, bound: Bound) -> Listing:
    stores, count = find_image_stores(call.db, bound, bound.paging)
    return Listing([image_store_view(store) for store in stores], count)


COMMANDS = (list_storage_pools, list_image_stores)
