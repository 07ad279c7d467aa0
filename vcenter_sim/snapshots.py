"""Snapshots of VMs, and which areas of a disk have changed since one: what warm copies ask for.

A disk is tracked where `changeTrackingEnabled` was set before the snapshot. A running guest writes `WRITES_PER_S` bytes
a second of the clock to the beginning of each disk, one that is powered off nothing.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace

from vcenter_sim import devices, faults, machines, wire
from vcenter_sim.inventory import Inventory, Managed
from vcenter_sim.providers import utc
from vcenter_sim.types import DataObject, vim

WRITES_PER_S = 1024 * 1024
MAX_DEPTH = 32
ALL_ALLOCATED = "*"


@dataclass(frozen=True)
class _Taken:
    """What a snapshot remembers and no client can see: when it was taken, and what it is a child of."""

    vm: Managed
    parent: Managed | None
    at_s: float
    number: int
    name: str


class Snapshots:
    """All snapshots of one stand-in. `untracked` are disks that are left out of tracking, by VM name and key."""

    def __init__(self, inventory: Inventory) -> None:
        self._inventory = inventory
        self._numbers = itertools.count(1)
        self._times: dict[str, float] = {}  # change ids outlive their snapshots
        self.untracked: dict[str, set[int]] = {}
        self.writes_per_s: dict[str, float] = {}
        """How much a guest writes to each disk, by VM name."""

    def create(self, vm: Managed, name: str, description: str = "") -> Managed:
        """A new snapshot, the current one from now on; raises the fault TooManySnapshotLevels."""
        inventory = self._inventory
        with inventory.lock:
            current = self._current(vm)
            if self._depth(current) >= MAX_DEPTH:
                raise vim.fault.TooManySnapshotLevels(msg="Snapshot hierarchy is too deep.")
            number = next(self._numbers)
            config, change_id = wire.copy_of(vm["config"]), f"{vm['config'].uuid}/{number}"
            self._times[change_id] = inventory.clock.monotonic()
            for disk in devices.disks_of(config.hardware.device):
                if config.changeTrackingEnabled and disk.key not in self.untracked.get(vm.name, ()):
                    disk.backing.changeId = change_id
            managed = inventory.add(
                vim.vm.Snapshot, inventory.new_moid("snapshot-"), config=config, childSnapshot=[], vm=vm.ref
            )
            managed.memo = _Taken(vm, current, inventory.clock.monotonic(), number, name)
            self._show(vm, managed, description)
            return managed

    def remove(self, managed: Managed, *, with_children: bool) -> None:
        """Take a snapshot away; without its children, these hang on its parent."""
        inventory = self._inventory
        with inventory.lock:
            taken = _taken(managed)
            for child in self._children(managed):
                if with_children:
                    self.remove(child, with_children=True)
                else:
                    child.memo = replace(_taken(child), parent=taken.parent)
            current = self._current(taken.vm)
            inventory.remove(managed)
            self._show(taken.vm, taken.parent if current is managed else current)

    def of(self, vm: Managed) -> list[Managed]:
        """The VM's snapshots, oldest first."""
        found = [each for each in self._inventory.of_kind(vim.vm.Snapshot) if isinstance(each.memo, _Taken)]
        return [each for each in found if _taken(each).vm is vm]

    def changed_areas(self, vm: Managed, snapshot: Managed, key: int, start: int, change_id: str) -> DataObject:
        """The areas of a disk that changed between `change_id` and the snapshot, or all that are allocated for `*`.

        Raises InvalidArgument for what names nothing, and FileFault for a disk that is not tracked.
        """
        disk = next((each for each in devices.disks_of(snapshot["config"].hardware.device) if each.key == key), None)
        if disk is None:
            raise faults.invalid_argument("deviceKey")
        if not disk.backing.changeId:
            name = disk.backing.fileName
            raise vim.fault.FileFault(file=name, msg=f"Error caused by file {name}")
        if not 0 <= start < disk.capacityInBytes:
            raise faults.invalid_argument("startOffset")
        end = disk.capacityInBytes
        if change_id != ALL_ALLOCATED:
            begun_s = self._times.get(change_id)
            if begun_s is None or begun_s > _taken(snapshot).at_s or not change_id.startswith(vm["config"].uuid):
                raise faults.invalid_argument("startOffset")  # vCenter's words for a change id that it does not know
            end = min(end, int((_taken(snapshot).at_s - begun_s) * self._writes(vm)))
        extents = [vim.VirtualMachine.DiskChangeInfo.DiskChangeExtent(start=start, length=end - start)]
        return vim.VirtualMachine.DiskChangeInfo(
            startOffset=start, length=disk.capacityInBytes - start, changedArea=extents if end > start else []
        )

    def _children(self, managed: Managed) -> list[Managed]:
        return [each for each in self.of(_taken(managed).vm) if _taken(each).parent is managed]

    def _writes(self, vm: Managed) -> float:
        if machines.power_state(vm) != "poweredOn":
            return 0.0
        return self.writes_per_s.get(vm.name, WRITES_PER_S)

    def _current(self, vm: Managed) -> Managed | None:
        info = vm["snapshot"]
        return None if info is None else self._inventory.find(info.currentSnapshot)

    def _depth(self, managed: Managed | None) -> int:
        depth = 0
        while managed is not None:
            managed, depth = _taken(managed).parent, depth + 1
        return depth

    def _show(self, vm: Managed, current: Managed | None, description: str = "") -> None:
        roots = [each for each in self.of(vm) if _taken(each).parent is None]
        if current is None or not roots:
            vm.set(snapshot=None, rootSnapshot=[])
        else:
            for each in self.of(vm):
                each.set(childSnapshot=[child.ref for child in self._children(each)])
            tree = [self._tree(root, description) for root in roots]
            info = vim.vm.SnapshotInfo(currentSnapshot=current.ref, rootSnapshotList=tree)
            vm.set(snapshot=info, rootSnapshot=[root.ref for root in roots])
        self._inventory.changed()

    def _tree(self, managed: Managed, description: str) -> DataObject:
        taken = _taken(managed)
        return vim.vm.SnapshotTree(
            snapshot=managed.ref,
            vm=taken.vm.ref,
            name=taken.name,
            description=description,
            id=taken.number,
            createTime=utc(self._inventory.clock),
            state=machines.power_state(taken.vm),
            quiesced=False,
            replaySupported=False,
            childSnapshotList=[self._tree(child, description) for child in self._children(managed)],
        )


def _taken(managed: Managed) -> _Taken:
    assert isinstance(managed.memo, _Taken)
    return managed.memo
