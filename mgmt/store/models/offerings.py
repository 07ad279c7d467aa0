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
    removed: Mapped[datetime | None]
