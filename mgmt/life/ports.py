"""What the work on VMs and volumes needs; small, so that a test can hand in doubles."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from mgmt.inventory.settings import GlobalSettings
from mgmt.life.work import VmWork
from mgmt.observe.redaction import Redactor
from mgmt.protocol.records import Answer, Command
from mgmt.providers import Providers
from mgmt.quirks import Quirks
from mgmt.store.database import Store


class Agents(Protocol):
    """The agent edge (`mgmt.agents.manager.AgentManager`)."""

    def send(self, host_id: int, command: Command, *, wait_s: int | None = None) -> Answer:
        """The host's answer; raises AgentUnavailableError or OperationTimedOutError."""
        ...

    def set_maintenance(self, host_id: int, is_in_maintenance: bool) -> None:
        """Let a host have the commands of maintenance only, or all again."""
        ...

    def disconnect(self, host_id: int, reason: str) -> bool:
        """Close the host's link: it is Disconnected; False without a link."""
        ...

    def remove(self, host_id: int) -> None:
        """Let the host's agent stop and end its link: it is Removed."""
        ...


@dataclass(frozen=True)
class LifeServices:
    """What the work on VMs and volumes works with."""

    store: Store
    providers: Providers
    settings: GlobalSettings
    redactor: Redactor
    agents: Agents
    work: VmWork
    quirks: Quirks = field(default_factory=lambda: Quirks([]))
