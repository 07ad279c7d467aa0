"""Imports on the automatic clock, all in this process: the server, its hosts, its vCenter and the caller.

Run by tests/bench/run.py as `virtual.py COUNT` or `virtual.py fourteen`; prints its figures as JSON.
"""

from __future__ import annotations

import gc
import json
import resource
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import yaml

from mgmt.cli.client import ApiClient, as_text, signed
from mgmt.cli.collector import keep_what_is_there
from mgmt.config import Settings
from mgmt.embedded import World

ROOT = Path(__file__).resolve().parents[2]
TIMEOUT_SETTING = "convert.vmware.instance.to.kvm.timeout"
AT_ONCE = 5  # an agent has five workers: more conversions on one host would let a check wait until it times out
_FORM = [("Content-Type", "application/x-www-form-urlencoded")]
FOURTEEN_HOURS_SCALE = 1138.5 / (14 * 3600)  # what web01 takes by the model, stretched to fourteen hours


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


def import_parameters(client: ApiClient | Caller, ready: dict[str, Any], name: str) -> dict[str, Any]:
    """What an import of a VM of the lab by VDDK needs."""
    datacenter = client.call("listVmwareDcs", zoneid=ready["zone_id"])["VMwareDC"][0]["id"]
    network = client.call("listNetworks", listall=True, type="L2")["network"][0]["id"]
    data_offering = client.call("listDiskOfferings", name="Custom Disk")["diskoffering"][0]["id"]
    listed = client.call("listVmwareDcVms", existingvcenterid=datacenter)["unmanagedinstance"]
    vm = next(vm for vm in listed if vm["name"] == name)
    source = client.call("listVmwareDcVms", existingvcenterid=datacenter, hostname=vm["hostname"], instancename=name)[
        "unmanagedinstance"
    ][0]
    parameters: dict[str, Any] = {
        "name": name,
        "zoneid": ready["zone_id"],
        "clusterid": ready["cluster_id"],
        "hypervisor": "KVM",
        "importsource": "vmware",
        "existingvcenterid": datacenter,
        "serviceofferingid": client.call("listServiceOfferings", name="Medium Instance")["serviceoffering"][0]["id"],
        "forced": True,
    }
    for index, nic in enumerate(source["nic"]):
        parameters |= {f"nicnetworklist[{index}].nic": nic["id"], f"nicnetworklist[{index}].network": network}
    for index, disk in enumerate(source["disk"][1:]):
        parameters |= {
            f"datadiskofferinglist[{index}].disk": disk["id"],
            f"datadiskofferinglist[{index}].diskOffering": data_offering,
        }
    return parameters


class Caller:
    """Signed calls of a world that is in memory: the caller shares the process, and its requests need no socket."""

    def __init__(self, world: World) -> None:
        self._ready, self._server = world.ready(), world.server.http

    def call(self, command: str, **parameters: Any) -> Any:
        """The content of the answer; stops the program when it is an error."""
        texts = {name: as_text(value) for name, value in parameters.items()}
        sent = signed(command, texts, str(self._ready["api_key"]), str(self._ready["secret_key"]))
        answer = self._server.call("POST", str(self._ready["api"]), _FORM, urlencode(sent).encode())
        body = json.loads(answer.body)
        if answer.status != 200:
            raise SystemExit(f"{command} was refused: {body}")
        return next(iter(body.values()))


class Bench:
    """A world and a caller who waits for jobs without asking again and again."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.client = Caller(world)
        self.parameters = import_parameters(self.client, world.ready(), "web01")

    def import_vms(self, names: Sequence[str]) -> None:
        """Import the VM under each of these names, all at once; stops the program when one fails."""
        with self.world.clock.held():
            jobs = [
                self.client.call("importVm", **self.parameters, hostname=name, displayname=name)["jobid"]
                for name in names
            ]
        for job in jobs:
            self.world.clock.run_until(job)
            answer = self.client.call("queryAsyncJobResult", jobid=job)
            if answer["jobstatus"] != 1:
                raise SystemExit(f"an import failed: {answer['jobresult'].get('errortext')}")


def many(count: int, folder: Path) -> dict[str, float]:
    """Figures of `count` imports, so many at a time."""
    settings = Settings(port=0, agent_port=0, clock="automatic", seed=str(write_roomy_world(folder)))
    with World(settings, in_memory=True) as world:
        bench = Bench(world)
        bench.import_vms([f"warm-{number}" for number in range(AT_ONCE)])
        gc.collect()
        keep_what_is_there()  # as `serve` does once it has started
        begun_s, began, world_s = time.process_time(), time.perf_counter(), world.clock.monotonic()
        for first in range(0, count, AT_ONCE):
            bench.import_vms([f"bench-{number}" for number in range(first, min(first + AT_ONCE, count))])
        return {
            "imports": count,
            "wall_s": time.perf_counter() - began,
            "cpu_s": time.process_time() - begun_s,
            "virtual_s": world.clock.monotonic() - world_s,
            "peak_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        }


def fourteen_hours(runs: int) -> dict[str, float]:
    """The fastest of some imports that take fourteen hours by the world's clock."""
    settings = Settings(port=0, agent_port=0, clock="automatic", time_scale=FOURTEEN_HOURS_SCALE)
    with World(settings, in_memory=True) as world:
        bench = Bench(world)
        # The model is stretched, so that its limits have to be: a day, for the conversion and for all commands.
        bench.client.call("updateConfiguration", name=TIMEOUT_SETTING, value="24")
        bench.client.call("updateConfiguration", name="wait", value=str(24 * 3600))
        bench.import_vms(["warm"])
        wall_s, cpu_s, virtual_s = [], [], []
        for number in range(runs):
            begun_s, began, world_s = time.process_time(), time.perf_counter(), world.clock.monotonic()
            bench.import_vms([f"long-{number}"])
            wall_s.append(time.perf_counter() - began)
            cpu_s.append(time.process_time() - begun_s)
            virtual_s.append(world.clock.monotonic() - world_s)
    return {"wall_s": min(wall_s), "cpu_s": min(cpu_s), "virtual_s": max(virtual_s)}


def main() -> None:
    if sys.argv[1] == "fourteen":
        print(json.dumps(fourteen_hours(10)))
        return
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(many(int(sys.argv[1]), Path(folder))))


if __name__ == "__main__":
    main()
