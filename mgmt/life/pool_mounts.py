"""Mounting a pool, whose maintenance has ended, on hosts that could not be asked then.

CloudStack asks the hosts that are Up at that moment, and never again: one that was connecting just then, or was in
maintenance itself, stays without the pool until it connects anew (`--fix pool-stays-unmounted`).
"""

from __future__ import annotations

import logging
import threading

from sqlalchemy import select

from mgmt.agents.pools import modify_pool_command
from mgmt.errors import AgentUnavailableError, OperationTimedOutError, ServerStoppingError
from mgmt.life.hosts import reaches
from mgmt.life.ports import LifeServices
from mgmt.store.models import Host, StoragePool

logger = logging.getLogger(__name__)


class PoolMounts:
    """The pools whose maintenance ended since the server's start; a host that connects anew mounts all that are Up."""

    def __init__(self, services: LifeServices) -> None:
        self._services = services
        self._lock = threading.Lock()
        self._threads: set[threading.Thread] = set()

    def host_up(self, host_id: int) -> None:
        """A host is Up, or out of maintenance: let it mount what it may have missed, in a thread of its own."""
        pool_ids = set(self._services.work.remounted_pools)
        if not pool_ids:
            return
        thread = threading.Thread(target=self._mount, args=(host_id, pool_ids), name="pool-mounts", daemon=True)
        with self._lock:
            self._threads = {each for each in self._threads if each.is_alive()} | {thread}
            thread.start()

    def join(self, timeout_s: float) -> None:
        """Wait for what is under way; after the agents have stopped it ends at once."""
        with self._lock:
            threads = list(self._threads)
        for thread in threads:
            thread.join(timeout_s)

    def _mount(self, host_id: int, pool_ids: set[int]) -> None:
        with self._services.store.session() as session:
            host = session.get(Host, host_id)
            if host is None:
                return
            rows = session.scalars(select(StoragePool).where(StoragePool.id.in_(pool_ids), StoragePool.status == "Up"))
            commands = {pool.id: modify_pool_command(pool) for pool in rows if reaches(host, pool)}
        for pool_id, command in commands.items():
            try:
                answer = self._services.agents.send(host_id, command)
            except (AgentUnavailableError, OperationTimedOutError) as error:
                logger.info("host %d did not mount pool %d: %s", host_id, pool_id, error.text)
            except ServerStoppingError as error:
                logger.info("host %d was not asked to mount pool %d: %s", host_id, pool_id, error)
                return
            else:
                if not answer.result:
                    logger.warning("host %d did not mount pool %d: %s", host_id, pool_id, answer.details)
