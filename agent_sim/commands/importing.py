"""ImportConvertedInstance: take what virt-v2v left behind into the destination pools; or delete it.

Upstream: LibvirtImportConvertedInstanceCommandWrapper and LibvirtBaseConvertCommandWrapper, as merged for 4.22.1;
LibvirtCleanupConvertedInstanceDisksCommandWrapper of 4.23.
"""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass

from agent_sim.commands.base import API, HandlerTable, open_temporary_pool, remove_converted, remove_xml
from agent_sim.defects import DOMAIN_XML_LEFT, TEMPORARY_MOUNT_LEFT
from agent_sim.errors import AgentFailure
from agent_sim.execution import current_execution
from agent_sim.hypervisor import Hypervisor
from agent_sim.storage import Pool
from agent_sim.toolchain.arguments import copy_argv
from agent_sim.toolchain.domain import DomainXml, read_domain_xml
from agent_sim.toolchain.images import ImageError, ImageInfo, read_image
from agent_sim.toolchain.interface import Invocation, ToolTimeoutError
from mgmt.protocol.commands import (
    Answer,
    CleanupConvertedInstanceDisksCommand,
    ImportConvertedInstanceAnswer,
    ImportConvertedInstanceCommand,
    NfsTO,
    UnmanagedDisk,
    UnmanagedInstanceTO,
    UnmanagedNic,
)

logger = logging.getLogger(__name__)

_COPY_LIMIT_S = 7200.0


@dataclass(frozen=True)
class _Disk:
    """A converted disk: where it is, what it is."""

    pool: Pool
    name: str
    image: ImageInfo
    bus: str

    @property
    def path(self) -> str:
        return f"{self.pool.target}/{self.name}"


async def import_converted(hypervisor: Hypervisor, command: ImportConvertedInstanceCommand) -> Answer:
    """Find the converted disks, move them unless the pool is the destination, describe them."""
    source = command.sourceInstance
    name = (source.instanceName if source else None) or ""
    pool = open_temporary_pool(hypervisor, command.conversionTemporaryLocation)
    convert_uuid = command.temporaryConvertUuid or ""
    try:
        domain = _read_domain(hypervisor, pool, convert_uuid)
        disks = await _find_disks(hypervisor, pool, convert_uuid, domain)
        if not command.forceConvertToPool:
            disks = await _move(hypervisor, name, disks, command.destinationStoragePools or [])
            if disks:
                remove_converted(pool, convert_uuid)
        elif DOMAIN_XML_LEFT in hypervisor.repaired:
            remove_xml(pool, convert_uuid)
        if not disks:
            return ImportConvertedInstanceAnswer(
                result=False,
                details=f"Unable to import the converted disks for VM {name} from destination pools",
            )
        instance = UnmanagedInstanceTO(
            name=convert_uuid,
            disks=[_describe(index, disk) for index, disk in enumerate(disks)],
            nics=[
                UnmanagedNic(macAddress=nic.mac, nicId=nic.network, adapterType=nic.model)
                for nic in (domain.nics if domain else ())
            ],
        )
        return ImportConvertedInstanceAnswer(result=True, details="", convertedInstance=instance)
    except (AgentFailure, OSError) as error:
        text = f"Error converting instance {name} from VMware, due to: {error}"
        return ImportConvertedInstanceAnswer(result=False, details=text)
    finally:
        if isinstance(command.conversionTemporaryLocation, NfsTO):
            hypervisor.storage.release(pool)


def _read_domain(hypervisor: Hypervisor, pool: Pool, convert_uuid: str) -> DomainXml | None:
    """The domain XML; None when it does not parse. Raises AgentFailure when it is not there."""
    path = f"{pool.target}/{convert_uuid}.xml"
    try:
        text = hypervisor.files.real(path).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise AgentFailure(f"Conversion failed. Unable to find the converted XML domain, expected {path}") from None
    domain = read_domain_xml(text)
    if domain is None:
        logger.warning(
            "Could not parse correctly the converted XML domain, checking for disks on %s with prefix %s",
            pool.target,
            convert_uuid,
        )
    return domain


async def _find_disks(hypervisor: Hypervisor, pool: Pool, convert_uuid: str, domain: DomainXml | None) -> list[_Disk]:
    """The disks of the XML by base name, or every volume whose name begins with the conversion's uuid."""
    if domain is not None and domain.disks:
        return [_disk(hypervisor, pool, disk.file_name, disk.bus) for disk in domain.disks]
    entries = await hypervisor.bench.blocking(os.listdir, pool.directory)
    names = sorted(
        name for name in entries if name.startswith(convert_uuid) and not name.endswith(".xml") and convert_uuid
    )
    if not names:
        raise AgentFailure(
            f"Could not find any converted disk with prefix {convert_uuid} on temporary location {pool.target}"
        )
    return [_disk(hypervisor, pool, name, "virtio") for name in names]


