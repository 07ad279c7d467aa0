"""Finding the VM or volume that a request names, with CloudStack's checks of existence and permission."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from mgmt.errors import InvalidParameterValueError
from mgmt.inventory.lookup import get_live
from mgmt.inventory.scope import CallerLike, check_owner_access
from mgmt.store.models import VmDetail, VmInstance, Volume


def live_vm(session: Session, vm_id: int, missing: str = "unable to find a virtual machine with id {id}") -> VmInstance:
    """The VM; raises InvalidParameterValueError with the text `missing` for one that is gone."""
    vm = get_live(session, VmInstance, vm_id)
    if vm is None:
        raise InvalidParameterValueError(missing.format(id=vm_id))
    return vm


def check_vm_access(caller: CallerLike, vm: VmInstance) -> None:
    """Raise PermissionDeniedError when the caller may not act on `vm`."""
    check_owner_access(caller, vm.account_id, vm.domain.path)


def check_volume_access(caller: CallerLike, volume: Volume) -> None:
    """Raise PermissionDeniedError when the caller may not act on `volume`."""
    check_owner_access(caller, volume.account_id, volume.domain.path)


def live_volumes(session: Session, vm_id: int) -> list[Volume]:
    """The VM's volumes, by device."""
    return list(
        session.scalars(
            select(Volume).where(Volume.vm_id == vm_id, Volume.removed.is_(None)).order_by(Volume.device_id, Volume.id)
        )
    )


def details_of(vm: VmInstance) -> dict[str, str]:
    """All details of the VM, hidden ones too."""
    return {detail.name: detail.value for detail in vm.details}


def set_detail(vm: VmInstance, name: str, value: str) -> None:
    """Write one detail of the VM."""
    for detail in vm.details:
        if detail.name == name:
            detail.value = value
            return
    vm.details.append(VmDetail(name=name, value=value))


def drop_detail(vm: VmInstance, name: str) -> None:
    """Remove one detail of the VM; it may be missing."""
    vm.details[:] = [detail for detail in vm.details if detail.name != name]
