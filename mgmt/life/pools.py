"""Primary storage pools: making them on the hosts, changing and deleting them.

Upstream: StorageManagerImpl (createPool, updateStoragePool, deletePool), CloudStackPrimaryDataStoreLifeCycleImpl,
DefaultHostListener.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from mgmt.agents.alerts import HOST, record_alert
from mgmt.agents.pools import modify_pool_command
from mgmt.errors import (
    AgentUnavailableError,
    CloudRuntimeError,
    InvalidParameterValueError,
    OperationTimedOutError,
)
from mgmt.inventory.lookup import get_live
from mgmt.life.hosts import reaches
from mgmt.life.pool_urls import PoolAddress, parse_pool_url
from mgmt.life.ports import LifeServices
from mgmt.protocol.commands import (
    CreateStoragePoolCommand,
    DeleteStoragePoolCommand,
    ModifyStoragePoolAnswer,
    ModifyStoragePoolCommand,
)
from mgmt.protocol.records import Answer, Command
from mgmt.store.models import Cluster, Host, StoragePool, Volume, Zone

logger = logging.getLogger(__name__)

_ZONE_HYPERVISORS = ("KVM", "VMware", "Hyperv", "LXC", "Any")
_DESTROYED = ("Destroy", "Expunging", "Expunged")


@dataclass(frozen=True)
class NewPool:
    """What createStoragePool asks for; the URL may hold a secret and is in no text."""

    name: str
    url: str
    zone_id: int
    pod_id: int | None
    cluster_id: int | None
    scope: str | None
    hypervisor: str | None
    tags: str | None
    is_tag_a_rule: bool

    def __repr__(self) -> str:
        return f"NewPool({self.name})"


def create_pool(services: LifeServices, new: NewPool) -> int:
    """Make the pool on the hosts that are to have it, and record it; its number.

    Raises InvalidParameterValueError and CloudRuntimeError with CloudStack's texts; nothing is left behind then.
    """
    with services.store.session() as session:
        scope, cluster_id, pod_id, hypervisor = _scope(session, new)
    try:
        address = parse_pool_url(new.url)
        if address.user_info is not None:
            services.redactor.register(address.user_info)
            services.redactor.register(address.user_info.partition(":")[2])
        with services.store.session() as session:
            _check_unused(session, address)
            pool = StoragePool(
                uuid=address.uuid or services.providers.ids.uuid(),
                name=new.name,
                pool_type=address.pool_type,
                scope=scope,
                zone_id=new.zone_id,
                pod_id=pod_id,
                cluster_id=cluster_id,
                hypervisor=hypervisor,
                host_address=address.host,
                path=address.path,
                port=address.port,
                user_info=address.user_info,
                status="Initialized",
                tags=new.tags or None,
                is_tag_a_rule=new.is_tag_a_rule,
                created=services.providers.utcnow(),
            )
            session.add(pool)
            session.flush()
            pool_id = pool.id
        try:
            _attach(services, pool_id)
        except BaseException:
            with services.store.session() as session:
                session.delete(session.get_one(StoragePool, pool_id))
            raise
    except (CloudRuntimeError, InvalidParameterValueError) as error:
        raise CloudRuntimeError(f"Failed to add data store: {error.text}") from None
    return pool_id


def _scope(session: Session, new: NewPool) -> tuple[str, int | None, int | None, str]:
    """Scope, cluster, pod and hypervisor of the pool."""
    scope = (new.scope or "CLUSTER").upper()
    if scope not in ("CLUSTER", "ZONE", "HOST", "REGION", "GLOBAL"):
        raise InvalidParameterValueError(f"invalid scope for pool {new.scope}")
    zone = get_live(session, Zone, new.zone_id)
    if zone is None:
        raise InvalidParameterValueError(f"unable to find zone by id {new.zone_id}")
    if scope == "ZONE":
        if new.hypervisor is None:
            raise InvalidParameterValueError(
                "Missing parameter hypervisor. Hypervisor type is required to create zone wide primary storage."
            )
        known = next((name for name in _ZONE_HYPERVISORS if name.lower() == new.hypervisor.lower()), None)
        if known is None:
            raise InvalidParameterValueError(
                f"zone wide storage pool is not supported for hypervisor type {new.hypervisor}"
            )
        return scope, None, None, known
    if scope != "CLUSTER":
        raise InvalidParameterValueError(f"Pools of scope {scope} cannot be made: hosts report their local ones")
    if new.cluster_id is None:
        raise InvalidParameterValueError("cluster id can't be null, if scope is cluster")
    cluster = get_live(session, Cluster, new.cluster_id)
    if cluster is None:
        raise InvalidParameterValueError(f"unable to find cluster by id {new.cluster_id}")
    return scope, cluster.id, new.pod_id or cluster.pod_id, cluster.hypervisor_type


def _check_unused(session: Session, address: PoolAddress) -> None:
    pools = select(StoragePool).where(StoragePool.removed.is_(None))
    same_place = pools.where(StoragePool.host_address == address.host, StoragePool.path == address.path)
    taken = session.scalars(same_place.order_by(StoragePool.id).limit(1)).first()
    if taken is not None and address.pool_type != "SharedMountPoint":
        pod = "null" if taken.pod_id is None else taken.pod_id
        shown = f"/{address.path}" if address.pool_type == "RBD" else address.path
        raise CloudRuntimeError(f"Storage pool {shown} already in use by another pod (id={pod})")
    if address.uuid is not None and session.scalar(pools.where(StoragePool.uuid == address.uuid).limit(1)):
        raise CloudRuntimeError("Another active pool with the same uuid already exists")


def _attach(services: LifeServices, pool_id: int) -> None:
    with services.store.session() as session:
        pool = session.get_one(StoragePool, pool_id)
        is_zone_wide = pool.scope == "ZONE"
        host_ids = [host.id for host in hosts_of_pool(session, pool, only_enabled=is_zone_wide)]
        mount = modify_pool_command(pool)
        cluster_id = pool.cluster_id
    if not is_zone_wide:
        if not host_ids:
            raise CloudRuntimeError(f"No host up to associate a storage pool with in cluster {cluster_id}")
        _make(services, host_ids[0], mount)
    connected = [_connect(services, host_id, pool_id, mount) for host_id in host_ids]
    if not any(connected):
        raise CloudRuntimeError(
            "Failed to create storage pool as it is not accessible to hosts."
            if is_zone_wide
            else "Failed to access storage pool"
        )
    with services.store.session() as session:
        session.get_one(StoragePool, pool_id).status = "Up"


def _make(services: LifeServices, host_id: int, mount: ModifyStoragePoolCommand) -> None:
    """Let one host of a cluster make the pool."""
    answer = ask(services, host_id, CreateStoragePoolCommand(add=True, pool=mount.pool, localPath=mount.localPath))
    if answer is None or not answer.result:
        reason = "CreateStoragePoolCommand returns null" if answer is None else answer.details
        raise CloudRuntimeError(f"Can not create storage pool through host {host_id} due to {reason}")


def _connect(services: LifeServices, host_id: int, pool_id: int, mount: ModifyStoragePoolCommand) -> bool:
    """Let a host mount the pool and keep the sizes that it tells; False, with an alert, when it cannot."""
    answer = ask(services, host_id, mount)
    with services.store.session() as session:
        info = answer.poolInfo if isinstance(answer, ModifyStoragePoolAnswer) and answer.result else None
        if info is not None and info.localPath is not None:
            pool = session.get_one(StoragePool, pool_id)
            pool.capacity_bytes = info.capacityBytes
            pool.used_bytes = max(info.capacityBytes - info.availableBytes, 0)
            return True
        host = session.get_one(Host, host_id)
        logger.warning("host %s cannot use pool %d: %s", host.name, pool_id, answer and answer.details)
        subject = f"Unable to attach storage pool{pool_id} to the host{host_id}"
        record_alert(session, services.providers, HOST, subject, zone_id=host.zone_id)
    return False


def hosts_of_pool(session: Session, pool: StoragePool, *, only_enabled: bool = False) -> Sequence[Host]:
    """The KVM hosts that are Up and reach the pool."""
    statement = select(Host).where(
        Host.zone_id == pool.zone_id, Host.removed.is_(None), Host.type == "Routing", Host.status == "Up"
    )
    return [
        host
        for host in session.scalars(statement.order_by(Host.id))
        if reaches(host, pool) and (not only_enabled or host.resource_state == "Enabled")
    ]


def ask(services: LifeServices, host_id: int, command: Command) -> Answer | None:
    """The host's answer, None when there is none (AgentManager.easySend)."""
    try:
        return services.agents.send(host_id, command)
    except (AgentUnavailableError, OperationTimedOutError) as error:
        logger.warning("host %d was not asked: %s", host_id, error.text)
        return None


