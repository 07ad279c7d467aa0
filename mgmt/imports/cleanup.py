"""Clean-up on hosts after an import that failed, which CloudStack leaves out or has since 4.23 (pull request 13151).

A host that is not there gets its clean-up once it is Up again, one in maintenance once that ends.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable, Collection

from sqlalchemy import delete, select

from mgmt.errors import AgentUnavailableError, CloudRuntimeError, OperationTimedOutError, ServerStoppingError
from mgmt.imports.conversion import data_store
from mgmt.imports.facts import ImageStoreFacts, PoolFacts
from mgmt.imports.ports import Agents
from mgmt.protocol.commands import (
    CleanupConvertedInstanceDisksCommand,
    DeleteCommand,
    PrimaryDataStoreTO,
    VolumeObjectTO,
)
from mgmt.protocol.records import Command, decode_commands, encode_array
from mgmt.providers import Providers
from mgmt.store.database import Store
from mgmt.store.models import HostCleanup, StoragePool

logger = logging.getLogger(__name__)

THREAD_NAME = "import-clean-up"


class HostCleanups:
    """The clean-up commands of one server; safe from many threads. What waits survives a restart of the server."""

    def __init__(
        self, store: Store, providers: Providers, agents: Agents, on_done: Callable[[str], None] = lambda what: None
    ) -> None:
        self._store = store
        self._providers = providers
        self._agents = agents
        self._on_done = on_done
        self._lock = threading.Lock()
        self._waiting: set[int] = set()
        self._times_up: Counter[int] = Counter()
        self._threads: set[threading.Thread] = set()

    def load(self) -> None:
        """Know what an earlier server could not do; before hosts connect."""
        with self._store.session() as session:
            self._waiting.update(session.scalars(select(HostCleanup.host_id)))

    def save(self) -> frozenset[int]:
        """The hosts that a clean-up waits for, for `restore`."""
        with self._lock:
            return frozenset(self._waiting)

    def restore(self, waiting: Collection[int]) -> None:
        """Know of these and no others: the records hold their clean-ups again."""
        with self._lock:
            self._waiting = set(waiting)
            self._times_up.clear()

    def send(self, host_id: int, what: str, command: Command) -> None:
        """Have a host delete something; raises CloudRuntimeError with the reason why it is not done (yet)."""
        times_up = self._times_up[host_id]
        try:
            answer = self._agents.send(host_id, command)
        except (AgentUnavailableError, OperationTimedOutError, ServerStoppingError) as error:
            self._put_off(host_id, what, command)
            if self._times_up[host_id] != times_up:  # it came Up just before this was noted
                self._catch_up_soon(host_id)
            raise CloudRuntimeError(f"not before the host is Up again: {error}") from error
        if not answer.result:
            raise CloudRuntimeError(answer.details or "the host says no more than that it failed")

    def _put_off(self, host_id: int, what: str, command: Command) -> None:
        now = self._providers.utcnow()
        with self._store.session() as session:
            session.add(HostCleanup(host_id=host_id, what=what, command=encode_array([command]), created=now))
        with self._lock:
            self._waiting.add(host_id)

    def host_up(self, host_id: int) -> None:
        """A host is Up again, or out of maintenance: send what waits for it, in a thread of its own."""
        self._times_up[host_id] += 1
        self._catch_up_soon(host_id)

    def _catch_up_soon(self, host_id: int) -> None:
        with self._lock:
            self._threads = {thread for thread in self._threads if thread.is_alive()}
            if host_id not in self._waiting:
                return
            self._waiting.discard(host_id)
            thread = threading.Thread(target=self._catch_up, args=(host_id,), name=THREAD_NAME, daemon=True)
            self._threads.add(thread)
            thread.start()

    def is_waiting(self) -> bool:
        """True while a clean-up waits for its host or is under way."""
        with self._lock:
            return bool(self._waiting) or any(thread.is_alive() for thread in self._threads)

    def join(self, timeout_s: float) -> None:
        """Wait for clean-ups under way; after the agents have stopped they end at once."""
        with self._lock:
            threads = list(self._threads)
        for thread in threads:
            thread.join(timeout_s)

    def _catch_up(self, host_id: int) -> None:
        with self._store.session() as session:
            rows = list(session.scalars(select(HostCleanup).where(HostCleanup.host_id == host_id)))
            session.execute(delete(HostCleanup).where(HostCleanup.id.in_([row.id for row in rows])))
        for row in rows:
            try:
                (command,) = decode_commands(row.command.encode())
                self.send(host_id, row.what, command)  # puts it off again when the host has just gone
            except Exception as error:  # the others must have their turn
                logger.warning("clean-up: could not %s: %s", row.what, error)
            else:
                self._on_done(row.what)


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
