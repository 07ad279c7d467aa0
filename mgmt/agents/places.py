"""Where a host belongs: the zone, pod and cluster that its agent names, or the text that refuses it.

Upstream: ResourceManagerImpl.java (createHostVO, fillRoutingHostVO) and LibvirtServerDiscoverer.java.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from sqlalchemy import bindparam, func, select
from sqlalchemy.orm import Session

from mgmt.protocol.commands import StartupRoutingCommand
from mgmt.providers import Providers
from mgmt.store.models import Cluster, Host, HostDetail, Pod, Zone

P = TypeVar("P", Zone, Pod, Cluster)
T = TypeVar("T")

DEFAULT_PLACE = "default"

_ZONES, _PODS, _CLUSTERS, _HOSTS = Zone.__table__, Pod.__table__, Cluster.__table__, Host.__table__
_DETAILS = HostDetail.__table__
# Built once, and asked in one go, for hundreds of agents come at a time: a name goes before a number.
_ZONE = func.coalesce(
    select(_ZONES.c.id)
    .where(_ZONES.c.name == bindparam("zone_name"), _ZONES.c.removed.is_(None))
    .order_by(_ZONES.c.id)
    .limit(1)
    .scalar_subquery(),
    bindparam("zone_number"),
)
_OTHER_PODS = _PODS.alias()
_POD = func.coalesce(
    select(_OTHER_PODS.c.id)
    .where(
        _OTHER_PODS.c.name == bindparam("pod_name"),
        _OTHER_PODS.c.zone_id == _ZONES.c.id,
        _OTHER_PODS.c.removed.is_(None),
    )
    .order_by(_OTHER_PODS.c.id)
    .limit(1)
    .correlate(_ZONES)
    .scalar_subquery(),
    bindparam("pod_number"),
)
_PLACES = (
    select(
        _ZONES.c.id.label("zone_id"),
        _ZONES.c.local_storage_enabled,
        _PODS.c.id.label("pod_id"),
        _CLUSTERS.c.id.label("cluster_id"),
        _CLUSTERS.c.name,
        _CLUSTERS.c.uuid,
        _CLUSTERS.c.hypervisor_type,
        _CLUSTERS.c.arch,
    )
    .where(
        _ZONES.c.id == _ZONE,
        _ZONES.c.removed.is_(None),
        _PODS.c.zone_id == _ZONES.c.id,
        _PODS.c.id == _POD,
        _PODS.c.removed.is_(None),
        _CLUSTERS.c.removed.is_(None),
    )
    .order_by(_CLUSTERS.c.id)
    .limit(1)
)
_IN_NAMED_CLUSTER = _PLACES.where(_CLUSTERS.c.name == bindparam("cluster_name"), _CLUSTERS.c.pod_id == _PODS.c.id)
_IN_NUMBERED_CLUSTER = _PLACES.where(_CLUSTERS.c.id == bindparam("cluster_number"), _CLUSTERS.c.zone_id == _ZONES.c.id)
_NO_NUMBER = -1
_OTHER_OS = (
    select(_DETAILS.c.value)
    .join(_HOSTS, _HOSTS.c.id == _DETAILS.c.host_id)
    .where(_HOSTS.c.cluster_id == bindparam("in_cluster"), _HOSTS.c.removed.is_(None), _DETAILS.c.name == "Host.OS")
    .order_by(_HOSTS.c.id)
    .limit(1)
)


class Refusal(Exception):
    """The agent is not welcome; the text is what it gets as `_details`, Java exception class included."""

    def __init__(self, text: str, java_class: str = "java.lang.IllegalArgumentException") -> None:
        super().__init__(f"{java_class}: {text}")


@dataclass(frozen=True)
class Place:
    """A cluster with the zone and pod around it, by internal numbers."""

    zone_id: int
    local_storage_enabled: bool
    pod_id: int
    cluster_id: int
    name: str
    uuid: str
    hypervisor_type: str
    arch: str


def known_already(session: Session, key: tuple[object, ...], read: Callable[..., T], *args: object) -> T:
    """What `read(*args)` gave for `key` in this transaction, which may admit dozens of hosts to one place."""
    known: dict[tuple[object, ...], T] = session.info.setdefault("known to admissions", {})
    if key not in known:
        known[key] = read(*args)
    return known[key]


def place_of(session: Session, providers: Providers, startup: StartupRoutingCommand) -> Place:
    """The place that an agent names, if the host may stand there; raises Refusal.

    A cluster name that the pod does not have makes an empty cluster, which stays.
    """
    words = ("place", startup.dataCenter, startup.pod, startup.cluster)
    place = known_already(session, words, _known, session, startup) or _searched(session, providers, startup)
    _check_cluster(session, startup, place)
    return place


def _known(session: Session, startup: StartupRoutingCommand) -> Place | None:
    """The place that an agent names, when all three are there by name or number."""
    if startup.dataCenter == startup.pod == DEFAULT_PLACE:
        return None
    wanted: dict[str, str | int | None] = {
        "zone_name": startup.dataCenter,
        "zone_number": _number(startup.dataCenter),
        "pod_name": startup.pod,
        "pod_number": _number(startup.pod),
    }
    cluster_number = _number(startup.cluster)
    if cluster_number == _NO_NUMBER:
        statement = _IN_NAMED_CLUSTER
        wanted["cluster_name"] = startup.cluster
    else:
        statement = _IN_NUMBERED_CLUSTER
        wanted["cluster_number"] = cluster_number
    row = session.connection().execute(statement, wanted).first()
    return None if row is None else Place(*row)


def _number(text: str | None) -> int:
    return int(text) if text and text.isdecimal() else _NO_NUMBER


def _searched(session: Session, providers: Providers, startup: StartupRoutingCommand) -> Place:
    zone, pod = _zone_and_pod(session, startup)
    cluster = _cluster(session, providers, startup, zone, pod)
    return Place(
        zone.id,
        zone.local_storage_enabled,
        pod.id,
        cluster.id,
        cluster.name,
        cluster.uuid,
        cluster.hypervisor_type,
        cluster.arch,
    )


def _zone_and_pod(session: Session, startup: StartupRoutingCommand) -> tuple[Zone, Pod]:
    if startup.dataCenter == DEFAULT_PLACE and startup.pod == DEFAULT_PLACE:
        for pod in session.scalars(select(Pod).where(Pod.removed.is_(None)).order_by(Pod.id)):
            if _pod_holds(pod, startup.privateIpAddress):
                return pod.zone, pod
    zone = _by_name_or_id(session, Zone, startup.dataCenter)
    if zone is None:
        raise Refusal(f"Host {_java(startup.privateIpAddress)} sent incorrect data center: {_java(startup.dataCenter)}")
    found = _by_name_or_id(session, Pod, startup.pod, zone_id=zone.id)
    if found is None:
        raise Refusal(f"Host {_java(startup.privateIpAddress)} sent incorrect pod, pod id is null")
    return zone, found


def _pod_holds(pod: Pod, address: str | None) -> bool:
    try:
        network = ipaddress.ip_network(f"{pod.gateway}/{pod.netmask}", strict=False)
        return address is not None and ipaddress.ip_address(address) in network
    except ValueError:
        return False


def _by_name_or_id(session: Session, model: type[P], text: str | None, **where: int) -> P | None:
    """The row of that name, else of that internal number; a uuid is not understood."""
    if not text:
        return None
    base = select(model).where(model.removed.is_(None)).filter_by(**where)
    found = session.scalar(base.where(model.name == text))
    if found is None and text.isdecimal():
        found = session.scalar(base.where(model.id == int(text)))
    return found


def _cluster(session: Session, providers: Providers, startup: StartupRoutingCommand, zone: Zone, pod: Pod) -> Cluster:
    """The cluster by number or by name in the pod; an unknown name makes an empty cluster row, which stays."""
    text = startup.cluster
    cluster = None
    if text and text.isdecimal():
        cluster = session.scalar(
            select(Cluster).where(Cluster.id == int(text), Cluster.zone_id == zone.id, Cluster.removed.is_(None))
        )
    if cluster is None and text:
        cluster = _by_name_or_id(session, Cluster, text, pod_id=pod.id)
    if cluster is not None:
        return cluster
    if not text or text.isdecimal():
        raise Refusal(f"cannot add host, due to can't find cluster: {_java(text)}")
    cluster = Cluster(uuid=providers.ids.uuid(), name=text, zone_id=zone.id, pod_id=pod.id, hypervisor_type="None")
    session.add(cluster)
    session.commit()  # the refusal that follows must not take the row back: upstream leaves it behind
    return cluster


def _check_cluster(session: Session, startup: StartupRoutingCommand, cluster: Place) -> None:
    if cluster.hypervisor_type != "KVM":
        shown = f'Cluster {{id: "{cluster.cluster_id}", name: "{cluster.name}", uuid: "{cluster.uuid}"}}'
        raise Refusal(
            f"Can't add host whose hypervisor type is: {startup.hypervisorType} into cluster: {shown} "
            f"whose hypervisor type is: {cluster.hypervisor_type}"
        )
    host_os = startup.hostDetails.get("Host.OS")
    other_os = session.info.get(("system of", cluster.cluster_id))
    if other_os is None:
        other_os = session.connection().execute(_OTHER_OS, {"in_cluster": cluster.cluster_id}).scalar()
        session.info[("system of", cluster.cluster_id)] = other_os
    if other_os is not None and other_os != host_os:
        raise Refusal(
            f'Can\'t add host: {_java(startup.privateIpAddress)} with hostOS, "{_java(host_os)}"into a cluster, '
            f'in which there are "{other_os}" hosts added.'
        )
    if startup.cpuArch is not None and startup.cpuArch != cluster.arch:
        raise Refusal(f"Can't add a host whose arch is: {startup.cpuArch} into cluster of arch type: {cluster.arch}")


def _java(value: str | None) -> str:
    return "null" if value is None else value
