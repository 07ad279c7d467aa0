"""One cluster with two hosts, a VM with a root and a data disk, and hosts that answer what a test scripts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from types import SimpleNamespace
from typing import Any, cast

import pytest
from sqlalchemy import select

from mgmt.commands import all_declarations
from mgmt.commands.declaration import Bound, Call, Caller
from mgmt.commands.life_calls import life_services_of
from mgmt.commands.services import Services
from mgmt.inventory.settings import GlobalSettings
from mgmt.life.maintenance import HostMaintenance
from mgmt.observe.journal import Journal
from mgmt.observe.redaction import Redactor
from mgmt.protocol import commands as wire
from mgmt.protocol.records import Answer, Command
from mgmt.providers import Providers
from mgmt.quirks import Quirks
from mgmt.store import models
from mgmt.store.database import Store
from tests.shared_store import SharedStore, share_store

GIB = 1024**3
DECLARATIONS = all_declarations()


class ManualClock:
    """A clock that only the test moves."""

    def __init__(self) -> None:
        self.at = datetime(2026, 11, 23, 1, 44, 13).timestamp()

    def now(self) -> float:
        return self.at

    def monotonic(self) -> float:
        return self.at

    def sleep(self, duration_s: float) -> None:
        self.at += duration_s

    def wait(self, event: Any, timeout_s: float | None) -> bool:
        return bool(event.is_set())


DEFAULTS: dict[type[Command], Callable[[Any], Answer]] = {
    wire.StartCommand: lambda command: wire.StartAnswer(vm=command.vm, result=True),
    wire.StopCommand: lambda command: wire.StopAnswer(result=True),
    wire.RebootCommand: lambda command: wire.RebootAnswer(result=True),
    wire.GetVmDiskStatsCommand: lambda command: wire.UnsupportedAnswer(),
    wire.GetVmNetworkStatsCommand: lambda command: wire.UnsupportedAnswer(),
    wire.DeleteCommand: lambda command: Answer(result=True),
    wire.CreateObjectCommand: lambda command: wire.CreateObjectAnswer(
        data=wire.VolumeObjectTO(path="made-by-host", size=command.data.size, format="QCOW2"), result=True
    ),
    wire.AttachCommand: lambda command: wire.AttachAnswer(disk=command.disk, result=True),
    wire.DettachCommand: lambda command: wire.DettachAnswer(disk=command.disk, result=True),
    wire.ResizeVolumeCommand: lambda command: wire.ResizeVolumeAnswer(newSize=command.newSize, result=True),
    wire.PrepareForMigrationCommand: lambda command: wire.PrepareForMigrationAnswer(result=True),
    wire.MigrateCommand: lambda command: wire.MigrateAnswer(result=True),
    wire.CreateStoragePoolCommand: lambda command: Answer(result=True),
    wire.ModifyStoragePoolCommand: lambda command: wire.ModifyStoragePoolAnswer(
        poolInfo=wire.StoragePoolInfo(localPath=command.localPath, capacityBytes=1000, availableBytes=600), result=True
    ),
    wire.DeleteStoragePoolCommand: lambda command: Answer(result=True),
    wire.MaintainCommand: lambda command: wire.MaintainAnswer(willMigrate=True, result=True),
    wire.CheckVirtualMachineCommand: lambda command: wire.CheckVirtualMachineAnswer(state="PowerOn", result=True),
}


@dataclass
class Agents:
    """Hosts that answer well unless the test scripted something else: an answer or an error."""

    sent: list[tuple[int, Command]] = field(default_factory=list)
    scripts: dict[type[Command], list[Any]] = field(default_factory=dict)
    in_maintenance: set[int] = field(default_factory=set)
    unlinked: set[int] = field(default_factory=set)
    removed: list[int] = field(default_factory=list)
    comes_up: Callable[[str], bool] = lambda guid: False

    def script(self, command: type[Command], *answers: Any) -> None:
        self.scripts.setdefault(command, []).extend(answers)

    def send(self, host_id: int, command: Command, *, wait_s: int | None = None) -> Answer:
        self.sent.append((host_id, command))
        scripted = self.scripts.get(type(command))
        answer = scripted.pop(0) if scripted else DEFAULTS[type(command)](command)
        if isinstance(answer, Exception):
            raise answer
        return cast(Answer, answer)

    def set_maintenance(self, host_id: int, is_in_maintenance: bool) -> None:
        (self.in_maintenance.add if is_in_maintenance else self.in_maintenance.discard)(host_id)

    def disconnect(self, host_id: int, reason: str) -> bool:
        return host_id not in self.unlinked

    def remove(self, host_id: int) -> None:
        self.removed.append(host_id)

    def wait_for_hosts_up(self, guids: Any, timeout_s: float) -> bool:
        return all(self.comes_up(guid) for guid in guids)

    def names(self) -> list[str]:
        return [type(command).__name__ for _, command in self.sent]

    def of(self, kind: type[Any]) -> list[Any]:
        return [command for _, command in self.sent if isinstance(command, kind)]


@dataclass
class Life:
    """The world, and how to run a command in it."""

    store: Store
    services: Services
    agents: Agents
    clock: ManualClock
    callers: dict[str, Caller] = field(default_factory=dict)
    ids: dict[str, int] = field(default_factory=dict)

    def run(self, command: str, by: str = "admin", **given: Any) -> Any:
        """Run an API command's handler, its `create` before; synchronous ones get a session, as at the HTTP edge."""
        declaration = DECLARATIONS[command]
        names = declaration.params().fields
        assert set(given) <= set(names), given
        bound = Bound({name: given.get(name) for name in names}, frozenset(given))
        call = Call(self.services, self.callers[by], command, "correlation")
        if declaration.is_async:
            if declaration.create is not None:
                with self.store.session() as session:
                    call.session = session
                    bound.created_uuid = declaration.create(call, bound)
                call.session = None
            return declaration.handler(call, bound)
        with self.store.session() as session:
            call.session = session
            return declaration.handler(call, bound)

    def get(self, model: type[Any], row_id: int) -> Any:
        with self.store.session() as session:
            row = session.get_one(model, row_id)
            session.expunge(row)
            return row

    @property
    def vm(self) -> Any:
        return self.get(models.VmInstance, self.ids["vm"])

    def volume(self, name: str) -> Any:
        return self.get(models.Volume, self.ids[name])

    def change(self, model: type[Any], row_id: int, **columns: Any) -> None:
        with self.store.session() as session:
            row = session.get_one(model, row_id)
            for name, value in columns.items():
                setattr(row, name, value)

    def set_state(self, state: str, host: str | None = None) -> None:
        self.change(models.VmInstance, self.ids["vm"], state=state, host_id=self.ids[host] if host else None)

    def usage(self) -> list[str]:
        with self.store.session() as session:
            return list(session.scalars(select(models.UsageEvent.type).order_by(models.UsageEvent.id)))

    def nic(self) -> Any:
        return self.get(models.Nic, self.ids["nic"])


