"""VMware datacenters of zones, and what a vCenter holds: addVmwareDc, updateVmwareDc, listVmwareDcs, removeVmwareDc,
listVmwareDcVms, listVmwareDcHosts.

Upstream: plugins/hypervisors/vmware/.../api/command/admin/zone/*.java, VmwareManagerImpl.java.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

from mgmt.commands.declaration import Bound, Call, Item, Listing, Success, command
from mgmt.commands.fields import Boolean, ListParams, Out, Params, Response, Str, Uuid
from mgmt.commands.responses.success import SuccessResponse
from mgmt.commands.unmanaged_view import UnmanagedInstanceResponse, unmanaged_instance_view
from mgmt.errors import (
    INTERNAL_ERROR,
    PARAM_ERROR,
    CloudRuntimeError,
    InvalidParameterValueError,
    ServerApiError,
)
from mgmt.inventory.vmware_datacenters import (
    add_datacenter,
    check_zone,
    credentials_of,
    datacenter_of_zone,
    find_datacenter,
    remove_datacenter,
    update_datacenter,
)
from mgmt.vmware.connector import VcenterCredentials
from mgmt.vmware.transfer import transfer_object

log = logging.getLogger(__name__)

JAVA_PACKAGE = "org.apache.cloudstack.api.command.admin.zone"

VCENTER_EXCLUSIVE = "Please provide an existing vCenter ID or a vCenter IP/Name, parameters are mutually exclusive"
VCENTER_INCOMPLETE = "Please set all the information for a vCenter IP/Name, datacenter, username and password"
HOST_AND_INSTANCE = "Please set the hostname parameter along with the instancename parameter"

T = TypeVar("T")


class VmwareDatacenterResponse(Response):
    """A linked datacenter."""

    catalogue = "VmwareDatacenterResponse"

    id = Out("string", "UUID of the linked datacenter")
    name = Out("string", "the datacenter's name in vCenter")
    vcenter = Out("string", "host name or address of the vCenter")
    zoneid = Out("long", "internal number of the zone that it is linked to")
    jobid = Out("string", "UUID of the job under way for it")
    jobstatus = Out("integer", "state of that job: 0 while it runs")


class VmwareHostResponse(Response):
    """An ESXi host as far as listVmwareDcHosts tells; the command is no part of CloudStack 4.22."""

    hypervisor = Out("string", "always VMware")
    name = Out("string", "the host's name in vCenter")


class AddVmwareDcParams(Params):
    """Parameters of addVmwareDc."""

    name = Str("name of the datacenter in vCenter, in any case", required=True)
    vcenter = Str("host name or address of the vCenter, with `:port` when it is not 443", required=True)
    username = Str("the user that logs in to the vCenter")
    password = Str("that user's password")
    zoneid = Uuid("the zone to link the datacenter to", entity="zone", required=True)


class UpdateVmwareDcParams(Params):
    """Parameters of updateVmwareDc."""

    name = Str("new name of the datacenter in vCenter")
    vcenter = Str("new host name or address of the vCenter, with `:port` when it is not 443")
    username = Str("the user that logs in to the vCenter from now on")
    password = Str("that user's password")
    isrecursive = Boolean("whether VMware clusters and hosts of the zone are to follow", default=True)
    zoneid = Uuid("the zone whose datacenter is changed", entity="zone", required=True)


class ZoneParams(Params):
    """Parameters of removeVmwareDc."""

    zoneid = Uuid("the zone whose datacenter is unlinked", entity="zone", required=True)


class ListVmwareDcsParams(ListParams):
    """Parameters of listVmwareDcs."""

    zoneid = Uuid("the zone whose datacenter is shown", entity="zone", required=True)


class VcenterParams(ListParams):
    """Which vCenter to look into: a linked one, or one that the caller describes."""

    existingvcenterid = Uuid("a datacenter that is linked to a zone", entity="vmwaredc")
    vcenter = Str("host name or address of a vCenter, with `:port` when it is not 443")
    datacentername = Str("name of the datacenter in that vCenter")
    username = Str("the user that logs in to that vCenter")
    password = Str("that user's password")


class ListVmwareDcVmsParams(VcenterParams):
    """Parameters of listVmwareDcVms."""

    hostname = Str("the ESXi host that runs the one VM to show; goes with instancename")
    instancename = Str("name of the one VM to show with its disks and NICs; goes with hostname")


def _declared(error: CloudRuntimeError | InvalidParameterValueError) -> ServerApiError:
    """As the command classes do with every CloudRuntimeException: 530 with the same text."""
    return ServerApiError(INTERNAL_ERROR, error.text)


@command(
    "addVmwareDc",
    params=AddVmwareDcParams,
    response=VmwareDatacenterResponse,
    description="Links a datacenter of a vCenter to a zone, after a look whether it is there",
    object_name="vmwaredc",
    java_class=f"{JAVA_PACKAGE}.AddVmwareDcCmd",
)
def add_vmware_dc(call: Call, bound: Bound) -> Item:
    """Link a datacenter; answers its id and name."""
    try:
        if bound["username"] is None or bound["password"] is None:
            raise InvalidParameterValueError("Missing or invalid parameter username.")  # upstream says so for both
        row = add_datacenter(
            call.db,
            call.services.providers,
            call.services.vcenters,
            zone_id=bound["zoneid"],
            credentials=VcenterCredentials(
                host=bound["vcenter"],
                datacenter=bound["name"],
                username=bound["username"],
                password=bound["password"],
            ),
        )
    except (CloudRuntimeError, InvalidParameterValueError) as error:
        raise _declared(error) from error
    return Item({"id": row.uuid, "name": row.name})


@command(
    "updateVmwareDc",
    params=UpdateVmwareDcParams,
    response=VmwareDatacenterResponse,
    description="Changes address, name or credentials that are kept of a zone's VMware datacenter",
    since="4.12.0",
    object_name="vmwaredc",
    java_class=f"{JAVA_PACKAGE}.UpdateVmwareDcCmd",
)
def update_vmware_dc(call: Call, bound: Bound) -> Item:
    """Change the zone's datacenter; answers its id and name.

    VMware clusters and hosts, which `isrecursive` is about, keep no credentials of their own here.
    """
    call.services.redactor.register(bound["password"])
    row = update_datacenter(
        call.db,
        bound["zoneid"],
        name=bound["name"],
        vcenter=bound["vcenter"],
        username=bound["username"],
        password=bound["password"],
    )
    return Item({"id": row.uuid, "name": row.name})


@command(
    "removeVmwareDc",
    params=ZoneParams,
    response=SuccessResponse,
    description="Unlinks the VMware datacenter of a zone; the vCenter is not touched",
    java_class=f"{JAVA_PACKAGE}.RemoveVmwareDcCmd",
)
def remove_vmware_dc(call: Call, bound: Bound) -> Success:
    """Unlink the zone's datacenter."""
    try:
        remove_datacenter(call.db, bound["zoneid"])
    except (CloudRuntimeError, InvalidParameterValueError) as error:
        raise _declared(error) from error
    return Success()


