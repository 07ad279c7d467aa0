"""Templates and guest operating systems."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import JSON, ForeignKey, Text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from mgmt.store.models.accounts import Account
from mgmt.store.models.base import Base, Entity


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


class GuestOsMapping(Entity, Base):
    """What a hypervisor calls a guest system."""

    __tablename__ = "guest_os_hypervisor"
    hypervisor_type: Mapped[str] = mapped_column(default="KVM")
    hypervisor_version: Mapped[str] = mapped_column(default="default")
    guest_os_id: Mapped[int] = mapped_column(ForeignKey("guest_os.id"), index=True)
    guest_os_name: Mapped[str]
    is_user_defined: Mapped[bool] = mapped_column(default=False)
    guest_os: Mapped[GuestOs] = relationship()


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
    arch: Mapped[str] = mapped_column(default="x86_64")
    url: Mapped[str | None] = mapped_column(Text)
    checksum: Mapped[str | None]
    template_tag: Mapped[str | None]
    bootable: Mapped[bool] = mapped_column(default=True)
    ssh_key_enabled: Mapped[bool] = mapped_column(default=False)
    dynamically_scalable: Mapped[bool] = mapped_column(default=False)
    direct_download: Mapped[bool] = mapped_column(default=False)
    for_cks: Mapped[bool] = mapped_column(default=False)
    sort_key: Mapped[int] = mapped_column(default=0)
    details: Mapped[dict[str, str]] = mapped_column(JSON, default=dict)
    further_zones: Mapped[list[int]] = mapped_column(JSON, default=list)  # beside zone_id, by their numbers
    download_began: Mapped[datetime | None]  # of an image that is, or was, on its way to the image stores
    download_ends: Mapped[datetime | None]
    state: Mapped[str] = mapped_column(default="Active")
    created: Mapped[datetime]
    removed: Mapped[datetime | None]
    guest_os: Mapped[GuestOs] = relationship()
    account: Mapped[Account] = relationship()

    def is_in(self, zone_id: int) -> bool:
        """Whether a zone has the template."""
        return self.zone_id in (None, zone_id) or zone_id in self.further_zones


class LaunchPermission(Base):
    """An account that may use a private template of another one."""

    __tablename__ = "launch_permission"
    template_id: Mapped[int] = mapped_column(ForeignKey("vm_template.id"), primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("account.id"), primary_key=True)
