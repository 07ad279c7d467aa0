"""The tables.

Names follow CloudStack's schema where it has a counterpart (`host_details`, `vm_instance`, `import_vm_task`, ...).
Every entity has an internal number `id` and a public `uuid`; the API shows UUIDs only. Times are naive UTC.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, Boolean, DateTime, ForeignKey, Integer, String, Text, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from mgmt.store.encryption import EncryptedText

SCHEMA_VERSION = 2

Id = BigInteger().with_variant(Integer, "sqlite")


class Base(DeclarativeBase):
    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy's own declaration form
        str: String(255),
        int: BigInteger,
        bool: Boolean,
        datetime: DateTime,
    }


class Entity:
    """What every addressable row has."""

    id: Mapped[int] = mapped_column(Id, primary_key=True, autoincrement=True)
    uuid: Mapped[str] = mapped_column(String(40), unique=True, index=True)


class SchemaVersion(Base):
    __tablename__ = "schema_version"
    version: Mapped[int] = mapped_column(Integer, primary_key=True)


class Zone(Entity, Base):
    __tablename__ = "data_center"
    name: Mapped[str]
    networktype: Mapped[str] = mapped_column(default="Advanced")
    allocation_state: Mapped[str] = mapped_column(default="Enabled")
    dns1: Mapped[str] = mapped_column(default="8.8.8.8")
    dns2: Mapped[str | None]
    internal_dns1: Mapped[str] = mapped_column(default="8.8.8.8")
    guest_cidr: Mapped[str | None]
    local_storage_enabled: Mapped[bool] = mapped_column(default=False)
    security_groups_enabled: Mapped[bool] = mapped_column(default=False)
    zone_token: Mapped[str | None]
    removed: Mapped[datetime | None]


class Pod(Entity, Base):
    __tablename__ = "host_pod_ref"
    name: Mapped[str]
    zone_id: Mapped[int] = mapped_column(ForeignKey("data_center.id"), index=True)
    gateway: Mapped[str]
    netmask: Mapped[str]
    start_ip: Mapped[str]
    end_ip: Mapped[str]
    allocation_state: Mapped[str] = mapped_column(default="Enabled")
    removed: Mapped[datetime | None]
    zone: Mapped[Zone] = relationship()


class Cluster(Entity, Base):
    __tablename__ = "cluster"
    name: Mapped[str]
    zone_id: Mapped[int] = mapped_column(ForeignKey("data_center.id"), index=True)
    pod_id: Mapped[int] = mapped_column(ForeignKey("host_pod_ref.id"), index=True)
    hypervisor_type: Mapped[str] = mapped_column(default="KVM")
    cluster_type: Mapped[str] = mapped_column(default="CloudManaged")
    allocation_state: Mapped[str] = mapped_column(default="Enabled")
    managed_state: Mapped[str] = mapped_column(default="Managed")
    arch: Mapped[str] = mapped_column(default="x86_64")
    cpu_overcommit_ratio: Mapped[str] = mapped_column(default="1.0")
    memory_overcommit_ratio: Mapped[str] = mapped_column(default="1.0")
    removed: Mapped[datetime | None]
    zone: Mapped[Zone] = relationship()
    pod: Mapped[Pod] = relationship()


class Host(Entity, Base):
    __tablename__ = "host"
    name: Mapped[str]
    guid: Mapped[str | None] = mapped_column(unique=True, index=True)
    type: Mapped[str] = mapped_column(default="Routing")
    status: Mapped[str] = mapped_column(default="Disconnected")
    resource_state: Mapped[str] = mapped_column(default="Enabled")
    hypervisor_type: Mapped[str] = mapped_column(default="KVM")
    hypervisor_version: Mapped[str | None]
    version: Mapped[str | None]
    arch: Mapped[str] = mapped_column(default="x86_64")
    zone_id: Mapped[int] = mapped_column(ForeignKey("data_center.id"), index=True)
    pod_id: Mapped[int | None] = mapped_column(ForeignKey("host_pod_ref.id"))
    cluster_id: Mapped[int | None] = mapped_column(ForeignKey("cluster.id"), index=True)
    private_ip_address: Mapped[str | None]
    private_mac_address: Mapped[str | None]
    private_netmask: Mapped[str | None]
    cpu_sockets: Mapped[int | None]
    cpus: Mapped[int] = mapped_column(default=0)
    speed_mhz: Mapped[int] = mapped_column(default=0)
    ram_bytes: Mapped[int] = mapped_column(default=0)
    dom0_min_memory_bytes: Mapped[int] = mapped_column(default=0)
    capabilities: Mapped[str | None]
    annotation: Mapped[str | None] = mapped_column(Text)
    last_annotated: Mapped[datetime | None]
    annotated_by: Mapped[str | None]
    os_category_id: Mapped[int | None] = mapped_column(ForeignKey("guest_os_category.id"))
    host_tags: Mapped[str | None]
    is_tag_a_rule: Mapped[bool] = mapped_column(default=False)
    last_ping: Mapped[datetime | None]
    disconnected: Mapped[datetime | None]
    created: Mapped[datetime]
    removed: Mapped[datetime | None]
    management_server_id: Mapped[int | None]
    zone: Mapped[Zone] = relationship()
    pod: Mapped[Pod | None] = relationship()
    cluster: Mapped[Cluster | None] = relationship()
    details: Mapped[list[HostDetail]] = relationship(cascade="all, delete-orphan")


class HostDetail(Base):
    __tablename__ = "host_details"
    __table_args__ = (UniqueConstraint("host_id", "name"),)
    id: Mapped[int] = mapped_column(Id, primary_key=True, autoincrement=True)
    host_id: Mapped[int] = mapped_column(ForeignKey("host.id"), index=True)
    name: Mapped[str]
    value: Mapped[str] = mapped_column(Text)


class StoragePool(Entity, Base):
    __tablename__ = "storage_pool"
    name: Mapped[str]
    pool_type: Mapped[str]
    scope: Mapped[str]
    zone_id: Mapped[int] = mapped_column(ForeignKey("data_center.id"), index=True)
    pod_id: Mapped[int | None] = mapped_column(ForeignKey("host_pod_ref.id"))
    cluster_id: Mapped[int | None] = mapped_column(ForeignKey("cluster.id"))
    host_id: Mapped[int | None] = mapped_column(ForeignKey("host.id"))
    hypervisor: Mapped[str | None]
    host_address: Mapped[str]
    path: Mapped[str]
    port: Mapped[int] = mapped_column(default=0)
    user_info: Mapped[str | None]
    status: Mapped[str] = mapped_column(default="Up")
    capacity_bytes: Mapped[int] = mapped_column(default=0)
    used_bytes: Mapped[int] = mapped_column(default=0)
    tags: Mapped[str | None]
    is_tag_a_rule: Mapped[bool] = mapped_column(default=False)
    provider: Mapped[str] = mapped_column(default="DefaultPrimary")
    managed: Mapped[bool] = mapped_column(default=False)
    created: Mapped[datetime]
    removed: Mapped[datetime | None]
    zone: Mapped[Zone] = relationship()
    pod: Mapped[Pod | None] = relationship()
    cluster: Mapped[Cluster | None] = relationship()


class ImageStore(Entity, Base):
    __tablename__ = "image_store"
    name: Mapped[str]
    zone_id: Mapped[int | None] = mapped_column(ForeignKey("data_center.id"))
    url: Mapped[str]
    protocol: Mapped[str] = mapped_column(default="nfs")
    provider: Mapped[str] = mapped_column(default="NFS")
    scope: Mapped[str] = mapped_column(default="ZONE")
    read_only: Mapped[bool] = mapped_column(default=False)
    total_bytes: Mapped[int] = mapped_column(default=0)
    used_bytes: Mapped[int] = mapped_column(default=0)
    removed: Mapped[datetime | None]
    zone: Mapped[Zone | None] = relationship()


class DiskOffering(Entity, Base):
    __tablename__ = "disk_offering"
    name: Mapped[str]
    display_text: Mapped[str]
    compute_only: Mapped[bool] = mapped_column(default=False)  # belongs to a service offering, hidden from lists
    disk_size_bytes: Mapped[int] = mapped_column(default=0)
    customized: Mapped[bool] = mapped_column(default=False)
    tags: Mapped[str | None]
    use_local_storage: Mapped[bool] = mapped_column(default=False)
    provisioning_type: Mapped[str] = mapped_column(default="thin")
    display_offering: Mapped[bool] = mapped_column(default=True)
    state: Mapped[str] = mapped_column(default="Active")
    created: Mapped[datetime]
    removed: Mapped[datetime | None]


class ServiceOffering(Entity, Base):
    __tablename__ = "service_offering"
    name: Mapped[str]
    display_text: Mapped[str]
    disk_offering_id: Mapped[int | None] = mapped_column(ForeignKey("disk_offering.id"))
    cpu_number: Mapped[int | None]  # None in a custom offering
    cpu_speed_mhz: Mapped[int | None]
    memory_mb: Mapped[int | None]
    host_tag: Mapped[str | None]
    offer_ha: Mapped[bool] = mapped_column(default=False)
    limit_cpu_use: Mapped[bool] = mapped_column(default=False)
    dynamic_scaling_enabled: Mapped[bool] = mapped_column(default=True)
    details: Mapped[dict[str, str]] = mapped_column(JSON, default=dict)  # mincpunumber, maxcpunumber, minmemory, ...
    state: Mapped[str] = mapped_column(default="Active")
    created: Mapped[datetime]
    removed: Mapped[datetime | None]
    disk_offering: Mapped[DiskOffering | None] = relationship()

    @property
    def is_dynamic(self) -> bool:
        """True for a custom offering: CPU number, speed or memory is left to the request."""
        return self.cpu_number is None or self.cpu_speed_mhz is None or self.memory_mb is None


class Domain(Entity, Base):
    __tablename__ = "domain"
    name: Mapped[str]
    path: Mapped[str]
    level: Mapped[int] = mapped_column(default=0)
    parent_id: Mapped[int | None] = mapped_column(ForeignKey("domain.id"))
    state: Mapped[str] = mapped_column(default="Active")
    removed: Mapped[datetime | None]


class Role(Entity, Base):
    __tablename__ = "roles"
    name: Mapped[str]
    role_type: Mapped[str]  # Admin, ResourceAdmin, DomainAdmin, User
    description: Mapped[str | None]
    is_default: Mapped[bool] = mapped_column(default=True)


class Account(Entity, Base):
    __tablename__ = "account"
    name: Mapped[str]
    type: Mapped[int] = mapped_column(Integer, default=0)  # 0 user, 1 root admin, 2 domain admin, 5 project
    role_id: Mapped[int] = mapped_column(ForeignKey("roles.id"))
    domain_id: Mapped[int] = mapped_column(ForeignKey("domain.id"))
    state: Mapped[str] = mapped_column(default="enabled")
    is_default: Mapped[bool] = mapped_column(default=False)
    limits: Mapped[dict[str, int]] = mapped_column(
        JSON, default=dict
    )  # user_vm, cpu, memory, volume, primary_storage; -1 none
    created: Mapped[datetime]
    removed: Mapped[datetime | None]
    domain: Mapped[Domain] = relationship()
    role: Mapped[Role] = relationship()


class User(Entity, Base):
    __tablename__ = "user"
    username: Mapped[str] = mapped_column(index=True)
    password_hash: Mapped[str]
    account_id: Mapped[int] = mapped_column(ForeignKey("account.id"))
    firstname: Mapped[str] = mapped_column(default="")
    lastname: Mapped[str] = mapped_column(default="")
    email: Mapped[str] = mapped_column(default="")
    timezone: Mapped[str | None]
    state: Mapped[str] = mapped_column(default="enabled")
    api_key: Mapped[str | None] = mapped_column(unique=True, index=True)
    secret_key: Mapped[str | None]
    is_default: Mapped[bool] = mapped_column(default=False)
    created: Mapped[datetime]
    removed: Mapped[datetime | None]
    account: Mapped[Account] = relationship()


class Configuration(Base):
    """A global setting's value where it differs from the default of the catalogue in `mgmt.inventory.settings`."""

    __tablename__ = "configuration"
    name: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[str | None] = mapped_column(Text)


