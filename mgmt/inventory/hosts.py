"""Hosts: finding them, the fields of their answers, and what an administrator may change.

Upstream: server/.../api/query/QueryManagerImpl.java and dao/HostJoinDaoImpl.java (list and fields),
server/.../resource/ResourceManagerImpl.java (updateHost).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from typing import Any, Protocol

import msgspec
from sqlalchemy import ColumnElement, false, func, select
from sqlalchemy.orm import Session

from mgmt.agents.states import TRANSITIONS, Status
from mgmt.errors import InvalidParameterValueError
from mgmt.inventory.capacity import NO_USAGE, Usage, decimal, percentage, usage_by_host
from mgmt.inventory.listing import ONE, ByIds, RowPages, Window, any_like_keyword, equals_ignoring_case
from mgmt.inventory.resource_states import ResourceEvent, move_resource
from mgmt.store.models import (
    Cluster,
    GuestOsCategory,
    Host,
    HostDetail,
    ManagementServer,
    Pod,
    StoragePool,
    Zone,
)

HOST_DETAILS = ("all", "capacity", "events", "stats", "min")
VOLUME_ENCRYPTION = "host.volume.encryption"
INSTANCE_CONVERSION = "host.instance.conversion"
UEFI = "host.uefi.enable"
_HIDDEN_DETAILS = frozenset({"username", "password", VOLUME_ENCRYPTION, INSTANCE_CONVERSION})
_WITH_DETAILS_MAP = frozenset({"KVM", "Custom", "External"})

# The words of the hypervisor filter; any other one is ignored (HypervisorType.getType gives None).
_HYPERVISORS = frozenset(
    {
        "xenserver", "kvm", "vmware", "hyperv", "virtualbox", "parralels", "baremetal", "simulator", "ovm", "ovm3",
        "lxc", "custom", "external", "any",
    }
)  # fmt: skip
_UNLINKED = frozenset({"Disconnected", "Alert", "Down", "Removed", "Error"})
_TABLE, _ZONES, _PODS, _CLUSTERS = Host.__table__, Zone.__table__, Pod.__table__, Cluster.__table__
# Built once, and of plain columns: a statement that is there already costs half as much, and hundreds of hosts cost a
# tenth of what as many objects do.
_HOSTS = RowPages(
    select(
        *_TABLE.c,
        _ZONES.c.uuid.label("zone_uuid"),
        _ZONES.c.name.label("zone_name"),
        _PODS.c.uuid.label("pod_uuid"),
        _PODS.c.name.label("pod_name"),
        _CLUSTERS.c.uuid.label("cluster_uuid"),
        _CLUSTERS.c.name.label("cluster_name"),
        _CLUSTERS.c.cluster_type,
        _CLUSTERS.c.cpu_overcommit_ratio,
        _CLUSTERS.c.memory_overcommit_ratio,
    )
    .join(_ZONES, _ZONES.c.id == _TABLE.c.zone_id)
    .outerjoin(_PODS, _PODS.c.id == _TABLE.c.pod_id)
    .outerjoin(_CLUSTERS, _CLUSTERS.c.id == _TABLE.c.cluster_id)
    .where(_TABLE.c.removed.is_(None))
    .order_by(_TABLE.c.id)
)

# A row of `_HOSTS`: the columns of the host, and those of its zone, pod and cluster under names of their own. Any, for
# a row's columns have no static types.
HostRow = Any

_DETAILS_TABLE = HostDetail.__table__
_ALL_DETAILS = select(_DETAILS_TABLE.c.host_id, _DETAILS_TABLE.c.name, _DETAILS_TABLE.c.value).order_by(
    _DETAILS_TABLE.c.id
)
_DETAILS = ByIds(_ALL_DETAILS, _DETAILS_TABLE.c.host_id)
# SQLite puts a host's details into one text: a page of 500 hosts has 10,000, and as rows they cost half of the answer.
_DETAIL_TEXTS = ByIds(
    select(_DETAILS_TABLE.c.host_id, func.json_group_object(_DETAILS_TABLE.c.name, _DETAILS_TABLE.c.value)).group_by(
        _DETAILS_TABLE.c.host_id
    ),
    _DETAILS_TABLE.c.host_id,
)
_text_decoder = msgspec.json.Decoder(dict[str, str])
_UEFI_DETAILS = ByIds(_ALL_DETAILS.where(_DETAILS_TABLE.c.name == UEFI), _DETAILS_TABLE.c.host_id)
_SERVERS_TABLE = ManagementServer.__table__
_SERVERS = select(_SERVERS_TABLE.c.msid, _SERVERS_TABLE.c.uuid, _SERVERS_TABLE.c.name)
_POOLS_TABLE = StoragePool.__table__
_LOCAL_POOLS = ByIds(
    select(_POOLS_TABLE.c.host_id).where(_POOLS_TABLE.c.removed.is_(None), _POOLS_TABLE.c.status == "Up"),
    _POOLS_TABLE.c.host_id,
)
_EPOCH = datetime(1970, 1, 1)


class HostStatsLike(Protocol):
    """A host's load as its agent reported it; network in KB."""

    @property
    def cpu_utilization(self) -> float: ...
    @property
    def average_load(self) -> float: ...
    @property
    def used_memory_bytes(self) -> float: ...
    @property
    def network_read_kbs(self) -> float: ...
    @property
    def network_write_kbs(self) -> float: ...


