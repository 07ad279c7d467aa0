"""Shutting the management server down in order, and its maintenance."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select

from mgmt.commands.catalogued import completed, done
from mgmt.commands.declaration import Bound, Call, Item
from mgmt.store.models import Host, ManagementServer

SHUTDOWN_STATES = frozenset({"ShuttingDown", "PreparingForShutDown", "ReadyToShutDown"})


def _answer(call: Call, bound: Bound) -> Item:
    server = call.db.get_one(ManagementServer, bound["managementserverid"])
    hosts = list(
        call.db.scalars(
            select(Host.uuid)
            .where(Host.management_server_id == server.msid, Host.status == "Up", Host.removed.is_(None))
            .order_by(Host.id)
        )
    )
    state, pending = call.services.server_shutdown.state.value, len(call.services.jobs.pending)
    fields: dict[str, Any] = {
        "managementserverid": server.uuid,
        "state": state,
        "maintenanceinitiated": call.services.server_shutdown.is_maintained,
        "shutdowntriggered": state in SHUTDOWN_STATES,
        "readyforshutdown": pending == 0,
        "pendingjobscount": pending,
        "agentscount": len(hosts),
        "agents": hosts,
    }
    return Item(fields)


def _told(call: Call, bound: Bound, event: str, gerund: str) -> Item:
    """The answer to a command that has done something, with its event."""
    answer = _answer(call, bound)
    completed(call.db, call, event, gerund, "ManagementServer", answer.fields["managementserverid"])
    return answer


@done("readyForShutdown", "readyforshutdown", since="4.19.0")
def ready_for_shutdown(call: Call, bound: Bound) -> Item:
    return _answer(call, bound)


@done("prepareForShutdown", "prepareforshutdown", since="4.19.0")
def prepare_for_shutdown(call: Call, bound: Bound) -> Item:
    call.services.server_shutdown.prepare()
    return _told(call, bound, "MS.SHUTDOWN.PREPARE", "preparing for shutdown")


@done("cancelShutdown", "cancelshutdown", since="4.19.0")
def cancel_shutdown(call: Call, bound: Bound) -> Item:
    call.services.server_shutdown.cancel()
    return _told(call, bound, "MS.SHUTDOWN.CANCEL", "cancelling shutdown")


@done("triggerShutdown", "triggershutdown", since="4.19.0")
def trigger_shutdown(call: Call, bound: Bound) -> Item:
    call.services.server_shutdown.trigger()
    return _told(call, bound, "MS.SHUTDOWN", "triggering shutdown")


@done("prepareForMaintenance", "prepareformaintenance", since="4.21.0")
def prepare_for_maintenance(call: Call, bound: Bound) -> Item:
    call.services.server_shutdown.prepare_maintenance(bound["algorithm"])
    return _told(call, bound, "MS.MAINTENANCE.PREPARE", "preparing for maintenance")


@done("cancelMaintenance", "cancelmaintenance", since="4.21.0")
def cancel_maintenance(call: Call, bound: Bound) -> Item:
    call.services.server_shutdown.cancel_maintenance()
    return _told(call, bound, "MS.MAINTENANCE.CANCEL", "cancelling maintenance")


COMMANDS = (
    ready_for_shutdown,
    prepare_for_shutdown,
    cancel_shutdown,
    trigger_shutdown,
    prepare_for_maintenance,
    cancel_maintenance,
)
