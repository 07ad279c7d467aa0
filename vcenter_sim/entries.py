"""What stands in an inventory file, as plain records; `document` reads them."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class DatastoreEntry:
    """A datastore; `remote_host` and `remote_path` for NFS only."""

    name: str
    type: str
    capacity_gb: int
    free_gb: int
    remote_host: str | None
    remote_path: str | None


@dataclass(frozen=True)
class NetworkEntry:
    """A portgroup; a distributed one names its switch."""

    name: str
    type: str
    vlan: int
    switch: str | None


@dataclass(frozen=True)
class HostEntry:
    """An ESXi host."""

    name: str
    cores: int
    cpu_mhz: int
    memory_gb: int
    version: str


@dataclass(frozen=True)
class ClusterEntry:
    """A cluster with its hosts and the resource pools below its root pool."""

    name: str
    hosts: list[HostEntry]
    resource_pools: list[str]


@dataclass(frozen=True)
class DiskEntry:
    """A virtual disk; without `datastore` it is where the VM is, and without `file` named after it."""

    size_gb: float
    datastore: str | None
    controller: str
    thin: bool
    file: str | None


@dataclass(frozen=True)
class NicEntry:
    """A network adapter; `ip_addresses` are what the running guest reports."""

    network: str
    type: str
    mac: str | None
    ip_addresses: list[str]


@dataclass(frozen=True)
class CdromEntry:
    """A CD-ROM drive with an image in it, `[datastore] path`; `lost` says that the file is no longer there."""

    iso: str
    lost: bool


@dataclass(frozen=True)
class ExportFaults:
    """What goes wrong with a VM's exports; files are counted from 0. Nothing by default."""

    lease_error: str | None = None
    missing: frozenset[int] = frozenset()
    cut: frozenset[int] = frozenset()
    wrong_sum: frozenset[int] = frozenset()


@dataclass(frozen=True)
class VmEntry:
    """A VM or template; without `datastore` it is on the datacenter's first one."""

    name: str
    host: str
    folder: str
    resource_pool: str | None
    datastore: str | None
    power: str
    template: bool
    cpus: int
    cores_per_socket: int
    cpu_reservation_mhz: int
    memory_mb: int
    firmware: str
    secure_boot: bool
    guest_id: str
    guest_name: str
    guest_hostname: str | None
    tools: str
    uuid: str | None
    instance_uuid: str | None
    annotation: str
    custom_values: dict[str, str]
    disks: list[DiskEntry]
    nics: list[NicEntry]
    cdrom: CdromEntry | None
    export_faults: ExportFaults | None


@dataclass(frozen=True)
class DatacenterEntry:
    """A datacenter; `hosts` are those outside clusters."""

    name: str
    datastores: list[DatastoreEntry]
    networks: list[NetworkEntry]
    clusters: list[ClusterEntry]
    hosts: list[HostEntry]
    folders: list[str]
    vms: list[VmEntry]


@dataclass(frozen=True)
class Document:
    """One inventory file."""

    username: str
    password: str = field(repr=False)
    custom_fields: list[str]
    datacenters: list[DatacenterEntry]
