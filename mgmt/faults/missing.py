"""Rows of the catalogue that cannot be had by name yet: what each would be, and what it waits for."""

from __future__ import annotations

from collections.abc import Mapping

WARM = "the warm import, which this server does not have"

MISSING: Mapping[str, tuple[str, str]] = {
    "F-101": ("cbt.not_enabled", WARM),
    "F-102": ("cbt.bad_change_id", WARM),
    "F-103": ("cbt.snapshot_limit", WARM),
    "F-104": ("cbt.vss_off", WARM),
    "F-105": ("cbt.foreign_snapshot", WARM),
    "F-106": ("cbt.never_converges", WARM),
    "F-107": ("cbt.no_vddk", WARM),
    "F-108": ("cbt.privileges", WARM),
}
