"""listHosts and updateHost."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy.orm import Session

from mgmt.agents.alerts import host_text
from mgmt.agents.pingnews import AUTO_DETAIL, AUTO_SETTING
from mgmt.commands.declaration import ADMIN, RESOURCE_ADMIN, Bound, Call, Item, Listing, command
from mgmt.commands.fields import Boolean, ListOf, ListParams, MapParam, Params, Str, Uuid
from mgmt.commands.owned import checked_details
from mgmt.commands.responses.host import HostResponse
from mgmt.commands.services import Services
from mgmt.errors import INTERNAL_ERROR, CloudError, InvalidParameterValueError, PermissionDeniedError, ServerApiError
from mgmt.inventory.hosts import (
    HOST_DETAILS,
    HostRow,
    change_allocation_state,
    change_os_category,
    find_hosts,
    gather_facts,
    host_row,
    put_detail,
)
from mgmt.inventory.lookup import get_live
from mgmt.inventory.resource_states import NoTransitionError
from mgmt.inventory.vms import pending_jobs
from mgmt.quirks import LAST_PINGED_UNIT
from mgmt.store.models import Host, VmInstance

logger = logging.getLogger(__name__)


class ListHostsParams(ListParams):
    """Parameters of listHosts."""

    id = Uuid("show this host", entity="host")
    name = Str("show hosts with this name")
    zoneid = Uuid("show hosts of this zone", entity="zone")
    podid = Uuid("show hosts of this pod", entity="pod")
    clusterid = Uuid("show hosts of this cluster", entity="cluster")
    type = Str("show hosts of this type, such as Routing")
    state = Str("show hosts whose agent is in this state, such as Up")
    resourcestate = Str("show hosts in this resource state, such as Enabled or Maintenance")
    hypervisor = Str("show hosts of this hypervisor")
    virtualmachineid = Uuid("show hosts that this running instance could move to", entity="vm")
    details = ListOf("which parts of the hosts to show: " + ", ".join(HOST_DETAILS), Str("a level of detail"))
    hahost = Boolean("show hosts that are kept for high availability, or the others")
    outofbandmanagementenabled = Boolean("show hosts with, or without, out-of-band management")
    outofbandmanagementpowerstate = Str("show hosts in this power state: On, Off or Unknown")
    arch = Str("show hosts with this CPU architecture: x86_64 or aarch64", since="4.20.1")
    managementserverid = Uuid(
        "show hosts whose agent is linked to this management server", entity="managementserver", since="4.21.0"
    )
    storageaccessgroup = Str("show hosts in this storage access group", since="4.21.0")


@command(
    "listHosts",
    params=ListHostsParams,
    response=HostResponse,
    description="Lists hosts.",
    object_name="host",
    is_list=True,
    roles=(ADMIN, RESOURCE_ADMIN),
    java_class="org.apache.cloudstack.api.command.admin.host.ListHostsCmd",
)
def list_hosts(call: Call, bound: Bound) -> Listing:
    details = checked_details(bound["details"], HOST_DETAILS)
    if bound["virtualmachineid"] is not None:
        return _hosts_for_migration(call, bound, details)
    hosts, count = find_hosts(call.db, bound, bound.paging)
    return Listing(_views(call, hosts, details), count)


def host_views(
    services: Services, session: Session, hosts: Sequence[HostRow], details: Sequence[str] = ("all",)
) -> list[Mapping[str, Any]]:
    """The hosts' answers, with the figures that their agents last reported; nobody may change them."""
    is_right = not services.quirks.is_faithful(LAST_PINGED_UNIT)
    jobs = {}
    if services.jobs.pending:
        found = pending_jobs(session, "Host", [host.uuid for host in hosts])
        jobs = {uuid: (job.uuid, job.status) for uuid, job in found.items()}
    facts = gather_facts(
        session, hosts, levels=details, stats=services.host_loads, is_last_pinged_right=is_right, jobs=jobs
    )
    return services.host_views.of(hosts, facts, details)


