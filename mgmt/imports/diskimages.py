"""Disk images of hosts: looking at one, copying one, and what an image must not be (import-vm 5.3, 5.4).

Upstream: UnmanagedVMsManagerImpl.checkVolume, copyRemoteVolume; VolumeImportUnmanageManagerImpl
(checkIfVolumeIsLocked and its like).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from mgmt.errors import AgentUnavailableError, CloudRuntimeError, OperationTimedOutError
from mgmt.imports.facts import PoolFacts
from mgmt.imports.ports import ImportServices
from mgmt.imports.trace import Trace
from mgmt.inventory.transfer import filer_to
from mgmt.protocol.commands import (
    CheckVolumeAnswer,
    CheckVolumeCommand,
    CopyRemoteVolumeAnswer,
    CopyRemoteVolumeCommand,
    GetRemoteVmsAnswer,
    GetRemoteVmsCommand,
    StorageFilerTO,
    UnmanagedInstanceTO,
)
from mgmt.protocol.records import Answer, Command
from mgmt.store.models import StoragePool

COPY_TIMEOUT_SETTING = "remote.kvm.instance.disks.copy.timeout"  # minutes
COPY_TIMEOUT_MINUTES = 30  # what a value that is not above 0 falls back to
BACKING_FILE_SETTING = "allow.import.volume.with.backing.file"


@dataclass(frozen=True)
class RemoteHost:
    """Another KVM host and how to reach it; the password does not show in `repr`."""

    address: str
    username: str
    password: str | None

    def __repr__(self) -> str:
        return f"RemoteHost({self.address!r}, {self.username!r})"


@dataclass(frozen=True)
class Image:
    """A disk image in a pool: its file name and its virtual size."""

    file_name: str
    size_bytes: int


@dataclass(frozen=True)
class _Refusal:
    """A row about an image's details, that is what qemu-img says of it."""

    row: str
    holds: Callable[[Mapping[str, str], bool], bool]
    text: str


_REFUSALS = (
    _Refusal(
        "5.3-15",
        lambda details, _: details.get("IS_LOCKED", "").lower() == "true",
        "Locked volume cannot be imported or unmanaged.",
    ),
    _Refusal(
        "5.3-16",
        lambda details, _: details.get("IS_ENCRYPTED", "").lower() == "true",
        "Encrypted volume cannot be imported or unmanaged.",
    ),
    _Refusal(
        "5.3-17",
        lambda details, backing_allowed: bool(details.get("BACKING_FILE")) and not backing_allowed,
        "Volume with backing file cannot be imported or unmanaged.",
    ),
)


def check_details(services: ImportServices, details: Mapping[str, str] | None, trace: Trace) -> None:
    """Rows 5.3-15 to 5.3-17: refuse an image that is locked, encrypted or has a backing file."""
    backing_allowed = services.settings.get_bool(BACKING_FILE_SETTING)
    for refusal in _REFUSALS:
        with trace.rule(refusal.row, details=dict(details or {})):
            if refusal.holds(details or {}, backing_allowed):
                raise CloudRuntimeError(refusal.text, row=refusal.row)


def remote_vms(
    services: ImportServices, host_id: int, remote: RemoteHost, trace: Trace
) -> dict[str, UnmanagedInstanceTO]:
    """The stopped VMs of `remote`, asked through one of our hosts. A right answer's `result` is not looked at."""
    with trace.rule("1.4-5", remote=remote.address, host=host_id) as rule:
        answer = _send(
            services,
            host_id,
            GetRemoteVmsCommand(remoteIp=remote.address, username=remote.username, password=remote.password),
        )
        if not isinstance(answer, GetRemoteVmsAnswer):
            raise CloudRuntimeError(f"Failed to list VMs, due to: {answer.details}", row="1.4-5")
        found = answer.unmanagedInstances or {}
        rule.saw(vms=len(found))
        return found


def check_image(services: ImportServices, host_id: int, pool: PoolFacts, file_name: str, trace: Trace) -> Image:
    """Have a host look at an image; rows 5.4-17 and 5.3-15 to 5.3-17."""
    with trace.rule("5.4-17", host=host_id, pool=pool.name, image=file_name):
        answer = _send(services, host_id, CheckVolumeCommand(srcFile=file_name, storageFilerTO=filer(services, pool)))
        if not isinstance(answer, CheckVolumeAnswer) or not answer.result:
            raise CloudRuntimeError("Disk not found or is invalid", row="5.4-17")
    check_details(services, answer.volumeDetails, trace)
    return Image(file_name, answer.size)


def copy_image(
    services: ImportServices,
    host_id: int,
    remote: RemoteHost,
    source: str,
    temp_path: str,
    pool: PoolFacts,
    trace: Trace,
) -> Image:
    """Have a host copy a remote disk into `pool`; rows 5.3-13 to 5.3-17."""
    minutes = services.settings.get_int(COPY_TIMEOUT_SETTING)
    wait_s = (minutes if minutes > 0 else COPY_TIMEOUT_MINUTES) * 60
    command = CopyRemoteVolumeCommand(
        remoteIp=remote.address,
        username=remote.username,
        password=remote.password,
        srcFile=source,
        tmpPath=temp_path,
        storageFilerTO=filer(services, pool),
        wait=wait_s,
    )
    with trace.rule("5.3-13", host=host_id, source=source, pool=pool.name):
        answer = _send(services, host_id, command, wait_s=wait_s)
        if not isinstance(answer, CopyRemoteVolumeAnswer):
            raise CloudRuntimeError(f"Error while copying volume of remote instance: {answer.details}", row="5.3-13")
    with trace.rule("5.3-14", result=answer.result):
        if not answer.result:
            raise CloudRuntimeError("Unable to copy volume of remote instance", row="5.3-14")
    check_details(services, answer.volumeDetails, trace)
    return Image(answer.filename or "", answer.size)


def filer(services: ImportServices, pool: PoolFacts) -> StorageFilerTO:
    """The pool as these commands carry it."""
    with services.store.session() as session:
        return filer_to(session.get_one(StoragePool, pool.id))


def _send(services: ImportServices, host_id: int, command: Command, *, wait_s: int | None = None) -> Answer:
    # AgentManager.easySend: a host that cannot be reached counts as one that gives no usable answer.
    try:
        return services.agents.send(host_id, command, wait_s=wait_s)
    except (AgentUnavailableError, OperationTimedOutError) as error:
        return Answer(result=False, details=error.text)


RULES: Mapping[str, str] = {
    "1.4-5": "the host answers the listing of a remote host's VMs with another class, which is how it says it failed",
    "5.3-13": "the host answers the copy of a disk with another class",
    "5.3-14": "the host could not copy a disk",
    "5.3-15": "the disk image is locked",
    "5.3-16": "the disk image is encrypted",
    "5.3-17": "the disk image has a backing file and allow.import.volume.with.backing.file is false",
    "5.4-17": "the host does not find the disk image, or it is no good one",
}
