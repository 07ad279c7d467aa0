"""Figures of this machine: start, CPU and wall per call, agents attached, imports. Run by scripts/bench.

The server is a process of its own, so its CPU is read from the system's accounting and not mixed with the callers'.
Callers sign once and then send the same request over one kept connection: a client that works hard between two calls
would take the server's processor from it, and the figures would be the client's.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

from fleet import bench_fleet
from virtual import AT_ONCE, import_parameters, write_roomy_world  # its neighbours: all are run as scripts

from mgmt.cli.client import ApiClient, signed

ROOT = Path(__file__).resolve().parents[2]
CLI = [sys.executable, "-m", "mgmt.cli"]
START_TIMEOUT_S = 60
PARTS = ("start", "calls", "lists", "agents", "fleet", "imports", "virtual", "harness")
POLL_INTERVAL_S = 0.05  # each look at a job costs the server a call
# An installed program has its modules compiled; a shell that forbids it would measure Python's compiler.
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


@contextmanager
def served(*options: str) -> Iterator[tuple[subprocess.Popen[bytes], dict[str, Any], float]]:
    """A running server: its process, ready file and seconds from start to the ready file."""
    with tempfile.TemporaryDirectory() as folder:
        ready_file = Path(folder) / "ready.json"
        begun = time.perf_counter()
        process = subprocess.Popen(
            [*CLI, "serve", "--port", "0", "--agent-port", "0", "--ready-file", str(ready_file), *options],
            cwd=ROOT,
            env=ENVIRONMENT,
            stdout=subprocess.DEVNULL,
        )
        try:
            while not ready_file.exists():
                if process.poll() is not None or time.perf_counter() - begun > START_TIMEOUT_S:
                    raise SystemExit("the server did not start")
                time.sleep(0.002)
            took_s = time.perf_counter() - begun
            yield process, json.loads(ready_file.read_text()), took_s
        finally:
            process.terminate()
            process.wait(10)


def cpu_s(process: subprocess.Popen[bytes]) -> float:
    """User and system seconds that the process has used."""
    values = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(values[11]) + int(values[12])) / os.sysconf("SC_CLK_TCK")


def resident_mb(process: subprocess.Popen[bytes]) -> float:
    """Memory of the process that is in the machine's memory now."""
    pages = int(Path(f"/proc/{process.pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def client_of(ready: dict[str, Any]) -> ApiClient:
    return ApiClient(ready["api"], ready["api_key"], ready["secret_key"])


def in_threads(count: int, work: Callable[[int], None]) -> float:
    """Wall seconds that `count` threads need for `work(thread number)`."""
    threads = [threading.Thread(target=work, args=(number,)) for number in range(count)]
    begun = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return time.perf_counter() - begun


class SignedCall:
    """One signed GET that is sent again and again over a connection of its own."""

    def __init__(self, ready: dict[str, Any], command: str, **more: str) -> None:
        parameters = signed(command, more, ready["api_key"], ready["secret_key"])
        url = urlsplit(ready["api"])
        self._target = f"{url.path}?{urlencode(parameters)}"
        self._connection = http.client.HTTPConnection(url.netloc, timeout=60)

    def __call__(self) -> None:
        self._connection.request("GET", self._target)
        answer = self._connection.getresponse()
        answer.read()
        if answer.status != 200:
            raise SystemExit(f"the server answered {answer.status}")

    def close(self) -> None:
        self._connection.close()


def bench_start(runs: int) -> None:
    with served():
        pass  # compiles what is not compiled yet
    for options, label in (
        ((), "with 3 embedded hosts and vCenter"),
        (("--agents", "none", "--vcenter", "none"), "bare"),
    ):
        ready, first = [], []
        for _ in range(runs):
            begun = time.perf_counter()
            with served(*options) as (_, content, took_s):
                client = client_of(content)
                client.call("listZones")
                first.append(time.perf_counter() - begun)
                ready.append(took_s)
                client.close()
        print(
            f"start to first answer, {label:34} {statistics.median(first):8.3f} s "
            f"(ready file {statistics.median(ready):.3f} s)"
        )


def bench_calls(calls: int) -> None:
    with served() as (process, ready, _):
        for command in ("listZones", "listHosts"):
            for callers in (1, 8):
                share = calls // callers

                def work(_: int, command: str = command, share: int = share) -> None:
                    call = SignedCall(ready, command)
                    for _ in range(share):
                        call()
                    call.close()

                work(0)  # warm
                before = cpu_s(process)
                wall_s = in_threads(callers, work)
                used_s = cpu_s(process) - before
                done = share * callers
                print(
                    f"signed {command:10} {callers} caller(s) "
                    f"{1e6 * used_s / done:8.0f} us server CPU, {1e6 * wall_s * callers / done:8.0f} us wall each, "
                    f"{done / wall_s:7.0f} calls/s"
                )


def bench_lists(scale: int) -> None:
    """Calls with 500 hosts and 5,000 VMs in the records, by 1, 8 and 64 callers."""
    page = {"page": "1", "pagesize": "500"}
    kinds: tuple[tuple[str, str, dict[str, str], int], ...] = (
        ("listZones", "listZones", {}, 1_000 * scale),
        ("listHosts, all 500 with details", "listHosts", {"type": "Routing", **page}, 64 * scale),
        ("listVirtualMachines, a page of 500", "listVirtualMachines", {"listall": "true", **page}, 64 * scale),
    )
    with crowded() as (process, ready):
        for label, command, more, calls in kinds:
            for callers in (1, 8, 64):
                took_s: list[float] = []

                def work(_: int, share: int = max(1, calls // callers), took_s: list[float] = took_s) -> None:
                    call = SignedCall(ready, command, **more)  # noqa: B023  # it ends before the next round
                    for _ in range(share):
                        begun = time.perf_counter()
                        call()
                        took_s.append(time.perf_counter() - begun)
                    call.close()

                work(0, 2, [])  # warm
                before = cpu_s(process)
                in_threads(callers, work)
                used_s = cpu_s(process) - before
                took_s.sort()
                p99_s = took_s[-1 - len(took_s) // 100]
                print(
                    f"signed {label:34} {callers:2} caller(s) {1e6 * used_s / len(took_s):8.0f} us server CPU, "
                    f"median {1e3 * statistics.median(took_s):8.1f} ms, p99 {1e3 * p99_s:8.1f} ms"
                )


@contextmanager
def crowded() -> Iterator[tuple[subprocess.Popen[bytes], dict[str, Any]]]:
    """A running server of tests/bench/crowded.py, and its ready file."""
    with tempfile.TemporaryDirectory() as folder:
        ready_file = Path(folder) / "ready.json"
        script = str(Path(__file__).with_name("crowded.py"))
        environment = {**ENVIRONMENT, "PYTHONPATH": str(ROOT)}
        process = subprocess.Popen([sys.executable, script, str(ready_file)], cwd=ROOT, env=environment)
        begun = time.perf_counter()
        try:
            while not ready_file.exists():
                if process.poll() is not None or time.perf_counter() - begun > START_TIMEOUT_S:
                    raise SystemExit("the crowded server did not start")
                time.sleep(0.01)
            yield process, json.loads(ready_file.read_text())
        finally:
            process.terminate()
            process.wait(60)


def bench_agents(count: int) -> None:
    with served("--agents", "none", "--vcenter", "none") as (process, ready, _):
        client = client_of(ready)
        before = cpu_s(process)
        begun = time.perf_counter()
        fleet = subprocess.Popen(
            [*CLI, "agents", "--connect", ready["agent_endpoint"], "--count", str(count)],
            cwd=ROOT,
            env=ENVIRONMENT,
            stdout=subprocess.DEVNULL,
        )
        try:
            while client.call("listHosts", type="Routing", state="Up", pagesize=1, page=1).get("count", 0) < count:
                if time.perf_counter() - begun > START_TIMEOUT_S:
                    raise SystemExit("not all agents came Up")
                time.sleep(0.05)
            wall_s = time.perf_counter() - begun
            print(
                f"{count} agents, from process start to all Up {wall_s:8.2f} s ({count / wall_s:.0f}/s), "
                f"{1e3 * (cpu_s(process) - before) / count:.1f} ms server CPU each"
            )
        finally:
            fleet.terminate()
            fleet.wait(10)
            client.close()


def bench_imports(count: int) -> None:
    with (
        tempfile.TemporaryDirectory() as folder,
        served("--time-scale", "1000000000", "--seed", str(write_roomy_world(Path(folder)))) as (process, ready, _),
    ):
        client = client_of(ready)
        parameters = import_parameters(client, ready, "web01")

        for callers in (1, 4):
            share = count // callers

            def work(thread: int, share: int = share, callers: int = callers) -> None:
                caller = client_of(ready)
                for number in range(share):
                    unique = f"bench-{callers}-{thread}-{number}"
                    caller.run(
                        "importVm",
                        parameters | {"hostname": unique, "displayname": unique},
                        poll_interval_s=POLL_INTERVAL_S,
                    )
                caller.close()

            before = cpu_s(process)
            wall_s = in_threads(callers, work)
            done = share * callers
            print(
                f"imports of a two-disk VM by VDDK, {callers} at a time {done / wall_s:8.1f}/s, "
                f"{1e3 * (cpu_s(process) - before) / done:.1f} ms CPU each (server, hosts and vCenter in one process), "
                f"{resident_mb(process):.0f} MB resident after them"
            )
        client.close()


def bench_virtual(processes: int, share: int) -> None:
    """Imports on the automatic clock, some at a time in each process, which has a whole world."""
    label = f"{processes * share:,} imports of two-disk VMs on the virtual clock, {AT_ONCE} at a time"
    begun = time.perf_counter()
    running = [in_own_process(str(share)) for _ in range(processes)]
    found = [figures_of(process) for process in running]
    wall_s = time.perf_counter() - begun
    done = sum(figures["imports"] for figures in found)
    cpu_s = sum(figures["cpu_s"] for figures in found)
    import_wall_s = max(figures["wall_s"] for figures in found)
    print(
        f"{label}, {processes} processes: {import_wall_s:.0f} s wall ({wall_s:.0f} with the start), "
        f"{1e3 * cpu_s / done:.1f} ms CPU each, "
        f"peak RSS {max(figures['peak_rss_mb'] for figures in found):.0f} MB a process, "
        f"{sum(figures['virtual_s'] for figures in found) / 86400:.0f} days of the worlds' time"
    )
    long = figures_of(in_own_process("fourteen"))
    print(
        f"an import of {long['virtual_s'] / 3600:.1f} hours on the virtual clock "
        f"{1e3 * long['wall_s']:.0f} ms wall, {1e3 * long['cpu_s']:.0f} ms CPU (the fastest of 10)"
    )


def in_own_process(what: str) -> subprocess.Popen[str]:
    """tests/bench/virtual.py at work."""
    script = Path(__file__).with_name("virtual.py")
    return subprocess.Popen(
        [sys.executable, str(script), what], cwd=ROOT, env=ENVIRONMENT, stdout=subprocess.PIPE, text=True
    )


def figures_of(process: subprocess.Popen[str]) -> dict[str, float]:
    """What the process found, once it has ended."""
    output, _ = process.communicate()
    if process.returncode != 0:
        raise SystemExit("imports on the virtual clock failed")
    figures: dict[str, float] = json.loads(output)
    return figures


def bench_harness() -> None:
    """What a test pays for its cloud, in a process of its own."""
    script = Path(__file__).with_name("harness.py")
    if subprocess.run([sys.executable, str(script)], cwd=ROOT, env=ENVIRONMENT, check=False).returncode:
        raise SystemExit("the harness failed")


def main() -> None:
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    parser.add_argument("--only", choices=PARTS, help="one part alone")
    parser.add_argument("--quick", action="store_true", help="fewer rounds")
    parser.add_argument(
        "--soak", nargs="?", type=int, const=10_000, metavar="STEPS", help="only random steps in a whole world (10000)"
    )
    parser.add_argument(
        "--imports", type=int, metavar="N", help="how many, in the parts `imports` (for each line of it) and `virtual`"
    )
    parser.add_argument("--agents", type=int, metavar="N", help="how many, in the part `fleet`")
    parser.add_argument("--workers", type=int, default=2, metavar="N", help="processes of the part `fleet`")
    parser.add_argument("--ramp", type=float, default=200.0, metavar="N", help="agents a second in the part `fleet`")
    options = parser.parse_args()
    if options.soak is not None:
        from soak import soak

        raise SystemExit(soak(options.soak))
    scale = 1 if options.quick else 4
    parts = {
        "start": lambda: bench_start(1 + scale),
        "calls": lambda: bench_calls(500 * scale),
        "lists": lambda: bench_lists(scale),
        "agents": lambda: bench_agents(200),
        "fleet": lambda: bench_fleet(
            options.agents or (200 if options.quick else 1_000), options.workers, options.ramp, sys.modules[__name__]
        ),
        "imports": lambda: bench_imports(options.imports or 10 * scale),
        "virtual": lambda: bench_virtual(2, (options.imports or (100 if options.quick else 10_000)) // 2),
        "harness": bench_harness,
    }
    print(f"Python {platform.python_version()}, {os.cpu_count()} CPUs, {platform.machine()}")
    for name, part in parts.items():
        if options.only in (None, name):
            part()


if __name__ == "__main__":
    main()
