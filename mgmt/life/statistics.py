"""The last look at a VM's disk and network figures before it stops, restarts or moves.

Nothing is counted here: hosts are asked because a real server asks them, and an answer of any kind will do. Upstream:
UserVmManagerImpl.collectVmDiskStatistics, collectVmNetworkStatistics.
"""

from __future__ import annotations

import logging

from mgmt.errors import AgentUnavailableError, OperationTimedOutError
from mgmt.life.ports import LifeServices
from mgmt.protocol.commands import GetVmDiskStatsCommand, GetVmNetworkStatsCommand
from mgmt.store.models import Host

logger = logging.getLogger(__name__)


def collect(services: LifeServices, host_id: int, instance_name: str) -> None:
    """Ask the host for the figures of a VM; a failure is only logged."""
    with services.store.session() as session:
        host = session.get_one(Host, host_id)
        guid, name = host.guid, host.name
    for kind in (GetVmDiskStatsCommand, GetVmNetworkStatsCommand):
        try:
            services.agents.send(host_id, kind(vmNames=[instance_name], hostGuid=guid, hostName=name))
        except (AgentUnavailableError, OperationTimedOutError) as error:
            logger.warning("no statistics of %s from host %s: %s", instance_name, name, error.text)
