"""Disk images and VMs outside CloudStack's records: looking at them, copying them, giving VMs back to their host."""

from __future__ import annotations

from mgmt.protocol.commands.machines import VirtualMachineTO
from mgmt.protocol.commands.transfer import StorageFilerTO
from mgmt.protocol.commands.unmanaged import UnmanagedInstanceTO
from mgmt.protocol.records import Answer, Command, wire


@wire("com.cloud.agent.api")
class GetRemoteVmsCommand(Command, kw_only=True):
    """List the stopped VMs of another KVM host."""

    remoteIp: str | None = None
    username: str | None = None
    password: str | None = None


@wire("com.cloud.agent.api")
class GetRemoteVmsAnswer(Answer, kw_only=True):
    """The VMs by name."""

    remoteIp: str | None = None
    unmanagedInstances: dict[str, UnmanagedInstanceTO] | None = None
    vmNames: list[str] | None = None


@wire("com.cloud.agent.api")
class CheckVolumeCommand(Command, kw_only=True):
    """Look at a disk image in a pool."""

    srcFile: str | None = None
    storageFilerTO: StorageFilerTO | None = None


@wire("com.cloud.agent.api")
class CheckVolumeAnswer(Answer, kw_only=True):
    """The virtual size in bytes, and what qemu-img says."""

    size: int = 0
    volumeDetails: dict[str, str] | None = None


@wire("com.cloud.agent.api")
class CopyRemoteVolumeCommand(Command, kw_only=True):
    """Copy a disk of another KVM host into a pool."""

    remoteIp: str | None = None
    username: str | None = None
    password: str | None = None
    srcFile: str | None = None
    tmpPath: str | None = None
    storageFilerTO: StorageFilerTO | None = None


@wire("com.cloud.agent.api")
class CopyRemoteVolumeAnswer(Answer, kw_only=True):
    """The new file's name in the pool, its virtual size in bytes, and what qemu-img says."""

    remoteIp: str | None = None
    filename: str | None = None
    size: int = 0
    volumeDetails: dict[str, str] | None = None


@wire("com.cloud.agent.api")
class PrepareUnmanageVMInstanceCommand(Command, kw_only=True):
    """Is the VM there?"""

    instanceName: str | None = None


@wire("com.cloud.agent.api")
class PrepareUnmanageVMInstanceAnswer(Answer, kw_only=True):
    """True when it is."""


@wire("com.cloud.agent.api")
class UnmanageInstanceCommand(Command, kw_only=True):
    """Keep the VM as a persistent domain of the host; `vm` is there for a stopped one."""

    instanceName: str | None = None
    executeInSequence: bool = False
    vm: VirtualMachineTO | None = None
    isConfigDriveAttached: bool = False


@wire("com.cloud.agent.api")
class UnmanageInstanceAnswer(Answer, kw_only=True):
    """True when the domain is persistent."""