@dataclass(frozen=True)
class HostFacts:
    """What the answers of a page of hosts need beside their rows: gathered once for all of them."""

    details: Mapping[int, Mapping[str, str] | str] = field(default_factory=dict)  # a text is the JSON of a mapping
    usage: Mapping[int, Usage] = field(default_factory=dict)
    servers: Mapping[int, tuple[str, str]] = field(default_factory=dict)  # msid -> uuid, name
    with_local_pool: frozenset[int] = frozenset()
    os_categories: Mapping[int, tuple[str, str]] = field(default_factory=dict)  # id -> uuid, name
    stats: Mapping[int, HostStatsLike] = field(default_factory=dict)
    is_last_pinged_right: bool = False
    jobs: Mapping[str, tuple[str, int]] = field(default_factory=dict)  # UUID -> UUID and status of the job under way

    def details_of(self, host_id: int) -> Mapping[str, str]:
        """The details of a host by their names."""
        found = self.details.get(host_id, {})
        return _text_decoder.decode(found) if isinstance(found, str) else found


def find_hosts(session: Session, params: Mapping[str, Any], window: Window) -> tuple[Sequence[HostRow], int]:
    """The hosts that the parameters of listHosts ask for, and how many there are over all pages."""
    return _HOSTS.page(session, _conditions(session, params), window)


def host_row(session: Session, host: Host) -> HostRow:
    """A host that is there, with what was changed and flushed in `session`."""
    rows, _ = _HOSTS.page(session, [_TABLE.c.id == host.id], ONE)
    return rows[0]


def _conditions(session: Session, params: Mapping[str, Any]) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    numbers = (
        ("id", _TABLE.c.id),
        ("zoneid", _TABLE.c.zone_id),
        ("podid", _TABLE.c.pod_id),
        ("clusterid", _TABLE.c.cluster_id),
    )
    for key, column in numbers:
        if params[key] is not None:
            conditions.append(column == params[key])
    words = (
        ("name", _TABLE.c.name),
        ("type", _TABLE.c.type),
        ("state", _TABLE.c.status),
        ("resourcestate", _TABLE.c.resource_state),
        ("arch", _TABLE.c.arch),
    )
    for key, text in words:
        if params[key] is not None:
            conditions.append(equals_ignoring_case(text, params[key]))
    hypervisor = params["hypervisor"]
    if hypervisor is not None and hypervisor.lower() in _HYPERVISORS:
        conditions.append(equals_ignoring_case(_TABLE.c.hypervisor_type, hypervisor))
    if params["keyword"] is not None:
        conditions.append(any_like_keyword((_TABLE.c.name, _TABLE.c.status, _TABLE.c.type), params["keyword"]))
    if params["managementserverid"] is not None:
        msid = session.scalar(select(ManagementServer.msid).where(ManagementServer.id == params["managementserverid"]))
        conditions.append(_TABLE.c.management_server_id == msid if msid is not None else false())
    return [*conditions, *_impossible(params)]


def _impossible(params: Mapping[str, Any]) -> list[ColumnElement[bool]]:
    """Filters on what no host has here: out-of-band management and storage access groups."""
    names = ("outofbandmanagementenabled", "outofbandmanagementpowerstate", "storageaccessgroup")
    return [false()] if any(params[name] is not None for name in names) else []


