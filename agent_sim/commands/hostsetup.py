"""Ready, checks of health and network, host parameters, statistics: what keeps a host Up."""

from __future__ import annotations

from agent_sim.commands.base import API, HandlerTable
from agent_sim.hypervisor import Hypervisor
from mgmt.protocol.commands import (
    Answer,
    CheckHealthAnswer,
    CheckHealthCommand,
    CheckNetworkAnswer,
    CheckNetworkCommand,
    CheckOnHostCommand,
    GetHostStatsAnswer,
    GetHostStatsCommand,
    HostStatsEntry,
    ModifySshKeysCommand,
    PingTestCommand,
    ReadyAnswer,
    ReadyCommand,
    SetHostParamsCommand,
)

HEARTBEAT_LIMIT_S = 60.0


async def ready(hypervisor: Hypervisor, command: ReadyCommand) -> Answer:
    """The probes run again at each ReadyCommand upstream; VDDK and the password option only at the agent's start."""
    return ReadyAnswer(result=True, detailsMap=hypervisor.probe_tools().ready_details())


async def check_health(hypervisor: Hypervisor, command: CheckHealthCommand) -> Answer:
    return CheckHealthAnswer(result=True, details="resource is alive")


async def check_network(hypervisor: Hypervisor, command: CheckNetworkCommand) -> Answer:
    """False for the first named bridge that the host does not have; absent names are fine."""
    properties = hypervisor.host.properties
    bridges = {properties.private_network_device, properties.public_network_device, properties.guest_network_device}
    for info in command.networkInfoList or []:
        for name in (info.guestNetworkName, info.privateNetworkName, info.publicNetworkName):
            if name and name not in bridges:
                return CheckNetworkAnswer(result=False, details=f"Can not find network: {name}", _reconnect=False)
    return CheckNetworkAnswer(result=True, _reconnect=False)


async def check_on_host(hypervisor: Hypervisor, command: CheckOnHostCommand) -> Answer:
    """Whether another host's heartbeat on the NFS pools of this one has stopped (KVMHAChecker)."""
    network = command.host.privateNetwork if command.host is not None else None
    other = hypervisor.neighbours.get((network.ip if network is not None else None) or "")
    if other is not None and other.heartbeat_age_s() < HEARTBEAT_LIMIT_S:
        mine, theirs = set(hypervisor.storage.mounted_exports()), set(other.storage.mounted_exports())
        if mine & theirs:
            return Answer(result=False, details="Heart is beating...")
    return Answer(result=True)


async def ping_test(hypervisor: Hypervisor, command: PingTestCommand) -> Answer:
    """Whether a host of the fleet answers a ping; there are no routers here that could ping a VM."""
    other = hypervisor.neighbours.get(command._computingHostIp or "")
    return Answer(result=other is not None and other.is_powered)


async def acknowledge(hypervisor: Hypervisor, command: SetHostParamsCommand | ModifySshKeysCommand) -> Answer:
    return Answer(result=True)


async def host_stats(hypervisor: Hypervisor, command: GetHostStatsCommand) -> Answer:
    """Memory from the running domains, load from a fixed model: an idle host."""
    host = hypervisor.host
    running = [domain for domain in hypervisor.domains.values() if domain.state != "shut off"]
    used_kb = sum(domain.memory_mb for domain in running) * 1024 + host.reserved_memory_bytes // 1024
    total_kb = host.memory_bytes // 1024
    cores = sum(domain.cpu_cores for domain in running)
    return GetHostStatsAnswer(
        result=True,
        hostStats=HostStatsEntry(
            hostId=command.hostId,
            entityType="host",
            cpuUtilization=round(min(100.0, 1.5 + 100.0 * 0.2 * cores / host.cpu.cores), 2),
            averageLoad=round(0.1 + 0.2 * cores, 2),
            networkReadKBs=0.75,
            networkWriteKBs=1.09765625,
            totalMemoryKBs=float(total_kb),
            freeMemoryKBs=float(max(0, total_kb - used_kb)),
        ),
    )


HANDLERS: HandlerTable = {
    f"{API}.ReadyCommand": ready,
    f"{API}.CheckHealthCommand": check_health,
    f"{API}.CheckNetworkCommand": check_network,
    f"{API}.CheckOnHostCommand": check_on_host,
    f"{API}.PingTestCommand": ping_test,
    f"{API}.SetHostParamsCommand": acknowledge,
    f"{API}.ModifySshKeysCommand": acknowledge,
    f"{API}.GetHostStatsCommand": host_stats,
}
