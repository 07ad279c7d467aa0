"""Clouds for tests that follow each other: one that was taken back to its start is as good as a new one."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any

from cloudstack_mock._cloud import DEFAULT_URL, Cloud, Transport, arm, opened
from mgmt.snapshots import SnapshotError

logger = logging.getLogger(__name__)

KEPT = 4  # clouds that wait for a test that wants the like


@dataclass(frozen=True)
class Wanted:
    """What a test wants of its cloud."""

    transport: Transport
    url: str | None
    leak_check: bool
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
        """Clouds of one kind can stand in for each other."""
        return self.transport, self.url, self.settings


def _kept(value: Any) -> Any:
    return tuple(value) if isinstance(value, list | set | frozenset) else value


@contextmanager
def made(wanted: Wanted) -> Iterator[Cloud]:
    """A new cloud during the block."""
    with opened(wanted.transport, wanted.url, other_urls=True, options=dict(wanted.settings)) as cloud:
        arm(cloud, wanted.faults)
        yield cloud


class Pool:
    """The clouds that were made in this run and may be used again; for one thread."""

    def __init__(self) -> None:
        self._idle: list[tuple[tuple[object, ...], Cloud, ExitStack]] = []

    @contextmanager
    def lent(self, wanted: Wanted) -> Iterator[Cloud]:
        """A cloud as after its start, during the block."""
        cloud, stack = self._take(wanted)
        try:
            arm(cloud, wanted.faults)
            yield cloud
        finally:
            self._give_back(wanted, cloud, stack)

    def _take(self, wanted: Wanted) -> tuple[Cloud, ExitStack]:
        for entry in self._idle:
            if entry[0] == wanted.kind:
                self._idle.remove(entry)
                return entry[1], entry[2]
        # Only one cloud at a time may own a URL, so an idle one of another kind has to make room.
        while self._idle and wanted.url is not None:
            self._idle.pop(0)[2].close()
        stack = ExitStack()
        cloud = stack.enter_context(
            opened(wanted.transport, wanted.url, other_urls=True, options=dict(wanted.settings))
        )
        return cloud, stack

    def _give_back(self, wanted: Wanted, cloud: Cloud, stack: ExitStack) -> None:
        try:
            cloud.reset()
        except SnapshotError as error:  # what a test has broken for good must not meet the next one
            logger.warning("a cloud could not be taken back, the next test gets a new one: %s", error)
            stack.close()
            return
        except BaseException:
            stack.close()
            raise
        self._idle.append((wanted.kind, cloud, stack))
        while len(self._idle) > KEPT:
            self._idle.pop(0)[2].close()

    def close(self) -> None:
        """End all of them."""
        while self._idle:
            self._idle.pop()[2].close()
