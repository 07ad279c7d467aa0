"""What VMs can do: clone, power, relocate, reconfigure, shut down."""

from __future__ import annotations

from typing import Any

from vcenter_sim import copies, devices, faults, machines
from vcenter_sim.copies import DiskPlacement
from vcenter_sim.inventory import Managed
from vcenter_sim.machines import Place
from vcenter_sim.service import Context
from vcenter_sim.types import DataObject, Reference, vim, vmodl


def clone(context: Context) -> Reference:
    """A task that makes a powered-off copy; its result is the new VM. Fails with DuplicateName."""
    source, name, spec = context.this, context.arguments["name"], context.arguments["spec"]
    if not name:
        raise faults.invalid_argument("name")
    folder = context.inventory.find(context.arguments["folder"])
    place = _place(context, source, folder, spec.location, template=spec.template)
    placements = _placements(context, spec.location)

    def work() -> Any:
        for needed in (source, folder):
            if not context.inventory.exists(needed):
                raise faults.not_found(needed.ref)
        made = copies.clone(context.inventory, source, name, place, placements, template=spec.template)
        if spec.powerOn and not spec.template:
            machines.switch(context.inventory, made, "poweredOn")
        return made.ref

    return context.world.tasks.start(
        "CloneVM_Task",
        source,
        context.username,
        work,
        duration_s=context.world.timings.clone_s,
        steps=(10, 35, 65, 90),
        cancelable=True,
    )


def _place(context: Context, source: Managed, folder: Managed, location: DataObject, *, template: bool) -> Place:
    """Where a clone goes: what the spec names, else where the source is."""
    inventory = context.inventory
    pool_ref = location.pool if location.pool is not None else source["resourcePool"]
    if pool_ref is None and not template:
        raise faults.invalid_argument("spec.location.pool")  # a template has no pool to inherit
    pool = inventory.find(pool_ref) if pool_ref is not None else None
    host = inventory.find(location.host if location.host is not None else source["runtime"].host)
    if pool is not None:
        owned = inventory.find(pool["owner"])["host"]
        if host.ref not in owned:
            if location.host is not None:
                raise faults.invalid_argument("spec.location.host")
            host = inventory.find(owned[0])
    datastore_ref = location.datastore if location.datastore is not None else _home(context, source)
    return Place(folder, host, None if template else pool, inventory.find(datastore_ref))


def _home(context: Context, vm: Managed) -> Reference:
    home = vm["config"].files.vmPathName.partition("]")[0].removeprefix("[")
    datacenter = context.inventory.ancestor(vm, vim.Datacenter)
    return next(ref for ref in datacenter["datastore"] if context.inventory.find(ref).name == home)


def _placements(context: Context, location: DataObject) -> dict[int, DiskPlacement]:
    placements = {}
    for locator in location.disk:
        backing = locator.diskBackingInfo
        placements[locator.diskId] = DiskPlacement(
            datastore=context.inventory.find(locator.datastore),
            thin=getattr(backing, "thinProvisioned", None),
        )
    return placements


def _power_task(context: Context, wanted: str, allowed: tuple[str, ...]) -> Reference:
    vm = context.this

    def work() -> None:
        if not context.inventory.exists(vm):
            raise faults.not_found(vm.ref)
        state = machines.power_state(vm)
        if state not in allowed:
            raise faults.invalid_power_state(state, wanted)
        machines.switch(context.inventory, vm, wanted)

    if wanted == "poweredOn" and vm["config"].template:
        raise vmodl.fault.NotSupported(msg="The operation is not supported on the object.")
    return context.world.tasks.start(
        context.call.method, vm, context.username, work, duration_s=context.world.timings.power_s, steps=(50,)
    )


def power_on(context: Context) -> Reference:
    """A task that switches the VM on; fails with InvalidPowerState when it runs already."""
    return _power_task(context, "poweredOn", ("poweredOff", "suspended"))


def power_off(context: Context) -> Reference:
    """A task that switches the VM off; fails with InvalidPowerState when it is off already."""
    return _power_task(context, "poweredOff", ("poweredOn", "suspended"))


def suspend(context: Context) -> Reference:
    """A task that suspends the VM; fails with InvalidPowerState unless it runs."""
    return _power_task(context, "suspended", ("poweredOn",))


def shutdown_guest(context: Context) -> None:
    """Ask the guest to shut down; the VM is off a moment later. Raises ToolsUnavailable, InvalidPowerState."""
    vm = context.this
    state = machines.power_state(vm)
    if state != "poweredOn":
        raise faults.invalid_power_state(state, "poweredOn")
    if vm["guest"].toolsRunningStatus != "guestToolsRunning":
        raise faults.tools_unavailable()

    def work() -> None:
        with context.inventory.lock:
            if context.inventory.exists(vm) and machines.power_state(vm) == "poweredOn":
                machines.switch(context.inventory, vm, "poweredOff")

    context.world.scheduler.after(context.world.timings.power_s, work)


def relocate(context: Context) -> Reference:
    """A task that moves the VM to another host, pool or datastore."""
    vm, spec = context.this, context.arguments["spec"]
    inventory = context.inventory
    pool = inventory.find(spec.pool) if spec.pool is not None else None
    host = inventory.find(spec.host) if spec.host is not None else None
    datastore = inventory.find(spec.datastore) if spec.datastore is not None else None
    placements = _placements(context, spec)

    def work() -> None:
        if not inventory.exists(vm):
            raise faults.not_found(vm.ref)
        copies.relocate(inventory, vm, pool=pool, host=host, datastore=datastore, placements=placements)

    return context.world.tasks.start(
        "RelocateVM_Task", vm, context.username, work, duration_s=context.world.timings.relocate_s, cancelable=True
    )


_SIMPLE_FIELDS = {
    "numCPUs": "cpus",
    "numCoresPerSocket": "cores_per_socket",
    "memoryMB": "memory_mb",
    "annotation": "annotation",
    "changeTrackingEnabled": "change_tracking",
    "guestId": "guest_id",
}


def reconfigure(context: Context) -> Reference:
    """A task that sets name, CPUs, memory, annotation, guest id and change tracking.

    Raises NotSupported for device changes and anything else, instead of dropping them without a word.
    """
    vm, spec = context.this, context.arguments["spec"]
    given = {name for name in devices.set_fields(spec) if name not in ("name", "changeVersion")}
    if given - _SIMPLE_FIELDS.keys():
        raise vmodl.fault.NotSupported(msg=f"Not supported by this server: {', '.join(sorted(given))}")
    changes = {_SIMPLE_FIELDS[name]: getattr(spec, name) for name in given}

    def work() -> None:
        if not context.inventory.exists(vm):
            raise faults.not_found(vm.ref)
        if spec.name:
            machines.rename(context.inventory, vm, spec.name)
        machines.reconfigure(context.inventory, vm, changes)

    return context.world.tasks.start(
        "ReconfigVM_Task", vm, context.username, work, duration_s=context.world.timings.reconfigure_s, steps=(50,)
    )


METHODS = {
    "CloneVM_Task": clone,
    "PowerOnVM_Task": power_on,
    "PowerOffVM_Task": power_off,
    "SuspendVM_Task": suspend,
    "ShutdownGuest": shutdown_guest,
    "RelocateVM_Task": relocate,
    "ReconfigVM_Task": reconfigure,
}
