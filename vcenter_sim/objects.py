"""Making data objects quickly.

pyvmomi's constructor looks at every field of a class and its bases for each object; an inventory has hundreds of
objects with dozens of fields, most of them unset. Here a class is looked at once.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from vcenter_sim.types import DataObject


def make(kind: DataObject, /, **values: Any) -> DataObject:
    """What `kind(**values)` gives, for a data object class; raises TypeError for a value that its field cannot take."""
    blank, lists, types = _plan(kind)
    made = kind.__new__(kind)
    fields: dict[str, Any] = vars(made)
    fields.update(blank)
    for name, list_type in lists:
        fields[name] = list_type()
    for name, value in values.items():
        # What pyvmomi's own check lets pass at once; the rest is left to it.
        if value is not None and isinstance(value, types.get(name, ())) and not isinstance(value, list):
            fields[name] = value
        else:
            setattr(made, name, value)
    return made


@cache
def _plan(kind: DataObject) -> tuple[dict[str, Any], tuple[tuple[str, type], ...], dict[str, type]]:
    """The fields of a new object that hold plain values, those that hold lists, and the types of all but any-typed."""
    new = vars(kind())
    plain = {name: value for name, value in new.items() if not isinstance(value, list)}
    lists = tuple((name, type(value)) for name, value in new.items() if isinstance(value, list))
    types = {info.name: info.type for info in kind._GetPropertyList() if info.type is not object}
    return plain, lists, types
