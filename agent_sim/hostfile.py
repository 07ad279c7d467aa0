"""Host descriptions as YAML documents.

Every fault in one is reported with the file, the path inside the document and the reason (HostFileError).
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import yaml
from marshmallow import Schema, ValidationError, fields, post_load, pre_load, validate, validates

from agent_sim import describing
from agent_sim.host import (
    CephPool,
    Cpu,
    Domain,
    DomainDisk,
    DomainNic,
    HostDescription,
    HostFileError,
    LocalPool,
    NfsExport,
    OperatingSystem,
    RemoteKvmHost,
    Tools,
    VddkLibrary,
)
from agent_sim.properties import AgentProperties, PropertiesError


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
    transient = fields.Boolean()
    disks = fields.List(fields.Nested(_DomainDiskSchema))
    nics = fields.List(fields.Nested(_DomainNicSchema))


class _RemoteHostSchema(_Record):
    record_class = RemoteKvmHost
    ip = fields.IP(required=True)
    username, password = fields.String(), fields.String()
    libvirt_tcp = fields.Boolean()
    domains = fields.List(fields.Nested(_DomainSchema))

    @post_load
    def _make(self, data: dict[str, Any], **_: object) -> object:
        return super()._make(data | {"ip": str(data["ip"])})


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


class _PackedField(fields.String):
    """The content of a file, packed."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> Any:
        try:
            return describing.unpacked(super()._deserialize(value, attr, data, **kwargs))
        except ValueError as error:
            raise ValidationError(str(error)) from None


def _is_fleet_path(path: str) -> None:
    if not describing.is_inside(path):
        raise ValidationError("must be a path below exports/, hosts/ or remote/")


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
    spare = fields.Boolean()

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
    remote_hosts = fields.List(fields.Nested(_RemoteHostSchema), load_default=list)
    undeclared_exports = fields.String(load_default="mount", validate=validate.OneOf(["mount", "refuse"]))
    files = fields.Dict(
        keys=fields.String(validate=_is_fleet_path), values=_PackedField(), load_default=dict
    )  # of a saved world

    @pre_load
    def _drop_anchors(self, data: Any, **_: object) -> Any:
        # keys that begin with `x-` hold YAML anchors
        if not isinstance(data, dict):
            raise ValidationError("expected a mapping with the key 'hosts'")
        return {key: value for key, value in data.items() if not str(key).startswith("x-")}


_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml's where it is there: five times as fast
_VARIABLE = re.compile(r"\$\{([\w.]+)\}")


@dataclass(frozen=True)
class FleetDescription:
    """A whole document: hosts, and the files that they have from the start, by their paths below the fleet's folder."""

    hosts: Sequence[HostDescription]
    files: Mapping[str, bytes]


def load_hosts(path: Path, variables: Mapping[str, str] | None = None) -> list[HostDescription]:
    """The hosts that the YAML file `path` describes; see `load_fleet`."""
    return list(load_fleet(path, variables).hosts)


def load_fleet(path: Path, variables: Mapping[str, str] | None = None) -> FleetDescription:
    """What the YAML file `path` describes.

    `${name}` in a host's `properties` stands for `variables[name]`, and for nothing where there is no such variable.
    Raises HostFileError with file, path in the document and reason.
    """
    try:
        document = _parsed(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise HostFileError(f"{path}: cannot be read: {error.strerror or error}") from None
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise HostFileError(f"{path}: cannot be read: {error}") from None
    try:
        loaded = _document_schema().load(_with_variables(document, variables or {}))
    except ValidationError as error:
        faults = "; ".join(f"{where}: {reason}" for where, reason in flattened_faults(error.messages))
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
                remote_hosts=tuple(loaded["remote_hosts"]),
                mounts_undeclared_exports=loaded["undeclared_exports"] == "mount",
            )
        )
    return FleetDescription(tuple(hosts), loaded["files"])


@lru_cache(maxsize=8)
def _parsed(text: str) -> Any:
    """The document of a YAML text, which nobody changes: fleets that begin one after the other share it."""
    return yaml.load(text, Loader=_Loader)


@cache
def _document_schema() -> Schema:
    return _DocumentSchema()


def _with_variables(document: Any, variables: Mapping[str, str]) -> Any:
    """`document` with the variables of each host's properties put in; a malformed one is left to the schema."""
    if not isinstance(document, dict) or not isinstance(document.get("hosts"), list):
        return document

    def filled(host: Any) -> Any:
        if not isinstance(host, dict) or not isinstance(host.get("properties"), str):
            return host
        return host | {"properties": _VARIABLE.sub(lambda found: variables.get(found[1], ""), host["properties"])}

    return document | {"hosts": [filled(host) for host in document["hosts"]]}


def flattened_faults(messages: Any, where: str = "") -> list[tuple[str, str]]:
    """Every fault of marshmallow's nested messages with its dotted path."""
    if isinstance(messages, dict):
        found: list[tuple[str, str]] = []
        for key, value in messages.items():
            deeper = where if key == "_schema" else f"{where}.{key}" if where else str(key)
            found.extend(flattened_faults(value, deeper))
        return found
    return [(where or "document", " ".join(str(message) for message in messages))]
