"""VMs on a cluster's hosts that CloudStack does not manage (import-vm 1.3).

Upstream: UnmanagedVMsManagerImpl.listUnmanagedInstances.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from mgmt.errors import AgentUnavailableError, OperationTimedOutError
from mgmt.imports.checks import check_cluster
from mgmt.imports.ports import Agents
from mgmt.protocol.commands import GetUnmanagedInstancesAnswer, GetUnmanagedInstancesCommand, UnmanagedInstanceTO
from mgmt.store.models import Cluster, Host, VmInstance

logger = logging.getLogger(__name__)

_MAINTENANCE_STATES = (
    "Maintenance",
    "PrepareForMaintenance",
    "ErrorInMaintenance",
    "ErrorInPrepareForMaintenance",
)


@dataclass(frozen=True)
class Unmanaged:
    """An unmanaged VM with the cluster and host that it is on."""

    instance: UnmanagedInstanceTO
    cluster: Cluster
    host: Host


def list_unmanaged(
    session: Session, agents: Agents, cluster_id: int, *, name: str | None = None, keyword: str | None = None
) -> list[Unmanaged]:
    """Ask every Up host of the cluster for its unmanaged VMs; a host that fails to answer counts as empty.

    `name` is the exact name passed to the hosts, `keyword` a part of the name in any case. Raises
    InvalidParameterValueError for a cluster that is missing or of another hypervisor.
    """
    check_cluster(session, cluster_id)
    cluster = session.get_one(Cluster, cluster_id)
    if cluster.allocation_state != "Enabled":
        return []
    hosts = session.scalars(
        select(Host)
        .where(
            Host.cluster_id == cluster.id,
            Host.removed.is_(None),
            Host.status == "Up",
            Host.resource_state.not_in(_MAINTENANCE_STATES),
        )
        .order_by(Host.id)
    ).all()
    managed = managed_names(session, cluster.zone_id, cluster.hypervisor_type)
    found: list[Unmanaged] = []
    for host in hosts:
        for instance in _ask(agents, host, name, managed):
            if not keyword or keyword.lower() in (instance.name or "").lower():
                found.append(Unmanaged(instance, cluster, host))
    return found


def managed_names(session: Session, zone_id: int, hypervisor_type: str) -> list[str]:
    """The instance names of the VMs that CloudStack runs itself."""
    return list(
        session.scalars(
            select(VmInstance.instance_name)
            .where(
                VmInstance.zone_id == zone_id,
                VmInstance.hypervisor_type == hypervisor_type,
                VmInstance.removed.is_(None),
            )
            .order_by(VmInstance.id)
        )
    )


def _ask(agents: Agents, host: Host, name: str | None, managed: list[str]) -> list[UnmanagedInstanceTO]:
    command = GetUnmanagedInstancesCommand(instanceName=name, managedInstancesNames=managed)
    try:
        answer = agents.send(host.id, command)
    except (AgentUnavailableError, OperationTimedOutError) as error:
        logger.warning("host %s did not list its unmanaged instances: %s", host.name, error.text)
        return []
    if not isinstance(answer, GetUnmanagedInstancesAnswer) or not answer.result:
        logger.warning("host %s could not list its unmanaged instances: %s", host.name, answer.details)
        return []
    return list((answer.unmanagedInstances or {}).values())
