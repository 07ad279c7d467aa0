"""Giving volumes another size (upstream: server/.../storage/VolumeApiServiceImpl.java, resizeVolume).

A volume without a file gets it in its record; any other has its file changed by a host that reaches its pool: the VM's
host if the VM runs. Texts were compared with upstream's source; no recording shows them.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from mgmt.errors import (
    UNSUPPORTED_ACTION_ERROR,
    AgentUnavailableError,
    CloudRuntimeError,
    InvalidParameterValueError,
    OperationTimedOutError,
    ServerApiError,
)
from mgmt.inventory import usage
from mgmt.inventory.limits import PRIMARY_STORAGE, release, reserve
from mgmt.inventory.lookup import get_live
from mgmt.inventory.scope import CallerLike
from mgmt.inventory.settings import GlobalSettings
from mgmt.inventory.transfer import filer_to
from mgmt.inventory.vm_states import VmState
from mgmt.inventory.volume_states import VolumeEvent, VolumeState, transit_volume
from mgmt.life.create import GIB, check_custom_size, check_largest_size
from mgmt.life.hosts import host_of_pool
from mgmt.life.ports import LifeServices
from mgmt.life.records import check_volume_access
from mgmt.protocol.commands import ResizeVolumeAnswer, ResizeVolumeCommand
from mgmt.store.models import DiskOffering, VmInstance, Volume

NO_VM = "none"


@dataclass(frozen=True)
class _Wanted:
    size_bytes: int
    offering_id: int | None


def resize_volume(services: LifeServices, caller: CallerLike, volume_id: int, params: Mapping[str, Any]) -> None:
    """Resize a volume as the bound parameters of resizeVolume say.

    Raises ServerApiError for what is wrong with the request, PermissionDeniedError, ResourceAllocationError and, when
    the file could not be changed, CloudRuntimeError.
    """
    with services.store.session() as session:
        volume = get_live(session, Volume, volume_id)
        vm_id = None if volume is None else volume.vm_id
    with services.work.on(vm_id) if vm_id is not None else nullcontext():
        with services.store.session() as session:
            volume = get_live(session, Volume, volume_id)
            try:
                wanted = _wanted(session, services.settings, caller, volume, params)
            except InvalidParameterValueError as error:  # as the command itself words it
                raise ServerApiError(UNSUPPORTED_ACTION_ERROR, error.text) from None
            assert volume is not None  # `_wanted` refuses it
            claims = reserve(
                session, volume.account_id, {PRIMARY_STORAGE: max(0, wanted.size_bytes - volume.size_bytes)}
            )
        try:
            _resize(services, volume_id, wanted, is_shrinking_allowed=bool(params["shrinkok"]))
        finally:
            with services.store.session() as session:
                release(session, claims)


def _wanted(
    session: Session, settings: GlobalSettings, caller: CallerLike, volume: Volume | None, params: Mapping[str, Any]
) -> _Wanted:
    if volume is None:
        raise InvalidParameterValueError("No such volume")
    check_volume_access(caller, volume)
    if volume.state not in (VolumeState.READY, VolumeState.ALLOCATED):
        raise InvalidParameterValueError(
            "Volume should be in ready or allocated state before attempting a resize. "
            f"Volume {volume.uuid} is in state {volume.state}."
        )
    offering_id, size_bytes = _offering_and_size(session, settings, volume, params)
    if size_bytes <= 0:
        raise InvalidParameterValueError(
            f"The requested size {size_bytes} is invalid: it must be larger than 0."  # own words
        )
    check_largest_size(size_bytes)
    if size_bytes < volume.size_bytes and not params["shrinkok"]:
        raise InvalidParameterValueError(
            f"Going from existing size of {volume.size_bytes} to size of {size_bytes} would shrink the volume."
            "Need to sign off by supplying the shrinkok parameter with value of true."
        )
    return _Wanted(size_bytes, offering_id)


def _offering_and_size(
    session: Session, settings: GlobalSettings, volume: Volume, params: Mapping[str, Any]
) -> tuple[int | None, int]:
    size_gib = params["size"]
    current = session.get(DiskOffering, volume.disk_offering_id) if volume.disk_offering_id is not None else None
    if params["diskofferingid"] is None:
        if volume.volume_type != "ROOT" and not (current is not None and current.customized):
            raise InvalidParameterValueError(
                "To change a volume's size without providing a new disk offering, its current disk offering must be"
                " customizable or it must be a root volume (if providing a disk offering, make sure it is different"
                " from the current disk offering)."
            )
        if size_gib is not None and volume.volume_type != "ROOT":
            check_custom_size(settings, size_gib)
        return volume.disk_offering_id, volume.size_bytes if size_gib is None else size_gib * GIB
    offering = get_live(session, DiskOffering, params["diskofferingid"])
    if offering is None or offering.compute_only:
        raise InvalidParameterValueError("Please specify a valid disk offering.")
    if not offering.customized:
        return offering.id, offering.disk_size_bytes
    if size_gib is None:
        raise InvalidParameterValueError("The new disk offering requires that a size be specified.")
    check_custom_size(settings, size_gib)
    return offering.id, size_gib * GIB


def _resize(services: LifeServices, volume_id: int, wanted: _Wanted, *, is_shrinking_allowed: bool) -> None:
    with services.store.session() as session:
        volume = session.get_one(Volume, volume_id)
        if volume.state == VolumeState.ALLOCATED or volume.pool is None:
            _record(services, session, volume, wanted)
            return
        vm = get_live(session, VmInstance, volume.vm_id)
        running_on = vm.host_id if vm is not None and vm.state == VmState.RUNNING else None
        host = host_of_pool(session, volume.pool)
        host_id = running_on or (None if host is None else host.id)
        failure = f"Failed to resize volume operation of volume UUID: [{volume.uuid}] due to - "
        command = ResizeVolumeCommand(
            path=volume.path,
            pool=filer_to(volume.pool),
            currentSize=volume.size_bytes,
            newSize=wanted.size_bytes,
            shrinkOk=is_shrinking_allowed,
            vmInstance=NO_VM if vm is None else vm.instance_name,
            chainInfo=volume.chain_info,
            managed=volume.pool.managed,
        )
        transit_volume(volume, VolumeEvent.RESIZE_REQUESTED)
    reason = _send(services, host_id, command)
    with services.store.session() as session:
        volume = session.get_one(Volume, volume_id)
        transit_volume(volume, VolumeEvent.OPERATION_FAILED if reason else VolumeEvent.OPERATION_SUCCEEDED)
        if reason is None:
            _record(services, session, volume, wanted)
    if reason is not None:
        raise CloudRuntimeError(failure + reason)


def _send(services: LifeServices, host_id: int | None, command: ResizeVolumeCommand) -> str | None:
    """None when a host has resized the file, else why none has."""
    if host_id is None:
        return "No remote endpoint to send ResizeVolumeCommand, check if host or ssvm is down?"
    try:
        answer = services.agents.send(host_id, command)
    except (AgentUnavailableError, OperationTimedOutError) as error:
        return error.text
    if not isinstance(answer, ResizeVolumeAnswer) or not answer.result:
        return answer.details or "no reason given"
    return None


def _record(services: LifeServices, session: Session, volume: Volume, wanted: _Wanted) -> None:
    volume.size_bytes, volume.disk_offering_id = wanted.size_bytes, wanted.offering_id
    session.flush()
    session.expire(volume, ["disk_offering"])
    usage.volume_event(session, services.providers, volume, "VOLUME.RESIZE")
