"""Clean-up on hosts after an import that failed, which CloudStack leaves out or has since 4.23 (pull request 13151).

A host that is not there gets its clean-up once it is Up again, as long as this server lives.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from sqlalchemy import select

from mgmt.errors import AgentUnavailableError, CloudRuntimeError, OperationTimedOutError
from mgmt.imports.conversion import data_store
from mgmt.imports.facts import ImageStoreFacts, PoolFacts
from mgmt.imports.ports import Agents
from mgmt.protocol.commands import (
    CleanupConvertedInstanceDisksCommand,
    DeleteCommand,
    PrimaryDataStoreTO,
    VolumeObjectTO,
)
from mgmt.protocol.records import Command
from mgmt.store.database import Store
from mgmt.store.models import StoragePool

logger = logging.getLogger(__name__)

THREAD_NAME = "import-clean-up"


@dataclass(frozen=True)
class _Late:
    what: str
    command: Command


class HostCleanups:
    """The clean-up commands of one server; safe from many threads."""

    def __init__(self, agents: Agents, on_done: Callable[[str], None]) -> None:
        self._agents = agents
        self._on_done = on_done
        self._lock = threading.Lock()
        self._late: dict[int, list[_Late]] = {}
        self._threads: set[threading.Thread] = set()

    def send(self, host_id: int, what: str, command: Command) -> None:
        """Have a host delete something; raises CloudRuntimeError with the reason why it is not done (yet)."""
        try:
            answer = self._agents.send(host_id, command)
        except (AgentUnavailableError, OperationTimedOutError) as error:
            with self._lock:
                self._late.setdefault(host_id, []).append(_Late(what, command))
            raise CloudRuntimeError(f"not before the host is Up again: {error.text}") from error
        if not answer.result:
            raise CloudRuntimeError(answer.details or "the host says no more than that it failed")

    def host_up(self, host_id: int) -> None:
        """A host is Up again: send what waits for it, in a thread of its own."""
        with self._lock:
            waiting = self._late.pop(host_id, [])
            self._threads = {thread for thread in self._threads if thread.is_alive()}
            if not waiting:
                return
            thread = threading.Thread(target=self._catch_up, args=(host_id, waiting), name=THREAD_NAME, daemon=True)
            self._threads.add(thread)
        thread.start()

    def is_waiting(self) -> bool:
        """True while a clean-up waits for its host or is under way."""
        with self._lock:
            return bool(self._late) or any(thread.is_alive() for thread in self._threads)

    def join(self, timeout_s: float) -> None:
        """Wait for clean-ups under way; after the agents have stopped they end at once."""
        with self._lock:
            threads = list(self._threads)
        for thread in threads:
            thread.join(timeout_s)

    def _catch_up(self, host_id: int, waiting: Iterable[_Late]) -> None:
        for late in waiting:
            try:
                self.send(host_id, late.what, late.command)
            except Exception as error:  # the others must have their turn
                logger.warning("clean-up: could not %s: %s", late.what, error)
            else:
                self._on_done(late.what)


def converted_files(location: PoolFacts | ImageStoreFacts, convert_uuid: str) -> Command:
    """Delete the disks and the XML of a conversion from its temporary location."""
    return CleanupConvertedInstanceDisksCommand(vmVolumesStore=data_store(location), vmVolumesPrefix=convert_uuid)


def volume_file(store: Store, pool_uuid: str, name: str) -> Command | None:
    """Delete a file from a pool; None for a pool that is not known."""
    with store.session() as session:
        pool = session.scalar(select(StoragePool).where(StoragePool.uuid == pool_uuid))
        facts = PoolFacts.of(pool) if pool is not None else None
    if facts is None:
        return None
    to = data_store(facts)
    assert isinstance(to, PrimaryDataStoreTO)
    return DeleteCommand(data=VolumeObjectTO(dataStore=to, path=name, name=name, format="QCOW2"))
