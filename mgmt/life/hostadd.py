"""Adding a KVM host: its agent is set up with its place and started, and then comes up by itself.

Upstream: ResourceManagerImpl.discoverHosts, LibvirtServerDiscoverer.find.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import urlsplit

from sqlalchemy import select
from sqlalchemy.orm import Session

from mgmt.errors import INTERNAL_ERROR, InvalidParameterValueError, PermissionDeniedError, ServerApiError
from mgmt.inventory.lookup import get_live
from mgmt.inventory.scope import ROOT_ADMIN, CallerLike
from mgmt.life.hostsetup import HostSetup, Place
from mgmt.providers import Providers
from mgmt.store.database import Store
from mgmt.store.models import Cluster, Host, Pod, Zone

logger = logging.getLogger(__name__)

COMES_UP_WITHIN_S = 60.0
_WITHOUT_CREDENTIALS = ("vmware", "secondarystorage")


class UpWaiter(Protocol):
    """The agent edge: tells when hosts are Up."""

    def wait_for_hosts_up(self, guids: Sequence[str], timeout_s: float) -> bool:
        """True once they are Up, False after `timeout_s` real seconds."""
        ...


@dataclass(frozen=True)
class NewHost:
    """What addHost asks for; the password is kept out of every text."""

    zone_id: int
    pod_id: int
    cluster_id: int | None
    cluster_name: str | None
    url: str
    hypervisor: str
    username: str | None
    password: str | None
    tags: Sequence[str] = ()
    allocation_state: str | None = None

    def __repr__(self) -> str:
        return f"NewHost({self.url})"


def add_host(
    store: Store, providers: Providers, setup: HostSetup, agents: UpWaiter, caller: CallerLike, new: NewHost
) -> int:
    """Set the host's agent up and return the host's number once it is Up.

    Raises InvalidParameterValueError, PermissionDeniedError and ServerApiError with CloudStack's texts.
    """
    with store.session() as session:
        _check(session, caller, new)
        address = _address(new.url)
        if new.hypervisor.lower() != "kvm":
            raise ServerApiError(INTERNAL_ERROR, f"Do not support HypervisorType {new.hypervisor} for {new.url}")
        nowhere = ServerApiError(
            INTERNAL_ERROR, f"Unable to add the host: Cannot find the server resources at {new.url}"
        )
        if address is None or _is_known(session, address):
            raise nowhere
        cluster = _cluster(session, providers, new)
        place = Place(str(new.zone_id), str(new.pod_id), str(cluster.id))
    guid = setup.set_up(address, new.username or "", new.password, place)
    if guid is None or not agents.wait_for_hosts_up([guid], COMES_UP_WITHIN_S):
        logger.warning("the host at %s cannot be added: %s", address, "not reached" if guid is None else "not Up")
        raise nowhere
    with store.session() as session:
        host = session.scalars(select(Host).where(Host.guid == guid, Host.removed.is_(None))).one()
        if new.tags:
            host.host_tags = ",".join(new.tags)
        if new.allocation_state is not None and new.allocation_state.lower() in ("disable", "disabled"):
            host.resource_state = "Disabled"
        return host.id


def _check(session: Session, caller: CallerLike, new: NewHost) -> None:
    """ResourceManagerImpl.discoverHosts and discoverHostsFull, in their order."""
    if new.cluster_id is not None and get_live(session, Cluster, new.cluster_id) is None:
        raise InvalidParameterValueError("can not find cluster for specified clusterId")
    zone = get_live(session, Zone, new.zone_id)
    if zone is None:
        raise InvalidParameterValueError(f"Can't find zone by id {new.zone_id}")
    if zone.allocation_state == "Disabled" and caller.account_type != ROOT_ADMIN:
        raise PermissionDeniedError("Cannot perform this operation, Zone with specified id is currently disabled")
    pod = get_live(session, Pod, new.pod_id)
    if pod is None:
        raise InvalidParameterValueError(f"Can't find pod by id {new.pod_id}")
    if pod.zone_id != zone.id:
        raise InvalidParameterValueError(
            f"Pod with specified pod {_text('HostPod', pod)} doesn't belong to the zone with specified zone "
            f"{_text('Zone', zone)}",
            uuid_list=({"uuid": pod.uuid, "description": "podId"}, {"uuid": zone.uuid, "description": "dcId"}),
        )
    if new.cluster_name is not None and new.cluster_id is not None:
        raise InvalidParameterValueError("Can't specify cluster by both id and name")
    if not new.hypervisor:
        raise InvalidParameterValueError("Need to specify Hypervisor Type")
    if new.hypervisor.lower() in _WITHOUT_CREDENTIALS:
        return
    has_name = bool((new.username or "").strip())
    if new.hypervisor.lower() == "kvm":
        if not has_name:
            raise InvalidParameterValueError("Username need to be provided.")
    elif not has_name or not (new.password or "").strip():
        raise InvalidParameterValueError("Username and Password need to be provided.")


def _text(kind: str, row: Pod | Zone) -> str:
    return f'{kind} {{"id": "{row.id}", "name": "{row.name}", "uuid": "{row.uuid}"}}'


def _address(url: str) -> str | None:
    """The IP address that a host's URL names, None when nothing can be reached by it."""
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:
        raise InvalidParameterValueError(f"{url} is not a valid uri") from None
    if not parts.scheme:
        raise InvalidParameterValueError(f"uri.scheme is null {url}, add nfs:// (or cifs://) as a prefix")
    if not host:
        return None
    try:
        return str(socket.getaddrinfo(host, None, flags=socket.AI_NUMERICHOST)[0][4][0])
    except OSError:
        return host


def _is_known(session: Session, address: str) -> bool:
    known = select(Host.id).where(Host.private_ip_address == address, Host.removed.is_(None))
    return session.scalar(known.limit(1)) is not None


def _cluster(session: Session, providers: Providers, new: NewHost) -> Cluster:
    """The cluster that is named, or a new one; a host without a cluster gets one of its own."""
    if new.cluster_id is not None:
        return session.get_one(Cluster, new.cluster_id)
    name = new.cluster_name or f"Standalone-{new.url}"
    found = session.scalar(
        select(Cluster).where(Cluster.name == name, Cluster.pod_id == new.pod_id, Cluster.removed.is_(None))
    )
    if found is None:
        found = Cluster(
            uuid=providers.ids.uuid(),
            name=name,
            zone_id=new.zone_id,
            pod_id=new.pod_id,
            hypervisor_type=new.hypervisor.upper(),
        )
        session.add(found)
        session.flush()
    return found
