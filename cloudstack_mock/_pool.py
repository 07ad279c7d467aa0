"""Clouds for tests that follow each other: one that was taken back to its start is as good as a new one."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from cloudstack_mock._cloud import DEFAULT_URL, Cloud, Transport, arm, opened, reached, world_of
from mgmt.snapshots import SnapshotError

if TYPE_CHECKING:
    from cloudstack_mock._interception import OtherUrls
    from mgmt.embedded import World

logger = logging.getLogger(__name__)

KEPT = 4  # worlds that wait for a test that wants the like


@dataclass(frozen=True)
class Wanted:
    """What a test wants of its cloud."""

    transport: Transport
    url: str | None
    leak_check: bool
    other_urls: OtherUrls
    faults: tuple[Any, ...]
    settings: tuple[tuple[str, Any], ...]

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> Wanted:
        """From the keywords of a marker; raises ValueError for what cannot be had."""
        rest = dict(options)
        wanted = cls(
            transport=rest.pop("transport", "sockets"),
            url=rest.pop("url", None),
            leak_check=rest.pop("leak_check", True),
            other_urls=rest.pop("other_urls", True),
            faults=tuple(rest.pop("faults", ())),
            settings=tuple(sorted((name, _kept(value)) for name, value in rest.items())),
        )
        if wanted.transport not in ("memory", "sockets"):
            raise ValueError(f"transport = {wanted.transport!r}: expected 'memory' or 'sockets'")
        if wanted.transport == "memory" and wanted.url is None:
            return replace(wanted, url=DEFAULT_URL)
        return wanted

    @property
    def kind(self) -> tuple[object, ...]:
        """Worlds of one kind can stand in for each other."""
        return self.transport, self.settings


def _kept(value: Any) -> Any:
    return tuple(value) if isinstance(value, list | set | frozenset) else value


@contextmanager
def made(wanted: Wanted) -> Iterator[Cloud]:
    """A cloud of its own during the block."""
    options = dict(wanted.settings)
    with opened(wanted.transport, wanted.url, other_urls=wanted.other_urls, options=options) as cloud:
        arm(cloud, wanted.faults)
        yield cloud


class Pool:
    """The worlds that were made in this run and may be used again; for one thread."""

    def __init__(self) -> None:
        self._idle: list[tuple[tuple[object, ...], World]] = []

    @contextmanager
    def lent(self, wanted: Wanted) -> Iterator[Cloud]:
        """A cloud as after its start, during the block. Outside of it nothing of it is reached at its URL."""
        world = self._take(wanted)
        try:
            with reached(world, wanted.url, wanted.other_urls) as cloud:
                arm(cloud, wanted.faults)
                yield cloud
        finally:
            self._give_back(wanted, world)

    def _take(self, wanted: Wanted) -> World:
        for entry in self._idle:
            if entry[0] == wanted.kind:
                self._idle.remove(entry)
                return entry[1]
        world = world_of(dict(wanted.settings), in_memory=wanted.transport == "memory")
        world.start()
        return world

    def _give_back(self, wanted: Wanted, world: World) -> None:
        try:
            world.reset()
        except SnapshotError as error:  # what a test has broken for good must not meet the next one
            logger.warning("a cloud could not be taken back, the next test gets a new one: %s", error)
            world.stop()
            return
        except BaseException:
            world.stop()
            raise
        self._idle.append((wanted.kind, world))
        while len(self._idle) > KEPT:
            self._idle.pop(0)[1].stop()

    def close(self) -> None:
        """End all of them."""
        while self._idle:
            self._idle.pop()[1].stop()