def _views(call: Call, hosts: Sequence[HostRow], details: Sequence[str]) -> list[Mapping[str, Any]]:
    return host_views(call.services, call.db, hosts, details)


def _hosts_for_migration(call: Call, bound: Bound, details: Sequence[str]) -> Listing:
    """The other hosts of a running instance's cluster (ManagementServerImpl.listHostsForMigrationOfVM)."""
    if not call.caller.is_root_admin:
        raise PermissionDeniedError("No permission to migrate VM, Only Root Admin can migrate a VM!")
    vm = get_live(call.db, VmInstance, bound["virtualmachineid"])
    if vm is None:
        raise InvalidParameterValueError("Unable to find the VM with given id")
    if vm.state != "Running" or vm.host is None:
        raise InvalidParameterValueError(
            "VM is not Running, cannot migrate the vm with specified id",
            uuid_list=({"uuid": vm.uuid, "description": "vmId"},),
        )
    narrowed = {**bound, "clusterid": vm.host.cluster_id, "type": "Routing", "state": "Up", "resourcestate": "Enabled"}
    hosts, count = find_hosts(call.db, narrowed, bound.paging)
    others = [host for host in hosts if host.id != vm.host_id]
    views = [{**view, "suitableformigration": True} for view in _views(call, others, details)]
    return Listing(views, count - (len(hosts) - len(others)))


class UpdateHostParams(Params):
    """Parameters of updateHost."""

    id = Uuid("the host", entity="host", required=True)
    name = Str("a new name", since="4.15")
    oscategoryid = Uuid("the OS category that is preferred on it", entity="oscategory")
    allocationstate = Str("Enable or Disable")
    hosttags = ListOf("the tags of the host, in place of those that it has", Str("a tag"))
    istagarule = Boolean("whether the tags are a rule in JavaScript")
    url = Str("kept for old clients; it changes nothing")
    annotation = Str("a note on the host", since="4.11")
    externaldetails = MapParam("details for an external hypervisor", since="4.21.0")
    cleanupexternaldetails = Boolean("whether the details for an external hypervisor are removed", since="4.22.0")


@command(
    "updateHost",
    params=UpdateHostParams,
    response=HostResponse,
    description="Changes a host.",
    object_name="host",
    java_class="org.apache.cloudstack.api.command.admin.host.UpdateHostCmd",
)
def update_host(call: Call, bound: Bound) -> Item:
    host = get_live(call.db, Host, bound["id"])
    try:
        if host is None:
            raise InvalidParameterValueError(f"Host with id {bound['id']} doesn't exist")
        _change(call, host, bound)
    except (CloudError, NoTransitionError) as error:
        logger.warning("updateHost of host %s failed: %s", bound["id"], error)
        text = host_text(host) if host is not None else "null"
        raise ServerApiError(INTERNAL_ERROR, f"Failed to update host: {text} with id {bound['id']}, {error}") from error
    call.db.flush()
    return Item(_views(call, [host_row(call.db, host)], ("all",))[0])


def _change(call: Call, host: Host, bound: Bound) -> None:
    if bound["allocationstate"] is not None:
        change_allocation_state(host, bound["allocationstate"])
        if call.services.settings.get_bool(AUTO_SETTING):
            put_detail(call.db, host.id, AUTO_DETAIL, str(host.resource_state == "Enabled").lower())
    if bound["name"]:
        host.name = bound["name"]
    if bound["oscategoryid"] is not None:
        change_os_category(call.db, host, bound["oscategoryid"])
    if bound["hosttags"] is not None:
        host.host_tags = ",".join(bound["hosttags"]) or None
        host.is_tag_a_rule = bool(bound["istagarule"])
    if bound["annotation"]:
        host.annotation = bound["annotation"]
        host.annotated_by = call.caller.username
        host.last_annotated = call.services.providers.utcnow()


COMMANDS = (list_hosts, update_host)
