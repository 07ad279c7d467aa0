"""Taking back what hosts wrote for a cancelled import; after a failure CloudStack leaves such files (import-vm 3.5)."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import select

from mgmt.errors import CloudError, CloudRuntimeError
from mgmt.imports.conversion import data_store
from mgmt.imports.facts import ImageStoreFacts, PoolFacts
from mgmt.imports.ovfexport import nfs_export
from mgmt.imports.ports import ImportServices
from mgmt.protocol.commands import DeleteCommand, UnmanagedDisk, VolumeObjectTO
from mgmt.store.models import StoragePool

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
        with services.store.session() as session:
            pool = session.scalar(select(StoragePool).where(StoragePool.uuid == disk.datastoreName))
            facts = PoolFacts.of(pool) if pool is not None else None
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


def _suffix(index: int) -> str:
    """The letters of a disk's name: a, b, ... z, aa, ab, ..."""
    letters = ""
    index += 1
    while index > 0:
        index, digit = divmod(index - 1, _LETTERS)
        letters = chr(ord("a") + digit) + letters
    return letters
