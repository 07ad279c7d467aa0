"""Zones and what stands in them: pods, clusters, hosts, storage, vCenters, management servers."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, Index, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from mgmt.store.encryption import EncryptedText
from mgmt.store.models.base import Base, Entity, Id


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
    host_id: Mapped[int] = mapped_column(ForeignKey("host.id"))
    name: Mapped[str]
    value: Mapped[str] = mapped_column(Text)


class StoragePool(Entity, Base):
    __tablename__ = "storage_pool"
    __table_args__ = (Index(None, "zone_id", "scope"),)  # a host that attaches asks for the few that hosts share
    name: Mapped[str]
    pool_type: Mapped[str]
    scope: Mapped[str]
    zone_id: Mapped[int] = mapped_column(ForeignKey("data_center.id"))
    pod_id: Mapped[int | None] = mapped_column(ForeignKey("host_pod_ref.id"))
    cluster_id: Mapped[int | None] = mapped_column(ForeignKey("cluster.id"))
    host_id: Mapped[int | None] = mapped_column(ForeignKey("host.id"), index=True)
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


class VmwareDatacenter(Entity, Base):
    __tablename__ = "vmware_data_center"
    name: Mapped[str]
    vcenter_host: Mapped[str]  # name or address, with `:port` when it is not 443
    username: Mapped[str]
    password: Mapped[str] = mapped_column(EncryptedText)
    zone_id: Mapped[int] = mapped_column(ForeignKey("data_center.id"), unique=True)
    zone: Mapped[Zone] = relationship()


class ManagementServer(Entity, Base):
    __tablename__ = "mshost"
    msid: Mapped[int] = mapped_column(unique=True)  # the node id in the agent wire's header
    name: Mapped[str]
    version: Mapped[str]
    service_ip: Mapped[str]
