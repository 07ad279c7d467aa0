"""What VMs, disks and networks are offered as."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import JSON, ForeignKey
from sqlalchemy.orm import Mapped, mapped_column, relationship

from mgmt.store.models.base import Base, Entity


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


class NetworkOffering(Entity, Base):
    __tablename__ = "network_offerings"
    name: Mapped[str]
    display_text: Mapped[str]
    guest_type: Mapped[str]
    is_default: Mapped[bool] = mapped_column(default=True)
    state: Mapped[str] = mapped_column(default="Enabled")
    availability: Mapped[str | None]  # None: Required for Isolated, else Optional
    # What follows is None where the type of network decides.
    services: Mapped[list[str] | None] = mapped_column(JSON)
    specify_vlan: Mapped[bool | None]
    conserve_mode: Mapped[bool | None]
    specify_ip_ranges: Mapped[bool] = mapped_column(default=False)
    is_persistent: Mapped[bool] = mapped_column(default=False)
    egress_default_policy: Mapped[bool] = mapped_column(default=False)
    network_rate: Mapped[int | None]
    max_connections: Mapped[int | None]
    tags: Mapped[str | None]
    sort_key: Mapped[int] = mapped_column(default=0)
    created: Mapped[datetime | None]
    removed: Mapped[datetime | None]

    @property
    def specifies_vlan(self) -> bool:
        """Whether its networks are made with a chosen VLAN."""
        return self.guest_type != "Isolated" if self.specify_vlan is None else self.specify_vlan

    @property
    def conserves(self) -> bool:
        """Whether one public address may serve several services (conserve mode)."""
        return self.guest_type == "Isolated" if self.conserve_mode is None else self.conserve_mode

    @property
    def shown_availability(self) -> str:
        """Required or Optional."""
        return self.availability or ("Required" if self.guest_type == "Isolated" else "Optional")

    def has_service(self, name: str) -> bool:
        """Whether its networks have a service; an isolated one has all without a choice."""
        return self.guest_type == "Isolated" if self.services is None else name in self.services
