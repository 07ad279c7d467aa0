"""Starting, stopping, restarting, moving and destroying VMs.

Upstream: api/.../command/user/vm/{Start,Stop,Reboot,Destroy}VMCmd.java, command/admin/vm/{Expunge,Migrate}VMCmd.java.
"""

from __future__ import annotations

from mgmt.commands.declaration import ADMIN_ONLY, ALL_ROLES, Bound, Call, Item, Success, command, events_of
from mgmt.commands.fields import Boolean, ListOf, Params, Str, Uuid
from mgmt.commands.life_calls import life_services, refuse_unknown, vm_item
from mgmt.commands.responses.success import SuccessResponse
from mgmt.commands.responses.user_vm import UserVmResponse
from mgmt.errors import InvalidParameterValueError
from mgmt.inventory.lookup import get_live
from mgmt.life.destroy import destroy_vm, expunge_vm
from mgmt.life.migrate import migrate_vm
from mgmt.life.start import Place, StartRequest, reboot_vm, start_vm
from mgmt.life.stop import stop_vm
from mgmt.store.models import VmInstance

USER = "org.apache.cloudstack.api.command.user.vm"
ADMIN = "org.apache.cloudstack.api.command.admin.vm"
VM = "VirtualMachine"
# The answer of a destroyed and expunged VM, of which nothing is left to show (as recorded).
EXPUNGED = {"securitygroup": [], "nic": [], "affinitygroup": [], "deleteprotection": False, "tags": []}


_event = events_of(VM)


class StartVirtualMachineParams(Params):
    """Parameters of startVirtualMachine."""

    id = Uuid("the VM", entity="vm", required=True)
    podid = Uuid("pod to start it in; root admins only", entity="pod")
    clusterid = Uuid("cluster to start it in; root admins only", entity="cluster")
    hostid = Uuid("host to start it on; root admins only", entity="host", since="3.0.1")
    deploymentplanner = Str("the planner that chooses the host", since="4.4")
    considerlasthost = Boolean("prefer the host that it last ran on", since="4.18.0")
    bootintosetup = Boolean("enter the firmware's setup menu; VMware only", since="4.15.0.0")


class StopVirtualMachineParams(Params):
    """Parameters of stopVirtualMachine."""

    id = Uuid("the VM", entity="vm", required=True)
    forced = Boolean("kill it, and call it stopped even when its host does not answer")


class RebootVirtualMachineParams(Params):
    """Parameters of rebootVirtualMachine."""

    id = Uuid("the VM", entity="vm", required=True)
    bootintosetup = Boolean("enter the firmware's setup menu; VMware only", since="4.15.0.0")
    forced = Boolean("stop it and start it instead of restarting its guest", since="4.16.0")


class DestroyVirtualMachineParams(Params):
    """Parameters of destroyVirtualMachine."""

    id = Uuid("the VM", entity="vm", required=True)
    expunge = Boolean("remove it and its root disk at once", since="4.2.1")
    volumeids = ListOf("data volumes to delete with it", Uuid("a volume", entity="volume"), since="4.12.0")


class ExpungeVirtualMachineParams(Params):
    """Parameters of expungeVirtualMachine."""

    id = Uuid("the destroyed VM", entity="vm", required=True)


class MigrateVirtualMachineParams(Params):
    """Parameters of migrateVirtualMachine."""

    virtualmachineid = Uuid("the running VM", entity="vm", required=True)
    hostid = Uuid("host to move it to", entity="host")
    storageid = Uuid("pool to move its volumes to", entity="storagepool")
    autoselect = Boolean("let the server choose the host", since="4.16.0")


@command(
    "startVirtualMachine",
    params=StartVirtualMachineParams,
    response=UserVmResponse,
    description="Starts a VM",
    object_name="virtualmachine",
    is_async=True,
    roles=ALL_ROLES,
    java_class=f"{USER}.StartVMCmd",
    admin_java_class=f"{ADMIN}.StartVMCmdByAdmin",
    job_instance_type=VM,
    job_instance_param="id",
    event=_event("VM.START", "starting Vm", lambda bound: f"starting vm: {bound.instance_uuid}"),
)
def start_virtual_machine(call: Call, bound: Bound) -> Item:
    """Start it and show it."""
    place = Place(host_id=bound["hostid"], cluster_id=bound["clusterid"], pod_id=bound["podid"])
    request = StartRequest(bound["id"], place, bound["bootintosetup"], bound["deploymentplanner"])
    start_vm(life_services(call), call.caller, request)
    return vm_item(call, bound["id"])


