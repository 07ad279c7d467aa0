"""The types that events of this release have, whether or not anything here writes them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from mgmt.fixtures import fixtures_dir


@cache
def event_types() -> Sequence[str]:
    """All names, in CloudStack's order; the file explains its form."""
    names: list[str] = []
    for line in (fixtures_dir() / "catalog" / "event_types.txt").read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            family, *rest = line.split()
            names += [f"{family}.{each}" for each in rest] or [family]
    return tuple(names)
