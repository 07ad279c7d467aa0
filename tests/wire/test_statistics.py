"""Hosts and pools that are asked for figures in rounds."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select

from mgmt.errors import AgentUnavailableError
from mgmt.protocol.commands import (
    Answer,
    CheckHealthCommand,
    GetHostStatsAnswer,
    GetHostStatsCommand,
    GetStorageStatsAnswer,
    GetStorageStatsCommand,
    HostStatsEntry,
)
from mgmt.store.models import StoragePool

POOL = "53c42945-5ddf-3406-8ce1-a1cddb6b135f"


@pytest.fixture
def edge_settings() -> dict[str, str]:
    """Hosts every minute, pools every two."""
    return {"host.stats.interval": "60000", "storage.stats.interval": "120000"}


def up(edge: Any) -> Any:
    agent = edge.agent()
    agent.attach()
    edge.wait_for_status("Up")
    edge.wait_for(lambda: edge.manager.is_attached(edge.host_id()), "the host")
    return agent


def test_a_host_is_asked_how_busy_it_is(edge: Any) -> None:
    """GetHostStats each interval with guid, name and number; the latest good answer counts; no journal entries."""
    agent = up(edge)
    edge.clock.advance(61)
    question = agent.receive_request(GetHostStatsCommand)
    (command,) = question.commands
    assert (command.hostGuid, command.hostName, command.hostId) == (edge.guid, "kvm1", edge.host_id())
    entry = HostStatsEntry(
        cpuUtilization=3.5, averageLoad=0.4, networkReadKBs=12.0, networkWriteKBs=8.0,
        totalMemoryKBs=1000.0, freeMemoryKBs=600.0,
    )  # fmt: skip
    agent.answer(question, GetHostStatsAnswer(hostStats=entry, result=True))
    edge.wait_for(lambda: edge.host_id() in edge.manager.host_loads, "the figures")
    load = edge.manager.host_loads[edge.host_id()]
    assert (load.cpu_utilization, load.average_load, load.used_memory_bytes) == (3.5, 0.4, 400 * 1024)
    assert not [e for e in edge.journal.entries(kind="agent") if "GetHostStats" in e.name]
    edge.clock.advance(61)
    agent.answer(agent.receive_request(GetHostStatsCommand), Answer(result=False))
    question = agent.receive_request(GetStorageStatsCommand)
    agent.answer(question, GetStorageStatsAnswer(capacityBytes=5000, usedBytes=1234, result=True))

    def sizes() -> tuple[int, int]:
        with edge.store.session() as session:
            pool = session.scalars(select(StoragePool).where(StoragePool.uuid == POOL)).one()
            return pool.capacity_bytes, pool.used_bytes

    (command,) = question.commands
    assert (command.id, command.localPath, command.pooltype) == (POOL, "/export/n1", "NetworkFilesystem")
    edge.wait_for(lambda: sizes() == (5000, 1234), "the pool's sizes")
    assert edge.manager.host_loads[edge.host_id()] == load


def test_a_host_in_maintenance_is_not_asked(edge: Any) -> None:
    """In maintenance no figures are asked, and other commands than those of maintenance are refused; after it again.

    Who waits for hosts to come Up is told of its end, and only of that.
    """
    agent = up(edge)
    came_up: list[int] = []
    edge.manager.on_host_up = came_up.append
    edge.manager.set_maintenance(edge.host_id(), True)
    with pytest.raises(AgentUnavailableError, match="is in maintenance mode"):
        edge.manager.send(edge.host_id(), GetHostStatsCommand())
    edge.clock.advance(61)
    allowed = edge.ask(CheckHealthCommand())
    agent.answer(agent.receive_request(CheckHealthCommand), Answer(result=True))
    assert allowed.result(10).result
    assert came_up == []
    for _ in range(2):
        edge.manager.set_maintenance(edge.host_id(), False)
    assert came_up == [edge.host_id()]
    edge.clock.advance(61)
    assert agent.receive_request(GetHostStatsCommand)
