"""The form of a seed document: unknown keys are refused. `mgmt.store.seed_checks` checks what entries say of others."""

from __future__ import annotations

import ipaddress
import re
from datetime import datetime
from typing import Any

from marshmallow import RAISE, Schema, ValidationError, fields, validate

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
ROLE_TYPES = ("Admin", "ResourceAdmin", "DomainAdmin", "User")
ACCOUNT_TYPES = {"user": 0, "root-admin": 1, "domain-admin": 2}
POOL_TYPES = (
    "NetworkFilesystem",
    "Filesystem",
    "SharedMountPoint",
    "RBD",
    "CLVM",
    "PowerFlex",
    "Linstor",
    "PreSetup",
    "VMFS",
    "Iscsi",
)


class Uuid(fields.String):
    """A UUID in lower-case text form."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        text = str(super()._deserialize(value, attr, data, **kwargs))
        if not _UUID.fullmatch(text):
            raise ValidationError(f"expected a UUID in lower case, not {text!r}")
        return text


class Address(fields.String):
    """An IP address."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        text = str(super()._deserialize(value, attr, data, **kwargs))
        try:
            return str(ipaddress.ip_address(text))
        except ValueError:
            raise ValidationError(f"expected an IP address, not {text!r}") from None


class Cidr(fields.String):
    """A network such as `10.1.1.0/24`."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        text = str(super()._deserialize(value, attr, data, **kwargs))
        try:
            return str(ipaddress.ip_network(text))
        except ValueError:
            raise ValidationError(f"expected a network such as 10.1.1.0/24, not {text!r}") from None


class Text(fields.String):
    """Text of 1 to 255 characters."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(validate=validate.Length(min=1, max=255), **kwargs)


class Count(fields.Integer):
    """A whole number, not negative; a text or a decimal is refused."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(strict=True, validate=validate.Range(min=0), **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        if isinstance(value, str | bool):
            raise ValidationError("Not a valid integer.")
        return super()._deserialize(value, attr, data, **kwargs)


class SettingValue(fields.Field[str | None]):
    """A setting's value; YAML's booleans and numbers become the texts that CloudStack keeps."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, int | float | str):
            return str(value)
        raise ValidationError("expected a text, a number or a boolean")


class Moment(fields.Field[datetime]):
    """A time without a zone, in UTC, as text or as YAML has it."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> datetime:
        try:
            found = value if isinstance(value, datetime) else datetime.fromisoformat(value)
        except (TypeError, ValueError):
            raise ValidationError(f"expected a time such as 2026-01-31T12:00:00, not {value!r}") from None
        if found.tzinfo is not None:
            raise ValidationError("expected a time without a zone, in UTC")
        return found


class FileOrContent(fields.Field[Any]):
    """The name of a YAML file, or what would stand in it."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        if isinstance(value, dict) or (isinstance(value, str) and 0 < len(value) <= 255):
            return value
        raise ValidationError("expected the name of a file, or a map with its content")


def _enabled() -> fields.String:
    return fields.String(load_default="Enabled", validate=validate.OneOf(("Enabled", "Disabled")))


def _tags() -> fields.List[str]:
    return fields.List(Text(), load_default=list)


def _rows() -> fields.List[dict[str, Any]]:
    return fields.List(fields.Dict(keys=fields.String(), values=fields.Raw(allow_none=True)))


class Strict(Schema):
    """Base of the parts of a seed: an unknown key is an error."""

    class Meta:
        unknown = RAISE


class Named(Strict):
    uuid = Uuid(required=True)
    name = Text(required=True)


class ManagementServerSeed(Named):
    version = Text(load_default="4.22.1.0")
    service_ip = Address(load_default="127.0.0.1")


class DomainSeed(Named):
    parent = Text(load_default=None)


class RoleSeed(Named):
    type = fields.String(required=True, validate=validate.OneOf(ROLE_TYPES))
    description = Text(load_default=None)


