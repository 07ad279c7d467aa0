"""Where API calls and jobs ask whether something is to go wrong."""

from __future__ import annotations

from mgmt.commands.services import Services
from mgmt.errors import ServerApiError


def meet(services: Services, point: str, command: str, vm: object) -> None:
    """Pass the point `api` or `job`; raises the error that a fault wants the caller to get. May wait."""
    if services.faults is None:
        return
    for effect in services.faults.hit(point, {"command": command, "vm": vm}):
        if effect.kind == "delay":
            services.providers.clock.sleep(effect.args["for_s"])
        elif effect.kind == "error":
            raise ServerApiError(effect.args.get("code", 530), effect.args["text"])
        else:
            raise ValueError(f"a call cannot do {effect.kind!r}")
