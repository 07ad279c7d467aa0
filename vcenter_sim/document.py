"""Inventory files: YAML checked by marshmallow into plain records, with file, place and reason in every error."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml
from marshmallow import RAISE, Schema, ValidationError, fields, post_load, validate, validates_schema

from vcenter_sim.entries import (
    CdromEntry,
    ClusterEntry,
    DatacenterEntry,
    DatastoreEntry,
    DiskEntry,
    Document,
    ExportFaults,
    HostEntry,
    NetworkEntry,
    NicEntry,
    VmEntry,
)
from vcenter_sim.references import problems_of


class InventoryError(ValueError):
    """An inventory file that cannot be used: `FILE: PLACE: REASON`, one line for each thing that is wrong."""

    def __init__(self, file: Path, problems: list[tuple[str, str]]) -> None:
        self.file = file
        self.problems = problems
        super().__init__("\n".join(f"{file}: {place}: {reason}" for place, reason in problems))


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
    problems = list(problems_of(document))
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