@command(
    "listVmwareDcs",
    params=ListVmwareDcsParams,
    response=VmwareDatacenterResponse,
    description="Shows the VMware datacenter that is linked to a zone",
    object_name="VMwareDC",
    is_list=True,
    java_class=f"{JAVA_PACKAGE}.ListVmwareDcsCmd",
)
def list_vmware_dcs(call: Call, bound: Bound) -> Listing:
    """At most one datacenter, with the zone's internal number and without a count, as upstream answers."""
    zone_id = bound["zoneid"]
    try:
        check_zone(call.db, zone_id)
    except InvalidParameterValueError as error:
        raise InvalidParameterValueError(f"Invalid zone id {zone_id}") from error
    row = datacenter_of_zone(call.db, zone_id)
    items = [] if row is None else [{"id": row.uuid, "zoneid": zone_id, "name": row.name, "vcenter": row.vcenter_host}]
    return Listing(items, len(items), omit_count=True)


def check_vcenter_choice(bound: Bound) -> None:
    """Return when the parameters name exactly one vCenter, completely; raises ServerApiError 431 (importVm too)."""
    if (bound["existingvcenterid"] is None) == (bound["vcenter"] is None):
        raise ServerApiError(PARAM_ERROR, VCENTER_EXCLUSIVE)
    if bound["existingvcenterid"] is None and any(
        not (bound[name] or "").strip() for name in ("vcenter", "datacentername", "username", "password")
    ):
        raise ServerApiError(PARAM_ERROR, VCENTER_INCOMPLETE)


