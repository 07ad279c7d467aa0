"""Making, changing and deleting compute and disk offerings."""

from __future__ import annotations

from mgmt.commands.catalogued import DoneEvent, done
from mgmt.commands.declaration import Bound, Call, Item, Success
from mgmt.inventory import offering_admin
from mgmt.inventory.offerings import disk_offering_view, service_offering_view

SERVICE, DISK = "ServiceOffering", "DiskOffering"


@done(
    "createServiceOffering",
    "serviceoffering",
    event=DoneEvent(SERVICE, "SERVICE.OFFERING.CREATE", "creating service offering"),
)
def create_service_offering(call: Call, bound: Bound) -> Item:
    """A compute offering, fixed or custom."""
    return Item(
        {
            **service_offering_view(offering_admin.create_service_offering(call.db, call.services.providers, bound)),
            "gpudisplay": False,
        }
    )


@done(
    "updateServiceOffering",
    "serviceoffering",
    event=DoneEvent(SERVICE, "SERVICE.OFFERING.EDIT", "updating service offering"),
)
def update_service_offering(call: Call, bound: Bound) -> Item:
    """Change a compute offering."""
    return Item(service_offering_view(offering_admin.update_service_offering(call.db, bound)))


@done("deleteServiceOffering", event=DoneEvent(SERVICE, "SERVICE.OFFERING.DELETE", "deleting service offering"))
def delete_service_offering(call: Call, bound: Bound) -> Success:
    """Take a compute offering away."""
    offering_admin.delete_service_offering(call.db, call.services.providers, bound["id"])
    return Success()


@done("createDiskOffering", "diskoffering", event=DoneEvent(DISK, "DISK.OFFERING.CREATE", "creating disk offering"))
def create_disk_offering(call: Call, bound: Bound) -> Item:
    """A disk offering, of a fixed size or custom."""
    return Item(disk_offering_view(offering_admin.create_disk_offering(call.db, call.services.providers, bound)))


@done("updateDiskOffering", "diskoffering", event=DoneEvent(DISK, "DISK.OFFERING.EDIT", "updating disk offering"))
def update_disk_offering(call: Call, bound: Bound) -> Item:
    """Change a disk offering."""
    return Item(disk_offering_view(offering_admin.update_disk_offering(call.db, bound)))


@done("deleteDiskOffering", event=DoneEvent(DISK, "DISK.OFFERING.DELETE", "deleting disk offering"))
def delete_disk_offering(call: Call, bound: Bound) -> Success:
    """Take a disk offering away."""
    offering_admin.delete_disk_offering(call.db, call.services.providers, bound["id"])
    return Success()


COMMANDS = (
    create_service_offering,
    update_service_offering,
    delete_service_offering,
    create_disk_offering,
    update_disk_offering,
    delete_disk_offering,
)
