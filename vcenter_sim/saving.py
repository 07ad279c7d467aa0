"""The state of an inventory, kept and taken back: objects, the values of their properties, and all counters."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from vcenter_sim import wire
from vcenter_sim.inventory import Inventory, Managed

_COUNTERS = ("_numbers", "_mac_numbers", "_disk_numbers", "_port_numbers")


@dataclass(frozen=True)
class SavedInventory:
    """What an inventory held at some time; nobody may change it."""

    revision: int
    values: Mapping[Managed, Mapping[str, Any]]
    memos: Mapping[Managed, object]
    macs: frozenset[str]
    counters: Mapping[str, itertools.count[int]]


def save(inventory: Inventory) -> SavedInventory:
    """What the inventory holds now."""
    with inventory.lock:
        objects = list(inventory._objects.values())
        return SavedInventory(
            revision=inventory.revision,
            values={managed: _copied(managed._values) for managed in objects},
            memos={managed: managed.memo for managed in objects},
            macs=frozenset(inventory._macs),
            counters={name: copy.copy(getattr(inventory, name)) for name in _COUNTERS},
        )


def restore(inventory: Inventory, saved: SavedInventory) -> SavedInventory:
    """Let the inventory hold that again; gives back the same under the inventory's new revision.

    Objects that were made since are gone, those that were removed are there again, under their own moids.
    """
    with inventory.lock:
        if inventory.revision == saved.revision:
            return saved
        for managed, values in saved.values.items():
            managed._values = _copied(values)
            managed.memo = saved.memos[managed]
        inventory._objects = {managed.moid: managed for managed in saved.values}
        inventory._macs = set(saved.macs)
        for name, counter in saved.counters.items():
            setattr(inventory, name, copy.copy(counter))
        inventory.changed()
        return SavedInventory(inventory.revision, saved.values, saved.memos, saved.macs, saved.counters)


def _copied(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: wire.twin_of(value) for name, value in values.items()}