def _credentials(call: Call, bound: Bound) -> VcenterCredentials:
    existing_id = bound["existingvcenterid"]
    if existing_id is None:
        return VcenterCredentials(
            host=bound["vcenter"],
            datacenter=bound["datacentername"],
            username=bound["username"],
            password=bound["password"],
        )
    row = find_datacenter(call.db, existing_id)
    if row is None:
        raise CloudRuntimeError(f"Cannot find a VMware datacenter with ID {existing_id}")
    return credentials_of(row)


@contextmanager
def _wrapped(outer: str) -> Iterator[None]:
    try:
        yield
    except CloudRuntimeError as error:
        log.warning("%s: %s", outer, error.text)
        raise ServerApiError(INTERNAL_ERROR, f"{outer}: {error.text}") from error


@command(
    "listVmwareDcVms",
    params=ListVmwareDcVmsParams,
    response=UnmanagedInstanceResponse,
    description="Lists the VMs of a VMware datacenter, or shows one of them with its disks and NICs",
    object_name="unmanagedinstance",
    is_list=True,
    java_class=f"{JAVA_PACKAGE}.ListVmwareDcVmsCmd",
)
def list_vmware_dc_vms(call: Call, bound: Bound) -> Listing:
    """A thin list of the datacenter's VMs, or the full record of one VM on one host."""
    check_vcenter_choice(bound)
    hostname, instancename = bound["hostname"], bound["instancename"]
    if bool((hostname or "").strip()) != bool((instancename or "").strip()):
        raise ServerApiError(PARAM_ERROR, HOST_AND_INSTANCE)
    with _wrapped("Error retrieving VMs from VMware VC"):
        credentials = _credentials(call, bound)
        try:
            with call.services.vcenters.connect(credentials) as vcenter:
                if (hostname or "").strip():
                    vcenter.check_datacenter()
                    vms = [vcenter.vm_on_host(hostname, instancename)]
                else:
                    vms = vcenter.list_vms(bound["keyword"])
        except CloudRuntimeError as error:
            raise CloudRuntimeError(
                f"Error retrieving VMs from the VMware VC {credentials.host} datacenter {credentials.datacenter}: "
                f"{error.text}"
            ) from error
    shown = _whole_page(vms, bound)
    return Listing([unmanaged_instance_view(transfer_object(vm)) for vm in shown], len(vms))


def _whole_page(items: Sequence[T], bound: Bound) -> Sequence[T]:
    """The asked page; everything without page parameters and, as upstream, for a page past the end."""
    size = bound.paging.limit
    if size is None or not bound.given & {"page", "pagesize"}:
        return items
    if size == 0:
        return []
    first = bound.paging.offset // size * size
    return items[first : first + size] or items


@command(
    "listVmwareDcHosts",
    params=VcenterParams,
    response=VmwareHostResponse,
    description="Lists the ESXi hosts of a VMware datacenter; some clients know it, CloudStack 4.22 has it not",
    object_name="host",
    is_list=True,
    java_class=f"{JAVA_PACKAGE}.ListVmwareDcHostsCmd",
)
def list_vmware_dc_hosts(call: Call, bound: Bound) -> Listing:
    """The hosts' names, for the VMware import view of another UI branch."""
    check_vcenter_choice(bound)
    with (
        _wrapped("Error retrieving VMs from Vmware VC"),
        call.services.vcenters.connect(_credentials(call, bound)) as vcenter,
    ):
        hosts = vcenter.list_hosts()
    return Listing([{"hypervisor": "VMware", "name": host.name} for host in _whole_page(hosts, bound)], len(hosts))


COMMANDS = (
    add_vmware_dc,
    update_vmware_dc,
    list_vmware_dcs,
    remove_vmware_dc,
    list_vmware_dc_vms,
    list_vmware_dc_hosts,
)
