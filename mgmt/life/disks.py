"""Volumes in their pools: making, expunging and handing them to a running VM.

Upstream: VolumeOrchestrator (cleanupVolumes, createVolumeOnPrimaryStorage), VolumeServiceImpl.expungeVolumeAsync.
"""

from __future__ import annotations

import logging

from mgmt.errors import AgentUnavailableError, CloudRuntimeError, OperationTimedOutError
from mgmt.inventory import usage
from mgmt.inventory.transfer import volume_to
from mgmt.inventory.volume_states import VolumeEvent, VolumeState, transit_volume
from mgmt.life.hosts import host_of_pool
from mgmt.life.ports import LifeServices
from mgmt.protocol.commands import CreateObjectAnswer, CreateObjectCommand, DeleteCommand, VolumeObjectTO
from mgmt.store.models import StoragePool, VmInstance, Volume

logger = logging.getLogger(__name__)


def expunge_volume(services: LifeServices, volume_id: int) -> str | None:
    """Delete a volume's file and its record: None on success, else why it stays, in state Expunging.

    A volume that was never made (Allocated) has no file. Upstream removes a VM even when this fails.
    """
    with services.store.session() as session:
        volume = session.get_one(Volume, volume_id)
        if volume.state in (VolumeState.READY, VolumeState.ALLOCATED):
            transit_volume(volume, VolumeEvent.DESTROY_REQUESTED)
        pool = volume.pool
        if pool is None or volume.path is None:
            _remove(services, volume)
            return None
        transit_volume(volume, VolumeEvent.EXPUNGE_REQUESTED)
        host = host_of_pool(session, pool)
        command = DeleteCommand(data=volume_to(volume, session.get(VmInstance, volume.vm_id) if volume.vm_id else None))
    if host is None:
        return _failed(services, volume_id, "No remote endpoint to send DeleteCommand, check if host or ssvm is down?")
    try:
        answer = services.agents.send(host.id, command)
    except (AgentUnavailableError, OperationTimedOutError) as error:
        return _failed(services, volume_id, error.text)
    if not answer.result:
        return _failed(services, volume_id, answer.details or "no reason given")
    with services.store.session() as session:
        volume = session.get_one(Volume, volume_id)
        transit_volume(volume, VolumeEvent.OPERATION_SUCCEEDED)
        volume.removed = services.providers.utcnow()
    return None


def _remove(services: LifeServices, volume: Volume) -> None:
    volume.state = VolumeState.EXPUNGED.value
    volume.removed = services.providers.utcnow()


def _failed(services: LifeServices, volume_id: int, reason: str) -> str:
    with services.store.session() as session:
        volume = session.get_one(Volume, volume_id)
        transit_volume(volume, VolumeEvent.OPERATION_FAILED)
        logger.warning("volume %s cannot be deleted: %s", volume.name, reason)
    return reason


def destroy_volume(services: LifeServices, volume_id: int) -> None:
    """Mark a volume as destroyed, with its usage event."""
    with services.store.session() as session:
        volume = session.get_one(Volume, volume_id)
        if volume.state == VolumeState.READY:
            transit_volume(volume, VolumeEvent.DESTROY_REQUESTED)
            usage.volume_event(session, services.providers, volume, "VOLUME.DELETE")


def make_volume(services: LifeServices, volume_id: int, pool_id: int, vm_id: int) -> None:
    """Make an Allocated volume's file in a pool; raises CloudRuntimeError and leaves it Allocated when that fails."""
    with services.store.session() as session:
        volume = session.get_one(Volume, volume_id)
        pool = session.get_one(StoragePool, pool_id)
        transit_volume(volume, VolumeEvent.CREATE_REQUESTED)
        volume.pool_id, volume.path = pool.id, services.providers.ids.uuid()
        session.flush()
        session.expire(volume, ["pool"])
        host = host_of_pool(session, pool)
        command = CreateObjectCommand(data=volume_to(volume, session.get(VmInstance, vm_id)))
        command.data.path = None  # type: ignore[union-attr]  # the host names the file
    reason = "No remote endpoint to send CreateObjectCommand, check if host or ssvm is down?"
    made: VolumeObjectTO | None = None
    if host is not None:
        try:
            answer = services.agents.send(host.id, command)
            reason = answer.details or "no reason given"
            if answer.result and isinstance(answer, CreateObjectAnswer) and isinstance(answer.data, VolumeObjectTO):
                made = answer.data
        except (AgentUnavailableError, OperationTimedOutError) as error:
            reason = error.text
    with services.store.session() as session:
        volume = session.get_one(Volume, volume_id)
        if made is None:
            transit_volume(volume, VolumeEvent.OPERATION_FAILED)
            volume.pool_id, volume.path = None, None
        else:
            volume.path = made.path or volume.path
            volume.size_bytes = made.size or volume.size_bytes
            volume.format = made.format or volume.format
            transit_volume(volume, VolumeEvent.OPERATION_SUCCEEDED)
    if made is None:
        raise CloudRuntimeError(f"Failed to create volume on primary storage: {reason}")
