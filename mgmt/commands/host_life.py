"""Adding, deleting, reconnecting and giving up hosts, host maintenance, and hosts' figures.

Upstream: api/.../command/admin/host/, plugins/metrics/.../api/ListHostsMetricsCmd.java.
"""

from __future__ import annotations

from sqlalchemy import select

from mgmt.commands.declaration import (
    ADMIN,
    ADMIN_ONLY,
    DOMAIN_ADMIN,
    RESOURCE_ADMIN,
    Bound,
    Call,
    Item,
    Listing,
    Success,
    command,
    events_of,
)
from mgmt.commands.fields import Boolean, ListOf, ListParams, MapParam, Params, Str, Uuid
from mgmt.commands.hosts import ListHostsParams, host_views, list_hosts
from mgmt.commands.life_calls import life_services, refuse_unknown
from mgmt.commands.responses.host import HostMetricsResponse, HostResponse, HostTagResponse
from mgmt.commands.responses.success import SuccessResponse
from mgmt.errors import INTERNAL_ERROR, CloudRuntimeError, JavaError, ServerApiError
from mgmt.inventory.hostmetrics import Limits, instance_counts, metrics
from mgmt.inventory.hosts import host_row
from mgmt.inventory.listing import in_window
from mgmt.life.hostadd import NewHost, add_host
from mgmt.life.hostlife import cancel_degraded, declare_degraded, delete_host, reconnect
from mgmt.store.models import Host

HOSTS = "org.apache.cloudstack.api.command.admin.host"
HOST = "Host"


class HostIdParams(Params):
    """Parameters of the commands that name a host."""

    id = Uuid("the host", entity="host", required=True)


class AddHostParams(Params):
    """Parameters of addHost."""

    zoneid = Uuid("zone of the host", entity="zone", required=True)
    podid = Uuid("pod of the host", entity="pod", required=True)
    clusterid = Uuid("cluster of the host", entity="cluster")
    clustername = Str("name of a new cluster for the host, instead of clusterid")
    url = Str("where the host is, such as http://192.0.2.14", required=True)
    hypervisor = Str("hypervisor of the host: KVM", required=True)
    username = Str("user of the host")
    password = Str("password of that user")
    hosttags = ListOf("tags of the host", Str("a tag"))
    allocationstate = Str("Enabled or Disabled")
    storageaccessgroups = ListOf("storage access groups of the host", Str("a group"), since="4.21.0")
    externaldetails = MapParam("details for an external hypervisor", since="4.21.0")


class DeleteHostParams(HostIdParams):
    """Parameters of deleteHost."""

    forced = Boolean("delete it outside maintenance too, and stop its instances")
    forcedestroylocalstorage = Boolean("delete its local pools too")


class ListHostTagsParams(ListParams):
    """Parameters of listHostTags."""


@command(
    "addHost",
    params=AddHostParams,
    response=HostResponse,
    description="Adds a KVM host: sets up its agent, and answers once it is Up.",
    object_name="host",
    roles=(ADMIN, RESOURCE_ADMIN),
    java_class=f"{HOSTS}.AddHostCmd",
)
def add(call: Call, bound: Bound) -> Listing:
    refuse_unknown(bound, "storageaccessgroups", "externaldetails")
    services = call.services
    new = NewHost(
        zone_id=bound["zoneid"],
        pod_id=bound["podid"],
        cluster_id=bound["clusterid"],
        cluster_name=bound["clustername"],
        url=bound["url"],
        hypervisor=bound["hypervisor"],
        username=bound["username"],
        password=bound["password"],
        tags=bound["hosttags"] or (),
        allocation_state=bound["allocationstate"],
    )
    host_id = add_host(services.store, services.providers, services.host_setup, services.agents, call.caller, new)
    with services.store.session() as session:
        return Listing(host_views(services, session, [host_row(session, session.get_one(Host, host_id))]), 1)


@command(
    "deleteHost",
    params=DeleteHostParams,
    response=SuccessResponse,
    description="Deletes a host in maintenance; its agent is told to stop.",
    roles=(ADMIN, RESOURCE_ADMIN),
    java_class=f"{HOSTS}.DeleteHostCmd",
)
def delete(call: Call, bound: Bound) -> Success:
    delete_host(
        life_services(call),
        bound["id"],
        forced=bool(bound["forced"]),
        destroys_local_storage=bool(bound["forcedestroylocalstorage"]),
    )
    return Success()


_event = events_of(HOST)


def _item(call: Call, host_id: int) -> Item:
    """The host as it is now."""
    services = call.services
    with services.store.session() as session:
        return Item(host_views(services, session, [host_row(session, session.get_one(Host, host_id))])[0])


@command(
    "reconnectHost",
    params=HostIdParams,
    response=HostResponse,
    description="Closes the link of a host's agent, which connects anew.",
    object_name="host",
    is_async=True,
    java_class=f"{HOSTS}.ReconnectHostCmd",
    job_instance_type=HOST,
    job_instance_param="id",
    event=_event("HOST.RECONNECT", "reconnecting host", lambda bound: f"reconnecting host: {bound['id']}"),
)
def reconnect_host(call: Call, bound: Bound) -> Item:
    reconnect(life_services(call), bound["id"])
    return _item(call, bound["id"])


