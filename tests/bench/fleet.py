"""A large fleet against one server: attach, ping rounds, kill -9 of either. Run by scripts/bench --only fleet."""

from __future__ import annotations

import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
CLI = [sys.executable, "-m", "mgmt.cli"]
PING_INTERVAL_S = 20
ROUNDS = 3
LIMIT_S = 600.0
PAGE = 500
STORM = {"after_s": PING_INTERVAL_S * (ROUNDS + 2) + 20, "percent": 30, "offline_s": 5}


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


class Served:
    """A server process on a database file and a fixed agent port, which can be killed and started again."""

    def __init__(self, folder: Path) -> None:
        self._ready_file = folder / "ready.json"
        self._words = ["--port", "0", "--agent-port", str(free_port()), "--agents", "none", "--vcenter", "none"]
        self._words += ["--database", f"sqlite:///{folder / 'cloud.db'}", "--ready-file", str(self._ready_file)]
        self.process: subprocess.Popen[bytes]
        self.ready: dict[str, Any] = {}
        self.start()

    def start(self) -> None:
        self._ready_file.unlink(missing_ok=True)
        self.process = subprocess.Popen(
            [*CLI, "serve", "--log-level", "error", *self._words], cwd=ROOT, stdout=subprocess.DEVNULL
        )
        until = time.monotonic() + 60
        while not self._ready_file.exists():
            if self.process.poll() is not None or time.monotonic() > until:
                raise SystemExit("the server did not start")
            time.sleep(0.01)
        self.ready = json.loads(self._ready_file.read_text())

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


class Fleet:
    """A fleet process with its summary."""

    def __init__(
        self, folder: Path, endpoint: str, count: int, workers: int, per_s: float, *storms: dict[str, int]
    ) -> None:
        profile = folder / "profile.yaml"
        hosts = [{"properties": "backoff.seconds=1"}]
        profile.write_text(json.dumps({"attach_per_s": per_s, "hosts": hosts, "storms": storms}))
        words = ["--connect", endpoint, "--count", str(count), "--workers", str(workers), "--profile", str(profile)]
        words += [
            "--summary",
            str(folder / "summary.json"),
            "--work-dir",
            str(folder / "hosts"),
            "--log-level",
            "error",
        ]
        self.process = subprocess.Popen([*CLI, "agents", *words], cwd=ROOT, stdout=subprocess.DEVNULL)


