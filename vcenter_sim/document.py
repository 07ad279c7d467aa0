"""Inventory files: YAML checked by marshmallow into plain records, with file, place and reason in every error."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml
from marshmallow import RAISE, Schema, ValidationError, fields, post_load, validate, validates_schema


class InventoryError(ValueError):
    """An inventory file that cannot be used: `FILE: PLACE: REASON`, one line for each thing that is wrong."""

    def __init__(self, file: Path, problems: list[tuple[str, str]]) -> None:
        self.file = file
        self.problems = problems
        super().__init__("\n".join(f"{file}: {place}: {reason}" for place, reason in problems))


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


_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml's where it is there: five times as fast
_NAME = validate.And(
    validate.Length(min=1, max=80), validate.Regexp(r"[^\x00-\x1f\x7f]+\Z", error="Has control characters.")
)
_FOLDER = r"[^/]+(/[^/]+)*"
_MAC = validate.Regexp(r"([0-9a-f]{2}:){5}[0-9a-f]{2}\Z", error="Not a MAC address in lower case with colons.")


class _Entry(Schema):
    """A mapping whose unknown keys are errors and which becomes the record of its kind."""

    record: type[Any] = dict

    class Meta:
        unknown = RAISE

    @post_load
    def _make(self, data: dict[str, Any], **_: Any) -> Any:
        return self.record(**data)


class _Datastore(_Entry):
    record = DatastoreEntry
    name = fields.String(required=True, validate=_NAME)
    type = fields.String(load_default="vmfs", validate=validate.OneOf(["vmfs", "nfs", "nfs41"]))
    capacity_gb = fields.Integer(load_default=2048, strict=True, validate=validate.Range(min=1))
    free_gb = fields.Integer(load_default=1024, strict=True, validate=validate.Range(min=0))
    remote_host = fields.String(load_default=None)
    remote_path = fields.String(load_default=None)

    @validates_schema
    def _check_remote(self, data: dict[str, Any], **_: Any) -> None:
        if data["type"] == "vmfs" and (data["remote_host"] or data["remote_path"]):
            raise ValidationError("Only nfs datastores have a remote host and path.", "type")
        for name in ("remote_host", "remote_path"):
            if data["type"] != "vmfs" and not data[name]:
                raise ValidationError("An nfs datastore needs it.", name)


class _Network(_Entry):
    record = NetworkEntry
    name = fields.String(required=True, validate=_NAME)
    type = fields.String(load_default="standard", validate=validate.OneOf(["standard", "distributed"]))
    vlan = fields.Integer(load_default=0, strict=True, validate=validate.Range(min=0, max=4094))
    switch = fields.String(load_default=None, validate=_NAME)

    @validates_schema
    def _check_switch(self, data: dict[str, Any], **_: Any) -> None:
        if data["type"] == "distributed" and not data["switch"]:
            raise ValidationError("A distributed portgroup needs the name of its switch.", "switch")


class _Host(_Entry):
    record = HostEntry
    name = fields.String(required=True, validate=_NAME)
    cores = fields.Integer(load_default=16, strict=True, validate=validate.Range(min=1, max=1024))
    cpu_mhz = fields.Integer(load_default=2600, strict=True, validate=validate.Range(min=1))
    memory_gb = fields.Integer(load_default=128, strict=True, validate=validate.Range(min=1))
    version = fields.String(load_default="8.0.2")


class _Cluster(_Entry):
    record = ClusterEntry
    name = fields.String(required=True, validate=_NAME)
    hosts = fields.List(fields.Nested(_Host), required=True, validate=validate.Length(min=1))
    resource_pools = fields.List(fields.String(validate=_NAME), load_default=list)


class _Disk(_Entry):
    record = DiskEntry
    size_gb = fields.Float(required=True, validate=validate.Range(min=0, min_inclusive=False, max=65536))
    datastore = fields.String(load_default=None)
    controller = fields.String(
        load_default="pvscsi",
        validate=validate.OneOf(["pvscsi", "lsilogic", "lsisas1068", "buslogic", "ide", "sata", "nvme"]),
    )
    thin = fields.Boolean(load_default=True)
    file = fields.String(
        load_default=None,
        validate=validate.Regexp(r"\[[^\]]+\] [^/].*\.vmdk\Z", error="Not like [datastore] path.vmdk."),
    )


class _Nic(_Entry):
    record = NicEntry
    network = fields.String(required=True)
    type = fields.String(
        load_default="vmxnet3", validate=validate.OneOf(["vmxnet3", "vmxnet2", "e1000", "e1000e", "pcnet32"])
    )
    mac = fields.String(load_default=None, validate=_MAC)
    ip_addresses = fields.List(fields.IP(), load_default=list)


class _Cdrom(_Entry):
    record = CdromEntry
    iso = fields.String(
        required=True, validate=validate.Regexp(r"\[[^\]]+\] [^/].*\.iso\Z", error="Not like [datastore] path.iso.")
    )
    lost = fields.Boolean(load_default=False)


class _ExportFaults(_Entry):
    record = ExportFaults
    lease_error = fields.String(load_default=None)
    missing = fields.List(fields.Integer(strict=True, validate=validate.Range(min=0)), load_default=list)
    cut = fields.List(fields.Integer(strict=True, validate=validate.Range(min=0)), load_default=list)
    wrong_sum = fields.List(fields.Integer(strict=True, validate=validate.Range(min=0)), load_default=list)

    @post_load
    def _make(self, data: dict[str, Any], **_: Any) -> Any:
        files = {name: frozenset(data[name]) for name in ("missing", "cut", "wrong_sum")}
        return ExportFaults(data["lease_error"], **files)


class _Vm(_Entry):
    record = VmEntry
    name = fields.String(required=True, validate=_NAME)
    host = fields.String(required=True)
    folder = fields.String(load_default="", validate=validate.Regexp(rf"({_FOLDER})?\Z", error="Has empty parts."))
    resource_pool = fields.String(load_default=None)
    datastore = fields.String(load_default=None)
    power = fields.String(load_default="poweredOff", validate=validate.OneOf(["poweredOn", "poweredOff", "suspended"]))
    template = fields.Boolean(load_default=False)
    cpus = fields.Integer(load_default=1, strict=True, validate=validate.Range(min=1, max=768))
    cores_per_socket = fields.Integer(load_default=1, strict=True, validate=validate.Range(min=1, max=768))
    cpu_reservation_mhz = fields.Integer(load_default=0, strict=True, validate=validate.Range(min=0))
    memory_mb = fields.Integer(load_default=1024, strict=True, validate=validate.Range(min=4))
    firmware = fields.String(load_default="bios", validate=validate.OneOf(["bios", "efi"]))
    secure_boot = fields.Boolean(load_default=False)
    guest_id = fields.String(load_default="otherLinux64Guest")
    guest_name = fields.String(load_default="Other Linux (64-bit)")
    guest_hostname = fields.String(load_default=None)
    tools = fields.String(load_default="installed", validate=validate.OneOf(["installed", "old", "none"]))
    uuid = fields.UUID(load_default=None)
    instance_uuid = fields.UUID(load_default=None)
    annotation = fields.String(load_default="")
    custom_values = fields.Dict(keys=fields.String(), values=fields.String(), load_default=dict)
    disks = fields.List(fields.Nested(_Disk), load_default=list)
    nics = fields.List(fields.Nested(_Nic), load_default=list)
    cdrom = fields.Nested(_Cdrom, load_default=None)
    export_faults = fields.Nested(_ExportFaults, load_default=None)

    @validates_schema
    def _check(self, data: dict[str, Any], **_: Any) -> None:
        if data["secure_boot"] and data["firmware"] != "efi":
            raise ValidationError("Secure boot needs efi firmware.", "secure_boot")
        if data["template"] and data["power"] != "poweredOff":
            raise ValidationError("A template is always poweredOff.", "power")
        if data["cpus"] % data["cores_per_socket"]:
            raise ValidationError("The number of CPUs is no multiple of it.", "cores_per_socket")
        if sum(disk.controller == "ide" for disk in data["disks"]) + (data["cdrom"] is not None) > 4:
            raise ValidationError("IDE carries no more than 4 disks and drives.", "disks")

    @post_load
    def _make(self, data: dict[str, Any], **_: Any) -> Any:
        for name in ("uuid", "instance_uuid"):
            data[name] = str(data[name]) if data[name] is not None else None
        data["nics"] = [
            NicEntry(nic.network, nic.type, nic.mac, [str(address) for address in nic.ip_addresses])
            for nic in data["nics"]
        ]
        return self.record(**data)


class _Datacenter(_Entry):
    record = DatacenterEntry
    name = fields.String(required=True, validate=_NAME)
    datastores = fields.List(fields.Nested(_Datastore), required=True, validate=validate.Length(min=1))
    networks = fields.List(fields.Nested(_Network), load_default=list)
    clusters = fields.List(fields.Nested(_Cluster), load_default=list)
    hosts = fields.List(fields.Nested(_Host), load_default=list)
    folders = fields.List(
        fields.String(validate=validate.Regexp(rf"{_FOLDER}\Z", error="Has empty parts.")), load_default=list
    )
    vms = fields.List(fields.Nested(_Vm), load_default=list)


class _Document(_Entry):
    record = Document
    username = fields.String(load_default="administrator@vsphere.local", validate=validate.Length(min=1))
    password = fields.String(load_default="VMware1!lab", validate=validate.Length(min=1))
    custom_fields = fields.List(fields.String(validate=_NAME), load_default=list)
    datacenters = fields.List(fields.Nested(_Datacenter), required=True, validate=validate.Length(min=1))


def load(file: Path) -> Document:
    """The document in a file; raises InventoryError with everything that is wrong in it."""
    try:
        content = file.read_bytes()
    except OSError as error:
        raise InventoryError(file, [("cannot be read", error.strerror or str(error))]) from error
    return _checked(file, content)


# Content that was found good once stays good, and nobody changes a document: stand-ins that begin one after the other
# share it.
@lru_cache(maxsize=8)
def _checked(file: Path, content: bytes) -> Document:
    try:
        data = yaml.load(content, Loader=_Loader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f"line {mark.line + 1}, column {mark.column + 1}" if mark is not None else "file"
        raise InventoryError(file, [(place, f"no valid YAML: {getattr(error, 'problem', None) or error}")]) from error
    if not isinstance(data, dict):
        raise InventoryError(file, [("document", "Not a mapping.")])
    try:
        document: Document = _Document().load(data)
    except ValidationError as error:
        raise InventoryError(file, sorted(_flatten(error.messages))) from error
    problems = [problem for index, entry in enumerate(document.datacenters) for problem in _dangling(index, entry)]
    known = set(document.custom_fields)
    for index, datacenter in enumerate(document.datacenters):
        for number, vm in enumerate(datacenter.vms):
            for name in vm.custom_values:
                if name not in known:
                    place = f"datacenters[{index}].vms[{number}].custom_values.{name}"
                    problems.append((place, "No such custom field."))
    problems += _repeated("datacenters", [entry.name for entry in document.datacenters])
    if problems:
        raise InventoryError(file, problems)
    return document


def _flatten(messages: Any, place: str = "") -> Iterator[tuple[str, str]]:
    """Marshmallow's tree of messages as pairs of place and reason."""
    if isinstance(messages, Mapping):
        for key, below in messages.items():
            if isinstance(key, int):
                yield from _flatten(below, f"{place}[{key}]")
            elif key == "_schema":
                yield from _flatten(below, place)
            else:
                yield from _flatten(below, f"{place}.{key}" if place else str(key))
    else:
        for message in messages if isinstance(messages, list) else [messages]:
            yield place or "document", str(message)