class ScopedConfiguration(Base):
    """A setting's own value in a zone, cluster, pool, domain or account, where it differs from the global one."""

    __tablename__ = "scoped_configuration"
    scope: Mapped[str] = mapped_column(String(32), primary_key=True)  # Zone, Cluster, StoragePool, ...
    scope_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    name: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[str | None] = mapped_column(Text)


class NetworkOffering(Entity, Base):
    __tablename__ = "network_offerings"
    name: Mapped[str]
    display_text: Mapped[str]
    guest_type: Mapped[str]
    removed: Mapped[datetime | None]


class PhysicalNetwork(Entity, Base):
    __tablename__ = "physical_network"
    name: Mapped[str]
    zone_id: Mapped[int] = mapped_column(ForeignKey("data_center.id"))


class Network(Entity, Base):
    __tablename__ = "networks"
    name: Mapped[str]
    display_text: Mapped[str]
    guest_type: Mapped[str]  # Isolated, Shared, L2
    traffic_type: Mapped[str] = mapped_column(default="Guest")
    state: Mapped[str] = mapped_column(default="Implemented")
    zone_id: Mapped[int] = mapped_column(ForeignKey("data_center.id"), index=True)
    physical_network_id: Mapped[int | None] = mapped_column(ForeignKey("physical_network.id"))
    network_offering_id: Mapped[int] = mapped_column(ForeignKey("network_offerings.id"))
    domain_id: Mapped[int] = mapped_column(ForeignKey("domain.id"))
    account_id: Mapped[int] = mapped_column(ForeignKey("account.id"))
    acl_type: Mapped[str] = mapped_column(default="Account")  # Account or Domain
    vlan: Mapped[str | None]
    gateway: Mapped[str | None]
    netmask: Mapped[str | None]
    cidr: Mapped[str | None]
    start_ip: Mapped[str | None]
    end_ip: Mapped[str | None]
    network_domain: Mapped[str | None]
    dns1: Mapped[str | None]
    is_system: Mapped[bool] = mapped_column(default=False)
    created: Mapped[datetime]
    removed: Mapped[datetime | None]
    zone: Mapped[Zone] = relationship()
    account: Mapped[Account] = relationship()
    domain: Mapped[Domain] = relationship()
    network_offering: Mapped[NetworkOffering] = relationship()
    physical_network: Mapped[PhysicalNetwork | None] = relationship()