def children_cpu_s(process: subprocess.Popen[bytes]) -> float:
    """User and system seconds of the fleet's workers."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    ticks = 0
    for child in children:
        values = Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()
        ticks += int(values[11]) + int(values[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def wait_up(client: Any, count: int, what: str) -> float:
    """Seconds until that many hosts are Up."""
    begun = time.monotonic()
    while (
        client.call("listHosts", type="Routing", state="Up", pagesize=1, page=1, details="min").get("count", 0) != count
    ):
        if time.monotonic() - begun > LIMIT_S:
            raise SystemExit(f"{what}: not all hosts were Up within {LIMIT_S:g} s")
        time.sleep(1)  # each look costs the server a call
    return time.monotonic() - begun


def all_hosts(client: Any, count: int) -> dict[str, dict[str, str]]:
    """Details by the host's name; ends the program when one is there twice."""
    found: dict[str, dict[str, str]] = {}
    listed = 0
    for page in range(1, -(-count // PAGE) + 2):
        for host in client.call("listHosts", type="Routing", pagesize=PAGE, page=page).get("host", []):
            found[host["name"]] = host["details"]
            listed += 1
    if listed != len(found):
        raise SystemExit("a host is there twice")
    return found


def rounds(call: Any, cpu_s: Any, process: Any) -> tuple[float, float, float]:
    """CPU seconds per ping round without calls; then median and p99 of a page of hosts, in ms, while they ping."""
    time.sleep(PING_INTERVAL_S)
    before = cpu_s(process)
    time.sleep(ROUNDS * PING_INTERVAL_S)
    used_s = (cpu_s(process) - before) / ROUNDS
    times = []
    until = time.monotonic() + PING_INTERVAL_S
    while time.monotonic() < until:
        begun = time.perf_counter()
        call()
        times.append(1e3 * (time.perf_counter() - begun))
        time.sleep(0.05)
    times.sort()
    return used_s, statistics.median(times), times[min(len(times) - 1, int(len(times) * 0.99))]


def storm(client: Any, count: int) -> tuple[int, float]:
    """The most hosts that were seen away at once, and the seconds from the first one missing to all being Up."""
    up, lowest, begun = count, count, 0.0
    until = time.monotonic() + LIMIT_S
    while not begun or up != count:
        if time.monotonic() > until:
            raise SystemExit(f"the storm was not over within {LIMIT_S:g} s")
        up = client.call("listHosts", type="Routing", state="Up", pagesize=1, page=1, details="min").get("count", 0)
        if up < count and not begun:
            begun = time.monotonic()
        lowest = min(lowest, up)
        time.sleep(0.2)
    return count - lowest, time.monotonic() - begun


def bench_fleet(count: int, workers: int, per_s: float, tools: Any) -> None:
    """Print the figures of a fleet of `count` hosts; `tools` is the module with clients and accounting."""
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        server = Served(folder)
        client = tools.client_of(server.ready)
        client.call("updateConfiguration", name="ping.interval", value=PING_INTERVAL_S)
        empty_mb, before = tools.resident_mb(server.process), tools.cpu_s(server.process)
        begun = time.monotonic()
        fleet = Fleet(folder, server.ready["agent_endpoint"], count, workers, per_s, STORM)
        try:
            wait_up(client, count, "attach")
            took_s, used_s = time.monotonic() - begun, tools.cpu_s(server.process) - before
            agents_s = children_cpu_s(fleet.process)
            grown_mb = tools.resident_mb(server.process) - empty_mb
            print(
                f"{count:,} agents in {workers} processes: all Up after {took_s:.1f} s, {1e3 * used_s / count:.1f} ms "
                f"server CPU each and {1e3 * agents_s / count:.1f} ms agent CPU, server memory "
                f"{empty_mb + grown_mb:.0f} MB ({1e3 * grown_mb / count:.0f} kB each), load {os.getloadavg()[0]:.1f}",
                flush=True,
            )
            call = tools.SignedCall(server.ready, "listHosts", type="Routing", pagesize=str(PAGE), page="1")
            round_s, median_ms, p99_ms = rounds(call, tools.cpu_s, server.process)
            call.close()
            print(
                f"ping round of {count:,} agents {round_s:.2f} s server CPU; meanwhile listHosts (page of {PAGE}, "
                f"details) {median_ms:.0f} ms, p99 {p99_ms:.0f} ms",
                flush=True,
            )
            cut, back_s = storm(client, count)
            print(
                f"a storm cuts {cut:,} links for {STORM['offline_s']} s: all Up again after {back_s:.1f} s", flush=True
            )
            details = all_hosts(client, count)
            client.close()
            server.kill()
            server.start()
            client = tools.client_of(server.ready)
            back_s = wait_up(client, count, "after kill -9 of the server")
            verdict = "none twice, details as before" if all_hosts(client, count) == details else "DETAILS DIFFER"
            print(f"kill -9 of the server: all Up again after {back_s:.1f} s, {verdict}", flush=True)
            fleet.process.send_signal(signal.SIGKILL)
            fleet.process.wait()
            wait_up(client, 0, "after the end of the fleet")
            fleet = Fleet(folder, server.ready["agent_endpoint"], count, workers, per_s)
            back_s = wait_up(client, count, "after kill -9 of the fleet")
            verdict = "none twice, details as before" if all_hosts(client, count) == details else "DETAILS DIFFER"
            print(f"kill -9 of the fleet: all Up again after {back_s:.1f} s, {verdict}", flush=True)
            client.close()
        finally:
            fleet.process.terminate()
            fleet.process.wait(120)
            server.process.terminate()
            server.process.wait(60)
