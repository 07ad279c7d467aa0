"""VMs with their details, volumes and NICs."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Column, ForeignKey, Index, Integer, Table, Text, collate
from sqlalchemy.orm import Mapped, mapped_column, relationship

from mgmt.store.models.accounts import Account, Domain, User
from mgmt.store.models.base import Base, Entity, Id
from mgmt.store.models.infrastructure import Host, StoragePool, Zone
from mgmt.store.models.networks import Network
from mgmt.store.models.offerings import DiskOffering, ServiceOffering
from mgmt.store.models.resources import AffinityGroup, InstanceGroup
from mgmt.store.models.templates import GuestOs, Template

affinity_group_vms = Table(
    "affinity_group_vm_map",
    Base.metadata,
    Column("vm_id", ForeignKey("vm_instance.id"), primary_key=True),
    Column("affinity_group_id", ForeignKey("affinity_group.id"), primary_key=True),
)


class VmInstance(Entity, Base):
    __tablename__ = "vm_instance"
    __table_args__ = {"sqlite_autoincrement": True}  # noqa: RUF012 - a number is in instance names: never used twice
    name: Mapped[str] = mapped_column(index=True)  # the guest's host name; the API's `name`
    display_name: Mapped[str | None]
    instance_name: Mapped[str] = mapped_column(index=True)  # how hosts name it in their reports
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
    host_id: Mapped[int | None] = mapped_column(ForeignKey("host.id"), index=True)
    last_host_id: Mapped[int | None] = mapped_column(ForeignKey("host.id"))
    template_id: Mapped[int | None] = mapped_column(ForeignKey("vm_template.id"))
    iso_id: Mapped[int | None] = mapped_column(ForeignKey("vm_template.id"))  # the ISO in its drive
    guest_os_id: Mapped[int] = mapped_column(ForeignKey("guest_os.id"))
    service_offering_id: Mapped[int] = mapped_column(ForeignKey("service_offering.id"))
    cpu_number: Mapped[int]
    cpu_speed_mhz: Mapped[int] = mapped_column(default=0)
    memory_mb: Mapped[int]
    display_vm: Mapped[bool] = mapped_column(default=True)
    ha_enabled: Mapped[bool | None]  # None: what the compute offering says
    delete_protection: Mapped[bool] = mapped_column(default=False)
    vnc_password: Mapped[str | None]
    group_id: Mapped[int | None] = mapped_column(ForeignKey("instance_group.id"), index=True)
    user_data: Mapped[str | None] = mapped_column(Text)  # in Base64
    user_data_id: Mapped[int | None] = mapped_column(ForeignKey("user_data.id"))
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
    template: Mapped[Template | None] = relationship(foreign_keys=[template_id])
    iso: Mapped[Template | None] = relationship(foreign_keys=[iso_id])
    guest_os: Mapped[GuestOs] = relationship()
    service_offering: Mapped[ServiceOffering] = relationship()
    group: Mapped[InstanceGroup | None] = relationship()
    affinity_groups: Mapped[list[AffinityGroup]] = relationship(
        secondary=affinity_group_vms, order_by="AffinityGroup.id"
    )


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
    network_id: Mapped[int] = mapped_column(ForeignKey("networks.id"))
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
    secondary_ips: Mapped[list[NicSecondaryIp]] = relationship(
        order_by="NicSecondaryIp.id", cascade="all, delete-orphan"
    )


class NicSecondaryIp(Entity, Base):
    __tablename__ = "nic_secondary_ips"
    nic_id: Mapped[int] = mapped_column(ForeignKey("nics.id"), index=True)
    network_id: Mapped[int] = mapped_column(ForeignKey("networks.id"), index=True)
    ip4_address: Mapped[str]
    created: Mapped[datetime]
    nic: Mapped[Nic] = relationship(back_populates="secondary_ips")


# "What do the VMs of these hosts hold?": answered from the index alone.
Index(
    "ix_vm_instance_host_held",
    VmInstance.host_id,
    VmInstance.state,
    VmInstance.removed,
    VmInstance.cpu_number,
    VmInstance.cpu_speed_mhz,
    VmInstance.memory_mb,
)

# "Is there a NIC of this VM, or with this MAC address (in any case), in that network?"
Index("ix_nics_network_vm", Nic.network_id, Nic.vm_id)
Index("ix_nics_network_mac", Nic.network_id, collate(Nic.mac_address, "NOCASE")).ddl_if(dialect="sqlite")