class GuestOsCategory(Entity, Base):
    __tablename__ = "guest_os_category"
    name: Mapped[str]


class GuestOs(Entity, Base):
    __tablename__ = "guest_os"
    display_name: Mapped[str]
    category_id: Mapped[int] = mapped_column(ForeignKey("guest_os_category.id"))
    is_user_defined: Mapped[bool] = mapped_column(default=False)
    display: Mapped[bool] = mapped_column(default=True)
    category: Mapped[GuestOsCategory] = relationship()


class Template(Entity, Base):
    __tablename__ = "vm_template"
    name: Mapped[str]
    display_text: Mapped[str]
    format: Mapped[str] = mapped_column(default="QCOW2")
    template_type: Mapped[str] = mapped_column(default="USER")  # USER, SYSTEM, BUILTIN, ROUTING
    hypervisor_type: Mapped[str | None]
    guest_os_id: Mapped[int] = mapped_column(ForeignKey("guest_os.id"))
    account_id: Mapped[int] = mapped_column(ForeignKey("account.id"))
    zone_id: Mapped[int | None] = mapped_column(ForeignKey("data_center.id"))  # None: every zone
    size_bytes: Mapped[int | None]
    is_public: Mapped[bool] = mapped_column(default=True)
    is_featured: Mapped[bool] = mapped_column(default=False)
    is_ready: Mapped[bool] = mapped_column(default=True)
    is_extractable: Mapped[bool] = mapped_column(default=False)
    password_enabled: Mapped[bool] = mapped_column(default=False)
    requires_hvm: Mapped[bool] = mapped_column(default=True)
    bits: Mapped[int] = mapped_column(default=64)
    state: Mapped[str] = mapped_column(default="Active")
    created: Mapped[datetime]
    removed: Mapped[datetime | None]
    guest_os: Mapped[GuestOs] = relationship()
    account: Mapped[Account] = relationship()


