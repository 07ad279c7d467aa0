"""The world of the import's test matrix with a real server, real agents' wire and a vCenter, reached over HTTP.

One world serves all tests of a module. What a test changes in it is put back, and every import is compared with the
world before it: records, vCenter's VMs and leases, and on each host files, mounts and domains.
"""

from __future__ import annotations

import copy
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from sqlalchemy import select

from cloudstack_mock import ApiCallError, ApiClient, Settings, World
from mgmt.fixtures import fixtures_dir
from mgmt.quirks import NULL_TASK_ERROR_TEXT
from mgmt.store import models

FAST = 1e9
# Written by every call, import or not; events are looked at by themselves.
NOT_COMPARED = {"async_job", "event", "host", "host_details", "op_host_capacity", "storage_pool"}
SHARED_MOUNT = "/mnt/shared"
Footprint = Mapping[str, frozenset[Any]]


def _uuid(kind: int, number: int) -> str:
    return f"{kind:08d}-0000-4000-8000-{number:012d}"


def _seed(folder: Path) -> Path:
    """The seed: zone Z1 with clusters C1 (K1, K2), C2 (K3), C5 (K5) and V1 of VMware, zone Z2 with C3 (K4)."""
    lab = yaml.safe_load((fixtures_dir() / "seeds" / "lab.yaml").read_text(encoding="utf-8"))
    described = yaml.safe_load((fixtures_dir() / "hosts" / "lab.yaml").read_text(encoding="utf-8"))
    zone, pod = lab["zones"][0], lab["pods"][0]
    zone |= {"name": "Z1", "local_storage_enabled": True}
    other_zone = {**zone, "uuid": _uuid(20000000, 2), "name": "Z2", "zone_token": _uuid(20000001, 2)}
    lab["zones"].append(other_zone)
    lab["pods"] = [
        {**pod, "name": "P1", "zone": "Z1"},
        {**pod, "uuid": _uuid(21000000, 2), "name": "P2", "zone": "Z2"},
    ]
    clusters = (
        ("C1", "P1", "KVM"),
        ("C2", "P1", "KVM"),
        ("C3", "P2", "KVM"),
        ("V1", "P1", "VMware"),
        ("C5", "P1", "KVM"),
    )
    lab["clusters"] = [
        {"uuid": _uuid(22000000, number), "name": name, "pod": at, "hypervisor": kind}
        for number, (name, at, kind) in enumerate(clusters, 1)
    ]
    by_name = {host["name"]: host for host in described["hosts"]}
    described["hosts"], lab["hosts"] = [], []
    for number, (name, like, cluster) in enumerate(
        (("K1", "kvm1", "C1"), ("K2", "kvm3", "C1"), ("K3", "kvm1", "C2"), ("K4", "kvm1", "C3"), ("K5", "kvm3", "C5")),
        1,
    ):
        host = copy.deepcopy(by_name[like])
        guid, ip = _uuid(11111111, number), f"192.0.2.{10 + number}"
        home = {"zone": "Z2" if cluster == "C3" else "Z1", "pod": "P2" if cluster == "C3" else "P1", "cluster": cluster}
        lines = [
            line
            for line in host["properties"].splitlines()
            if line.partition("=")[0] not in {"guid", "local.storage.uuid", *home}
        ]
        pool = _uuid(32000000, number)
        lines += [f"{key}={value}" for key, value in home.items()] + [f"local.storage.uuid={pool}", f"guid={guid}"]
        host |= {"name": name, "guid": guid, "ip": ip, "properties": "\n".join(lines)}
        if name == "K5":
            del host["tools"]["virt_v2v"]
            host["os"] = {"name": "Ubuntu", "version": "24.04", "kernel": "6.8.0-40-generic"}
        host["local_pools"][0]["uuid"] = pool
        described["hosts"].append(host)
        lab["hosts"].append(
            {"uuid": _uuid(23000000, number), "name": name, "guid": guid, "cluster": cluster, "private_ip": ip}
        )
    lab["storage_pools"] = list(_pools())
    described["nfs_exports"] += [
        {"server": "192.0.2.20", "path": f"/export/{name}", "capacity_bytes": 2**41, "available_bytes": 2**40}
        for name in ("N1", "N2", "N3", "N4")
    ]
    lab["image_stores"][0]["zone"] = "Z1"
    lab["disk_offerings"] += [
        {"uuid": _uuid(40000000, 11), "name": "D1", "customized": True},
        {"uuid": _uuid(40000000, 12), "name": "D2", "customized": True, "tags": ["gold"]},
        {"uuid": _uuid(40000000, 13), "name": "D3", "disk_size_bytes": 2**30},
    ]
    sizes = {"cpu_number": 4, "cpu_speed_mhz": 2000, "memory_mb": 8192}
    limits = {"mincpunumber": "4", "maxcpunumber": "4", "minmemory": "8192", "maxmemory": "8192"}
    lab["service_offerings"] += [
        {"uuid": _uuid(41000000, 11), "disk_offering_uuid": _uuid(42000000, 11), "name": "O1", **sizes},
        {
            "uuid": _uuid(41000000, 12),
            "disk_offering_uuid": _uuid(42000000, 12),
            "name": "O2",
            "storage_tags": ["gold"],
            **sizes,
        },
        {"uuid": _uuid(41000000, 13), "disk_offering_uuid": _uuid(42000000, 13), "name": "O3", "details": limits},
    ]
    physical = lab["physical_networks"][0]
    physical["zone"] = "Z1"
    lab["physical_networks"].append({"uuid": _uuid(51000000, 2), "name": "physical2", "zone": "Z2"})
    l2 = next(network for network in lab["networks"] if network["name"] == "lab-l2")
    lab["networks"].append({**l2, "uuid": _uuid(52000000, 9), "name": "l2z2", "physical_network": "physical2"})
    for item in (*lab["templates"], *lab["vmware_datacenters"]):
        if "zone" in item:
            item["zone"] = "Z1"
    lab |= {"agents": "matrix-hosts.yaml"}
    (folder / "matrix-hosts.yaml").write_text(yaml.safe_dump(described), encoding="utf-8")
    seed = folder / "matrix.yaml"
    seed.write_text(yaml.safe_dump(lab), encoding="utf-8")
    return seed


