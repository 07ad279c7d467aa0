"""Domains, accounts, users, their roles, projects, and what work under way has claimed of their limits."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import JSON, ForeignKey, Integer
from sqlalchemy.orm import Mapped, mapped_column, relationship

from mgmt.store.models.base import Base, Entity, Id


class Domain(Entity, Base):
    __tablename__ = "domain"
    name: Mapped[str]
    path: Mapped[str]
    level: Mapped[int] = mapped_column(default=0)
    parent_id: Mapped[int | None] = mapped_column(ForeignKey("domain.id"))
    state: Mapped[str] = mapped_column(default="Active")
    network_domain: Mapped[str | None]
    limits: Mapped[dict[str, int]] = mapped_column(JSON, default=dict)  # what differs from the settings max.domain.*
    created: Mapped[datetime | None]
    removed: Mapped[datetime | None]


class Role(Entity, Base):
    __tablename__ = "roles"
    name: Mapped[str]
    role_type: Mapped[str]  # Admin, ResourceAdmin, DomainAdmin, User
    description: Mapped[str | None]
    is_default: Mapped[bool] = mapped_column(default=True)
    is_public: Mapped[bool] = mapped_column(default=True)
    state: Mapped[str] = mapped_column(default="enabled")
    removed: Mapped[datetime | None]


class RolePermission(Entity, Base):
    """One rule of a role: the first whose `rule` fits a command decides."""

    __tablename__ = "role_permissions"
    role_id: Mapped[int] = mapped_column(ForeignKey("roles.id"), index=True)
    rule: Mapped[str]  # a command's name, with `*` for any text
    permission: Mapped[str]  # ALLOW or DENY
    description: Mapped[str | None]
    sort_order: Mapped[int] = mapped_column(default=0)


class Account(Entity, Base):
    __tablename__ = "account"
    name: Mapped[str]
    type: Mapped[int] = mapped_column(Integer, default=0)  # 0 user, 1 root admin, 2 domain admin, 5 project
    role_id: Mapped[int] = mapped_column(ForeignKey("roles.id"))
    domain_id: Mapped[int] = mapped_column(ForeignKey("domain.id"))
    state: Mapped[str] = mapped_column(default="enabled")
    is_default: Mapped[bool] = mapped_column(default=False)
    limits: Mapped[dict[str, int]] = mapped_column(
        JSON, default=dict
    )  # user_vm, cpu, memory, volume, primary_storage; -1 none
    network_domain: Mapped[str | None]
    api_key_access: Mapped[bool | None]  # None: what the setting says
    details: Mapped[dict[str, str]] = mapped_column(JSON, default=dict)
    created: Mapped[datetime]
    removed: Mapped[datetime | None]
    domain: Mapped[Domain] = relationship()
    role: Mapped[Role] = relationship()
    project: Mapped[Project | None] = relationship(viewonly=True)  # of an account of type 5: whose it is


class User(Entity, Base):
    __tablename__ = "user"
    username: Mapped[str] = mapped_column(index=True)
    password_hash: Mapped[str]
    account_id: Mapped[int] = mapped_column(ForeignKey("account.id"))
    firstname: Mapped[str] = mapped_column(default="")
    lastname: Mapped[str] = mapped_column(default="")
    email: Mapped[str] = mapped_column(default="")
    timezone: Mapped[str | None]
    state: Mapped[str] = mapped_column(default="enabled")
    api_key: Mapped[str | None] = mapped_column(unique=True, index=True)
    secret_key: Mapped[str | None]
    is_default: Mapped[bool] = mapped_column(default=False)
    api_key_access: Mapped[bool | None]  # None: what the account says
    login_attempts: Mapped[int] = mapped_column(default=0)  # wrong passwords in a row
    created: Mapped[datetime]
    removed: Mapped[datetime | None]
    account: Mapped[Account] = relationship()


class Project(Entity, Base):
    """A group of accounts that own things together, by an account of type 5 that nobody logs in to."""

    __tablename__ = "projects"
    name: Mapped[str]
    display_text: Mapped[str | None]
    domain_id: Mapped[int] = mapped_column(ForeignKey("domain.id"))
    account_id: Mapped[int] = mapped_column(ForeignKey("account.id"), unique=True)
    state: Mapped[str] = mapped_column(default="Active")  # Active, Suspended, Disabled
    created: Mapped[datetime]
    removed: Mapped[datetime | None]
    domain: Mapped[Domain] = relationship()
    account: Mapped[Account] = relationship()


class ProjectAccount(Base):
    """An account, or a single user of one, that takes part in a project."""

    __tablename__ = "project_account"
    id: Mapped[int] = mapped_column(Id, primary_key=True, autoincrement=True)
    project_id: Mapped[int] = mapped_column(ForeignKey("projects.id"), index=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("account.id"), index=True)
    user_id: Mapped[int | None] = mapped_column(ForeignKey("user.id"))
    role: Mapped[str]  # Admin or Regular
    project_role_id: Mapped[int | None] = mapped_column(ForeignKey("project_role.id"))
    account: Mapped[Account] = relationship()
    user: Mapped[User | None] = relationship()
    project_role: Mapped[ProjectRole | None] = relationship()


class ProjectRole(Entity, Base):
    """What some members of a project may do in it, by its rules."""

    __tablename__ = "project_role"
    project_id: Mapped[int] = mapped_column(ForeignKey("projects.id"), index=True)
    name: Mapped[str]
    description: Mapped[str | None]
    project: Mapped[Project] = relationship()


class ProjectRolePermission(Entity, Base):
    """One rule of a project's role."""

    __tablename__ = "project_role_permissions"
    project_id: Mapped[int] = mapped_column(ForeignKey("projects.id"))
    project_role_id: Mapped[int] = mapped_column(ForeignKey("project_role.id"), index=True)
    rule: Mapped[str]
    permission: Mapped[str]  # ALLOW or DENY
    description: Mapped[str | None]
    sort_order: Mapped[int] = mapped_column(default=0)
    project_role: Mapped[ProjectRole] = relationship()


class ResourceReservation(Base):
    """What work under way has claimed of the limits of an account, before its records exist (upstream name)."""

    __tablename__ = "resource_reservation"
    id: Mapped[int] = mapped_column(Id, primary_key=True, autoincrement=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("account.id"), index=True)
    domain_id: Mapped[int] = mapped_column(ForeignKey("domain.id"))
    resource_type: Mapped[str]
    amount: Mapped[int]
