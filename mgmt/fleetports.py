"""What the server asks of the embedded hosts beside the agent wire: NFS storage, set-up over SSH, ending a command."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mgmt.faults.meeting import meet
from mgmt.imports.ports import Ending
from mgmt.imports.staging import not_mounted
from mgmt.life.hostsetup import Place

if TYPE_CHECKING:
    from mgmt.embedded import World


class FleetStaging:
    """NFS storage as the embedded hosts have it: both sides write into the same directories."""

    def __init__(self, world: World) -> None:
        self._world = world

    def directory(self, nfs_host: str, path: str) -> Path:
        """The export's directory, made when no host has mounted it yet."""
        from agent_sim.errors import AgentFailure

        world = self._world
        meet(world.faults, world.providers.clock, "server.mount", {"server": nfs_host, "path": path})
        if world.fleet is None:
            raise not_mounted(nfs_host, path, "the embedded hosts do not run")
        try:
            found = world.fleet.export_directory(nfs_host, path)
        except AgentFailure as error:
            raise not_mounted(nfs_host, path, str(error)) from error
        found.mkdir(parents=True, exist_ok=True)
        return found


class FleetSetup:
    """Embedded hosts are reached over SSH by their address, with any user and password."""

    def __init__(self, world: World) -> None:
        self._world = world

    def set_up(self, address: str, username: str, password: str | None, place: Place) -> str | None:
        """Write the agent's place into its agent.properties and start it."""
        if self._world.fleet is None:
            return None
        return self._world.fleet.set_up(address, {"zone": place.zone, "pod": place.pod, "cluster": place.cluster})


class FleetControl:
    """The embedded hosts beside the agent wire."""

    def __init__(self, world: World) -> None:
        self._world = world

    def end_command(self, guid: str, log_id: str, command: str) -> Ending:
        """End what a host does for a command; see `Fleet.end_command`."""
        from agent_sim.fleet import FleetError

        if self._world.fleet is None:
            return "goes on"
        try:
            return self._world.fleet.end_command(guid, log_id, command)
        except FleetError:  # it stops
            return "goes on"

    def reports_progress(self, guid: str) -> bool:
        """Embedded hosts tell how far they are."""
        return self._world.fleet is not None and self._world.fleet.has_host(guid)