class VmInstance(Entity, Base):
    __tablename__ = "vm_instance"
    __table_args__ = {"sqlite_autoincrement": True}  # noqa: RUF012 - a number is in instance names: never used twice
    name: Mapped[str]  # the guest's host name; the API's `name`
    display_name: Mapped[str | None]
    instance_name: Mapped[str]
    state: Mapped[str] = mapped_column(default="Stopped")
    power_state: Mapped[str] = mapped_column(default="PowerOff")
    power_host_id: Mapped[int | None]  # the host whose report `power_state` is
    power_state_updated: Mapped[datetime | None]
    power_state_count: Mapped[int] = mapped_column(Integer, default=0)  # reports in a row that said the same
    hypervisor_type: Mapped[str] = mapped_column(default="KVM")
    account_id: Mapped[int] = mapped_column(ForeignKey("account.id"), index=True)
    domain_id: Mapped[int] = mapped_column(ForeignKey("domain.id"))
    user_id: Mapped[int] = mapped_column(ForeignKey("user.id"))
    zone_id: Mapped[int] = mapped_column(ForeignKey("data_center.id"), index=True)
    host_id: Mapped[int | None] = mapped_column(ForeignKey("host.id"))
    last_host_id: Mapped[int | None] = mapped_column(ForeignKey("host.id"))
    template_id: Mapped[int | None] = mapped_column(ForeignKey("vm_template.id"))
    guest_os_id: Mapped[int] = mapped_column(ForeignKey("guest_os.id"))
    service_offering_id: Mapped[int] = mapped_column(ForeignKey("service_offering.id"))
    cpu_number: Mapped[int]
    cpu_speed_mhz: Mapped[int] = mapped_column(default=0)
    memory_mb: Mapped[int]
    display_vm: Mapped[bool] = mapped_column(default=True)
    ha_enabled: Mapped[bool | None]  # None: what the compute offering says
    delete_protection: Mapped[bool] = mapped_column(default=False)
    vnc_password: Mapped[str | None]
    created: Mapped[datetime]
    updated: Mapped[datetime | None]
    removed: Mapped[datetime | None]
    details: Mapped[list[VmDetail]] = relationship(cascade="all, delete-orphan")
    nics: Mapped[list[Nic]] = relationship(order_by="Nic.device_id", cascade="all, delete-orphan")
    volumes: Mapped[list[Volume]] = relationship(order_by="Volume.device_id", cascade="all, delete-orphan")
    account: Mapped[Account] = relationship()
    domain: Mapped[Domain] = relationship()
    user: Mapped[User] = relationship()
    zone: Mapped[Zone] = relationship()
    host: Mapped[Host | None] = relationship(foreign_keys=[host_id])
    template: Mapped[Template | None] = relationship()
    guest_os: Mapped[GuestOs] = relationship()
    service_offering: Mapped[ServiceOffering] = relationship()


