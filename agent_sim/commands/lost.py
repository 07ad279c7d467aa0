"""Taking back what a command made whose answer the server cannot get: nobody else knows the names of the files.

CloudStack's agent does not do this; a fleet that is told to be without `lost-answer-files-left` does.
"""

from __future__ import annotations

import logging

from agent_sim.commands.base import open_temporary_pool, remove_converted
from agent_sim.defects import LOST_ANSWER_FILES_LEFT, TEMPORARY_MOUNT_LEFT
from agent_sim.errors import AgentFailure
from agent_sim.hypervisor import Hypervisor
from mgmt.protocol.commands import (
    Answer,
    Command,
    ConvertInstanceAnswer,
    ConvertInstanceCommand,
    CopyRemoteVolumeAnswer,
    CopyRemoteVolumeCommand,
    ImportConvertedInstanceAnswer,
    NfsTO,
)

logger = logging.getLogger(__name__)


def take_back(hypervisor: Hypervisor, command: Command, answer: Answer) -> None:
    """Delete the files that `answer`, which is lost, tells of."""
    if not answer.result or LOST_ANSWER_FILES_LEFT not in hypervisor.repaired:
        return
    try:
        if isinstance(command, ConvertInstanceCommand) and isinstance(answer, ConvertInstanceAnswer):
            pool = open_temporary_pool(hypervisor, command.conversionTemporaryLocation)
            remove_converted(pool, answer.temporaryConvertUuid or "-")
            if isinstance(command.conversionTemporaryLocation, NfsTO) and TEMPORARY_MOUNT_LEFT in hypervisor.repaired:
                hypervisor.storage.release(pool)
        elif isinstance(answer, ImportConvertedInstanceAnswer) and answer.convertedInstance is not None:
            for disk in answer.convertedInstance.disks or []:
                _delete(hypervisor, disk.datastoreName, disk.fileBaseName)
        elif isinstance(command, CopyRemoteVolumeCommand) and isinstance(answer, CopyRemoteVolumeAnswer):
            _delete(hypervisor, command.storageFilerTO.uuid if command.storageFilerTO else None, answer.filename)
    except (AgentFailure, OSError) as error:
        logger.warning("%s: what a lost answer tells of stays: %s", hypervisor.host.name, error)


def _delete(hypervisor: Hypervisor, pool_uuid: str | None, name: str | None) -> None:
    file = hypervisor.storage.find(pool_uuid or "").file(name or "")
    if file is not None:
        file.unlink(missing_ok=True)
