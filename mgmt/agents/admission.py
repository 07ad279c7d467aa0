"""Who an agent is: finding or making its host record from a Startup request, or the text that refuses it.

Upstream: AgentManagerImpl.java, ResourceManagerImpl.java (createHostVO, fillRoutingHostVO) and
LibvirtServerDiscoverer.java.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from sqlalchemy import select
from sqlalchemy.orm import Session

from mgmt.agents.pools import SharedPool, save_local_pools, shared_pools
from mgmt.agents.states import Event, Status, next_status
from mgmt.protocol.commands import StartupCommand, StartupRoutingCommand, StartupStorageCommand
from mgmt.protocol.records import Command
from mgmt.providers import Providers
from mgmt.store.models import Cluster, Host, HostDetail, PhysicalNetwork, Pod, Zone

P = TypeVar("P", Zone, Pod, Cluster)

GUID_SUFFIX = "-LibvirtComputingResource"
DEFAULT_PLACE = "default"
_MAINTENANCE_STATES = frozenset({"Maintenance", "PrepareForMaintenance", "ErrorInMaintenance"})


class Refusal(Exception):
    """The agent is not welcome; the text is what it gets as `_details`, Java exception class included."""

    def __init__(self, text: str, java_class: str = "java.lang.IllegalArgumentException") -> None:
        super().__init__(f"{java_class}: {text}")


def _runtime_refusal(text: str) -> Refusal:
    return Refusal(text, "com.cloud.utils.exception.CloudRuntimeException")


@dataclass(frozen=True)
class Admitted:
    """The host that an agent stands for, now in state Connecting, and what its welcome needs to know."""

    host_id: int
    uuid: str
    name: str
    guid: str
    zone_id: int
    pod_id: int
    cluster_id: int
    arch: str
    previous_status: Status | None
    is_in_maintenance: bool
    has_default_place: bool
    connection_transferred: bool
    ms_host_list: str | None
    pools: tuple[SharedPool, ...]
    physical_network_ids: tuple[int, ...]


def host_key(guid: str | None) -> str:
    """What identifies a host whose guid may or may not carry the resource suffix."""
    return (guid or "").removesuffix(GUID_SUFFIX)


def startup_of(commands: Sequence[Command]) -> StartupCommand | None:
    """The start-up command that speaks for the host, or None if there is none."""
    startups = [command for command in commands if isinstance(command, StartupCommand)]
    for startup in startups:
        if isinstance(startup, StartupRoutingCommand):
            return startup
    return startups[0] if startups else None


def admit(session: Session, providers: Providers, commands: Sequence[Command], node_id: int) -> Admitted:
    """Find or make the host of a Startup request and move it to Connecting; raises Refusal."""
    startup = startup_of(commands)
    if not isinstance(startup, StartupRoutingCommand) or (startup.hypervisorType or "").upper() != "KVM":
        raise _runtime_refusal("No resource state adapter response")
    host = _known_host(session, startup.guid)
    zone, pod = _place(session, startup)
    cluster = _cluster(session, providers, startup, zone, pod)
    _check_cluster(session, startup, cluster)
    for column, value in (("private_ip_address", startup.privateIpAddress), ("version", startup.version)):
        if value is None:
            raise _runtime_refusal(f"Unable to update on DB, due to: Column '{column}' cannot be null")
    previous = Status(host.status) if host is not None else None
    if host is None:
        host = _new_host(session, providers, startup)
    host.zone_id, host.pod_id, host.cluster_id = zone.id, pod.id, cluster.id
    _fill(host, startup)
    host.status = next_status(previous, Event.AGENT_CONNECTED)
    host.management_server_id = node_id
    session.add(host)
    session.flush()
    put_details(session, host.id, startup.hostDetails)
    networks = select(PhysicalNetwork.id).where(PhysicalNetwork.zone_id == zone.id)
    storages = [command for command in commands if isinstance(command, StartupStorageCommand)]
    save_local_pools(session, providers, host, zone, storages)
    return Admitted(
        host_id=host.id,
        uuid=host.uuid,
        name=host.name,
        guid=host.guid or "",
        zone_id=zone.id,
        pod_id=pod.id,
        cluster_id=cluster.id,
        arch=cluster.arch,
        previous_status=previous,
        is_in_maintenance=host.resource_state in _MAINTENANCE_STATES,
        has_default_place=DEFAULT_PLACE in (startup.dataCenter, startup.pod),
        connection_transferred=startup.connectionTransferred,
        ms_host_list=startup.msHostList,
        pools=shared_pools(session, zone.id, cluster.id),
        physical_network_ids=tuple(session.scalars(networks.order_by(PhysicalNetwork.id))),
    )


def _known_host(session: Session, guid: str | None) -> Host | None:
    """The host by its full guid, else by the guid without its suffix."""
    if not guid:
        return None
    for candidate in dict.fromkeys((guid, guid.removesuffix(GUID_SUFFIX))):
        host = session.scalar(select(Host).where(Host.guid == candidate, Host.removed.is_(None)))
        if host is not None:
            return host
    return None


def _place(session: Session, startup: StartupRoutingCommand) -> tuple[Zone, Pod]:
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


def _check_cluster(session: Session, startup: StartupRoutingCommand, cluster: Cluster) -> None:
    if cluster.hypervisor_type != "KVM":
        shown = f'Cluster {{id: "{cluster.id}", name: "{cluster.name}", uuid: "{cluster.uuid}"}}'
        raise Refusal(
            f"Can't add host whose hypervisor type is: {startup.hypervisorType} into cluster: {shown} "
            f"whose hypervisor type is: {cluster.hypervisor_type}"
        )
    host_os = startup.hostDetails.get("Host.OS")
    other_os = session.scalar(
        select(HostDetail.value)
        .join(Host, Host.id == HostDetail.host_id)
        .where(Host.cluster_id == cluster.id, Host.removed.is_(None), HostDetail.name == "Host.OS")
        .order_by(Host.id)
        .limit(1)
    )
    if other_os is not None and other_os != host_os:
        raise Refusal(
            f'Can\'t add host: {_java(startup.privateIpAddress)} with hostOS, "{_java(host_os)}"into a cluster, '
            f'in which there are "{other_os}" hosts added.'
        )
    if startup.cpuArch is not None and startup.cpuArch != cluster.arch:
        raise Refusal(f"Can't add a host whose arch is: {startup.cpuArch} into cluster of arch type: {cluster.arch}")


def _new_host(session: Session, providers: Providers, startup: StartupRoutingCommand) -> Host:
    for removed in session.scalars(select(Host).where(Host.guid == startup.guid, Host.removed.is_not(None))):
        removed.guid = None  # a host that comes back after deleteHost is a new one
    session.flush()
    return Host(
        uuid=providers.ids.uuid(),
        name=startup.name or startup.privateIpAddress or "",
        guid=startup.guid,
        created=providers.utcnow(),
    )


def _fill(host: Host, startup: StartupRoutingCommand) -> None:
    host.name = startup.name or host.name
    host.type = "Routing"
    host.hypervisor_type = "KVM"
    host.hypervisor_version = startup.hypervisorVersion or host.hypervisor_version
    host.version = startup.version
    host.arch = startup.cpuArch or startup.arch or host.arch
    host.private_ip_address = startup.privateIpAddress
    host.private_mac_address = startup.privateMacAddress
    host.private_netmask = startup.privateNetmask
    host.cpu_sockets = startup.cpuSockets
    host.cpus = startup.cpus
    host.speed_mhz = startup.speed
    host.ram_bytes = startup.memory
    host.dom0_min_memory_bytes = startup.dom0MinMemory
    host.capabilities = startup.caps
    host.disconnected = None


def put_details(session: Session, host_id: int, details: dict[str, str]) -> None:
    """Write host details; keys that are not in `details` stay as they are."""
    stored = {row.name: row for row in session.scalars(select(HostDetail).where(HostDetail.host_id == host_id))}
    for name, value in details.items():
        if name in stored:
            stored[name].value = value
        else:
            session.add(HostDetail(host_id=host_id, name=name, value=value))


def _java(value: str | None) -> str:
    return "null" if value is None else value
