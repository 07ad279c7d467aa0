"""Volumes in a pool and on a domain: make, look at, attach, detach, resize, delete.

Upstream: KVMStorageProcessor, LibvirtCheckVolumeCommandWrapper, LibvirtResizeVolumeCommandWrapper.
"""

from __future__ import annotations

from dataclasses import replace

from agent_sim.commands.base import API, CHECKED_POOL_TYPES, HandlerTable, pool_of
from agent_sim.commands.machines import domain_disk
from agent_sim.errors import AgentFailure, domain_not_found
from agent_sim.host import Domain, DomainDisk
from agent_sim.hypervisor import Hypervisor
from agent_sim.toolchain.images import ImageError, ImageInfo, read_image, set_virtual_size, write_qcow2
from mgmt.protocol.commands import (
    Answer,
    AttachAnswer,
    AttachCommand,
    CheckVolumeAnswer,
    CheckVolumeCommand,
    CreateObjectAnswer,
    CreateObjectCommand,
    DeleteCommand,
    DettachAnswer,
    DettachCommand,
    DiskTO,
    ResizeVolumeAnswer,
    ResizeVolumeCommand,
    VolumeObjectTO,
)

_STORAGE = "org.apache.cloudstack.storage.command"


async def delete(hypervisor: Hypervisor, command: DeleteCommand) -> Answer:
    """Remove a volume's file from its pool; a file that is gone already is no fault."""
    volume = command.data
    if not isinstance(volume, VolumeObjectTO):
        return Answer(result=False, details="Unsupported protocol")
    try:
        pool = pool_of(hypervisor, volume)
        file = pool.file(volume.path or "")
    except AgentFailure as failure:
        return Answer(result=False, details=f"{failure.java_class}: {failure.text}")
    if file is not None:
        try:
            await hypervisor.bench.blocking(file.unlink, True)
        except OSError as error:
            return Answer(result=False, details=f"org.libvirt.LibvirtException: cannot unlink file: {error.strerror}")
    return Answer(result=True)


async def create(hypervisor: Hypervisor, command: CreateObjectCommand) -> Answer:
    """Make a volume's file, thin, named by the volume's uuid."""
    volume = command.data
    if not isinstance(volume, VolumeObjectTO):
        return CreateObjectAnswer(result=False, details="not supported type")
    name, size_bytes = volume.uuid or hypervisor.ids.uuid(), volume.size or 0
    try:
        file = pool_of(hypervisor, volume).file(name)
        if file is not None:
            await hypervisor.bench.blocking(write_qcow2, file, size_bytes, allocated_bytes=0)
    except (AgentFailure, OSError) as error:
        return CreateObjectAnswer(result=False, details=f"com.cloud.utils.exception.CloudRuntimeException: {error}")
    kind = "RAW" if file is None else "QCOW2"
    return CreateObjectAnswer(result=True, data=VolumeObjectTO(path=name, size=size_bytes, format=kind))


async def attach(hypervisor: Hypervisor, command: AttachCommand) -> Answer:
    """Give a domain a disk whose file is in its pool."""
    name = command.vmName or ""
    try:
        disk = await hypervisor.bench.blocking(_wanted_disk, hypervisor, command.disk)
        domain = _active(hypervisor, name)
    except (AgentFailure, OSError) as error:
        return AttachAnswer(result=False, details=str(error))
    if disk not in domain.disks:
        hypervisor.domains[name] = replace(domain, disks=(*domain.disks, disk))
    return AttachAnswer(result=True, disk=command.disk)


async def detach(hypervisor: Hypervisor, command: DettachCommand) -> Answer:
    """Take a disk from a domain; one that it has not is no fault."""
    name = command.vmName or ""
    try:
        disk = await hypervisor.bench.blocking(_wanted_disk, hypervisor, command.disk)
        domain = _active(hypervisor, name)
    except (AgentFailure, OSError) as error:
        return DettachAnswer(result=False, details=str(error))
    left = tuple(each for each in domain.disks if each.path != disk.path)
    hypervisor.domains[name] = replace(domain, disks=left)
    return DettachAnswer(result=True, disk=command.disk)


