"""Several worlds in one server: `/worlds/NAME/` is a world of its own behind the port of the first one.

Each has its own records, clock, hosts, vCenter, journal and logins. Only the port of the API is shared: agents and
vCenter of a world on ports have ports that the system chooses.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from mgmt.api.switchboard import MountedServer, Switchboard, prefix_of
from mgmt.app import Place
from mgmt.config import WORLD_NAME, Settings, changed_settings

if TYPE_CHECKING:
    from mgmt.embedded import World
    from mgmt.providers import Providers

MAX_WORLDS = 64
_OF_THE_SERVER = frozenset(
    {"host", "port", "agent_port", "vcenter_port", "database", "admin", "admin_token", "ready_file", "work_dir"}
    | {"nfs_root", "encryption_key", "log_level", "world", "ui_dir", "cors_origin", "stubs"}
)
"""Settings that a world beside the first one takes from it, or cannot have."""


class WorldsError(ValueError):
    """A world that cannot be made or is not there; the text says why, and which are there."""


class Worlds:
    """The worlds behind the port of `first`, by their names; safe from many threads."""

    def __init__(self, first: World, switchboard: Switchboard) -> None:
        self.first = first
        self._switchboard = switchboard
        self._lock = threading.RLock()
        self._worlds: dict[str, World] = {}

    def __iter__(self) -> Iterator[str]:
        with self._lock:
            return iter(list(self._worlds))

    def __len__(self) -> int:
        return len(self._worlds)

    def __getitem__(self, name: str) -> World:
        """Raises WorldsError for a name that none has."""
        with self._lock:
            world = self._worlds.get(name)
            if world is None:
                raise WorldsError(f"there is no world {name!r}: there are {', '.join(self._worlds) or 'none'}")
            return world

    def settings_of(self, changes: Mapping[str, Any]) -> Settings:
        """The settings of a new world: the first one's, apart from seed and failures, with changes.

        Raises ConfigError for what cannot be used, WorldsError for what all worlds of a server have in common.
        """
        common = sorted(_OF_THE_SERVER & changes.keys())
        if common:
            raise WorldsError(f"{', '.join(common)}: of the server, not of a world in it")
        base = replace(
            self.first.settings,
            port=0,
            agent_port=0,
            vcenter_port=0,
            database="sqlite://",
            seed=Settings.seed,
            fault=(),
            world=(),
            ready_file=None,
            work_dir=None,
        )
        return changed_settings(base, changes)

    def create(self, name: str, /, providers: Providers | None = None, **changes: Any) -> World:
        """Start another world, whose API is at `/worlds/NAME/client/api`. `changes` are settings by their names.

        Raises WorldsError, ConfigError, and what `World.start` does; nothing is left then.
        """
        from mgmt.embedded import World

        if not re.fullmatch(WORLD_NAME, name):
            raise WorldsError(f"name = {name!r}: expected 1 to 64 letters, digits, '_' or '-'")
        with self._lock:
            if name in self._worlds:
                raise WorldsError(f"there is a world {name!r} already")
            if len(self._worlds) >= MAX_WORLDS:
                raise WorldsError(f"{MAX_WORLDS} worlds are there: delete one first")
            world = World(
                self.settings_of(changes), providers, resettable=True, in_memory=self.first.in_memory, beside=self
            )
            world.place = Place(self.first.server.http.address, prefix_of(name))
            world.start()
            self._worlds[name] = world
            self.show(world)
            return world

    def show(self, world: World) -> None:
        """Lead requests to the world's server, which may be another one than before."""
        server = world.server.http
        assert isinstance(server, MountedServer)
        self._switchboard.mount(server.prefix.rpartition("/")[2], server)

    def delete(self, name: str) -> None:
        """End a world with all that it has; raises WorldsError for a name that none has."""
        with self._lock:
            world = self[name]
            self._switchboard.unmount(name)
            del self._worlds[name]
        world.stop()

    def close(self) -> None:
        """End all of them."""
        for name in self:
            self.delete(name)

    def ready_of(self, world: World) -> dict[str, object]:
        """What the ready file of `world` tells of worlds beside it: nothing, unless it is the first and there are."""
        if world is not self.first or not self._worlds:
            return {}
        return {"worlds": {name: self[name].ready() for name in self}}
