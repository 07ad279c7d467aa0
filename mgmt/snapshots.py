"""The state of a whole world, kept and taken back: records, hosts with their files, vCenter, and armed faults.

Time does not go back, and what a world has of its own process (ports, links, threads, keys) goes on. A link that was
lost or a host that was changed since is made anew; everything else is exchanged in place, which takes milliseconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import select, update

from mgmt.agents.admission import MAINTENANCE_STATES
from mgmt.agents.states import Status
from mgmt.clock import ClockError
from mgmt.store.models import Host

if TYPE_CHECKING:
    from agent_sim.saving import SavedFleet
    from mgmt.commands.services import SavedServices
    from mgmt.embedded import World
    from mgmt.faults import SavedFault
    from mgmt.faults.mocks import Mock
    from vcenter_sim.server import SavedVcenter

REST_TIMEOUT_S = 60.0
LINK_TIMEOUT_S = 60.0
_LOOK_S = 0.002
_BY = "a reset of the world"


class SnapshotError(RuntimeError):
    """A state that cannot be kept or taken back; the text says what stood in the way."""


@dataclass
class Snapshot:
    """The state of one world at some time, for `World.restore` of that world."""

    world: World
    records: bytes
    fleet: SavedFleet | None
    vcenter: SavedVcenter | None
    faults: tuple[SavedFault, ...]
    services: SavedServices
    in_maintenance: frozenset[int]
    mocks: tuple[int, Mapping[int, Mock]]


def take(world: World) -> Snapshot:
    """The state of the world now; jobs are waited for. Raises SnapshotError when they do not end.

    Faults that were armed count anew from here.
    """
    come_to_rest(world)
    with world.clock.held():
        faults = world.faults.save()
        world.faults.clear()
        try:
            return Snapshot(
                world,
                world.server.services.store.image(),
                world.fleet.save() if world.fleet is not None else None,
                world.vcenter.save() if world.vcenter is not None else None,
                faults,
                world.server.services.save(),
                _in_maintenance(world),
                world.faults.mocks.save(),
            )
        finally:
            world.faults.load_saved(faults)


def restore(snapshot: Snapshot) -> None:
    """Take the world back to a state of its own. Imports that run are cancelled, other jobs waited for.

    Raises SnapshotError when jobs do not end or a host does not connect again.
    """
    world = snapshot.world
    services = world.server.services
    services.imports.cancel_all(_BY)
    world.faults.clear()
    come_to_rest(world)
    maintenance = services.maintenance
    is_maintained = maintenance.is_busy or bool(snapshot.in_maintenance)
    if is_maintained:
        maintenance.stop(timeout_s=REST_TIMEOUT_S)
        maintenance.forget()
    with world.clock.held():
        changed = _stop_changed_hosts(snapshot)
        services.store.restore(snapshot.records)
        _mark_stopped(world, changed)
        if world.vcenter is not None and snapshot.vcenter is not None:
            snapshot.vcenter = world.vcenter.restore(snapshot.vcenter)
        if world.fleet is not None and snapshot.fleet is not None:
            snapshot.fleet = world.fleet.restore(snapshot.fleet, changed)
        services.restore(snapshot.services)
        services.agents.records_exchanged(snapshot.in_maintenance)
        world.server.forget_callers()
    if changed and world.fleet is not None and snapshot.fleet is not None:
        _await_hosts(world, snapshot.fleet, changed)
        snapshot.fleet = world.fleet.links(snapshot.fleet)
    if is_maintained:
        maintenance.start()
    services.journal.clear()
    world.faults.load_saved(snapshot.faults)
    world.faults.mocks.load(snapshot.mocks)


def come_to_rest(world: World) -> None:
    """Let jobs end, and on a virtual clock everything that is under way: nobody then writes what he read before."""
    jobs = world.server.services.jobs
    try:
        world.clock.run_until(lambda: not jobs.pending, limit_s=REST_TIMEOUT_S)
    except ClockError as error:
        raise SnapshotError(f"{len(jobs.pending)} jobs do not end: {error}") from error


def _stop_changed_hosts(snapshot: Snapshot) -> list[str]:
    """Stop the agents whose links or hosts are not as they were, until the server knows nothing of them."""
    fleet, agents = snapshot.world.fleet, snapshot.world.server.agents
    if fleet is None or snapshot.fleet is None:
        return []
    changed = fleet.stop_changed(snapshot.fleet, agents.is_linked)
    for name in changed:
        host_id = fleet.agent(name).identity.host_id
        if host_id is not None:
            agents.disconnect(host_id, _BY)
    return changed


def _mark_stopped(world: World, changed: list[str]) -> None:
    """Say in the records that these hosts are not connected."""
    if changed and world.fleet is not None:
        guids = [world.fleet.agent(name).hypervisor.host.full_guid for name in changed]
        is_up = (Host.guid.in_(guids), Host.status == Status.UP.value)
        with world.server.services.store.session() as session:
            session.execute(update(Host).where(*is_up).values(status=Status.DISCONNECTED.value))


def _in_maintenance(world: World) -> frozenset[int]:
    with world.server.services.store.session() as session:
        return frozenset(session.scalars(select(Host.id).where(Host.resource_state.in_(MAINTENANCE_STATES))))


def _await_hosts(world: World, fleet: SavedFleet, changed: list[str]) -> None:
    wanted = [fleet.members[name].host.full_guid for name in changed if fleet.members[name].runs]
    if not world.server.agents.wait_for_hosts_up(wanted, timeout_s=LINK_TIMEOUT_S):
        raise SnapshotError("not all hosts connected again")
