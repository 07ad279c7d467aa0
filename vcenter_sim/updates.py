"""Property filters and the updates they give: what WaitForUpdatesEx, WaitForUpdates and CheckForUpdates answer."""

from __future__ import annotations

from typing import Any

from vcenter_sim import collector, wire
from vcenter_sim.inventory import Inventory
from vcenter_sim.types import DataObject, Reference, vmodl

_Collector = vmodl.query.PropertyCollector


class Filter:
    """One filter and what its client has been told already (as text, by object and path)."""

    def __init__(self, ref: Reference, spec: DataObject) -> None:
        self.ref = ref
        self.spec = spec
        self._told: dict[str, tuple[Reference, dict[str, str]]] = {}

    def forget(self) -> None:
        """Have the next `updates` tell everything again."""
        self._told.clear()

    def updates(self, inventory: Inventory) -> list[DataObject]:
        """One ObjectUpdate for every object that came, changed or went since the last call."""
        told: dict[str, tuple[Reference, dict[str, str]]] = {}
        updates: list[DataObject] = []
        for managed, asked in collector.select(inventory, [self.spec], tolerate_missing=True).entries:
            values = collector.values_of(managed, asked)
            texts = {path: wire.text_of(value) for path, value in values.items()}
            told[managed.moid] = (managed.ref, texts)
            _, before = self._told.get(managed.moid, (None, None))
            changes = _changes(before or {}, texts, values)
            if before is None:
                updates.append(_Collector.ObjectUpdate(kind="enter", obj=managed.ref, changeSet=changes))
            elif changes:
                updates.append(_Collector.ObjectUpdate(kind="modify", obj=managed.ref, changeSet=changes))
        for moid, (ref, _) in self._told.items():
            if moid not in told:
                updates.append(_Collector.ObjectUpdate(kind="leave", obj=ref))
        self._told = told
        return updates


def _changes(before: dict[str, str], after: dict[str, str], values: dict[str, Any]) -> list[DataObject]:
    changes = [
        _Collector.Change(name=path, op="assign", val=values[path])
        for path, text in after.items()
        if before.get(path) != text
    ]
    changes += [_Collector.Change(name=path, op="assign") for path in before if path not in after]
    return changes


class UpdateFeed:
    """The filters of one property collector in one session, and the version its client has seen."""

    def __init__(self) -> None:
        self.filters: dict[str, Filter] = {}
        self.cancelled = False
        self.waiting = 0
        self._version = 0
        self._seen_inventory: int | None = None

    def add(self, filter_: Filter) -> None:
        """Take a filter in; its objects come with the next updates."""
        self.filters[filter_.ref._GetMoId()] = filter_
        self._seen_inventory = None

    def updates(self, inventory: Inventory, version: str | None) -> DataObject | None:
        """What changed since `version` (everything for an empty one); None when nothing did.

        Raises InvalidCollectorVersion for a version that is not the last one given out.
        """
        if not version:
            self._seen_inventory = None
            for filter_ in self.filters.values():
                filter_.forget()
        elif version != str(self._version):
            raise vmodl.query.InvalidCollectorVersion(msg="The version is not the last one that was given out.")
        if self._seen_inventory == inventory.version:
            return None
        self._seen_inventory = inventory.version
        sets = []
        for filter_ in list(self.filters.values()):
            objects = filter_.updates(inventory)
            if objects:
                sets.append(_Collector.FilterUpdate(filter=filter_.ref, objectSet=objects))
        if not sets:
            return None
        self._version += 1
        return _Collector.UpdateSet(version=str(self._version), filterSet=sets, truncated=False)
