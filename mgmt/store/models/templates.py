"""Templates and guest operating systems."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey
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