class UserSeed(Strict):
    uuid = Uuid(required=True)
    username = Text(required=True)
    password = Text(load_default=None)  # without one, and without its hash, the user cannot log in
    password_hash = Text(load_default=None)  # in its stead, in a world that was saved
    firstname = Text(required=True)
    lastname = Text(required=True)
    email = fields.String(load_default="")
    timezone = Text(load_default=None)
    api_key = Text(load_default=None)
    secret_key = Text(load_default=None)
    is_default = fields.Boolean(load_default=False)


class AccountSeed(Named):
    type = fields.String(required=True, validate=validate.OneOf(tuple(ACCOUNT_TYPES)))
    role = Text(required=True)
    domain = Text(load_default="ROOT")
    is_default = fields.Boolean(load_default=False)
    limits = fields.Dict(keys=Text(), values=fields.Integer(strict=True), load_default=dict)
    users = fields.List(fields.Nested(UserSeed), load_default=list)


class OsTypeSeed(Named):
    id = fields.Integer(strict=True, load_default=None, validate=validate.Range(min=1))


class OsCategorySeed(Named):
    types = fields.List(fields.Nested(OsTypeSeed), load_default=list)


class TemplateSeed(Named):
    display_text = Text(load_default=None)
    format = Text(load_default="QCOW2")
    type = fields.String(load_default="USER", validate=validate.OneOf(("USER", "SYSTEM", "BUILTIN", "ROUTING")))
    hypervisor = Text(load_default=None)
    os_type = Text(required=True)
    account = Text(required=True)
    zone = Text(load_default=None)
    size_bytes = Count(load_default=None)
    is_public = fields.Boolean(load_default=True)
    is_featured = fields.Boolean(load_default=False)
    is_extractable = fields.Boolean(load_default=False)
    password_enabled = fields.Boolean(load_default=False)


class ZoneSeed(Named):
    networktype = fields.String(load_default="Advanced", validate=validate.OneOf(("Advanced", "Basic")))
    allocation_state = _enabled()
    dns1 = Address(load_default="8.8.8.8")
    dns2 = Address(load_default=None)
    internal_dns1 = Address(load_default="8.8.8.8")
    guest_cidr = Cidr(load_default=None)
    local_storage_enabled = fields.Boolean(load_default=False)
    security_groups_enabled = fields.Boolean(load_default=False)
    zone_token = Uuid(load_default=None)


class PodSeed(Named):
    zone = Text(required=True)
    gateway = Address(required=True)
    netmask = Address(required=True)
    start_ip = Address(required=True)
    end_ip = Address(required=True)
    allocation_state = _enabled()


class ClusterSeed(Named):
    pod = Text(required=True)
    hypervisor = fields.String(load_default="KVM", validate=validate.OneOf(("KVM", "VMware")))
    allocation_state = _enabled()
    arch = fields.String(load_default="x86_64", validate=validate.OneOf(("x86_64", "aarch64")))


class HostSeed(Named):
    guid = Uuid(required=True)
    cluster = Text(required=True)
    private_ip = Address(required=True)
    resource_state = fields.String(load_default="Enabled", validate=validate.OneOf(("Enabled", "Disabled")))
    tags = _tags()


class StoragePoolSeed(Named):
    type = fields.String(required=True, validate=validate.OneOf(POOL_TYPES))
    scope = fields.String(required=True, validate=validate.OneOf(("CLUSTER", "ZONE")))
    zone = Text(load_default=None)
    cluster = Text(load_default=None)
    server = Text(required=True)
    path = Text(required=True)
    port = Count(load_default=0)
    user_info = Text(load_default=None)
    capacity_bytes = Count(load_default=0)
    used_bytes = Count(load_default=0)
    tags = _tags()


class ImageStoreSeed(Named):
    zone = Text(load_default=None)
    url = Text(required=True)
    protocol = Text(load_default="nfs")
    provider = Text(load_default="NFS")
    read_only = fields.Boolean(load_default=False)
    total_bytes = Count(load_default=0)
    used_bytes = Count(load_default=0)


