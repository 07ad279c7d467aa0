"""The states of a volume and how it passes from one to the next (upstream: api/.../storage/Volume.java)."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from mgmt.errors import CloudRuntimeError
from mgmt.store.models import Volume


class VolumeState(StrEnum):
    """The API's `state` of a volume."""

    ALLOCATED = "Allocated"
    CREATING = "Creating"
    READY = "Ready"
    ATTACHING = "Attaching"
    RESIZING = "Resizing"
    DESTROY = "Destroy"
    EXPUNGING = "Expunging"
    EXPUNGED = "Expunged"


class VolumeEvent(StrEnum):
    """What can happen to a volume, in CloudStack's words."""

    CREATE_REQUESTED = "CreateRequested"
    ATTACH_REQUESTED = "AttachRequested"
    RESIZE_REQUESTED = "ResizeRequested"
    DESTROY_REQUESTED = "DestroyRequested"
    EXPUNGE_REQUESTED = "ExpungeRequested"
    OPERATION_SUCCEEDED = "OperationSucceeded"
    OPERATION_FAILED = "OperationFailed"


_S, _E = VolumeState, VolumeEvent
TRANSITIONS: Mapping[tuple[VolumeState, VolumeEvent], VolumeState] = {
    (_S.ALLOCATED, _E.CREATE_REQUESTED): _S.CREATING,
    (_S.ALLOCATED, _E.DESTROY_REQUESTED): _S.DESTROY,
    (_S.CREATING, _E.OPERATION_SUCCEEDED): _S.READY,
    (_S.CREATING, _E.OPERATION_FAILED): _S.ALLOCATED,
    (_S.READY, _E.ATTACH_REQUESTED): _S.ATTACHING,
    (_S.ATTACHING, _E.OPERATION_SUCCEEDED): _S.READY,
    (_S.ATTACHING, _E.OPERATION_FAILED): _S.READY,
    (_S.READY, _E.RESIZE_REQUESTED): _S.RESIZING,
    (_S.RESIZING, _E.OPERATION_SUCCEEDED): _S.READY,
    (_S.RESIZING, _E.OPERATION_FAILED): _S.READY,
    (_S.READY, _E.DESTROY_REQUESTED): _S.DESTROY,
    (_S.DESTROY, _E.EXPUNGE_REQUESTED): _S.EXPUNGING,
    (_S.DESTROY, _E.OPERATION_SUCCEEDED): _S.DESTROY,
    (_S.EXPUNGING, _E.EXPUNGE_REQUESTED): _S.EXPUNGING,
    (_S.EXPUNGING, _E.OPERATION_SUCCEEDED): _S.EXPUNGED,
    (_S.EXPUNGING, _E.OPERATION_FAILED): _S.EXPUNGING,
}
del _S, _E


def transit_volume(volume: Volume, event: VolumeEvent) -> VolumeState:
    """Let `event` happen to `volume`; raises CloudRuntimeError when its state does not know it."""
    try:
        new = TRANSITIONS[VolumeState(volume.state), event]
    except (KeyError, ValueError):
        raise CloudRuntimeError(f"Unable to transition to a new state from {volume.state} via {event}") from None
    volume.state = new.value
    return new
