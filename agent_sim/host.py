"""What a simulated KVM host is and has: hardware, operating system, tools, VDDK library, pools, agent.properties.

Descriptions are YAML documents; every fault in one is reported with the file, the path inside the document and the
reason (HostFileError).
"""

from __future__ import annotations

import ipaddress
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml
from marshmallow import Schema, ValidationError, fields, post_load, pre_load, validate, validates

from agent_sim.properties import AgentProperties, PropertiesError

RESOURCE_NAME = "LibvirtComputingResource"

GIB = 1024**3
_NAMESPACE = uuid.UUID("6f1d1a52-0f0e-4c55-9d1f-0a4f3d9c7b10")
_DEBIAN_FAMILY = ("debian", "ubuntu")


class HostFileError(ValueError):
    """A host file that cannot be used: names the file, the path inside the document and the reason."""


@dataclass(frozen=True)
class Cpu:
    sockets: int = 2
    cores: int = 32
    speed_mhz: int = 2000


@dataclass(frozen=True)
class OperatingSystem:
    name: str = "Rocky Linux"
    version: str = "9.4"
    kernel: str = "5.14.0-427.13.1.el9_4.x86_64"

    @property
    def is_debian_family(self) -> bool:
        """Whether the agent asks dpkg instead of rpm, and wants nbdkit beside virt-v2v."""
        return self.name.lower().startswith(_DEBIAN_FAMILY)


@dataclass(frozen=True)
class Tools:
    """Versions of the programs on the host; None where a program is not installed."""

    virt_v2v: str | None = None
    nbdkit: str | None = None
    nbdkit_vddk_plugin: str | None = None
    ovftool: str | None = None
    openssl: str | None = "3.0.7"
    virtio_win: bool = False
    ovmf: bool = False
    password_options: tuple[str, ...] | None = None
    """What `virt-v2v --help` lists; None: what this version of virt-v2v lists."""


@dataclass(frozen=True)
class VddkLibrary:
    """A VDDK tree: its root directory on the host and the files in it."""

    path: str
    files: tuple[str, ...]


@dataclass(frozen=True)
class LocalPool:
    path: str
    capacity_bytes: int
    available_bytes: int
    uuid: str | None = None


@dataclass(frozen=True)
class NfsExport:
    """A directory that an NFS server exports, or pretends to: `state` other than `exported` makes mounts fail."""

    server: str
    path: str
    capacity_bytes: int = 1024 * GIB
    available_bytes: int = 1024 * GIB
    state: str = "exported"


@dataclass(frozen=True)
class CephPool:
    monitor: str
    pool: str
    capacity_bytes: int
    available_bytes: int


@dataclass(frozen=True)
class DomainDisk:
    path: str
    capacity_bytes: int
    bus: str = "virtio"


@dataclass(frozen=True)
class DomainNic:
    mac: str
    model: str = "virtio"
    bridge: str | None = None
    vlan: int | None = None


@dataclass(frozen=True)
class Domain:
    """A libvirt domain that is on the host from the start."""

    name: str
    state: str = "running"
    cpu_cores: int = 1
    cpu_shares: int = 1000
    memory_mb: int = 1024
    boot_type: str = "BIOS"
    boot_mode: str = "LEGACY"
    vnc_password: str | None = None
    disks: tuple[DomainDisk, ...] = ()
    nics: tuple[DomainNic, ...] = ()


@dataclass(frozen=True)
class HostDescription:
    """One simulated KVM host."""

    name: str
    guid: str
    ip: str
    mac: str = "52:54:00:aa:bb:01"
    netmask: str = "255.255.255.0"
    gateway: str = "192.0.2.1"
    agent_version: str = "4.22.1.0"
    arch: str = "x86_64"
    cpu: Cpu = field(default_factory=Cpu)
    memory_bytes: int = 250 * GIB
    reserved_memory_bytes: int = GIB
    os: OperatingSystem = field(default_factory=OperatingSystem)
    tools: Tools = field(default_factory=Tools)
    vddk_libraries: tuple[VddkLibrary, ...] = ()
    properties: AgentProperties = field(default_factory=AgentProperties)
    local_pools: tuple[LocalPool, ...] = ()
    nfs_exports: tuple[NfsExport, ...] = ()
    ceph_pools: tuple[CephPool, ...] = ()
    mounts_undeclared_exports: bool = True
    domains: tuple[Domain, ...] = ()

    @property
    def full_guid(self) -> str:
        """The guid with which the agent's Startup names the host: with its resource's name."""
        return f"{self.guid}-{RESOURCE_NAME}"


# -- YAML