class VmDetail(Base):
    __tablename__ = "user_vm_details"
    id: Mapped[int] = mapped_column(Id, primary_key=True, autoincrement=True)
    vm_id: Mapped[int] = mapped_column(ForeignKey("vm_instance.id"), index=True)
    name: Mapped[str]
    value: Mapped[str] = mapped_column(Text)
    display: Mapped[bool] = mapped_column(default=True)


class Volume(Entity, Base):
    __tablename__ = "volumes"
    name: Mapped[str]
    volume_type: Mapped[str]  # ROOT, DATADISK
    state: Mapped[str] = mapped_column(default="Ready")
    account_id: Mapped[int] = mapped_column(ForeignKey("account.id"), index=True)
    domain_id: Mapped[int] = mapped_column(ForeignKey("domain.id"))
    zone_id: Mapped[int] = mapped_column(ForeignKey("data_center.id"))
    pool_id: Mapped[int | None] = mapped_column(ForeignKey("storage_pool.id"), index=True)
    vm_id: Mapped[int | None] = mapped_column(ForeignKey("vm_instance.id"), index=True)
    disk_offering_id: Mapped[int | None] = mapped_column(ForeignKey("disk_offering.id"))
    template_id: Mapped[int | None] = mapped_column(ForeignKey("vm_template.id"))
    device_id: Mapped[int | None]
    size_bytes: Mapped[int]
    path: Mapped[str | None]
    format: Mapped[str] = mapped_column(default="QCOW2")
    provisioning_type: Mapped[str] = mapped_column(default="thin")
    min_iops: Mapped[int | None]
    max_iops: Mapped[int | None]
    chain_info: Mapped[str | None] = mapped_column(Text)
    created: Mapped[datetime]
    attached: Mapped[datetime | None]
    removed: Mapped[datetime | None]
    pool: Mapped[StoragePool | None] = relationship()
    disk_offering: Mapped[DiskOffering | None] = relationship()
    account: Mapped[Account] = relationship()
    domain: Mapped[Domain] = relationship()
    zone: Mapped[Zone] = relationship()
    vm: Mapped[VmInstance | None] = relationship(back_populates="volumes")


