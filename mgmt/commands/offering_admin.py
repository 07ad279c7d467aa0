"""Making, changing and deleting compute and disk offerings."""

from __future__ import annotations

from mgmt.commands.catalogued import completed, done
from mgmt.commands.declaration import Bound, Call, Item, Success
from mgmt.inventory import offering_admin
from mgmt.inventory.offerings import disk_offering_view, service_offering_view

SERVICE, DISK = "ServiceOffering", "DiskOffering"


@done("createServiceOffering", "serviceoffering")
def create_service_offering(call: Call, bound: Bound) -> Item:
    """A compute offering, fixed or custom."""
    offering = offering_admin.create_service_offering(call.db, call.services.providers, bound)
    completed(call.db, call, "SERVICE.OFFERING.CREATE", "creating service offering", SERVICE, offering.uuid)
    return Item({**service_offering_view(offering), "gpudisplay": False})


@done("updateServiceOffering", "serviceoffering")
def update_service_offering(call: Call, bound: Bound) -> Item:
    """Change a compute offering."""
    offering = offering_admin.update_service_offering(call.db, bound)
    completed(call.db, call, "SERVICE.OFFERING.EDIT", "updating service offering", SERVICE, offering.uuid)
    return Item(service_offering_view(offering))


@done("deleteServiceOffering")
def delete_service_offering(call: Call, bound: Bound) -> Success:
    """Take a compute offering away."""
    offering = offering_admin.delete_service_offering(call.db, call.services.providers, bound["id"])
    completed(call.db, call, "SERVICE.OFFERING.DELETE", "deleting service offering", SERVICE, offering.uuid)
    return Success()


@done("createDiskOffering", "diskoffering")
def create_disk_offering(call: Call, bound: Bound) -> Item:
    """A disk offering, of a fixed size or custom."""
    offering = offering_admin.create_disk_offering(call.db, call.services.providers, bound)
    completed(call.db, call, "DISK.OFFERING.CREATE", "creating disk offering", DISK, offering.uuid)
    return Item(disk_offering_view(offering))


@done("updateDiskOffering", "diskoffering")
def update_disk_offering(call: Call, bound: Bound) -> Item:
    """Change a disk offering."""
    offering = offering_admin.update_disk_offering(call.db, bound)
    completed(call.db, call, "DISK.OFFERING.EDIT", "updating disk offering", DISK, offering.uuid)
    return Item(disk_offering_view(offering))


@done("deleteDiskOffering")
def delete_disk_offering(call: Call, bound: Bound) -> Success:
    """Take a disk offering away."""
    offering = offering_admin.delete_disk_offering(call.db, call.services.providers, bound["id"])
    completed(call.db, call, "DISK.OFFERING.DELETE", "deleting disk offering", DISK, offering.uuid)
    return Success()


COMMANDS = (
    create_service_offering,
    update_service_offering,
    delete_service_offering,
    create_disk_offering,
    update_disk_offering,
    delete_disk_offering,
)
