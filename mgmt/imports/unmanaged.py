"""VMs on a cluster's hosts that CloudStack does not manage (import-vm 1.3).

Upstream: UnmanagedVMsManagerImpl.listUnmanagedInstances.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from mgmt.errors import AgentUnavailableError, OperationTimedOutError
from mgmt.imports.checks import check_cluster
from mgmt.imports.ports import Agents
from mgmt.imports.trace import Trace
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
    check_cluster(session, cluster_id, Trace())
    cluster = session.get_one(Cluster, cluster_id)
    if cluster.allocation_state != "Enabled":
        return []
    hosts = _hosts_to_ask(session, cluster.id)
    managed = managed_names(session, [host.id for host in hosts])
    found: list[Unmanaged] = []
    for host in hosts:
        for instance in _ask(agents, host, name, managed):
            if not keyword or keyword.lower() in (instance.name or "").lower():
                found.append(Unmanaged(instance, cluster, host))
    return found


def find_unmanaged(
    session: Session, agents: Agents, cluster_id: int, name: str
) -> tuple[UnmanagedInstanceTO, int] | None:
    """The VM of exactly that name with the number of its host: hosts are asked one after the other until one has it."""
    hosts = _hosts_to_ask(session, cluster_id)
    managed = managed_names(session, [host.id for host in hosts])
    for host in hosts:
        for instance in _ask(agents, host, name, managed):
            if instance.name == name:
                return instance, host.id
    return None


def _hosts_to_ask(session: Session, cluster_id: int) -> Sequence[Host]:
    return session.scalars(
        select(Host)
        .where(
            Host.cluster_id == cluster_id,
            Host.removed.is_(None),
            Host.status == "Up",
            Host.resource_state.not_in(_MAINTENANCE_STATES),
        )
        .order_by(Host.id)
    ).all()


def managed_names(session: Session, host_ids: Sequence[int]) -> list[str]:
    """The instance names of the VMs that are on one of the hosts, or were there last."""
    return list(
        session.scalars(
            select(VmInstance.instance_name)
            .where(
                or_(VmInstance.host_id.in_(host_ids), VmInstance.last_host_id.in_(host_ids)),
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
