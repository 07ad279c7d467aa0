"""Zones, pods and clusters: making, changing and deleting them.

Upstream: server/.../configuration/ConfigurationManagerImpl.java (createZone, editZone, deleteZone, createPod, editPod,
deletePod), server/.../resource/ResourceManagerImpl.java (discoverCluster, updateCluster, deleteCluster).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from mgmt.errors import PARAM_ERROR, CloudRuntimeError, InvalidParameterValueError, ServerApiError
from mgmt.inventory.listing import equals_ignoring_case
from mgmt.inventory.vm_search import ARCHITECTURES, HYPERVISORS
from mgmt.providers import Providers
from mgmt.store.models import Cluster, Host, ImageStore, PhysicalNetwork, Pod, StoragePool, VmInstance, Volume, Zone

_STATES = ("Enabled", "Disabled")
_CLUSTER_TYPES = ("CloudManaged", "ExternalManaged")
_MANAGED_STATES = ("Managed", "Unmanaged")


def create_zone(session: Session, providers: Providers, params: Mapping[str, Any]) -> Zone:
    """Record a zone from the bound parameters of createZone; it is Disabled unless said otherwise."""
    type_ = next((known for known in ("Basic", "Advanced") if known.lower() == params["networktype"].lower()), None)
    if type_ is None:
        raise InvalidParameterValueError("Invalid zone type; only Advanced and Basic values are allowed")
    if type_ == "Basic" and params["guestcidraddress"]:
        raise InvalidParameterValueError("guestCidrAddress parameter is not supported for Basic zone")
    _check_zone(session, params, None)
    zone = Zone(
        uuid=providers.ids.uuid(),
        name=params["name"],
        networktype=type_,
        allocation_state=allocation_state(params["allocationstate"]) or "Disabled",
        dns1=params["dns1"],
        dns2=params["dns2"],
        internal_dns1=params["internaldns1"],
        guest_cidr=params["guestcidraddress"],
        local_storage_enabled=bool(params["localstorageenabled"]),
        security_groups_enabled=bool(params["securitygroupenabled"]) or type_ == "Basic",
        zone_token=providers.ids.uuid(),
    )
    session.add(zone)
    session.flush()
    return zone


def _check_zone(session: Session, params: Mapping[str, Any], zone: Zone | None) -> None:
    name = params["name"]
    if name is not None and (zone is None or name.lower() != zone.name.lower()):
        taken = select(Zone.id).where(equals_ignoring_case(Zone.name, name), Zone.removed.is_(None))
        if session.scalar(taken.limit(1)) is not None:
            raise InvalidParameterValueError(
                f"A zone with that name: {name} already exists. Please specify a unique zone name. "
            )
    for parameter, shown in (
        ("dns1", "DNS1"),
        ("dns2", "DNS2"),
        ("internaldns1", "internal DNS1"),
        ("internaldns2", "internal DNS2"),
    ):
        if params[parameter] and not is_ip4(params[parameter]):
            raise InvalidParameterValueError(f"Please enter a valid IP address for {shown}")
    cidr = params["guestcidraddress"]
    if cidr and not is_cidr(cidr):
        raise InvalidParameterValueError("Please enter a valid guest cidr")


def is_ip4(text: str) -> bool:
    """True for an IPv4 address."""
    try:
        ipaddress.IPv4Address(text)
    except ValueError:
        return False
    return True


def is_cidr(text: str) -> bool:
    """True for an IPv4 network with its length."""
    try:
        ipaddress.IPv4Network(text, strict=False)
    except ValueError:
        return False
    return "/" in text


def allocation_state(text: str | None) -> str | None:
    """Enabled or Disabled; None when it is not given; InvalidParameterValueError for another word."""
    return _resolved(text, _STATES, "Allocation State") if text else None


def _resolved(text: str, states: Sequence[str], what: str) -> str:
    found = next((state for state in states if state.lower() == text.lower()), None)
    if found is None:
        raise InvalidParameterValueError(f"Unable to resolve {what} '{text}' to a supported state")
    return found


def live_zone(session: Session, zone_id: int) -> Zone:
    """The zone with this number; InvalidParameterValueError when it is gone."""
    zone = session.get(Zone, zone_id)
    if zone is None or zone.removed is not None:
        raise InvalidParameterValueError("unable to find zone by id")
    return zone


def update_zone(session: Session, params: Mapping[str, Any]) -> Zone:
    """Change what the bound parameters of updateZone carry."""
    zone = live_zone(session, params["id"])
    _check_zone(session, params, zone)
    for parameter, column in (
        ("name", "name"),
        ("dns1", "dns1"),
        ("dns2", "dns2"),
        ("internaldns1", "internal_dns1"),
        ("guestcidraddress", "guest_cidr"),
        ("localstorageenabled", "local_storage_enabled"),
    ):
        if params[parameter] is not None:
            setattr(zone, column, params[parameter])
    zone.allocation_state = allocation_state(params["allocationstate"]) or zone.allocation_state
    return zone


def delete_zone(session: Session, providers: Providers, zone_id: int) -> Zone:
    """Take an empty zone away; CloudRuntimeError with what is still in it."""
    zone = session.get(Zone, zone_id)
    if zone is None or zone.removed is not None:
        raise InvalidParameterValueError(f"A zone with ID: {zone_id} does not exist.")
    for model, what in (
        (Host, "servers"),
        (Pod, "pods"),
        (VmInstance, "virtual machines"),
        (Volume, "storage volumes"),
        (PhysicalNetwork, "physical networks"),
        (ImageStore, "Secondary storages"),
    ):
        if _holds(session, model, "zone_id", zone_id):
            raise CloudRuntimeError(f"The zone cannot be deleted because there are {what} in this zone.")
    zone.removed = providers.utcnow()
    return zone


def _holds(session: Session, model: Any, column: str, number: int) -> bool:  # Any: the models share these columns
    here = select(func.count()).select_from(model).where(getattr(model, column) == number, model.removed.is_(None))
    return bool(session.scalar(here))


def create_pod(session: Session, providers: Providers, params: Mapping[str, Any]) -> Pod:
    """Record a pod from the bound parameters of createPod."""
    zone = live_zone(session, params["zoneid"])
    _refuse_taken_pod(session, params["name"], zone)
    pod = Pod(
        uuid=providers.ids.uuid(),
        name=params["name"],
        zone=zone,
        gateway=params["gateway"] or "",
        netmask=params["netmask"] or "",
        start_ip=params["startip"] or "",
        end_ip=params["endip"] or params["startip"] or "",
        allocation_state=allocation_state(params["allocationstate"]) or "Enabled",
    )
    _check_addresses(pod)
    session.add(pod)
    session.flush()
    return pod


def _refuse_taken_pod(session: Session, name: str, zone: Zone) -> None:
    taken = select(Pod.id).where(equals_ignoring_case(Pod.name, name), Pod.zone_id == zone.id, Pod.removed.is_(None))
    if session.scalar(taken.limit(1)) is not None:
        raise InvalidParameterValueError(
            f"A pod with name: {name} already exists in zone {zone.name}. Please specify a different pod name. "
        )


def _check_addresses(pod: Pod) -> None:
    if not is_ip4(pod.gateway):
        raise InvalidParameterValueError("The gateway is not a valid IP address")
    try:
        network = ipaddress.IPv4Network(f"{pod.gateway}/{pod.netmask}", strict=False)
    except ValueError:
        raise InvalidParameterValueError("The netmask is not valid") from None
    for text, what in ((pod.start_ip, "start"), (pod.end_ip, "end")):
        if not is_ip4(text):
            raise InvalidParameterValueError(f"The {what} address of the IP range is not a valid IP address.")
        if ipaddress.IPv4Address(text) not in network:
            raise InvalidParameterValueError(f"The {what} address of the IP range is not in the CIDR subnet.")
    if ipaddress.IPv4Address(pod.start_ip) > ipaddress.IPv4Address(pod.end_ip):
        raise InvalidParameterValueError("The start IP address must have a lower value than the end IP address.")


def live_pod(session: Session, pod_id: int) -> Pod:
    """The pod with this number; InvalidParameterValueError when it is gone."""
    pod = session.get(Pod, pod_id)
    if pod is None or pod.removed is not None:
        raise InvalidParameterValueError(f"Unable to find pod by id {pod_id}")
    return pod


def update_pod(session: Session, params: Mapping[str, Any]) -> Pod:
    """Change what the bound parameters of updatePod carry."""
    pod = live_pod(session, params["id"])
    if params["name"] is not None:
        if params["name"].lower() != pod.name.lower():
            _refuse_taken_pod(session, params["name"], pod.zone)
        pod.name = params["name"]
    for parameter, column in (
        ("gateway", "gateway"),
        ("netmask", "netmask"),
        ("startip", "start_ip"),
        ("endip", "end_ip"),
    ):
        if params[parameter] is not None:
            setattr(pod, column, params[parameter])
    _check_addresses(pod)
    pod.allocation_state = allocation_state(params["allocationstate"]) or pod.allocation_state
    return pod


def delete_pod(session: Session, providers: Providers, pod_id: int) -> Pod:
    """Take an empty pod away; CloudRuntimeError with what is still in it."""
    pod = live_pod(session, pod_id)
    for model, what in ((Host, "servers"), (Cluster, "clusters"), (StoragePool, "storage pools")):
        if _holds(session, model, "pod_id", pod_id):
            raise CloudRuntimeError(f"The pod cannot be deleted because there are {what} in this pod.")
    pod.removed = providers.utcnow()
    return pod


def add_cluster(session: Session, providers: Providers, params: Mapping[str, Any]) -> Cluster:
    """Record a cluster from the bound parameters of addCluster."""
    zone = session.get(Zone, params["zoneid"])
    if zone is None or zone.removed is not None:
        raise InvalidParameterValueError("Can't find zone by the id specified")
    pod = session.get(Pod, params["podid"])
    if pod is None or pod.removed is not None:
        raise InvalidParameterValueError("Can't find pod with specified podId ")
    if pod.zone_id != zone.id:
        raise InvalidParameterValueError("Can't find pod with specified podId in the zone with specified zoneId")
    # any other word is taken, and stands for no hypervisor
    hypervisor = next((known for known in HYPERVISORS if known.lower() == params["hypervisor"].lower()), "None")
    type_ = params["clustertype"]
    if type_ not in _CLUSTER_TYPES:
        raise ServerApiError(PARAM_ERROR, f"No enum constant com.cloud.org.Cluster.ClusterType.{type_}")
    taken = select(Cluster.id).where(
        equals_ignoring_case(Cluster.name, params["clustername"]), Cluster.pod_id == pod.id, Cluster.removed.is_(None)
    )
    if session.scalar(taken.limit(1)) is not None:
        raise CloudRuntimeError(
            f"Unable to create cluster {params['clustername']} in pod and data center with specified ids",
            uuid_list=({"uuid": pod.uuid, "description": "podId"}, {"uuid": zone.uuid, "description": "dcId"}),
        )
    cluster = Cluster(
        uuid=providers.ids.uuid(),
        name=params["clustername"],
        zone=zone,
        pod=pod,
        hypervisor_type=hypervisor,
        cluster_type=type_,
        allocation_state=allocation_state(params["allocationstate"]) or "Enabled",
        arch=_architecture(params["arch"]) or "x86_64",
    )
    session.add(cluster)
    session.flush()
    return cluster


def _architecture(text: str | None) -> str | None:
    if text and text not in ARCHITECTURES:
        raise InvalidParameterValueError(f"Unsupported arch type: {text}")
    return text or None


def update_cluster(session: Session, params: Mapping[str, Any]) -> Cluster:
    """Change what the bound parameters of updateCluster carry."""
    cluster = session.get(Cluster, params["id"])
    if cluster is None or cluster.removed is not None:
        raise InvalidParameterValueError(f"Unable to find the cluster by id={params['id']}")
    cluster.name = params["clustername"] or cluster.name
    if params["hypervisor"]:
        known = next((each for each in HYPERVISORS if each.lower() == params["hypervisor"].lower()), None)
        if known is None:
            raise InvalidParameterValueError(f"Unable to resolve {params['hypervisor']} to a supported type")
        cluster.hypervisor_type = known
    if params["clustertype"]:
        known = next((each for each in _CLUSTER_TYPES if each.lower() == params["clustertype"].lower()), None)
        if known is None:
            raise InvalidParameterValueError(f"Unable to resolve {params['clustertype']} to a supported type")
        cluster.cluster_type = known
    if params["managedstate"]:
        cluster.managed_state = _resolved(params["managedstate"], _MANAGED_STATES, "Managed State")
    cluster.allocation_state = allocation_state(params["allocationstate"]) or cluster.allocation_state
    cluster.arch = _architecture(params["arch"]) or cluster.arch
    return cluster


def delete_cluster(session: Session, providers: Providers, cluster_id: int) -> Cluster:
    """Take an empty cluster away; CloudRuntimeError with what is still in it."""
    cluster = session.get(Cluster, cluster_id)
    if cluster is None or cluster.removed is not None:
        raise CloudRuntimeError(f"Cluster: {cluster_id} does not exist")
    for model, what in ((Host, "hosts"), (StoragePool, "storage pools")):
        if _holds(session, model, "cluster_id", cluster_id):
            raise CloudRuntimeError(f"Cluster: {cluster_id} cannot be removed. Cluster still has {what}")
    cluster.removed = providers.utcnow()
    return cluster
