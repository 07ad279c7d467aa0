"""An embedded world for random operators: its start, what is known of it, and calls whose answers are looked at."""

from __future__ import annotations

import logging
import re
from collections import Counter
from pathlib import Path
from typing import Any

from cloudstack_mock import Settings, World
from tests.soak.client import JOB_LIMIT_S, Api, Tracebacks
from tests.soak.recent import Recent

HOSTS = ("kvm1", "kvm2", "kvm3")
POOLS = {"nfs-primary": "/export/primary", "nfs-gold": "/export/gold"}
EXPORTS = (*POOLS.values(), "/export/secondary")
VMWARE_VMS = (
    "web01",
    "db01",
    "app01",
    "web02",
    "web 01 + cache",
    "büro-süd-ä1",
    "win-files",
    "batch-suspended",
    "gone",
)
SETTINGS = {
    "convert.vmware.instance.to.kvm.timeout": ("3", "1"),
    "allow.import.volume.with.backing.file": ("false", "true"),
    "threads.on.kvm.host.to.import.vmware.vm.files": ("0", "2"),
    "threads.on.ms.to.import.vmware.vm.files": ("0", "1", "3"),
    "convert.vmware.instance.to.kvm.extra.params.allowed": ("true", "true", "false"),
    "convert.vmware.instance.to.kvm.extra.params.allowed.list": ("bogus", ""),
    "cloudstackmock.import.limit.per.kvm.host": ("0", "1"),
    "cloudstackmock.import.limit.per.esxi.host": ("0", "1", "2"),
    "instance.name": ("VM", "SOAK"),
}
SLOW, FAST = 3000.0, 1e9
_VARIABLE = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}|\bid\":\d+|\bs\d+\b|\bum?\d+\b|\bi-\d+-\d+-\w+|\d{2,}")


class SoakServer:
    """The world, what is known of it, and counts of what happened."""

    def __init__(self, folder: Path) -> None:
        self.steps = 0
        self.recent = Recent()
        self.imports: Counter[str] = Counter()
        self.failures: Counter[str] = Counter()
        self.restarts = 0
        self._number = 0
        self._pending: list[tuple[str, str]] = []
        self._own_files: set[str] = set()
        self._unmanaged: set[str] = set()
        self._tracebacks = Tracebacks()
        logging.getLogger().addHandler(self._tracebacks)
        settings = Settings(
            port=0,
            agent_port=0,
            time_scale=FAST,
            extensions=True,
            fix=("all",),
            database=f"sqlite:///{folder}/soak.db",
            work_dir=folder / "work",
        )
        self.world = World(settings)
        self.world.start()
        self._api = Api(self.world.ready())
        self._learn()
        self._mount()
        for setting in SETTINGS:
            self.configure(setting, 0)
        self._baseline = self._files()
        self._vcenter_vms = self.vcenter.inventory.vm_names

    def close(self) -> None:
        """Stop everything."""
        self._api.close()
        self.world.stop()
        logging.getLogger().removeHandler(self._tracebacks)

    @property
    def fleet(self) -> Any:
        return self.world.fleet

    @property
    def vcenter(self) -> Any:
        return self.world.vcenter

    def _mount(self) -> None:
        """Let the hosts reach the primary pool by its export's name too: that is how CloudStack finds a VM's pool."""
        for member in self.fleet.agents:
            link = member.root / POOLS["nfs-primary"].lstrip("/")
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(self.fleet.export_directory("192.0.2.20", POOLS["nfs-primary"]).resolve())

    def _learn(self) -> None:
        ready = self.world.ready()
        self._zone, self._cluster = ready["zone_id"], ready["cluster_id"]
        self._hosts = {host["name"]: host["id"] for host in self.get("listHosts", "host", type="Routing")}
        self._pools = {pool["name"]: pool["id"] for pool in self.get("listStoragePools", "storagepool")}
        self._networks = {row["name"]: row["id"] for row in self.get("listNetworks", "network", listall=True)}
        self._offerings = {row["name"]: row["id"] for row in self.get("listServiceOfferings", "serviceoffering")}
        self._disk_offerings = {row["name"]: row["id"] for row in self.get("listDiskOfferings", "diskoffering")}
        self._template = next(row["id"] for row in self.get("listTemplates", "template", templatefilter="all"))
        self._datacenter = self.get("listVmwareDcs", "VMwareDC", zoneid=self._zone)[0]["id"]
        listed = self.get("listVmwareDcVms", "unmanagedinstance", existingvcenterid=self._datacenter)
        self._sources = {
            vm["name"]: self.get(
                "listVmwareDcVms",
                "unmanagedinstance",
                existingvcenterid=self._datacenter,
                hostname=vm["hostname"],
                instancename=vm["name"],
            )[0]
            for vm in listed
            if vm["name"] in VMWARE_VMS
        }

    # Calling --------------------------------------------------------------------------------------------------------

    def call(self, command: str, **parameters: Any) -> dict[str, Any] | None:
        """The answer's content; None for a refusal, which is counted. Raises SoakFailure for no CloudStack answer."""
        status, content = self._api.send(command, parameters)
        self.recent.called(self.steps, command, parameters, content)
        if status == 200 and "errorcode" not in content:
            return content
        if content.get("errorcode") in (None, 500):
            raise self.recent.failure(f"{command} was answered {status}: {content}")
        self._failed(command, content)
        return None

    def get(self, command: str, key: str, **parameters: Any) -> list[dict[str, Any]]:
        """The items of a list, which must be answered."""
        answer = self.call(command, **parameters)
        if answer is None:
            raise self.recent.failure(f"{command} was refused")
        found: list[dict[str, Any]] = answer.get(key, [])
        return found

    def run(self, command: str, *, wait: bool = True, **parameters: Any) -> dict[str, Any] | None:
        """As `call`; waits for the job unless `wait` is false, and gives its result, None when it failed."""
        answer = self.call(command, **parameters)
        if answer is None or "jobid" not in answer:
            return answer
        if not wait:
            self._pending.append((command, answer["jobid"]))
            return None
        return self._result(command, answer["jobid"])

    def _result(self, command: str, job_id: str) -> dict[str, Any] | None:
        if not self.world.server.services.jobs.wait(job_id, JOB_LIMIT_S):
            raise self.recent.failure(f"job {job_id} of {command} does not end")
        job = self.call("queryAsyncJobResult", jobid=job_id)
        if job is None or job["jobstatus"] == 0:
            raise self.recent.failure(f"job {job_id} of {command}: {job}")
        self.recent.add(self.steps, f"{command} {job_id} ended: {job['jobresult'].get('errortext', 'done')}")
        if job["jobstatus"] == 1:
            found: dict[str, Any] = job["jobresult"]
            return found
        self._failed(command, job["jobresult"])
        return None

    def _failed(self, command: str, error: dict[str, Any]) -> None:
        text = _VARIABLE.sub("<n>", str(error.get("errortext")))
        self.failures[f"{command}: {error.get('errorcode')} {text[:160]}"] += 1

    def _new_name(self) -> str:
        self._number += 1
        return f"s{self._number}"

    def _files(self) -> set[str]:
        roots = [self.fleet.export_directory("192.0.2.20", path) for path in EXPORTS]
        for member in self.fleet.agents:
            roots += [member.root / "tmp", member.root / "var/lib/libvirt/images"]
        roots.append(self.fleet.work_dir / "remote" / "192.0.2.60" / "tmp")
        return {entry.name for root in roots if root.is_dir() for entry in root.iterdir()}

    def configure(self, name: str, number: int) -> None:
        values = SETTINGS[name]
        self.call("updateConfiguration", name=name, value=values[number % len(values)])
