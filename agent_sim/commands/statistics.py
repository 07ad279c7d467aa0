"""What VMs and volumes use. The simulated guests are idle: a started one has read its boot sector and does no more.

Upstream: LibvirtGetVmStatsCommandWrapper, LibvirtGetVmDiskStatsCommandWrapper, LibvirtGetVmNetworkStatsCommandWrapper,
LibvirtGetVolumeStatsCommandWrapper, LibvirtComputingResource (getVmStat, getVmDiskStat, getVmNetworkStat).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from agent_sim.commands.base import API, HandlerTable, volume_file
from agent_sim.host import Domain
from agent_sim.hypervisor import Hypervisor
from agent_sim.storage import Pool
from agent_sim.toolchain.images import modelled_size_bytes, read_image
from mgmt.protocol.commands import (
    Answer,
    GetVmDiskStatsAnswer,
    GetVmDiskStatsCommand,
    GetVmNetworkStatsAnswer,
    GetVmNetworkStatsCommand,
    GetVmStatsAnswer,
    GetVmStatsCommand,
    GetVolumeStatsAnswer,
    GetVolumeStatsCommand,
    VmDiskStatsEntry,
    VmNetworkStatsEntry,
    VmStatsEntry,
    VolumeStatsEntry,
)

_BOOT_SECTOR_BYTES = 512
_NO_BALLOON = -1.0
_NAME_PART = 3  # of the path: right for /mnt/<pool>/<file>, odd for other places, as upstream


async def vm_stats(hypervisor: Hypervisor, command: GetVmStatsCommand) -> Answer:
    """Memory and processors of the named VMs; what is not active is left out."""
    found = {
        domain.name: VmStatsEntry(
            memoryKBs=domain.memory_mb * 1024.0,
            intFreeMemoryKBs=_NO_BALLOON,
            targetMemoryKBs=domain.memory_mb * 1024.0,
            numCPUs=domain.cpu_cores,
            entityType="vm",
        )
        for domain in _active(hypervisor, command.vmNames)
    }
    return GetVmStatsAnswer(result=True, vmStatsMap=found)


async def disk_stats(hypervisor: Hypervisor, command: GetVmDiskStatsCommand) -> Answer:
    """What the named VMs read and wrote, a disk each; what is not active is left out."""
    found = {domain.name: list(_disks(domain)) for domain in _active(hypervisor, command.vmNames)}
    return GetVmDiskStatsAnswer(result=True, details="", hostName=command.hostName, vmDiskStatsMap=found)


def _disks(domain: Domain) -> Iterator[VmDiskStatsEntry]:
    for index, disk in enumerate(domain.disks):
        parts = disk.path.split("/")
        if len(parts) > _NAME_PART:
            reads = 1 if index == 0 else 0
            yield VmDiskStatsEntry(
                vmName=domain.name, path=parts[_NAME_PART], ioRead=reads, bytesRead=reads * _BOOT_SECTOR_BYTES
            )


async def network_stats(hypervisor: Hypervisor, command: GetVmNetworkStatsCommand) -> Answer:
    """What the named VMs sent and received, an adapter each; what is not active is left out."""
    found = {
        domain.name: [VmNetworkStatsEntry(vmName=domain.name, macAddress=nic.mac) for nic in domain.nics]
        for domain in _active(hypervisor, command.vmNames)
    }
    return GetVmNetworkStatsAnswer(result=True, details="", hostName=command.hostName, vmNetworkStatsMap=found)


def _active(hypervisor: Hypervisor, names: Iterable[str] | None) -> list[Domain]:
    known = (hypervisor.domains.get(name) for name in names or [])
    return [domain for domain in known if domain is not None and domain.state != "shut off"]


async def volume_stats(hypervisor: Hypervisor, command: GetVolumeStatsCommand) -> Answer:
    """The volumes' sizes; one that is not in the pool fails the whole question, as upstream."""
    pool = hypervisor.storage.find(command.poolUuid or "")
    found = await hypervisor.bench.blocking(_sizes, pool, command.volumeUuids or [])
    return GetVolumeStatsAnswer(
        result=True, details="", poolUuid=command.poolUuid, poolType=command.poolType, volumeStats=found
    )


def _sizes(pool: Pool, paths: Iterable[str]) -> dict[str, VolumeStatsEntry]:
    sizes = {}
    for path in paths:
        file = volume_file(pool, path)
        if file is not None:  # of a Ceph pool nothing is known here
            virtual_bytes = read_image(file).virtual_size_bytes
            sizes[path] = VolumeStatsEntry(
                volumeUuid=path, physicalsize=modelled_size_bytes(file), virtualSize=virtual_bytes
            )
    return sizes


HANDLERS: HandlerTable = {
    f"{API}.GetVmStatsCommand": vm_stats,
    f"{API}.GetVmDiskStatsCommand": disk_stats,
    f"{API}.GetVmNetworkStatsCommand": network_stats,
    f"{API}.GetVolumeStatsCommand": volume_stats,
}
