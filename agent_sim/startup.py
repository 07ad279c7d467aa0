"""How an agent introduces itself: the Startup array. Upstream: LibvirtComputingResource.initialize."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from agent_sim.capabilities import Capabilities
from agent_sim.host import RESOURCE_NAME, HostDescription
from mgmt.protocol.commands import Command, StartupRoutingCommand, StartupStorageCommand, StoragePoolInfo


@dataclass
class Identity:
    """What an agent keeps in its agent.properties: who the server says it is. `host_id` None before the first time."""

    host_id: int | None = None
    uuid: str = ""
    name: str = ""

    @property
    def header_id(self) -> int:
        return -1 if self.host_id is None else self.host_id


@dataclass(frozen=True)
class MeasuredPool:
    """A local pool as it was when the agent started."""

    uuid: str
    path: str
    capacity_bytes: int
    available_bytes: int


def startup_commands(
    host: HostDescription,
    capabilities: Capabilities,
    pools: Sequence[MeasuredPool],
    identity: Identity,
    servers: str,
    *,
    is_secured: bool = False,
    is_transferred: bool = False,
) -> list[Command]:
    """One StartupRoutingCommand and a StartupStorageCommand for each local pool. `servers` is the key `host`."""
    common: dict[str, Any] = {  # texts, for fields of several types
        "dataCenter": host.properties.zone,
        "pod": host.properties.pod,
        "guid": host.full_guid,
        "name": host.name,
        "version": host.agent_version,
        "resourceName": RESOURCE_NAME,
        "msHostList": servers,
        "connectionTransferred": is_transferred,
        "arch": host.arch,
        "id": identity.host_id,
    }
    details = {
        "Host.OS": host.os.name,
        "Host.OS.Version": host.os.version,
        "Host.OS.Kernel.Version": host.os.kernel,
        "com.cloud.network.Networks.RouterPrivateIpStrategy": "HostLocal",
        "secured": "true" if is_secured else "false",
        "host.volume.encryption": "true",
        **capabilities.startup_details(),
    }
    return [_routing(host, common, details), *(_storage(host, common, pool) for pool in pools)]


def _routing(host: HostDescription, common: dict[str, Any], details: dict[str, str]) -> StartupRoutingCommand:
    return StartupRoutingCommand(
        **common,
        cluster=host.properties.cluster,
        cpuSockets=host.cpu.sockets,
        cpus=host.cpu.cores,
        speed=host.cpu.speed_mhz,
        cpuArch=host.arch,
        memory=host.memory_bytes,
        dom0MinMemory=host.reserved_memory_bytes,
        caps="hvm,snapshot",
        pool="/root",
        hypervisorType="KVM",
        hostDetails=details,
        hostTags=list(host.properties.host_tags),
        publicIpAddress=host.ip,
        publicNetmask=host.netmask,
        publicMacAddress=host.mac,
        privateIpAddress=host.ip,
        privateNetmask=host.netmask,
        privateMacAddress=host.mac,
        storageIpAddress=host.ip,
        storageNetmask=host.netmask,
        storageMacAddress=host.mac,
        gatewayIpAddress=host.gateway,
    )


def _storage(host: HostDescription, common: dict[str, Any], pool: MeasuredPool) -> StartupStorageCommand:
    return StartupStorageCommand(
        **common,
        poolInfo=StoragePoolInfo(
            uuid=pool.uuid,
            host=host.ip,
            localPath=pool.path,
            hostPath=pool.path,
            poolType="Filesystem",
            capacityBytes=pool.capacity_bytes,
            availableBytes=pool.available_bytes,
        ),
        resourceType="STORAGE_POOL",
    )