class _Record(Schema):
    """A mapping that becomes a frozen record of `record_class`; unknown keys are errors."""

    record_class: type[Any]

    @post_load
    def _make(self, data: dict[str, Any], **_: object) -> object:
        values = {key: tuple(value) if isinstance(value, list) else value for key, value in data.items()}
        return self.record_class(**values)


def _size(**options: Any) -> fields.Integer:
    return fields.Integer(strict=True, validate=validate.Range(min=0), **options)


def _count() -> fields.Integer:
    return fields.Integer(strict=True, validate=validate.Range(min=1))


def _absolute_path(**options: Any) -> fields.String:
    message = "must be an absolute path without '..'"
    return fields.String(validate=validate.Regexp(r"^/(?!.*(^|/)\.\.(/|$)).*$", error=message), **options)


_UUID = validate.Regexp(
    re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z", re.IGNORECASE), error="must be a UUID"
)
_MAC = validate.Regexp(re.compile(r"([0-9a-f]{2}:){5}[0-9a-f]{2}\Z", re.IGNORECASE), error="must be a MAC address")


class _CpuSchema(_Record):
    record_class = Cpu
    sockets, cores, speed_mhz = _count(), _count(), _count()


class _OsSchema(_Record):
    record_class = OperatingSystem
    name, version, kernel = fields.String(), fields.String(), fields.String()


class _ToolsSchema(_Record):
    record_class = Tools
    virt_v2v = fields.String(allow_none=True)
    nbdkit = fields.String(allow_none=True)
    nbdkit_vddk_plugin = fields.String(allow_none=True)
    ovftool = fields.String(allow_none=True)
    openssl = fields.String(allow_none=True)
    virtio_win = fields.Boolean()
    ovmf = fields.Boolean()
    password_options = fields.List(fields.String(validate=validate.OneOf(["-ip", "--password-file"])))


class _VddkLibrarySchema(_Record):
    record_class = VddkLibrary
    path = _absolute_path(required=True)
    files = fields.List(
        fields.String(validate=validate.Regexp(r"^(?!/)(?!.*\.\.)", error="must be a relative path without '..'")),
        required=True,
    )


class _LocalPoolSchema(_Record):
    record_class = LocalPool
    path = _absolute_path(required=True)
    uuid = fields.String(validate=_UUID)
    capacity_bytes, available_bytes = _size(required=True), _size(required=True)


class _NfsExportSchema(_Record):
    record_class = NfsExport
    server = fields.String(required=True)
    path = _absolute_path(required=True)
    capacity_bytes, available_bytes = _size(), _size()
    state = fields.String(validate=validate.OneOf(["exported", "missing", "unreachable"]))


class _CephPoolSchema(_Record):
    record_class = CephPool
    monitor, pool = fields.String(required=True), fields.String(required=True)
    capacity_bytes, available_bytes = _size(required=True), _size(required=True)


class _DomainDiskSchema(_Record):
    record_class = DomainDisk
    path = _absolute_path(required=True)
    capacity_bytes = _size(required=True)
    bus = fields.String()


class _DomainNicSchema(_Record):
    record_class = DomainNic
    mac = fields.String(required=True, validate=_MAC)
    model, bridge = fields.String(), fields.String()
    vlan = fields.Integer(strict=True, validate=validate.Range(min=1, max=4094))


class _DomainSchema(_Record):
    record_class = Domain
    name = fields.String(required=True)
    state = fields.String(validate=validate.OneOf(["running", "paused", "shut off"]))
    cpu_cores, cpu_shares, memory_mb = _count(), _count(), _count()
    boot_type = fields.String(validate=validate.OneOf(["BIOS", "UEFI"]))
    boot_mode = fields.String(validate=validate.OneOf(["LEGACY", "SECURE"]))
    vnc_password = fields.String()
    disks = fields.List(fields.Nested(_DomainDiskSchema))
    nics = fields.List(fields.Nested(_DomainNicSchema))


