"""listPods."""

from __future__ import annotations

from mgmt.commands.declaration import ADMIN, RESOURCE_ADMIN, Bound, Call, Listing, command
from mgmt.commands.fields import Boolean, ListParams, Str, Uuid
from mgmt.commands.responses.zone import PodResponse
from mgmt.inventory.capacity import capacities
from mgmt.inventory.zones import find_pods, pod_view


class ListPodsParams(ListParams):
    """Parameters of listPods."""

    id = Uuid("show this pod", entity="pod")
    name = Str("show pods with this name")
    zoneid = Uuid("show pods of this zone", entity="zone")
    allocationstate = Str("show pods in this state: Enabled or Disabled")
    showcapacities = Boolean("show capacities too")
    storageaccessgroup = Str("show pods in this storage access group", since="4.21.0")


@command(
    "listPods",
    params=ListPodsParams,
    response=PodResponse,
    description="Lists pods.",
    object_name="pod",
    is_list=True,
    roles=(ADMIN, RESOURCE_ADMIN),
    java_class="org.apache.cloudstack.api.command.admin.pod.ListPodsByCmd",
)
def list_pods(call: Call, bound: Bound) -> Listing:
    pods, count = find_pods(call.db, bound, bound.paging)
    views = [pod_view(pod) for pod in pods]
    if bound["showcapacities"]:
        for pod, view in zip(pods, views, strict=True):
            view["capacity"] = capacities(call.db, call.services.settings, pod_id=pod.id)
    return Listing(views, count)


COMMANDS = (list_pods,)
