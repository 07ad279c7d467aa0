"""Attaching volumes to VMs and detaching them (upstream: server/.../storage/VolumeApiServiceImpl.java)."""

from __future__ import annotations

from sqlalchemy.orm import Session

from mgmt.errors import AgentUnavailableError, CloudRuntimeError, InvalidParameterValueError, OperationTimedOutError
from mgmt.inventory.lookup import get_live
from mgmt.inventory.scope import CallerLike
from mgmt.inventory.vm_states import VmState
from mgmt.inventory.volume_states import VolumeState
from mgmt.life import statistics
from mgmt.life.disks import make_volume
from mgmt.life.ports import LifeServices
from mgmt.life.records import check_vm_access, check_volume_access, live_volumes
from mgmt.life.transfer import CDROM_SEQUENCE, disk_to
from mgmt.protocol.commands import AttachCommand, DettachCommand
from mgmt.store.models import VmInstance, Volume

MAX_DATA_VOLUMES = 64  # hypervisor_capabilities of KVM
MAX_DEVICE_ID = MAX_DATA_VOLUMES + 2  # 0 is the root disk, 3 the CD-ROM drive
WAIT_DETACH_DEVICE_MS = 10_000  # the default of setting wait.detach.device
WRONG_VM_STATE = "Please specify a VM that is either running or stopped."


def attach_volume(
    services: LifeServices, caller: CallerLike, volume_id: int, vm_id: int, device_id: int | None
) -> None:
    """Attach a volume to a VM, making its file first if there is none.

    Raises InvalidParameterValueError, PermissionDeniedError and CloudRuntimeError with CloudStack's texts.
    """
    with services.work.on(vm_id):
        with services.store.session() as session:
            volume = _attachable(session, volume_id)
            vm = _target(session, vm_id, volume)
            _check_device(session, volume, vm, device_id)
            check_volume_access(caller, volume)
            check_vm_access(caller, vm)
            pool_id = _pool_of_vm(session, vm_id)
            must_make = volume.state == VolumeState.ALLOCATED and pool_id is not None
        if must_make and pool_id is not None:
            make_volume(services, volume_id, pool_id, vm_id)
        _attach(services, vm_id, volume_id, device_id)


def _attachable(session: Session, volume_id: int) -> Volume:
    volume = get_live(session, Volume, volume_id)
    if volume is None:
        raise InvalidParameterValueError("Please specify a volume with the valid type: ROOT or DATADISK")
    if volume.vm_id is not None:
        raise InvalidParameterValueError("Please specify a volume that is not attached to any VM.")
    if volume.state == VolumeState.DESTROY:
        raise InvalidParameterValueError("Please specify a volume that is not destroyed.")
    if volume.state not in (VolumeState.ALLOCATED, VolumeState.READY):
        raise InvalidParameterValueError("Volume state must be in Allocated, Ready or in Uploaded state")
    return volume


def _target(session: Session, vm_id: int, volume: Volume) -> VmInstance:
    vm = get_live(session, VmInstance, vm_id)
    if vm is None:
        raise InvalidParameterValueError("Please specify a valid User VM.")
    if vm.state not in (VmState.RUNNING, VmState.STOPPED):
        raise InvalidParameterValueError(WRONG_VM_STATE)
    if vm.zone_id != volume.zone_id:
        raise InvalidParameterValueError("Please specify a VM that is in the same zone as the volume.")
    return vm


def _check_device(session: Session, volume: Volume, vm: VmInstance, device_id: int | None) -> None:
    attached = live_volumes(session, vm.id)
    if device_id == 0:
        _check_root_disk(volume, vm)
        if any(each.device_id == 0 for each in attached):
            raise InvalidParameterValueError("Vm already has root volume attached to it")
        return
    if sum(each.volume_type == "DATADISK" for each in attached) >= MAX_DATA_VOLUMES:
        raise InvalidParameterValueError(
            f"The specified VM already has the maximum number of data disks ({MAX_DATA_VOLUMES}) attached. "
            "Please specify another VM."
        )


def _check_root_disk(volume: Volume, vm: VmInstance) -> None:
    if vm.state != VmState.STOPPED:
        raise InvalidParameterValueError(
            "Root volume detach can happen only when vm is in states: Stopped or Destroyed"
        )
    if volume.pool is not None and volume.pool.managed:
        raise InvalidParameterValueError("Root volume detach is not supported for Managed DataStores")


def _pool_of_vm(session: Session, vm_id: int) -> int | None:
    """The pool of the VM's root volume, else of its first made one: new volumes are made there."""
    made = [volume for volume in live_volumes(session, vm_id) if volume.state == VolumeState.READY]
    root_first = sorted(made, key=lambda volume: volume.volume_type != "ROOT")
    return root_first[0].pool_id if root_first else None


