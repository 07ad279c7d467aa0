"""One world for all proofs of faults, and what a proof looks at: answer, task, log, leftovers."""

from __future__ import annotations

import importlib.util
import logging
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest
from sqlalchemy import select

from agent_sim.agent import Phase
from cloudstack_mock import ApiCallError, Settings, World
from mgmt.faults.definitions import Fault, Proof
from mgmt.imports.facts import HostFacts
from mgmt.quirks import KNOWN
from mgmt.store import models

_spec = importlib.util.spec_from_file_location("e2e_lab", Path(__file__).parents[1] / "e2e" / "conftest.py")
assert _spec is not None and _spec.loader is not None
_e2e = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_e2e)

REPAIRED = tuple(name for name in KNOWN if not name.endswith("-left"))
HOSTS = ("kvm1", "kvm2", "kvm3")
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class Outcome:
    """What was seen of one import."""

    def __init__(self) -> None:
        self.code: int | None = None
        self.text: str | None = None
        self.step: str | None = None
        self.log: list[str] = []
        self.left: list[str] = []
        self.failed_step: str | None = None
        self.vm: dict[str, Any] = {}
        self.took_s = 0.0


class _Lines(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


class FaultLab(_e2e.Lab):  # type: ignore[misc, name-defined]
    """A lab that imports under a fault and tidies up afterwards."""

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._parameters: dict[str, dict[str, Any]] = {}
        self._count = 0
        self._hosts: dict[str, HostFacts] = {}
        self._ids: dict[tuple[str, str], str] = {}

    def parameters(self, vm: str) -> dict[str, Any]:
        """What an import of the VM needs, on the host kvm1; looked up once."""
        if vm not in self._parameters:
            host = self.host("kvm1")["id"]
            pinned = {"convertinstancehostid": host, "importinstancehostid": host, "forced": True}
            self._parameters[vm] = self.import_parameters(vm, **pinned)
        self._count += 1
        return self._parameters[vm] | {"hostname": f"vm-{self._count}"}

    _KINDS: ClassVar = {
        "host": ("listHosts", "host"),
        "pool": ("listStoragePools", "storagepool"),
        "offering": ("listServiceOfferings", "serviceoffering"),
        "diskoffering": ("listDiskOfferings", "diskoffering"),
    }

    def resolved(self, value: Any) -> Any:
        """`kind:name` of a proof as the id that it stands for."""
        kind, colon, name = str(value).partition(":")
        if not colon or kind not in self._KINDS:
            return value
        if (kind, name) not in self._ids:
            command, key = self._KINDS[kind]
            self._ids[kind, name] = str(self.one(command, key, name=name)["id"])
        return self._ids[kind, name]

    def is_idle(self) -> bool:
        """Whether no host works on a command that takes long."""
        assert self.world.fleet is not None
        return not any(member.long_work for member in self.world.fleet.agents)

    def attempt(self, proof: Proof) -> Outcome:
        """Import the proof's VM and look at everything, once hosts have come to an end that do not hang."""
        hanging = [rule for armed in self.world.faults.armed for rule in armed.fault.rules]
        outcome, services = Outcome(), self.world.server.services
        parameters = {} if proof.call else self.parameters(proof.vm)
        for key, value in proof.request.items():
            parameters[key] = self.resolved(value)
        before, files, number = self.things(), self.files(), services.journal.record("test", "begin").number
        latest = self._latest_task()
        handler = _Lines()
        loggers = [logging.getLogger(name) for name in ("agent_sim", "mgmt")]
        levels = [logger.level for logger in loggers]
        for logger in loggers:
            logger.addHandler(handler)
            logger.setLevel(logging.INFO)
        try:
            begun_s = self.world.clock.monotonic()
            if proof.call:
                self._call(proof.call)
            else:
                self._run({key: value for key, value in parameters.items() if value is not None}, outcome)
            outcome.took_s = self.world.clock.monotonic() - begun_s
            if outcome.vm and proof.boots:
                self._boot(outcome)
        except ApiCallError as error:
            assert error.body is not None, error
            outcome.code, outcome.text = error.body["errorcode"], error.body["errortext"]
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.removeHandler(handler)
                logger.setLevel(level)
        if not any(effect.kind == "hang" for rule in hanging for effect in rule.effects):
            self.world.clock.run_until(self.is_idle)
        task = self._latest_task()
        outcome.step = task[1] if task is not None and (latest is None or task[0] != latest[0]) else None
        outcome.log = list(handler.lines)
        for entry in services.journal.entries():
            if entry.number <= number:
                continue
            if entry.kind == "tool":
                outcome.log.extend(map(str, entry.fields["output"]))
                outcome.log.append(f"password file mode {entry.fields['password_file_mode']}")
            elif entry.kind == "import" and entry.fields.get("state") == "done":
                outcome.log.append(f"step {entry.name} done")
            elif entry.kind == "import" and entry.fields.get("state") == "failed" and outcome.failed_step is None:
                outcome.failed_step = entry.name
                outcome.log.append(str(entry.fields.get("reason")))
        outcome.left = sorted((self.things() - before).elements())
        self._new_files = self.files() - files
        secret = str(self.ready["vcenter"]["password"])
        assert not [line for line in [*outcome.log, outcome.text or ""] if secret in line], (
            "vCenter's password is shown"
        )
        return outcome

    def _run(self, parameters: dict[str, Any], outcome: Outcome) -> None:
        job = str(self.client.call("importVm", **parameters)["jobid"])
        self.world.clock.run_until(job)
        result = self.client.call("queryAsyncJobResult", jobid=job)
        if result["jobstatus"] == 2:
            assert result["jobresultcode"] == result["jobresult"]["errorcode"]
            outcome.code, outcome.text = result["jobresultcode"], result["jobresult"]["errortext"]

        else:
            self._look_at_vm(outcome, str(result["jobresult"]["virtualmachine"]["id"]))

    def _call(self, call: Mapping[str, Any]) -> None:
        parameters = {key: self.resolved(value) for key, value in call.items() if key != "command"}
        if call["command"] == "listVmwareDcVms":
            parameters["existingvcenterid"] = self.datacenter_id()
        self.client.call(str(call["command"]), **parameters)

    def _look_at_vm(self, outcome: Outcome, vm_id: str) -> None:
        outcome.vm = self.one("listVirtualMachines", "virtualmachine", id=vm_id, listall=True)
        root = self.one("listVolumes", "volume", virtualmachineid=vm_id, type="ROOT", listall=True)
        outcome.vm["root_gib"] = root["size"] // 1024**3

    def _boot(self, outcome: Outcome) -> None:
        vm_id = str(outcome.vm["id"])
        self.world.clock.run_until(str(self.client.call("startVirtualMachine", id=vm_id)["jobid"]))
        self.world.clock.advance(minutes=2)
        self._look_at_vm(outcome, vm_id)
        job = self.client.call("destroyVirtualMachine", id=vm_id, expunge=True)["jobid"]
        self.world.clock.run_until(str(job))

    def _latest_task(self) -> tuple[int, str] | None:
        with self.world.server.services.store.session() as session:
            columns = select(models.ImportVmTask.id, models.ImportVmTask.step)
            row = session.execute(columns.order_by(models.ImportVmTask.id.desc()).limit(1)).first()
        return (row[0], row[1]) if row is not None else None

    def shown(self, host: str) -> str:
        """The host as CloudStack's texts name it."""
        return self._host(host).shown

    def number(self, host: str) -> int:
        """The host's internal number, which some texts show."""
        return self._host(host).id

    def _host(self, name: str) -> HostFacts:
        if name not in self._hosts:
            with self.world.server.services.store.session() as session:
                row = session.scalars(select(models.Host).where(models.Host.name == name)).one()
                self._hosts[name] = HostFacts.of(row)
        return self._hosts[name]

    def texts(self) -> dict[str, str]:
        address = "{}:{}".format(*self.world.vcenter.address)
        return {"vcenter": address, "zone": self.zone_id, "cluster": self.cluster_id}

    # What there is --------------------------------------------------------------------------------------------------

    def files(self) -> set[Path]:
        assert self.world.fleet is not None
        return {path for path in (self.world.fleet.work_dir / "exports").rglob("*") if path.is_file()}

    def things(self) -> Counter[str]:
        """What an import could leave, by kind; disks that a VM owns are no leftovers."""
        fleet, vcenter = self.world.fleet, self.world.vcenter
        assert fleet is not None and vcenter is not None
        found: Counter[str] = Counter()
        with self.world.server.services.store.session() as session:
            owned = set(session.scalars(select(models.Volume.path)).all())
            found["VM record"] = len(
                session.scalars(select(models.VmInstance).where(models.VmInstance.state == "Error")).all()
            )
        folders = set()
        for path in self.files():
            if path.suffix in (".ovf", ".vmdk", ".mf"):
                folders.add(path.parent)
            elif path.suffix == ".xml":
                found["domain XML"] += 1
            elif re.search(r"-sd[a-z]+$", path.name):
                found["converted disk"] += path.name not in owned
            elif path.name not in owned:
                found["imported disk"] += 1
        exports = fleet.work_dir / "exports"
        found["export folder"] = sum(
            1
            for path in exports.rglob("*")
            if path.is_dir() and UUID.fullmatch(path.name) and path.parent.name == "secondary"
        )
        for member in fleet.agents:
            found["password file"] += len(member.hypervisor.password_files())
            found["mount"] += sum("/mnt/" in mount for mount in member.hypervisor.storage.mounts())
            found["running command"] += any("Convert" in key[1] for key in member.long_work)
        with vcenter.inventory.lock:
            from vcenter_sim.types import vim

            found["VM in vCenter"] = sum(1 for _ in vcenter.inventory.of_kind(vim.VirtualMachine))
        found["lease"] = len(vcenter.exports.leases_open())
        return found

    # Afterwards -----------------------------------------------------------------------------------------------------

    def tidy(self) -> None:
        """Take the faults back, bring every host back and remove what is left."""
        world = self.world
        world.faults.clear()
        fleet = world.fleet
        assert fleet is not None
        for member in fleet.agents:
            if member.long_work:
                fleet.kill(member.name)
            if member._is_frozen:
                fleet.thaw(member.name)
            if member.phase is Phase.STOPPED and member.name in HOSTS:
                fleet.revive(member.name)
        if not self._all_up():
            world.clock.run_until(self._all_up)
        for member in fleet.agents:
            for pool in list(member.hypervisor.storage._pools.values()):
                if pool.path.endswith("/secondary"):
                    member.hypervisor.storage.delete(pool.uuid)
        for path in self._new_files if hasattr(self, "_new_files") else ():
            if UUID.search(path.name) or path.suffix in (".ovf", ".vmdk", ".mf"):
                path.unlink(missing_ok=True)
        self.remove_clones()

    def _all_up(self) -> bool:
        with self.world.server.services.store.session() as session:
            states = set(session.scalars(select(models.Host.status).where(models.Host.type == "Routing")))
        assert self.world.fleet is not None
        return states == {"Up"} and all(self.world.fleet.agent(name).is_ready for name in HOSTS)

    def remove_clones(self) -> None:
        vcenter = self.world.vcenter
        assert vcenter is not None
        with vcenter.inventory.lock:
            from vcenter_sim.types import vim

            for vm in list(vcenter.inventory.of_kind(vim.VirtualMachine)):
                if vm.name not in self._names:
                    vcenter.inventory.remove(vm)

    @property
    def _names(self) -> set[str]:
        return self.__dict__.setdefault("_kept_names", self.vm_names())

    def vm_names(self) -> set[str]:
        """The names of all VMs of the vCenter."""
        from vcenter_sim.types import vim

        vcenter = self.world.vcenter
        assert vcenter is not None
        with vcenter.inventory.lock:
            return {vm.name for vm in vcenter.inventory.of_kind(vim.VirtualMachine)}


def expected(fault: Fault, proof: Proof) -> tuple[Any, tuple[str, ...]]:
    """What the proof has to show."""
    return proof.seen or fault.seen, proof.left if proof.left is not None else fault.left


@pytest.fixture(scope="module")
def lab() -> Iterator[FaultLab]:
    """A world on the automatic clock that leaves what CloudStack leaves; a fault brings what other defect it needs."""
    settings = Settings(port=0, agent_port=0, clock="automatic", time_scale=1.0, fix=REPAIRED)
    with World(settings) as world:
        shared = FaultLab(world)
        shared._names  # noqa: B018  # the names before any clone
        yield shared
        shared.client.close()
