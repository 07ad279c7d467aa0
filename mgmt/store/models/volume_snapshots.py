"""Snapshots of volumes."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column, relationship

from mgmt.store.models.accounts import Account, Domain
from mgmt.store.models.base import Base, Entity
from mgmt.store.models.infrastructure import ImageStore, Zone
from mgmt.store.models.machines import Volume


class Snapshot(Entity, Base):
    """A snapshot that a user asked for; its backup on an image store is a record only."""

    __tablename__ = "snapshots"
    name: Mapped[str]
    state: Mapped[str] = mapped_column(default="Allocated")  # Allocated, BackedUp, Error, Destroyed
    volume_id: Mapped[int] = mapped_column(ForeignKey("volumes.id"), index=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("account.id"), index=True)
    domain_id: Mapped[int] = mapped_column(ForeignKey("domain.id"))
    zone_id: Mapped[int] = mapped_column(ForeignKey("data_center.id"))
    image_store_id: Mapped[int | None] = mapped_column(ForeignKey("image_store.id"))
    size_bytes: Mapped[int]  # of the volume then
    created: Mapped[datetime]
    removed: Mapped[datetime | None]
    volume: Mapped[Volume] = relationship()
    account: Mapped[Account] = relationship()
    domain: Mapped[Domain] = relationship()
    zone: Mapped[Zone] = relationship()
    image_store: Mapped[ImageStore | None] = relationship()
