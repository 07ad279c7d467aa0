"""A large fleet while it runs: the table of states, the storms of its profile, and the summary at the end."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import click
from rich.console import Console
from rich.live import Live
from rich.table import Table

from agent_sim.crowd import WorkerReport
from agent_sim.fleetprofile import FleetProfile
from mgmt.cli.signals import StopFlag
from mgmt.cli.wording import counted
from mgmt.providers import Clock

STANDINGS = ("ready", "connecting", "waiting", "stopped", "refused")


class Running(Protocol):
    """The fleet that runs."""

    def reports(self) -> list[WorkerReport]: ...

    def storm(self, names: Sequence[str], offline_s: float) -> None: ...


@dataclass
class _StormRecord:
    cut: int
    at_s: float
    lowest_ready: int
    recovered_after_s: float | None = None


@dataclass
class FleetRun:
    """Follows a fleet of the hosts `names` from its start, in seconds of `clock`."""

    fleet: Running
    profile: FleetProfile
    names: Sequence[str]
    clock: Clock
    console: Console
    census: Counter[str] = field(default_factory=Counter)
    ready_after_s: float | None = None
    storms: list[_StormRecord] = field(default_factory=list)
    reports: list[WorkerReport] = field(default_factory=list)

    def follow(self, stopped: StopFlag, on_ready: Callable[[float], None]) -> None:
        """Watch until `stopped`; `on_ready` gets the seconds that it took until all hosts were ready."""
        begun_s = self.clock.monotonic()
        with Live(self._table(0.0), console=self.console, auto_refresh=False, transient=True) as live:
            while not stopped.is_set():
                self.reports = self.fleet.reports()
                now_s = self.clock.monotonic() - begun_s
                self.census = sum((report.census for report in self.reports), Counter())
                if self.ready_after_s is None and self.census["ready"] == len(self.names):
                    self.ready_after_s = now_s
                    on_ready(now_s)
                self._follow_storms(now_s)
                if self.console.is_terminal:
                    live.update(self._table(now_s), refresh=True)

    def _follow_storms(self, now_s: float) -> None:
        ready = self.census["ready"]
        if self.storms and self.storms[-1].recovered_after_s is None:
            last = self.storms[-1]
            last.lowest_ready = min(last.lowest_ready, ready)
            if ready == len(self.names) and last.lowest_ready < ready:
                last.recovered_after_s = now_s - last.at_s
        number = len(self.storms)
        if self.ready_after_s is None or number >= len(self.profile.storms):
            return
        storm = self.profile.storms[number]
        if now_s >= self.ready_after_s + storm.after_s:
            struck = self.profile.struck(number, self.names)
            self.storms.append(_StormRecord(len(struck), now_s, ready))
            self.fleet.storm(struck, storm.offline_s)

    def _table(self, now_s: float) -> Table:
        table = Table(title=f"{counted(len(self.names), 'host')}, {now_s:.0f} s", title_justify="left")
        for standing in STANDINGS:
            table.add_column(standing, justify="right")
        table.add_column("storms", justify="right")
        table.add_row(*(str(self.census[standing]) for standing in STANDINGS), str(len(self.storms)))
        return table

    def summary(self) -> dict[str, object]:
        """What has happened, for JSON: seconds, counts, bytes."""
        return {
            "hosts": len(self.names),
            "workers": len(self.reports),
            "ready_after_s": None if self.ready_after_s is None else round(self.ready_after_s, 3),
            "states": {standing: self.census[standing] for standing in STANDINGS},
            "refusals": sorted({text for report in self.reports for text in report.refusals}),
            "storms": [
                {
                    "cut": storm.cut,
                    "at_s": round(storm.at_s, 3),
                    "lowest_ready": storm.lowest_ready,
                    "recovered_after_s": None if storm.recovered_after_s is None else round(storm.recovered_after_s, 3),
                }
                for storm in self.storms
            ],
            "cpu_s": round(sum(report.cpu_s for report in self.reports), 3),
            "peak_rss_bytes": sum(report.peak_rss_bytes for report in self.reports),
        }

    def tell(self, summary_file: Path | None) -> None:
        """Write the summary to the file, or print it."""
        text = json.dumps(self.summary())
        if summary_file is None:
            click.echo(text)
        else:
            summary_file.write_text(text + "\n", encoding="utf-8")