def gather_facts(
    session: Session,
    hosts: Sequence[HostRow],
    *,
    levels: Sequence[str] = ("all",),
    stats: Mapping[int, HostStatsLike] | None = None,
    is_last_pinged_right: bool = False,
    jobs: Mapping[str, tuple[str, int]] | None = None,
) -> HostFacts:
    """What `host_view` needs for these hosts in these levels of detail, in a fixed number of queries."""
    ids = [host.id for host in hosts]
    connection = session.connection()
    category_ids = {host.os_category_id for host in hosts if host.os_category_id is not None}
    categories: dict[int, tuple[str, str]] = {}
    if category_ids:
        rows = session.scalars(select(GuestOsCategory).where(GuestOsCategory.id.in_(category_ids)))
        categories = {row.id: (row.uuid, row.name) for row in rows}
    return HostFacts(
        details=_details_by_host(session, ids, only_uefi="all" not in levels),
        usage=usage_by_host(session, ids) if {"all", "capacity"} & set(levels) else {},
        servers={msid: (uuid, name) for msid, uuid, name in connection.execute(_SERVERS).all()},
        with_local_pool=frozenset(host_id for (host_id,) in _LOCAL_POOLS.rows(session, ids)),
        os_categories=categories,
        stats=stats or {},
        is_last_pinged_right=is_last_pinged_right,
        jobs=jobs or {},
    )


def _details_by_host(
    session: Session, host_ids: Sequence[int], *, only_uefi: bool
) -> Mapping[int, dict[str, str] | str]:
    """The details of each host as plain texts: a page of hosts has thousands, too many for objects."""
    if not only_uefi and session.get_bind().dialect.name == "sqlite":
        return {row[0]: row[1] for row in _DETAIL_TEXTS.rows(session, host_ids)}
    details: dict[int, dict[str, str]] = {}
    for host_id, name, value in (_UEFI_DETAILS if only_uefi else _DETAILS).rows(session, host_ids):
        details.setdefault(host_id, {})[name] = value
    return details


def host_view(host: HostRow, facts: HostFacts, details: Sequence[str] = ("all",)) -> dict[str, Any]:
    """A host's answer in the wanted levels of detail (api-gateway 6.5)."""
    wanted = frozenset(details)
    is_all = "all" in wanted
    host_details = facts.details_of(host.id)
    is_routing = host.type == "Routing"
    cpu_factor = float(host.cpu_overcommit_ratio) if host.cluster_uuid else 1.0
    view: dict[str, Any] = {
        "id": host.uuid,
        "name": host.name,
        "state": host.status,
        "disconnected": host.disconnected,
        "type": host.type,
        "ipaddress": host.private_ip_address,
        "zoneid": host.zone_uuid,
        "podid": host.pod_uuid,
        "version": host.version,
        "hypervisor": host.hypervisor_type,
        "cpusockets": host.cpu_sockets,
        "cpunumber": int(host.cpus * cpu_factor) if is_routing else host.cpus,
        "cpuspeed": host.speed_mhz,
        "memoryallocated": 0,
    }
    if wanted & {"all", "capacity", "stats", "events"}:
        view |= _names(host, facts)
    if is_routing and (is_all or "capacity" in wanted):
        view |= _capacity(host, facts.usage.get(host.id, NO_USAGE), cpu_factor)
    if is_routing and (is_all or "stats" in wanted):
        view |= _stats(facts.stats.get(host.id))
    server = None if host.status in _UNLINKED else facts.servers.get(host.management_server_id or 0)
    view |= {
        "capabilities": host.capabilities,
        "lastpinged": _last_pinged(host.last_ping, facts.is_last_pinged_right),
        "managementserverid": server[0] if server else None,
        "managementservername": server[1] if server else None,
        "clusterid": host.cluster_uuid,
        "islocalstorageactive": host.id in facts.with_local_pool,
        "created": host.created,
    }
    if is_all or "events" in wanted:
        view["events"] = possible_events(host.status)
    view |= {
        "hostha": {"haenable": False, "hastate": "Disabled"},
        "outofbandmanagement": {"powerstate": "Disabled", "enabled": False},
        "resourcestate": host.resource_state,
        "ueficapability": _is_true(host_details.get(UEFI)),
        "hasannotations": host.annotation is not None,
        "annotation": host.annotation,
        "lastannotated": host.last_annotated,
        "username": host.annotated_by,
    }
    if is_all and is_routing and host.hypervisor_type in _WITH_DETAILS_MAP:
        view["details"] = shown = dict(host_details)
        for name in _HIDDEN_DETAILS:
            shown.pop(name, None)
        view["encryptionsupported"] = _is_true(host_details.get(VOLUME_ENCRYPTION))
        if host.hypervisor_type == "KVM":
            view["instanceconversionsupported"] = _is_true(host_details.get(INSTANCE_CONVERSION))
    if host.uuid in facts.jobs:
        view["jobid"], view["jobstatus"] = facts.jobs[host.uuid]
    return view


