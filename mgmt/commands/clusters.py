"""listClusters."""

from __future__ import annotations

from mgmt.commands.declaration import ADMIN, RESOURCE_ADMIN, Bound, Call, Listing, command
from mgmt.commands.fields import Boolean, ListParams, Str, Uuid
from mgmt.commands.responses.zone import ClusterResponse
from mgmt.errors import PARAM_ERROR, ServerApiError
from mgmt.inventory.capacity import capacities
from mgmt.inventory.zones import cluster_view, find_clusters

_CLUSTER_TYPES = ("CloudManaged", "ExternalManaged")


class ListClustersParams(ListParams):
    """Parameters of listClusters."""

    id = Uuid("show this cluster", entity="cluster")
    name = Str("show clusters with this name")
    podid = Uuid("show clusters of this pod", entity="pod")
    zoneid = Uuid("show clusters of this zone", entity="zone")
    hypervisor = Str("show clusters of this hypervisor")
    clustertype = Str("show clusters of this type: CloudManaged or ExternalManaged")
    allocationstate = Str("show clusters in this state: Enabled or Disabled")
    managedstate = Str("show clusters in this state of management: Managed or Unmanaged")
    showcapacities = Boolean("show capacities too")
    arch = Str("show clusters with this CPU architecture: x86_64 or aarch64", since="4.20.1")
    storageaccessgroup = Str("show clusters in this storage access group", since="4.21.0")


@command(
    "listClusters",
    params=ListClustersParams,
    response=ClusterResponse,
    description="Lists clusters.",
    object_name="cluster",
    is_list=True,
    roles=(ADMIN, RESOURCE_ADMIN),
    java_class="org.apache.cloudstack.api.command.admin.cluster.ListClustersCmd",
)
def list_clusters(call: Call, bound: Bound) -> Listing:
    cluster_type = bound["clustertype"]
    if cluster_type is not None and cluster_type not in _CLUSTER_TYPES:
        raise ServerApiError(PARAM_ERROR, f"No enum constant com.cloud.org.Cluster.ClusterType.{cluster_type}")
    clusters, count = find_clusters(call.db, bound, bound.paging)
    views = [cluster_view(cluster) for cluster in clusters]
    if bound["showcapacities"]:
        for cluster, view in zip(clusters, views, strict=True):
            view["capacity"] = capacities(call.db, call.services.settings, cluster_id=cluster.id)
    return Listing(views, count)


COMMANDS = (list_clusters,)
