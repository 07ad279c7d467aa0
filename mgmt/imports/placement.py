"""Where an import happens: the hosts, the temporary location and the destination pools (import-vm 2.1 rows 21-24)."""

from __future__ import annotations

from sqlalchemy import or_, select
from sqlalchemy.orm import Session, selectinload

from mgmt.imports.facts import ClusterFacts, HostFacts, ImageStoreFacts, PoolFacts
from mgmt.imports.hosts import CONVERSION_HOST, IMPORT_HOST, HostChoice
from mgmt.imports.pools import (
    DESTINATION_FIT,
    DESTINATION_POOLS,
    NFS,
    TEMPORARY_LOCATION,
    DestinationFit,
    Destinations,
    Location,
)
from mgmt.imports.ports import ImportServices
from mgmt.imports.request import ImportRequest
from mgmt.imports.trace import Trace
from mgmt.imports.vmwarechecks import VmwarePlan
from mgmt.inventory.lookup import get_live
from mgmt.store import models


def choose_hosts(
    services: ImportServices, request: ImportRequest, cluster: ClusterFacts, trace: Trace
) -> tuple[HostFacts, HostFacts]:
    """The host that converts and the host that imports; raises the errors of tables H and I."""
    with services.store.session() as session:
        usable = _usable_hosts(session, cluster)
        named = {
            host_id: HostFacts.of(row)
            for host_id in (request.convertinstancehostid, request.importinstancehostid)
            if (row := get_live(session, models.Host, host_id)) is not None
        }

    def facts(host_id: int | None, convert_host: HostFacts | None = None) -> HostChoice:
        return HostChoice(
            cluster=cluster,
            asked_id=host_id,
            asked=named.get(host_id),
            use_vddk=request.usevddk,
            cluster_hosts=usable,
            choose=services.providers.random.choice,
            convert_host=convert_host,
        )

    convert_host = trace.decide(CONVERSION_HOST, facts(request.convertinstancehostid))
    import_host = trace.decide(IMPORT_HOST, facts(request.importinstancehostid, convert_host))
    return convert_host, import_host


def _usable_hosts(session: Session, cluster: ClusterFacts) -> tuple[HostFacts, ...]:
    rows = session.scalars(
        select(models.Host)
        .where(
            models.Host.cluster_id == cluster.id,
            models.Host.removed.is_(None),
            models.Host.hypervisor_type == cluster.hypervisor_type,
        )
        .options(selectinload(models.Host.details))
        .order_by(models.Host.id)
    )
    return tuple(host for host in map(HostFacts.of, rows) if host.is_usable)


def place(
    services: ImportServices,
    request: ImportRequest,
    cluster: ClusterFacts,
    vmware: VmwarePlan,
    hosts: tuple[HostFacts, HostFacts],
    trace: Trace,
) -> tuple[PoolFacts | ImageStoreFacts, tuple[PoolFacts, ...]]:
    """The temporary location and the destination pools; raises the errors of tables T and D.

    `hosts` are the conversion and the import host.
    """
    with services.store.session() as session:
        image_store = _image_store(session, cluster)
        candidates = _destination_candidates(session, cluster)
    force = request.forceconverttopool
    location = trace.decide(TEMPORARY_LOCATION, Location(cluster, *hosts, vmware.pool, force, image_store))
    pools = trace.decide(DESTINATION_POOLS, Destinations(cluster, force, vmware.pool, candidates))
    trace.decide(DESTINATION_FIT, DestinationFit(pools, vmware.offerings, trace))
    return location, pools


def _image_store(session: Session, cluster: ClusterFacts) -> ImageStoreFacts | None:
    store = models.ImageStore
    row = session.scalar(
        select(store)
        .where(store.removed.is_(None), store.protocol == "nfs", store.zone_id == cluster.zone_id)
        .order_by(store.id)
        .limit(1)
    )
    return ImageStoreFacts.of(row) if row else None


def _destination_candidates(session: Session, cluster: ClusterFacts) -> tuple[PoolFacts, ...]:
    pool = models.StoragePool
    in_cluster = (pool.scope == "CLUSTER") & (pool.cluster_id == cluster.id)
    in_zone = (
        (pool.scope == "ZONE")
        & (pool.zone_id == cluster.zone_id)
        & or_(pool.hypervisor.is_(None), pool.hypervisor.in_(("KVM", "Any")))
    )
    rows = session.scalars(
        select(pool).where(pool.removed.is_(None), pool.pool_type == NFS, or_(in_cluster, in_zone)).order_by(pool.id)
    )
    return tuple(map(PoolFacts.of, rows))
