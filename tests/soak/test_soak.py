"""Random operators in a whole world without defects: nothing leaks, crashes or hangs, and counts are the records'."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.soak.machine import run_steps, wanted_steps
from tests.soak.world import SoakWorld


@pytest.mark.slow
@pytest.mark.timeout(3600)  # SOAK_STEPS may ask for many
def test_random_operators(tmp_path: Path) -> None:
    """Whatever operators, hosts and users do: at rest nothing is left, all jobs and tasks have ended."""
    soak = SoakWorld(tmp_path)
    try:
        run_steps(soak, wanted_steps(), is_random=False)
    finally:
        soak.close()