def set_enabled(pool: StoragePool, is_enabled: bool) -> None:
    """Enable a Disabled pool, or disable one that is Up."""
    wanted, word = ("Disabled", "enabled") if is_enabled else ("Up", "disabled")
    if pool.status != wanted:
        raise InvalidParameterValueError(
            f"Primary storage with id {pool.id} cannot be {word}. Storage pool state : {pool.status}"
        )
    pool.status = "Up" if is_enabled else "Disabled"


def delete_pool(services: LifeServices, pool_id: int, *, forced: bool) -> None:
    """Delete a pool in Maintenance from its hosts and from the records.

    With `forced`, volumes that are destroyed already are not in the way.
    """
    with services.store.session() as session:
        pool = get_live(session, StoragePool, pool_id)
        if pool is None:
            raise InvalidParameterValueError(f"Unable to find pool by id {pool_id}")
        if pool.status != "Maintenance":
            raise InvalidParameterValueError(
                f"Unable to delete storage due to it is not in Maintenance state, id: {pool_id}"
            )
        _check_empty(session, pool, forced=forced)
        mount = modify_pool_command(pool)
        host_ids = [host.id for host in hosts_of_pool(session, pool)]
    command = DeleteStoragePoolCommand(_pool=mount.pool, _localPath=mount.localPath)
    answers = [ask(services, host_id, command) for host_id in host_ids]
    if answers and not any(answer is not None and answer.result for answer in answers):
        raise CloudRuntimeError("Failed to delete storage pool on host")
    with services.store.session() as session:
        pool = session.get_one(StoragePool, pool_id)
        pool.removed, pool.status = services.providers.utcnow(), "Removed"
        pool.uuid = services.providers.ids.uuid()  # a pool at the same place may be made again, with the same UUID


def _check_empty(session: Session, pool: StoragePool, *, forced: bool) -> None:
    volumes = select(Volume.id).where(Volume.pool_id == pool.id, Volume.removed.is_(None))
    if forced:
        if session.scalar(volumes.where(Volume.state.not_in(_DESTROYED)).limit(1)) is not None:
            raise CloudRuntimeError(
                f"Cannot delete pool {pool.name} as there are associated non-destroyed vols for this pool"
            )
    elif session.scalar(volumes.limit(1)) is not None:
        raise CloudRuntimeError(f"Cannot delete pool {pool.name} as there are associated volumes for this pool")
