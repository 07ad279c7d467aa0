"""Settings that differ from their defaults."""

from __future__ import annotations

from sqlalchemy import String, Text
from sqlalchemy.orm import Mapped, mapped_column

from mgmt.store.models.base import Base


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
