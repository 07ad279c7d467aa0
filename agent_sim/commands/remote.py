"""Stopped VMs of another KVM host: list them, copy their disks.

Upstream: LibvirtGetRemoteVmsCommandWrapper and LibvirtCopyRemoteVolumeCommandWrapper.
"""

from __future__ import annotations

import logging
import shutil
from pathlib import Path

from agent_sim.commands.base import API, CHECKED_POOL_TYPES, HandlerTable
from agent_sim.commands.volumes import image_details
from agent_sim.defects import REMOTE_COPY_LEFT
from agent_sim.errors import AgentFailure
from agent_sim.execution import current_execution
from agent_sim.host import Domain
from agent_sim.hypervisor import Hypervisor
from agent_sim.ledger import FILE
from agent_sim.remote import convert_to_qcow2
from agent_sim.storage import Pool
from agent_sim.toolchain.domain import disk_suffix
from agent_sim.toolchain.images import ImageError, ImageInfo, read_image
from agent_sim.toolchain.interface import ProgressEvent
from mgmt.protocol.commands import (
    Answer,
    CopyRemoteVolumeAnswer,
    CopyRemoteVolumeCommand,
    GetRemoteVmsAnswer,
    GetRemoteVmsCommand,
    UnmanagedDisk,
    UnmanagedInstanceTO,
    UnmanagedNic,
)

logger = logging.getLogger(__name__)

_VNC_PADDING = "a" * 14


async def get_remote_vms(hypervisor: Hypervisor, command: GetRemoteVmsCommand) -> Answer:
    """The domains that are shut off; libvirt on TCP asks for no password."""
    ip = command.remoteIp or ""
    try:
        host = hypervisor.remotes.libvirt(ip)
    except AgentFailure as failure:
        logger.warning("%s: %s", hypervisor.host.name, failure)
        text = f"Unable to connect to remote host {ip}, please check the libvirtd tcp connectivity and retry"
        return Answer(result=False, details=text)
    found = {domain.name: _describe(domain) for domain in host.domains if domain.state == "shut off"}
    return GetRemoteVmsAnswer(result=True, details="", remoteIp=ip, unmanagedInstances=found)


def _describe(domain: Domain) -> UnmanagedInstanceTO:
    return UnmanagedInstanceTO(
        name=domain.name,
        powerState="PowerOff",
        cpuCoresPerSocket=domain.cpu_cores,
        memory=domain.memory_mb,
        cpuSpeed=domain.cpu_shares,
        disks=[
            UnmanagedDisk(
                diskId=str(index),
                label=f"vd{disk_suffix(index)}",
                capacity=disk.capacity_bytes,
                controller=disk.bus,
                position=index,
                datastorePath=disk.path,
                datastoreType="file",
            )
            for index, disk in enumerate(domain.disks)
        ],
        nics=[
            UnmanagedNic(nicId=str(index), adapterType=nic.model, macAddress=nic.mac, vlan=-1, pciSlot=str(3 + index))
            for index, nic in enumerate(domain.nics)
        ],
        vncPassword=f"{domain.vnc_password or 'null'}{_VNC_PADDING}",
    )


PARTS = 10  # how often a copy tells how far it is


async def copy_remote_volume(hypervisor: Hypervisor, command: CopyRemoteVolumeCommand) -> Answer:
    """Convert on the remote host, copy into the pool. The remote temporary file stays unless something failed."""
    filer = command.storageFilerTO
    kind = filer.type if filer else None
    if filer is None or kind not in CHECKED_POOL_TYPES:
        text = f"Unsupported storage pool type: {kind}, only local and NFS pools are supported"
        return Answer(result=False, details=text)
    name = hypervisor.ids.uuid()
    made: list[Path] = []
    execution = current_execution()
    if execution is not None:
        execution.on_end(lambda: _remove(made))
    done = False
    try:
        pool = hypervisor.storage.find(filer.uuid or "")
        image = await _copy(hypervisor, command, pool, name, made)
        done = True
    except (AgentFailure, ImageError, OSError) as error:
        return Answer(result=False, details=f"Failed to copy volume due to: {error}")
    finally:
        if not done:
            _remove(made)
    return CopyRemoteVolumeAnswer(
        result=True,
        details="",
        remoteIp=command.remoteIp,
        filename=name,
        size=image.virtual_size_bytes,
        volumeDetails=image_details(image) | {"IS_LOCKED": "false"},
    )


def _remove(files: list[Path]) -> None:
    for path in files:
        path.unlink(missing_ok=True)


async def _copy(
    hypervisor: Hypervisor, command: CopyRemoteVolumeCommand, pool: Pool, name: str, made: list[Path]
) -> ImageInfo:
    """The image in the pool; every file that was begun is in `made`."""
    files = hypervisor.remotes.ssh(command.remoteIp or "", command.username or "", command.password or "")
    source_name = command.srcFile or ""
    source, temporary = files.real(source_name), files.real(f"{command.tmpPath}{name}")
    target = pool.file(name)
    if target is None or not source.is_file():
        raise AgentFailure(f"qemu-img: Could not open '{source_name}': No such file or directory")
    bench = hypervisor.bench
    size_bytes = (await bench.blocking(read_image, source)).allocated_bytes
    duration_s = 2 * size_bytes / bench.model.copy_rate()
    limit_s = float(command.wait) if command.wait > 0 else duration_s
    await _pass(hypervisor, command, size_bytes, duration_s, limit_s)
    if duration_s > limit_s:
        raise AgentFailure(f"Timed out in waiting for SSH execution result of host {command.remoteIp}")
    if await bench.blocking(pool.available_bytes) < size_bytes:
        raise AgentFailure(f"{pool.target}/{name}: No space left on device")
    temporary.parent.mkdir(parents=True, exist_ok=True)
    made.extend((temporary, target))
    await bench.blocking(convert_to_qcow2, source, temporary)
    bench.ledger.made(temporary, FILE, command.remoteIp or "", f"{command.tmpPath}{name}")
    await bench.blocking(shutil.copyfile, temporary, target)
    bench.note_file(target, FILE, f"{pool.target}/{name}")
    if REMOTE_COPY_LEFT in hypervisor.repaired:
        temporary.unlink(missing_ok=True)
    return await bench.blocking(read_image, target)


async def _pass(
    hypervisor: Hypervisor, command: CopyRemoteVolumeCommand, size_bytes: int, duration_s: float, limit_s: float
) -> None:
    """Let the time of the copy pass, at most `limit_s`, and tell how far it is."""
    bench, passed_s = hypervisor.bench, 0.0
    for part in range(PARTS + 1):
        if bench.on_progress is not None:
            done = size_bytes * part // PARTS
            log_id = command.contextMap.get("logid", "")
            bench.on_progress(
                ProgressEvent(bench.host.name, "", "qemu-img", "Copy", 1, 1, done, size_bytes, passed_s, log_id)
            )
        if part < PARTS and passed_s < limit_s:
            pause_s = min(duration_s / PARTS, limit_s - passed_s)
            await bench.pause(pause_s)
            passed_s += pause_s
        if passed_s >= limit_s and duration_s > limit_s:
            return


HANDLERS: HandlerTable = {
    f"{API}.GetRemoteVmsCommand": get_remote_vms,
    f"{API}.CopyRemoteVolumeCommand": copy_remote_volume,
}
