"""What a body looks like: its key, its fields and their types, without their values."""

from __future__ import annotations

import json
from typing import Any
from xml.etree import ElementTree

Shape = dict[str, Any]


def shape_of(body: str) -> Shape | None:
    """The shape of a JSON answer (`json`) or an XML one (`xml`); None for other text.

    Objects of one list are put together, so that a field that only some have counts as there.
    """
    if body.startswith("{"):
        return {"json": _json(json.loads(body))}
    if body.startswith("<?xml"):
        return {"xml": sorted(_paths(ElementTree.fromstring(body), ""))}
    return None


def _json(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _json(each) for name, each in value.items()}
    if isinstance(value, list):
        merged: dict[str, Any] = {}
        for each in value:
            inner = _json(each)
            if not isinstance(inner, dict):
                return [inner]
            merged |= inner
        return [merged] if value else []
    return "bool" if isinstance(value, bool) else type(value).__name__


def _paths(element: ElementTree.Element, above: str) -> set[str]:
    path = f"{above}/{element.tag}"
    found = {path}
    for name in element.attrib:
        found.add(f"{path}@{name}")
    for child in element:
        found |= _paths(child, path)
    return found


def differences(recorded: Any, ours: Any, path: str = "") -> list[str]:
    """What is recorded and not in ours, or of another type there; what ours has beyond is no difference."""
    if isinstance(recorded, dict) and isinstance(ours, dict):
        found = []
        for name, value in recorded.items():
            inner = f"{path}.{name}".lstrip(".")
            found += [f"{inner} is missing"] if name not in ours else differences(value, ours[name], inner)
        if not recorded and ours:
            found.append(f"{path} has {', '.join(ours)}")
        return found
    if isinstance(recorded, list) and isinstance(ours, list):
        return differences(recorded[0], ours[0], f"{path}[]") if recorded and ours else []
    if {recorded, ours} <= {"int", "float"} if isinstance(recorded, str) and isinstance(ours, str) else False:
        return []
    return [] if type(recorded) is type(ours) and recorded == ours else [f"{path} is {ours}, not {recorded}"]


# END