class DiskOfferingSeed(Named):
    display_text = Text(load_default=None)
    disk_size_bytes = Count(load_default=0)
    customized = fields.Boolean(load_default=False)
    tags = _tags()


class ServiceOfferingSeed(Named):
    disk_offering_uuid = Uuid(required=True)
    display_text = Text(load_default=None)
    cpu_number = Count(load_default=None)
    cpu_speed_mhz = Count(load_default=None)
    memory_mb = Count(load_default=None)
    host_tags = _tags()
    storage_tags = _tags()
    details = fields.Dict(keys=Text(), values=Text(), load_default=dict)


class NetworkOfferingSeed(Named):
    display_text = Text(load_default=None)
    guest_type = fields.String(required=True, validate=validate.OneOf(("Isolated", "Shared", "L2")))


class PhysicalNetworkSeed(Named):
    zone = Text(required=True)


class NetworkSeed(Named):
    display_text = Text(load_default=None)
    offering = Text(required=True)
    physical_network = Text(required=True)
    account = Text(required=True)
    state = fields.String(load_default="Implemented", validate=validate.OneOf(("Allocated", "Implemented", "Setup")))
    acl_type = fields.String(load_default="Account", validate=validate.OneOf(("Account", "Domain")))
    vlan = Text(load_default=None)
    cidr = Cidr(load_default=None)
    gateway = Address(load_default=None)
    start_ip = Address(load_default=None)
    end_ip = Address(load_default=None)
    network_domain = Text(load_default=None)


class VmwareDatacenterSeed(Named):
    zone = Text(required=True)
    vcenter = Text(required=True)  # `embedded`: where the server's own vCenter listens
    username = Text(required=True)
    password = Text(required=True)


class SeedSchema(Strict):
    """A whole seed document."""

    agents = FileOrContent(load_default=None)
    vcenter = FileOrContent(load_default=None)
    saved = Moment(load_default=None)
    started = Moment(load_default=None)
    management_server = fields.Nested(ManagementServerSeed, required=True)
    settings = fields.Dict(keys=Text(), values=SettingValue(), load_default=dict)
    domains = fields.List(fields.Nested(DomainSeed), required=True, validate=validate.Length(min=1))
    roles = fields.List(fields.Nested(RoleSeed), required=True, validate=validate.Length(min=1))
    accounts = fields.List(fields.Nested(AccountSeed), required=True, validate=validate.Length(min=1))
    os_categories = fields.List(fields.Nested(OsCategorySeed), load_default=list)
    zones = fields.List(fields.Nested(ZoneSeed), required=True, validate=validate.Length(min=1))
    pods = fields.List(fields.Nested(PodSeed), load_default=list)
    clusters = fields.List(fields.Nested(ClusterSeed), load_default=list)
    hosts = fields.List(fields.Nested(HostSeed), load_default=list)
    storage_pools = fields.List(fields.Nested(StoragePoolSeed), load_default=list)
    image_stores = fields.List(fields.Nested(ImageStoreSeed), load_default=list)
    templates = fields.List(fields.Nested(TemplateSeed), load_default=list)
    disk_offerings = fields.List(fields.Nested(DiskOfferingSeed), load_default=list)
    service_offerings = fields.List(fields.Nested(ServiceOfferingSeed), load_default=list)
    network_offerings = fields.List(fields.Nested(NetworkOfferingSeed), load_default=list)
    physical_networks = fields.List(fields.Nested(PhysicalNetworkSeed), load_default=list)
    networks = fields.List(fields.Nested(NetworkSeed), load_default=list)
    vmware_datacenters = fields.List(fields.Nested(VmwareDatacenterSeed), load_default=list)
    records = fields.Dict(keys=Text(), values=_rows(), load_default=dict)
    gone = fields.Dict(keys=Text(), values=_rows(), load_default=dict)
