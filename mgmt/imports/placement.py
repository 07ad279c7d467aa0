"""Where an import happens: the hosts, the temporary location and the destination pools (import-vm 2.1 rows 21-24)."""

from __future__ import annotations

from functools import cache
from typing import Any

from sqlalchemy import Select, bindparam, or_, select
from sqlalchemy.orm import Session

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
from mgmt.store.rows import run, table_of


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
    rows = run(session, _hosts(), {"cluster": cluster.id, "hypervisor": cluster.hypervisor_type}).all()
    details: dict[int, dict[str, str]] = {row.id: {} for row in rows}
    for detail in run(session, _host_details(), {"hosts": list(details)}):
        details[detail.host_id][detail.name] = detail.value
    found = (HostFacts.with_details(row, details[row.id]) for row in rows)
    return tuple(host for host in found if host.is_usable)


@cache
def _hosts() -> Select[Any]:
    host = table_of(models.Host).c
    names = ("id", "uuid", "name", "zone_id", "cluster_id", "type", "status", "resource_state", "hypervisor_type")
    return (
        select(*(host[name] for name in names))
        .where(
            host.cluster_id == bindparam("cluster"),
            host.removed.is_(None),
            host.hypervisor_type == bindparam("hypervisor"),
        )
        .order_by(host.id)
    )


@cache
def _host_details() -> Select[Any]:
    detail = table_of(models.HostDetail).c
    wanted = detail.host_id.in_(bindparam("hosts", expanding=True))
    return select(detail.host_id, detail.name, detail.value).where(wanted).order_by(detail.id)


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
    row = run(session, _first_image_store(), {"zone": cluster.zone_id}).first()
    return ImageStoreFacts.of(row) if row else None


@cache
def _first_image_store() -> Select[Any]:
    store = table_of(models.ImageStore)
    wanted = (store.c.removed.is_(None), store.c.protocol == "nfs", store.c.zone_id == bindparam("zone"))
    return select(store).where(*wanted).order_by(store.c.id).limit(1)


def _destination_candidates(session: Session, cluster: ClusterFacts) -> tuple[PoolFacts, ...]:
    return tuple(map(PoolFacts.of, run(session, _pools(), {"cluster": cluster.id, "zone": cluster.zone_id})))


@cache
def _pools() -> Select[Any]:
    pool = table_of(models.StoragePool)
    in_cluster = (pool.c.scope == "CLUSTER") & (pool.c.cluster_id == bindparam("cluster"))
    in_zone = (
        (pool.c.scope == "ZONE")
        & (pool.c.zone_id == bindparam("zone"))
        & or_(pool.c.hypervisor.is_(None), pool.c.hypervisor.in_(("KVM", "Any")))
    )
    wanted = (pool.c.removed.is_(None), pool.c.pool_type == NFS, or_(in_cluster, in_zone))
    return select(pool).where(*wanted).order_by(pool.c.id)
