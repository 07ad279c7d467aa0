"""Taking back what hosts wrote for a cancelled import; after a failure CloudStack leaves such files (import-vm 3.5)."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from sqlalchemy import select

from mgmt.errors import CloudError, CloudRuntimeError
from mgmt.imports.conversion import data_store
from mgmt.imports.facts import ImageStoreFacts, PoolFacts
from mgmt.imports.ovfexport import nfs_export
from mgmt.imports.ports import ImportServices
from mgmt.protocol.commands import (
    CleanupConvertedInstanceDisksCommand,
    ConvertInstanceAnswer,
    ConvertInstanceCommand,
    CopyRemoteVolumeAnswer,
    CopyRemoteVolumeCommand,
    DeleteCommand,
    ImportConvertedInstanceAnswer,
    PrimaryDataStoreTO,
    UnmanagedDisk,
    VolumeObjectTO,
)
from mgmt.protocol.records import Answer, Command
from mgmt.store.models import StoragePool

logger = logging.getLogger(__name__)

MOST_DISKS = 60  # of a VM in vCenter
_LETTERS = 26


def remove_converted(
    services: ImportServices, host_id: int, location: PoolFacts | ImageStoreFacts, convert_uuid: str, disks: int
) -> None:
    """Delete the files of a conversion in the temporary location: by a host from a pool, else by this server.

    Raises CloudRuntimeError with what stays and why.
    """
    if isinstance(location, PoolFacts):
        for end in (*(f"-sd{_suffix(index)}" for index in range(disks)), ".xml"):
            remove_file(services, host_id, location, convert_uuid + end)
        return
    server, path = nfs_export(location)
    directory = services.staging.directory(server, path)
    for file in directory.glob(f"{convert_uuid}*"):
        file.unlink(missing_ok=True)


def remove_imported(services: ImportServices, host_id: int, disks: Iterable[UnmanagedDisk]) -> None:
    """Delete the disks that a host took into their pools; raises CloudRuntimeError with the first that stays."""
    for disk in disks:
        facts = _pool(services, disk.datastoreName)
        if facts is not None and disk.fileBaseName:
            remove_file(services, host_id, facts, disk.fileBaseName)


def remove_file(services: ImportServices, host_id: int, pool: PoolFacts, name: str) -> None:
    """Have a host delete a file of a pool; raises CloudRuntimeError with the reason when it stays."""
    command = DeleteCommand(data=VolumeObjectTO(dataStore=data_store(pool), path=name, name=name, format="QCOW2"))
    try:
        answer = services.agents.send(host_id, command)
    except CloudError as error:
        raise CloudRuntimeError(f"{name}: {error.text}") from error
    if not answer.result:
        raise CloudRuntimeError(f"{name}: {answer.details}")


def remove_late(services: ImportServices, host_id: int, command: Command, answer: Answer) -> None:
    """Delete what a host wrote for an import that was cancelled, and could not be told to stop; failures are logged."""
    try:
        if isinstance(command, ConvertInstanceCommand) and isinstance(answer, ConvertInstanceAnswer):
            _remove_converted_late(services, host_id, command, answer.temporaryConvertUuid or "")
        elif isinstance(answer, ImportConvertedInstanceAnswer) and answer.convertedInstance is not None:
            remove_imported(services, host_id, answer.convertedInstance.disks or [])
        elif isinstance(command, CopyRemoteVolumeCommand) and isinstance(answer, CopyRemoteVolumeAnswer):
            facts = _pool(services, command.storageFilerTO.uuid if command.storageFilerTO else None)
            if facts is not None and answer.filename:
                remove_file(services, host_id, facts, answer.filename)
    except Exception as error:  # nobody waits for this, and the server may be stopping
        logger.warning("host %d: files of a cancelled import stay: %s", host_id, error)


def _remove_converted_late(services: ImportServices, host_id: int, command: ConvertInstanceCommand, uuid: str) -> None:
    location = command.conversionTemporaryLocation
    if not uuid or location is None:
        return
    cleanup = CleanupConvertedInstanceDisksCommand(vmVolumesStore=location, vmVolumesPrefix=uuid)
    if services.agents.send(host_id, cleanup).result:
        return
    # agents before 4.23 do not know it: one file after the other, until there is none
    facts = _pool(services, location.uuid) if isinstance(location, PrimaryDataStoreTO) else None
    if facts is None:
        raise CloudRuntimeError(f"{uuid}*: the host cannot delete them")
    remove_file(services, host_id, facts, f"{uuid}.xml")
    for index in range(MOST_DISKS):
        remove_file(services, host_id, facts, f"{uuid}-sd{_suffix(index)}")


def _pool(services: ImportServices, uuid: str | None) -> PoolFacts | None:
    with services.store.session() as session:
        pool = session.scalar(select(StoragePool).where(StoragePool.uuid == uuid))
        return PoolFacts.of(pool) if pool is not None else None


def _suffix(index: int) -> str:
    """The letters of a disk's name: a, b, ... z, aa, ab, ..."""
    letters = ""
    index += 1
    while index > 0:
        index, digit = divmod(index - 1, _LETTERS)
        letters = chr(ord("a") + digit) + letters
    return letters
