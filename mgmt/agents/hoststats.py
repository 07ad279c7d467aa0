"""How busy hosts are and how full pools are: asked in rounds, kept in memory and in the pools' records.

Upstream: server/.../server/StatsCollector.java (HostCollector, StorageCollector), HostStatsEntry.java.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from mgmt.agents.attachment import Attachment
from mgmt.agents.core import Core
from mgmt.agents.states import Status
from mgmt.agents.timers import parked
from mgmt.clock import is_automatic
from mgmt.protocol.commands import (
    GetHostStatsAnswer,
    GetHostStatsCommand,
    GetStorageStatsAnswer,
    GetStorageStatsCommand,
    HostStatsEntry,
)
from mgmt.protocol.records import Answer
from mgmt.store.models import StoragePool
from mgmt.store.rows import change_row, run, table_of

logger = logging.getLogger(__name__)

STEPS = 20  # a large fleet is asked in so many steps over the interval, not all at once
AT_ONCE = 50


@dataclass(frozen=True)
class HostLoad:
    """A host's load as its agent last reported it."""

    cpu_utilization: float
    average_load: float
    used_memory_bytes: float
    network_read_kbs: float
    network_write_kbs: float


def load_of(entry: HostStatsEntry) -> HostLoad:
    """The figures of an answer; the agent tells memory in KiB."""
    return HostLoad(
        cpu_utilization=entry.cpuUtilization,
        average_load=entry.averageLoad,
        used_memory_bytes=(entry.totalMemoryKBs - entry.freeMemoryKBs) * 1024,
        network_read_kbs=entry.networkReadKBs,
        network_write_kbs=entry.networkWriteKBs,
    )


@dataclass(frozen=True)
class _Pool:
    pool_id: int
    zone_id: int
    cluster_id: int | None
    host_id: int | None
    question: GetStorageStatsCommand


