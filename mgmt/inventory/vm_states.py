"""The states of a VM and how it passes from one to the next.

Upstream: api/.../vm/VirtualMachine.java (the table), server/.../vm/UserVmStateListener.java (usage events),
engine/.../vm/VirtualMachineManagerImpl.stateTransitTo (the last host).
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from sqlalchemy.orm import Session

from mgmt.errors import CloudRuntimeError
from mgmt.inventory import usage
from mgmt.providers import Providers
from mgmt.store.models import VmInstance


class VmState(StrEnum):
    """The API's `state` of a VM."""

    STARTING = "Starting"
    RUNNING = "Running"
    STOPPING = "Stopping"
    STOPPED = "Stopped"
    DESTROYED = "Destroyed"
    EXPUNGING = "Expunging"
    MIGRATING = "Migrating"
    ERROR = "Error"


class VmEvent(StrEnum):
    """What can happen to a VM, in CloudStack's words."""

    START_REQUESTED = "StartRequested"
    STOP_REQUESTED = "StopRequested"
    DESTROY_REQUESTED = "DestroyRequested"
    RECOVERY_REQUESTED = "RecoveryRequested"
    MIGRATION_REQUESTED = "MigrationRequested"
    EXPUNGE_OPERATION = "ExpungeOperation"
    OPERATION_SUCCEEDED = "OperationSucceeded"
    OPERATION_FAILED = "OperationFailed"
    OPERATION_RETRY = "OperationRetry"
    AGENT_REPORT_STOPPED = "AgentReportStopped"
    POWER_ON_REPORT = "FollowAgentPowerOnReport"
    POWER_OFF_REPORT = "FollowAgentPowerOffReport"


_S, _E = VmState, VmEvent
TRANSITIONS: Mapping[tuple[VmState, VmEvent], VmState] = {
    (_S.STOPPED, _E.START_REQUESTED): _S.STARTING,
    (_S.STOPPED, _E.STOP_REQUESTED): _S.STOPPED,
    (_S.STOPPED, _E.DESTROY_REQUESTED): _S.DESTROYED,
    (_S.STOPPED, _E.EXPUNGE_OPERATION): _S.EXPUNGING,
    (_S.STOPPED, _E.OPERATION_FAILED): _S.STOPPED,
    (_S.STOPPED, _E.AGENT_REPORT_STOPPED): _S.STOPPED,
    (_S.STOPPED, _E.POWER_ON_REPORT): _S.RUNNING,
    (_S.STOPPED, _E.POWER_OFF_REPORT): _S.STOPPED,
    (_S.STARTING, _E.OPERATION_RETRY): _S.STARTING,
    (_S.STARTING, _E.OPERATION_SUCCEEDED): _S.RUNNING,
    (_S.STARTING, _E.OPERATION_FAILED): _S.STOPPED,
    (_S.STARTING, _E.AGENT_REPORT_STOPPED): _S.STOPPED,
    (_S.STARTING, _E.POWER_ON_REPORT): _S.RUNNING,
    (_S.STARTING, _E.POWER_OFF_REPORT): _S.STOPPED,
    (_S.RUNNING, _E.STOP_REQUESTED): _S.STOPPING,
    (_S.RUNNING, _E.MIGRATION_REQUESTED): _S.MIGRATING,
    (_S.RUNNING, _E.OPERATION_SUCCEEDED): _S.RUNNING,
    (_S.RUNNING, _E.AGENT_REPORT_STOPPED): _S.STOPPED,
    (_S.RUNNING, _E.POWER_ON_REPORT): _S.RUNNING,
    (_S.RUNNING, _E.POWER_OFF_REPORT): _S.STOPPED,
    (_S.STOPPING, _E.STOP_REQUESTED): _S.STOPPING,
    (_S.STOPPING, _E.OPERATION_SUCCEEDED): _S.STOPPED,
    (_S.STOPPING, _E.OPERATION_FAILED): _S.RUNNING,
    (_S.STOPPING, _E.AGENT_REPORT_STOPPED): _S.STOPPED,
    (_S.STOPPING, _E.POWER_ON_REPORT): _S.RUNNING,
    (_S.STOPPING, _E.POWER_OFF_REPORT): _S.STOPPED,
    (_S.MIGRATING, _E.MIGRATION_REQUESTED): _S.MIGRATING,
    (_S.MIGRATING, _E.OPERATION_SUCCEEDED): _S.RUNNING,
    (_S.MIGRATING, _E.OPERATION_FAILED): _S.RUNNING,
    (_S.MIGRATING, _E.AGENT_REPORT_STOPPED): _S.STOPPED,
    (_S.MIGRATING, _E.POWER_ON_REPORT): _S.RUNNING,
    (_S.MIGRATING, _E.POWER_OFF_REPORT): _S.STOPPED,
    (_S.DESTROYED, _E.RECOVERY_REQUESTED): _S.STOPPED,
    (_S.DESTROYED, _E.EXPUNGE_OPERATION): _S.EXPUNGING,
    (_S.EXPUNGING, _E.EXPUNGE_OPERATION): _S.EXPUNGING,
    (_S.EXPUNGING, _E.OPERATION_FAILED): _S.EXPUNGING,
    (_S.ERROR, _E.DESTROY_REQUESTED): _S.EXPUNGING,
    (_S.ERROR, _E.EXPUNGE_OPERATION): _S.EXPUNGING,
}
del _S, _E


class NoTransitionError(CloudRuntimeError):
    """NoTransitionException: the VM's state does not know the event."""


def next_state(state: VmState, event: VmEvent) -> VmState:
    """The state after `event`; raises NoTransitionError."""
    try:
        return TRANSITIONS[state, event]
    except KeyError:
        raise NoTransitionError(f"Unable to transition to a new state from {state} via {event}") from None


def transit(session: Session, providers: Providers, vm: VmInstance, event: VmEvent, host_id: int | None) -> VmState:
    """Let `event` happen to `vm`, which then is on `host_id`, and write the usage events that go with it.

    Raises NoTransitionError and changes nothing when the state does not know the event.
    """
    old = VmState(vm.state)
    new = next_state(old, event)
    if event is VmEvent.OPERATION_SUCCEEDED:
        if old is VmState.STARTING:
            vm.last_host_id = host_id
        elif old is VmState.STOPPING:
            vm.last_host_id = vm.host_id
    vm.state = new.value
    vm.host_id = host_id
    vm.updated = providers.utcnow()
    _record_usage(session, providers, vm, old, event, new)
    session.flush()
    session.expire(vm, ["host"])
    return new


def _record_usage(
    session: Session, providers: Providers, vm: VmInstance, old: VmState, event: VmEvent, new: VmState
) -> None:
    if old is VmState.STARTING and new is VmState.RUNNING:
        usage.vm_event(session, providers, vm, "VM.START")
    elif new is VmState.STOPPED and (
        old is VmState.STOPPING or (old is VmState.RUNNING and event is VmEvent.POWER_OFF_REPORT)
    ):
        usage.vm_event(session, providers, vm, "VM.STOP")
        usage.network_events(session, providers, vm, "NETWORK.OFFERING.REMOVE")
    elif old is VmState.DESTROYED and new is VmState.STOPPED:
        usage.vm_event(session, providers, vm, "VM.CREATE")
    elif old is VmState.STOPPED and new in (VmState.DESTROYED, VmState.EXPUNGING, VmState.ERROR):
        usage.vm_event(session, providers, vm, "VM.DESTROY")
