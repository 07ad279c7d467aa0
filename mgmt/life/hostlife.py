"""What administrators do to a host beside maintenance: connect it anew, give it up, delete it.

Upstream: ResourceManagerImpl (reconnectHost, declareHostAsDegraded, cancelHostAsDegraded, doDeleteHost),
AgentManagerImpl.reconnect, LibvirtServerDiscoverer.deleteHost, HighAvailabilityManagerImpl.scheduleRestart.
"""

from __future__ import annotations

import logging
from collections.abc import Collection

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from mgmt.agents.alerts import HOST, USER_VM, host_place, host_text, record_alert
from mgmt.agents.pools import unmount_pool_command
from mgmt.errors import INTERNAL_ERROR, CloudError, CloudRuntimeError, InvalidParameterValueError, ServerApiError
from mgmt.inventory.lookup import get_live
from mgmt.inventory.resource_states import NoTransitionError, ResourceEvent, ResourceState, move_resource
from mgmt.inventory.vm_states import VmState
from mgmt.life.pools import ask
from mgmt.life.ports import LifeServices
from mgmt.life.stop import stop_locked
from mgmt.store.models import Host, HostDetail, StoragePool, VmInstance, Volume

logger = logging.getLogger(__name__)

_RECONNECTABLE = ("Up", "Alert", "Rebalancing")
_DELETABLE = (ResourceState.MAINTENANCE, ResourceState.DEGRADED)
_ALIVE = (VmState.STARTING, VmState.RUNNING, VmState.STOPPING, VmState.MIGRATING)


def reconnect(services: LifeServices, host_id: int) -> None:
    """Close a host's link; its agent will connect anew. Nothing happens to a host that is Disconnected."""
    with services.store.session() as session:
        host = _known(session, host_id)
        text, status = host_text(host), host.status
    if status == "Disconnected":
        return
    if status not in _RECONNECTABLE:
        reason = f"it is not in the correct state: host={text}; Status={status}"
    elif services.agents.disconnect(host_id, "reconnectHost"):
        return
    else:
        reason = f"it is not connected to this server: {text}"
    raise ServerApiError(INTERNAL_ERROR, f"Unable to disconnect host because {reason}")


def declare_degraded(services: LifeServices, host_id: int) -> None:
    """Give up a host that is lost for good: Degraded; its VMs count as stopped."""
    with services.store.session() as session:
        host = get_live(session, Host, host_id)
        if host is None:
            raise InvalidParameterValueError(f"Host [id:{host_id}] does not exist.")
        if host.resource_state == ResourceState.DEGRADED:
            raise _not_declared(f"Host ({host_text(host)}) was already marked as Degraded.")
        if host.status not in ("Alert", "Disconnected"):
            raise InvalidParameterValueError(
                f"Cannot perform declare host ({host_text(host)}) as 'Degraded' when host is in {host.status} status"
            )
        try:
            move_resource(host, ResourceEvent.DECLARE_HOST_DEGRADED)
        except NoTransitionError as error:
            raise _not_declared(str(error)) from None
    stop_lost_vms(services, host_id)


def _not_declared(reason: str) -> ServerApiError:
    return ServerApiError(INTERNAL_ERROR, f"Failed to declare host as Degraded due to: {reason}")


def cancel_degraded(services: LifeServices, host_id: int) -> None:
    """Enable a host that was declared Degraded."""
    with services.store.session() as session:
        host = get_live(session, Host, host_id)
        if host is None:
            raise InvalidParameterValueError(f"Host (null) with id {host_id} does not exist")
        if host.resource_state != ResourceState.DEGRADED:
            raise ServerApiError(
                INTERNAL_ERROR,
                f"Failed to cancel host as Degraded due to: Cannot perform cancelHostAsDegraded on host "
                f"({host_text(host)}) when host is in {host.resource_state} state",
            )
        move_resource(host, ResourceEvent.ENABLE_DEGRADED_HOST)


def host_went_down(services: LifeServices, host_id: int) -> None:
    """A host is Down: an alert, and its VMs count as stopped. There is no high availability that restarts them."""
    with services.store.session() as session:
        host = session.get_one(Host, host_id)
        subject = f"Host is down, {host_place(host)}"
        record_alert(session, services.providers, HOST, subject, zone_id=host.zone_id)
    stop_lost_vms(services, host_id)


