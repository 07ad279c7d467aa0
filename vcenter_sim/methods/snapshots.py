"""Snapshots, and the areas of disks that have changed since one."""

from __future__ import annotations

from vcenter_sim import faults
from vcenter_sim.service import Context
from vcenter_sim.types import DataObject, Reference


def create(context: Context) -> Reference:
    """A task whose result is the new snapshot. The guest's memory is not kept, whatever is asked."""
    vm, arguments = context.this, context.arguments

    def work() -> Reference:
        if not context.inventory.exists(vm):
            raise faults.not_found(vm.ref)
        return context.world.snapshots.create(vm, arguments["name"], arguments["description"] or "").ref

    return context.world.tasks.start(
        "CreateSnapshot_Task", vm, context.username, work, duration_s=context.world.timings.snapshot_s
    )


def remove(context: Context) -> Reference:
    """A task that takes the snapshot away."""
    managed, with_children = context.this, bool(context.arguments["removeChildren"])

    def work() -> None:
        if not context.inventory.exists(managed):
            raise faults.not_found(managed.ref)
        context.world.snapshots.remove(managed, with_children=with_children)

    entity = context.inventory.find(managed["vm"])
    return context.world.tasks.start(
        "RemoveSnapshot_Task", entity, context.username, work, duration_s=context.world.timings.snapshot_s
    )


def remove_all(context: Context) -> Reference:
    """A task that takes all snapshots of the VM away."""
    vm = context.this

    def work() -> None:
        for managed in reversed(context.world.snapshots.of(vm)):
            context.world.snapshots.remove(managed, with_children=False)

    return context.world.tasks.start(
        "RemoveAllSnapshots_Task", vm, context.username, work, duration_s=context.world.timings.snapshot_s
    )


def query_changed_disk_areas(context: Context) -> DataObject:
    """The changed areas of one disk; needs a snapshot."""
    given = context.arguments
    if given["snapshot"] is None:
        raise faults.invalid_argument("snapshot")
    snapshot = context.inventory.find(given["snapshot"])
    return context.world.snapshots.changed_areas(
        context.this, snapshot, given["deviceKey"], given["startOffset"], given["changeId"]
    )


METHODS = {
    "CreateSnapshot_Task": create,
    "RemoveSnapshot_Task": remove,
    "RemoveAllSnapshots_Task": remove_all,
    "QueryChangedDiskAreas": query_changed_disk_areas,
}