class Nic(Entity, Base):
    __tablename__ = "nics"
    vm_id: Mapped[int] = mapped_column(ForeignKey("vm_instance.id"), index=True)
    network_id: Mapped[int] = mapped_column(ForeignKey("networks.id"), index=True)
    device_id: Mapped[int]
    mac_address: Mapped[str]
    is_default: Mapped[bool] = mapped_column(default=False)
    ip4_address: Mapped[str | None]
    netmask: Mapped[str | None]
    gateway: Mapped[str | None]
    broadcast_uri: Mapped[str | None]
    isolation_uri: Mapped[str | None]
    state: Mapped[str] = mapped_column(default="Reserved")
    strategy: Mapped[str] = mapped_column(default="Start")
    reservation_id: Mapped[str | None]
    created: Mapped[datetime]
    removed: Mapped[datetime | None]
    network: Mapped[Network] = relationship()


class VmwareDatacenter(Entity, Base):
    __tablename__ = "vmware_data_center"
    name: Mapped[str]
    vcenter_host: Mapped[str]  # name or address, with `:port` when it is not 443
    username: Mapped[str]
    password: Mapped[str] = mapped_column(EncryptedText)
    zone_id: Mapped[int] = mapped_column(ForeignKey("data_center.id"), unique=True)
    zone: Mapped[Zone] = relationship()