def _repeated(place: str, names: list[str]) -> list[tuple[str, str]]:
    seen: set[str] = set()
    problems = []
    for index, name in enumerate(names):
        if name.lower() in seen:
            problems.append((f"{place}[{index}].name", f"There is one named {name!r} already."))
        seen.add(name.lower())
    return problems


def _dangling(index: int, datacenter: DatacenterEntry) -> Iterator[tuple[str, str]]:
    """Names in one datacenter that name nothing, or two things."""
    place = f"datacenters[{index}]"
    in_clusters = [host.name for cluster in datacenter.clusters for host in cluster.hosts]
    hosts = [*in_clusters, *(host.name for host in datacenter.hosts)]
    if len({name.lower() for name in hosts}) != len(hosts):
        yield f"{place}.hosts", "A host name stands twice in the datacenter."
    yield from _repeated(f"{place}.datastores", [entry.name for entry in datacenter.datastores])
    yield from _repeated(f"{place}.networks", [entry.name for entry in datacenter.networks])
    yield from _repeated(f"{place}.clusters", [entry.name for entry in datacenter.clusters])
    network_names = {entry.name.lower() for entry in datacenter.networks}
    for number, network in enumerate(datacenter.networks):
        if network.switch is not None and network.switch.lower() in network_names:
            yield f"{place}.networks[{number}].switch", f"There is a network named {network.switch!r}."
    yield from _misplaced_vms(place, datacenter)
    for number, vm in enumerate(datacenter.vms):
        yield from _dangling_in_vm(f"{place}.vms[{number}]", vm, datacenter)


