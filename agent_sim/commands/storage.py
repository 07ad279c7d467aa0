"""Storage pools: create, mount, unmount, remove, measure."""

from __future__ import annotations

from agent_sim.commands.base import API, HandlerTable
from agent_sim.defects import POOL_STAYS_UNMOUNTED
from agent_sim.errors import AgentFailure
from agent_sim.hypervisor import Hypervisor
from agent_sim.storage import Pool
from mgmt.protocol.commands import (
    Answer,
    CreateStoragePoolCommand,
    DeleteStoragePoolCommand,
    GetStorageStatsAnswer,
    GetStorageStatsCommand,
    ModifyStoragePoolAnswer,
    ModifyStoragePoolCommand,
    StorageFilerTO,
    StoragePoolInfo,
)


def _add(hypervisor: Hypervisor, filer: StorageFilerTO | None) -> Pool:
    if filer is None:
        raise AgentFailure(
            'Cannot invoke "com.cloud.agent.api.to.StorageFilerTO.getUuid()" because the pool is null',
            java_class="java.lang.NullPointerException",
        )
    return hypervisor.storage.add(
        filer.uuid or "",
        filer.type or "",
        filer.host or "",
        filer.path or "",
        mounts_again=POOL_STAYS_UNMOUNTED in hypervisor.repaired,
    )


async def modify_pool(hypervisor: Hypervisor, command: ModifyStoragePoolCommand) -> Answer:
    """LibvirtModifyStoragePoolCommandWrapper: `add` false only unmounts, and is always true."""
    if not command.add:
        if command.pool is not None:
            hypervisor.storage.unmount(command.pool.uuid or "")
        return ModifyStoragePoolAnswer(result=True)
    try:
        pool = _add(hypervisor, command.pool)
    except AgentFailure as failure:
        return Answer(result=False, details=f"Failed to create storage pool: {failure.text}")
    info = StoragePoolInfo(
        host=pool.host,
        localPath=command.localPath,
        hostPath=pool.path,
        poolType=pool.type,
        capacityBytes=pool.capacity_bytes,
        availableBytes=await hypervisor.bench.room(pool),
    )
    return ModifyStoragePoolAnswer(result=True, poolInfo=info, templateInfo={})


async def create_pool(hypervisor: Hypervisor, command: CreateStoragePoolCommand) -> Answer:
    try:
        _add(hypervisor, command.pool)
    except AgentFailure as failure:
        return Answer(result=False, details=f"Failed to create storage pool: {failure.text}")
    return Answer(result=True)


async def delete_pool(hypervisor: Hypervisor, command: DeleteStoragePoolCommand) -> Answer:
    """True for an unknown pool too; a stack trace without `_pool`."""
    if command._pool is None:
        raise AgentFailure(
            'Cannot invoke "com.cloud.agent.api.to.StorageFilerTO.getType()" because "pool" is null',
            java_class="java.lang.NullPointerException",
        )
    hypervisor.storage.delete(command._pool.uuid or "")
    return Answer(result=True)


async def storage_stats(hypervisor: Hypervisor, command: GetStorageStatsCommand) -> Answer:
    try:
        pool = hypervisor.storage.find(command.id or "")
    except AgentFailure as failure:
        return GetStorageStatsAnswer(result=False, details=f"{failure.java_class}: {failure.text}")
    available_bytes = await hypervisor.bench.room(pool)
    return GetStorageStatsAnswer(
        result=True, capacityBytes=pool.capacity_bytes, usedBytes=pool.capacity_bytes - available_bytes
    )


HANDLERS: HandlerTable = {
    f"{API}.ModifyStoragePoolCommand": modify_pool,
    f"{API}.CreateStoragePoolCommand": create_pool,
    f"{API}.DeleteStoragePoolCommand": delete_pool,
    f"{API}.GetStorageStatsCommand": storage_stats,
}
