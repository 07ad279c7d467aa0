"""What the commands on VMs and volumes share: their services, the answers and the events of synchronous ones."""

from __future__ import annotations

from typing import TypeVar

from sqlalchemy import select
from sqlalchemy.orm import Session

from mgmt.commands.declaration import Bound, Call, Item
from mgmt.commands.services import Services
from mgmt.errors import InvalidParameterValueError
from mgmt.inventory.events import record_created, record_event
from mgmt.inventory.vm_rows import vm_result
from mgmt.inventory.volumes import volume_load_options, volume_views
from mgmt.life.ports import LifeServices
from mgmt.store.models import Entity, Volume

E = TypeVar("E", bound=Entity)


def life_services(call: Call) -> LifeServices:
    """The services of the call's server that work on VMs and volumes needs."""
    return life_services_of(call.services)


def life_services_of(services: Services) -> LifeServices:
    """The services of a server that work on VMs, volumes and hosts needs."""
    return LifeServices(
        store=services.store,
        providers=services.providers,
        settings=services.settings,
        redactor=services.redactor,
        agents=services.agents,
        work=services.vm_work,
        quirks=services.quirks,
    )


def vm_item(call: Call, vm_id: int) -> Item:
    """The VM as it is now."""
    with call.services.store.session() as session:
        return Item(vm_result(session, vm_id, call.caller))


def volume_item(call: Call, volume_id: int) -> Item:
    """The volume as it is now."""
    with call.services.store.session() as session:
        volume = session.scalars(select(Volume).where(Volume.id == volume_id).options(*volume_load_options())).one()
        return Item(volume_views(session, [volume], call.caller)[0])


def created_record(session: Session, model: type[E], bound: Bound) -> E:
    """The record that the command's `create` made before its job."""
    return session.scalars(select(model).where(model.uuid == bound.created_uuid)).one()


def created(call: Call, type_: str, what: str, resource_type: str | None, uuid: str | None) -> None:
    """Write the event of a create command whose record is there before its job (`record_created`)."""
    record_created(call.db, call.services.providers, call.tells_as(type_), type_, what, resource_type, uuid)


def completed(
    session: Session, call: Call, type_: str, gerund: str, resource_type: str | None, resource_uuid: str | None
) -> None:
    """Write the event of a synchronous command that has succeeded (ActionEventInterceptor)."""
    record_event(
        session,
        call.services.providers,
        type=type_,
        level="INFO",
        state="Completed",
        description=f"Successfully completed {gerund}",
        caller=call.tells_as(type_),
        resource_type=resource_type,
        resource_uuid=resource_uuid,
    )


def refuse_unknown(bound: Bound, *names: str) -> None:
    """Raise InvalidParameterValueError for a parameter that CloudStack knows and this server has nothing behind."""
    for name in names:
        if bound[name] not in (None, [], {}):
            raise InvalidParameterValueError(f"Parameter {name} is not supported by this management server")
