"""A whole embedded world under random operators: what they can do to it, and what must hold when it is at rest.

Every action returns at once or when its job has ended; nothing here decides what to do next (see machine.py). What is
found cannot be repeated, so a failure tells the last things that were done.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from sqlalchemy import select

from agent_sim.agent import Phase
from mgmt.store import models
from tests.soak.client import JOB_LIMIT_S, Api
from tests.soak.imports import ImportingServer
from tests.soak.recent import SoakFailure
from tests.soak.server import HOSTS, POOLS, SETTINGS, VMWARE_VMS


class SoakWorld(ImportingServer):
    """The world and its operators."""

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

    def restart(self) -> None:
        """Restart the server in the middle of whatever it does; hosts and vCenter live on."""
        self.restarts += 1
        self.recent.add(self.steps, "restart the server")
        self._api.close()
        self.world.restart_server()
        self._api = Api(self.world.ready())

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
