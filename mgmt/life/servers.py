"""Shutting a management server down in order, and its maintenance.

Texts and order of checks are those of plugins/maintenance in apache/cloudstack, looked up there
(ManagementServerMaintenanceManagerImpl), since no recording has them. There is one management server, so agents have
nowhere to go: maintenance is refused as upstream refuses it for the last active server, and no
MigrateAgentConnectionCommand is ever sent.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from enum import StrEnum

from mgmt.agents.serverlist import ALGORITHMS
from mgmt.clock import new_event
from mgmt.errors import CloudRuntimeError
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


class ServerShutdown:
    """The state of the one server; safe from any thread. `on_exit` ends the process, where there is one to end."""

    def __init__(self, jobs: JobRunner, providers: Providers) -> None:
        self.state = ServerState.UP
        self.on_exit: Callable[[], None] | None = None
        self._jobs = jobs
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
            self._cancelled.set()
            self.state = ServerState.UP
            self._jobs.accepts = True

    def prepare_maintenance(self, algorithm: str | None) -> None:
        """Raises CloudRuntimeError: there is no other server that agents could go to."""
        if algorithm and algorithm not in ALGORITHMS:
            raise CloudRuntimeError(f"Invalid algorithm {algorithm}, valid values are: [{', '.join(ALGORITHMS)}]")
        if self.state is not ServerState.UP:
            raise CloudRuntimeError("Cannot prepare for maintenance, no active management servers found")
        raise CloudRuntimeError("Prepare for maintenance not supported, there is only one active management server")

    def cancel_maintenance(self) -> None:
        """Raises CloudRuntimeError: the server is never in maintenance."""
        raise CloudRuntimeError("Management server is not in the right state to cancel maintenance")

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

    def _watch(self, cancelled: threading.Event) -> None:
        pause_s = FIRST_LOOK_S
        while not self._clock.wait(cancelled, pause_s):
            pause_s = LOOK_S
            if self._jobs.pending:
                continue
            with self._lock:
                if cancelled.is_set():
                    return
                if self.state is ServerState.PREPARING:
                    self.state = ServerState.READY
            if self.state is ServerState.SHUTTING_DOWN:
                logger.warning("the server ends, as triggerShutdown has asked")
                if self.on_exit is not None:
                    self.on_exit()
            return
