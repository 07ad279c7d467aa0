"""What the server did: jobs, tasks, events, alerts, usage."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, ForeignKey, Integer, Text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from mgmt.store.encryption import EncryptedText
from mgmt.store.models.accounts import Account
from mgmt.store.models.base import Base, Entity, Id
from mgmt.store.models.infrastructure import Host, Zone


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
    instance_uuid: Mapped[str | None] = mapped_column(index=True)
    correlation_id: Mapped[str | None]
    created: Mapped[datetime]
    completed: Mapped[datetime | None] = mapped_column(index=True)  # ended jobs are purged by it


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
    archived: Mapped[bool] = mapped_column(default=False)
    sent: Mapped[datetime]


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


class HostCleanup(Base):
    """A clean-up command that waits until its host is Up; a table of this program, upstream has none."""

    __tablename__ = "host_cleanup"
    id: Mapped[int] = mapped_column(Id, primary_key=True, autoincrement=True)
    host_id: Mapped[int] = mapped_column(index=True)
    what: Mapped[str] = mapped_column(Text)
    command: Mapped[str] = mapped_column(Text)  # the content of a request to the agent
    created: Mapped[datetime]


class RootCa(Base):
    """The root CA of the server; upstream keeps it in hidden settings."""

    __tablename__ = "root_ca"
    id: Mapped[int] = mapped_column(Id, primary_key=True, autoincrement=True)
    certificate: Mapped[str] = mapped_column(Text)
    private_key: Mapped[str] = mapped_column(EncryptedText)


class RevokedCertificate(Base):
    __tablename__ = "crl"
    id: Mapped[int] = mapped_column(Id, primary_key=True, autoincrement=True)
    serial: Mapped[str] = mapped_column(unique=True)  # hexadecimal
    cn: Mapped[str]
    revoked: Mapped[datetime]
