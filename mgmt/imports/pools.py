"""Tables P, V, T and D: the conversion pool, the temporary location and the destination pools (import-vm 2.4).

Upstream: UnmanagedVMsManagerImpl.checkConversionStoragePool, selectInstanceConversionTemporaryLocation,
findInstanceConversionDestinationStoragePoolsInCluster.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from mgmt.errors import CloudRuntimeError, InvalidParameterValueError
from mgmt.imports.facts import (
    ClusterFacts,
    DiskOfferingFacts,
    HostFacts,
    ImageStoreFacts,
    PoolFacts,
    ServiceOfferingFacts,
)
from mgmt.imports.tags import first_fit, supports
from mgmt.imports.trace import Row, Table, Trace

NFS = "NetworkFilesystem"
DIRECT_CONVERSION_TYPES = (NFS, "Filesystem", "SharedMountPoint")

_VDDK_RULE = (
    "When using VDDK, all selected disk offerings must be compatible with the conversion storage pool, "
    "as it will become the primary storage for the imported volumes."
)


@dataclass(frozen=True)
class PoolRequest:
    """The facts of table P: what the request says about the conversion pool, and the pool if there is one."""

    pool_id: int | None
    pool: PoolFacts | None
    force: bool

    def seen(self) -> dict[str, object]:
        return {
            "pool": self.pool.name if self.pool else self.pool_id,
            "type": self.pool.pool_type if self.pool else None,
            "forceconverttopool": self.force,
        }


CONVERSION_POOL: Table[PoolRequest, PoolFacts | None] = Table(
    "P",
    (
        Row(
            "P1",
            lambda f: f.force and f.pool_id is None,
            lambda f: CloudRuntimeError(
                "The parameter forceconverttopool is set to true, but a primary storage pool has not been provided "
                "for conversion"
            ),
        ),
        Row(
            "P2",
            lambda f: f.pool_id is not None and f.pool is None,
            lambda f: CloudRuntimeError(f"Cannot find a storage pool with ID {f.pool_id}"),
        ),
        Row(
            "P3",
            lambda f: f.force and f.pool is not None and f.pool.pool_type not in DIRECT_CONVERSION_TYPES,
            lambda f: CloudRuntimeError(
                f"The selected storage pool {f.pool} does not support direct conversion as its type "
                f"{f.pool.pool_type if f.pool else None}"
            ),
        ),
        Row("P4", lambda f: f.pool is not None, lambda f: f.pool),
        Row("P5", lambda f: True, lambda f: None),
    ),
)


@dataclass(frozen=True)
class Offerings:
    """The disk offerings of an import: the root's (None when its record is missing) and those of the data disks.

    `data` maps a disk id of the request to its offering's internal id and record.
    """

    service: ServiceOfferingFacts
    root: DiskOfferingFacts | None
    data: Mapping[str, tuple[int, DiskOfferingFacts | None]] = field(default_factory=dict)

    @property
    def root_is_missing(self) -> bool:
        return self.service.disk_offering_id is not None and self.root is None

    def seen(self) -> dict[str, object]:
        return {
            "service_offering": self.service.name,
            "root_offering": self.root.name if self.root else self.service.disk_offering_id,
            "data_offerings": {disk: str(item or key) for disk, (key, item) in self.data.items()},
        }


@dataclass(frozen=True)
class VddkPool:
    """The facts of table V."""

    use_vddk: bool
    pool: PoolFacts | None
    offerings: Offerings
    trace: Trace

    @property
    def applies(self) -> bool:
        return self.use_vddk and self.pool is not None

    @property
    def conversion_pool(self) -> PoolFacts:
        assert self.pool is not None
        return self.pool

    @cached_property
    def bad_data(self) -> tuple[int, DiskOfferingFacts | None] | None:
        """The first data offering that is missing or that the pool does not support."""
        for key, offering in self.offerings.data.values():
            if offering is None or not supports(self.conversion_pool, offering, self.trace):
                return key, offering
        return None

    def seen(self) -> dict[str, object]:
        return {"use_vddk": self.use_vddk, "pool": str(self.pool), **self.offerings.seen()}


def _root_missing(offerings: Offerings) -> str:
    return (
        f"Cannot find disk offering with ID {offerings.service.disk_offering_id} "
        f"that belongs to the service offering {offerings.service}"
    )


VDDK_POOL: Table[VddkPool, None] = Table(
    "V",
    (
        Row("V5", lambda f: not f.applies, lambda f: None),
        Row(
            "V1",
            lambda f: f.offerings.root_is_missing,
            lambda f: InvalidParameterValueError(_root_missing(f.offerings)),
        ),
        Row(
            "V2",
            lambda f: not supports(f.conversion_pool, f.offerings.root, f.trace),
            lambda f: InvalidParameterValueError(
                f"The root disk offering '{f.offerings.root}' is not supported by the selected conversion storage "
                f"pool '{f.pool}'. {_VDDK_RULE}"
            ),
        ),
        Row(
            "V3",
            lambda f: f.bad_data is not None and f.bad_data[1] is None,
            lambda f: InvalidParameterValueError(
                f"Cannot find disk offering with ID {f.bad_data[0] if f.bad_data else None}"
            ),
        ),
        Row(
            "V4",
            lambda f: f.bad_data is not None,
            lambda f: InvalidParameterValueError(
                f"The data disk offering '{f.bad_data[1] if f.bad_data else None}' is not supported by the selected "
                f"conversion storage pool '{f.pool}'. {_VDDK_RULE}"
            ),
        ),
        Row("V5", lambda f: True, lambda f: None),
    ),
)


@dataclass(frozen=True)
class Location:
    """The facts of table T: where the converted files go first."""

    cluster: ClusterFacts
    convert_host: HostFacts
    import_host: HostFacts
    pool: PoolFacts | None
    force: bool
    image_store: ImageStoreFacts | None

    @property
    def chosen_pool(self) -> PoolFacts:
        assert self.pool is not None
        return self.pool

    @property
    def is_out_of_scope(self) -> bool:
        pool = self.chosen_pool
        if pool.scope == "CLUSTER":
            return pool.cluster_id != self.cluster.id
        return pool.scope == "ZONE" and pool.zone_id != self.cluster.zone_id

    def seen(self) -> dict[str, object]:
        return {
            "pool": str(self.pool) if self.pool else None,
            "scope": self.pool.scope if self.pool else None,
            "type": self.pool.pool_type if self.pool else None,
            "forceconverttopool": self.force,
            "convert_host": self.convert_host.name,
            "import_host": self.import_host.name,
            "image_store": self.image_store.name if self.image_store else None,
        }


TEMPORARY_LOCATION: Table[Location, PoolFacts | ImageStoreFacts] = Table(
    "T",
    (
        Row(
            "T1",
            lambda f: f.pool is None and f.force,
            lambda f: CloudRuntimeError(
                "Please select a primary storage pool when the parameter forceconverttopool is set to true"
            ),
        ),
        Row(
            "T3",
            lambda f: f.pool is None and f.image_store is None,
            lambda f: CloudRuntimeError(
                f"Could not find an NFS secondary storage pool on zone {f.cluster.zone_id} to use as a temporary "
                "location for instance conversion"
            ),
        ),
        Row("T2", lambda f: f.pool is None, lambda f: f.image_store or f.chosen_pool),
        Row(
            "T4",
            lambda f: f.is_out_of_scope,
            lambda f: CloudRuntimeError(
                f"Cannot use the storage pool {f.pool} for the instance conversion as it is not in the scope of the "
                f"cluster {f.cluster}"
            ),
        ),
        Row(
            "T4b",
            lambda f: f.chosen_pool.scope == "CLUSTER" and f.convert_host.cluster_id != f.chosen_pool.cluster_id,
            lambda f: CloudRuntimeError(
                f"Cannot use the storage pool {f.pool} for the instance conversion as the host {f.convert_host} for "
                "conversion is in a different cluster"
            ),
        ),
        Row(
            "T5",
            lambda f: f.chosen_pool.scope == "HOST" and (f.convert_host.id != f.import_host.id or not f.force),
            lambda f: CloudRuntimeError(  # the misspelt parameter name is upstream's
                "Please select the same host as convert and importing host and set forceconvertopool to true to use a "
                "local storage pool for conversion"
            ),
        ),
        Row(
            "T6",
            lambda f: not f.force and f.chosen_pool.pool_type != NFS,
            lambda f: CloudRuntimeError(  # no blank after the comma upstream either
                f"The storage pool {f.pool} is not supported for temporary conversion location,only NFS storage pools "
                "are supported when forceconverttopool is set to false"
            ),
        ),
        Row("T7", lambda f: True, lambda f: f.chosen_pool),
    ),
)


@dataclass(frozen=True)
class Destinations:
    """The facts of the first half of table D: `candidates` are the cluster's and zone's NFS pools for KVM."""

    cluster: ClusterFacts
    force: bool
    conversion_pool: PoolFacts | None
    candidates: tuple[PoolFacts, ...]

    def seen(self) -> dict[str, object]:
        return {
            "forceconverttopool": self.force,
            "conversion_pool": str(self.conversion_pool) if self.conversion_pool else None,
            "candidates": [pool.name for pool in self.candidates],
        }


DESTINATION_POOLS: Table[Destinations, tuple[PoolFacts, ...]] = Table(
    "D",
    (
        Row("D1", lambda f: f.force, lambda f: (f.conversion_pool,) if f.conversion_pool else ()),
        Row(
            "D3",
            lambda f: not f.candidates,
            lambda f: CloudRuntimeError(
                f"Cannot find suitable storage pools in the cluster {f.cluster} for the conversion"
            ),
        ),
        Row("D2", lambda f: True, lambda f: f.candidates),
    ),
)


@dataclass(frozen=True)
class DestinationFit:
    """The facts of the second half of table D: does each offering find a pool?"""

    pools: tuple[PoolFacts, ...]
    offerings: Offerings
    trace: Trace

    @cached_property
    def bad_data(self) -> tuple[int, DiskOfferingFacts | None] | None:
        for key, offering in self.offerings.data.values():
            if offering is None or first_fit(self.pools, offering, self.trace) is None:
                return key, offering
        return None

    def seen(self) -> dict[str, object]:
        return {"pools": [pool.name for pool in self.pools], **self.offerings.seen()}


DESTINATION_FIT: Table[DestinationFit, None] = Table(
    "D",
    (
        Row("D4", lambda f: f.offerings.root_is_missing, lambda f: CloudRuntimeError(_root_missing(f.offerings))),
        Row(
            "D5",
            lambda f: first_fit(f.pools, f.offerings.root, f.trace) is None,
            lambda f: CloudRuntimeError(
                f"Cannot find suitable storage pool for disk offering {f.offerings.root} that belongs to the service "
                f"offering {f.offerings.service}"
            ),
        ),
        Row(
            "D6",
            lambda f: f.bad_data is not None and f.bad_data[1] is None,
            lambda f: CloudRuntimeError(f"Cannot find disk offering with ID {f.bad_data[0] if f.bad_data else None}"),
        ),
        Row(
            "D7",
            lambda f: f.bad_data is not None,
            lambda f: CloudRuntimeError(
                f"Cannot find suitable storage pool for disk offering {f.bad_data[1] if f.bad_data else None}"
            ),
        ),
        Row("D-fit", lambda f: True, lambda f: None),
    ),
)


def pools_for_disks(disk_ids: list[str], pools: tuple[PoolFacts, ...], offerings: Offerings) -> list[str]:
    """The uuid of the destination pool of each disk, in the order of the disks (import-vm 2.4, per-disk choice)."""
    chosen: list[str] = []
    for disk_id in disk_ids:
        offering = offerings.data[disk_id][1] if disk_id in offerings.data else offerings.root
        pool = first_fit(pools, offering)
        if pool is None:
            raise CloudRuntimeError(f"Cannot find suitable storage pool for disk offering {offering}", row="D7")
        chosen.append(pool.uuid)
    return chosen


# What stands in docs/import-rules.md: when each row holds, and what it gives where it refuses nothing.
RULES: Mapping[str, str] = {
    "P1": "forceconverttopool without a pool",
    "P2": "convertinstancepoolid names no pool",
    "P3": "forceconverttopool with a pool to whose type virt-v2v cannot write",
    "P4": "otherwise, with a pool -> that pool",
    "P5": "no pool -> none",
    "V1": "VDDK with a pool: the compute offering's disk offering is gone",
    "V2": "VDDK with a pool: its tags do not fit the compute offering's disk offering",
    "V3": "VDDK with a pool: a data disk's offering is gone",
    "V4": "VDDK with a pool: its tags do not fit a data disk's offering",
    "V5": "VDDK off, no pool, or all fit -> passes",
    "T1": "forceconverttopool without a pool; row P1 comes first",
    "T2": "no pool, and the zone has NFS secondary storage -> that storage",
    "T3": "no pool, and the zone has no NFS secondary storage",
    "T4": "the pool is of another cluster or another zone than the destination",
    "T4b": "the pool is of one cluster and the conversion host of another",
    "T5": "a local pool, and two hosts or forceconverttopool=false",
    "T6": "forceconverttopool=false and the pool is not NFS",
    "T7": "otherwise -> the pool itself",
    "D1": "forceconverttopool -> the conversion pool alone",
    "D2": "otherwise -> the NFS pools of the cluster and of its zone",
    "D3": "no NFS pool in the cluster and its zone",
    "D4": "the compute offering's disk offering is gone",
    "D5": "no pool has the tags of the compute offering's disk offering",
    "D6": "a data disk's offering is gone; row 13b comes first",
    "D7": "no pool has the tags of a data disk's offering",
    "D-fit": "every offering finds a pool -> each disk goes to the first pool with its offering's tags",
}
