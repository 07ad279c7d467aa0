"""`pytest -p tests.plugins.branch_coverage`: the suite's line and branch coverage, over all of xdist's workers.

On Python 3.11 coverage.py listens to `sys.settrace`, which nearly doubles the time of the suite. SlipCover writes its
probes into the bytecode instead. Of SlipCover this uses the meter and the import hook alone: its own plug-in for pytest
changes inner parts of certain versions of pytest. Processes that tests start are not measured.
"""

from __future__ import annotations

import json
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import slipcover

ROOT = Path(__file__).resolve().parents[2]
OPTIONS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["branch-coverage"]
SOURCES = [str(ROOT / name) for name in OPTIONS["source"]]
BOUND_PERCENT = OPTIONS["fail-under"]
KEY = "branch_coverage"
COVERAGE = pytest.StashKey[dict[str, Any]]()

# From here on, in each worker too: pytest reads this plug-in before anything imports the modules to measure. Probes
# stay where they are (no threshold): taking them out while threads run costs more than leaving them.
meter = slipcover.Slipcover(
    branch=True, source=SOURCES, exclude_also=OPTIONS["exclude-also"], d_miss_threshold=sys.maxsize
)
slipcover.ImportManager(meter, slipcover.FileMatcher(sources=SOURCES)).__enter__()
of_workers: list[dict[str, Any]] = []


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take what a worker measured."""
    if KEY in getattr(node, "workeroutput", {}):
        of_workers.append(json.loads(node.workeroutput[KEY]))


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """A worker hands over what it measured; the controller fails the run below the bound."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput[KEY] = json.dumps(meter.get_coverage())
        return
    measured, *others = of_workers or [meter.get_coverage()]
    for other in others:
        slipcover.merge_coverage(measured, other)
    session.config.stash[COVERAGE] = measured
    if session.exitstatus == pytest.ExitCode.OK and min(percentages(measured).values()) < BOUND_PERCENT:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def percentages(measured: dict[str, Any]) -> dict[str, float]:
    """How much of the lines and, on their own, of the branches was seen."""
    summary = measured["summary"]
    return {
        what: 100 * summary[f"covered_{what}"] / (summary[f"covered_{what}"] + summary[f"missing_{what}"])
        for what in ("lines", "branches")
    }


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Show every file with something missing, and how much was seen in all."""
    if COVERAGE not in config.stash:
        return
    measured = config.stash[COVERAGE]
    terminalreporter.section("coverage")
    slipcover.print_coverage(measured, outfile=terminalreporter, skip_covered=True, missing_width=80)
    for what, percent in percentages(measured).items():
        verdict = "at least" if percent >= BOUND_PERCENT else "NOT"
        terminalreporter.write_line(f"coverage of {what}: {percent:.2f} % ({verdict} the {BOUND_PERCENT} % asked for)")