@command(
    "prepareHostForMaintenance",
    params=HostIdParams,
    response=HostResponse,
    description="Prepares a host for maintenance: its instances are moved away, or stopped.",
    object_name="host",
    is_async=True,
    roles=ADMIN_ONLY,
    java_class=f"{HOSTS}.PrepareForHostMaintenanceCmd",
    job_instance_type=HOST,
    job_instance_param="id",
    event=_event(
        "MAINT.PREPARE",
        "prepare maintenance for host",
        lambda bound: f"Preparing host with ID: {bound.instance_uuid} for maintenance.",
    ),
)
def prepare_for_maintenance(call: Call, bound: Bound) -> Item:
    try:
        call.services.maintenance.prepare(call.caller, bound["id"])
    except JavaError:
        raise
    except CloudRuntimeError as error:
        raise ServerApiError(INTERNAL_ERROR, f"Failed to prepare host for maintenance due to: {error.text}") from error
    return _item(call, bound["id"])


@command(
    "cancelHostMaintenance",
    params=HostIdParams,
    response=HostResponse,
    description="Ends the maintenance of a host.",
    object_name="host",
    is_async=True,
    java_class=f"{HOSTS}.CancelHostMaintenanceCmd",
    job_instance_type=HOST,
    job_instance_param="id",
    event=_event(
        "MAINT.CANCEL",
        "cancel maintenance for host",
        lambda bound: f"Canceling maintenance for host with ID: {bound.instance_uuid}",
    ),
)
def cancel_maintenance(call: Call, bound: Bound) -> Item:
    call.services.maintenance.cancel(bound["id"])
    return _item(call, bound["id"])


@command(
    "declareHostAsDegraded",
    params=HostIdParams,
    response=HostResponse,
    description="Gives up a host that is lost for good: Degraded.",
    object_name="host",
    is_async=True,
    since="4.16.0.0",
    java_class=f"{HOSTS}.DeclareHostAsDegradedCmd",
    job_instance_type=HOST,
    job_instance_param="id",
    event=_event(
        "HOST.DECLARE.DEGRADED",
        "declaring host as degraded",
        lambda bound: f"declaring host: {bound['id']} as Degraded",
    ),
)
def declare_as_degraded(call: Call, bound: Bound) -> Item:
    declare_degraded(life_services(call), bound["id"])
    return _item(call, bound["id"])


@command(
    "cancelHostAsDegraded",
    params=HostIdParams,
    response=HostResponse,
    description="Enables a host that was declared Degraded.",
    object_name="host",
    is_async=True,
    since="4.16.0.0",
    java_class=f"{HOSTS}.CancelHostAsDegradedCmd",
    job_instance_type=HOST,
    job_instance_param="id",
    event=_event(
        "HOST.CANCEL.DEGRADED",
        "cancelling host as degraded",
        lambda bound: f"cancelling declaration of host: {bound['id']} as Degraded",
    ),
)
def cancel_as_degraded(call: Call, bound: Bound) -> Item:
    cancel_degraded(life_services(call), bound["id"])
    return _item(call, bound["id"])


@command(
    "listHostsMetrics",
    params=ListHostsParams,
    response=HostMetricsResponse,
    description="Lists hosts with their figures in readable units.",
    object_name="host",
    is_list=True,
    since="4.9.3",
    java_class="org.apache.cloudstack.api.ListHostsMetricsCmd",
)
def list_hosts_metrics(call: Call, bound: Bound) -> Listing:
    listed = list_hosts.handler(call, bound)
    assert isinstance(listed, Listing)
    counts = instance_counts(call.db, [view["id"] for view in listed.items])
    limits = Limits.of(call.services.settings)
    views = [metrics(view, limits, counts.get(view["id"], (0, 0))) for view in listed.items]
    return Listing(views, listed.count)


@command(
    "listHostTags",
    params=ListHostTagsParams,
    response=HostTagResponse,
    description="Lists the tags of hosts.",
    object_name="hosttag",
    is_list=True,
    roles=(ADMIN, RESOURCE_ADMIN, DOMAIN_ADMIN),
    java_class=f"{HOSTS}.ListHostTagsCmd",
)
def list_host_tags(call: Call, bound: Bound) -> Listing:
    statement = select(Host.id, Host.host_tags).where(Host.host_tags.is_not(None), Host.removed.is_(None))
    word = (bound["keyword"] or "").lower()
    tags = [
        {"hostid": host_id, "name": tag, "isimplicit": False}
        for host_id, text in call.db.execute(statement.order_by(Host.id))
        for tag in (text or "").split(",")
        if word in tag.lower()
    ]
    return Listing(in_window(tags, bound.paging), len(tags))


COMMANDS = (
    add,
    delete,
    reconnect_host,
    prepare_for_maintenance,
    cancel_maintenance,
    declare_as_degraded,
    cancel_as_degraded,
    list_hosts_metrics,
    list_host_tags,
)
