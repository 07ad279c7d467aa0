"""A fleet in processes of its own: a storm, and kill -9 of the server and of the fleet on the same database."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cloudstack_mock import ApiClient

COUNT = 60
ROOT = Path(__file__).resolve().parents[2]
PROFILE = {
    "attach_per_s": 0,
    "hosts": [{"properties": "backoff.seconds=1"}, {"vddk": False}],
    "storms": [{"after_s": 0, "percent": 30, "offline_s": 2}],
}


class Processes:
    """A server on a database file and a fixed agent port, and fleets that connect to it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.started: list[subprocess.Popen[bytes]] = []
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port: int = probe.getsockname()[1]
        (folder / "profile.yaml").write_text(json.dumps(PROFILE))

    def run(self, *words: str) -> subprocess.Popen[bytes]:
        """A command of ours."""
        process = subprocess.Popen(
            [sys.executable, "-m", "mgmt.cli", *words],
            cwd=ROOT,
            env=os.environ | {"TMPDIR": str(self.folder)},  # what is killed cannot tidy up
            stdout=subprocess.DEVNULL,
        )
        self.started.append(process)
        return process

    def serve(self, wait_until: Callable[..., Any]) -> tuple[subprocess.Popen[bytes], ApiClient]:
        """A server that answers, and a client."""
        file = self.folder / "ready.json"
        file.unlink(missing_ok=True)
        words = ["--port", "0", "--agent-port", str(self.port), "--agents", "none", "--vcenter", "none"]
        words += ["--database", f"sqlite:///{self.folder / 'cloud.db'}", "--ready-file", str(file)]
        process = self.run("serve", "--log-level", "error", *words)
        wait_until(file.exists, "the server answers", 60)
        ready = json.loads(file.read_text())
        return process, ApiClient(ready["api"], ready["api_key"], ready["secret_key"])

    def fleet(self) -> subprocess.Popen[bytes]:
        """A fleet in a worker process, whose pauses are short."""
        words = ["--connect", f"127.0.0.1:{self.port}", "--count", str(COUNT), "--workers", "1", "--time-scale", "20"]
        words += ["--profile", str(self.folder / "profile.yaml"), "--summary", str(self.folder / "summary.json")]
        return self.run("agents", "--log-level", "error", *words)


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Processes]:
    started = Processes(tmp_path)
    yield started
    for process in started.started:
        if process.poll() is None:
            process.kill()
        process.wait(60)


def up(client: ApiClient) -> int:
    """How many hosts are Up."""
    found: int = client.call("listHosts", type="Routing", state="Up", pagesize=1, page=1).get("count", 0)
    return found


def details(client: ApiClient) -> dict[str, Any]:
    """Details by the host's name; none may be there twice."""
    hosts = client.call("listHosts", type="Routing", pagesize=500, page=1)["host"]
    found = {host["name"]: (host["id"], host["details"]) for host in hosts if host["name"].startswith("sim-")}
    assert len(found) == sum(host["name"].startswith("sim-") for host in hosts) == COUNT
    return found


@pytest.mark.slow
def test_a_fleet_survives_a_storm_and_both_ends_being_killed(
    processes: Processes, wait_until: Callable[..., Any]
) -> None:
    """All are Up after 30 % of the links were cut; after kill -9 of either end too, none twice and no detail lost."""
    server, client = processes.serve(wait_until)
    fleet = processes.fleet()
    wait_until(lambda: up(client) == COUNT, "all are Up", 60)
    before = details(client)
    assert {found[1].get("host.vddk.support") for found in before.values()} == {"true", "false"}

    client.close()
    server.send_signal(signal.SIGKILL)
    server.wait()
    server, client = processes.serve(wait_until)
    wait_until(lambda: up(client) == COUNT, "all are Up again after kill -9 of the server", 60)
    assert details(client) == before

    fleet.send_signal(signal.SIGKILL)
    fleet.wait()
    wait_until(lambda: up(client) == 0, "the worker ended with its parent", 60)
    fleet = processes.fleet()
    seen = [0]

    def has_struck() -> bool:  # the storm comes as soon as all are ready, so the number may be whole for a moment only
        seen.append(up(client))
        return seen[-1] < max(seen)

    wait_until(has_struck, "all come back after kill -9 of the fleet, and the storm", 90)
    wait_until(lambda: up(client) == COUNT, "all came back from the storm", 60)
    assert details(client) == before
    client.close()

    fleet.send_signal(signal.SIGTERM)
    assert fleet.wait(60) == 0
    summary = json.loads((processes.folder / "summary.json").read_text())
    assert (summary["hosts"], summary["workers"], summary["refusals"]) == (COUNT, 1, [])
    assert [storm["cut"] for storm in summary["storms"]] == [18]
