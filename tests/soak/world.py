"""A whole embedded world under random operators: what they can do to it, and what must hold when it is at rest.

Every action returns at once or when its job has ended; nothing here decides what to do next (see machine.py). What is
found cannot be repeated, so a failure tells the last things that were done.
"""

from __future__ import annotations

import http.client
import json
import logging
import re
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

from sqlalchemy import select

from agent_sim.agent import Phase
from agent_sim.host import Domain, DomainDisk, DomainNic
from agent_sim.toolchain.images import write_qcow2
from cloudstack_mock import Settings, World
from mgmt.cli.client import sign
from mgmt.store import models
from tests.soak.recent import Recent, SoakFailure

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
    "instance.name": ("VM", "SOAK"),
}
GIB = 1024**3
JOB_LIMIT_S = 60.0
SLOW, FAST = 3000.0, 1e9
_VARIABLE = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}|\bid\":\d+|\bs\d+\b|\bum?\d+\b|\bi-\d+-\d+-\w+|\d{2,}")


class _Tracebacks(logging.Handler):
    """Keeps log records that tell of a program error."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.found: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if record.exc_info or "Traceback" in text:
            self.found.append(f"{record.name}: {text} {self._shown(record)}")

    def _shown(self, record: logging.LogRecord) -> str:
        return logging.Formatter().formatException(record.exc_info) if record.exc_info else ""


class _Api:
    """Signed calls over one kept connection."""

    def __init__(self, ready: dict[str, Any]) -> None:
        self._ready = ready
        self._url = urlsplit(ready["api"])
        self._connection = http.client.HTTPConnection(self._url.netloc, timeout=JOB_LIMIT_S)

    def close(self) -> None:
        self._connection.close()

    def send(self, command: str, parameters: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        sent = {name: _text(value) for name, value in parameters.items() if value is not None}
        sent |= {"command": command, "apiKey": self._ready["api_key"], "response": "json"}
        sent["signature"] = sign(sent, self._ready["secret_key"])
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        self._connection.request("POST", self._url.path, urlencode(sent), headers)
        answer = self._connection.getresponse()
        try:
            ((_, content),) = json.loads(answer.read()).items()
        except (ValueError, AttributeError):
            return answer.status, {"errorcode": None, "errortext": "no JSON of CloudStack's"}
        return answer.status, content


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


class SoakWorld:
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
        self._tracebacks = _Tracebacks()
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
        self._api = _Api(self.world.ready())
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

    # Imports --------------------------------------------------------------------------------------------------------

    def import_vmware(self, vm: str, path: str, pool: str | None, host: str | None, fault: str, *, wait: bool) -> None:
        """Import by VDDK or an OVF export (of the host, of the server), into a pool or through the image store."""
        name = self._new_name()
        parameters: dict[str, Any] = {
            "name": vm,
            "hostname": name,
            "displayname": name,
            "zoneid": self._zone,
            "clusterid": self._cluster,
            "hypervisor": "KVM",
            "importsource": "vmware",
            "existingvcenterid": self._datacenter,
            "serviceofferingid": self._offerings["Medium Instance"],
            "forced": fault != "mac",
            "usevddk": path == "vddk",
            "forcemstoimportvmfiles": path == "server",
            "convertinstancehostid": self._hosts[host] if host else None,
            "convertinstancepoolid": self._pools[pool] if pool else None,
            "forceconverttopool": bool(pool) and fault != "pool",
        }
        source = self._sources.get(vm, {})
        for index, nic in enumerate(source.get("nic", [])[1 if fault == "nic" else 0 :]):
            parameters[f"nicnetworklist[{index}].nic"] = nic["id"]
            parameters[f"nicnetworklist[{index}].network"] = self._networks["lab-l2"]
        for index, disk in enumerate(source.get("disk", [])[1 : None if fault != "disk" else 1]):
            parameters[f"datadiskofferinglist[{index}].disk"] = disk["id"]
            parameters[f"datadiskofferinglist[{index}].diskOffering"] = self._disk_offerings["Custom Disk"]
        if fault == "record":
            parameters["details[0].miniops"] = "many"
        if fault == "tool":
            parameters["extraparams"] = "--bogus"
        self._import("vmware " + path, "importVm", parameters, wait=wait)

    def import_external(self, fault: str, *, wait: bool) -> None:
        """Import the stopped VM of the host outside the cloud."""
        parameters = self._kvm_parameters("external") | {
            "name": "remote1" if fault != "name" else "gone",
            "host": "192.0.2.60",
            "username": "root",
            "password": "lab-remote" if fault != "password" else "wrong",
            "nicnetworklist[0].nic": "0",
            "nicnetworklist[0].network": self._networks["lab-l2"],
        }
        self._import("external", "importVm", parameters, wait=wait)

    def import_image(self, source: str, fault: str, *, wait: bool) -> None:
        """Import a disk image that lies in a pool (shared) or on a host (local)."""
        name = f"{self._new_name()}.qcow2"
        pool, directory = self._pools["nfs-primary"], self.fleet.export_directory("192.0.2.20", POOLS["nfs-primary"])
        host = None
        if source == "local":
            row = next((row for key, row in self._pools.items() if "kvm1" in key.lower()), pool)
            pool, host = row, self._hosts["kvm1"]
            if row != self._pools["nfs-primary"]:
                directory = self.fleet.agent("kvm1").root / "var/lib/libvirt/images"
        if fault != "name":
            write_qcow2(directory / name, 2 * GIB, allocated_bytes=GIB)
            self._own_files.add(name)
        parameters = self._kvm_parameters(source) | {
            "name": name,
            "diskpath": name,
            "networkid": self._networks["lab-l2"],
            "storageid": pool,
            "hostid": host,
        }
        self._import(source, "importVm", parameters, wait=wait)

    def import_unmanaged(self, host: str, *, wait: bool) -> None:
        """Start a VM behind the server's back and take it in."""
        if self.fleet.agent(host).phase is Phase.STOPPED:
            return
        name = f"u{self._new_name()}"
        file = self.fleet.export_directory("192.0.2.20", POOLS["nfs-primary"]) / f"{name}.qcow2"
        write_qcow2(file, 8 * GIB, allocated_bytes=GIB)
        self._own_files.add(file.name)
        mac = f"52:54:00:77:{self._number >> 8 & 255:02x}:{self._number & 255:02x}"
        domain = Domain(
            name=name,
            cpu_cores=2,
            memory_mb=4096,
            disks=(DomainDisk(f"{POOLS['nfs-primary']}/{file.name}", 8 * GIB),),
            nics=(DomainNic(mac=mac, bridge="cloudbr0"),),
        )
        self.fleet.start_domain(host, domain)
        parameters = {
            "name": name,
            "hostname": name,
            "displayname": name,
            "clusterid": self._cluster,
            "serviceofferingid": self._offerings["Medium Instance"],
            "templateid": self._template,
            "nicnetworklist[0].nic": "0",
            "nicnetworklist[0].network": self._networks["lab-l2"],
        }
        self._import("unmanaged", "importUnmanagedInstance", parameters, wait=wait)

    def _kvm_parameters(self, source: str) -> dict[str, Any]:
        name = self._new_name()
        return {
            "hostname": name,
            "displayname": name,
            "zoneid": self._zone,
            "clusterid": self._cluster,
            "hypervisor": "KVM",
            "importsource": source,
            "serviceofferingid": self._offerings["Small Instance"],
        }

    def _import(self, kind: str, command: str, parameters: dict[str, Any], *, wait: bool) -> None:
        self.imports[kind] += 1
        self._slow_down(not wait)
        self.run(command, wait=wait, **parameters)

    def cancel(self, number: int) -> None:
        """Cancel an import under way."""
        jobs = [job_id for command, job_id in self._pending if command == "importVm"]
        if jobs:
            self.call("cancelImportVm", id=jobs[number % len(jobs)])

    @property
    def can_cancel(self) -> bool:
        return "cancelImportVm" in self.world.server.services.commands

    def _slow_down(self, slow: bool) -> None:
        self.recent.add(self.steps, f"hosts work {'slowly' if slow else 'fast'}")
        for member in self.fleet.agents:
            member.hypervisor.bench.time_scale = SLOW if slow else FAST

    # Life -----------------------------------------------------------------------------------------------------------

    def vms(self) -> list[dict[str, Any]]:
        return self.get("listVirtualMachines", "virtualmachine", listall=True)

    def life(self, number: int, command: str, **parameters: Any) -> None:
        """Send one of the commands of a VM's life to one of the VMs."""
        vms = self.vms()
        if vms:
            key = "virtualmachineid" if command == "migrateVirtualMachine" else "id"
            self.run(command, **{key: vms[number % len(vms)]["id"]}, **parameters)

    def unmanage(self, number: int) -> None:
        """Let a VM go: its host keeps it, and its files are nobody's business any more."""
        vms = self.vms()
        if not vms:
            return
        vm = vms[number % len(vms)]["id"]
        if self.run("unmanageVirtualMachine", id=vm) is not None:
            self._unmanaged.add(vm)

    def migrate(self, number: int, host: str) -> None:
        self.life(number, "migrateVirtualMachine", hostid=self._hosts[host])

    def guest_ends(self, number: int) -> None:
        """A VM ends behind the server's back."""
        running = [
            (member.name, name)
            for member in self.fleet.agents
            if member.phase is not Phase.STOPPED
            for name, domain in sorted(member.hypervisor.domains.items())
            if domain.state == "running"
        ]
        if running:
            host, name = running[number % len(running)]
            self.fleet.end_domain(host, name)

    def add_volume(self, number: int) -> None:
        """Record a volume, and give it to one of the VMs."""
        offering = self._disk_offerings["Custom Disk"]
        made = self.run("createVolume", name=self._new_name(), zoneid=self._zone, diskofferingid=offering, size=1)
        vms = self.vms()
        if made and vms:
            volume = made["volume"]["id"]
            self.run("attachVolume", id=volume, virtualmachineid=vms[number % len(vms)]["id"])

    def drop_volume(self, number: int, *, delete: bool) -> None:
        """Take a data volume from its VM, and delete it."""
        volumes = self.get("listVolumes", "volume", listall=True, type="DATADISK")
        if volumes:
            volume = volumes[number % len(volumes)]["id"]
            self.run("detachVolume", id=volume)
            if delete:
                self.call("deleteVolume", id=volume)

    # Operators ------------------------------------------------------------------------------------------------------

    def kill_host(self, name: str) -> None:
        self.recent.add(self.steps, f"kill {name}")
        self.fleet.kill(name)

    def revive_host(self, name: str) -> None:
        self.recent.add(self.steps, f"revive {name}")
        self.fleet.revive(name)

    def drop_link(self, name: str) -> None:
        self.recent.add(self.steps, f"drop_link {name}")
        self.fleet.drop_link(name)

    def enable_host(self, name: str, enabled: bool) -> None:
        self.call("updateHost", id=self._hosts[name], allocationstate="Enable" if enabled else "Disable")

    def maintain_host(self, name: str, maintained: bool, *, wait: bool = True) -> None:
        """Prepare a host for maintenance, whose VMs then go in the background, or end its maintenance."""
        command = "prepareHostForMaintenance" if maintained else "cancelHostMaintenance"
        self.run(command, wait=wait, id=self._hosts[name])

    def maintain_pool(self, name: str, maintained: bool, *, wait: bool = True) -> None:
        """Put a pool into maintenance, which stops its VMs, or end that."""
        command = "enableStorageMaintenance" if maintained else "cancelStorageMaintenance"
        self.run(command, wait=wait, id=self._pools[name])

    def configure(self, name: str, number: int) -> None:
        values = SETTINGS[name]
        self.call("updateConfiguration", name=name, value=values[number % len(values)])

    def restart(self) -> None:
        """Restart the server in the middle of whatever it does; hosts and vCenter live on."""
        self.restarts += 1
        self.recent.add(self.steps, "restart the server")
        self._api.close()
        self.world.restart_server()
        self._api = _Api(self.world.ready())

    # At rest --------------------------------------------------------------------------------------------------------

    def come_to_rest(self) -> None:
        """Undo what operators did, let all work end, and check what must then hold."""
        self.recent.add(self.steps, "come to rest")
        self._slow_down(False)
        for host in HOSTS:
            self.fleet.revive(host)
        for setting in SETTINGS:
            self.configure(setting, 0)
        members = [self.fleet.agent(host).hypervisor.host.full_guid for host in HOSTS]
        if not self.world.server.agents.wait_for_hosts_up(members, timeout_s=JOB_LIMIT_S):
            raise self.recent.failure("not all hosts come Up again")
        for command, job_id in self._pending:
            self._result(command, job_id)
        self._pending.clear()
        self._end_maintenance()
        self._until(lambda: not any(member.running_commands for member in self.fleet.agents), "hosts go on working")
        self._until(lambda: not self.world.server.services.cleanups.is_waiting(), "clean-ups do not end")
        self.check()

    def _end_maintenance(self) -> None:
        for host in self.get("listHosts", "host", type="Routing"):
            if host["name"] in HOSTS and host["resourcestate"] not in ("Enabled", "Disabled"):
                self.maintain_host(host["name"], False)
        for pool in self.get("listStoragePools", "storagepool"):
            if pool["state"] != "Up":
                self.maintain_pool(pool["name"], False)
        for name in HOSTS:
            self.enable_host(name, True)
        hosts = [host for host in self.get("listHosts", "host", type="Routing") if host["name"] in HOSTS]
        stuck = [f"{host['name']} is {host['resourcestate']}" for host in hosts if host["resourcestate"] != "Enabled"]
        pools = self.get("listStoragePools", "storagepool")
        stuck += [f"{pool['name']} is {pool['state']}" for pool in pools if pool["state"] != "Up"]
        if stuck:
            raise self.recent.failure(f"maintenance does not end: {', '.join(stuck)}")

    def _until(self, holds: Callable[[], bool], otherwise: str) -> None:
        deadline = time.monotonic() + JOB_LIMIT_S
        pause = threading.Event()
        while not holds():
            if time.monotonic() > deadline:
                raise self.recent.failure(otherwise)
            pause.wait(0.005)

    def look(self) -> None:
        """What must hold at any time: no program error was logged."""
        if self._tracebacks.found:
            raise self.recent.failure("\n".join(self._tracebacks.found))

    def leaks(self) -> list[str]:
        """The leak report's lines."""
        report = self.call("listImportLeaks") or {}
        return [f"{leak['kind']} {leak['name']} on {leak['place']}" for leak in report["importleaks"]["leak"]]

    def check(self) -> None:
        """What must hold at rest."""
        self.look()
        self._disown()
        problems = [f"leak: {leak}" for leak in self.leaks()]
        running = self.get("listImportVmTasks", "importvmtask", zoneid=self._zone, tasksfilter="running")
        problems += [f"task of {task['displayname']} stays Running" for task in running]
        if self.vcenter.inventory.vm_names != self._vcenter_vms:
            problems.append(f"VMs in vCenter: {set(self.vcenter.inventory.vm_names) ^ set(self._vcenter_vms)}")
        problems += [f"lease on {name}" for name in self.vcenter.exports.leases_open()]
        problems += [f"on hosts: {item}" for item in self.fleet.holdings()]
        problems += self._wrong_records()
        problems += self._wrong_counts()
        if problems:
            raise self.recent.failure("; ".join(problems))

    def _files(self) -> set[str]:
        roots = [self.fleet.export_directory("192.0.2.20", path) for path in EXPORTS]
        for member in self.fleet.agents:
            roots += [member.root / "tmp", member.root / "var/lib/libvirt/images"]
        roots.append(self.fleet.work_dir / "remote" / "192.0.2.60" / "tmp")
        return {entry.name for root in roots if root.is_dir() for entry in root.iterdir()}

    def _disown(self) -> None:
        """The files of VMs that were let go; an import that was under way then wrote its last ones afterwards."""
        of_them = select(models.Volume.path).join(models.VmInstance, models.VmInstance.id == models.Volume.vm_id)
        with self.world.server.services.store.session() as session:
            paths = session.scalars(of_them.where(models.VmInstance.uuid.in_(self._unmanaged)))
            self._own_files.update(path for path in paths if path)
        self._unmanaged.clear()

    def _wrong_records(self) -> list[str]:
        problems = []
        with self.world.server.services.store.session() as session:
            files = set(session.scalars(select(models.Volume.path).where(models.Volume.removed.is_(None))))
            alive = set(session.scalars(select(models.VmInstance.id).where(models.VmInstance.removed.is_(None))))
            jobs = session.scalars(select(models.AsyncJob).where(models.AsyncJob.status == 0)).all()
            problems += [f"job {job.uuid} of {job.command} does not end" for job in jobs]
            for row in session.scalars(select(models.VmInstance).where(models.VmInstance.removed.is_(None))):
                if row.state in ("Starting", "Stopping", "Migrating", "Expunging", "Error"):
                    problems.append(f"VM {row.instance_name} stays {row.state}")
            for model in (models.Volume, models.Nic):
                for row in session.scalars(select(model).where(model.removed.is_(None))):
                    if row.vm_id is not None and row.vm_id not in alive:
                        problems.append(f"{model.__tablename__} {row.id} of the VM {row.vm_id} that is gone")
            claims = session.scalars(select(models.ResourceReservation)).all()
            problems += [f"claim on {claim.resource_type}" for claim in claims]
        there = self._files() - self._baseline - self._own_files
        problems += [f"file {name} of no volume" for name in sorted(there - files)]
        problems += [f"volume without its file {name}" for name in sorted(f for f in files if f and f not in there)
                     if name not in self._own_files]  # fmt: skip
        return problems

    def _wrong_counts(self) -> list[str]:
        vms = [vm for vm in self.vms() if vm["state"] not in ("Destroyed", "Error", "Expunging")]
        volumes = [
            volume
            for volume in self.get("listVolumes", "volume", listall=True)
            if volume["state"] not in ("Destroy", "Expunging", "Expunged")
        ]
        ours = {
            "vmtotal": len(vms),
            "cputotal": sum(vm["cpunumber"] for vm in vms),
            "memorytotal": sum(vm["memory"] for vm in vms),
            "volumetotal": len(volumes),
        }
        (account,) = self.get("listAccounts", "account", name="admin")
        return [
            f"{name} of the account is {account[name]}, the records say {number}"
            for name, number in ours.items()
            if int(account[name]) != number
        ]

    def clear(self) -> None:
        """Expunge all VMs and volumes, so that the world does not grow."""
        for vm in self.vms():
            self.run("destroyVirtualMachine", id=vm["id"], expunge=True)
        for volume in self.get("listVolumes", "volume", listall=True):
            self.call("deleteVolume", id=volume["id"])
        left = [vm["instancename"] for vm in self.vms()]
        if left:
            raise self.recent.failure(f"VMs that cannot be expunged: {', '.join(left)}")
        for member in self.fleet.agents:
            for name, domain in list(member.hypervisor.domains.items()):
                if domain.state != "shut off" and name.startswith("u"):
                    self.fleet.end_domain(member.name, name)
        self.check()


__all__ = ["HOSTS", "POOLS", "SETTINGS", "VMWARE_VMS", "SoakFailure", "SoakWorld"]
