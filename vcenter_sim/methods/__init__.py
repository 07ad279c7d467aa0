"""The vim25 methods that are there: one function each, registered by WSDL name in a table a module."""

from __future__ import annotations

from vcenter_sim.methods import entities, exports, lookup, machines, networks, properties, sessions, snapshots
from vcenter_sim.service import MethodTable


def method_table() -> MethodTable:
    """All methods of the stand-in."""
    modules = (sessions, properties, lookup, entities, machines, networks, exports, snapshots)
    return MethodTable(
        methods={name: method for module in modules for name, method in module.METHODS.items()},
        waiting=properties.WAITING,
    )
