"""A world of owned resources: domains, accounts, VMs, volumes, NICs, templates and events with known names."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, cast

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from mgmt.commands.declaration import Bound, Call, Caller, Declaration, Paging, Result
from mgmt.commands.services import Services
from mgmt.inventory.settings import GlobalSettings
from mgmt.observe.redaction import Redactor
from mgmt.providers import Providers
from mgmt.store import models
from mgmt.store.database import Store
from tests.shared_store import SharedStore, share_store

START = datetime(2026, 11, 23, 1, 44, 13)


@dataclass
class World:
    """The rows by a short name, and how to call a command as somebody."""

    store: Store
    services: Services
    ids: dict[str, int] = field(default_factory=dict)
    uuids: dict[str, str] = field(default_factory=dict)
    callers: dict[str, Caller] = field(default_factory=dict)

    def run(self, declaration: Declaration, by: str = "admin", *, paging: Paging | None = None, **given: Any) -> Result:
        """Run a handler as account `by` with the bound values `given`."""
        names = declaration.params().fields
        assert not set(given) - set(names), f"unknown parameter in {sorted(given)}"
        bound = Bound({name: given.get(name) for name in names}, frozenset(given), paging)
        with self.store.session() as session:
            call = Call(self.services, self.callers[by], declaration.name, "correlation", session)
            return declaration.handler(call, bound)


def caller_of(user: models.User) -> Caller:
    account = user.account
    return Caller(
        user_id=user.id,
        user_uuid=user.uuid,
        username=user.username,
        account_id=account.id,
        account_uuid=account.uuid,
        account_name=account.name,
        account_type=account.type,
        domain_id=account.domain_id,
        domain_uuid=account.domain.uuid,
        domain_path=account.domain.path,
        role_type=account.role.role_type,
    )


class Builder:
    """Adds rows under short names; every UUID is told by the name."""

    def __init__(self, session: Session, world: World) -> None:
        self.session = session
        self.world = world
        self.count = 0

    def add(self, kind: type[Any], key: str, **columns: Any) -> Any:
        self.count += 1
        columns.setdefault("uuid", f"00000000-0000-4000-8000-{self.count:012d}")
        if hasattr(kind, "created"):
            columns.setdefault("created", START + timedelta(seconds=self.count))
        row = kind(**columns)
        self.session.add(row)
        self.session.flush()
        self.world.ids[key] = row.id
        self.world.uuids[key] = row.uuid
        return row


def build(session: Session, world: World) -> None:
    b = Builder(session, world)
    _owners(b)
    _infrastructure(b)
    _templates(b)
    _vms(b)
    _events(b)


def _owners(b: Builder) -> None:
    root = b.add(models.Domain, "ROOT", name="ROOT", path="/")
    d1 = b.add(models.Domain, "D1", name="D1", path="/D1/", level=1, parent_id=root.id)
    sub = b.add(models.Domain, "D1sub", name="sub", path="/D1/sub/", level=2, parent_id=d1.id)
    d10 = b.add(models.Domain, "D10", name="D10", path="/D10/", level=1, parent_id=root.id)
    roles = {
        type_: b.add(models.Role, f"role-{type_}", name=name, role_type=type_)
        for type_, name in (("Admin", "Root Admin"), ("DomainAdmin", "Domain Admin"), ("User", "User"))
    }
    for name, type_, role, domain, is_default in (
        ("system", 1, "Admin", root, True),
        ("admin", 1, "Admin", root, True),
        ("user1", 0, "User", d1, False),
        ("dadmin", 2, "DomainAdmin", d1, False),
        ("subuser", 0, "User", sub, False),
        ("other", 0, "User", d10, False),
    ):
        account = b.add(
            models.Account,
            name,
            name=name,
            type=type_,
            role_id=roles[role].id,
            domain_id=domain.id,
            is_default=is_default,
            limits={"user_vm": 3} if name == "subuser" else {},
        )
        user = b.add(
            models.User,
            f"{name}-login",
            username=name,
            password_hash="x",
            account_id=account.id,
            firstname=name.title(),
            lastname="Person",
            email=f"{name}@example.org" if name != "system" else "",
            api_key=f"{name}-key",
            secret_key=f"{name}-secret",
            is_default=is_default,
        )
        b.world.callers[name] = caller_of(user)


def _infrastructure(b: Builder) -> None:
    zone = b.add(models.Zone, "zone", name="zone1", networktype="Advanced")
    b.add(models.Zone, "zone2", name="zone2", networktype="Advanced")
    pod = b.add(
        models.Pod,
        "pod",
        name="pod1",
        zone_id=zone.id,
        gateway="192.0.2.1",
        netmask="255.255.255.0",
        start_ip="192.0.2.2",
        end_ip="192.0.2.99",
    )
    cluster = b.add(models.Cluster, "cluster", name="KI1", zone_id=zone.id, pod_id=pod.id)
    b.add(
        models.Host,
        "host",
        name="i1",
        guid="guid-1",
        status="Up",
        zone_id=zone.id,
        pod_id=pod.id,
        cluster_id=cluster.id,
    )
    common = {"pool_type": "NetworkFilesystem", "zone_id": zone.id, "host_address": "192.0.2.20"}
    b.add(
        models.StoragePool,
        "pool",
        name="NI1",
        scope="CLUSTER",
        path="/export/a",
        pod_id=pod.id,
        cluster_id=cluster.id,
        **common,
    )
    b.add(models.StoragePool, "zonepool", name="NZ", scope="ZONE", path="/export/b", **common)
    b.add(models.ImageStore, "secondary", name="SS0", zone_id=zone.id, url="nfs://192.0.2.20/export/s")
    hidden = b.add(models.DiskOffering, "small-disk", name="Small", display_text="Small", compute_only=True)
    b.add(models.DiskOffering, "D1offering", name="D1", display_text="D1 text", customized=True)
    b.add(
        models.ServiceOffering,
        "small",
        name="Small Instance",
        display_text="Small Instance",
        disk_offering_id=hidden.id,
        cpu_number=1,
        cpu_speed_mhz=500,
        memory_mb=512,
    )
    b.add(
        models.ServiceOffering,
        "ha",
        name="HA",
        display_text="HA",
        cpu_number=2,
        cpu_speed_mhz=500,
        memory_mb=1024,
        offer_ha=True,
    )


def _templates(b: Builder) -> None:
    category = b.add(models.GuestOsCategory, "centos-category", name="CentOS")
    other = b.add(models.GuestOsCategory, "windows-category", name="Windows")
    centos = b.add(models.GuestOs, "centos", display_name="CentOS 5.5 (64-bit)", category_id=category.id)
    b.add(models.GuestOs, "windows", display_name="Windows 11", category_id=other.id, is_user_defined=True)
    b.add(models.GuestOs, "secret-os", display_name="AAA hidden", category_id=other.id, display=False)
    ids = b.world.ids
    for key, name, owner, columns in (
        ("systemvm", "SystemVM Template", "system", {"template_type": "SYSTEM", "is_public": False}),
        (
            "builtin",
            "CentOS 5.5(64-bit) no GUI (KVM)",
            "system",
            {"template_type": "BUILTIN", "is_featured": True, "is_extractable": True},
        ),
        ("community", "Community one", "other", {}),
        ("private", "Private one", "user1", {"is_public": False}),
        ("vmware", "VMware one", "admin", {"hypervisor_type": "VMware"}),
        ("unready", "Unready one", "user1", {"is_ready": False, "is_featured": True}),
        ("dummy", "kvm-default-vm-import-dummy-template", "system", {"format": "ISO", "template_type": "SYSTEM"}),
        ("zoned", "Zoned one", "other", {"zone_id": ids["zone2"], "is_featured": True}),
    ):
        b.add(
            models.Template,
            key,
            name=name,
            display_text=name,
            guest_os_id=centos.id,
            account_id=ids[owner],
            size_bytes=5 << 30,
            **{"hypervisor_type": "KVM", **columns},
        )
    b.add(
        models.Template,
        "removed",
        name="Removed one",
        display_text="x",
        hypervisor_type="KVM",
        guest_os_id=centos.id,
        account_id=ids["admin"],
        removed=START,
        state="Inactive",
    )


def _vms(b: Builder) -> None:
    ids = b.world.ids
    offering = b.add(models.NetworkOffering, "netoffering", name="o", display_text="o", guest_type="Isolated")
    owner = {"domain_id": ids["ROOT"], "account_id": ids["admin"]}
    common = {"zone_id": ids["zone"], "network_offering_id": offering.id, **owner}
    b.add(models.Network, "l2a", name="l2a", display_text="l2a", guest_type="L2", **common)
    b.add(models.Network, "net1", name="net1", display_text="net1", guest_type="Isolated", **common)
    for key, account, columns in (
        ("um1", "admin", {"instance_name": "um1", "host_id": ids["host"]}),
        ("um2", "admin", {"display_name": "Second VM", "state": "Running", "power_state": "PowerOn"}),
        ("bare", "admin", {"display_name": None, "service_offering_id": ids["ha"], "template_id": None}),
        ("u1vm", "user1", {"display_name": "User VM"}),
        ("u1gone", "user1", {"state": "Destroyed"}),
        ("u1hidden", "user1", {"display_vm": False}),
        ("subvm", "subuser", {"template_id": ids["dummy"]}),
        ("othervm", "other", {}),
        ("expunged", "admin", {"removed": START, "state": "Expunging"}),
    ):
        login = b.session.get_one(models.User, ids[f"{account}-login"])
        b.add(
            models.VmInstance,
            key,
            **{
                "name": key,
                "display_name": key,
                "instance_name": f"i-{account}-{key}",
                "account_id": login.account_id,
                "domain_id": login.account.domain_id,
                "user_id": login.id,
                "zone_id": ids["zone"],
                "template_id": ids["builtin"],
                "guest_os_id": ids["centos"],
                "service_offering_id": ids["small"],
                "cpu_number": 1,
                "cpu_speed_mhz": 500,
                "memory_mb": 512,
                **columns,
            },
        )
    _details_of_um1(b)
    _volumes(b)
    _nics(b)


def _details_of_um1(b: Builder) -> None:
    for name, value, display in (
        ("deployvm", "true", True),
        ("kvm.vnc.password", "VNC_PASSWORD", True),
        ("rootdisksize", "5", True),
        ("nicAdapter", "virtio", True),
        ("rootDiskController", "virtio", True),
        ("internal", "no", False),
    ):
        b.session.add(models.VmDetail(vm_id=b.world.ids["um1"], name=name, value=value, display=display))
    b.session.add(models.VmDetail(vm_id=b.world.ids["um2"], name="UEFI", value="SECURE"))
    b.session.add(models.VmDetail(vm_id=b.world.ids["u1vm"], name="rootdisksize", value="5"))
    b.session.add(models.VmDetail(vm_id=b.world.ids["u1vm"], name="nicAdapter", value="virtio"))


def _volumes(b: Builder) -> None:
    ids = b.world.ids
    for key, vm, account, columns in (
        ("ROOT-1", "um1", "admin", {"path": "um1-disk0.qcow2", "attached": START}),
        ("ROOT-2", "um2", "admin", {"path": "um2-disk0.qcow2"}),
        (
            "DATA-2-1",
            "um2",
            "admin",
            {"volume_type": "DATADISK", "device_id": 1, "disk_offering_id": ids["D1offering"], "template_id": None},
        ),
        ("u1root", "u1vm", "user1", {"state": "Allocated", "pool_id": ids["zonepool"], "path": "u1.qcow2"}),
        ("subroot", "subvm", "subuser", {"template_id": ids["dummy"], "pool_id": None}),
        ("u1expunged", "u1gone", "user1", {"state": "Expunged"}),
        ("gone", "um1", "admin", {"removed": START, "state": "Destroy"}),
    ):
        owner = b.session.get_one(models.Account, ids[account])
        b.add(
            models.Volume,
            key,
            **{
                "name": key,
                "volume_type": "ROOT",
                "account_id": owner.id,
                "domain_id": owner.domain_id,
                "zone_id": ids["zone"],
                "vm_id": ids[vm],
                "pool_id": ids["pool"],
                "device_id": 0,
                "size_bytes": 5 << 30,
                "disk_offering_id": ids["small-disk"],
                "template_id": ids["builtin"],
                **columns,
            },
        )


def _nics(b: Builder) -> None:
    ids = b.world.ids
    for key, vm, network, columns in (
        ("nic1", "um1", "l2a", {"device_id": 0, "mac_address": "52:54:00:12:00:02", "is_default": True}),
        ("nic2", "um2", "net1", {"device_id": 0, "mac_address": "52:54:00:12:00:03", "is_default": True}),
        ("nic3", "um2", "l2a", {"device_id": 1, "mac_address": "52:54:00:12:00:04"}),
        ("nic4", "u1vm", "l2a", {"device_id": 0, "mac_address": "52:54:00:12:00:05", "is_default": True}),
        ("nicgone", "um1", "net1", {"device_id": 1, "mac_address": "52:54:00:12:00:06", "removed": START}),
    ):
        if network == "net1" and vm == "um2":
            columns |= {
                "ip4_address": "10.1.1.29",
                "netmask": "255.255.255.0",
                "gateway": "10.1.1.1",
                "broadcast_uri": "vlan://199",
                "isolation_uri": "vlan://199",
            }
        b.add(models.Nic, key, vm_id=ids[vm], network_id=ids[network], **columns)


def _events(b: Builder) -> None:
    ids, uuids = b.world.ids, b.world.uuids
    scheduled = None
    for key, account, columns in (
        ("scheduled", "admin", {"state": "Scheduled", "description": "Importing unmanaged VM: um1"}),
        ("started", "admin", {"state": "Started", "description": "Importing VM"}),
        ("failed", "admin", {"state": "Completed", "level": "ERROR", "description": "Error while importing VM"}),
        (
            "completed",
            "admin",
            {
                "description": "Importing unmanaged VM: um1",
                "resource_type": "VirtualMachine",
                "resource_uuid": uuids["um1"],
                "resource_name": "um1",
            },
        ),
        ("userevent", "user1", {"type": "VM.STOP", "description": "stopping VM"}),
        ("archived", "admin", {"archived": True, "description": "old"}),
    ):
        login = b.session.scalars(select(models.User).where(models.User.id == ids[f"{account}-login"])).one()
        row = b.add(
            models.Event,
            key,
            **{
                "type": "VM.IMPORT",
                "user_id": login.id,
                "account_id": login.account_id,
                "domain_id": login.account.domain_id,
                "start_id": scheduled.id if scheduled is not None and key in ("started", "failed") else None,
                **columns,
            },
        )
        scheduled = scheduled or row


def make_world(store: Store) -> World:
    services = cast(Services, None)
    world = World(store, services)
    with store.session() as session:
        build(session, world)
    missing: Any = None
    world.services = Services(
        store=store,
        providers=store.providers,
        settings=GlobalSettings(store),
        journal=missing,
        redactor=Redactor(),
        quirks=missing,
        agents=missing,
        vcenters=missing,
        jobs=missing,
        commands={},
        management_server_uuid="ms-1",
        management_server_name="ms",
    )
    return world


@pytest.fixture(scope="session")
def made() -> Iterator[tuple[SharedStore, World]]:
    """The database and the names of what is in it."""
    worlds: list[World] = []
    with share_store(lambda store: worlds.append(make_world(store))) as shared:
        yield shared, worlds[0]


@pytest.fixture(scope="session")
def world() -> Iterator[World]:
    """A world that tests share: they only read."""
    store = Store("sqlite://", Providers())
    yield make_world(store)
    store.close()


@pytest.fixture
def own_world(made: tuple[SharedStore, World]) -> World:
    """A world as it was made, to change."""
    shared, first = made
    shared.reset()
    services = replace(first.services, settings=GlobalSettings(shared.store))
    return World(shared.store, services, dict(first.ids), dict(first.uuids), dict(first.callers))


@pytest.fixture(scope="session")
def names() -> Callable[[Result], list[Any]]:
    """From a list answer to the names (or user names) of its entries, in order."""

    def of(result: Any) -> list[Any]:
        return [item.get("name") or item.get("username") for item in result.items]

    return of