@command(
    "stopVirtualMachine",
    params=StopVirtualMachineParams,
    response=UserVmResponse,
    description="Stops a VM",
    object_name="virtualmachine",
    is_async=True,
    roles=ALL_ROLES,
    java_class=f"{USER}.StopVMCmd",
    admin_java_class=f"{ADMIN}.StopVMCmdByAdmin",
    job_instance_type=VM,
    job_instance_param="id",
    event=_event("VM.STOP", "stopping Vm", lambda bound: f"stopping vm: {bound.instance_uuid}"),
)
def stop_virtual_machine(call: Call, bound: Bound) -> Item:
    """Stop it and show it."""
    stop_vm(life_services(call), call.caller, bound["id"], forced=bool(bound["forced"]))
    return vm_item(call, bound["id"])


@command(
    "rebootVirtualMachine",
    params=RebootVirtualMachineParams,
    response=UserVmResponse,
    description="Restarts a running VM",
    object_name="virtualmachine",
    is_async=True,
    roles=ALL_ROLES,
    java_class=f"{USER}.RebootVMCmd",
    admin_java_class=f"{ADMIN}.RebootVMCmdByAdmin",
    job_instance_type=VM,
    job_instance_param="id",
    event=_event("VM.REBOOT", "rebooting Vm", lambda bound: f"rebooting vm: {bound.instance_uuid}"),
)
def reboot_virtual_machine(call: Call, bound: Bound) -> Item:
    """Restart it and show it."""
    reboot_vm(
        life_services(call),
        call.caller,
        bound["id"],
        forced=bool(bound["forced"]),
        boot_into_setup=bool(bound["bootintosetup"]),
    )
    return vm_item(call, bound["id"])


@command(
    "destroyVirtualMachine",
    params=DestroyVirtualMachineParams,
    response=UserVmResponse,
    description="Destroys a VM; it can be recovered until it is expunged",
    object_name="virtualmachine",
    is_async=True,
    roles=ALL_ROLES,
    java_class=f"{USER}.DestroyVMCmd",
    admin_java_class=f"{ADMIN}.DestroyVMCmdByAdmin",
    job_instance_type=VM,
    job_instance_param="id",
    event=_event("VM.DESTROY", "destroying Vm", lambda bound: f"destroying vm: {bound.instance_uuid}"),
)
def destroy_virtual_machine(call: Call, bound: Bound) -> Item:
    """Destroy it; an expunged one has nothing left to show."""
    expunge = bool(bound["expunge"])
    destroy_vm(life_services(call), call.caller, bound["id"], expunge=expunge, volume_ids=bound["volumeids"] or ())
    return Item(EXPUNGED) if expunge else vm_item(call, bound["id"])


@command(
    "expungeVirtualMachine",
    params=ExpungeVirtualMachineParams,
    response=SuccessResponse,
    description="Removes a destroyed VM and its root disk for good",
    is_async=True,
    roles=ALL_ROLES,
    java_class=f"{ADMIN}.ExpungeVMCmd",
    job_instance_type=VM,
    job_instance_param="id",
    event=_event("VM.EXPUNGE", "expunging Vm", lambda bound: f"Expunging vm: {bound.instance_uuid}"),
)
def expunge_virtual_machine(call: Call, bound: Bound) -> Success:
    """Remove it."""
    expunge_vm(life_services(call), call.caller, bound["id"])
    return Success()


@command(
    "migrateVirtualMachine",
    params=MigrateVirtualMachineParams,
    response=UserVmResponse,
    description="Moves a running VM to another host",
    object_name="virtualmachine",
    is_async=True,
    roles=ADMIN_ONLY,
    java_class=f"{ADMIN}.MigrateVMCmd",
    job_instance_type=VM,
    job_instance_param="virtualmachineid",
    event=_event(
        "VM.MIGRATE",
        "migrating VM",
        lambda bound: (
            f"Attempting to migrate VM id: {bound['virtualmachineid']}"
            + (f" to host Id: {bound['hostid']}" if bound["hostid"] is not None else "")
        ),
    ),
)
def migrate_virtual_machine(call: Call, bound: Bound) -> Item:
    """Move it and show it; its storage cannot be moved here."""
    vm_id = bound["virtualmachineid"]
    if bound["hostid"] is not None and bound["storageid"] is not None:
        raise InvalidParameterValueError("Only one of hostId and storageId can be specified")
    with call.services.store.session() as session:
        if get_live(session, VmInstance, vm_id) is None:
            raise InvalidParameterValueError(f"Unable to find the VM by id={vm_id}")
    refuse_unknown(bound, "storageid")
    migrate_vm(
        life_services(call), call.caller, vm_id, host_id=bound["hostid"], autoselect=bound["autoselect"] is not False
    )
    return vm_item(call, vm_id)


COMMANDS = (
    start_virtual_machine,
    stop_virtual_machine,
    reboot_virtual_machine,
    destroy_virtual_machine,
    expunge_virtual_machine,
    migrate_virtual_machine,
)
