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

import yaml

from mgmt.cli.client import ApiClient, sign

ROOT = Path(__file__).resolve().parents[2]
CLI = [sys.executable, "-m", "mgmt.cli"]
START_TIMEOUT_S = 60
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

    def __init__(self, ready: dict[str, Any], command: str) -> None:
        parameters = {"command": command, "apiKey": ready["api_key"], "response": "json"}
        parameters["signature"] = sign(parameters, ready["secret_key"])
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


def write_roomy_world(folder: Path) -> Path:
    """The seed `lab` with a thousand times the storage: its pools are full after some thirty imports."""
    seed = yaml.safe_load((ROOT / "fixtures/seeds/lab.yaml").read_text(encoding="utf-8"))
    hosts = yaml.safe_load((ROOT / "fixtures" / seed["agents"]).read_text(encoding="utf-8"))
    for export in hosts["nfs_exports"]:
        export["capacity_bytes"] *= 1000
        export["available_bytes"] = export["capacity_bytes"]
    (folder / "hosts.yaml").write_text(yaml.safe_dump(hosts), encoding="utf-8")
    seed |= {"agents": str(folder / "hosts.yaml"), "vcenter": str(ROOT / "fixtures" / seed["vcenter"])}
    (folder / "seed.yaml").write_text(yaml.safe_dump(seed), encoding="utf-8")
    return folder / "seed.yaml"


def bench_imports(count: int) -> None:
    with (
        tempfile.TemporaryDirectory() as folder,
        served("--time-scale", "1000000000", "--seed", str(write_roomy_world(Path(folder)))) as (process, ready, _),
    ):
        client = client_of(ready)
        datacenter = client.call("listVmwareDcs", zoneid=ready["zone_id"])["VMwareDC"][0]["id"]
        network = client.call("listNetworks", listall=True, type="L2")["network"][0]["id"]
        offering = client.call("listServiceOfferings", name="Medium Instance")["serviceoffering"][0]["id"]
        data_offering = client.call("listDiskOfferings", name="Custom Disk")["diskoffering"][0]["id"]
        vm = next(
            vm
            for vm in client.call("listVmwareDcVms", existingvcenterid=datacenter)["unmanagedinstance"]
            if vm["name"] == "web01"
        )
        source = client.call(
            "listVmwareDcVms", existingvcenterid=datacenter, hostname=vm["hostname"], instancename="web01"
        )["unmanagedinstance"][0]
        parameters: dict[str, Any] = {
            "name": "web01",
            "zoneid": ready["zone_id"],
            "clusterid": ready["cluster_id"],
            "hypervisor": "KVM",
            "importsource": "vmware",
            "existingvcenterid": datacenter,
            "serviceofferingid": offering,
            "forced": True,
        }
        for index, nic in enumerate(source["nic"]):
            parameters |= {f"nicnetworklist[{index}].nic": nic["id"], f"nicnetworklist[{index}].network": network}
        for index, disk in enumerate(source["disk"][1:]):
            parameters |= {
                f"datadiskofferinglist[{index}].disk": disk["id"],
                f"datadiskofferinglist[{index}].diskOffering": data_offering,
            }

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


def main() -> None:
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    parser.add_argument("--only", choices=["start", "calls", "agents", "imports"], help="one part alone")
    parser.add_argument("--quick", action="store_true", help="fewer rounds")
    parser.add_argument(
        "--soak", nargs="?", type=int, const=10_000, metavar="STEPS", help="only random steps in a whole world (10000)"
    )
    parser.add_argument("--imports", type=int, metavar="N", help="imports of the part `imports`, for each line of it")
    options = parser.parse_args()
    if options.soak is not None:
        from soak import soak

        raise SystemExit(soak(options.soak))
    scale = 1 if options.quick else 4
    parts = {
        "start": lambda: bench_start(1 + scale),
        "calls": lambda: bench_calls(500 * scale),
        "agents": lambda: bench_agents(200),
        "imports": lambda: bench_imports(options.imports or 10 * scale),
    }
    print(f"Python {platform.python_version()}, {os.cpu_count()} CPUs, {platform.machine()}")
    for name, part in parts.items():
        if options.only in (None, name):
            part()


if __name__ == "__main__":
    main()