def build(life: Life) -> None:
    """People, places, offerings, networks and one VM with two disks, by their keys in `life.ids`."""
    with life.store.session() as session:
        world = _Builder(life, session)
        world.add_people()
        world.add_places()
        world.add_offerings()
        world.add_networks()
        world.add_vm()


class _Builder:
    """Writes rows with uuids that count from one, and keeps their numbers."""

    def __init__(self, life: Life, session: Any) -> None:
        self.life, self.session, self.count = life, session, 0

    def add(self, key: str, row: Any) -> Any:
        self.count += 1
        row.uuid = f"00000000-0000-4000-8000-{self.count:012d}"
        if hasattr(type(row), "created"):
            row.created = self.life.services.providers.utcnow()
        self.session.add(row)
        self.session.flush()
        self.life.ids[key] = row.id
        return row

    def add_people(self) -> None:
        domain = self.add("ROOT", models.Domain(name="ROOT", path="/"))
        for name, type_ in (("admin", 1), ("user", 0), ("stranger", 0)):
            role = self.add(f"role-{name}", models.Role(name=name, role_type="Admin" if type_ else "User"))
            account = self.add(name, models.Account(name=name, type=type_, role_id=role.id, domain_id=domain.id))
            user = self.add(f"{name}-login", models.User(username=name, password_hash="x", account_id=account.id))
            self.life.callers[name] = Caller(
                user.id, user.uuid, name, account.id, account.uuid, name, type_, domain.id, domain.uuid, "/", "Admin"
            )

    def add_places(self) -> None:
        zone = self.add("zone", models.Zone(name="zone", dns1="10.147.28.6"))
        pod = self.add("pod", models.Pod(name="p", zone_id=zone.id, gateway="x", netmask="x", start_ip="x", end_ip="x"))
        for cluster_name, hosts in (("c1", ("h1", "h2")), ("c2", ("far",))):
            cluster = self.add(cluster_name, models.Cluster(name=cluster_name, zone_id=zone.id, pod_id=pod.id))
            for index, name in enumerate(hosts):
                host = models.Host(
                    name=name,
                    guid=f"{name}-LibvirtComputingResource",
                    status="Up",
                    zone_id=zone.id,
                    pod_id=pod.id,
                    cluster_id=cluster.id,
                    cpus=8,
                    speed_mhz=2000,
                    ram_bytes=16 * GIB,
                    private_ip_address=f"192.0.2.{11 + index}",
                )
                self.add(name, host)
        pool = models.StoragePool(
            name="NI1",
            pool_type="NetworkFilesystem",
            scope="CLUSTER",
            zone_id=zone.id,
            cluster_id=self.life.ids["c1"],
            host_address="10.9.9.1",
            path="/export/ni1",
            port=2049,
            capacity_bytes=1000 * GIB,
        )
        self.add("pool", pool)

    def add_offerings(self) -> None:
        hidden = self.add("hidden", models.DiskOffering(name="Small", display_text="Small", compute_only=True))
        self.add("custom", models.DiskOffering(name="Custom", display_text="Custom", customized=True))
        self.add("fixed", models.DiskOffering(name="Fixed", display_text="Fixed", disk_size_bytes=5 * GIB))
        small = models.ServiceOffering(
            name="Small",
            display_text="Small",
            disk_offering_id=hidden.id,
            cpu_number=1,
            cpu_speed_mhz=500,
            memory_mb=512,
        )
        self.add("small", small)
        category = self.add("category", models.GuestOsCategory(name="CentOS"))
        self.add("os", models.GuestOs(display_name="CentOS 5.5 (64-bit)", category_id=category.id))

    def add_networks(self) -> None:
        ids = self.life.ids
        offering = self.add("network-offering", models.NetworkOffering(name="o", display_text="o", guest_type="L2"))
        common = {
            "zone_id": ids["zone"],
            "network_offering_id": offering.id,
            "domain_id": ids["ROOT"],
            "account_id": ids["admin"],
        }
        self.add("l2", models.Network(name="l2a", display_text="l2a", guest_type="L2", vlan="162", **common))
        isolated = models.Network(
            name="net1",
            display_text="net1",
            guest_type="Isolated",
            vlan="199",
            cidr="10.1.1.0/29",
            gateway="10.1.1.1",
            netmask="255.255.255.248",
            **common,
        )
        self.add("isolated", isolated)

    def add_vm(self) -> None:
        ids = self.life.ids
        owned = {"account_id": ids["user"], "domain_id": ids["ROOT"], "zone_id": ids["zone"]}
        details = {"deployvm": "true", "kvm.vnc.password": "vnc-Secret-1", "rootDiskController": "virtio"}
        vm = models.VmInstance(
            name="um1",
            display_name="um one",
            instance_name="i-2-30-VM",
            user_id=ids["user-login"],
            guest_os_id=ids["os"],
            service_offering_id=ids["small"],
            cpu_number=1,
            cpu_speed_mhz=500,
            memory_mb=512,
            details=[models.VmDetail(name=name, value=value) for name, value in details.items()],
            **owned,
        )
        self.add("vm", vm)
        for index, (key, type_) in enumerate((("ROOT-30", "ROOT"), ("DATA-30", "DATADISK"))):
            volume = models.Volume(
                name=key,
                volume_type=type_,
                pool_id=ids["pool"],
                vm_id=vm.id,
                disk_offering_id=ids["hidden"] if type_ == "ROOT" else ids["custom"],
                device_id=index,
                size_bytes=5 * GIB,
                path=f"um1-disk{index}.qcow2",
                **owned,
            )
            self.add(key, volume)
        nic = models.Nic(
            vm_id=vm.id, network_id=ids["l2"], device_id=0, mac_address="52:54:00:12:00:02", is_default=True
        )
        self.add("nic", nic)


