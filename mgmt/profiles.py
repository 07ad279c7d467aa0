"""The CloudStack releases that a server can behave as, as data.

`--profile NAME` chooses one. What a release does not know yet follows from the `since` of each command and parameter;
defects of a release are in `mgmt.quirks`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

Release = tuple[int, ...]


def release(text: str) -> Release:
    """A release as four numbers that can be compared: `4.22.1` is (4, 22, 1, 0); annotations also say `4.9+`."""
    numbers = [int(part) for part in text.rstrip("+").split(".")]
    return tuple([*numbers, 0, 0, 0, 0][:4])


@dataclass(frozen=True)
class Profile:
    """One release: its name as a setting, and the version that a server of it tells."""

    name: str
    numbers: Release
    version: str

    def has(self, since: str | None) -> bool:
        """True when what came with release `since` is there; None: it was always there."""
        return since is None or release(since) <= self.numbers

    @property
    def has_vddk(self) -> bool:
        """True when imports may read disks by VDDK, and hosts' VDDK facts are stored (pull request 12970)."""
        return self.has(VDDK_SINCE)


VDDK_SINCE = "4.22.1"
DEFAULT_PROFILE = "4.22.1"

PROFILES: Mapping[str, Profile] = {
    profile.name: profile
    for profile in (
        Profile("4.20", release("4.20.2"), "4.20.2.0"),
        Profile("4.21", release("4.21"), "4.21.0.0"),
        Profile("4.22.0", release("4.22"), "4.22.0.0"),
        Profile("4.22.1", release("4.22.1"), "4.22.1.0"),
        Profile("main", release("4.23"), "4.23.0.0-SNAPSHOT"),
    )
}
