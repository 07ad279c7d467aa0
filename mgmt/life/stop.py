"""Stopping a VM (upstream: VirtualMachineManagerImpl.advanceStop, cleanup; UserVmManagerImpl.stopVirtualMachine)."""

from __future__ import annotations

import logging

from mgmt.errors import AgentUnavailableError, CloudRuntimeError, OperationTimedOutError
from mgmt.inventory.scope import CallerLike
from mgmt.inventory.vm_resources import release_nics
from mgmt.inventory.vm_states import NoTransitionError, VmEvent, VmState, transit
from mgmt.life import statistics
from mgmt.life.ports import LifeServices
from mgmt.life.records import check_vm_access, live_vm, set_detail
from mgmt.life.texts import vm_text
from mgmt.life.transfer import vlan_persistence
from mgmt.protocol.commands import StopCommand
from mgmt.store.models import Host, VmInstance

logger = logging.getLogger(__name__)

_NOTHING_TO_STOP = (VmState.STOPPED, VmState.DESTROYED, VmState.EXPUNGING, VmState.ERROR)
CAPACITY_FLAG = "Message.ReservedCapacityFreed.Flag"


def stop_vm(services: LifeServices, caller: CallerLike, vm_id: int, *, forced: bool) -> None:
    """Stop a VM for a caller; `forced` kills it and goes on when its host does not answer.

    A VM that does not run is left as it is. Raises InvalidParameterValueError, PermissionDeniedError and
    CloudRuntimeError with CloudStack's texts.
    """
    with services.work.on(vm_id):
        with services.store.session() as session:
            check_vm_access(caller, live_vm(session, vm_id))
        stop_locked(services, vm_id, forced=forced)


def stop_locked(services: LifeServices, vm_id: int, *, forced: bool) -> None:
    """Stop a VM that the caller of this function has locked."""
    begun = _begin(services, vm_id, forced=forced)
    if begun is None:
        return
    host_id, name, command, failure = begun
    statistics.collect(services, host_id, name)
    is_stopped = False
    try:
        answer = services.agents.send(host_id, command)
        is_stopped = answer.result
        if not is_stopped:
            logger.warning("host %d did not stop %s: %s", host_id, name, answer.details)
    except (AgentUnavailableError, OperationTimedOutError) as error:
        logger.warning("host %d did not stop %s: %s", host_id, name, error.text)
    with services.store.session() as session:
        vm = session.get_one(VmInstance, vm_id)
        if is_stopped or forced:
            release_nics(vm)
            set_detail(vm, CAPACITY_FLAG, "false")
            transit(session, services.providers, vm, VmEvent.OPERATION_SUCCEEDED, None)
            vm.power_state = "PowerOff"
            return
        transit(session, services.providers, vm, VmEvent.OPERATION_FAILED, vm.host_id)
    raise CloudRuntimeError(failure)


def _begin(services: LifeServices, vm_id: int, *, forced: bool) -> tuple[int, str, StopCommand, str] | None:
    """Mark the VM Stopping: its host, its name, the command and the text of a failure; None when nothing is to do."""
    with services.store.session() as session:
        vm = session.get_one(VmInstance, vm_id)
        state = VmState(vm.state)
        if state in _NOTHING_TO_STOP:
            return None
        if vm.host_id is None:
            if not forced:
                raise CloudRuntimeError(f"Unable to stop {vm_text(vm)}")
            transit(session, services.providers, vm, VmEvent.AGENT_REPORT_STOPPED, None)
            return None
        host = session.get_one(Host, vm.host_id)
        if not forced and state is VmState.RUNNING and host.resource_state == "PrepareForMaintenance":
            raise CloudRuntimeError(
                f"Stop VM operation on the VM id: {vm_id} is not allowed as host is preparing for maintenance mode"
            )
        refusal = f"We cannot stop {vm_text(vm)} when it is in state {vm.state}"
        try:
            transit(session, services.providers, vm, VmEvent.STOP_REQUESTED, vm.host_id)
        except NoTransitionError:
            raise CloudRuntimeError(refusal) from None
        return host.id, vm.instance_name, stop_command(vm, forced=forced), f"Unable to stop {vm_text(vm)}"


def stop_command(vm: VmInstance, *, forced: bool = False) -> StopCommand:
    """The command that stops `vm`; also the clean-up after a start that failed."""
    return StopCommand(
        vmName=vm.instance_name, forceStop=forced, vlanToPersistenceMap=vlan_persistence(vm), volumesToDisconnect=[]
    )
