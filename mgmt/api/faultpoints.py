"""Where API calls and jobs ask whether something is to go wrong."""

from __future__ import annotations

from mgmt.commands.services import Services
from mgmt.faults import meeting


def meet(services: Services, point: str, command: str, vm: object) -> None:
    """Pass the point `api` or `job`; raises the error that a fault wants the caller to get. May wait."""
    if services.faults is not None:
        meeting.meet(services.faults, services.providers.clock, point, {"command": command, "vm": vm})
