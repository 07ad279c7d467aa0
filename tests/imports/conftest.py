"""The world of import-vm section 6 in a database, with doubles for the agents and the vCenter."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, select

from mgmt.commands.services import Services
from mgmt.errors import CloudError
from mgmt.imports.pipeline import ImportPipeline
from mgmt.imports.ports import ImportServices
from mgmt.imports.request import ImportRequest
from mgmt.inventory.settings import GlobalSettings
from mgmt.observe.journal import Journal
from mgmt.observe.redaction import Redactor
from mgmt.protocol.commands import (
    CheckConvertInstanceAnswer,
    CheckConvertInstanceCommand,
    CheckVolumeAnswer,
    CheckVolumeCommand,
    ConvertInstanceAnswer,
    ConvertInstanceCommand,
    CopyRemoteVolumeAnswer,
    CopyRemoteVolumeCommand,
    GetRemoteVmsAnswer,
    GetRemoteVmsCommand,
    ImportConvertedInstanceAnswer,
    ImportConvertedInstanceCommand,
    UnmanagedDisk,
    UnmanagedInstanceTO,
    UnmanagedNic,
)
from mgmt.protocol.records import Answer, Command
from mgmt.providers import Providers
from mgmt.quirks import NULL_TASK_ERROR_TEXT, Quirks
from mgmt.store import models
from mgmt.store.database import Store
from mgmt.vmware.errors import VmNotFoundError
from mgmt.vmware.records import POWER_OFF, POWER_ON, SourceDisk, SourceNic, SourceVm
from tests.shared_store import SharedStore, share_store

GIB = 1024**3
NOW = datetime(2026, 11, 23, 1, 48, 44)
CONVERT_UUID = "0f0c2f5e-2b38-4a2b-9c1e-0f6c4f4c7d10"
PASSWORD = "vcenter-Secret/9+x"


class ManualClock:
    """A clock that only the test moves."""

    def __init__(self) -> None:
        self.at = (NOW - datetime(1970, 1, 1)).total_seconds()

    def now(self) -> float:
        return self.at

    def monotonic(self) -> float:
        return self.at

    def sleep(self, duration_s: float) -> None:
        self.at += duration_s

    def wait(self, event: Any, timeout_s: float | None) -> bool:
        return bool(event.is_set())


class CountingIds:
    """Numbered UUIDs."""

    def __init__(self, prefix: str = "00000000") -> None:
        self.prefix = prefix
        self.count = 0

    def uuid(self) -> str:
        self.count += 1
        return f"{self.prefix}-0000-4000-8000-{self.count:012d}"


@dataclass
class Agents:
    """Hosts that answer what the test scripted: an answer, an error, or a function of the command."""

    sent: list[tuple[int, Command]] = field(default_factory=list)
    scripts: dict[type[Command], list[Any]] = field(default_factory=dict)
    defaults: dict[type[Command], Callable[[Command], Answer]] = field(default_factory=dict)
    abandoned: list[Command] = field(default_factory=list)
    late: Callable[[Answer], None] | None = None

    def script(self, command: type[Command], *answers: Any) -> None:
        self.scripts.setdefault(command, []).extend(answers)

    def send(self, host_id: int, command: Command, *, wait_s: int | None = None) -> Answer:
        self.sent.append((host_id, command))
        scripted = self.scripts.get(type(command))
        answer = scripted.pop(0) if scripted else self.defaults[type(command)]
        if isinstance(answer, Exception):
            raise answer
        return answer if isinstance(answer, Answer) else answer(command)

    def abandon(self, command: Command, late: Callable[[Answer], None] | None = None) -> None:
        self.abandoned.append(command)
        self.late = late

    def commands(self, kind: type[Command]) -> list[Any]:
        return [command for _, command in self.sent if isinstance(command, kind)]


@dataclass
class Vcenter:
    """A vCenter with VMs by name; `failures` names the method whose next call raises."""

    vms: dict[str, SourceVm] = field(default_factory=dict)
    clones: list[str] = field(default_factory=list)
    destroyed: list[str] = field(default_factory=list)
    exports: list[tuple[str, Path, Any]] = field(default_factory=list)
    credentials: list[Any] = field(default_factory=list)
    failures: dict[str, Exception] = field(default_factory=dict)
    cancels: int = 0

    @contextmanager
    def connect(self, credentials: Any) -> Iterator[Vcenter]:
        self.credentials.append(credentials)
        self._fail("connect")
        yield self

    def _fail(self, method: str) -> None:
        if method in self.failures:
            raise self.failures.pop(method)

    def cancel(self) -> None:
        self.cancels += 1

    def find_vm(self, name: str) -> SourceVm | None:
        self._fail("find_vm")
        return next((vm for key, vm in self.vms.items() if key.lower() == name.lower()), None)

    def clone_vm(self, vm: SourceVm, clone_name: str) -> SourceVm:
        self._fail("clone_vm")
        self.clones.append(clone_name)
        clone = replace(vm, name=clone_name, power_state=POWER_OFF, path="vm", clone_source_power_state=POWER_ON)
        self.vms[clone_name] = clone
        return clone

    def destroy_vm(self, name: str) -> None:
        self._fail("destroy_vm")
        if name not in self.vms:
            raise VmNotFoundError(name, "vc1", "DC1")
        del self.vms[name]
        self.destroyed.append(name)

    def export_vm(self, name: str, directory: Callable[[], Path], stem: str, rules: Any) -> None:
        self._fail("export_vm")
        if name not in self.vms:
            raise VmNotFoundError(name, "vc1", "DC1", purpose="to create template file")
        target = directory()
        self.exports.append((name, target, rules))
        (target / f"{stem}.ovf").write_text("<Envelope/>")
        self._fail("export_end")


@dataclass(frozen=True)
class Requester:
    """The root admin of the world."""

    user_id: int
    account_id: int
    account_uuid: str
    domain_id: int
    account_type: int = 1


def source_vm(name: str = "web01", *, disks: int = 1, nics: int = 1, **changes: Any) -> SourceVm:
    """A stopped Linux VM in a cluster, with 1 CPU and 512 MB."""
    fields: dict[str, Any] = {
        "name": name,
        "path": "vm",
        "moref": "vm-42",
        "power_state": POWER_OFF,
        "cpu_cores": 1,
        "cpu_cores_per_socket": 1,
        "cpu_speed_mhz": 0,
        "cpu_reservation_mhz": 0,
        "memory_mb": 512,
        "os": "Rocky Linux 9",
        "boot_type": "BIOS",
        "boot_mode": "LEGACY",
        "cluster_name": "esx-cluster",
        "host_name": "esx1",
        "disks": tuple(
            SourceDisk(disk_id=f"1-{2000 + i}", label=f"Hard disk {i + 1}", capacity_bytes=(i + 1) * GIB)
            for i in range(disks)
        ),
        "nics": tuple(
            SourceNic(nic_id=f"Network adapter {i + 1}", adapter_type="Vmxnet3", mac_address=f"00:50:56:aa:00:{i:02x}")
            for i in range(nics)
        ),
    }
    return SourceVm(**{**fields, **changes})


def converted(command: ImportConvertedInstanceCommand, world: World, *, nics: int | None = None) -> UnmanagedInstanceTO:
    """What a host answers: a disk in each pool asked for, and NICs as the domain XML has them."""
    with world.services.store.session() as session:
        pools = {pool.uuid: pool for pool in session.scalars(select(models.StoragePool))}
    source = world.vcenter.vms.get(command.sourceInstance.instanceName) or world.vcenter.vms["web01"]
    disks = []
    for index, uuid in enumerate(command.destinationStoragePools or []):
        pool = pools[uuid]
        is_nfs = pool.pool_type == "NetworkFilesystem"
        disks.append(
            UnmanagedDisk(
                position=index,
                capacity=source.disks[index].capacity_bytes,
                fileBaseName=f"file-{index}",
                controller="virtio",
                datastoreName=uuid,
                datastoreHost=pool.host_address if is_nfs else None,
                datastorePath=pool.path if is_nfs else None,
                datastoreType=pool.pool_type,
            )
        )
    count = len(source.nics) if nics is None else nics
    return UnmanagedInstanceTO(
        name=command.temporaryConvertUuid,
        disks=disks,
        nics=[UnmanagedNic(nicId="cloudbr0", adapterType="virtio") for _ in range(count)],
    )


@dataclass
class World:
    """The database, the doubles and the names of what is in them."""

    services: ImportServices
    agents: Agents
    vcenter: Vcenter
    clock: ManualClock
    start_ids: dict[str, tuple[Any, int]] = field(default_factory=dict)
    pipelines: list[ImportPipeline] = field(default_factory=list)

    @property
    def command_services(self) -> Any:
        """What a handler gets: the services of an import, with those of commands beside them."""
        own = self.services
        return Services(
            **{item.name: getattr(own, item.name) for item in fields(own) if item.name != "cleanups"},
            jobs=None,  # handlers of imports do not ask for these
            commands={},
            management_server_uuid="m",
            management_server_name="m",
        )

    def id_of(self, name: str) -> int:
        """The internal id of the entity with that uuid."""
        return self._found(name)[1]

    def _found(self, name: str) -> tuple[Any, int]:
        if name in self.start_ids:
            return self.start_ids[name]
        with self.services.store.session() as session:
            for model, column in _entities():
                found = session.scalar(select(model.id).where(column == name))
                if found is not None:
                    return model, found
        raise KeyError(name)

    def requester(self, **changes: Any) -> Requester:
        admin = Requester(2, 2, "admin-account", 1)
        return replace(admin, **changes)

    def request(self, **changes: Any) -> ImportRequest:
        """A good request for web01 into C1, changed by `changes`; ids may be given by name."""
        fields: dict[str, Any] = {
            "clusterid": "C1",
            "zoneid": "Z1",
            "name": "web01",
            "importsource": "vmware",
            "hypervisor": "KVM",
            "serviceofferingid": "O1",
            "templateid": "TPL",
            "vcenter": "vc1",
            "datacentername": "DC1",
            "username": "administrator@vsphere.local",
            "password": PASSWORD,
            "nicnetworklist": {"0": {"nic": "Network adapter 1", "network": "l2"}},
        }
        fields.update(changes)
        for name, value in fields.items():
            if isinstance(value, str) and name.endswith("id"):
                fields[name] = self.id_of(value)
        return ImportRequest.from_bound(fields)

    def run(self, **changes: Any) -> int:
        """Run an import to its end; raises its error."""
        pipeline = ImportPipeline(self.services, self.request(**changes), self.requester())
        self.pipelines.append(pipeline)
        return pipeline.run()

    def refused(self, *, left: frozenset[str] = frozenset(), **changes: Any) -> CloudError:
        """Run an import that must fail and return its error.

        Nothing is left of it but events and its task: no other record (`left` names the tables that may have more), and
        no VM in vCenter.
        """
        with self.nothing_left(left), pytest.raises(CloudError) as caught:
            self.run(**changes)
        return caught.value

    @contextmanager
    def nothing_left(self, left: frozenset[str] = frozenset()) -> Iterator[None]:
        """Fail when the block leaves more than events and tasks, or VMs in vCenter that can be destroyed."""
        before, vms = self.dump(), set(self.vcenter.vms)
        can_destroy = "destroy_vm" not in self.vcenter.failures
        yield
        after = self.dump()
        more = {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
        assert more <= {"event", "import_vm_task", *left}, more
        assert set(self.vcenter.vms) == vms or not can_destroy

    def reason(self, **changes: Any) -> tuple[str | None, str]:
        """Row and text of an import that fails in or before the try block, with the null-task defect repaired."""
        self.repair()
        error = self.refused(**changes)
        return error.row, error.text

    def repair(self) -> None:
        self.services = replace(self.services, quirks=Quirks([NULL_TASK_ERROR_TEXT]))

    def change(self, name: str, **values: Any) -> None:
        """Change columns of the entity with that uuid."""
        model, number = self._found(name)
        with self.services.store.session() as session:
            row = session.get_one(model, number)
            for column, value in values.items():
                setattr(row, column, value)

    def add(self, *rows: Any) -> None:
        with self.services.store.session() as session:
            session.add_all(rows)

    def set(self, name: str, value: str) -> None:
        with self.services.store.session() as session:
            self.services.settings.set(session, name, value)

    def details(self, host: str, **values: str) -> None:
        """Set host details; dots are written as underscores."""
        host_id = self.id_of(host)
        self.add(
            *(
                models.HostDetail(host_id=host_id, name=name.replace("_", "."), value=value)
                for name, value in values.items()
            )
        )

    def rows(self, model: Any) -> list[Any]:
        with self.services.store.session() as session:
            return list(session.scalars(select(model).order_by(model.id)))

    @property
    def task(self) -> models.ImportVmTask:
        """The one import task."""
        (task,) = self.rows(models.ImportVmTask)
        return task

    @property
    def events(self) -> list[tuple[str, str, str, str | None]]:
        return [(row.state, row.level, row.description, row.resource_uuid) for row in self.rows(models.Event)]

    @property
    def trace(self) -> list[str]:
        """The rows that fired in the last import."""
        return self.pipelines[-1].trace.rows

    def assert_no_records(self) -> None:
        """No VM, volume, NIC, usage event or claim is left."""
        for model in (
            models.VmInstance,
            models.VmDetail,
            models.Volume,
            models.Nic,
            models.UsageEvent,
            models.ResourceReservation,
        ):
            assert self.rows(model) == [], model.__name__

    def forget_vms(self) -> None:
        """Take away what imports have made."""
        with self.services.store.session() as session:
            for model in (
                models.Nic,
                models.Volume,
                models.VmDetail,
                models.VmInstance,
                models.UsageEvent,
                models.Event,
            ):
                session.execute(delete(model))

    def dump(self) -> dict[str, list[Any]]:
        """Every row of every table that has any."""
        with closing(self.services.store.engine.raw_connection()) as connection:
            cursor = connection.cursor()
            tables = {
                name: cursor.execute(f'select * from "{name}"').fetchall() for name in models.Base.metadata.tables
            }
        return {name: rows for name, rows in tables.items() if rows}

    def journal_text(self) -> str:
        return repr(self.services.journal.entries())


def _rows() -> list[Any]:
    """Everything in the world; uuids are short names."""
    zones = [models.Zone(uuid=name, name=name) for name in ("Z1", "Z2")]
    clusters, pods_and_hosts = _places(zones)
    domain = models.Domain(uuid="ROOT", name="ROOT", path="/")
    accounts, users = _people(domain)
    return [
        *clusters.values(),
        *pods_and_hosts,
        *_storage(zones[0], clusters),
        *_offerings(),
        *accounts,
        *users,
        *_networks(zones, domain, accounts[1]),
        *_images(accounts[0]),
        models.VmwareDatacenter(
            uuid="DC",
            name="lab-dc",
            vcenter_host="vc-lab:8443",
            username="linked-user",
            password="linked-Secret-7",
            zone=zones[0],
        ),
    ]


def _places(zones: list[models.Zone]) -> tuple[dict[str, models.Cluster], list[Any]]:
    """The clusters by name; pods and hosts."""
    pods = [
        models.Pod(uuid=f"P{i}", name=f"P{i}", zone=zone, gateway="g", netmask="m", start_ip="s", end_ip="e")
        for i, zone in enumerate(zones, 1)
    ]
    clusters = {
        name: models.Cluster(uuid=name, name=name, zone=zones[place], pod=pods[place], hypervisor_type=hypervisor)
        for name, place, hypervisor in (
            ("C1", 0, "KVM"),
            ("C2", 0, "KVM"),
            ("C3", 1, "KVM"),
            ("V1", 0, "VMware"),
            ("E1", 0, "KVM"),
        )
    }

    def host(name: str, home: models.Cluster) -> models.Host:
        return models.Host(
            uuid=name, name=name, guid=name, zone=home.zone, pod=home.pod, cluster=home, status="Up", created=NOW
        )

    homes = (("K1", "C1"), ("K2", "C1"), ("K3", "C2"), ("K4", "C3"))
    return clusters, [*pods, *(host(name, clusters[home]) for name, home in homes)]


def _storage(zone: models.Zone, clusters: dict[str, models.Cluster]) -> list[Any]:
    """The primary pools and the image store."""

    def pool(name: str, kind: str, scope: str, home: str | None = None, tags: str | None = None) -> models.StoragePool:
        home_cluster = clusters[home] if home else None
        return models.StoragePool(
            uuid=f"pool-{name}",
            name=name,
            pool_type=kind,
            scope=scope,
            zone=home_cluster.zone if home_cluster else zone,
            cluster=home_cluster,
            hypervisor="KVM",
            host_address="192.0.2.20",
            path=f"/export/{name}",
            port=2049,
            tags=tags,
            created=NOW,
        )

    return [
        pool("N1", "NetworkFilesystem", "CLUSTER", home="C1"),
        pool("N2", "NetworkFilesystem", "ZONE", tags="gold"),
        pool("N3", "NetworkFilesystem", "CLUSTER", home="C2"),
        pool("S1", "SharedMountPoint", "CLUSTER", home="C1"),
        pool("L1", "Filesystem", "HOST", home="C1"),
        pool("R1", "RBD", "ZONE"),
        models.ImageStore(uuid="SEC", name="SEC", zone=zone, url="nfs://192.0.2.20/export/secondary"),
    ]


def _offerings() -> list[Any]:
    """Disk offerings and compute offerings."""

    def disk(name: str, tags: str | None = None, size_bytes: int = 0, **values: Any) -> models.DiskOffering:
        return models.DiskOffering(
            uuid=name.lower(),
            name=name,
            display_text=name,
            tags=tags,
            customized=size_bytes == 0,
            disk_size_bytes=size_bytes,
            created=NOW,
            **values,
        )

    untagged, gold = disk("DO1", compute_only=True), disk("DO2", "gold", compute_only=True)

    def compute(name: str, root: models.DiskOffering, **values: Any) -> models.ServiceOffering:
        return models.ServiceOffering(
            uuid=name, name=name, display_text=name, disk_offering=root, created=NOW, **values
        )

    fixed = {"cpu_number": 2, "cpu_speed_mhz": 1000, "memory_mb": 1024}
    custom = {"mincpunumber": "1", "maxcpunumber": "8", "minmemory": "512", "maxmemory": "65536"}
    return [
        *(disk("D1"), disk("D2", "gold"), disk("D3", size_bytes=GIB), untagged, gold),
        compute("O1", untagged, **fixed, details={}),
        compute("O2", gold, **fixed, details={}),
        compute("O3", untagged, details=custom),
    ]


def _people(domain: models.Domain) -> tuple[list[models.Account], list[models.User]]:
    """The accounts system, admin and bob, each with its user."""
    role = models.Role(uuid="role", name="Root Admin", role_type="Admin")
    accounts = [
        models.Account(uuid=f"{name}-account", name=name, type=kind, role=role, domain=domain, created=NOW)
        for name, kind in (("system", 1), ("admin", 1), ("bob", 0))
    ]
    users = [
        models.User(uuid=f"{account.name}-user", username=account.name, password_hash="", account=account, created=NOW)
        for account in accounts
    ]
    return accounts, users


def _networks(zones: list[models.Zone], domain: models.Domain, owner: models.Account) -> list[models.Network]:
    offering = models.NetworkOffering(uuid="NO", name="NO", display_text="NO", guest_type="L2")

    def network(name: str, kind: str, zone: models.Zone, **values: Any) -> models.Network:
        return models.Network(
            uuid=name,
            name=name,
            display_text=name,
            guest_type=kind,
            zone=zone,
            network_offering=offering,
            domain=domain,
            account=owner,
            vlan="162",
            created=NOW,
            **values,
        )

    isolated = {"gateway": "10.1.1.1", "netmask": "255.255.255.0", "cidr": "10.1.1.0/24", "network_domain": "cs.lab"}
    return [
        network("l2", "L2", zones[0]),
        network("iso", "Isolated", zones[0], **isolated),
        network("l2z2", "L2", zones[1]),
    ]


def _images(owner: models.Account) -> list[Any]:
    """Guest systems and the template."""
    category = models.GuestOsCategory(uuid="cat", name="RedHat")
    systems = [
        models.GuestOs(uuid=name, display_name=name, category=category) for name in ("Other Linux", "Rocky Linux 9")
    ]
    template = models.Template(
        uuid="TPL", name="TPL", display_text="TPL", guest_os=systems[0], account=owner, created=NOW
    )
    return [*systems, template]


def _entities() -> Iterator[tuple[Any, Any]]:
    """Each model whose rows have a uuid, with that column."""
    for mapper in models.Base.registry.mappers:
        if hasattr(mapper.class_, "uuid"):
            yield mapper.class_, mapper.class_.uuid


def _furnish(store: Store) -> None:
    with store.session() as session:
        for row in _rows():
            session.add(row)
            session.flush()
        local = session.scalars(select(models.StoragePool).where(models.StoragePool.name == "L1")).one()
        local.host_id = session.scalars(select(models.Host.id).where(models.Host.name == "K1")).one()


@pytest.fixture(scope="session")
def shared_store() -> Iterator[SharedStore]:
    """The database with the world in it."""
    with share_store(_furnish) as shared:
        yield shared


@pytest.fixture(scope="session")
def start_ids(shared_store: SharedStore) -> dict[str, tuple[Any, int]]:
    """Model and number of every entity that is there at first, by uuid."""
    shared_store.reset()
    with shared_store.store.session() as session:
        return {
            uuid: (model, number)
            for model, column in _entities()
            for uuid, number in session.execute(select(column, model.id))
        }


@pytest.fixture
def world(shared_store: SharedStore, start_ids: dict[str, tuple[Any, int]]) -> World:
    """A world as it was made; hosts answer well and vCenter has web01."""
    shared_store.reset()
    clock = ManualClock()
    providers = Providers(clock=clock, ids=CountingIds(), random=random.Random(7))
    redactor = Redactor()
    store = shared_store.store
    agents = Agents()
    vcenter = Vcenter(vms={"web01": source_vm()})
    services = ImportServices(
        store=store,
        providers=providers,
        settings=GlobalSettings(store),
        journal=Journal(clock, redactor),
        redactor=redactor,
        quirks=Quirks(),
        agents=agents,
        vcenters=vcenter,
    )
    made = World(services, agents, vcenter, clock, start_ids)
    agents.defaults = {
        CheckConvertInstanceCommand: lambda _: CheckConvertInstanceAnswer(result=True, ovfExportSupported=True),
        ConvertInstanceCommand: lambda _: ConvertInstanceAnswer(result=True, temporaryConvertUuid=CONVERT_UUID),
        ImportConvertedInstanceCommand: lambda command: ImportConvertedInstanceAnswer(
            result=True, convertedInstance=converted(command, made)
        ),
    }
    return made


@pytest.fixture
def make_source() -> Callable[..., SourceVm]:
    """Makes source VMs: `make_source(name, disks=2, nics=1, power_state=...)`."""
    return source_vm


@pytest.fixture
def make_converted() -> Callable[..., UnmanagedInstanceTO]:
    """Makes the converted instance that a host would answer with."""
    return converted


@pytest.fixture
def hosts(world: World) -> World:
    """A world whose hosts also find the VM `rv1` of a remote host, and disk images."""
    disk = UnmanagedDisk(diskId="0", capacity=5 * GIB, controller="virtio", datastorePath="/vms/rv1-0.qcow2")
    nic = UnmanagedNic(nicId="0", macAddress="52:54:00:99:00:01", adapterType="virtio")
    remote = UnmanagedInstanceTO(name="rv1", powerState="PowerOff", cpuCores=1, memory=512, disks=[disk], nics=[nic])
    world.agents.defaults.update(
        {
            GetRemoteVmsCommand: lambda _: GetRemoteVmsAnswer(
                result=True, details="", unmanagedInstances={"rv1": copy.deepcopy(remote)}
            ),
            CopyRemoteVolumeCommand: lambda _: CopyRemoteVolumeAnswer(result=True, filename="copied", size=6 * GIB),
            CheckVolumeCommand: lambda _: CheckVolumeAnswer(result=True, size=7 * GIB, volumeDetails={}),
        }
    )
    return world


@pytest.fixture
def sources() -> dict[str, dict[str, Any]]:
    """For each source of importVm what makes a good request of the world's usual one."""
    image = {"diskpath": "disk.qcow2", "networkid": "l2", "nicnetworklist": {}}
    return {
        "vmware": {},
        "external": {
            "importsource": "external",
            "name": "rv1",
            "host": "192.0.2.60",
            "username": "root",
            "nicnetworklist": {"0": {"nic": "0", "network": "l2"}},
        },
        "shared": {"importsource": "shared", "name": "sh1", "storageid": "pool-N1", **image},
        "local": {"importsource": "local", "name": "lo1", "storageid": "pool-L1", "hostid": "K1", **image},
    }
