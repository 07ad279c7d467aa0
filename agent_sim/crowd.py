"""A fleet in several processes: each worker has its share of the hosts, in one event loop of its own."""

from __future__ import annotations

import gc
import logging
import multiprocessing
import os
import resource
import signal
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path

from agent_sim.fleet import Fleet
from agent_sim.fleetprofile import FleetProfile
from agent_sim.host import HostDescription

logger = logging.getLogger(__name__)

_REPORT_S = 0.25
_STOP_LIMIT_S = 60.0
COLLECTOR = (50_000, 20, 100)  # garbage is looked for more seldom than in a program of a few thousand objects


@dataclass(frozen=True)
class WorkerReport:
    """What a worker says of itself, four times a second."""

    census: Counter[str]
    refusals: tuple[str, ...]
    cpu_s: float
    peak_rss_bytes: int


@dataclass(frozen=True)
class _Share:
    """What a worker is told at its start; it crosses a process border."""

    hosts: tuple[HostDescription, ...]
    places: tuple[int, ...]
    profile: FleetProfile
    connect: tuple[str, int]
    work_dir: Path
    time_scale: float
    log_level: int


class Crowd:
    """`hosts` whose agents connect to `connect`, in `workers` processes that end with this one, however that ends."""

    def __init__(
        self,
        hosts: Sequence[HostDescription],
        connect: tuple[str, int],
        work_dir: Path,
        profile: FleetProfile,
        *,
        workers: int,
        time_scale: float = 1.0,
    ) -> None:
        self._names = [[host.name for host in hosts[number::workers]] for number in range(workers)]
        self._shares = [
            _Share(
                hosts=tuple(hosts[number::workers]),
                places=tuple(range(number, len(hosts), workers)),
                profile=profile,
                connect=connect,
                work_dir=work_dir / f"worker-{number}",
                time_scale=time_scale,
                log_level=logging.getLogger().level,
            )
            for number in range(workers)
        ]
        self._running: list[tuple[BaseProcess, Connection]] = []
        self._last: list[WorkerReport | None] = [None] * workers

    def start(self) -> None:
        """Start the workers; their agents are on their way then."""
        context = multiprocessing.get_context("spawn")
        for number, share in enumerate(self._shares):
            mine, theirs = context.Pipe()
            process = context.Process(target=_work, args=(share, theirs), name=f"agents-{number}", daemon=True)
            process.start()
            theirs.close()
            self._running.append((process, mine))

    def reports(self) -> list[WorkerReport]:
        """The latest report of each worker that has sent one; waits up to a quarter of a second for news.

        Raises ChildProcessError when a worker has died.
        """
        multiprocessing.connection.wait([pipe for _, pipe in self._running], timeout=_REPORT_S)
        for number, (process, pipe) in enumerate(self._running):
            try:
                while pipe.poll():
                    self._last[number] = pipe.recv()
            except (EOFError, ConnectionResetError):
                process.join(1)
                raise ChildProcessError(f"worker {number} of the fleet ended, status {process.exitcode}") from None
        return [report for report in self._last if report is not None]

    def storm(self, names: Sequence[str], offline_s: float) -> None:
        """Cut the links of these agents at once; see `Fleet.storm`."""
        struck = set(names)
        for (_, pipe), mine in zip(self._running, self._names, strict=True):
            pipe.send(([name for name in mine if name in struck], offline_s))

    def stop(self) -> None:
        """Stop all agents in order: each tells the server."""
        for _, pipe in self._running:
            try:
                pipe.send(None)
            except OSError:  # the worker is gone already
                logger.debug("a worker of the fleet had ended")
        until_s = time.monotonic() + _STOP_LIMIT_S
        for process, pipe in self._running:
            while process.is_alive() and time.monotonic() < until_s:
                _drain(pipe)  # or its last report would wait for room
                process.join(0.05)
            if process.is_alive():
                process.kill()
                process.join()
            pipe.close()
        self._running.clear()


def _drain(pipe: Connection) -> None:
    try:
        while pipe.poll():
            pipe.recv()
    except (EOFError, OSError):
        return


def _work(share: _Share, pipe: Connection) -> None:
    """A worker's process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to all of a terminal's processes: the parent tells us
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    logging.basicConfig(level=share.log_level, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    fleet = Fleet(
        share.hosts,
        share.connect,
        share.work_dir,
        time_scale=share.time_scale,
        start_after_s=lambda place: share.profile.start_after_s(share.places[place]),
    )
    gc.set_threshold(*COLLECTOR)
    fleet.start()
    gc.freeze()
    try:
        while True:
            pipe.send(_report(fleet))
            if pipe.poll(_REPORT_S):
                order = pipe.recv()
                if order is None:
                    break
                fleet.storm(*order)
    except (EOFError, OSError):
        os._exit(1)  # the parent was killed: so are its agents, without a word to the server
    fleet.stop()


def _report(fleet: Fleet) -> WorkerReport:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return WorkerReport(
        census=fleet.census(),
        refusals=tuple(agent.exit_reason for agent in fleet.agents if agent.exit_reason is not None)[:5],
        cpu_s=usage.ru_utime + usage.ru_stime,
        peak_rss_bytes=usage.ru_maxrss * 1024,
    )