def _names(host: HostRow, facts: HostFacts) -> dict[str, Any]:
    category = facts.os_categories.get(host.os_category_id or 0)
    return {
        "oscategoryid": category[0] if category else None,
        "oscategoryname": category[1] if category else None,
        "zonename": host.zone_name,
        "podname": host.pod_name,
        "clustername": host.cluster_name,
        "clustertype": host.cluster_type,
    }


def _capacity(host: HostRow, usage: Usage, cpu_factor: float) -> dict[str, Any]:
    memory_factor = float(host.memory_overcommit_ratio) if host.cluster_uuid else 1.0
    cpu_mhz = host.cpus * host.speed_mhz * cpu_factor
    memory_bytes = host.ram_bytes * memory_factor
    cpu_share = percentage(usage.cpu_mhz, cpu_mhz)
    return {
        "cpuallocated": cpu_share,
        "cpuallocatedvalue": usage.cpu_mhz,
        "cpuallocatedpercentage": cpu_share,
        "cpuallocatedwithoverprovisioning": cpu_share,
        "cpuwithoverprovisioning": decimal(cpu_mhz),
        "memorytotal": host.ram_bytes,
        "memorywithoverprovisioning": decimal(memory_bytes),
        "memoryallocated": usage.memory_bytes,
        "memoryallocatedpercentage": percentage(usage.memory_bytes, memory_bytes),
        "memoryallocatedbytes": usage.memory_bytes,
        "hosttags": host.host_tags,
        "explicithosttags": host.host_tags,
        "istagarule": host.is_tag_a_rule if host.host_tags else None,
        "hahost": False,
        "hypervisorversion": host.hypervisor_version,
        "arch": host.arch,
    }


def _stats(stats: HostStatsLike | None) -> dict[str, Any]:
    if stats is None:
        return {}
    return {
        "cpuused": f"{decimal(stats.cpu_utilization)}%",
        "cpuloadaverage": stats.average_load,
        "networkkbsread": int(stats.network_read_kbs),
        "networkkbswrite": int(stats.network_write_kbs),
        "memoryused": int(stats.used_memory_bytes),
    }


def _last_pinged(last_ping: datetime | None, is_right: bool) -> datetime | None:
    if last_ping is None or is_right:
        return last_ping
    # upstream keeps the time as milliseconds divided by 1024 and shows that as milliseconds (HostVO.lastPinged)
    milliseconds = (last_ping - _EPOCH) // timedelta(milliseconds=1)
    return _EPOCH + timedelta(milliseconds=milliseconds >> 10)


def _is_true(value: str | None) -> bool:
    return value is not None and value.lower() == "true"


@cache
def possible_events(status: str) -> str:
    """The agent events that a host in this state may meet, as listHosts shows them."""
    return "; ".join(TRANSITIONS.get(Status(status), {}))


def change_allocation_state(host: Host, allocation_state: str) -> None:
    """Enable or disable `host`.

    Raises InvalidParameterValueError for another word (case counts), NoTransitionError when the host's resource state,
    such as Maintenance, does not allow it.
    """
    if allocation_state not in ("Enable", "Disable"):
        raise InvalidParameterValueError(
            f"Invalid allocation state: {allocation_state}, only Enable/Disable are allowed"
        )
    move_resource(host, ResourceEvent(allocation_state))


def change_os_category(session: Session, host: Host, category_id: int) -> None:
    """Set the OS category that is preferred on `host`; the category `None` takes it away."""
    category = session.get(GuestOsCategory, category_id)
    if category is None:
        raise InvalidParameterValueError("Please specify a valid guest OS category.")
    host.os_category_id = None if category.name.lower() == "none" else category.id


def put_detail(session: Session, host_id: int, name: str, value: str) -> None:
    """Write one detail of a host."""
    row = session.scalar(select(HostDetail).where(HostDetail.host_id == host_id, HostDetail.name == name))
    if row is None:
        session.add(HostDetail(host_id=host_id, name=name, value=value))
    else:
        row.value = value