class StatsRounds:
    """Asks hosts every `host.stats.interval`, pools every `storage.stats.interval` milliseconds; 0 stops it.

    `loads` holds the latest load by host id. A host that is gone keeps its last one.
    """

    def __init__(self, core: Core, loads: dict[int, HostLoad]) -> None:
        self._core = core
        self._loads = loads
        self._due: deque[Attachment] = deque()

    def start(self) -> None:
        """The first rounds begin after one interval each."""
        self._after("host.stats.interval", self._ask_hosts)
        self._after("storage.stats.interval", self._ask_pools)

    async def ask_all(self) -> None:
        """Ask every host and pool now, and return once all have answered."""
        hosts = list(self._usable(self._core.attached.values()))
        if hosts:
            questions = [self._ask_host(host) for host in hosts]
            with parked():
                await asyncio.wait(questions)
        await self._pool_round()

    def _after(self, setting: str, round_: Callable[[], None]) -> None:
        interval_s = self._core.settings.get_int(setting) / 1000
        if interval_s <= 0:
            return
        due_s = self._core.providers.clock.monotonic() + interval_s

        def pass_over(limit_s: float) -> float | None:
            """The last round before a virtual clock stops: nobody sees the figures of the others."""
            if is_automatic(self._core.providers.clock):
                return None
            return due_s + max(0.0, (limit_s - due_s) // interval_s) * interval_s

        self._core.timers.call_later(interval_s, round_, drives=False, pass_over=pass_over)

    # -- hosts

    def _ask_hosts(self) -> None:
        self._due = deque(self._usable(self._core.attached.values()))
        self._step(max(AT_ONCE, -(-len(self._due) // STEPS)))
        self._after("host.stats.interval", self._ask_hosts)

    def _step(self, count: int) -> None:
        for _ in range(min(count, len(self._due))):
            attachment = self._due.popleft()
            if attachment.link.closed:
                continue
            self._ask_host(attachment)
        if self._due:
            interval_s = self._core.settings.get_int("host.stats.interval") / 1000
            self._core.timers.call_later(interval_s / (STEPS + 1), lambda: self._step(count), drives=False)

    def _ask_host(self, host: Attachment) -> asyncio.Future[tuple[Answer, ...]]:
        question = GetHostStatsCommand(hostGuid=host.guid, hostName=host.host_name, hostId=host.host_id)
        answer = self._core.ask_quietly(host, question)
        answer.add_done_callback(partial(self._host_answered, host.host_id))
        return answer

    def _host_answered(self, host_id: int, future: asyncio.Future[tuple[Answer, ...]]) -> None:
        answer = _answer(future)
        if isinstance(answer, GetHostStatsAnswer) and answer.result and answer.hostStats is not None:
            self._loads[host_id] = load_of(answer.hostStats)

    # -- pools

    def _ask_pools(self) -> None:
        self._core.spawn(self._pool_round())
        self._after("storage.stats.interval", self._ask_pools)

    async def _pool_round(self) -> None:
        questions = [
            (pool, self._core.ask_quietly(host, pool.question))
            for pool in await self._core.db(_up_pools)
            if (host := self._host_of(pool)) is not None
        ]
        if not questions:
            return
        with parked():
            await asyncio.wait([future for _, future in questions])
        sizes = {}
        for pool, future in questions:
            answer = _answer(future)
            if isinstance(answer, GetStorageStatsAnswer) and answer.result:
                sizes[pool.pool_id] = (answer.capacityBytes, answer.usedBytes)
        if sizes:
            await self._core.db(_save_sizes, sizes)

    def _host_of(self, pool: _Pool) -> Attachment | None:
        """A host that reaches the pool; of several the one that attached first."""
        if pool.host_id is not None:
            host = self._core.attached.get(pool.host_id)
            return host if host is not None and host.status is Status.UP and not host.link.closed else None
        for host in self._usable(self._core.attached.values()):
            if host.zone_id == pool.zone_id and pool.cluster_id in (None, host.cluster_id):
                return host
        return None

    @staticmethod
    def _usable(hosts: Iterable[Attachment]) -> Iterable[Attachment]:
        """Those that are Up and not in maintenance, where they may not be asked."""
        return (host for host in hosts if host.status is Status.UP and not host.maintenance and not host.link.closed)


def _answer(future: asyncio.Future[tuple[Answer, ...]]) -> Answer | None:
    if future.cancelled() or (error := future.exception()) is not None:
        if not future.cancelled():
            logger.debug("no statistics: %s", error)
        return None
    return future.result()[0]


@cache
def _of_up_pools() -> Select[Any]:
    pool = table_of(StoragePool).c
    shown = (pool.id, pool.zone_id, pool.cluster_id, pool.host_id, pool.uuid, pool.path, pool.pool_type)
    return select(*shown).where(pool.removed.is_(None), pool.status == "Up").order_by(pool.id)


@cache
def _known_sizes() -> Select[Any]:
    pool = table_of(StoragePool).c
    return select(pool.id, pool.capacity_bytes, pool.used_bytes)


def _up_pools(session: Session) -> list[_Pool]:
    return [
        _Pool(
            pool_id=pool.id,
            zone_id=pool.zone_id,
            cluster_id=pool.cluster_id,
            host_id=pool.host_id,
            question=GetStorageStatsCommand(id=pool.uuid, localPath=pool.path, pooltype=pool.pool_type),
        )
        for pool in run(session, _of_up_pools())
    ]


def _save_sizes(session: Session, sizes: dict[int, tuple[int, int]]) -> None:
    """Write what changed; a pool that reports no size keeps the one that it has."""
    for pool in run(session, _known_sizes()).all():
        capacity_bytes, used_bytes = sizes.get(pool.id, (0, pool.used_bytes))
        told = {"used_bytes": used_bytes, "capacity_bytes": capacity_bytes or pool.capacity_bytes}
        changed = {name: value for name, value in told.items() if value != getattr(pool, name)}
        if changed:
            change_row(session, StoragePool, pool.id, changed)