def _wanted_disk(hypervisor: Hypervisor, disk: DiskTO | None) -> DomainDisk:
    if disk is None or not isinstance(disk.data, VolumeObjectTO):
        raise AgentFailure("the disk is no volume")
    return domain_disk(hypervisor, disk.data, "virtio")


def _active(hypervisor: Hypervisor, name: str) -> Domain:
    domain = hypervisor.domains.get(name)
    if domain is None or domain.state == "shut off":
        raise AgentFailure(domain_not_found(name))
    return domain


async def check(hypervisor: Hypervisor, command: CheckVolumeCommand) -> Answer:
    """What `qemu-img info` says of a file in a pool; only names that end in .qcow2 must be good qcow2."""
    filer = command.storageFilerTO
    if filer is None or filer.type not in CHECKED_POOL_TYPES:
        return Answer(result=False, details="Unsupported Storage Pool")
    name = command.srcFile or ""
    try:
        file = hypervisor.storage.find(filer.uuid or "").file(name)
        if file is None or not file.is_file():
            return Answer(result=False)
        image = await hypervisor.bench.blocking(read_image, file)
    except (AgentFailure, OSError):
        return Answer(result=False)
    except ImageError:
        return CheckVolumeAnswer(result=False, details="")
    if name.endswith(".qcow2") and image.file_format != "qcow2":
        return CheckVolumeAnswer(result=False, details="")
    locked = is_in_use(hypervisor, f"{hypervisor.storage.find(filer.uuid or '').target}/{name.rpartition('/')[2]}")
    details = image_details(image) | {"IS_LOCKED": "true" if locked else "false"}
    return CheckVolumeAnswer(result=True, details="", size=image.virtual_size_bytes, volumeDetails=details)


async def resize(hypervisor: Hypervisor, command: ResizeVolumeCommand) -> Answer:
    """Give a volume's file another virtual size; what it holds stays."""
    filer, size_bytes = command.pool, command.newSize or 0
    if command.currentSize == size_bytes:
        return ResizeVolumeAnswer(result=True, details="success", newSize=size_bytes)
    try:
        pool = hypervisor.storage.find((filer.uuid if filer is not None else None) or "")
        file = pool.file(command.path or "")
        if file is not None:
            image = await hypervisor.bench.blocking(read_image, file)
            if image.virtual_size_bytes > size_bytes and not command.shrinkOk:
                return ResizeVolumeAnswer(
                    result=False, details="failed to resize volume: the new size is smaller and may not be"
                )
            await hypervisor.bench.blocking(set_virtual_size, file, image, size_bytes)
    except (AgentFailure, OSError, ImageError) as error:
        return ResizeVolumeAnswer(result=False, details=f"failed to resize volume:{error}")
    return ResizeVolumeAnswer(result=True, details="success", newSize=size_bytes)


def is_in_use(hypervisor: Hypervisor, path: str) -> bool:
    """Whether an active domain of the host has the file open."""
    active = (domain for domain in hypervisor.domains.values() if domain.state != "shut off")
    return any(disk.path == path for domain in active for disk in domain.disks)


def image_details(image: ImageInfo) -> dict[str, str]:
    """The image as answers tell it, without its lock."""
    details = {
        "FILE_FORMAT": image.file_format,
        "IS_ENCRYPTED": "true" if image.is_encrypted else "false",
        "CLUSTER_SIZE": str(image.cluster_size_bytes) if image.cluster_size_bytes else None,
        "BACKING_FILE": image.backing_file,
        "BACKING_FILE_FORMAT": image.backing_file_format,
    }
    return {key: value for key, value in details.items() if value is not None}


HANDLERS: HandlerTable = {
    f"{API}.CheckVolumeCommand": check,
    f"{API}.storage.ResizeVolumeCommand": resize,
    f"{_STORAGE}.DeleteCommand": delete,
    f"{_STORAGE}.CreateObjectCommand": create,
    f"{_STORAGE}.AttachCommand": attach,
    f"{_STORAGE}.DettachCommand": detach,
}
