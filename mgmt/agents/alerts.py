"""Alerts about hosts, in CloudStack's words.

Upstream: server/.../alert/AlertManagerImpl.java, AlertService.AlertType, AgentManagerImpl.handleDisconnect*,
HighAvailabilityManagerImpl.scheduleRestart*.
"""

from __future__ import annotations

import json

from sqlalchemy.orm import Session

from mgmt.providers import Providers
from mgmt.store.models import Alert, Host

HOST = (7, "ALERT.COMPUTE.HOST")
USER_VM = (8, "ALERT.USERVM")
ROUTING = (11, "ALERT.NETWORK.ROUTING")
CERTIFICATE = (31, "ALERT.CA.CERT")


def record_alert(
    session: Session, providers: Providers, kind: tuple[int, str], subject: str, *, zone_id: int | None
) -> None:
    """Write an alert; `subject` is what listAlerts shows as its description."""
    type_, name = kind
    session.add(
        Alert(
            uuid=providers.stream(subject).ids.uuid(),  # of several hosts at one time, any may be the first
            type=type_,
            name=name,
            description=subject,
            zone_id=zone_id,
            sent=providers.utcnow(),
        )
    )


def host_text(host: Host) -> str:
    """The host as Java's `HostVO.toString` writes it into texts."""
    fields = {"id": host.id, "name": host.name, "type": host.type, "uuid": host.uuid}
    return "Host " + json.dumps(fields, separators=(",", ":"), ensure_ascii=False)


def host_place(host: Host) -> str:
    """The host with its zone and pod, as alerts name it."""
    pod = host.pod.name if host.pod is not None else "NO POD"
    return f"name: {host.name} (id:{host.uuid}), availability zone: {host.zone.name}, pod: {pod}"
