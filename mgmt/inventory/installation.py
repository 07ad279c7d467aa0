"""What an installation consists of: roles, OS categories, management servers, physical networks, sums of all.

Upstream: server/.../server/ManagementServerImpl.java, server/.../acl/RoleManagerImpl.java, field order of recorded
answers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from mgmt.inventory.listing import Window, equals_ignoring_case, like_keyword, page
from mgmt.inventory.scope import ROOT_ADMIN, CallerLike
from mgmt.store.models import (
    Alert,
    AsyncJob,
    Cluster,
    GuestOsCategory,
    Host,
    ImageStore,
    ManagementServer,
    PhysicalNetwork,
    Pod,
    Role,
    StoragePool,
    Zone,
)

T = TypeVar("T", Role, GuestOsCategory, ManagementServer, PhysicalNetwork)


def _matching(model: type[T], params: Mapping[str, Any]) -> list[ColumnElement[bool]]:
    name: InstrumentedAttribute[str] = model.name
    conditions: list[ColumnElement[bool]] = []
    if params["id"] is not None:
        conditions.append(model.id == params["id"])
    if params["name"] is not None:
        conditions.append(equals_ignoring_case(name, params["name"]))
    if params["keyword"] is not None:
        conditions.append(like_keyword(name, params["keyword"]))
    return conditions


def find_roles(
    session: Session, caller: CallerLike, params: Mapping[str, Any], paging: Window
) -> tuple[list[Role], int]:
    """The page of roles; only a root admin sees those of root admins."""
    conditions = [*_matching(Role, params), Role.removed.is_(None)]
    if caller.account_type != ROOT_ADMIN:
        conditions += [Role.role_type != "Admin", Role.is_public.is_(True)]
    if params["type"] is not None:
        conditions.append(equals_ignoring_case(Role.role_type, params["type"]))
    if params["state"] is not None:
        conditions.append(equals_ignoring_case(Role.state, params["state"]))
    return page(session, select(Role).where(*conditions).order_by(Role.id), paging)


def find_os_categories(
    session: Session, params: Mapping[str, Any], paging: Window
) -> tuple[list[GuestOsCategory], int]:
    """The page of categories of guest OS types; all of them are featured."""
    if params["isfeatured"] is False:
        return [], 0
    conditions = _matching(GuestOsCategory, params)
    return page(session, select(GuestOsCategory).where(*conditions).order_by(GuestOsCategory.id), paging)


def find_management_servers(
    session: Session, params: Mapping[str, Any], paging: Window
) -> tuple[list[ManagementServer], int]:
    """The page of management servers."""
    conditions = _matching(ManagementServer, params)
    return page(session, select(ManagementServer).where(*conditions).order_by(ManagementServer.id), paging)


def management_server_view(session: Session, server: ManagementServer, version: str, state: str) -> dict[str, Any]:
    """A management server with the hosts that are connected to it and its jobs in hand."""
    hosts = session.scalars(
        select(Host.uuid).where(Host.status == "Up", Host.removed.is_(None)).order_by(Host.id)
    ).all()
    pending = session.scalar(select(func.count()).select_from(AsyncJob).where(AsyncJob.status == 0))
    return {
        "id": server.uuid,
        "name": server.name,
        "state": state,
        "version": version,
        "serviceip": server.service_ip,
        "ipaddress": server.service_ip,
        "lastagents": [],
        "agents": list(hosts),
        "agentscount": len(hosts),
        "pendingjobscount": pending or 0,
    }


def find_physical_networks(
    session: Session, params: Mapping[str, Any], paging: Window
) -> tuple[list[tuple[PhysicalNetwork, Zone]], int]:
    """The page of physical networks, each with its zone."""
    conditions = [*_matching(PhysicalNetwork, params), PhysicalNetwork.removed.is_(None)]
    if params["zoneid"] is not None:
        conditions.append(PhysicalNetwork.zone_id == params["zoneid"])
    found, count = page(session, select(PhysicalNetwork).where(*conditions).order_by(PhysicalNetwork.id), paging)
    zones = {zone.id: zone for zone in session.scalars(select(Zone))}
    return [(each, zones[each.zone_id]) for each in found], count


def physical_network_view(network: PhysicalNetwork, zone: Zone) -> dict[str, Any]:
    """A physical network as listPhysicalNetworks shows it."""
    return {
        "id": network.uuid,
        "name": network.name,
        "broadcastdomainrange": network.broadcast_domain_range,
        "zoneid": zone.uuid,
        "zonename": zone.name,
        "state": network.state,
        "vlan": network.vlan,
        "networkspeed": network.speed,
        "tags": network.tags,
        "isolationmethods": network.isolation_methods,
    }


def infrastructure(session: Session) -> dict[str, int]:
    """How many there are of each kind; what this world does not have counts 0."""

    def live(model: type[Zone | Pod | Cluster | StoragePool | ImageStore]) -> int:
        return session.scalar(select(func.count()).select_from(model).where(model.removed.is_(None))) or 0

    routing = (Host.removed.is_(None), Host.type == "Routing")
    return {
        "zones": live(Zone),
        "pods": live(Pod),
        "clusters": live(Cluster),
        "hosts": session.scalar(select(func.count()).select_from(Host).where(*routing)) or 0,
        "storagepools": live(StoragePool),
        "imagestores": live(ImageStore),
        "backuprepositories": 0,
        "objectstores": 0,
        "systemvms": 0,
        "routers": 0,
        "ilbvms": 0,
        "cpusockets": session.scalar(select(func.coalesce(func.sum(Host.cpu_sockets), 0)).where(*routing)) or 0,
        "managementservers": session.scalar(select(func.count()).select_from(ManagementServer)) or 0,
        "alerts": session.scalar(select(func.count()).select_from(Alert)) or 0,
    }


def hypervisors(session: Session, zone_id: int | None) -> list[str]:
    """The hypervisors of the clusters of a zone, or of all zones."""
    statement = select(Cluster.hypervisor_type).where(Cluster.removed.is_(None)).distinct()
    if zone_id is not None:
        statement = statement.where(Cluster.zone_id == zone_id)
    return sorted(session.scalars(statement))
