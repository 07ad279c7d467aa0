"""Guest networks, and the public addresses that reach them."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column, relationship

from mgmt.store.models.accounts import Account, Domain
from mgmt.store.models.base import Base, Entity
from mgmt.store.models.infrastructure import Zone
from mgmt.store.models.offerings import NetworkOffering


class PhysicalNetwork(Entity, Base):
    __tablename__ = "physical_network"
    name: Mapped[str]
    zone_id: Mapped[int] = mapped_column(ForeignKey("data_center.id"))
    state: Mapped[str] = mapped_column(default="Enabled")
    vlan: Mapped[str | None]
    isolation_methods: Mapped[str] = mapped_column(default="VLAN")
    broadcast_domain_range: Mapped[str] = mapped_column(default="ZONE")
    speed: Mapped[str | None]
    tags: Mapped[str | None]
    removed: Mapped[datetime | None]


class TrafficType(Entity, Base):
    __tablename__ = "physical_network_traffic_types"
    physical_network_id: Mapped[int] = mapped_column(ForeignKey("physical_network.id"), index=True)
    traffic_type: Mapped[str]
    kvm_label: Mapped[str | None]


class NetworkServiceProvider(Entity, Base):
    __tablename__ = "physical_network_service_providers"
    physical_network_id: Mapped[int] = mapped_column(ForeignKey("physical_network.id"), index=True)
    name: Mapped[str]
    state: Mapped[str]


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
    dns2: Mapped[str | None]
    subdomain_access: Mapped[bool | None]
    display_network: Mapped[bool] = mapped_column(default=True)
    restart_required: Mapped[bool] = mapped_column(default=False)
    public_mtu: Mapped[int | None]
    private_mtu: Mapped[int | None]
    external_id: Mapped[str | None]
    is_system: Mapped[bool] = mapped_column(default=False)
    created: Mapped[datetime]
    removed: Mapped[datetime | None]
    zone: Mapped[Zone] = relationship()
    account: Mapped[Account] = relationship()
    domain: Mapped[Domain] = relationship()
    network_offering: Mapped[NetworkOffering] = relationship()
    physical_network: Mapped[PhysicalNetwork | None] = relationship()


class VlanIpRange(Entity, Base):
    """A range of public addresses of a zone."""

    __tablename__ = "vlan"
    zone_id: Mapped[int] = mapped_column(ForeignKey("data_center.id"), index=True)
    physical_network_id: Mapped[int | None] = mapped_column(ForeignKey("physical_network.id"))
    network_uuid: Mapped[str]  # the zone's network for public traffic, of which nothing else is here
    vlan: Mapped[str]
    gateway: Mapped[str]
    netmask: Mapped[str]
    start_ip: Mapped[str]
    end_ip: Mapped[str]
    for_system_vms: Mapped[bool] = mapped_column(default=False)
    created: Mapped[datetime]
    removed: Mapped[datetime | None]
    zone: Mapped[Zone] = relationship()
    physical_network: Mapped[PhysicalNetwork | None] = relationship()


class PublicIp(Entity, Base):
    """One public address, free or an account's."""

    __tablename__ = "user_ip_address"
    address: Mapped[str]
    range_id: Mapped[int] = mapped_column(ForeignKey("vlan.id"), index=True)
    state: Mapped[str] = mapped_column(default="Free")  # Free, Reserved, Allocated
    account_id: Mapped[int | None] = mapped_column(ForeignKey("account.id"), index=True)
    domain_id: Mapped[int | None] = mapped_column(ForeignKey("domain.id"))
    network_id: Mapped[int | None] = mapped_column(ForeignKey("networks.id"))  # the guest network that it serves
    is_source_nat: Mapped[bool] = mapped_column(default=False)
    display: Mapped[bool] = mapped_column(default=True)
    allocated: Mapped[datetime | None]
    range: Mapped[VlanIpRange] = relationship()
    account: Mapped[Account | None] = relationship()
    domain: Mapped[Domain | None] = relationship()
    network: Mapped[Network | None] = relationship()
