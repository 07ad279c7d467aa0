"""Taking snapshots of volumes, as records.

No command goes to a host and no file is made: a snapshot is BackedUp on an image store at once, and only a template can
be made of it. Upstream: server/.../storage/VolumeApiServiceImpl.java (allocSnapshot, takeSnapshot), snapshot/
SnapshotManagerImpl.java, with whose source the texts were compared; no recording shows them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy.orm import Session

from mgmt.errors import (
    INTERNAL_ERROR,
    CloudRuntimeError,
    InvalidParameterValueError,
    PermissionDeniedError,
    ServerApiError,
)
from mgmt.inventory import usage
from mgmt.inventory.image_stores import writable_store
from mgmt.inventory.limits import SNAPSHOT, release, reserve
from mgmt.inventory.lookup import get_live
from mgmt.inventory.scope import ROOT_ADMIN, CallerLike, check_owner_access
from mgmt.inventory.tags import create_tags, pairs
from mgmt.inventory.volume_states import VolumeState
from mgmt.life.records import check_volume_access
from mgmt.life.texts import volume_text
from mgmt.providers import Providers
from mgmt.store.models import Snapshot, VmInstance, Volume, Zone


def allocate_snapshot(
    session: Session, providers: Providers, caller: CallerLike, params: Mapping[str, Any]
) -> Snapshot:
    """Record a snapshot in state Allocated, from the bound parameters of createSnapshot.

    Raises InvalidParameterValueError, PermissionDeniedError, CloudRuntimeError and ResourceAllocationError.
    """
    location = params["locationtype"]
    if location is not None and location.strip().upper() not in ("PRIMARY", "SECONDARY"):
        raise CloudRuntimeError(
            f"Invalid locationType {location}Specified for volume {params['volumeid']}"
            " Valid values are: primary,secondary "
        )
    volume = get_live(session, Volume, params["volumeid"])
    if volume is None:
        raise InvalidParameterValueError(f"Creating snapshot failed due to volume:{params['volumeid']} doesn't exist")
    zone = session.get_one(Zone, volume.zone_id)
    if zone.allocation_state == "Disabled" and caller.account_type != ROOT_ADMIN:
        raise PermissionDeniedError(f"Cannot perform this operation, Zone is currently disabled: {zone.name}")
    if volume.state != VolumeState.READY:
        raise InvalidParameterValueError(
            f"Volume: {volume_text(volume)} is not in Ready state but {volume.state}. Cannot take snapshot."
        )
    if location is not None:
        raise InvalidParameterValueError(f"VolumeId: {volume.id} LocationType is supported only for managed storage")
    check_volume_access(caller, volume)
    claims = reserve(session, volume.account_id, {SNAPSHOT: 1})
    now = providers.utcnow()
    vm = None if volume.vm_id is None else session.get(VmInstance, volume.vm_id)
    snapshot = Snapshot(
        uuid=providers.ids.uuid(),
        name=params["name"] or f"{'detached' if vm is None else vm.name}_{volume.name}_{now:%Y%m%d%H%M%S}",
        volume_id=volume.id,
        account_id=volume.account_id,
        domain_id=volume.domain_id,
        zone_id=volume.zone_id,
        size_bytes=volume.size_bytes,
        created=now,
    )
    session.add(snapshot)
    session.flush()
    release(session, claims)  # the record counts from now on
    create_tags(
        session, providers, caller, type_="Snapshot", ids=[snapshot.uuid], tags=pairs(params["tags"]), customer=None
    )
    return snapshot


def back_up(session: Session, providers: Providers, snapshot: Snapshot) -> None:
    """Have an image store of the zone hold it; without one it is in state Error."""
    snapshot.image_store = writable_store(session, snapshot.zone_id)
    snapshot.state = "Error" if snapshot.image_store is None else "BackedUp"
    if snapshot.image_store is not None:
        usage.snapshot_event(session, providers, snapshot, created=True)


def check_backed_up(snapshot: Snapshot) -> None:
    """Raise what a job that failed to take the snapshot ends with."""
    if snapshot.state == "Error":
        raise ServerApiError(
            INTERNAL_ERROR,
            "Failed to create snapshot due to an internal error creating snapshot for volume " + snapshot.volume.uuid,
        )


def owned_snapshot(session: Session, caller: CallerLike, snapshot_id: int) -> Snapshot:
    """The snapshot, if the caller may act on it; raises InvalidParameterValueError and PermissionDeniedError."""
    snapshot = get_live(session, Snapshot, snapshot_id)
    if snapshot is None:
        raise InvalidParameterValueError(f"unable to find a snapshot with id {snapshot_id}")
    check_owner_access(caller, snapshot.account_id, snapshot.domain.path)
    return snapshot
