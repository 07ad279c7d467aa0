"""What CloudStack does over SSH when a KVM host is added: set the agent up with its place and start it.

A host that cannot be reached like that cannot be added. Embedded hosts can, see `mgmt.embedded`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Place:
    """Where a new host belongs, as its agent.properties will say: internal numbers as texts, as CloudStack writes."""

    zone: str
    pod: str
    cluster: str


class HostSetup(Protocol):
    """Reaches hosts by their address."""

    def set_up(self, address: str, username: str, password: str | None, place: Place) -> str | None:
        """Set up and start the agent of the host at `address`: its full guid, None when there is no such host."""
        ...


class NoHostSetup:
    """A server that can reach no host over SSH."""

    def set_up(self, address: str, username: str, password: str | None, place: Place) -> str | None:
        """Reach no host."""
        return None
