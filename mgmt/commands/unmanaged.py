"""VMs outside CloudStack's records: taking them in where they are, listing those of a remote host, giving VMs back.

Upstream: api/.../command/admin/vm/{ImportUnmanagedInstanceCmd,ListVmsForImportCmd,UnmanageVMInstanceCmd}.java.
"""

from __future__ import annotations

from functools import partial

from mgmt.commands.declaration import Bound, Call, EventSpec, Item, Listing, command
from mgmt.commands.fields import Boolean, ListParams, Out, Params, Response, Str, Uuid
from mgmt.commands.imports import (
    JAVA_PACKAGE,
    ImportUnmanagedInstanceParams,
    begin_import,
    check_owner,
    import_services,
    looked,
)
from mgmt.commands.life_calls import life_services
from mgmt.commands.responses.user_vm import UserVmResponse
from mgmt.commands.unmanaged_view import UnmanagedInstanceResponse, unmanaged_instance_view
from mgmt.errors import CloudError
from mgmt.imports.adopted import EVENT_TYPE, AdoptedImport, event_description
from mgmt.imports.diskimages import RemoteHost
from mgmt.imports.dryrun import AdoptedDryRun
from mgmt.imports.external import list_remote_vms
from mgmt.imports.request import ImportRequest
from mgmt.imports.trace import Trace
from mgmt.imports.unmanage import EVENT_TYPE as UNMANAGE_EVENT_TYPE
from mgmt.imports.unmanage import unmanage
from mgmt.inventory.vm_rows import vm_result
from mgmt.life.migrate import move_imported


class ListVmsForImportParams(ListParams):
    """Parameters of listVmsForImport."""

    zoneid = Uuid("zone whose hosts ask the remote one", entity="zone", required=True)
    username = Str("user of the remote host")
    password = Str("that user's password")
    host = Str("name or address of the remote KVM host", required=True)
    hypervisor = Str("hypervisor of the remote host: KVM", required=True)


class UnmanageVirtualMachineParams(Params):
    """Parameters of unmanageVirtualMachine."""

    id = Uuid("VM to forget", entity="vm", required=True)
    hostid = Uuid("host that shall keep a stopped VM", entity="host", since="4.22.0")
    forced = Boolean("whether a VM with a config drive may be forgotten", since="4.22.0")


class UnmanageVMInstanceResponse(Response):
    """What came of it."""

    catalogue = "UnmanageVMInstanceResponse"

    success = Out("boolean", "true")
    details = Out("string", "what was done, in words")
    hostid = Out("string", "UUID of the host that keeps the VM")
    jobid = Out("string", "UUID of the job under way for it")
    jobstatus = Out("integer", "state of that job: 0 while it runs")


@command(
    "importUnmanagedInstance",
    params=ImportUnmanagedInstanceParams,
    response=UserVmResponse,
    description="Takes a VM in that is on a host of a cluster and not managed by CloudStack",
    object_name="virtualmachine",
    is_async=True,
    since="4.14.0",
    java_class=f"{JAVA_PACKAGE}.ImportUnmanagedInstanceCmd",
    event=EventSpec(
        type=EVENT_TYPE,
        scheduled=lambda bound: event_description(bound["name"]),
        gerund="",
        resource_type="VirtualMachine",
    ),
    precheck=check_owner,
)
def import_unmanaged_instance(call: Call, bound: Bound) -> Item:
    """Run the import and show the VM; a dry run shows an `importplan` instead."""
    request = ImportRequest.from_bound({**bound, "importsource": "unmanaged", "hypervisor": ""})
    services, trace = import_services(call), Trace()
    control = begin_import(call, request, trace)
    if bound.get("dryrun"):
        return looked(AdoptedDryRun(services, request, call.caller, trace), control)
    move = partial(move_imported, life_services(call))
    adopted = AdoptedImport(services, request, call.caller, trace, control, move)
    with call.services.leaks.watching(call.job_uuid or "", request.name) as watched:
        try:
            vm_id = watched.vm_id = adopted.run()
        except CloudError as error:
            trace.ended(error)
            raise
        finally:
            trace.forget_secrets()
            watched.not_undone = adopted.undo.not_undone
    with call.services.store.session() as session:
        return Item(vm_result(session, vm_id, call.caller))


@command(
    "listVmsForImport",
    params=ListVmsForImportParams,
    response=UnmanagedInstanceResponse,
    description="Lists the stopped VMs of a remote KVM host",
    object_name="unmanagedinstance",
    is_list=True,
    since="4.19.0",
    java_class=f"{JAVA_PACKAGE}.ListVmsForImportCmd",
)
def list_vms_for_import(call: Call, bound: Bound) -> Listing:
    """Have a host of the zone ask the remote one; CloudStack does not page this list."""
    remote = RemoteHost(bound["host"], bound["username"] or "", bound["password"])
    found = list_remote_vms(import_services(call), call.caller, bound["zoneid"], bound["hypervisor"], remote)
    keyword = (bound["keyword"] or "").lower()
    views = [unmanaged_instance_view(vm) for vm in found if keyword in (vm.name or "").lower()]
    return Listing(views, len(views))


@command(
    "unmanageVirtualMachine",
    params=UnmanageVirtualMachineParams,
    response=UnmanageVMInstanceResponse,
    description="Forgets a VM, which stays on its host",
    object_name="unmanagevirtualmachineresponse",
    is_async=True,
    since="4.15.0",
    java_class=f"{JAVA_PACKAGE}.UnmanageVMInstanceCmd",
    event=EventSpec(
        type=UNMANAGE_EVENT_TYPE,
        scheduled=lambda bound: f"unmanaging VM. VM ID = {bound['id']}",
        gerund="",
        resource_type="VirtualMachine",
    ),
    job_instance_type="VirtualMachine",
    job_instance_param="id",
)
def unmanage_virtual_machine(call: Call, bound: Bound) -> Item:
    """Forget the VM and name the host that keeps it."""
    done = unmanage(
        import_services(call),
        call.caller,
        bound["id"],
        host_id=bound["hostid"],
        forced=bool(bound["forced"]),
    )
    return Item({"success": True, "details": "VM unmanaged successfully", "hostid": done.host_uuid})


COMMANDS = (import_unmanaged_instance, list_vms_for_import, unmanage_virtual_machine)
