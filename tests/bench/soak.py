"""Random operators in a whole world for many steps; run by scripts/bench --soak. See tests/soak."""

from __future__ import annotations

import logging
import sys
import tempfile
import time
import traceback
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
RUNS_A_LINE = 20


def soak(steps: int) -> int:
    """Do the steps in worlds without defects and print what came of it; 1 when something was found."""
    sys.path.insert(0, str(ROOT))
    from tests.soak.machine import run_steps
    from tests.soak.world import SoakWorld

    logging.getLogger().addHandler(logging.NullHandler())  # what the server warns of is counted by its text below
    begun, cpu, found = time.monotonic(), time.process_time(), None
    runs = 0
    with tempfile.TemporaryDirectory(prefix="cloudstack-mock-soak-") as folder:
        world = SoakWorld(Path(folder))

        def show() -> None:
            nonlocal runs
            runs += 1
            if runs % RUNS_A_LINE == 0:
                print(f"{world.steps:7} steps, {world.imports.total():6} imports", flush=True)

        try:
            while world.steps < steps:
                run_steps(world, steps - world.steps, show)
        except BaseException as error:
            found = error
            traceback.print_exception(error)
        finally:
            print(f"{world.steps} steps, {world.restarts} restarts of the server, {world.imports.total()} imports: ")
            for source, number in world.imports.most_common():
                print(f"  {number:6} {source}")
            print("refused or failed, by text:")
            for text, number in world.failures.most_common():
                print(f"  {number:6} {text}")
            print(f"leaks: {'none' if found is None else world.leaks() or 'none'}")
            print(f"{time.monotonic() - begun:.0f} s, {time.process_time() - cpu:.0f} s of CPU")
            if found is None or isinstance(found, Exception):
                world.close()
    return 0 if found is None else 1
