"""What a Java agent makes of the bytes of a request: commands, one BadCommand for all of them, or nothing at all.

Upstream: Request.java, ArrayTypeAdaptor.java, InterfaceTypeAdaptor.java, StoragePoolTypeAdaptor.java.
"""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass

from agent_sim.commands import is_java_command
from mgmt.protocol.commands import (
    Answer,
    Command,
    ConvertInstanceCommand,
    DeleteStoragePoolCommand,
    GetStorageStatsCommand,
    ImportConvertedInstanceCommand,
    ModifyStoragePoolCommand,
    PrimaryDataStoreTO,
    UnknownCommand,
)
from mgmt.protocol.message import Header, MessageError, Request, Response, content_of, decode

logger = logging.getLogger(__name__)

_POOL_TYPES = frozenset(
    {
        "Filesystem", "NetworkFilesystem", "IscsiLUN", "Iscsi", "ISO", "LVM", "CLVM", "RBD", "SharedMountPoint",
        "VMFS", "PreSetup", "EXT", "OCFS2", "SMB", "Gluster", "PowerFlex", "ManagedNFS", "Linstor",
        "DatastoreCluster", "StorPool", "FiberChannel",
    }
)  # fmt: skip
_HYPERVISOR_TYPES = frozenset(
    {
        "any", "none", "kvm", "vmware", "xenserver", "hyperv", "lxc", "ovm", "ovm3", "baremetal", "simulator",
        "virtualbox", "parralels", "external", "custom",
    }
)  # fmt: skip


@dataclass(frozen=True)
class BadRequest:
    """A request whose whole array is replaced by one BadCommand."""

    header: Header


def read_message(data: bytes) -> Request | Response | BadRequest | None:
    """The message; None for one that a Java agent drops without an answer."""
    try:
        message = decode(data)
    except MessageError as error:
        if error.header is None or not error.header.is_request or _is_dropped(error, data):
            logger.info("a message is dropped: %s", error)
            return None
        logger.info("a request cannot be read: %s", error)
        return BadRequest(error.header)
    if isinstance(message, Response):
        return message
    for command in message.commands:
        if isinstance(command, UnknownCommand) and not is_java_command(command.java_class):
            header = Header(
                flags=_flags(message),
                sequence=message.sequence,
                size=0,
                management_id=message.management_id,
                agent_id=message.agent_id,
                via=message.via,
            )
            return BadRequest(header)
        if isinstance(command, Answer) or not _known_types(command):
            logger.info("a request with %s is dropped: no command, or an unknown type in it", type(command).__name__)
            return None
    return message


def _flags(request: Request) -> int:
    return 0x01 | 0x02 * request.stop_on_error | 0x04 * request.in_sequence | 0x20 * request.from_server


def _is_dropped(error: MessageError, data: bytes) -> bool:
    """Whether the content is one of those that get no answer: nothing to make commands of, or a bad interface field."""
    if "an object that names its class" in str(error) or "DataStoreTO" in str(error):
        return True
    assert error.header is not None
    _, length = Header.decode(data)
    try:
        content = json.loads(content_of(error.header, data[length:]) or b"null")
    except (MessageError, ValueError):
        return False
    if content is None:
        return True
    return isinstance(content, list) and any(not isinstance(element, dict) or not element for element in content)


def _known_types(command: Command) -> bool:
    """Whether the fields with adaptors of their own (pool and hypervisor types) hold known names."""
    pools: list[str | None] = []
    hypervisors: list[str | None] = []
    if isinstance(command, ModifyStoragePoolCommand) and command.pool is not None:
        pools.append(command.pool.type)
    elif isinstance(command, DeleteStoragePoolCommand) and command._pool is not None:
        pools.append(command._pool.type)
    elif isinstance(command, GetStorageStatsCommand):
        pools.append(command.pooltype)
    elif isinstance(command, ConvertInstanceCommand | ImportConvertedInstanceCommand):
        if isinstance(command, ConvertInstanceCommand):
            hypervisors.append(command.destinationHypervisorType)
        if command.sourceInstance is not None:
            hypervisors.append(command.sourceInstance.hypervisorType)
        if isinstance(command.conversionTemporaryLocation, PrimaryDataStoreTO):
            pools.append(command.conversionTemporaryLocation.poolType)
    return all(pool is None or pool in _POOL_TYPES for pool in pools) and all(
        name is None or name.lower() in _HYPERVISOR_TYPES for name in hypervisors
    )
