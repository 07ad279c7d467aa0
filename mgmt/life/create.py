"""Making and deleting data volumes (upstream: server/.../storage/VolumeApiServiceImpl.java)."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from mgmt.errors import (
    CloudRuntimeError,
    InvalidParameterValueError,
    PermissionDeniedError,
)
from mgmt.inventory import usage
from mgmt.inventory.limits import PRIMARY_STORAGE, VOLUME, release, reserve
from mgmt.inventory.lookup import get_live
from mgmt.inventory.owner import project_owner
from mgmt.inventory.scope import ROOT_ADMIN, CallerLike, check_owner_access, find_active_account
from mgmt.inventory.settings import GlobalSettings
from mgmt.inventory.vm_states import VmState
from mgmt.inventory.volume_states import VolumeState
from mgmt.life.disks import destroy_volume, expunge_volume
from mgmt.life.ports import LifeServices
from mgmt.life.records import check_volume_access
from mgmt.providers import Providers
from mgmt.store.models import Account, DiskOffering, VmInstance, Volume, Zone

GIB = 1024**3
MAX_VOLUME_SIZE_GIB = 2000  # the default of setting storage.max.volume.size


@dataclass(frozen=True)
class VolumeRequest:
    """The parameters of createVolume; `size_gib` is for a custom offering."""

    name: str | None = None
    zone_id: int | None = None
    disk_offering_id: int | None = None
    size_gib: int | None = None
    snapshot_id: int | None = None
    account: str | None = None
    domain_id: int | None = None
    project_id: int | None = None
    display: bool | None = None
    custom_uuid: str | None = None
    min_iops: int | None = None
    max_iops: int | None = None


def allocate_volume(
    session: Session, providers: Providers, settings: GlobalSettings, caller: CallerLike, request: VolumeRequest
) -> Volume:
    """Record a new data volume in state Allocated: its file is made when a VM gets it.

    Raises InvalidParameterValueError, PermissionDeniedError and ResourceAllocationError with allocVolume's texts.
    """
    owner = _owner(session, caller, request)
    check_owner_access(caller, owner.id, owner.domain.path)
    if request.display is not None and caller.account_type != ROOT_ADMIN:
        raise PermissionDeniedError("Cannot update parameter displayvolume, only admin permitted ")
    claims = reserve(session, owner.id, {VOLUME: 1})
    if request.snapshot_id is None and request.disk_offering_id is None:
        raise InvalidParameterValueError(
            "At least one of disk Offering ID or snapshot ID must be passed whilst creating volume"
        )
    offering, size_bytes = _size(session, settings, request)
    claims += reserve(session, owner.id, {PRIMARY_STORAGE: size_bytes})
    zone = get_live(session, Zone, request.zone_id)
    if zone is None:
        raise InvalidParameterValueError(f"Unable to find zone by id {request.zone_id or 'null'}")
    if zone.allocation_state == "Disabled" and caller.account_type != ROOT_ADMIN:
        raise PermissionDeniedError(f"Cannot perform this operation, Zone is currently disabled: {zone.id}")
    if offering.use_local_storage and not zone.local_storage_enabled:
        raise InvalidParameterValueError(
            f"Zone is not configured to use local storage but volume's disk offering {offering.name} uses it"
        )
    volume = Volume(
        uuid=_uuid(session, providers, request.custom_uuid),
        name=(request.name or "").strip() or providers.ids.uuid(),
        volume_type="DATADISK",
        state=VolumeState.ALLOCATED.value,
        account_id=owner.id,
        domain_id=owner.domain_id,
        zone_id=zone.id,
        disk_offering_id=offering.id,
        size_bytes=size_bytes,
        provisioning_type=offering.provisioning_type,
        created=providers.utcnow(),
    )
    session.add(volume)
    session.flush()
    release(session, claims)  # the record counts from now on
    usage.volume_event(session, providers, volume, "VOLUME.CREATE")
    return volume


def _owner(session: Session, caller: CallerLike, request: VolumeRequest) -> Account:
    if request.project_id is not None:
        return project_owner(session, caller, request.project_id)
    if request.account is None:
        return session.get_one(Account, caller.account_id)
    if request.domain_id is None:
        raise InvalidParameterValueError(f"Account {request.account} is specified without a domainid")
    owner = find_active_account(session, request.account, request.domain_id)
    if owner is None:
        raise InvalidParameterValueError(f"Unable to find account {request.account} in domain {request.domain_id}")
    return owner


def _size(session: Session, settings: GlobalSettings, request: VolumeRequest) -> tuple[DiskOffering, int]:
    """The offering and the size in bytes that it gives, or lets the request give."""
    size_gib = request.size_gib
    if size_gib is not None and size_gib <= 0:
        raise InvalidParameterValueError("Disk size must be larger than 0")
    offering = get_live(session, DiskOffering, request.disk_offering_id)
    if offering is None or offering.compute_only:
        raise InvalidParameterValueError("Please specify a valid disk offering.")
    if offering.customized:
        if size_gib is None:
            raise InvalidParameterValueError("This disk offering requires a custom size specified")
        check_custom_size(settings, size_gib)
    elif size_gib is not None:
        raise InvalidParameterValueError("This disk offering does not allow custom size")
    size_bytes = offering.disk_size_bytes or (size_gib or 0) * GIB
    check_largest_size(size_bytes)
    return offering, size_bytes


def check_custom_size(settings: GlobalSettings, size_gib: int) -> None:
    """Raise InvalidParameterValueError for a size that no custom offering allows."""
    least, most = (settings.get_int(f"custom.diskoffering.size.{bound}") for bound in ("min", "max"))
    if not least <= size_gib <= most:
        raise InvalidParameterValueError(
            f"Volume size: {size_gib} GB is out of allowed range. Min: {least}. Max: {most}"
        )


def check_largest_size(size_bytes: int) -> None:
    """Raise InvalidParameterValueError for a size that no volume may have."""
    if size_bytes > MAX_VOLUME_SIZE_GIB * GIB:
        raise InvalidParameterValueError(
            f"Requested volume size is {size_bytes / GIB:.2f} GB, but the maximum size allowed is"
            f" {MAX_VOLUME_SIZE_GIB} GB."
        )


def _uuid(session: Session, providers: Providers, custom: str | None) -> str:
    if custom is None:
        return providers.ids.uuid()
    if session.scalar(select(Volume.id).where(Volume.uuid == custom.lower())) is not None:
        raise InvalidParameterValueError(f"UUID: {custom} already exists so can't create/update with custom id")
    return custom.lower()


def delete_volume(services: LifeServices, caller: CallerLike, volume_id: int) -> None:
    """Delete a volume that no VM has, its file too.

    Raises InvalidParameterValueError, PermissionDeniedError and, when its file stays, CloudRuntimeError with
    CloudStack's texts.
    """
    with services.store.session() as session:
        volume = get_live(session, Volume, volume_id)
        if volume is None:
            raise InvalidParameterValueError(f"Unable to find volume with ID: {volume_id}")
        vm = get_live(session, VmInstance, volume.vm_id)
        if vm is not None and vm.state != VmState.EXPUNGING and volume.state != VolumeState.EXPUNGED:
            raise InvalidParameterValueError("Please specify a volume that is not attached to any VM.")
        check_volume_access(caller, volume)
        text = f"Failed to expunge the volume {volume.name} in Primary data store"
    destroy_volume(services, volume_id)
    reason = expunge_volume(services, volume_id)
    if reason is not None:
        raise CloudRuntimeError(f"{text} : {reason}")
