"""The small interfaces through which an import reaches agents and vCenters, so that a test can hand in doubles."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

from mgmt.errors import CloudRuntimeError
from mgmt.imports.queue import ImportQueue
from mgmt.imports.staging import NoStaging, StagingArea
from mgmt.inventory.settings import GlobalSettings
from mgmt.observe.journal import Journal
from mgmt.observe.redaction import Redactor
from mgmt.protocol.records import Answer, Command
from mgmt.providers import Providers
from mgmt.quirks import Quirks
from mgmt.store.database import Store
from mgmt.vmware.connector import VcenterCredentials
from mgmt.vmware.records import SourceVm

if TYPE_CHECKING:
    from mgmt.faults import FaultEngine
    from mgmt.vmware.export import ExportRules  # brings pyvmomi's type tables


class Agents(Protocol):
    """The agent edge (`mgmt.agents.manager.AgentManager`)."""

    def send(self, host_id: int, command: Command, *, wait_s: int | None = None) -> Answer:
        """The host's answer; raises AgentUnavailableError, OperationTimedOutError and CommandAbandonedError."""
        ...

    def abandon(self, command: Command, late: Callable[[Answer], None] | None = None) -> None:
        """Let the `send` of this very command raise CommandAbandonedError; the host is not told.

        `late` gets the answer that it gives in the end, in a thread of its own.
        """
        ...


Ending = Literal["ends", "never begins", "goes on"]
"""What becomes of a command that is to end: its answer comes soon, there will be none, the host cannot be told."""


class HostControl(Protocol):
    """What hosts do beside the agent wire: CloudStack's protocol can neither stop a conversion nor watch it."""

    def end_command(self, guid: str, log_id: str, command: str) -> Ending:
        """End what host `guid` does for the command of that class name and log id."""
        ...

    def reports_progress(self, guid: str) -> bool:
        """True when the host tells how far its copies are."""
        ...


class NoHostControl:
    """Hosts that are reached by the agent wire alone."""

    def end_command(self, guid: str, log_id: str, command: str) -> Ending:
        return "goes on"

    def reports_progress(self, guid: str) -> bool:
        return False


class Cleanups(Protocol):
    """Clean-up commands to hosts (`mgmt.imports.cleanup.HostCleanups`)."""

    def send(self, host_id: int, what: str, command: Command) -> None:
        """Have a host delete something; raises CloudRuntimeError with the reason why it is not done (yet)."""
        ...


class NoCleanups:
    """No host is ever asked to clean up."""

    def send(self, host_id: int, what: str, command: Command) -> None:
        raise CloudRuntimeError("no host can be asked to clean up")


class VcenterSession(Protocol):
    """A logged-in vCenter session (`mgmt.vmware.session.VcenterSession`). Every method may raise VcenterError."""

    def find_vm(self, name: str) -> SourceVm | None: ...

    def clone_vm(self, vm: SourceVm, clone_name: str) -> SourceVm: ...

    def destroy_vm(self, name: str) -> None: ...

    def export_vm(self, name: str, directory: Callable[[], Path], stem: str, rules: ExportRules) -> None: ...

    def cancel(self) -> None:
        """End the clone, the export or the wait that another thread is in; it raises VcenterError."""
        ...


class Vcenters(Protocol):
    """What opens vCenter sessions (`mgmt.vmware.connector.VcenterConnector`)."""

    def connect(self, credentials: VcenterCredentials) -> AbstractContextManager[VcenterSession]: ...


@dataclass(frozen=True)
class ImportServices:
    """What an import works with."""

    store: Store
    providers: Providers
    settings: GlobalSettings
    journal: Journal
    redactor: Redactor
    quirks: Quirks
    agents: Agents
    vcenters: Vcenters
    staging: StagingArea = field(default_factory=NoStaging)
    cleanups: Cleanups = field(default_factory=NoCleanups)
    host_control: HostControl = field(default_factory=NoHostControl)
    import_queue: ImportQueue = field(default_factory=lambda: ImportQueue(lambda kind: None))
    faults: FaultEngine | None = None
