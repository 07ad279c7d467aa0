"""The imports of a soak world, from every source, with what can be wrong with their requests."""

from __future__ import annotations

from typing import Any

from agent_sim.agent import Phase
from agent_sim.host import Domain, DomainDisk, DomainNic
from agent_sim.toolchain.images import write_qcow2
from tests.soak.server import FAST, POOLS, SLOW, SoakServer

GIB = 1024**3
IMPORTS = ("importVm", "importUnmanagedInstance")


class ImportingServer(SoakServer):
    """The server that imports; those that are not waited for run on."""

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
        """Start a VM behind the server's back and take it in, now and then after a look at what that would do."""
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
        if self._number % 4 == 0:
            self.run("importUnmanagedInstance", **parameters, dryrun=True)
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
        jobs = [job_id for command, job_id in self._pending if command in IMPORTS]
        if jobs:
            self.call("cancelImportVm", id=jobs[number % len(jobs)])

    @property
    def can_cancel(self) -> bool:
        return "cancelImportVm" in self.world.server.services.commands

    def _slow_down(self, slow: bool) -> None:
        self.recent.add(self.steps, f"hosts work {'slowly' if slow else 'fast'}")
        for member in self.fleet.agents:
            member.hypervisor.bench.time_scale = SLOW if slow else FAST
