"""Agents and vCenters as one import sees them: every wait can be interrupted by its control."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from mgmt.errors import CloudError
from mgmt.imports.control import ImportControl
from mgmt.imports.leftovers import remove_late
from mgmt.imports.ports import ImportServices, VcenterSession
from mgmt.observe.correlation import current_correlation_id
from mgmt.protocol.commands import (
    ConvertInstanceCommand,
    CopyRemoteVolumeCommand,
    ImportConvertedInstanceCommand,
)
from mgmt.protocol.records import Answer, Command, simple_name
from mgmt.store.models import Host
from mgmt.vmware.connector import VcenterCredentials

COPYING = (ConvertInstanceCommand, ImportConvertedInstanceCommand, CopyRemoteVolumeCommand)
LOG_ID_LENGTH = 8  # what the agent manager writes into a command's context, of the correlation id


def log_id_of(correlation_id: str | None) -> str:
    """What the commands of that work carry as `logid`."""
    return (correlation_id or "")[:LOG_ID_LENGTH]


def controlled(services: ImportServices, control: ImportControl) -> ImportServices:
    """The same services, with agents and vCenters that end their waits when the import is cancelled."""
    return replace(
        services, agents=_ControlledAgents(services, control), vcenters=_ControlledVcenters(services, control)
    )


@dataclass(frozen=True)
class _ControlledAgents:
    services: ImportServices
    control: ImportControl

    def send(self, host_id: int, command: Command, *, wait_s: int | None = None) -> Answer:
        """See `Agents.send`; raises ImportCancelledError as well.

        The answer to a command that succeeded is given to a cancelled import too: it must know what was made.
        """
        log_id = log_id_of(current_correlation_id())
        if isinstance(command, COPYING):
            self.control.host_id = host_id
        with self.control.interruptible(lambda: self._end(host_id, log_id, command)):
            try:
                return self.services.agents.send(host_id, command, wait_s=wait_s)
            except CloudError:
                self.control.check()
                raise

    def abandon(self, command: Command, late: Callable[[Answer], None] | None = None) -> None:
        self.services.agents.abandon(command, late)

    def _end(self, host_id: int, log_id: str, command: Command) -> None:
        with self.services.store.session() as session:
            host = session.get_one(Host, host_id)
            name, guid = host.name, host.guid
        kind = simple_name(command)
        ending = "goes on" if guid is None else self.services.host_control.end_command(guid, log_id, kind)
        if ending == "ends":
            return  # the answer comes once the tool has ended and its files are gone
        if ending == "goes on":
            self.control.note(
                f"host {name} goes on with {kind}: CloudStack's agents cannot be told to stop it; what it writes is "
                "removed when it answers"
            )
        self.services.agents.abandon(command, lambda answer: remove_late(self.services, host_id, command, answer))


@dataclass(frozen=True)
class _ControlledVcenters:
    services: ImportServices
    control: ImportControl

    @contextmanager
    def connect(self, credentials: VcenterCredentials) -> Iterator[VcenterSession]:
        """See `Vcenters.connect`; raises ImportCancelledError as well."""
        self.control.check()
        with self.services.vcenters.connect(credentials) as session, self.control.interruptible(session.cancel):
            yield session
