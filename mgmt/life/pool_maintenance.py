"""Maintenance of primary storage: the VMs on a pool are stopped, and started again when it ends.

Upstream: StorageManagerImpl (preparePrimaryStorageForMaintenance, cancelPrimaryStorageForMaintenance),
StoragePoolAutomationImpl.
"""

from __future__ import annotations

import logging

from sqlalchemy import select
from sqlalchemy.orm import Session

from mgmt.agents.pools import modify_pool_command, unmount_pool_command
from mgmt.errors import CloudError, CloudRuntimeError, InvalidParameterValueError
from mgmt.inventory.lookup import get_live
from mgmt.inventory.vm_states import VmState
from mgmt.life.pools import ask, hosts_of_pool
from mgmt.life.ports import LifeServices
from mgmt.life.start import Place, start_locked
from mgmt.life.stop import stop_locked
from mgmt.quirks import POOL_STAYS_UNMOUNTED
from mgmt.store.models import StoragePool, VmInstance, Volume

logger = logging.getLogger(__name__)

_ACTIVE = (VmState.RUNNING, VmState.STARTING, VmState.STOPPING)


def enable_maintenance(services: LifeServices, pool_id: int) -> None:
    """Unmount a pool from its hosts and stop the VMs that have volumes on it: Maintenance.

    Raises InvalidParameterValueError when the pool is in no state for that, and CloudRuntimeError when something
    fails: ErrorInMaintenance.
    """
    with services.store.session() as session:
        pool = get_live(session, StoragePool, pool_id)
        if pool is None:
            raise InvalidParameterValueError(
                "Unable to obtain lock on the storage pool record in preparePrimaryStorageForMaintenance()"
            )
        if pool.status not in ("Up", "ErrorInMaintenance"):
            raise InvalidParameterValueError(
                f"Primary storage with id {pool_id} is not ready for migration, as the status is:{pool.status}"
            )
    try:
        _empty(services, pool_id)
    except CloudError as error:
        with services.store.session() as session:
            session.get_one(StoragePool, pool_id).status = "ErrorInMaintenance"
        raise CloudRuntimeError(error.text) from error
    with services.store.session() as session:
        session.get_one(StoragePool, pool_id).status = "Maintenance"


def interrupted(session: Session) -> None:
    """A server that went away while it emptied pools: they are in ErrorInMaintenance, from where both ways are open.

    Upstream: StorageManagerImpl.onManagementNodeLeft.
    """
    statement = select(StoragePool).where(StoragePool.status == "PrepareForMaintenance", StoragePool.removed.is_(None))
    for pool in session.scalars(statement):
        pool.status = "ErrorInMaintenance"


def _empty(services: LifeServices, pool_id: int) -> None:
    with services.store.session() as session:
        pool = session.get_one(StoragePool, pool_id)
        _check_alone(session, pool)
        host_ids = [host.id for host in hosts_of_pool(session, pool, only_enabled=pool.scope == "ZONE")]
        if not host_ids:
            return
        pool.status = "PrepareForMaintenance"
        unmount = unmount_pool_command(pool)
        vm_ids = _vms_on(session, pool_id)
    for host_id in host_ids:
        answer = ask(services, host_id, unmount)
        if answer is None or not answer.result:
            logger.warning("host %d did not unmount pool %d: %s", host_id, pool_id, answer and answer.details)
    for vm_id in vm_ids:
        with services.work.on(vm_id):
            stop_locked(services, vm_id, forced=False)
        services.work.stopped_for_pool.setdefault(pool_id, []).append(vm_id)


def _check_alone(session: Session, pool: StoragePool) -> None:
    others = select(StoragePool.id).where(
        StoragePool.zone_id == pool.zone_id,
        StoragePool.scope == pool.scope,
        StoragePool.cluster_id.is_(None) if pool.cluster_id is None else StoragePool.cluster_id == pool.cluster_id,
        StoragePool.status == "PrepareForMaintenance",
        StoragePool.removed.is_(None),
    )
    other_id = session.scalar(others.limit(1))
    if other_id is not None:
        raise CloudRuntimeError(
            f"Only one storage pool in a cluster can be in PrepareForMaintenance mode, {other_id} is already in  "
            "PrepareForMaintenance mode "
        )


def _vms_on(session: Session, pool_id: int) -> list[int]:
    statement = (
        select(VmInstance.id)
        .join(Volume, Volume.vm_id == VmInstance.id)
        .where(Volume.pool_id == pool_id, Volume.removed.is_(None))
        .where(VmInstance.state.in_(_ACTIVE), VmInstance.removed.is_(None))
        .distinct()
        .order_by(VmInstance.id)
    )
    return list(session.scalars(statement))


def cancel_maintenance(services: LifeServices, pool_id: int) -> None:
    """Mount the pool on its hosts again and start the VMs that its maintenance stopped: Up.

    A host that cannot mount it, and a VM that does not start, are only logged.
    """
    with services.store.session() as session:
        pool = get_live(session, StoragePool, pool_id)
        if pool is None:
            raise InvalidParameterValueError(
                "Unable to obtain lock on the storage pool in cancelPrimaryStorageForMaintenance()"
            )
        if pool.status in ("Up", "PrepareForMaintenance"):
            raise CloudRuntimeError(
                f"Resource [StoragePool:{pool_id}] is unreachable: Primary storage with id {pool_id} is not ready to "
                f"complete migration, as the status is:{pool.status}"
            )
        if not services.quirks.is_faithful(POOL_STAYS_UNMOUNTED):
            # Before hosts are looked for: one that comes Up from now on is seen to by PoolMounts.
            pool.status = "Up"
            services.work.remounted_pools.add(pool_id)
    with services.store.session() as session:
        pool = session.get_one(StoragePool, pool_id)
        host_ids = [host.id for host in hosts_of_pool(session, pool, only_enabled=pool.scope == "ZONE")]
        mount = modify_pool_command(pool)
    for host_id in host_ids:
        answer = ask(services, host_id, mount)
        if answer is None or not answer.result:
            logger.warning("host %d did not mount pool %d: %s", host_id, pool_id, answer and answer.details)
    with services.store.session() as session:
        session.get_one(StoragePool, pool_id).status = "Up"
    for vm_id in services.work.stopped_for_pool.pop(pool_id, []):
        try:
            with services.work.on(vm_id):
                start_locked(services, vm_id, Place())
        except CloudError as error:
            logger.warning("VM %d was not started after the maintenance of pool %d: %s", vm_id, pool_id, error.text)
