"""Events: writing them, and the rows as `listEvents` shows them.

Upstream: server/.../event/ActionEventUtils.java (what an event is made of) and api/query/dao/EventJoinDaoImpl.java.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol

from sqlalchemy import Select, Table, bindparam, select
from sqlalchemy.orm import Session

from mgmt.inventory.scope import shown_domain_path
from mgmt.providers import Providers
from mgmt.store import models
from mgmt.store.models import Account, Domain, Event, User
from mgmt.store.rows import add_row, run, table_of

# Resource type of an event -> the table whose row it names, and the column with the name that the event shows.
_NAMED_RESOURCES: Mapping[str, tuple[type[models.Entity], str]] = {
    "Account": (models.Account, "name"),
    "AffinityGroup": (models.AffinityGroup, "name"),
    "Cluster": (models.Cluster, "name"),
    "DiskOffering": (models.DiskOffering, "name"),
    "Domain": (models.Domain, "name"),
    "Host": (models.Host, "name"),
    "Iso": (models.Template, "name"),
    "ImageStore": (models.ImageStore, "name"),
    "Network": (models.Network, "name"),
    "Pod": (models.Pod, "name"),
    "Project": (models.Project, "name"),
    "PublicIpAddress": (models.PublicIp, "address"),
    "SecurityGroup": (models.SecurityGroup, "name"),
    "ServiceOffering": (models.ServiceOffering, "name"),
    "Snapshot": (models.Snapshot, "name"),
    "StoragePool": (models.StoragePool, "name"),
    "Template": (models.Template, "name"),
    "User": (models.User, "username"),
    "VirtualMachine": (models.VmInstance, "name"),
    "Volume": (models.Volume, "name"),
    "Zone": (models.Zone, "name"),
}

# Every resource type that `listEvents` takes (api/.../ApiCommandResourceType.java); None: this world has no such table.
RESOURCE_TYPES: Mapping[str, type[models.Entity] | None] = {
    **{name: model for name, (model, _) in _NAMED_RESOURCES.items()},
    "AccountDetails": None,
    "BackupOffering": None,
    "FirewallRule": None,
    "GuestOs": models.GuestOs,
    "HostTag": None,
    "LoadBalancerRule": None,
    "ManagementServer": models.ManagementServer,
    "NetworkOffering": models.NetworkOffering,
    "PhysicalNetwork": models.PhysicalNetwork,
    "Role": models.Role,
    "Vpc": None,
}


class EventCaller(Protocol):
    """On whose behalf something happens (`mgmt.commands.declaration.Caller` has it)."""

    @property
    def user_id(self) -> int: ...
    @property
    def account_id(self) -> int: ...
    @property
    def domain_id(self) -> int: ...


@dataclass(frozen=True)
class Originator:
    """An EventCaller that is no caller of the API."""

    user_id: int
    account_id: int
    domain_id: int


def record_event(
    session: Session,
    providers: Providers,
    *,
    type: str,
    level: str,
    state: str,
    description: str,
    caller: EventCaller,
    resource_type: str | None = None,
    resource_uuid: str | None = None,
    start_id: int | None = None,
) -> int:
    """Add an event to `session` and return its internal number, the `start_id` of the events that follow it.

    `state` is Created, Scheduled, Started or Completed; `level` INFO, WARN or ERROR. The name of the resource is taken
    from its row now, so that the event still shows it when the resource is gone.
    """
    values = {
        "uuid": providers.ids.uuid(),
        "type": type,
        "level": level,
        "state": state,
        "description": description,
        "user_id": caller.user_id,
        "account_id": caller.account_id,
        "domain_id": caller.domain_id,
        "resource_type": resource_type,
        "resource_uuid": resource_uuid,
        "resource_name": _resource_name(session, resource_type, resource_uuid),
        "start_id": start_id,
        "created": providers.utcnow(),
    }
    return add_row(session, Event, values)


def record_created(
    session: Session,
    providers: Providers,
    caller: EventCaller,
    type: str,
    what: str,
    resource_type: str | None,
    uuid: str | None,
) -> None:
    """Add the event of a create command whose record is there before its job: `what` is what the job goes on doing."""
    record_event(
        session,
        providers,
        type=type,
        level="INFO",
        state="Created",
        description=f"Successfully created entity for {what}",
        caller=caller,
        resource_type=resource_type,
        resource_uuid=uuid,
    )


def _resource_name(session: Session, resource_type: str | None, resource_uuid: str | None) -> str | None:
    named = _NAMED_RESOURCES.get(resource_type or "")
    if named is None or resource_uuid is None:
        return None
    model, column = named
    name: str | None = run(session, _name_by_uuid(table_of(model), column), {"resource": resource_uuid}).scalar()
    return name


@cache
def _name_by_uuid(table: Table, column: str) -> Select[Any]:
    return select(table.c[column]).where(table.c.uuid == bindparam("resource"))


def event_views(session: Session, events: Sequence[Event]) -> list[dict[str, Any]]:
    """The events as `listEvents` shows them, in the given order."""
    users = _by_id(session, select(User.id, User.username), User.id, {event.user_id for event in events})
    accounts = _by_id(session, select(Account.id, Account.name), Account.id, {event.account_id for event in events})
    domains = {
        domain.id: domain
        for domain in session.scalars(select(Domain).where(Domain.id.in_({event.domain_id for event in events})))
    }
    parents = _by_id(
        session, select(Event.id, Event.uuid), Event.id, {event.start_id for event in events if event.start_id}
    )
    return [_view(event, users, accounts, domains.get(event.domain_id), parents) for event in events]


def _by_id(session: Session, statement: Any, key: Any, ids: set[int]) -> dict[int, str]:
    if not ids:
        return {}
    return dict(session.execute(statement.where(key.in_(ids))).all())


def _view(
    event: Event,
    users: Mapping[int, str],
    accounts: Mapping[int, str],
    domain: Domain | None,
    parents: Mapping[int, str],
) -> dict[str, Any]:
    return {
        "id": event.uuid,
        "username": users.get(event.user_id),
        "type": event.type,
        "level": event.level,
        "description": event.description,
        "account": accounts.get(event.account_id),
        "domainid": domain.uuid if domain else None,
        "domain": domain.name if domain else None,
        "domainpath": shown_domain_path(domain.path) if domain else None,
        "resourceid": event.resource_uuid,
        "resourcetype": event.resource_type,
        "resourcename": event.resource_name,
        "created": event.created,
        "state": event.state,
        "parentid": parents.get(event.start_id) if event.start_id else None,
        "archived": True if event.archived else None,  # the real server leaves it out for an event in the live table
    }
