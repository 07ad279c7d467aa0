"""Identifiers and chances that are the same in every run, whichever thread is the faster one.

What is drawn follows from the seed, from who draws, and from how often he has drawn before. Who draws is an API call
with its job, by their correlation id, or a command of a host, by its log id; everybody else is a part of the server by
its thread, or a caller. So two imports at one time, or a host that connects meanwhile, do not change what others get.
"""

from __future__ import annotations

import hashlib
import random
import threading
import uuid
from typing import Any

from agent_sim.execution import current_execution
from mgmt.agents.core import THREAD_NAME as AGENTS_THREAD
from mgmt.imports.cleanup import THREAD_NAME as CLEANUP_THREAD
from mgmt.life.downloads import THREAD_NAME as DOWNLOADS_THREAD
from mgmt.observe.correlation import current_correlation_id

_DIGEST_BYTES = 32
_OWN_THREADS = (AGENTS_THREAD, CLEANUP_THREAD, DOWNLOADS_THREAD, "certificates", "host-maintenance", "pool-mounts")


class Draws:
    """Seeded draws; thread-safe."""

    def __init__(self, seed: str) -> None:
        self._seed = seed
        self._lock = threading.Lock()
        self._counts: dict[tuple[str, str], int] = {}
        self._era = ""

    def draw(self, stream: str) -> bytes:
        """The next 32 bytes of a stream, for whom is drawing."""
        whose = _whose()
        with self._lock:
            number = self._counts.get((stream, whose), 0)
            self._counts[stream, whose] = number + 1
        return hashlib.sha256(f"{self._seed}\n{self._era}\n{stream}\n{whose}\n{number}".encode()).digest()

    def restart(self) -> None:
        """Begin anew, as for a world that is reset."""
        with self._lock:
            self._counts.clear()
            self._era = "after the start"  # other ones than those of the start, which the world may still have


def _whose() -> str:
    correlation_id = current_correlation_id()
    if correlation_id is not None:
        return correlation_id
    execution = current_execution()
    if execution is not None:
        return execution.log_id
    thread = threading.current_thread().name
    return next((name for name in _OWN_THREADS if thread.startswith(name)), "")


class SeededIds:
    """UUIDs, version 4 by their form."""

    def __init__(self, draws: Draws, stream: str = "") -> None:
        self._draws = draws
        self._stream = f"id {stream}"

    def uuid(self) -> str:
        """The next one."""
        return str(uuid.UUID(bytes=self._draws.draw(self._stream)[:16], version=4))

    def stream(self, name: str) -> SeededIds:
        """Those of somebody who draws beside the others."""
        return SeededIds(self._draws, name)

    def restart(self) -> None:
        """See `Draws.restart`."""
        self._draws.restart()


class SeededRandom(random.Random):
    """Chances from seeded draws; built like `random.SystemRandom`."""

    def __init__(self, draws: Draws) -> None:
        self._draws = draws
        super().__init__()

    def random(self) -> float:
        """The next number from 0 up to but not including 1."""
        return float(self.getrandbits(53)) * 2.0**-53

    def getrandbits(self, k: int) -> int:
        """So many bits."""
        size = (k + 7) // 8
        drawn = b"".join(self._draws.draw("chance") for _ in range(0, max(size, 1), _DIGEST_BYTES))
        return int.from_bytes(drawn[:size], "big") >> (size * 8 - k)

    def randbytes(self, n: int) -> bytes:
        """So many bytes."""
        return self.getrandbits(n * 8).to_bytes(n, "big")

    def seed(self, *args: Any, **options: Any) -> None:
        """The draws have the seed."""
