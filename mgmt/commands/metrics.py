"""Lists with figures in readable units, which the pages of the web UI are made of."""

from __future__ import annotations

from dataclasses import replace

from mgmt.commands.catalogued import listed
from mgmt.commands.clusters import list_clusters
from mgmt.commands.declaration import Bound, Call, Declaration, Listing
from mgmt.commands.installation import list_management_servers
from mgmt.commands.storage import list_storage_pools
from mgmt.commands.vms import list_virtual_machines
from mgmt.commands.volumes import list_volumes
from mgmt.commands.zones import list_zones
from mgmt.inventory import metrics


def _plain(declaration: Declaration, call: Call, bound: Bound) -> Listing:
    """What the list without figures shows."""
    listing = declaration.handler(call, bound)
    assert isinstance(listing, Listing)
    return listing


@listed("listZonesMetrics", "zone", since="4.9.3")
def list_zones_metrics(call: Call, bound: Bound) -> Listing:
    listing = _plain(list_zones, call, bound)
    return replace(listing, items=metrics.zone_metrics(call.db, call.services.settings, listing.items))


@listed("listClustersMetrics", "cluster", since="4.9.3")
def list_clusters_metrics(call: Call, bound: Bound) -> Listing:
    listing = _plain(list_clusters, call, bound)
    return replace(listing, items=metrics.cluster_metrics(call.db, call.services.settings, listing.items))


@listed("listStoragePoolsMetrics", "storagepool", since="4.9.3")
def list_storage_pools_metrics(call: Call, bound: Bound) -> Listing:
    listing = _plain(list_storage_pools, call, bound)
    return replace(listing, items=[metrics.pool_metrics(each) for each in listing.items])


@listed("listVirtualMachinesMetrics", "virtualmachine")
def list_virtual_machines_metrics(call: Call, bound: Bound) -> Listing:
    listing = _plain(list_virtual_machines, call, bound)
    return replace(listing, items=[metrics.vm_metrics(each) for each in listing.items])


@listed("listVolumesMetrics", "volume", since="4.9.3")
def list_volumes_metrics(call: Call, bound: Bound) -> Listing:
    listing = _plain(list_volumes, call, bound)
    return replace(listing, items=[metrics.volume_metrics(each) for each in listing.items])


@listed("listManagementServersMetrics", "managementserver", since="4.17.0")
def list_management_servers_metrics(call: Call, bound: Bound) -> Listing:
    """The server with what it counts of itself; figures of a Java process it has none."""
    listing = _plain(list_management_servers, call, bound)
    counted = {
        "dbislocal": True,
        "usageislocal": False,
        "collectiontime": call.services.providers.utcnow(),
    }
    return replace(listing, items=[{"agentcount": each["agentscount"], **counted, **each} for each in listing.items])


COMMANDS = (
    list_zones_metrics,
    list_clusters_metrics,
    list_storage_pools_metrics,
    list_virtual_machines_metrics,
    list_volumes_metrics,
    list_management_servers_metrics,
)
