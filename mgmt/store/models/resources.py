"""What hangs on resources or belongs to accounts beside machines: tags, details, key pairs, security groups."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from mgmt.store.models.accounts import Account, Domain
from mgmt.store.models.base import Base, Entity, Id


class ResourceTag(Entity, Base):
    __tablename__ = "resource_tags"
    __table_args__ = (UniqueConstraint("resource_type", "resource_uuid", "key"),)
    key: Mapped[str]
    value: Mapped[str | None]
    resource_type: Mapped[str]  # UserVm, Volume, Template, ... as the API names it
    resource_uuid: Mapped[str] = mapped_column(index=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("account.id"), index=True)
    domain_id: Mapped[int] = mapped_column(ForeignKey("domain.id"))
    customer: Mapped[str | None]
    account: Mapped[Account] = relationship()
    domain: Mapped[Domain] = relationship()


class ResourceDetail(Base):
    """A detail of what is no host and no VM, which have tables of their own."""

    __tablename__ = "resource_details"
    __table_args__ = (UniqueConstraint("resource_type", "resource_uuid", "name"),)
    id: Mapped[int] = mapped_column(Id, primary_key=True, autoincrement=True)
    resource_type: Mapped[str]
    resource_uuid: Mapped[str] = mapped_column(index=True)
    name: Mapped[str]
    value: Mapped[str | None] = mapped_column(Text)
    display: Mapped[bool] = mapped_column(default=True)


class SshKeyPair(Entity, Base):
    __tablename__ = "ssh_keypairs"
    name: Mapped[str]
    fingerprint: Mapped[str]
    public_key: Mapped[str] = mapped_column(Text)
    account_id: Mapped[int] = mapped_column(ForeignKey("account.id"), index=True)
    domain_id: Mapped[int] = mapped_column(ForeignKey("domain.id"))
    account: Mapped[Account] = relationship()
    domain: Mapped[Domain] = relationship()


class SecurityGroup(Entity, Base):
    __tablename__ = "security_group"
    name: Mapped[str]
    description: Mapped[str | None]
    account_id: Mapped[int] = mapped_column(ForeignKey("account.id"), index=True)
    domain_id: Mapped[int] = mapped_column(ForeignKey("domain.id"))
    created: Mapped[datetime]
    account: Mapped[Account] = relationship()
    domain: Mapped[Domain] = relationship()
