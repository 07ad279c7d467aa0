"""Snapshots of volumes, as records."""

from __future__ import annotations

from mgmt.commands.catalogued import job, listed
from mgmt.commands.declaration import Bound, Call, Item, Listing, Success, events_of
from mgmt.commands.life_calls import created, created_record, refuse_unknown
from mgmt.commands.owned import wanted_ids
from mgmt.inventory.scope import resolve_scope
from mgmt.inventory.tags import with_tags
from mgmt.inventory.volume_snapshots import find_snapshots, forget_snapshot, snapshot_view
from mgmt.life.volume_snapshots import allocate_snapshot, back_up, check_backed_up, owned_snapshot
from mgmt.store.models import Snapshot

SNAPSHOT = "Snapshot"
_event = events_of(SNAPSHOT)
_VOLUME_UUID = "volume uuid"  # no parameter has such a name


def _allocate(call: Call, bound: Bound) -> str:
    refuse_unknown(bound, "policyid", "storageids", "zoneids")
    snapshot = allocate_snapshot(call.db, call.services.providers, call.caller, bound)
    bound[_VOLUME_UUID] = snapshot.volume.uuid
    created(call, "SNAPSHOT.CREATE", "creating snapshot", SNAPSHOT, snapshot.uuid)
    return snapshot.uuid


@job(
    "createSnapshot",
    "snapshot",
    create=_allocate,
    instance_type=SNAPSHOT,
    event=_event(
        "SNAPSHOT.CREATE", "creating snapshot", lambda bound: f"creating snapshot for volume: {bound[_VOLUME_UUID]}"
    ),
)
def create_snapshot(call: Call, bound: Bound) -> Item:
    """Back up the snapshot that `_allocate` recorded, and show it."""
    with call.services.store.session() as session:
        back_up(session, call.services.providers, created_record(session, Snapshot, bound))
    with call.services.store.session() as session:
        snapshot = created_record(session, Snapshot, bound)
        check_backed_up(snapshot)
        return Item(with_tags(session, SNAPSHOT, [snapshot_view(session, snapshot)])[0])


@listed("listSnapshots", "snapshot")
def list_snapshots(call: Call, bound: Bound) -> Listing:
    ids = wanted_ids(bound)
    scope = resolve_scope(call.db, call.caller, bound, has_id=ids is not None)
    found, count = find_snapshots(call.db, scope, bound, ids, bound.paging)
    return Listing(with_tags(call.db, SNAPSHOT, [snapshot_view(call.db, each) for each in found]), count)


def _check_owned(call: Call, bound: Bound) -> None:
    with call.services.store.session() as session:
        owned_snapshot(session, call.caller, bound["id"])


@job(
    "deleteSnapshot",
    event=_event("SNAPSHOT.DELETE", "deleting snapshot", lambda bound: f"deleting snapshot: {bound.instance_uuid}"),
    instance_type=SNAPSHOT,
    instance_param="id",
    precheck=_check_owned,
)
def delete(call: Call, bound: Bound) -> Success:
    """Forget a snapshot."""
    with call.services.store.session() as session:
        forget_snapshot(session, call.services.providers, owned_snapshot(session, call.caller, bound["id"]))
    return Success()


COMMANDS = (create_snapshot, list_snapshots, delete)
