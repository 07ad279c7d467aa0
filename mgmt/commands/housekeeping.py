"""Archiving and deleting events and alerts, names of guest systems, image stores' changes."""

from __future__ import annotations

from sqlalchemy import select

from mgmt.commands.catalogued import DoneEvent, done, listed
from mgmt.commands.declaration import Bound, Call, Item, Listing, Success
from mgmt.errors import INTERNAL_ERROR, ServerApiError
from mgmt.inventory import record_keeping
from mgmt.inventory.listing import equals_ignoring_case, like_keyword, page
from mgmt.inventory.lookup import get_live
from mgmt.inventory.pools import image_store_view
from mgmt.store.models import GuestOs, GuestOsMapping, ImageStore


@done("archiveEvents")
def archive_events(call: Call, bound: Bound) -> Success:
    """Take events out of the usual list."""
    for event in record_keeping.doomed_events(call.db, call.caller, bound, "archive"):
        event.archived = True
    return Success()


@done("deleteEvents")
def delete_events(call: Call, bound: Bound) -> Success:
    """Forget events."""
    for event in record_keeping.doomed_events(call.db, call.caller, bound, "delete"):
        call.db.delete(event)
    return Success()


@done("archiveAlerts")
def archive_alerts(call: Call, bound: Bound) -> Success:
    """Take alerts out of the list."""
    for alert in record_keeping.doomed_alerts(call.db, bound, "archive"):
        alert.archived = True
    return Success()


@done("deleteAlerts")
def delete_alerts(call: Call, bound: Bound) -> Success:
    """Forget alerts."""
    for alert in record_keeping.doomed_alerts(call.db, bound, "delete"):
        call.db.delete(alert)
    return Success()


@listed("listGuestOsMapping", "guestosmapping", since="4.4.0")
def list_guest_os_mapping(call: Call, bound: Bound) -> Listing:
    """What hypervisors call the guest systems; this world has KVM's names."""
    wanted = select(GuestOsMapping).join(GuestOsMapping.guest_os).order_by(GuestOsMapping.id)
    for name, column in (("id", GuestOsMapping.id), ("ostypeid", GuestOsMapping.guest_os_id)):
        if bound[name] is not None:
            wanted = wanted.where(column == bound[name])
    for name, text in (
        ("hypervisor", GuestOsMapping.hypervisor_type),
        ("hypervisorversion", GuestOsMapping.hypervisor_version),
    ):
        if bound[name] is not None:
            wanted = wanted.where(equals_ignoring_case(text, bound[name]))
    for name, shown in (
        ("osdisplayname", GuestOs.display_name),
        ("osnameforhypervisor", GuestOsMapping.guest_os_name),
        ("keyword", GuestOsMapping.guest_os_name),
    ):
        if bound[name] is not None:
            wanted = wanted.where(like_keyword(shown, bound[name]))
    found, count = page(call.db, wanted, bound.paging)
    return Listing(
        [
            {
                "id": each.uuid,
                "hypervisor": each.hypervisor_type,
                "hypervisorversion": each.hypervisor_version,
                "ostypeid": each.guest_os.uuid,
                "osdisplayname": each.guest_os.display_name,
                "osnameforhypervisor": each.guest_os_name,
                "isuserdefined": "true" if each.is_user_defined else "false",
            }
            for each in found
        ],
        count,
    )


@done(
    "updateImageStore",
    "imagestore",
    since="4.15.0",
    event=DoneEvent("ImageStore", "IMAGE.STORE.ACCESS.UPDATED", "image store access updated"),
)
def update_image_store(call: Call, bound: Bound) -> Item:
    """Rename a secondary storage, or let it take nothing new."""
    store = get_live(call.db, ImageStore, bound["id"])
    if store is None:
        raise ServerApiError(INTERNAL_ERROR, f"Unable to find image store with ID: {bound['id']}")
    store.name = bound["name"] or store.name
    store.read_only = store.read_only if bound["readonly"] is None else bound["readonly"]
    store.total_bytes = bound["capacitybytes"] or store.total_bytes
    return Item(image_store_view(store))


COMMANDS = (
    archive_events,
    delete_events,
    archive_alerts,
    delete_alerts,
    list_guest_os_mapping,
    update_image_store,
)
