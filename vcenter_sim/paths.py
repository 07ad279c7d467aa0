"""Property paths: `name`, `config.hardware.device`, `value[123]`, `config.hardware.device[2000].backing`.

Only properties that the types declare can be reached: what a client asks for never becomes a plain attribute access.
"""

from __future__ import annotations

import re
from typing import Any

from vcenter_sim import faults, wire
from vcenter_sim.inventory import Managed
from vcenter_sim.types import ManagedType

_STEP = re.compile(r'([A-Za-z_]\w*)(?:\["?([^"\]]*)"?\])?')


def _steps(path: str) -> list[tuple[str, str | None]]:
    steps = []
    for part in re.split(r"\.(?![^\[]*\])", path):
        match = _STEP.fullmatch(part)
        if match is None:
            raise faults.invalid_property(path)
        steps.append((match[1], match[2]))
    return steps


def check(kind: ManagedType, path: str) -> None:
    """Raise InvalidProperty when objects of the class cannot have the path."""
    name, _ = _steps(path)[0]
    if wire.property_info(kind, name) is None:
        raise faults.invalid_property(path)


def read(managed: Managed, path: str) -> Any:
    """The value at the path; None when it is unset. Raises InvalidProperty when the path is not declared."""
    declared: Any = managed.kind
    value: Any = managed
    for position, (name, key) in enumerate(_steps(path)):
        info = wire.property_info(declared, name)
        if info is None:
            raise faults.invalid_property(path)
        if value is not None:
            value = managed[name] if position == 0 else wire.typed(info, getattr(value, name))
        declared = info.type
        if key is not None:
            if not issubclass(declared, list):
                raise faults.invalid_property(path)
            value = _item(value or [], key)
            if value is None:
                return None
            declared = declared.Item
        if wire.is_data_object(value):
            declared = type(value)
    return value


def _item(items: list[Any], key: str) -> Any:
    """The item with that key: data objects by their `key`, references by moid, anything else by its text."""
    for item in items:
        if wire.managed_type(item):
            identity: object = item._GetMoId()
        elif wire.is_data_object(item):
            identity = getattr(item, "key", None) if wire.property_info(type(item), "key") else None
        else:
            identity = item
        if identity is not None and str(identity) == key:
            return item
    return None
