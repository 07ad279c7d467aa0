"""The live objects of the stand-in: a registry by moid, one lock, and a version that counts changes.

`Inventory` is a store of managed objects and their relations; what a YAML file turns into is in `building.py`, what a
VM's life changes in `machines.py`.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator
from typing import Any

from vcenter_sim import faults, wire
from vcenter_sim.providers import Clock, Ids
from vcenter_sim.types import ManagedType, Reference, vim

Computed = Callable[[], Any]


class Managed:
    """One managed object: its reference and the values of its properties.

    A property is either stored, or computed on reading (for what follows from other objects, such as the VMs of a
    host). Every value has the type that vim25 declares for the property.
    """

    __slots__ = ("_computed", "_set", "_values", "memo", "ref")

    def __init__(self, ref: Reference, on_set: Callable[[], None] = lambda: None) -> None:
        self.ref = ref
        self._set = on_set
        self.memo: object = None  # what the module that made the object must remember and no client can see
        self._values: dict[str, Any] = {}
        self._computed: dict[str, Computed] = {}

    @property
    def kind(self) -> ManagedType:
        """The pyvmomi class of the object."""
        return type(self.ref)

    @property
    def moid(self) -> str:
        """The object's identifier, such as `vm-42`."""
        return str(self.ref._GetMoId())

    @property
    def name(self) -> str:
        """The object's `name` property; empty for objects without one."""
        return str(self._values.get("name", ""))

    def __getitem__(self, name: str) -> Any:
        """The value of a property; None when it is unset. The name must be one the type declares."""
        computed = self._computed.get(name)
        if computed is not None:
            return wire.checked_value(self.kind, name, computed())
        return self._values.get(name)

    def set(self, **values: Any) -> None:
        """Store values; raises TypeError when one does not have the type its property declares."""
        for name, value in values.items():
            self._values[name] = wire.checked_value(self.kind, name, value)
        self._set()

    def compute(self, **getters: Computed) -> None:
        """Let properties be computed on every reading."""
        self._computed.update(getters)
        self._set()

    def __repr__(self) -> str:
        return f"<{self.kind.__name__} {self.moid} {self.name!r}>"


