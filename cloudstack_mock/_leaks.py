"""What a test leaves behind in its world."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mgmt.imports.leaks import Leak

if TYPE_CHECKING:
    from cloudstack_mock._cloud import Cloud
    from mgmt.embedded import World

MOUNT = "mount"


class LeakedError(AssertionError):
    """A test, or an import, has left something behind; `leaks` holds what imports left."""

    def __init__(self, leaks: Sequence[Leak], others: Sequence[str] = ()) -> None:
        self.leaks = leaks
        lines = [*map(line_of, leaks), *others]
        super().__init__("\n".join(["left behind:", *(f"- {line}" for line in lines)]))


def line_of(leak: Leak) -> str:
    """What was left, where and by whom."""
    whose = f", by the import of {', '.join(leak.vm_names)}" if leak.vm_names else ""
    return f"{leak.thing.kind} {leak.thing.name} on {leak.thing.place}{whose}" + (
        f": {leak.reason}" if leak.reason else ""
    )


def leaks_of(world: World) -> Sequence[Leak]:
    """The leaks that are there now."""
    return world.server.services.leaks.report().leaks


def raise_for_leftovers(cloud: Cloud) -> None:
    """Raise LeakedError for what a test left: see docs/testing.md.

    What the test has asked for with `cloud.leaks()` is its own affair, and mounts are what every import of CloudStack
    leaves.
    """
    jobs = cloud.world.server.services.jobs.pending
    others = [f"job {job} still runs" for job in sorted(jobs)]
    others += [f"fault {armed.name} was armed and never met" for armed in cloud.world.faults.armed if not armed.fired]
    leaks = [leak for leak in leaks_of(cloud.world) if leak.thing.kind != MOUNT and leak.thing not in cloud.seen_leaks]
    if leaks or others:
        raise LeakedError(leaks, others)
