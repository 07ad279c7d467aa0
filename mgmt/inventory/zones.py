"""Zones, pods and clusters: finding them, and the fields of their answers.

Upstream: server/.../api/query/QueryManagerImpl.java (listDataCenters), ManagementServerImpl.searchForPods and
searchForClusters, server/.../api/ApiResponseHelper.java.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Select, false, func, select
from sqlalchemy.orm import Session, joinedload

from mgmt.inventory.listing import Window, equals_ignoring_case, in_window, like_keyword, page
from mgmt.inventory.scope import ROOT_ADMIN, CallerLike
from mgmt.store.models import Cluster, Pod, VmInstance, Zone

ROUTER_MTU = 1500


_CLUSTERS = Cluster.__table__
_ZONES = Zone.__table__
# Built once: zones are listed by every client all the time, and a statement that is there already costs half as much.
_LIVE_ZONES = (
    select(
        *_ZONES.c,
        select(func.count(_CLUSTERS.c.arch.distinct()))
        .where(_CLUSTERS.c.zone_id == _ZONES.c.id, _CLUSTERS.c.removed.is_(None))
        .scalar_subquery()
        .label("architectures"),
    )
    .where(_ZONES.c.removed.is_(None))
    .order_by(_ZONES.c.id)
)

# A row of `_LIVE_ZONES`: the columns of the zone and the number of its clusters' CPU architectures. Any, for a row's
# columns have no static types.
ZoneRow = Any


def find_zones(
    session: Session, caller: CallerLike, params: Mapping[str, Any], wanted_ids: Sequence[int] | None, window: Window
) -> tuple[Sequence[ZoneRow], int]:
    """The zones that the parameters of listZones ask for, and how many there are over all pages."""
    conditions = _zone_conditions(caller, params, wanted_ids)
    rows = session.connection().execute(_LIVE_ZONES.where(*conditions) if conditions else _LIVE_ZONES).all()
    return in_window(rows, window), len(rows)


def _zone_conditions(
    caller: CallerLike, params: Mapping[str, Any], wanted_ids: Sequence[int] | None
) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if wanted_ids is not None:
        conditions.append(_ZONES.c.id.in_(wanted_ids))
    if params["name"] is not None:
        conditions.append(equals_ignoring_case(_ZONES.c.name, params["name"]))
    if params["keyword"] is not None:
        conditions.append(like_keyword(_ZONES.c.name, params["keyword"]))
    if params["networktype"] is not None:
        conditions.append(equals_ignoring_case(_ZONES.c.networktype, params["networktype"]))
    if params["domainid"] is not None or params["storageaccessgroup"] is not None or params["tags"]:
        # no zone is dedicated to a domain, in a storage access group or tagged here
        conditions.append(false())
    if caller.account_type != ROOT_ADMIN:
        conditions.append(_ZONES.c.allocation_state == "Enabled")
        if params["available"] is False:
            own = select(VmInstance.zone_id).where(
                VmInstance.account_id == caller.account_id, VmInstance.removed.is_(None)
            )
            conditions.append(_ZONES.c.id.in_(own))
    return conditions


def zone_view(zone: ZoneRow, caller: CallerLike) -> dict[str, Any]:
    """A zone's answer; addresses of servers and networks are for root admins."""
    is_root = caller.account_type == ROOT_ADMIN
    return {
        "id": zone.uuid,
        "name": zone.name,
        "dns1": zone.dns1 if is_root else None,
        "dns2": zone.dns2 if is_root else None,
        "internaldns1": zone.internal_dns1 if is_root else None,
        "guestcidraddress": zone.guest_cidr if is_root else None,
        "networktype": zone.networktype,
        "securitygroupsenabled": zone.security_groups_enabled,
        "gputotal": 0,
        "gpuused": 0,
        "allocationstate": zone.allocation_state,
        "zonetoken": zone.zone_token,
        "dhcpprovider": "VirtualRouter",
        "localstorageenabled": zone.local_storage_enabled,
        "tags": [],
        "allowuserspecifyvrmtu": False,
        "routerprivateinterfacemaxmtu": ROUTER_MTU,
        "routerpublicinterfacemaxmtu": ROUTER_MTU,
        "type": "Core",
        "isnsxenabled": False,
        "ismultiarch": zone.architectures > 1,
        "asnrange": "",
        "routedmodeenabled": True,
        "hasannotations": False,
    }


