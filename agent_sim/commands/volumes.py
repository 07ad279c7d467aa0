"""Files of volumes in a pool: look at one, delete one.

Upstream: KVMStorageProcessor, LibvirtCheckVolumeCommandWrapper.
"""

from __future__ import annotations

from agent_sim.commands.base import HandlerTable
from agent_sim.errors import AgentFailure
from agent_sim.hypervisor import Hypervisor
from mgmt.protocol.commands import Answer, DeleteCommand, VolumeObjectTO

_STORAGE = "org.apache.cloudstack.storage.command"


async def delete(hypervisor: Hypervisor, command: DeleteCommand) -> Answer:
    """Remove a volume's file from its pool; a file that is gone already is no fault."""
    volume = command.data
    if not isinstance(volume, VolumeObjectTO):
        return Answer(result=False, details="Unsupported protocol")
    try:
        pool = hypervisor.storage.find((volume.dataStore.uuid if volume.dataStore else None) or "")
        file = pool.file(volume.path or "")
    except AgentFailure as failure:
        return Answer(result=False, details=f"{failure.java_class}: {failure.text}")
    if file is not None:
        try:
            await hypervisor.bench.blocking(file.unlink, True)
        except OSError as error:
            return Answer(result=False, details=f"org.libvirt.LibvirtException: cannot unlink file: {error.strerror}")
    return Answer(result=True)


HANDLERS: HandlerTable = {
    f"{_STORAGE}.DeleteCommand": delete,
}
