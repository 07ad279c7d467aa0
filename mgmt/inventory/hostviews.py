"""Answers of hosts that are kept while nothing that they are made of changes.

A page of 500 hosts costs 20 ms of computing time to make and 1 ms to find unchanged, and whoever lists hosts lists them
again: user interfaces every few seconds, and whoever waits for a fleet.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mgmt.inventory.answers import Finished, date_text
from mgmt.inventory.capacity import NO_USAGE
from mgmt.inventory.hosts import HostFacts, HostRow, host_view

_TIMES = ("disconnected", "lastpinged", "created", "lastannotated")
MOST_KEPT = 2_000  # some 5 kB each


class HostViews:
    """The answers of one server's hosts by host and levels of detail; thread-safe."""

    def __init__(self) -> None:
        self._kept: dict[tuple[int, tuple[str, ...]], tuple[tuple[object, ...], Finished]] = {}

    def of(self, hosts: Sequence[HostRow], facts: HostFacts, details: Sequence[str]) -> list[Mapping[str, Any]]:
        """The answers in their order; nobody may change them."""
        levels = tuple(details)
        views: list[Mapping[str, Any]] = []
        for host in hosts:
            made_of = _made_of(host, facts)
            kept = self._kept.get((host.id, levels))
            if kept is None or kept[0] != made_of:
                if len(self._kept) >= MOST_KEPT:
                    self._kept.clear()
                kept = self._kept[host.id, levels] = made_of, _finished(host_view(host, facts, details))
            views.append(kept[1])
        return views


def _finished(view: dict[str, Any]) -> Finished:
    """What `clean` makes of a host's answer, in a fifth of the time: inner objects hold texts and switches only."""
    for name in _TIMES:
        if view.get(name) is not None:
            view[name] = date_text(view[name])
    return Finished({name: value for name, value in view.items() if value is not None})


def _made_of(host: HostRow, facts: HostFacts) -> tuple[object, ...]:
    """All that `host_view` looks at."""
    return (
        host,
        facts.details.get(host.id),
        facts.usage.get(host.id, NO_USAGE),
        facts.servers.get(host.management_server_id or 0),
        host.id in facts.with_local_pool,
        facts.os_categories.get(host.os_category_id or 0),
        facts.stats.get(host.id),
        facts.is_last_pinged_right,
        facts.jobs.get(host.uuid),
    )
