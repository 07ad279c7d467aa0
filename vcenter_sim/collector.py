"""What a PropertyFilterSpec selects: objects by traversal, values by path."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from vcenter_sim import faults, paths, wire
from vcenter_sim.inventory import Inventory, Managed
from vcenter_sim.types import DataObject, Reference, vmodl

_Collector = vmodl.query.PropertyCollector


@dataclass
class Selection:
    """The objects that a spec selects, each with the paths to read, in the order of the walk.

    `page_size` is how many of them the client wants at a time, for what is left after a page.
    """

    entries: list[tuple[Managed, tuple[str, ...]]] = field(default_factory=list)
    page_size: int | None = None


class _Walk:
    """One traversal from the spec's objects; every object is taken once and every (object, rule) pair walked once."""

    def __init__(self, inventory: Inventory, spec: DataObject, *, tolerate_missing: bool) -> None:
        self._inventory = inventory
        self._named: dict[str, DataObject] = {}
        self._walked: set[tuple[str, int]] = set()
        self.found: dict[str, Managed] = {}
        for object_spec in spec.objectSet:
            self._learn_names(object_spec.selectSet)
        for object_spec in spec.objectSet:
            self._from(object_spec, tolerate_missing or bool(spec.reportMissingObjectsInResults))

    def _learn_names(self, selections: list[DataObject]) -> None:
        for selection in selections:
            if isinstance(selection, _Collector.TraversalSpec):
                if selection.name:
                    self._named[selection.name] = selection
                self._learn_names(selection.selectSet)

    def _from(self, object_spec: DataObject, tolerate_missing: bool) -> None:
        try:
            start = self._inventory.find(object_spec.obj)
        except vmodl.fault.ManagedObjectNotFound:
            if tolerate_missing:
                return
            raise
        if not object_spec.skip:
            self.found.setdefault(start.moid, start)
        stack = [(start, rule) for rule in reversed(self._rules(object_spec.selectSet))]
        while stack:
            managed, rule = stack.pop()
            if not issubclass(managed.kind, rule.type) or (managed.moid, id(rule)) in self._walked:
                continue
            self._walked.add((managed.moid, id(rule)))
            following: list[tuple[Managed, DataObject]] = []
            for child in self._children(managed, rule.path):
                if not rule.skip:
                    self.found.setdefault(child.moid, child)
                following.extend((child, next_rule) for next_rule in self._rules(rule.selectSet))
            stack.extend(reversed(following))

    def _rules(self, selections: list[DataObject]) -> list[DataObject]:
        rules = []
        for selection in selections:
            if isinstance(selection, _Collector.TraversalSpec):
                rules.append(selection)
            elif selection.name in self._named:
                rules.append(self._named[selection.name])
            else:
                raise faults.invalid_argument("specSet.objectSet.selectSet.name")
        return rules

    def _children(self, managed: Managed, path: str) -> list[Managed]:
        value = paths.read(managed, path)
        refs = value if isinstance(value, list) else [value]
        children = (self._inventory.get(ref._GetMoId()) for ref in refs if wire.managed_type(ref))
        return [child for child in children if child is not None]


def select(inventory: Inventory, specs: list[DataObject], *, tolerate_missing: bool = False) -> Selection:
    """What the specs select now; raises ManagedObjectNotFound, InvalidProperty, InvalidArgument.

    With `tolerate_missing` a start object that is gone selects nothing, as it must for a filter that outlives it.
    """
    selection = Selection()
    for spec in specs:
        for property_spec in spec.propSet:
            for path in property_spec.pathSet:
                paths.check(property_spec.type, path)
        for managed in _Walk(inventory, spec, tolerate_missing=tolerate_missing).found.values():
            asked = _paths_for(managed, spec.propSet)
            if asked is not None:
                selection.entries.append((managed, asked))
    return selection


def _paths_for(managed: Managed, property_specs: list[DataObject]) -> tuple[str, ...] | None:
    """The paths asked of one object; None when no PropertySpec is about its type."""
    asked: dict[str, None] = {}
    concerned = False
    for spec in property_specs:
        if issubclass(managed.kind, spec.type):
            concerned = True
            names = wire.property_names(managed.kind) if spec.all else spec.pathSet
            asked.update(dict.fromkeys(names))
    return tuple(asked) if concerned else None


def values_of(managed: Managed, asked: tuple[str, ...]) -> dict[str, Any]:
    """The set values by path; unset ones are left out, as vCenter does."""
    values = ((path, paths.read(managed, path)) for path in asked)
    return {path: value for path, value in values if value is not None}


def content_of(managed: Managed, asked: tuple[str, ...]) -> DataObject:
    """One object of a collector's answer."""
    properties = [vmodl.DynamicProperty(name=path, val=value) for path, value in values_of(managed, asked).items()]
    return _Collector.ObjectContent(obj=managed.ref, propSet=properties)


def readable_anonymously(ref: Reference, path: str) -> bool:
    """Whether a property may be read before login (the content of the service instance, mostly)."""
    info = wire.property_info(type(ref), path.partition(".")[0])
    return info is not None and getattr(info, "privId", None) == "System.Anonymous"