def world_on(store: Store) -> Life:
    """What a test needs around the database."""
    clock = ManualClock()
    agents = Agents()
    redactor = Redactor()
    missing: Any = None
    services = Services(
        store=store,
        providers=Providers(clock=clock),
        settings=GlobalSettings(store),
        journal=Journal(clock, redactor),
        redactor=redactor,
        quirks=Quirks(()),
        agents=cast(Any, agents),
        vcenters=missing,
        jobs=cast(Any, SimpleNamespace(pending=frozenset())),  # none runs
        commands=DECLARATIONS,
        management_server_uuid="ms",
        management_server_name="ms",
    )
    services.host_maintenance = HostMaintenance(life_services_of(services))
    return Life(store, services, agents, clock)


@pytest.fixture(scope="session")
def made() -> Iterator[tuple[SharedStore, Life]]:
    """The database with the world in it, and the names of what is there."""
    lives: list[Life] = []

    def fill(store: Store) -> None:
        lives.append(world_on(store))
        build(lives[0])

    with share_store(fill) as shared:
        yield shared, lives[0]


@pytest.fixture
def life(made: tuple[SharedStore, Life]) -> Life:
    """A world as it was made, with a stopped VM."""
    shared, first = made
    shared.reset()
    world = world_on(shared.store)
    world.ids, world.callers = dict(first.ids), dict(first.callers)
    return world


@pytest.fixture
def refused() -> Callable[..., str]:
    """`refused(life, kind, command, ...)`: the text with which the command fails; the error must be of that kind."""

    def run(life: Life, kind: type[Exception], command: str, by: str = "admin", **given: Any) -> str:
        with pytest.raises(kind) as raised:
            life.run(command, by, **given)
        return str(raised.value)

    return run
