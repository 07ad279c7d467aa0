"""What a ping tells of its host beside the VMs: whether its gateway answers, and its own health check.

Upstream: AgentManagerImpl.AgentHandler (processRequest), ResourceManagerImpl.autoUpdateHostAllocationState.
"""

from __future__ import annotations

import logging

from sqlalchemy import select
from sqlalchemy.orm import Session

from mgmt.agents.alerts import ROUTING, host_place, record_alert
from mgmt.agents.attachment import Attachment
from mgmt.agents.core import Core
from mgmt.protocol.commands import PingRoutingCommand
from mgmt.store.models import Host, HostDetail

logger = logging.getLogger(__name__)

AUTO_SETTING = "enable.kvm.host.auto.enable.disable"
AUTO_DETAIL = "auto.enable.kvm.host"  # `false` while an administrator has disabled the host
_AFTER = {("Enabled", False): "Disabled", ("Disabled", True): "Enabled"}


class PingNews:
    """Acts on news only: what a host said in its last ping already costs nothing."""

    def __init__(self, core: Core) -> None:
        self._core = core

    def heard(self, attachment: Attachment, ping: PingRoutingCommand) -> None:
        """Take a ping's word on gateway and health."""
        if ping._gatewayAccessible != attachment.has_gateway:
            attachment.has_gateway = ping._gatewayAccessible
            if not ping._gatewayAccessible:
                self._core.spawn(self._core.db(self._gateway_lost, attachment.host_id))
        is_healthy = ping.hostHealthCheckResult
        if is_healthy is not None and is_healthy != attachment.is_healthy:
            attachment.is_healthy = is_healthy
            if (self._core.settings.get_text(AUTO_SETTING) or "").lower() == "true":
                self._core.spawn(self._core.db(_follow_health, attachment.host_id, is_healthy))

    def _gateway_lost(self, session: Session, host_id: int) -> None:
        host = session.get_one(Host, host_id)
        subject = f"Host lost connection to gateway, {host_place(host)}"
        record_alert(session, self._core.providers, ROUTING, subject, zone_id=host.zone_id)


def _follow_health(session: Session, host_id: int, is_healthy: bool) -> None:
    """Disable a host whose health check is bad, enable it when it is good, unless an administrator disabled it."""
    host = session.get_one(Host, host_id)
    detail = session.scalar(
        select(HostDetail).where(HostDetail.host_id == host_id, HostDetail.name == AUTO_DETAIL).limit(1)
    )
    after = _AFTER.get((host.resource_state, is_healthy))
    if after is None or (detail is not None and detail.value.lower() == "false"):
        return
    if detail is None:
        session.add(HostDetail(host_id=host_id, name=AUTO_DETAIL, value="true"))
    host.resource_state = after
    logger.info("host %s is now %s, as its health check says", host.name, after)
