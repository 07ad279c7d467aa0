"""Who an agent is: finding or making its host record from a Startup request, or the text that refuses it.

Upstream: AgentManagerImpl.java, ResourceManagerImpl.java (createHostVO, fillRoutingHostVO).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, bindparam, insert, or_, select, update
from sqlalchemy.orm import Session

from mgmt.agents.details import put_details
from mgmt.agents.places import DEFAULT_PLACE, Place, Refusal, known_already, place_of
from mgmt.agents.pools import SharedPool, save_local_pools, shared_pools
from mgmt.agents.states import Event, NoTransitionError, Status, next_status
from mgmt.protocol.commands import (
    PhysicalNetworkSetupInfo,
    StartupCommand,
    StartupRoutingCommand,
    StartupStorageCommand,
)
from mgmt.protocol.records import Command
from mgmt.providers import Providers
from mgmt.store.models import Host, PhysicalNetwork, TrafficType

GUID_SUFFIX = "-LibvirtComputingResource"
DEFAULT_ARCH = "x86_64"
MAINTENANCE_STATES = frozenset({"Maintenance", "PrepareForMaintenance", "ErrorInMaintenance"})

# Plain statements, built once: hundreds of agents attach at a time.
_HOSTS = Host.__table__
_KNOWN = select(
    *(
        _HOSTS.c[name]
        for name in ("id", "uuid", "name", "guid", "status", "resource_state", "hypervisor_version", "arch")
    )
).where(or_(_HOSTS.c.guid == bindparam("whole"), _HOSTS.c.guid == bindparam("bare")), _HOSTS.c.removed.is_(None))
_INSERT = insert(_HOSTS)  # type: ignore[arg-type]  # a table
_UPDATE = update(_HOSTS).where(_HOSTS.c.id == bindparam("of_host"))  # type: ignore[arg-type]
_FORGET_REMOVED = (
    update(_HOSTS)  # type: ignore[arg-type]
    .where(_HOSTS.c.guid == bindparam("whole"), _HOSTS.c.removed.is_not(None))
    .values(guid=None)
)
_NETWORKS_TABLE = PhysicalNetwork.__table__
_TRAFFIC = TrafficType.__table__
_NETWORKS = (
    select(_NETWORKS_TABLE.c.id, _TRAFFIC.c.traffic_type, _TRAFFIC.c.kvm_label)
    .outerjoin(_TRAFFIC, (_TRAFFIC.c.physical_network_id == _NETWORKS_TABLE.c.id) & _TRAFFIC.c.kvm_label.is_not(None))
    .where(_NETWORKS_TABLE.c.zone_id == bindparam("in_zone"))
    .order_by(_NETWORKS_TABLE.c.id)
)
_LABELLED = {
    "Management": "privateNetworkName",
    "Public": "publicNetworkName",
    "Guest": "guestNetworkName",
    "Storage": "storageNetworkName",
}


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
    networks: tuple[PhysicalNetworkSetupInfo, ...]


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


def admit_or_refuse(
    session: Session, providers: Providers, commands: Sequence[Command], node_id: int
) -> Admitted | Refusal | NoTransitionError:
    """What `admit` gives or raises: nothing is written then, so that the transaction may hold other admissions."""
    try:
        return admit(session, providers, commands, node_id)
    except (Refusal, NoTransitionError) as refusal:
        return refusal


def admit(session: Session, providers: Providers, commands: Sequence[Command], node_id: int) -> Admitted:
    """Find or make the host of a Startup request and move it to Connecting.

    Raises Refusal and NoTransitionError, before anything is written but an unknown cluster.
    """
    startup = startup_of(commands)
    if not isinstance(startup, StartupRoutingCommand) or (startup.hypervisorType or "").upper() != "KVM":
        raise _runtime_refusal("No resource state adapter response")
    known = _known_host(session.connection(), startup.guid)
    place = place_of(session, providers, startup)
    for column, value in (("private_ip_address", startup.privateIpAddress), ("version", startup.version)):
        if value is None:
            raise _runtime_refusal(f"Unable to update on DB, due to: Column '{column}' cannot be null")
    previous = Status(known.status) if known is not None else None
    values = _values(startup, known, place) | {
        "status": next_status(previous, Event.AGENT_CONNECTED).value,
        "management_server_id": node_id,
        "last_ping": providers.utcnow(),
    }
    connection = session.connection()  # not that of before: a new cluster has been committed
    if known is None:
        values |= {"uuid": providers.ids.uuid(), "guid": startup.guid, "created": providers.utcnow()}
        host_id = _insert(connection, values)
    else:
        host_id = known.id
        values |= {"uuid": known.uuid, "guid": known.guid}
        connection.execute(_UPDATE, {**values, "of_host": host_id})
    put_details(connection, host_id, startup.hostDetails, is_new=known is None)
    if place.local_storage_enabled:
        home = {"zone_id": place.zone_id, "pod_id": place.pod_id, "cluster_id": place.cluster_id, "host_id": host_id}
        storages = [command for command in commands if isinstance(command, StartupStorageCommand)]
        save_local_pools(connection, providers, home, values["name"], storages)
    where = (place.zone_id, place.cluster_id)
    return Admitted(
        host_id=host_id,
        uuid=values["uuid"],
        name=values["name"],
        guid=values["guid"] or "",
        zone_id=place.zone_id,
        pod_id=place.pod_id,
        cluster_id=place.cluster_id,
        arch=place.arch,
        previous_status=previous,
        is_in_maintenance=known is not None and known.resource_state in MAINTENANCE_STATES,
        has_default_place=DEFAULT_PLACE in (startup.dataCenter, startup.pod),
        connection_transferred=startup.connectionTransferred,
        ms_host_list=startup.msHostList,
        pools=known_already(session, ("pools", *where), shared_pools, connection, *where),
        networks=known_already(session, ("networks", place.zone_id), _networks, connection, place.zone_id),
    )


def _networks(connection: Connection, zone_id: int) -> tuple[PhysicalNetworkSetupInfo, ...]:
    """The zone's physical networks with the labels of their traffic."""
    found: dict[int, dict[str, str]] = {}
    for number, traffic, label in connection.execute(_NETWORKS, {"in_zone": zone_id}):
        labels = found.setdefault(number, {})
        if label and traffic in _LABELLED:
            labels[_LABELLED[traffic]] = label
    return tuple(PhysicalNetworkSetupInfo(physicalNetworkId=number, **labels) for number, labels in found.items())