def _pools() -> Iterator[dict[str, Any]]:
    """NFS: N1 in C1, N2 in Z1 with tag gold, N3 in C2, N4 in C3; S1 a shared mount point in C1; R1 RBD."""
    described = (
        ("N1", "NetworkFilesystem", {"scope": "CLUSTER", "cluster": "C1"}),
        ("N2", "NetworkFilesystem", {"scope": "ZONE", "zone": "Z1", "tags": ["gold"]}),
        ("N3", "NetworkFilesystem", {"scope": "CLUSTER", "cluster": "C2"}),
        ("N4", "NetworkFilesystem", {"scope": "CLUSTER", "cluster": "C3"}),
        ("S1", "SharedMountPoint", {"scope": "CLUSTER", "cluster": "C1"}),
        ("R1", "RBD", {"scope": "ZONE", "zone": "Z1"}),
    )
    for number, (name, kind, scope) in enumerate(described, 1):
        place = {"server": "192.0.2.20", "path": f"/export/{name}", "port": 2049}
        if kind == "SharedMountPoint":
            place = {"server": "localhost", "path": SHARED_MOUNT}
        if kind == "RBD":
            place = {"server": "192.0.2.30", "path": "rbd", "port": 6789, "user_info": "cloudstack:QVFBa2V5"}
        yield {
            "uuid": _uuid(30000000, number),
            "name": name,
            "type": kind,
            "capacity_bytes": 2**41,
            "used_bytes": 0,
            **place,
            **scope,
        }