def _disk(hypervisor: Hypervisor, pool: Pool, name: str, bus: str) -> _Disk:
    try:
        return _Disk(pool, name, read_image(hypervisor.files.real(f"{pool.target}/{name}")), bus)
    except FileNotFoundError:
        raise AgentFailure(f"Could not find volume {name}: no storage vol with matching name '{name}'") from None
    except ImageError as error:
        raise AgentFailure(f"Could not read volume {name}: {error}") from None


async def _move(hypervisor: Hypervisor, vm: str, disks: list[_Disk], destinations: list[str]) -> list[_Disk]:
    """The copies in their destination pools; empty after any failure, with the copies made so far removed."""
    if len(disks) != len(destinations):
        logger.warning(
            "Discrepancy between the converted instance disks (%d) and the expected number of disks (%d)",
            len(disks),
            len(destinations),
        )
    copied: list[_Disk] = []
    done = False
    try:
        for index, disk in enumerate(disks):
            destination = _destination(hypervisor, destinations, index)
            if destination is not None:
                copied.append(await _copy(hypervisor, vm, disk, destination, (index + 1, len(disks))))
        done = True
    except (AgentFailure, OSError, ToolTimeoutError) as error:
        logger.warning("(%s) disks could not be moved to their pools on %s: %s", vm, hypervisor.host.name, error)
    finally:
        if not done:
            for disk in copied:
                hypervisor.files.real(disk.path).unlink(missing_ok=True)
    return copied if done else []


def _destination(hypervisor: Hypervisor, destinations: list[str], index: int) -> Pool | None:
    """The pool for disk `index`; None for one that the host has not, or that is not NFS: the disk is skipped."""
    if index >= len(destinations):
        raise AgentFailure(
            f"Index {index} out of bounds for length {len(destinations)}",
            java_class="java.lang.IndexOutOfBoundsException",
        )
    uuid = destinations[index]
    try:
        pool = hypervisor.storage.find(uuid)
    except AgentFailure:
        pool = None
    if pool is None or pool.type != "NetworkFilesystem":
        logger.error("Could not find a storage pool by URI: %s", uuid)
        return None
    return pool


async def _copy(hypervisor: Hypervisor, vm: str, disk: _Disk, pool: Pool, number: tuple[int, int]) -> _Disk:
    available_bytes = await hypervisor.bench.room(pool)
    size_bytes = disk.image.allocated_bytes
    if available_bytes < size_bytes:
        raise AgentFailure(
            f"Not enough space on destination pool {pool.uuid} ({available_bytes} bytes) to copy disk {disk.name} "
            f"(size {size_bytes})"
        )
    name = hypervisor.ids.uuid()
    path = f"{pool.target}/{name}"
    finished = False
    execution = current_execution()
    if execution is not None:
        execution.on_end(lambda: hypervisor.files.real(path).unlink(missing_ok=True))
    try:
        invocation = Invocation.of(copy_argv(disk.path, path), vm=vm, limit_s=_COPY_LIMIT_S, disk=number)
        outcome = await hypervisor.toolchain.run(invocation)
        if outcome.exit_status != 0:
            raise AgentFailure(outcome.output[-1])
        image = read_image(hypervisor.files.real(path))
        finished = True
        return _Disk(pool, name, image, disk.bus)
    finally:
        if not finished:
            hypervisor.files.real(path).unlink(missing_ok=True)


def _describe(index: int, disk: _Disk) -> UnmanagedDisk:
    on_nfs = disk.pool.type == "NetworkFilesystem"
    return UnmanagedDisk(
        position=index,
        capacity=disk.image.virtual_size_bytes,
        fileBaseName=disk.name,
        controller=disk.bus,
        datastoreName=disk.pool.uuid,
        datastoreHost=disk.pool.host if on_nfs else None,
        datastorePath=disk.pool.path if on_nfs else None,
        datastorePort=0,
        datastoreType=disk.pool.type,
    )


async def clean_up(hypervisor: Hypervisor, command: CleanupConvertedInstanceDisksCommand) -> Answer:
    """Delete what a conversion left in the temporary location (pull request 13151); true when there is nothing, too."""
    prefix = command.vmVolumesPrefix or ""
    pool = open_temporary_pool(hypervisor, command.vmVolumesStore)
    try:
        if not prefix:
            raise AgentFailure("no prefix was given")
        await hypervisor.bench.blocking(remove_converted, pool, prefix)
    except (AgentFailure, OSError) as error:
        where = pool.target
        text = f"Error cleaning up converted disks with prefix {prefix} from {where}, due to: {error}"
        return Answer(result=False, details=text)
    finally:
        if isinstance(command.vmVolumesStore, NfsTO) and TEMPORARY_MOUNT_LEFT in hypervisor.repaired:
            hypervisor.storage.release(pool)
    return Answer(result=True, details="")


HANDLERS: HandlerTable = {
    f"{API}.ImportConvertedInstanceCommand": import_converted,
    f"{API}.CleanupConvertedInstanceDisksCommand": clean_up,
}
