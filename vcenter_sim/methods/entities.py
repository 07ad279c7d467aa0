"""What any managed entity can do (Destroy, Rename), and the custom fields that hang on entities."""

from __future__ import annotations

from typing import Any

from vcenter_sim import faults, machines
from vcenter_sim.inventory import Managed
from vcenter_sim.service import Context
from vcenter_sim.types import DataObject, Reference, vim


def _machine(context: Context) -> Managed:
    """The receiver when it is a VM; other entities cannot be destroyed or renamed here."""
    if not issubclass(context.this.kind, vim.VirtualMachine):
        raise faults.method_not_found(context.this.ref, context.call.method)
    return context.this


def destroy(context: Context) -> Reference:
    """A task that takes a VM and its disks away; it fails with InvalidPowerState unless the VM is powered off."""
    vm = _machine(context)

    def work() -> None:
        if context.inventory.exists(vm):
            machines.destroy(context.inventory, vm)
        else:
            raise faults.not_found(vm.ref)

    return context.world.tasks.start(
        "Destroy_Task", vm, context.username, work, duration_s=context.world.timings.destroy_s, steps=(50,)
    )


def rename(context: Context) -> Reference:
    """A task that renames a VM; it fails with DuplicateName."""
    vm, name = _machine(context), context.arguments["newName"]
    if not name:
        raise faults.invalid_argument("newName")
    return context.world.tasks.start(
        "Rename_Task",
        vm,
        context.username,
        lambda: machines.rename(context.inventory, vm, name),
        duration_s=context.world.timings.reconfigure_s,
        steps=(50,),
    )


def add_custom_field_def(context: Context) -> DataObject:
    """A new custom field; raises DuplicateName."""
    name = context.arguments["name"]
    fields = list(context.this["field"])
    if any(field.name == name for field in fields):
        raise faults.duplicate_name(name, context.this.ref)
    key = max((field.key for field in fields), default=100) + 1
    made = vim.CustomFieldsManager.FieldDef(key=key, name=name, type=str, managedObjectType=context.arguments["moType"])
    context.this.set(field=[*fields, made])
    context.inventory.changed()
    return made


def set_field(context: Context) -> None:
    """Set an entity's value of a custom field; raises InvalidArgument for a key that no field has."""
    entity = context.inventory.find(context.arguments["entity"])
    key: int = context.arguments["key"]
    if all(field.key != key for field in context.this["field"]):
        raise faults.invalid_argument("key")
    kept: list[Any] = [value for value in entity["value"] or [] if value.key != key]
    values = [*kept, vim.CustomFieldsManager.StringValue(key=key, value=context.arguments["value"])]
    entity.set(value=values, customValue=values)
    context.inventory.changed()


def cancel_task(context: Context) -> None:
    """End a task; raises NotSupported for one that cannot be cancelled, InvalidState for one that has ended."""
    context.world.tasks.cancel(context.this)


METHODS = {
    "CancelTask": cancel_task,
    "Destroy_Task": destroy,
    "Rename_Task": rename,
    "AddCustomFieldDef": add_custom_field_def,
    "SetField": set_field,
}