def _known_host(connection: Connection, guid: str | None) -> Row[Any] | None:
    """The host by its full guid, else by the guid without its suffix."""
    if not guid:
        return None
    rows = connection.execute(_KNOWN, {"whole": guid, "bare": guid.removesuffix(GUID_SUFFIX)}).all()
    return next((row for row in rows if row.guid == guid), rows[0] if rows else None)


def _insert(connection: Connection, values: dict[str, Any]) -> int:
    if values["guid"]:
        connection.execute(_FORGET_REMOVED, {"whole": values["guid"]})  # a host after deleteHost is a new one
    key = connection.execute(_INSERT, values).inserted_primary_key
    assert key is not None
    return int(key[0])


def _values(startup: StartupRoutingCommand, known: Row[Any] | None, place: Place) -> dict[str, Any]:
    """What the host's row gets from the agent."""
    return {
        "name": startup.name or (known.name if known is not None else startup.privateIpAddress),
        "type": "Routing",
        "hypervisor_type": "KVM",
        "hypervisor_version": startup.hypervisorVersion or (known.hypervisor_version if known is not None else None),
        "version": startup.version,
        "arch": startup.cpuArch or startup.arch or (known.arch if known is not None else None) or DEFAULT_ARCH,
        "zone_id": place.zone_id,
        "pod_id": place.pod_id,
        "cluster_id": place.cluster_id,
        "private_ip_address": startup.privateIpAddress,
        "private_mac_address": startup.privateMacAddress,
        "private_netmask": startup.privateNetmask,
        "cpu_sockets": startup.cpuSockets,
        "cpus": startup.cpus,
        "speed_mhz": startup.speed,
        "ram_bytes": startup.memory,
        "dom0_min_memory_bytes": startup.dom0MinMemory,
        "capabilities": startup.caps,
        "disconnected": None,
    }