class Matrix:
    """The world, a caller with the admin's keys, and what the tests need to say of an import."""

    def __init__(self, world: World) -> None:
        self.world = world
        ready = world.ready()
        self.client = ApiClient(str(ready["api"]), str(ready["api_key"]), str(ready["secret_key"]))
        self.hooks: list[Callable[[Any], None]] = []
        self._number = 0
        self._ids = self._named()

    # What there is -------------------------------------------------------------------------------------------------

    @property
    def store(self) -> Any:
        return self.world.server.services.store

    def _named(self) -> dict[str, tuple[Any, int, str]]:
        kinds = (
            models.DiskOffering,  # the compute offerings' own disk offerings have their names
            models.Zone,
            models.Cluster,
            models.Host,
            models.StoragePool,
            models.ImageStore,
            models.ServiceOffering,
            models.Network,
            models.Template,
            models.Account,
            models.Domain,
            models.VmwareDatacenter,
        )
        found = {}
        with self.store.session() as session:
            for kind in kinds:
                for row in session.scalars(select(kind)):
                    found[row.name] = (kind, row.id, row.uuid)
            local = session.scalars(select(models.StoragePool).where(models.StoragePool.scope == "HOST"))
            hosts = {row.id: row.name for row in session.scalars(select(models.Host))}
            for row in local:
                found[hosts[row.host_id].replace("K", "L")] = (models.StoragePool, row.id, row.uuid)
            for row in session.scalars(select(models.ServiceOffering)):
                found[f"disk of {row.name}"] = (models.DiskOffering, row.disk_offering_id, "")
        return found

    def uuid(self, name: str) -> str:
        """The uuid of the entity with that name; L1 is the local pool of K1."""
        return self._ids[name][2]

    def number(self, name: str) -> int:
        """The internal number of the entity with that name."""
        return self._ids[name][1]

    def shown(self, name: str) -> str:
        """A host or cluster as the texts of tables H and I show it."""
        kind, number, uuid = self._ids[name]
        if kind is models.Host:
            return f'Host {{"id":{number},"name":"{name}","type":"Routing","uuid":"{uuid}"}}'
        return f'Cluster {{id: "{number}", name: "{name}", uuid: "{uuid}"}}'

    @contextmanager
    def changed(self, name: str, **values: Any) -> Iterator[None]:
        """Other columns for the entity with that name, until the block ends."""
        before = self.change(name, **values)
        try:
            yield
        finally:
            self.change(name, **before)

    def change(self, name: str, **values: Any) -> dict[str, Any]:
        """Change columns and return what they were."""
        kind, number, _ = self._ids[name]
        with self.store.session() as session:
            row = session.get_one(kind, number)
            before = {column: getattr(row, column) for column in values}
            for column, value in values.items():
                setattr(row, column, value)
        return before

    @contextmanager
    def setting(self, name: str, value: str) -> Iterator[None]:
        """Another value of a global setting, by updateConfiguration, until the block ends."""
        before = self.client.call("listConfigurations", name=name)["configuration"][0]
        self.client.call("updateConfiguration", name=name, value=value)
        try:
            yield
        finally:
            self.client.call("updateConfiguration", name=name, value=before.get("value", ""))

    def source_disk_id(self, name: str) -> str:
        """The id of the first disk of a VM in vCenter."""
        vms = self.client.call("listVmwareDcVms", existingvcenterid=self.uuid("lab-dc"))["unmanagedinstance"]
        host = next(vm["hostname"] for vm in vms if vm["name"] == name)
        vm = self.client.call(
            "listVmwareDcVms", existingvcenterid=self.uuid("lab-dc"), hostname=host, instancename=name
        )["unmanagedinstance"][0]
        return str(vm["disk"][0]["id"])

    # Imports --------------------------------------------------------------------------------------------------------

    def parameters(self, **changes: Any) -> dict[str, Any]:
        """A good request for the stopped VM edge-stopped into C1; ids may be given by name, None takes away."""
        self._number += 1
        found: dict[str, Any] = {
            "name": "edge-stopped",
            "hostname": f"vm-{self._number}",
            "zoneid": "Z1",
            "clusterid": "C1",
            "hypervisor": "KVM",
            "importsource": "vmware",
            "existingvcenterid": "lab-dc",
            "serviceofferingid": "O1",
            "templateid": "ubuntu-22.04",
            "nicnetworklist[0].nic": "Network adapter 1",
            "nicnetworklist[0].network": "lab-l2",
            "forced": True,
        }
        found |= {key.replace("__", ".", 1): value for key, value in changes.items()}
        return {
            key: self._ids[value][2] if key != "account" and isinstance(value, str) and value in self._ids else value
            for key, value in found.items()
            if value is not None
        }

    def plan(self, **changes: Any) -> dict[str, Any]:
        """What a dry run tells."""
        parameters = self.parameters(dryrun=True, **changes)
        plan: dict[str, Any] = self.client.run("importVm", parameters, poll_interval_s=0.002)["importplan"]
        return plan

    def imported(self, **changes: Any) -> dict[str, Any]:
        """The VM of an import that succeeds."""
        vm: dict[str, Any] = self.client.run("importVm", self.parameters(**changes), poll_interval_s=0.005)[
            "virtualmachine"
        ]
        return vm

    def ended(self, **changes: Any) -> dict[str, Any]:
        """The job of an import, when it has ended, whatever became of it."""
        job_id = self.client.call("importVm", **self.parameters(**changes))["jobid"]
        deadline = time.monotonic() + 60
        while (job := self.client.call("queryAsyncJobResult", jobid=job_id))["jobstatus"] == 0:
            assert time.monotonic() < deadline, "the import goes on"
            threading.Event().wait(0.02)
        found: dict[str, Any] = job
        return found

    def refused(self, text: str, code: int = 530, *, left: Mapping[str, int] | None = None, **changes: Any) -> None:
        """An import that fails with exactly this text and code, and leaves what `left` counts: nothing without it."""
        before = self.footprint()
        try:
            job = self.ended(**changes)
        except ApiCallError as error:  # refused on the call
            assert error.body is not None
            job = {"jobstatus": 2, "jobresultcode": error.body["errorcode"], "jobresult": error.body}
        told = job["jobresult"]
        assert (told.get("errorcode"), told.get("errortext")) == (code, text)
        assert (job["jobstatus"], job["jobresultcode"]) == (2, code)
        assert self.difference(before) == (left or {})

    def left_task(self, before: int, text: str, step: str, state: str = "Failed") -> None:
        """The one task that is newer than `before` has this text, step and state."""
        tasks = self.tasks()
        assert len(tasks) == before + 1
        assert (tasks[0]["description"], tasks[0]["step"], tasks[0]["state"]) == (text, step, state)

    def tasks(self) -> list[dict[str, Any]]:
        """All tasks of zone Z1, newest first."""
        found: list[dict[str, Any]] = self.client.call("listImportVmTasks", zoneid=self.uuid("Z1"), tasksfilter="all")[
            "importvmtask"
        ]
        return found

    def expunge(self, vm: Mapping[str, Any]) -> None:
        """Remove an imported VM with its disks."""
        self.client.run("destroyVirtualMachine", {"id": vm["id"], "expunge": True}, poll_interval_s=0.005)

    def commands(self) -> list[tuple[str, str, Any]]:
        """Every command of an import that went to a host: host, name, content; since the last `forget_commands`."""
        names = {"CheckConvertInstanceCommand", "ConvertInstanceCommand", "ImportConvertedInstanceCommand"}
        entries = self.world.server.services.journal.entries(kind="agent")
        return [
            (str(entry.fields["host"]), entry.name, entry.fields.get("content"))
            for entry in entries[self._seen :]
            if entry.name in names
        ]

    def forget_commands(self) -> None:
        """Let `commands` begin here."""
        self._seen = len(self.world.server.services.journal.entries(kind="agent"))

    _seen = 0

    # What is left ---------------------------------------------------------------------------------------------------

    def footprint(self) -> Footprint:
        """Everything that an import could leave behind, by kind."""
        found: dict[str, frozenset[Any]] = {}
        with self.store.session() as session:
            connection = session.connection()
            for table in models.Base.metadata.tables:
                if table not in NOT_COMPARED:
                    rows = connection.exec_driver_sql(f'select * from "{table}"').cursor
                    found[table] = frozenset(rows.fetchall())
        vcenter, fleet = self.world.vcenter, self.world.fleet
        assert vcenter is not None and fleet is not None
        found["VMs in vCenter"] = frozenset(vcenter.inventory.vm_names)
        found["leases"] = frozenset(vcenter.exports.leases_open())
        root = Path(fleet.work_dir)
        found["files"] = frozenset(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())
        hosts = [(agent.name, agent.hypervisor) for agent in fleet.agents]
        found["mounts"] = frozenset(f"{name}:{mount}" for name, host in hosts for mount in host.storage.mounts())
        found["domains"] = frozenset(f"{name}:{domain}" for name, host in hosts for domain in list(host.domains))
        return found

    def difference(self, before: Footprint) -> dict[str, int]:
        """How many things of each kind are there now and were not, or not like this; removed ones count below 0."""
        now = self.footprint()
        counts = {kind: len(now[kind] - before[kind]) or -len(before[kind] - now[kind]) for kind in now}
        return {kind: count for kind, count in counts.items() if count}


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Matrix]:
    """The world of the matrix; the defect that hides early texts is repaired."""
    folder = tmp_path_factory.mktemp("matrix")
    for host in ("K1", "K2"):
        (folder / "hosts" / host / SHARED_MOUNT.lstrip("/")).mkdir(parents=True)
    hooks: list[Callable[[Any], None]] = []

    def on_progress(event: Any) -> None:
        for hook in hooks:
            hook(event)

    settings = Settings(
        port=0,
        agent_port=0,
        time_scale=FAST,
        seed=str(_seed(folder)),
        work_dir=folder,
        fix=(NULL_TASK_ERROR_TEXT,),
        extensions=True,
    )
    with World(settings, on_progress=on_progress) as world:
        shared = Matrix(world)
        shared.hooks = hooks
        # A host keeps the temporary NFS storage mounted after its first conversion.
        shared.expunge(shared.imported(convertinstancehostid="K1"))
        yield shared
        shared.client.close()