class _PropertiesField(fields.String):
    """agent.properties text."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> Any:
        text = super()._deserialize(value, attr, data, **kwargs)
        try:
            properties = AgentProperties.from_text(text)
            for name in ("port", "workers", "ping_retries", "backoff_s", "ssl_handshake_timeout_s", "script_timeout_s"):
                getattr(properties, name)
        except PropertiesError as error:
            raise ValidationError(str(error)) from None
        return properties


class _HostSchema(_Record):
    record_class = HostDescription
    name = fields.String(required=True, validate=validate.Regexp(r"^[\w.-]+$", error="must be a host name"))
    guid = fields.String(required=True, validate=_UUID)
    ip = fields.String(required=True)
    mac = fields.String(validate=_MAC)
    netmask, gateway = fields.String(), fields.String()
    agent_version = fields.String()
    arch = fields.String(validate=validate.OneOf(["x86_64", "aarch64", "s390x"]))
    cpu = fields.Nested(_CpuSchema)
    memory_bytes, reserved_memory_bytes = _size(), _size()
    os = fields.Nested(_OsSchema)
    tools = fields.Nested(_ToolsSchema)
    vddk_libraries = fields.List(fields.Nested(_VddkLibrarySchema))
    properties = _PropertiesField()
    local_pools = fields.List(fields.Nested(_LocalPoolSchema))
    domains = fields.List(fields.Nested(_DomainSchema))

    @validates("ip", "gateway", "netmask")
    def _is_address(self, value: str, data_key: str) -> None:
        try:
            ipaddress.ip_address(value)
        except ValueError:
            raise ValidationError(f"expected an IP address, got {value!r}", data_key) from None


class _DocumentSchema(Schema):
    hosts = fields.List(fields.Nested(_HostSchema), required=True, validate=validate.Length(min=1))
    nfs_exports = fields.List(fields.Nested(_NfsExportSchema), load_default=list)
    ceph_pools = fields.List(fields.Nested(_CephPoolSchema), load_default=list)
    undeclared_exports = fields.String(load_default="mount", validate=validate.OneOf(["mount", "refuse"]))

    @pre_load
    def _drop_anchors(self, data: Any, **_: object) -> Any:
        # keys that begin with `x-` hold YAML anchors
        if not isinstance(data, dict):
            raise ValidationError("expected a mapping with the key 'hosts'")
        return {key: value for key, value in data.items() if not str(key).startswith("x-")}


def load_hosts(path: Path) -> list[HostDescription]:
    """The hosts that the YAML file `path` describes.

    Raises HostFileError with file, path in the document and reason.
    """
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise HostFileError(f"{path}: cannot be read: {error}") from None
    try:
        loaded = _DocumentSchema().load(document)
    except ValidationError as error:
        faults = "; ".join(f"{where}: {reason}" for where, reason in _flatten(error.messages))
        raise HostFileError(f"{path}: {faults}") from None
    hosts: list[HostDescription] = []
    for index, host in enumerate(loaded["hosts"]):
        for key in ("name", "guid"):
            if any(getattr(host, key).lower() == getattr(earlier, key).lower() for earlier in hosts):
                raise HostFileError(f"{path}: hosts.{index}.{key}: {getattr(host, key)!r} is there twice")
        hosts.append(
            replace(
                host,
                nfs_exports=tuple(loaded["nfs_exports"]),
                ceph_pools=tuple(loaded["ceph_pools"]),
                mounts_undeclared_exports=loaded["undeclared_exports"] == "mount",
            )
        )
    return hosts


def _flatten(messages: Any, where: str = "") -> list[tuple[str, str]]:
    """Every fault of marshmallow's nested messages with its dotted path."""
    if isinstance(messages, dict):
        found: list[tuple[str, str]] = []
        for key, value in messages.items():
            deeper = where if key == "_schema" else f"{where}.{key}" if where else str(key)
            found.extend(_flatten(value, deeper))
        return found
    return [(where or "document", " ".join(str(message) for message in messages))]


def generated_hosts(
    count: int, *, zone: str = "lab-zone", pod: str = "lab-pod", cluster: str = "lab-kvm", seed: int = 0
) -> list[HostDescription]:
    """`count` like hosts with everything installed; the same `seed` gives the same names and guids."""
    hosts = []
    for index in range(count):
        address = ipaddress.ip_address("198.18.0.1") + index
        local = LocalPool(
            path="/var/lib/libvirt/images/",
            uuid=str(uuid.uuid5(_NAMESPACE, f"{seed}/{index}/pool")),
            capacity_bytes=500 * GIB,
            available_bytes=450 * GIB,
        )
        properties = AgentProperties({"zone": zone, "pod": pod, "cluster": cluster})
        hosts.append(
            HostDescription(
                name=f"sim-{seed}-{index + 1:04d}",
                guid=str(uuid.uuid5(_NAMESPACE, f"{seed}/{index}")),
                ip=str(address),
                mac=f"52:54:{seed & 0xFF:02x}:{index >> 16 & 0xFF:02x}:{index >> 8 & 0xFF:02x}:{index & 0xFF:02x}",
                netmask="255.254.0.0",
                gateway="198.18.0.1",
                tools=Tools(
                    virt_v2v="2.8.1rhel=9,release=12.el9_6",
                    nbdkit="1.38.5",
                    nbdkit_vddk_plugin="1.38.5",
                    ovftool="4.6.3",
                    virtio_win=True,
                    ovmf=True,
                ),
                vddk_libraries=(VddkLibrary("/opt/vmware-vix-disklib-distrib", ("lib64/libvixDiskLib.so.8.0.3",)),),
                properties=properties,
                local_pools=(local,),
            )
        )
    return hosts