def find_pods(session: Session, params: Mapping[str, Any], window: Window) -> tuple[list[Pod], int]:
    """The pods that the parameters of listPods ask for, and how many there are over all pages."""
    statement = select(Pod).where(Pod.removed.is_(None)).order_by(Pod.id).options(joinedload(Pod.zone))
    if params["id"] is not None:
        statement = statement.where(Pod.id == params["id"])
    if params["zoneid"] is not None:
        statement = statement.where(Pod.zone_id == params["zoneid"])
    if params["name"] is not None:
        statement = statement.where(equals_ignoring_case(Pod.name, params["name"]))
    if params["keyword"] is not None:
        statement = statement.where(like_keyword(Pod.name, params["keyword"]))
    if params["allocationstate"] is not None:
        statement = statement.where(equals_ignoring_case(Pod.allocation_state, params["allocationstate"]))
    if params["storageaccessgroup"] is not None:
        statement = statement.where(false())
    return page(session, statement, window)


def pod_view(pod: Pod) -> dict[str, Any]:
    """A pod's answer, with its one range of addresses in both the old and the new form."""
    return {
        "id": pod.uuid,
        "name": pod.name,
        "zoneid": pod.zone.uuid,
        "zonename": pod.zone.name,
        "gateway": pod.gateway,
        "netmask": pod.netmask,
        "ipranges": [{"startip": pod.start_ip, "endip": pod.end_ip, "forsystemvms": "0", "vlanid": "vlan://untagged"}],
        "startip": [pod.start_ip],
        "endip": [pod.end_ip],
        "forsystemvms": ["0"],
        "vlanid": ["vlan://untagged"],
        "allocationstate": pod.allocation_state,
        "hasannotations": False,
    }


def find_clusters(session: Session, params: Mapping[str, Any], window: Window) -> tuple[list[Cluster], int]:
    """The clusters that the parameters of listClusters ask for, and how many there are over all pages."""
    statement = (
        select(Cluster)
        .where(Cluster.removed.is_(None))
        .order_by(Cluster.id)
        .options(joinedload(Cluster.zone), joinedload(Cluster.pod))
    )
    statement = _narrowed_clusters(statement, params)
    return page(session, statement, window)


def _narrowed_clusters(statement: Select[Cluster], params: Mapping[str, Any]) -> Select[Cluster]:
    for key, column in (("id", Cluster.id), ("zoneid", Cluster.zone_id), ("podid", Cluster.pod_id)):
        if params[key] is not None:
            statement = statement.where(column == params[key])
    words = (
        ("name", Cluster.name),
        ("hypervisor", Cluster.hypervisor_type),
        ("clustertype", Cluster.cluster_type),
        ("allocationstate", Cluster.allocation_state),
        ("managedstate", Cluster.managed_state),
        ("arch", Cluster.arch),
    )
    for key, text in words:
        if params[key] is not None:
            statement = statement.where(equals_ignoring_case(text, params[key]))
    if params["keyword"] is not None:
        statement = statement.where(like_keyword(Cluster.name, params["keyword"]))
    if params["storageaccessgroup"] is not None:
        statement = statement.where(false())
    return statement


def cluster_view(cluster: Cluster) -> dict[str, Any]:
    """A cluster's answer."""
    return {
        "id": cluster.uuid,
        "name": cluster.name,
        "podid": cluster.pod.uuid,
        "podname": cluster.pod.name,
        "zoneid": cluster.zone.uuid,
        "zonename": cluster.zone.name,
        "hypervisortype": cluster.hypervisor_type,
        "clustertype": cluster.cluster_type,
        "allocationstate": cluster.allocation_state,
        "managedstate": cluster.managed_state,
        "cpuovercommitratio": cluster.cpu_overcommit_ratio,
        "memoryovercommitratio": cluster.memory_overcommit_ratio,
        "resourcedetails": {
            "memoryOvercommitRatio": cluster.memory_overcommit_ratio,
            "cpuOvercommitRatio": cluster.cpu_overcommit_ratio,
        },
        "arch": cluster.arch,
        "hasannotations": False,
    }
