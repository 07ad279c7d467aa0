"""What hangs on resources or belongs to accounts beside machines: tags, details, key pairs, groups, user data."""

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
    rules: Mapped[list[SecurityGroupRule]] = relationship(
        order_by="SecurityGroupRule.id",
        foreign_keys="SecurityGroupRule.group_id",
        cascade="all, delete-orphan",
    )


class SecurityGroupRule(Entity, Base):
    """Traffic that a security group lets in or out; nothing filters by it here."""

    __tablename__ = "security_group_rule"
    group_id: Mapped[int] = mapped_column(ForeignKey("security_group.id"), index=True)
    is_ingress: Mapped[bool]
    protocol: Mapped[str]
    start: Mapped[int]  # port, or type of ICMP
    end: Mapped[int]  # port, or code of ICMP
    cidr: Mapped[str | None]
    allowed_group_id: Mapped[int | None] = mapped_column(ForeignKey("security_group.id"))
    group: Mapped[SecurityGroup] = relationship(foreign_keys=[group_id], back_populates="rules")
    allowed_group: Mapped[SecurityGroup | None] = relationship(foreign_keys=[allowed_group_id])


class AffinityGroup(Entity, Base):
    __tablename__ = "affinity_group"
    name: Mapped[str]
    type: Mapped[str]
    description: Mapped[str | None]
    account_id: Mapped[int] = mapped_column(ForeignKey("account.id"), index=True)
    domain_id: Mapped[int] = mapped_column(ForeignKey("domain.id"))
    account: Mapped[Account] = relationship()
    domain: Mapped[Domain] = relationship()


class InstanceGroup(Entity, Base):
    __tablename__ = "instance_group"
    name: Mapped[str]
    account_id: Mapped[int] = mapped_column(ForeignKey("account.id"), index=True)
    created: Mapped[datetime]
    removed: Mapped[datetime | None]
    account: Mapped[Account] = relationship()


class UserData(Entity, Base):
    __tablename__ = "user_data"
    name: Mapped[str]
    content: Mapped[str] = mapped_column(Text)  # in Base64
    parameters: Mapped[str | None]
    account_id: Mapped[int] = mapped_column(ForeignKey("account.id"), index=True)
    domain_id: Mapped[int] = mapped_column(ForeignKey("domain.id"))
    account: Mapped[Account] = relationship()
    domain: Mapped[Domain] = relationship()