class Inventory:
    """All managed objects of one stand-in. Hold `lock` while reading or changing more than one value."""

    def __init__(self, clock: Clock, ids: Ids) -> None:
        self.clock = clock
        self.ids = ids
        self.lock = threading.RLock()
        self.version = 0
        self._revision = 0
        self._objects: dict[str, Managed] = {}
        self._numbers = itertools.count(1)
        self._listeners: set[threading.Event] = set()
        self._macs: set[str] = set()
        self._mac_numbers = itertools.count(1)
        self._disk_numbers = itertools.count(1)
        self._port_numbers = itertools.count(1)

    def new_moid(self, prefix: str) -> str:
        """An identifier that no object had before, such as `vm-42`."""
        return f"{prefix}{next(self._numbers)}"

    def take_mac(self, mac: str) -> None:
        """Keep a MAC address from being given out."""
        self._macs.add(mac.lower())

    def new_mac(self) -> str:
        """A MAC address of VMware's range for vCenter that no adapter had before."""
        with self.lock:
            while True:
                number = next(self._mac_numbers)
                mac = f"00:50:56:{0x80 | (number >> 16 & 0x3F):02x}:{number >> 8 & 0xFF:02x}:{number & 0xFF:02x}"
                if mac not in self._macs:
                    self._macs.add(mac)
                    return mac

    def new_disk_number(self) -> int:
        """The first half of a `diskObjectId` (`<n>-2000`): one number a VM."""
        return next(self._disk_numbers)

    def new_port_number(self) -> int:
        """The key of a distributed port that no adapter had before."""
        return next(self._port_numbers)

    def add(self, kind: ManagedType, moid: str, **values: Any) -> Managed:
        """A new object, known from now on by its moid."""
        with self.lock:
            if moid in self._objects:
                raise ValueError(f"there is an object {moid} already")
            managed = Managed(wire.reference(kind, moid), self._on_set)
            managed.set(**values)
            self._objects[moid] = managed
            self.changed()
            return managed

    def remove(self, managed: Managed) -> None:
        """Forget an object; references to it are then answered with ManagedObjectNotFound."""
        with self.lock:
            del self._objects[managed.moid]
            self.changed()

    def find(self, ref: Reference) -> Managed:
        """The object a reference names; raises ManagedObjectNotFound."""
        managed = self._objects.get(ref._GetMoId())
        if managed is None or not issubclass(managed.kind, type(ref)):
            raise faults.not_found(ref)
        return managed

    def exists(self, managed: Managed) -> bool:
        """Whether the object has not been removed."""
        return self._objects.get(managed.moid) is managed

    def get(self, moid: str) -> Managed | None:
        """The object with this moid; None when there is none."""
        return self._objects.get(moid)

    def of_kind(self, kind: ManagedType) -> Iterator[Managed]:
        """All objects of a class and its subclasses, in the order in which they were made."""
        return (managed for managed in list(self._objects.values()) if issubclass(managed.kind, kind))

    @property
    def vms(self) -> list[Managed]:
        """All VMs and templates, in the order in which they were made."""
        return list(self.of_kind(vim.VirtualMachine))

    @property
    def vm_names(self) -> list[str]:
        """The names of all VMs and templates, sorted; handy for checks that no clone is left."""
        return sorted(vm.name for vm in self.vms)

    def find_vm(self, name: str) -> Managed | None:
        """The first VM with exactly this name; None when there is none."""
        return next((vm for vm in self.vms if vm.name == name), None)

    def _on_set(self) -> None:
        self._revision += 1

    @property
    def revision(self) -> int:
        """Equal to an earlier one only if no value of the inventory has changed since, announced or not."""
        return self._revision

    def changed(self) -> None:
        """Say that something changed: wakes whoever waits for updates."""
        with self.lock:
            self._revision += 1
            self.session_ended()

    def session_ended(self) -> None:
        """Wake whoever waits for updates: the list of sessions changed, and no object of the inventory did."""
        with self.lock:
            self.version += 1
            for listener in self._listeners:
                listener.set()

    def subscribe(self, listener: threading.Event) -> None:
        """Have the event set at every change until `unsubscribe`."""
        with self.lock:
            self._listeners.add(listener)

    def unsubscribe(self, listener: threading.Event) -> None:
        """Undo `subscribe`."""
        with self.lock:
            self._listeners.discard(listener)

    def children(self, managed: Managed) -> list[Managed]:
        """What lies directly below an object in the inventory tree, as SearchIndex and container views see it."""
        names = _CHILD_PROPERTIES.get(managed.kind) or next(
            (paths for kind, paths in _CHILD_PROPERTIES.items() if issubclass(managed.kind, kind)), ()
        )
        found: list[Managed] = []
        for name in names:
            value = managed[name]
            for ref in value if isinstance(value, list) else [value]:
                child = self._objects.get(ref._GetMoId()) if ref is not None else None
                if child is not None:
                    found.append(child)
        return found

    def adopt(self, folder: Managed, child: Managed) -> None:
        """Put an object into a folder."""
        with self.lock:
            child.set(parent=folder.ref)
            folder["childEntity"].append(child.ref)  # in place: checking the whole list anew each time is quadratic
            self.changed()

    def orphan(self, child: Managed) -> None:
        """Take an object out of its folder."""
        with self.lock:
            folder = self.find(child["parent"])
            folder["childEntity"].remove(child.ref)
            self.changed()

    def child_named(self, folder: Managed, name: str) -> Managed | None:
        """The direct child of that name, compared as vCenter does: ignoring case; None when there is none."""
        wanted = name.lower()
        return next((child for child in self.children(folder) if child.name.lower() == wanted), None)

    def ancestor(self, managed: Managed, kind: ManagedType) -> Managed:
        """The nearest object of a class on the way up to the root; raises ManagedObjectNotFound."""
        current: Managed | None = managed
        while current is not None:
            if issubclass(current.kind, kind):
                return current
            parent = current["parent"]
            current = self._objects.get(parent._GetMoId()) if parent is not None else None
        raise faults.not_found(managed.ref)


_CHILD_PROPERTIES: dict[ManagedType, tuple[str, ...]] = {
    vim.Folder: ("childEntity",),
    vim.Datacenter: ("vmFolder", "hostFolder", "datastoreFolder", "networkFolder"),
    vim.ComputeResource: ("host", "resourcePool"),
    vim.ResourcePool: ("resourcePool", "vm"),
    vim.HostSystem: (),
}