def _choose_device(session: Session, vm_id: int, wanted: int | None) -> int:
    used = {volume.device_id for volume in live_volumes(session, vm_id)}
    if wanted is not None:
        if not 0 <= wanted <= MAX_DEVICE_ID or wanted == CDROM_SEQUENCE:
            raise CloudRuntimeError(f"deviceId should be 0,1,2,4-{MAX_DEVICE_ID}")
        if wanted in used:
            raise CloudRuntimeError(f"deviceId {wanted} is used by vm {vm_id}")
        return wanted
    for device_id in range(1, MAX_DEVICE_ID + 1):
        if device_id != CDROM_SEQUENCE and device_id not in used:
            return device_id
    raise CloudRuntimeError("All device Ids are in use.")


def _attach(services: LifeServices, vm_id: int, volume_id: int, wanted: int | None) -> None:
    with services.store.session() as session:
        vm, volume = session.get_one(VmInstance, vm_id), session.get_one(Volume, volume_id)
        device_id = _choose_device(session, vm_id, wanted)
        failure = f"Failed to attach volume {volume.name} to VM {vm.name}"
        host_id = vm.host_id if vm.state == VmState.RUNNING and volume.pool is not None else None
        if host_id is not None:
            disk = disk_to(volume, vm, services.settings)
            disk.diskSeq = device_id
            command = AttachCommand(disk=disk, vmName=vm.instance_name)
    if host_id is not None:
        try:
            answer = services.agents.send(host_id, command)
        except (AgentUnavailableError, OperationTimedOutError) as error:
            raise CloudRuntimeError(f"{failure} due to: {error.text}") from None
        if not answer.result:
            raise CloudRuntimeError(failure + (f"; {answer.details}" if answer.details else ""))
    with services.store.session() as session:
        volume = session.get_one(Volume, volume_id)
        volume.vm_id, volume.device_id = vm_id, device_id
        volume.attached = services.providers.utcnow()
        volume.volume_type = "ROOT" if device_id == 0 else volume.volume_type


def find_to_detach(session: Session, volume_id: int | None, vm_id: int | None, device_id: int | None) -> Volume:
    """The volume that detachVolume's parameters name: by id, or by VM and device."""
    by_place = vm_id is not None and device_id is not None
    if (volume_id is None) != by_place or (volume_id is not None and (vm_id is not None or device_id is not None)):
        raise InvalidParameterValueError("Please provide either a volume id, or a tuple(device id, instance id)")
    if volume_id is not None:
        volume = get_live(session, Volume, volume_id)
    else:
        volume = next((each for each in live_volumes(session, vm_id or 0) if each.device_id == device_id), None)
    if volume is None:
        raise InvalidParameterValueError(f"Unable to find volume with ID: {volume_id}")
    return volume


def detach_volume(services: LifeServices, caller: CallerLike, volume_id: int) -> None:
    """Detach a volume from its VM; a running VM's host takes the disk from it.

    Raises InvalidParameterValueError, PermissionDeniedError and CloudRuntimeError with CloudStack's texts.
    """
    with services.store.session() as session:
        volume = session.get_one(Volume, volume_id)
        check_volume_access(caller, volume)
        vm_id = volume.vm_id
    if vm_id is None:
        raise InvalidParameterValueError("The specified volume is not attached to a VM.")
    with services.work.on(vm_id):
        with services.store.session() as session:
            volume, vm = session.get_one(Volume, volume_id), session.get_one(VmInstance, vm_id)
            if vm.state not in (VmState.RUNNING, VmState.STOPPED, VmState.DESTROYED):
                raise InvalidParameterValueError(WRONG_VM_STATE)
            if volume.volume_type == "ROOT":
                _check_root_disk(volume, vm)
        detach_locked(services, vm_id, volume_id)


def detach_locked(services: LifeServices, vm_id: int, volume_id: int) -> None:
    """Detach a volume from a VM that the caller of this function has locked."""
    with services.store.session() as session:
        vm, volume = session.get_one(VmInstance, vm_id), session.get_one(Volume, volume_id)
        failure = f"Failed to detach volume {volume.name} from VM {vm.name}"
        host_id = vm.host_id if vm.state == VmState.RUNNING and volume.pool is not None else None
        name = vm.instance_name
        if host_id is not None and volume.pool is not None:
            disk = disk_to(volume, vm, services.settings)
            disk.details = {}
            command = DettachCommand(
                disk=disk,
                vmName=name,
                _managed=volume.pool.managed,
                _storageHost=volume.pool.host_address,
                _storagePort=volume.pool.port,
                waitDetachDevice=WAIT_DETACH_DEVICE_MS,
            )
    if host_id is not None:
        statistics.collect(services, host_id, name)
        try:
            answer = services.agents.send(host_id, command)
        except (AgentUnavailableError, OperationTimedOutError) as error:
            raise CloudRuntimeError(f"{failure} due to: {error.text}") from None
        if not answer.result:
            raise CloudRuntimeError(failure + (f"; {answer.details}" if answer.details else ""))
    with services.store.session() as session:
        volume = session.get_one(Volume, volume_id)
        volume.vm_id = volume.device_id = volume.attached = None
