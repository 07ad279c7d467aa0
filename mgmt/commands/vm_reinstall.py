"""A VM's root disk made anew, and another compute offering for it."""

from __future__ import annotations

from mgmt.commands.catalogued import DoneEvent, done, job
from mgmt.commands.declaration import Bound, Call, Item, events_of
from mgmt.commands.life_calls import life_services, refuse_unknown, vm_item
from mgmt.inventory.vms import vm_view
from mgmt.life.reinstall import change_offering, restore_vm

VM = "VirtualMachine"
_event = events_of(VM)


@job(
    "restoreVirtualMachine",
    "virtualmachine",
    since="3.0.0",
    event=_event("VM.RESTORE", "restoring Vm", lambda bound: "Restore a VM to original template or specific snapshot"),
    instance_type=VM,
    instance_param="virtualmachineid",
    admin_java_class="org.apache.cloudstack.api.command.admin.vm.RestoreVMCmdByAdmin",
)
def restore_virtual_machine(call: Call, bound: Bound) -> Item:
    """Give it a new root disk and show it."""
    refuse_unknown(bound, "diskofferingid")
    restore_vm(
        life_services(call),
        call.caller,
        bound["virtualmachineid"],
        template_id=bound["templateid"],
        size_gib=bound["rootdisksize"],
    )
    return vm_item(call, bound["virtualmachineid"])


@job(
    "scaleVirtualMachine",
    "virtualmachine",
    event=_event(
        "VM.UPGRADE",
        "scaling Vm",
        lambda bound: f"upgrading vm: {bound.instance_uuid} to service offering: {bound.sent['serviceofferingid']}",
    ),
    instance_type=VM,
    instance_param="id",
    admin_java_class="org.apache.cloudstack.api.command.admin.vm.ScaleVMCmdByAdmin",
)
def scale_virtual_machine(call: Call, bound: Bound) -> Item:
    """Give it another compute offering; a running one cannot grow, as setting enable.dynamic.scale.vm is off."""
    with call.services.store.session() as session:
        change_offering(session, call.caller, bound["id"], bound["serviceofferingid"], bound["details"])
    return vm_item(call, bound["id"])


@done("changeServiceForVirtualMachine", "virtualmachine", event=DoneEvent(VM, "VM.UPGRADE", "Upgrading VM"))
def change_service_for_virtual_machine(call: Call, bound: Bound) -> Item:
    """Give a stopped VM another compute offering."""
    vm = change_offering(call.db, call.caller, bound["id"], bound["serviceofferingid"], bound["details"])
    return Item(vm_view(call.db, vm, call.caller))


COMMANDS = (restore_virtual_machine, scale_virtual_machine, change_service_for_virtual_machine)
