"""How the shape of an answer differs from a recorded one."""

from __future__ import annotations

from typing import Any


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