def stop_lost_vms(services: LifeServices, host_id: int) -> None:
    """The VMs of a host that is lost are Stopped, with an alert each."""
    with services.store.session() as session:
        host = session.get_one(Host, host_id)
        vm_ids = _vm_ids(session, host_id, _ALIVE)
        for vm in session.scalars(select(VmInstance).where(VmInstance.id.in_(vm_ids))):
            where = f"id:{host.id}, availability zone id:{vm.zone_id}, pod id:{host.pod_id}"
            text = f"VM (name: {vm.name}, id: {vm.id}) stopped unexpectedly on host {where}"
            record_alert(session, services.providers, USER_VM, text, zone_id=vm.zone_id)
    _stop(services, vm_ids)


def _stop(services: LifeServices, vm_ids: Collection[int]) -> None:
    for vm_id in vm_ids:
        try:
            with services.work.on(vm_id):
                stop_locked(services, vm_id, forced=True)
        except CloudError as error:
            logger.warning("VM %d of a lost host was not stopped: %s", vm_id, error.text)


def delete_host(services: LifeServices, host_id: int, *, forced: bool, destroys_local_storage: bool) -> None:
    """Remove a host that is in maintenance or degraded, or any with `forced`; its agent is told to stop.

    With `destroys_local_storage` its local pools and their volumes' records go too: upstream puts those pools into
    maintenance first, which asks every host of the cluster to take them off.
    """
    with services.store.session() as session:
        host = _known(session, host_id)
        if host.resource_state not in _DELETABLE and not forced:
            raise CloudRuntimeError(
                f"Host with UUID [{host.uuid}] is not in maintenance mode and no forced deletion was requested."
            )
        vm_ids = _vm_ids(session, host_id, _ALIVE)
    _stop(services, vm_ids)
    if destroys_local_storage:
        _unmount_local_pools(services, host_id)
    services.agents.remove(host_id)
    with services.store.session() as session:
        _forget(session, services, session.get_one(Host, host_id), destroys_local_storage=destroys_local_storage)


def _unmount_local_pools(services: LifeServices, host_id: int) -> None:
    with services.store.session() as session:
        pools = list(
            session.scalars(select(StoragePool).where(StoragePool.host_id == host_id, StoragePool.removed.is_(None)))
        )
        orders = [
            (other.id, unmount_pool_command(pool))
            for pool in pools
            for other in session.scalars(
                select(Host)
                .where(Host.cluster_id == pool.cluster_id, Host.removed.is_(None), Host.status == "Up")
                .order_by(Host.id)
            )
        ]
    for other_id, command in orders:
        answer = ask(services, other_id, command)
        if answer is None or not answer.result:
            logger.warning("host %d did not take a local pool off: %s", other_id, answer and answer.details)


def _forget(session: Session, services: LifeServices, host: Host, *, destroys_local_storage: bool) -> None:
    now = services.providers.utcnow()
    host.removed = now
    host.status = "Removed"
    host.guid = None
    host.cluster_id = None
    host.host_tags = None
    try:
        move_resource(host, ResourceEvent.DELETE_HOST)
    except NoTransitionError as error:
        logger.debug("host %s: %s", host.name, error)
    session.execute(delete(HostDetail).where(HostDetail.host_id == host.id))
    for vm in session.scalars(select(VmInstance).where(VmInstance.host_id == host.id, VmInstance.removed.is_(None))):
        vm.state, vm.host_id = VmState.STOPPED, None
    if not destroys_local_storage:
        return
    for pool in session.scalars(select(StoragePool).where(StoragePool.host_id == host.id)):
        for volume in session.scalars(select(Volume).where(Volume.pool_id == pool.id, Volume.removed.is_(None))):
            volume.state, volume.removed = "Destroy", now
        pool.removed, pool.cluster_id = now, None


def _known(session: Session, host_id: int) -> Host:
    host = get_live(session, Host, host_id)
    if host is None:
        raise InvalidParameterValueError(f"Host with id {host_id} doesn't exist")
    return host


def _vm_ids(session: Session, host_id: int, states: Collection[VmState]) -> list[int]:
    statement = select(VmInstance.id).where(
        VmInstance.host_id == host_id, VmInstance.state.in_(states), VmInstance.removed.is_(None)
    )
    return list(session.scalars(statement.order_by(VmInstance.id)))