class AsyncJob(Entity, Base):
    __tablename__ = "async_job"
    command: Mapped[str]  # API name, such as importVm
    command_class: Mapped[str]  # full Java class name, the API's `cmd`
    user_id: Mapped[int]
    account_id: Mapped[int]
    status: Mapped[int] = mapped_column(Integer, default=0)  # 0 in progress, 1 succeeded, 2 failed
    result_code: Mapped[int] = mapped_column(Integer, default=0)
    result: Mapped[Any | None] = mapped_column(JSON(none_as_null=True))
    instance_type: Mapped[str | None]
    instance_uuid: Mapped[str | None]
    correlation_id: Mapped[str | None]
    created: Mapped[datetime]
    completed: Mapped[datetime | None]


class Event(Entity, Base):
    __tablename__ = "event"
    type: Mapped[str]
    state: Mapped[str] = mapped_column(default="Completed")
    level: Mapped[str] = mapped_column(default="INFO")
    description: Mapped[str] = mapped_column(Text)
    user_id: Mapped[int]
    account_id: Mapped[int] = mapped_column(index=True)
    domain_id: Mapped[int]
    resource_type: Mapped[str | None]
    resource_uuid: Mapped[str | None]
    resource_name: Mapped[str | None]
    start_id: Mapped[int | None]  # internal id of the Scheduled event that this one belongs to
    archived: Mapped[bool] = mapped_column(default=False)
    created: Mapped[datetime]


class Alert(Entity, Base):
    __tablename__ = "alert"
    type: Mapped[int] = mapped_column(Integer)
    name: Mapped[str]
    description: Mapped[str] = mapped_column(Text)
    zone_id: Mapped[int | None]
    sent: Mapped[datetime]


class ImportVmTask(Entity, Base):
    __tablename__ = "import_vm_task"
    zone_id: Mapped[int] = mapped_column(ForeignKey("data_center.id"), index=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("account.id"))
    user_id: Mapped[int]
    display_name: Mapped[str | None]
    vcenter: Mapped[str | None]
    datacenter: Mapped[str | None]
    source_vm_name: Mapped[str | None]
    convert_host_id: Mapped[int | None] = mapped_column(ForeignKey("host.id"))
    import_host_id: Mapped[int | None] = mapped_column(ForeignKey("host.id"))
    step: Mapped[str] = mapped_column(default="Prepare")
    state: Mapped[str] = mapped_column(default="Running")
    description: Mapped[str | None] = mapped_column(Text)
    vm_id: Mapped[int | None]
    duration_ms: Mapped[int | None]
    created: Mapped[datetime]
    updated: Mapped[datetime]
    zone: Mapped[Zone] = relationship()
    account: Mapped[Account] = relationship()
    convert_host: Mapped[Host | None] = relationship(foreign_keys=[convert_host_id])
    import_host: Mapped[Host | None] = relationship(foreign_keys=[import_host_id])


class UsageEvent(Base):
    __tablename__ = "usage_event"
    id: Mapped[int] = mapped_column(Id, primary_key=True, autoincrement=True)
    type: Mapped[str]
    account_id: Mapped[int] = mapped_column(index=True)
    zone_id: Mapped[int]
    resource_id: Mapped[int]
    resource_name: Mapped[str | None]
    offering_id: Mapped[int | None]
    template_id: Mapped[int | None]
    size_bytes: Mapped[int | None]
    details: Mapped[dict[str, str]] = mapped_column(JSON, default=dict)
    created: Mapped[datetime]


class ResourceReservation(Base):
    """What work under way has claimed of the limits of an account, before its records exist (upstream name)."""

    __tablename__ = "resource_reservation"
    id: Mapped[int] = mapped_column(Id, primary_key=True, autoincrement=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("account.id"), index=True)
    domain_id: Mapped[int] = mapped_column(ForeignKey("domain.id"))
    resource_type: Mapped[str]
    amount: Mapped[int]


class ManagementServer(Entity, Base):
    __tablename__ = "mshost"
    msid: Mapped[int] = mapped_column(unique=True)  # the node id in the agent wire's header
    name: Mapped[str]
    version: Mapped[str]
    service_ip: Mapped[str]
