"""A host and the link over which it is reached."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mgmt.agents.link import AgentLink
from mgmt.agents.requests import Requests
from mgmt.agents.states import Status

if TYPE_CHECKING:
    from mgmt.agents.pings import Echo


@dataclass(eq=False)
class Attachment:
    """An attached host; lives in the event loop's thread. `last_ping` is in seconds of the clock's `monotonic`.

    `settled_power` is a power report that told nothing new: the same one again would change nothing. `is_shown_up`:
    its record says Up, or is about to. `echo` knows its last ping again. `is_leaving`: it goes to
    another server, as it was told to.
    """

    host_id: int
    host_uuid: str
    host_name: str
    guid: str
    link: AgentLink
    requests: Requests
    status: Status
    maintenance: bool
    last_ping: float
    zone_id: int = 0
    pod_id: int | None = None
    cluster_id: int = 0
    investigating: bool = False
    is_shown_up: bool = False
    has_gateway: bool = True
    is_healthy: bool | None = None
    settled_power: Mapping[str, str] | None = None
    echo: Echo | None = None
    is_told_to_leave: bool = False
    is_leaving: bool = False
