"""importVm, sources `shared` and `local`: a VM around a disk image that lies in a primary pool (import-vm 5.4).

Upstream: UnmanagedVMsManagerImpl.importKvmInstanceFromDisk, importKvmVirtualMachineFromDisk.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from mgmt.errors import InvalidParameterValueError
from mgmt.imports.diskimages import check_image
from mgmt.imports.facts import NetworkFacts, PoolFacts
from mgmt.imports.kvmrecords import NewDisk
from mgmt.imports.kvmsource import KvmImport, Preview
from mgmt.imports.networks import L2, GuestNic, check_permission
from mgmt.imports.planner import Destination
from mgmt.imports.pools import Offerings
from mgmt.imports.registration import PlacedNic
from mgmt.imports.request import AUTO_ADDRESS
from mgmt.imports.tags import supports
from mgmt.inventory.events import record_event
from mgmt.inventory.lookup import get_live
from mgmt.jobs.waiting import Work
from mgmt.protocol.commands import UnmanagedInstanceTO
from mgmt.store.models import Host, Network, StoragePool, Volume

ROOT_DEVICE_ID = 1  # upstream gives the root volume of these imports number 1


@dataclass(frozen=True)
class Found:
    """What the checks found; `host_id` only for the source local."""

    disk_path: str
    pool: PoolFacts
    network: NetworkFacts
    host_id: int | None


class SharedImport:
    """The import of one image of a shared pool."""

    def __init__(self, job: KvmImport) -> None:
        self._job = job
        self._request = job.request

    def wait(self) -> Work[None]:
        """Nothing is copied: no limit holds for it."""
        yield from ()

    def run(self) -> int:
        """Import the VM and return its internal number."""
        job = self._job
        offerings = job.offerings()
        found, disks = self._look(offerings)
        job.reserve(disks)
        registration = job.registration(offerings, UnmanagedInstanceTO())
        with job.services.store.session() as session:
            mac_address = registration.new_mac(session, found.network)
        address = None if found.network.guest_type == L2 else AUTO_ADDRESS
        nics: list[PlacedNic] = [(GuestNic("0", mac_address, None), found.network, address)]
        with job.step("register VM and volume"):
            vm_id, instance_name, (volume_id,) = job.begin(disks, {})
        with job.step("plan"):
            destination = self._destination(found, disks, instance_name)
        with job.step("check image on host"):
            # Recorded from the real server: the host looks in the planned pool, the volume gets the one asked for.
            image = check_image(job.services, destination.host_id, destination.pools[0], found.disk_path, job.trace)
            job.records.fill_volume(volume_id, found.pool, image, counted=True)
        with job.step("register NICs"):
            job.finish(registration, vm_id, nics)
            self._volume_event(volume_id)
        return vm_id

    def preview(self) -> Preview:
        """What `run` would do; the host looks at the image, nothing is made."""
        job = self._job
        found, disks = self._look(job.offerings())
        job.check_limits(disks)
        destination = self._destination(found, disks, job.records.next_instance_name())
        check_image(job.services, destination.host_id, destination.pools[0], found.disk_path, job.trace)
        return Preview.of(job.services, destination, ["CheckVolumeCommand"], 0.0)

    def _look(self, offerings: Offerings) -> tuple[Found, list[NewDisk]]:
        with self._job.step("check image and network"), self._job.services.store.session() as session:
            found = self._check(session, offerings)
        return found, [NewDisk(0, ROOT_DEVICE_ID, offerings.root)]

    # Checks -----------------------------------------------------------------------------------------------------------

    def _check(self, session: Session, offerings: Offerings) -> Found:
        request = self._request
        trace = self._job.trace
        with trace.rule("5.4-1", diskpath=request.diskpath):
            if not (request.diskpath or "").strip():
                raise InvalidParameterValueError(
                    "Disk Path is required for Import from shared/local storage", row="5.4-1"
                )
        with trace.rule("5.4-2", networkid=request.networkid):
            if request.networkid is None:
                raise InvalidParameterValueError(
                    "Network is required for Import from shared/local storage", row="5.4-2"
                )
        with trace.rule("5.4-3", storageid=request.storageid):
            if request.storageid is None:
                raise InvalidParameterValueError(
                    "Storage Pool is required for Import from shared/local storage", row="5.4-3"
                )
        with trace.rule("5.4-4", storageid=request.storageid):
            row = get_live(session, StoragePool, request.storageid)
            if row is None:
                raise InvalidParameterValueError("Storage Pool not found", row="5.4-4")
        pool = PoolFacts.of(row)
        with trace.rule("5.4-5", pool=pool.name, diskpath=request.diskpath):
            if _is_in_use(session, pool, request.diskpath or ""):
                raise InvalidParameterValueError("Disk image is already in use", row="5.4-5")
        with trace.rule("5.4-6", pool=pool.name):
            if not supports(pool, offerings.root, trace):
                raise InvalidParameterValueError(
                    f"Service offering: {offerings.service.uuid} storage tags are not compatible with selected storage "
                    f"pool: {pool.uuid}",
                    row="5.4-6",
                )
        host_id = self._host(session, row)
        return Found(request.diskpath or "", pool, self._network(session), host_id)

    def _host(self, session: Session, pool: StoragePool) -> int | None:
        return None

    def _network(self, session: Session) -> NetworkFacts:
        plan, trace = self._job.plan, self._job.trace
        with trace.rule("5.4-10", networkid=self._request.networkid):
            row = get_live(session, Network, self._request.networkid)
            if row is None:
                raise InvalidParameterValueError(
                    f"Unable to find network by id {self._request.networkid}", row="5.4-10"
                )
        network = NetworkFacts.of(row)
        with trace.rule("2.7-4", network=network.name):
            check_permission(session, network, plan.owner)
        with trace.rule("5.4-12", network=network.name):
            if row.is_system:
                raise InvalidParameterValueError(
                    f"Network id={network.id} is system only and can't be used for vm deployment", row="5.4-12"
                )
        with trace.rule("5.4-13", network=network.name, zone=network.zone_id):
            if network.zone_id != plan.zone_id:
                raise InvalidParameterValueError(
                    f"Network id={network.id} doesn't belong to zone {plan.zone_id}", row="5.4-13"
                )
        return network

    # Work -------------------------------------------------------------------------------------------------------------

    def _destination(self, found: Found, disks: list[NewDisk], instance_name: str) -> Destination:
        if found.host_id is not None:
            return Destination(found.host_id, (found.pool,))
        return self._job.destination(disks, instance_name)

    def _volume_event(self, volume_id: int) -> None:
        plan = self._job.plan
        with self._job.services.store.session() as session:
            volume = session.get_one(Volume, volume_id)
            record_event(
                session,
                self._job.services.providers,
                type="VOLUME.CREATE",
                level="INFO",
                state="Created",
                description=f"Created volume: {volume.name} ({volume.uuid})",
                caller=plan.owner,
                resource_type="Volume",
                resource_uuid=volume.uuid,
            )


class LocalImport(SharedImport):
    """The import of one image that a named host holds."""

    def _host(self, session: Session, pool: StoragePool) -> int:
        trace = self._job.trace
        with trace.rule("5.4-7", hostid=self._request.hostid):
            if self._request.hostid is None:
                raise InvalidParameterValueError("Host is required for Import from local storage", row="5.4-7")
        with trace.rule("5.4-8", hostid=self._request.hostid):
            host = get_live(session, Host, self._request.hostid)
            if host is None:
                raise InvalidParameterValueError("Host not found", row="5.4-8")
        with trace.rule("5.4-9", host=host.name, pool=pool.name):
            if not _reaches(host, pool):
                raise InvalidParameterValueError("Specified Local Storage Pool not found on Host", row="5.4-9")
        return host.id


def _is_in_use(session: Session, pool: PoolFacts, path: str) -> bool:
    used = select(Volume.id).where(Volume.pool_id == pool.id, Volume.path == path, Volume.removed.is_(None))
    return session.scalar(used.limit(1)) is not None


def _reaches(host: Host, pool: StoragePool) -> bool:
    if pool.scope == "HOST":
        return pool.host_id == host.id
    if pool.scope == "CLUSTER":
        return pool.cluster_id == host.cluster_id
    return pool.zone_id == host.zone_id


RULES: Mapping[str, str] = {
    "5.4-1": "sources shared, local: diskpath is missing or blank",
    "5.4-2": "sources shared, local: networkid is missing",
    "5.4-3": "sources shared, local: storageid is missing",
    "5.4-4": "sources shared, local: the pool was removed, or there is none with that number",
    "5.4-5": "sources shared, local: a volume in that pool has that path",
    "5.4-6": "sources shared, local: the pool does not carry the tags of the compute offering's disk offering",
    "5.4-7": "source local: hostid is missing",
    "5.4-8": "source local: the host was removed, or there is none with that number",
    "5.4-9": "source local: the host does not reach the pool",
    "5.4-10": "sources shared, local: the network was removed, or there is none with that number",
    "5.4-12": "sources shared, local: the network is for the system only",
    "5.4-13": "sources shared, local: the network is in another zone",
}
