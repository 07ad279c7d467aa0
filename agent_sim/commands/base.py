"""What every command family has in common."""

from __future__ import annotations

import itertools
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from agent_sim.errors import AgentFailure
from agent_sim.hypervisor import Hypervisor
from agent_sim.storage import Pool
from agent_sim.toolchain.domain import disk_suffix
from mgmt.protocol.commands import (
    Answer,
    Command,
    ConvertInstanceCommand,
    CopyRemoteVolumeCommand,
    ImportConvertedInstanceCommand,
    NfsTO,
    PrimaryDataStoreTO,
    VolumeObjectTO,
)
from mgmt.protocol.records import DataStoreTO

# Handlers take their own command class, which a common type cannot say
Handler = Callable[[Hypervisor, Any], Awaitable[Answer]]
HandlerTable = Mapping[str, Handler]

API = "com.cloud.agent.api"
CHECKED_POOL_TYPES = ("Filesystem", "NetworkFilesystem")
"""Pools whose files CheckVolume and CopyRemoteVolume take."""


def open_temporary_pool(hypervisor: Hypervisor, location: DataStoreTO | None) -> Pool:
    """The pool of `conversionTemporaryLocation`: NFS is mounted by its URL, primary storage is looked up by uuid.

    Raises AgentFailure with the agent's text.
    """
    if isinstance(location, NfsTO):
        return hypervisor.storage.open_by_uri(location._url or "")
    if isinstance(location, PrimaryDataStoreTO):
        pool = hypervisor.storage.find(location.uuid or "")
        if not pool.mounted:
            raise AgentFailure(f"Storage pool {pool.uuid} is not mounted at {pool.target}")
        return pool
    raise AgentFailure(
        'Cannot invoke "com.cloud.agent.api.to.DataStoreTO.getUuid()" because "conversionTemporaryLocation" is null',
        java_class="java.lang.NullPointerException",
    )


def pools_in_use(command: Command) -> list[str]:
    """The pools by uuid that the copying programs of a command work in."""
    if isinstance(command, CopyRemoteVolumeCommand):
        return [command.storageFilerTO.uuid or ""] if command.storageFilerTO is not None else []
    if not isinstance(command, ConvertInstanceCommand | ImportConvertedInstanceCommand):
        return []
    location = command.conversionTemporaryLocation
    found = [location.uuid or ""] if isinstance(location, PrimaryDataStoreTO) else []
    if isinstance(command, ImportConvertedInstanceCommand):
        found += command.destinationStoragePools or []
    return found


def remove_converted(pool: Pool, convert_uuid: str) -> None:
    """Delete the disks and the domain XML that a conversion wrote into the pool, and nothing else; raises OSError.

    The disks are `-sda`, `-sdb` and so on without a gap: looking for them among all files of a large pool takes longer.
    """
    if pool.space is None:
        return
    for index in itertools.count():
        disk = pool.directory / f"{convert_uuid}-sd{disk_suffix(index)}"
        if not disk.exists():
            break
        pool.space.remove(disk)
    remove_xml(pool, convert_uuid)


def remove_xml(pool: Pool, convert_uuid: str) -> None:
    """Delete the domain XML of a conversion; it may be gone."""
    if pool.space is not None:
        pool.space.remove(pool.directory / f"{convert_uuid}.xml")


def pool_of(hypervisor: Hypervisor, volume: VolumeObjectTO) -> Pool:
    """The pool that holds a volume; raises AgentFailure for one that the host does not know."""
    store = volume.dataStore
    return hypervisor.storage.find((store.uuid if isinstance(store, PrimaryDataStoreTO) else None) or "")


def volume_file(pool: Pool, path: str) -> Path | None:
    """The real file of a volume, None in a pool without files; raises AgentFailure when it is not there."""
    file = pool.file(path)
    if file is not None and not file.is_file():
        raise AgentFailure(
            f"org.libvirt.LibvirtException: Storage volume not found: no storage vol with matching name '{path}'"
        )
    return file


def blank(text: str | None) -> bool:
    """Whether a text is absent, empty or white space (StringUtils.isBlank)."""
    return text is None or not text.strip()


def trimmed(text: str | None) -> str | None:
    """The text without white space around it, None when nothing is left."""
    return None if text is None else text.strip() or None
