"""Shutting a management server down in order, and its maintenance.

Texts and order of checks are those of plugins/maintenance in apache/cloudstack, looked up there
(ManagementServerMaintenanceManagerImpl), since no recording has them. A database has one management server; others are
those whose addresses stand beside its own in the setting `host`. Agents go to them when this one is to be in
maintenance, which without any is refused as upstream refuses it for the last active server.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from enum import StrEnum
from typing import Protocol

from mgmt.agents.serverlist import ALGORITHMS
from mgmt.clock import new_event
from mgmt.errors import CloudRuntimeError, ServerStoppingError
from mgmt.jobs.runner import JobRunner
from mgmt.providers import Providers

logger = logging.getLogger(__name__)

FIRST_LOOK_S = 1.0
LOOK_S = 3.0


class ServerState(StrEnum):
    """The states of a management server that occur here."""

    UP = "Up"
    PREPARING = "PreparingForShutDown"
    READY = "ReadyToShutDown"
    SHUTTING_DOWN = "ShuttingDown"
    PREPARING_MAINTENANCE = "PreparingForMaintenance"
    MAINTENANCE = "Maintenance"


class Agents(Protocol):
    """The agents of this server."""

    def other_servers(self) -> list[str]:
        """The addresses of the servers that agents can go to."""
        ...

    def send_agents_away(self, algorithm: str | None) -> int:
        """Tell those that were not told yet to go, accept no more; how many are here still."""
        ...

    def accept_agents(self) -> None:
        """Accept agents again."""
        ...


class ServerShutdown:
    """The state of the one server; safe from any thread. `on_exit` ends the process, where there is one to end."""

    def __init__(self, jobs: JobRunner, providers: Providers, agents: Agents) -> None:
        self.state = ServerState.UP
        self.on_exit: Callable[[], None] | None = None
        self._jobs = jobs
        self._agents = agents
        self._algorithm: str | None = None
        self._clock = providers.clock
        self._lock = threading.Lock()
        self._cancelled = new_event(self._clock)
        self._thread: threading.Thread | None = None

    def prepare(self) -> None:
        """Take no more jobs: ready once those under way have ended. Raises CloudRuntimeError unless it is Up."""
        with self._lock:
            if self.state is not ServerState.UP:
                raise CloudRuntimeError("Management server is not in the right state to prepare for shutdown")
            self._begin(ServerState.PREPARING)

    def trigger(self) -> None:
        """As `prepare`, and then end the server. Raises CloudRuntimeError when that was asked before."""
        with self._lock:
            if self.state is ServerState.SHUTTING_DOWN:
                raise CloudRuntimeError("Management server is not in the right state to trigger shutdown")
            self._begin(ServerState.SHUTTING_DOWN)

    def cancel(self) -> None:
        """Take jobs again. Raises CloudRuntimeError unless a shutdown is prepared."""
        with self._lock:
            if self.state not in (ServerState.PREPARING, ServerState.READY):
                raise CloudRuntimeError("Management server is not in the right state to cancel shutdown")
        self.reset()

    def reset(self) -> None:
        """Be Up, as after a start."""
        with self._lock:
            was_maintained = self.is_maintained
            self._cancelled.set()
            self.state = ServerState.UP
            self._jobs.accepts = True
        if was_maintained:
            self._agents.accept_agents()

    def prepare_maintenance(self, algorithm: str | None) -> None:
        """Take no more jobs, let those under way end, and then send the agents to the other servers.

        Raises CloudRuntimeError for an unknown algorithm, when there is no other server, and unless this one is Up.
        """
        if algorithm and algorithm not in ALGORITHMS:
            raise CloudRuntimeError(f"Invalid algorithm {algorithm}, valid values are: [{', '.join(ALGORITHMS)}]")
        others = self._agents.other_servers()
        with self._lock:
            is_up = self.state is ServerState.UP
            if not others:
                if not is_up:
                    raise CloudRuntimeError("Cannot prepare for maintenance, no active management servers found")
                raise CloudRuntimeError(
                    "Prepare for maintenance not supported, there is only one active management server"
                )
            if not is_up:
                raise CloudRuntimeError("Management server is not in the right state to prepare for maintenance")
            self._algorithm = algorithm or None
            self._begin(ServerState.PREPARING_MAINTENANCE)

    def cancel_maintenance(self) -> None:
        """Take jobs and agents again. Raises CloudRuntimeError unless maintenance is prepared or there."""
        with self._lock:
            if not self.is_maintained:
                raise CloudRuntimeError("Management server is not in the right state to cancel maintenance")
        self.reset()

    @property
    def is_maintained(self) -> bool:
        """Whether maintenance is prepared or there."""
        return self.state in (ServerState.PREPARING_MAINTENANCE, ServerState.MAINTENANCE)

    def stop(self, timeout_s: float) -> None:
        """End the watch over jobs."""
        self._cancelled.set()
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout_s)

    def _begin(self, state: ServerState) -> None:
        self._cancelled.set()
        self.state = state
        self._jobs.accepts = False
        self._cancelled = new_event(self._clock)
        self._thread = threading.Thread(
            target=self._watch, args=(self._cancelled,), name="server-shutdown", daemon=True
        )
        self._thread.start()

    def _has_agents(self) -> bool:
        """Whether there are agents still, which are on their way then."""
        try:
            return self._agents.send_agents_away(self._algorithm) > 0
        except ServerStoppingError:
            return True

    def _watch(self, cancelled: threading.Event) -> None:
        pause_s = FIRST_LOOK_S
        while not self._clock.wait(cancelled, pause_s):
            pause_s = LOOK_S
            if self._jobs.pending:
                continue
            with self._lock:
                if cancelled.is_set():
                    return
                if self.state is ServerState.PREPARING_MAINTENANCE and self._has_agents():
                    continue
                if self.state is ServerState.PREPARING:
                    self.state = ServerState.READY
                elif self.state is ServerState.PREPARING_MAINTENANCE:
                    self.state = ServerState.MAINTENANCE
            if self.state is ServerState.SHUTTING_DOWN:
                logger.warning("the server ends, as triggerShutdown has asked")
                if self.on_exit is not None:
                    self.on_exit()
            return
