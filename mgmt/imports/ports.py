"""The small interfaces through which an import reaches agents and vCenters, so that a test can hand in doubles."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from mgmt.errors import CloudRuntimeError
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
    from mgmt.vmware.export import ExportRules  # brings pyvmomi's type tables


class Agents(Protocol):
    """The agent edge (`mgmt.agents.manager.AgentManager`)."""

    def send(self, host_id: int, command: Command, *, wait_s: int | None = None) -> Answer:
        """The host's answer; raises AgentUnavailableError or OperationTimedOutError."""
        ...


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
