"""Worlds of one's own: a plan in Python becomes the three YAML files that a world is made of."""

from __future__ import annotations

import copy
import random
import weakref
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from mgmt.fixtures import fixtures_dir
from mgmt.workfolders import WorkFolder

MAX_HOSTS = 40  # one address each below the NFS servers' own
_ZONE, _CLUSTER = "lab-zone", "lab-kvm"
_WITH_VDDK, _WITHOUT_VDDK = "kvm1", "kvm3"
_PREFIXES = {"guid": "11111111-0000-4000-8000", "uuid": "23000000-0000-4000-8000", "pool": "1e6b4fd8-7ce4-4237-8b37"}


@cache
def _lab(kind: str) -> Any:
    return yaml.safe_load((fixtures_dir() / kind / "lab.yaml").read_text(encoding="utf-8"))


class WorldPlan:
    """The world `lab` with changes: `WorldPlan().zone("z1").cluster(hosts=3, vddk=2).vcenter(vms=["web", "db"])`.

    Each method changes the plan and gives it back. It is what `seed` may be for `activate`, `cloud` and the marker, or
    is written as files with `write`, which `cloudstack-mock serve --seed` reads.
    """

    def __init__(self) -> None:
        self._seed: dict[str, Any] = copy.deepcopy(_lab("seeds"))
        self._hosts: dict[str, Any] = copy.deepcopy(_lab("hosts"))
        self._vcenter: dict[str, Any] = copy.deepcopy(_lab("vcenters"))
        self._names: dict[str, str] = {}
        self._folder: Path | None = None

    @classmethod
    def at_random(cls, seed: int) -> WorldPlan:
        """A plan that follows from a number: some hosts, some of them with VDDK, and VMs of all sizes."""
        chance = random.Random(seed)
        hosts = chance.randint(1, 6)
        vms = [
            {
                "name": f"vm{number:02d}",
                "cpus": chance.choice([1, 2, 4]),
                "memory_mb": chance.choice([1024, 2048, 4096]),
                "power": chance.choice(["poweredOff", "poweredOn"]),
                "disks": [{"size_gb": chance.randint(1, 60)} for _ in range(chance.randint(1, 3))],
            }
            for number in range(1, chance.randint(2, 12))
        ]
        return cls().cluster(hosts=hosts, vddk=chance.randint(1, hosts)).vcenter(vms=vms)

    def zone(self, name: str) -> WorldPlan:
        """Name the zone."""
        return self._renamed(_ZONE, name)

    def cluster(self, *, hosts: int = 3, vddk: int = 2, name: str = _CLUSTER) -> WorldPlan:
        """So many KVM hosts `kvm1`..., the first `vddk` of them with a VDDK library."""
        if not 0 <= vddk <= hosts or not 1 <= hosts <= MAX_HOSTS:
            raise ValueError(f"hosts = {hosts}, vddk = {vddk}: expected 1 to {MAX_HOSTS} hosts, and no more with VDDK")
        models = {host["name"]: host for host in _lab("hosts")["hosts"]}
        self._hosts["hosts"] = [
            _host(models[_WITH_VDDK if number <= vddk else _WITHOUT_VDDK], number) for number in range(1, hosts + 1)
        ]
        self._seed["hosts"] = [
            {
                "uuid": f"{_PREFIXES['uuid']}-{number:012d}",
                "name": f"kvm{number}",
                "guid": f"{_PREFIXES['guid']}-{number:012d}",
                "cluster": _CLUSTER,
                "private_ip": _address(number),
            }
            for number in range(1, hosts + 1)
        ]
        return self._renamed(_CLUSTER, name)

    def vcenter(self, *, vms: Sequence[str | Mapping[str, Any]]) -> WorldPlan:
        """These VMs and no others: names, or what an inventory file says of one (`name`, `cpus`, `disks`, ...)."""
        datacenter = self._vcenter["datacenters"][0]
        hosts = [host["name"] for cluster in datacenter["clusters"] for host in cluster["hosts"]]
        plain = {"guest_id": "debian11_64Guest", "guest_name": "Debian GNU/Linux 11 (64-bit)", "cpus": 2}
        datacenter["vms"] = [
            {
                "host": hosts[index % len(hosts)],
                "memory_mb": 4096,
                "disks": [{"size_gb": 20}],
                "nics": [{"network": datacenter["networks"][0]["name"]}],
                **plain,
                **({"name": vm} if isinstance(vm, str) else vm),
            }
            for index, vm in enumerate(vms)
        ]
        return self

    def storage(self, *, times: float) -> WorldPlan:
        """So many times the room on the NFS exports, all of it free."""
        for export in self._hosts["nfs_exports"]:
            export["capacity_bytes"] = export["available_bytes"] = int(export["capacity_bytes"] * times)
        return self

    def settings(self, **values: Any) -> WorldPlan:
        """Global settings by their names, with `__` for a dot: `ping__interval=30`."""
        self._seed["settings"] |= {name.replace("__", "."): value for name, value in values.items()}
        return self

    def write(self, folder: Path) -> Path:
        """Write seed.yaml, hosts.yaml and vcenter.yaml into the folder; the path of the seed."""
        files = {"hosts.yaml": self._hosts, "vcenter.yaml": self._vcenter}
        seed = self._seed | {"agents": str(folder / "hosts.yaml"), "vcenter": str(folder / "vcenter.yaml")}
        for name, document in {**files, "seed.yaml": seed}.items():
            text = yaml.safe_dump(self._with_names(document), sort_keys=False, allow_unicode=True)
            (folder / name).write_text(text, encoding="utf-8")
        return folder / "seed.yaml"

    def written(self) -> Path:
        """The path of the seed, in a folder that goes with this plan."""
        if self._folder is None:
            folder = WorkFolder("plan-")
            self._folder = folder.path
            weakref.finalize(self, folder.remove)
        return self.write(self._folder)

    def _renamed(self, old: str, new: str) -> WorldPlan:
        self._names[old] = new
        return self

    def _with_names(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {key: self._with_names(entry) for key, entry in value.items()}
        if isinstance(value, list):
            return [self._with_names(entry) for entry in value]
        if not isinstance(value, str):
            return value
        for old, new in self._names.items():
            value = new if value == old else value.replace(f"={old}\n", f"={new}\n")
        return value


def _address(number: int) -> str:
    return f"192.0.2.{80 + number}" if number > 9 else f"192.0.2.{10 + number}"


def _host(model: Mapping[str, Any], number: int) -> dict[str, Any]:
    """A host like the model, with identifiers of its own."""
    host = copy.deepcopy(dict(model))
    guid, pool = f"{_PREFIXES['guid']}-{number:012d}", f"{_PREFIXES['pool']}-f189{number:08x}"
    properties = host["properties"].replace(model["guid"], guid)
    for local in host["local_pools"]:
        properties = properties.replace(local["uuid"], pool)
        local["uuid"] = pool
    return host | {
        "name": f"kvm{number}",
        "guid": guid,
        "ip": _address(number),
        "mac": f"52:54:00:aa:bb:{0x10 + number:02x}",
        "properties": properties,
    }
