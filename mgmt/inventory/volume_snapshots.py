"""Snapshots of volumes: finding them, and what answers show of them.

Upstream: server/.../storage/snapshot/SnapshotManagerImpl.java (listSnapshots), ApiResponseHelper.java
(createSnapshotResponse), api/query/dao/SnapshotJoinDaoImpl.java.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from mgmt.errors import InvalidParameterValueError
from mgmt.inventory import usage
from mgmt.inventory.listing import Window, equals_ignoring_case, like_keyword, page
from mgmt.inventory.scope import Scope, owner_fields
from mgmt.inventory.tags import has_tags
from mgmt.providers import Providers
from mgmt.store.models import GuestOs, Snapshot, VmInstance

MANUAL, RECURRING = "MANUAL", "RECURRING"
_TYPES = (MANUAL, RECURRING, "TEMPLATE", "HOURLY", "DAILY", "WEEKLY", "MONTHLY", "GROUP", "INTERNAL")


def find_snapshots(
    session: Session, scope: Scope, params: Mapping[str, Any], ids: Sequence[int] | None, window: Window
) -> tuple[list[Snapshot], int]:
    """The page of snapshots that the bound parameters of listSnapshots ask for, and the number of all of them."""
    wanted = select(Snapshot).where(Snapshot.removed.is_(None), scope.clause(Snapshot.account_id, Snapshot.domain_id))
    if ids is not None:
        wanted = wanted.where(Snapshot.id.in_(ids))
    for name, column in (("volumeid", Snapshot.volume_id), ("zoneid", Snapshot.zone_id)):
        if params[name] is not None:
            wanted = wanted.where(column == params[name])
    if params["name"] is not None:
        wanted = wanted.where(equals_ignoring_case(Snapshot.name, params["name"]))
    if params["keyword"] is not None:
        wanted = wanted.where(like_keyword(Snapshot.name, params["keyword"]))
    wanted = wanted.where(*has_tags(Snapshot.uuid, "Snapshot", params["tags"]))
    if not _wants_manual(params):
        return [], 0
    return page(session, wanted.order_by(Snapshot.id), window)


def _wants_manual(params: Mapping[str, Any]) -> bool:
    """Whether snapshots that users asked for are wanted; there are no others here."""
    kind, interval = params["snapshottype"], params["intervaltype"]
    if kind is not None:
        if kind.upper() not in _TYPES:
            raise InvalidParameterValueError(f"Unsupported snapshot type {kind}")
        return bool(kind.upper() == MANUAL)
    if interval is not None and params["volumeid"] is not None:
        if interval.upper() not in _TYPES:
            raise InvalidParameterValueError(f"Unsupported snapstho interval type {interval}")
        return bool(interval.upper() == MANUAL)
    return True


def forget_snapshot(session: Session, providers: Providers, snapshot: Snapshot) -> None:
    """Take a snapshot away."""
    if snapshot.state == "BackedUp":
        usage.snapshot_event(session, providers, snapshot, created=False)
    snapshot.state, snapshot.removed = "Destroyed", providers.utcnow()


def snapshot_view(session: Session, snapshot: Snapshot) -> dict[str, Any]:
    """A snapshot as answers show it."""
    volume, store = snapshot.volume, snapshot.image_store
    guest_os = None
    if volume.volume_type == "ROOT" and volume.vm_id is not None:
        vm = session.get(VmInstance, volume.vm_id)
        guest_os = None if vm is None else session.get(GuestOs, vm.guest_os_id)
    return {
        "id": snapshot.uuid,
        **owner_fields(snapshot.account, snapshot.domain),
        "snapshottype": MANUAL,
        "volumeid": volume.uuid,
        "volumename": volume.name,
        "volumetype": volume.volume_type,
        "volumestate": volume.state,
        "created": snapshot.created,
        "name": snapshot.name,
        "intervaltype": MANUAL,
        "state": snapshot.state,
        "physicalsize": snapshot.size_bytes if store is not None else 0,
        "virtualsize": snapshot.size_bytes,
        "zoneid": snapshot.zone.uuid,
        "zonename": snapshot.zone.name,
        "revertable": False,
        "ostypeid": None if guest_os is None else guest_os.uuid,
        "osdisplayname": None if guest_os is None else guest_os.display_name,
        "datastoreid": None if store is None else store.uuid,
        "datastorename": None if store is None else store.name,
        "datastorestate": None if store is None else "Ready",
        "datastoretype": None if store is None else "Image",
        "tags": [],
        "hasannotations": False,
    }
