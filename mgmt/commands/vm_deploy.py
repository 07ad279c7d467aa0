"""deployVirtualMachine."""

from __future__ import annotations

from sqlalchemy import select

from mgmt.commands.catalogued import job
from mgmt.commands.declaration import Bound, Call, Item, events_of
from mgmt.commands.life_calls import created, life_services, refuse_unknown, vm_item
from mgmt.errors import CloudError
from mgmt.life.deploy import allocate_vm, mark_failed
from mgmt.life.start import Place, StartRequest, start_vm
from mgmt.store.models import VmInstance

VM = "VirtualMachine"
_event = events_of(VM)


def _allocate(call: Call, bound: Bound) -> str:
    refuse_unknown(bound, "snapshotid", "volumeid")
    vm = allocate_vm(call.db, life_services(call), call.caller, call.caller.user_id, bound)
    created(call, "VM.CREATE", f"deploying Vm. Vm Id: {vm.uuid}", VM, vm.uuid)
    return vm.uuid


@job(
    "deployVirtualMachine",
    "virtualmachine",
    admin_java_class="org.apache.cloudstack.api.command.admin.vm.DeployVMCmdByAdmin",
    instance_type=VM,
    create=_allocate,
    event=_event("VM.CREATE", "starting Vm", lambda bound: f"starting Vm. Vm Id: {bound.created_uuid}"),
)
def deploy_virtual_machine(call: Call, bound: Bound) -> Item:
    """Make the disks of the VM that `_allocate` recorded and, unless `startvm` is false, start it."""
    with call.services.store.session() as session:
        vm_id = session.scalars(select(VmInstance.id).where(VmInstance.uuid == bound.created_uuid)).one()
    if bound["startvm"] is not False:
        services = life_services(call)
        try:
            start_vm(services, call.caller, StartRequest(vm_id=vm_id, place=Place(host_id=bound["hostid"])))
        except CloudError:
            mark_failed(services, vm_id)
            raise
    return vm_item(call, vm_id)


COMMANDS = (deploy_virtual_machine,)
