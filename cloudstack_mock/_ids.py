"""Identifiers that are the same in every run."""

from __future__ import annotations

import random
import threading
import uuid


class SeededIds:
    """UUIDs (version 4 by their form) that follow from `seed` and from how many there were before; thread-safe."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._lock = threading.Lock()
        self._random = random.Random(seed)

    def uuid(self) -> str:
        """The next one."""
        with self._lock:
            return str(uuid.UUID(int=self._random.getrandbits(128), version=4))

    def restart(self) -> None:
        """Begin anew, as for a world that is reset."""
        with self._lock:
            # other ones than those of the start, which the world may still have
            self._random = random.Random(f"{self._seed} after the start")
