"""Destroying, expunging and recovering a VM.

Upstream: UserVmManagerImpl (destroyVm, expunge, recoverVirtualMachine), VirtualMachineManagerImpl.advanceExpunge.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy.orm import Session

from mgmt.errors import CloudRuntimeError, InvalidParameterValueError, PermissionDeniedError
from mgmt.inventory import usage
from mgmt.inventory.limits import CPU, MEMORY, USER_VM, release, reserve
from mgmt.inventory.lookup import get_live
from mgmt.inventory.scope import CallerLike, is_admin
from mgmt.inventory.settings import GlobalSettings
from mgmt.inventory.vm_resources import remove_nics
from mgmt.inventory.vm_states import VmEvent, VmState, transit
from mgmt.life import disks
from mgmt.life.attach import detach_locked
from mgmt.life.ports import LifeServices
from mgmt.life.records import check_vm_access, check_volume_access, live_vm, live_volumes
from mgmt.life.stop import stop_locked
from mgmt.life.texts import volume_text
from mgmt.providers import Providers
from mgmt.store.models import VmInstance, Volume

EXPUNGE_SETTING = "allow.user.expunge.recover.vm"
_EXPUNGEABLE = (VmState.DESTROYED, VmState.EXPUNGING, VmState.ERROR)


def destroy_vm(
    services: LifeServices, caller: CallerLike, vm_id: int, *, expunge: bool, volume_ids: Sequence[int] = ()
) -> None:
    """Stop a VM, detach its data disks and mark it Destroyed; `expunge` removes it and its root disk at once.

    The data volumes `volume_ids` go with it, the others stay. Raises InvalidParameterValueError, PermissionDeniedError
    and CloudRuntimeError with CloudStack's texts.
    """
    with services.work.on(vm_id):
        with services.store.session() as session:
            vm = live_vm(session, vm_id)
            may_expunge = is_admin(caller) or services.settings.get_bool(
                EXPUNGE_SETTING, scope="Account", scope_id=vm.account_id
            )
            if expunge and not may_expunge:
                raise PermissionDeniedError(
                    "Parameter expunge can be passed by Admin only. Or when the allow.user.expunge.recover.vm key is"
                    " set."
                )
            check_vm_access(caller, vm)
            is_destroyed = vm.state in (VmState.DESTROYED, VmState.EXPUNGING)
            if is_destroyed and not expunge:
                return
            if vm.delete_protection:
                raise InvalidParameterValueError(
                    f"Instance [id = {vm.uuid}, name = {vm.name}] has delete protection enabled and cannot be deleted."
                )
            _check_volumes(session, caller, vm_id, volume_ids)
        if not is_destroyed:
            stop_locked(services, vm_id, forced=False)
            _detach_data_disks(services, vm_id)
            _mark_destroyed(services, vm_id)
        if expunge:
            _expunge(services, vm_id)
        for volume_id in volume_ids:
            if expunge:
                disks.expunge_volume(services, volume_id)
            else:
                disks.destroy_volume(services, volume_id)


def _check_volumes(session: Session, caller: CallerLike, vm_id: int, volume_ids: Sequence[int]) -> None:
    volumes = []
    for volume_id in volume_ids:
        volume = get_live(session, Volume, volume_id)
        if volume is None:
            raise InvalidParameterValueError(f"Unable to find volume with ID: {volume_id}")
        volumes.append(volume)
    strangers = "".join(f"{volume_text(volume)}; " for volume in volumes if volume.vm_id != vm_id)
    if strangers:
        raise InvalidParameterValueError(f"The following supplied volumes are not attached to the VM: {strangers}")
    for volume in volumes:
        check_volume_access(caller, volume)


def _detach_data_disks(services: LifeServices, vm_id: int) -> None:
    with services.store.session() as session:
        data = [volume.id for volume in live_volumes(session, vm_id) if volume.volume_type == "DATADISK"]
    for volume_id in data:
        detach_locked(services, vm_id, volume_id)


def _mark_destroyed(services: LifeServices, vm_id: int) -> None:
    with services.store.session() as session:
        vm = session.get_one(VmInstance, vm_id)
        transit(session, services.providers, vm, VmEvent.DESTROY_REQUESTED, vm.host_id)
        for volume in live_volumes(session, vm_id):
            if volume.volume_type == "ROOT":
                usage.volume_event(session, services.providers, volume, "VOLUME.DELETE")


def expunge_vm(services: LifeServices, caller: CallerLike, vm_id: int) -> None:
    """Remove a destroyed VM for good; raises CloudRuntimeError for one that is not destroyed."""
    with services.work.on(vm_id):
        with services.store.session() as session:
            vm = session.get(VmInstance, vm_id)
            if vm is None:
                raise InvalidParameterValueError("Unable to find a virtual machine with specified vmId")
            if vm.removed is not None:
                return
            if vm.state not in _EXPUNGEABLE:
                raise CloudRuntimeError("Please destroy vm with specified vmId before expunge")
            if not is_admin(caller) and not services.settings.get_bool(
                EXPUNGE_SETTING, scope="Account", scope_id=vm.account_id
            ):
                raise PermissionDeniedError(
                    "Expunging a vm can only be done by an Admin. Or when the allow.user.expunge.recover.vm key is set."
                )
            check_vm_access(caller, vm)
        _expunge(services, vm_id)


def _expunge(services: LifeServices, vm_id: int) -> None:
    with services.store.session() as session:
        vm = session.get_one(VmInstance, vm_id)
        transit(session, services.providers, vm, VmEvent.EXPUNGE_OPERATION, vm.host_id)
        remove_nics(services.providers, vm)
        vm.affinity_groups, vm.group = [], None
        root = [volume.id for volume in live_volumes(session, vm_id) if volume.volume_type == "ROOT"]
        data = [volume.id for volume in live_volumes(session, vm_id) if volume.volume_type != "ROOT"]
    for volume_id in root:
        disks.expunge_volume(services, volume_id)  # a failure leaves the volume behind, not the VM
    for volume_id in data:
        detach_locked(services, vm_id, volume_id)
    with services.store.session() as session:
        vm = session.get_one(VmInstance, vm_id)
        vm.removed = services.providers.utcnow()


def recover_vm(
    session: Session, providers: Providers, settings: GlobalSettings, caller: CallerLike, vm_id: int
) -> VmInstance:
    """Bring a destroyed VM back as a stopped one.

    Raises InvalidParameterValueError for another state, PermissionDeniedError and ResourceAllocationError.
    """
    vm = session.get(VmInstance, vm_id)
    if vm is None:
        raise InvalidParameterValueError(f"unable to find a virtual machine with id {vm_id}")
    if not is_admin(caller) and not settings.get_bool(EXPUNGE_SETTING, scope="Account", scope_id=vm.account_id):
        raise PermissionDeniedError(
            "Recovering a vm can only be done by an Admin. Or when the allow.user.expunge.recover.vm key is set."
        )
    check_vm_access(caller, vm)
    if vm.removed is not None:
        raise InvalidParameterValueError(f"Unable to find vm by id {vm_id}")
    if vm.state != VmState.DESTROYED:
        raise InvalidParameterValueError(f"Vm with id {vm.uuid} is not in the right state")
    release(
        session, reserve(session, vm.account_id, {USER_VM: 1, CPU: vm.cpu_number, MEMORY: vm.memory_mb})
    )  # a check only: the VM counts from now on
    transit(session, providers, vm, VmEvent.RECOVERY_REQUESTED, None)
    for volume in live_volumes(session, vm_id):
        if volume.volume_type == "ROOT":
            usage.volume_event(session, providers, volume, "VOLUME.CREATE")
    return vm