def _misplaced_vms(place: str, datacenter: DatacenterEntry) -> Iterator[tuple[str, str]]:
    """VMs whose name another VM or a folder has in the same folder."""
    folders: set[str] = set()
    for path in [*datacenter.folders, *(vm.folder for vm in datacenter.vms)]:
        parts = path.lower().split("/")
        folders.update("/".join(parts[:length]) for length in range(1, len(parts) + 1))
    taken: set[str] = set()
    for number, vm in enumerate(datacenter.vms):
        path = f"{vm.folder}/{vm.name}".lower().lstrip("/")
        if path in taken:
            yield f"{place}.vms[{number}].name", f"There is one named {vm.name!r} in the folder already."
        if path in folders:
            yield f"{place}.vms[{number}].name", "There is a folder of that name already."
        taken.add(path)


def _dangling_in_vm(where: str, vm: VmEntry, datacenter: DatacenterEntry) -> Iterator[tuple[str, str]]:
    """What one VM refers to and the datacenter does not have."""
    iso_store = "" if vm.cdrom is None else vm.cdrom.iso[1:].partition("]")[0]
    if vm.cdrom is not None and iso_store not in [entry.name for entry in datacenter.datastores]:
        yield f"{where}.cdrom.iso", f"There is no datastore {iso_store!r} in the datacenter."
    pools = {host.name: set(cluster.resource_pools) for cluster in datacenter.clusters for host in cluster.hosts}
    pools.update((host.name, set()) for host in datacenter.hosts)
    if vm.host not in pools:
        yield f"{where}.host", f"There is no host {vm.host!r} in the datacenter."
    elif vm.resource_pool is not None and vm.resource_pool not in pools[vm.host]:
        yield f"{where}.resource_pool", f"The host's cluster has no resource pool {vm.resource_pool!r}."
    datastores = {entry.name for entry in datacenter.datastores}
    if vm.datastore is not None and vm.datastore not in datastores:
        yield f"{where}.datastore", f"There is no datastore {vm.datastore!r}."
    for position, disk in enumerate(vm.disks):
        if disk.datastore is not None and disk.datastore not in datastores:
            yield f"{where}.disks[{position}].datastore", f"There is no datastore {disk.datastore!r}."
    networks = {entry.name for entry in datacenter.networks}
    for position, nic in enumerate(vm.nics):
        if nic.network not in networks:
            yield f"{where}.nics[{position}].network", f"There is no network {nic.network!r}."
