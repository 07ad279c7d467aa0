"""Starting and restarting a VM.

Upstream: UserVmManagerImpl.startVirtualMachine and rebootVirtualMachine, VMEntityManagerImpl,
VirtualMachineManagerImpl.orchestrateStart and orchestrateReboot.
"""

from __future__ import annotations

import logging
import string
from dataclasses import dataclass

from sqlalchemy.orm import Session

from mgmt.errors import (
    INSUFFICIENT_CAPACITY_ERROR,
    INTERNAL_ERROR,
    RESOURCE_UNAVAILABLE_ERROR,
    AgentUnavailableError,
    CloudRuntimeError,
    InsufficientCapacityError,
    InvalidParameterValueError,
    OperationTimedOutError,
    PermissionDeniedError,
    ServerApiError,
)
from mgmt.inventory import usage
from mgmt.inventory.scope import CallerLike
from mgmt.inventory.vm_resources import prepare_nics, release_nics
from mgmt.inventory.vm_states import NoTransitionError, VmEvent, VmState, transit
from mgmt.life import statistics
from mgmt.life.deploy import make_volumes
from mgmt.life.hosts import candidates, check_capacity, check_given_place, given_host
from mgmt.life.ports import LifeServices
from mgmt.life.records import check_vm_access, details_of, drop_detail, live_vm
from mgmt.life.stop import stop_command, stop_locked
from mgmt.life.texts import shown_name, vm_text
from mgmt.life.transfer import vm_to
from mgmt.protocol.commands import RebootAnswer, RebootCommand, StartAnswer, StartCommand
from mgmt.store.models import Host, VmInstance

logger = logging.getLogger(__name__)

PLANNERS = frozenset(
    {
        "FirstFitPlanner",
        "UserDispersingPlanner",
        "UserConcentratedPodPlanner",
        "ImplicitDedicationPlanner",
        "SkipHeuristicsPlanner",
        "BareMetalPlanner",
    }
)
VNC_PASSWORD_LENGTH = 22  # VMInstanceVO's own password
VNC_PASSWORD_DETAIL = "kvm.vnc.password"


@dataclass(frozen=True)
class Place:
    """Where a start may happen, as the request says; None: anywhere."""

    host_id: int | None = None
    cluster_id: int | None = None
    pod_id: int | None = None


@dataclass(frozen=True)
class StartRequest:
    """The parameters of startVirtualMachine."""

    vm_id: int
    place: Place = Place()
    boot_into_setup: bool | None = None
    planner: str | None = None


def start_vm(services: LifeServices, caller: CallerLike, request: StartRequest) -> None:
    """Start a VM on the given host, or on the best one that takes it.

    Raises InvalidParameterValueError, PermissionDeniedError, CloudRuntimeError and ServerApiError with CloudStack's
    texts.
    """
    with services.work.on(request.vm_id):
        with services.store.session() as session:
            _check_request(session, caller, request)
        make_volumes(services, request.vm_id)
        start_locked(services, request.vm_id, request.place)


def _check_request(session: Session, caller: CallerLike, request: StartRequest) -> None:
    vm = live_vm(session, request.vm_id)
    if vm.state == VmState.RUNNING:
        raise InvalidParameterValueError(f"The virtual machine {vm.uuid} ({shown_name(vm)}) is already running")
    check_vm_access(caller, vm)
    if vm.account.state == "disabled":
        raise PermissionDeniedError(f"The owner of {vm_text(vm)} is disabled: {vm.account_id}")
    check_given_place(session, caller, request.place.pod_id, request.place.cluster_id)
    if request.place.host_id is not None:
        check_capacity(session, given_host(session, caller, request.place.host_id), vm)
    if request.boot_into_setup is not None:
        raise InvalidParameterValueError(f"bootintosetup makes no sense for {vm.hypervisor_type}")
    if request.planner is not None and request.planner not in PLANNERS:
        raise InvalidParameterValueError(f"Can't find a planner by name {request.planner}")
    if not candidates(
        session,
        vm,
        host_id=request.place.host_id,
        cluster_id=request.place.cluster_id,
        pod_id=request.place.pod_id,
    ):
        raise ServerApiError(INSUFFICIENT_CAPACITY_ERROR, f"Unable to create a deployment for {vm_text(vm)}")


def start_locked(services: LifeServices, vm_id: int, place: Place) -> None:
    """Start a VM that the caller of this function has locked, on one host after the other until one takes it."""
    _begin(services, vm_id)
    avoid: set[int] = set()
    while True:
        prepared = _prepare(services, vm_id, place, avoid)
        if prepared is None:
            break
        host_id, command = prepared
        if _try(services, vm_id, host_id, command):
            return
        avoid.add(host_id)
    with services.store.session() as session:
        vm = session.get_one(VmInstance, vm_id)
        text = f"Unable to start a VM [{vm.uuid}] due to [Unable to create a deployment for {vm_text(vm)}]."
        _give_up(services, session, vm)
    raise CloudRuntimeError(text)


def _begin(services: LifeServices, vm_id: int) -> None:
    with services.store.session() as session:
        vm = session.get_one(VmInstance, vm_id)
        try:
            transit(session, services.providers, vm, VmEvent.START_REQUESTED, None)
        except NoTransitionError:
            raise ServerApiError(
                INTERNAL_ERROR, f"Unable to start a VM [{vm.uuid}] due to [Unable to start {vm_text(vm)}]."
            ) from None
        if vm.vnc_password is None:
            vm.vnc_password = details_of(vm).get(VNC_PASSWORD_DETAIL) or _new_password(services)
        services.redactor.register(vm.vnc_password)


def _new_password(services: LifeServices) -> str:
    letters = string.ascii_letters + string.digits
    return "".join(services.providers.random.choice(letters) for _ in range(VNC_PASSWORD_LENGTH))


def _prepare(services: LifeServices, vm_id: int, place: Place, avoid: set[int]) -> tuple[int, StartCommand] | None:
    """Choose a host and claim it for the VM; None when no host is left."""
    with services.store.session() as session:
        vm = session.get_one(VmInstance, vm_id)
        hosts = candidates(
            session, vm, avoid=avoid, host_id=place.host_id, cluster_id=place.cluster_id, pod_id=place.pod_id
        )
        if not hosts:
            return None
        host = hosts[0]
        transit(session, services.providers, vm, VmEvent.OPERATION_RETRY, host.id)
        try:
            prepare_nics(session, services.providers, vm)
        except InsufficientCapacityError as error:
            logger.warning("%s cannot start on host %s: %s", vm.instance_name, host.name, error.text)
            return None
        to = vm_to(session, vm, services.settings, is_start=True)
        return host.id, StartCommand(vm=to, hostIp=host.private_ip_address)


def _try(services: LifeServices, vm_id: int, host_id: int, command: StartCommand) -> bool:
    """Start the VM on one host: True when it runs there, False when another host shall be tried."""
    try:
        answer = services.agents.send(host_id, command)
    except AgentUnavailableError as error:
        logger.warning("host %d cannot be asked to start VM %d: %s", host_id, vm_id, error.text)
        return False
    except OperationTimedOutError:
        with services.store.session() as session:
            vm = session.get_one(VmInstance, vm_id)
            name = vm.name
            _give_up(services, session, vm)
        text = f"Resource [Host:{host_id}] is unreachable: Host {host_id}: Unable to start {name}"
        raise ServerApiError(RESOURCE_UNAVAILABLE_ERROR, text) from None
    if not (isinstance(answer, StartAnswer) and answer.result):
        logger.warning("host %d did not start VM %d: %s", host_id, vm_id, answer.details)
        _clean_up(services, vm_id, host_id)
        return False
    with services.store.session() as session:
        vm = session.get_one(VmInstance, vm_id)
        usage.network_events(session, services.providers, vm, "NETWORK.OFFERING.ASSIGN")
        drop_detail(vm, "deployvm")  # it marks a VM that has not been started yet
        transit(session, services.providers, vm, VmEvent.OPERATION_SUCCEEDED, host_id)
        vm.power_state, vm.power_host_id, vm.power_state_count = "PowerOn", host_id, 1
        vm.power_state_updated = services.providers.utcnow()
    return True


def _clean_up(services: LifeServices, vm_id: int, host_id: int) -> None:
    """Stop on a host what a failed start may have left there."""
    with services.store.session() as session:
        command = stop_command(session.get_one(VmInstance, vm_id))
    try:
        services.agents.send(host_id, command)
    except (AgentUnavailableError, OperationTimedOutError) as error:
        logger.warning("host %d did not clean up after a failed start: %s", host_id, error.text)


def _give_up(services: LifeServices, session: Session, vm: VmInstance) -> None:
    release_nics(vm)
    transit(session, services.providers, vm, VmEvent.OPERATION_FAILED, None)


def reboot_vm(
    services: LifeServices, caller: CallerLike, vm_id: int, *, forced: bool = False, boot_into_setup: bool = False
) -> None:
    """Restart a running VM's guest; `forced` stops and starts it instead, on the same host.

    Raises InvalidParameterValueError, PermissionDeniedError and CloudRuntimeError with CloudStack's texts.
    """
    with services.work.on(vm_id):
        with services.store.session() as session:
            vm = live_vm(session, vm_id, "Unable to find a virtual machine with id {id}")
            if vm.state != VmState.RUNNING or vm.host_id is None:
                raise InvalidParameterValueError(
                    f"The VM {vm.uuid} ({shown_name(vm)}) is not running, unable to reboot it"
                )
            check_vm_access(caller, vm)
            host_id, name = vm.host_id, vm.instance_name
            if session.get_one(Host, host_id).resource_state == "PrepareForMaintenance":
                raise InvalidParameterValueError(
                    f"Reboot VM operation on the VM id: {vm_id} is not allowed as host is preparing for maintenance"
                    " mode"
                )
            if boot_into_setup:
                raise InvalidParameterValueError(
                    f"Booting into a hardware setup menu is not implemented on {vm.hypervisor_type}"
                )
        if forced:
            stop_locked(services, vm_id, forced=False)
            start_locked(services, vm_id, Place(host_id=host_id))
            return
        _reboot(services, vm_id, host_id, name)


def _reboot(services: LifeServices, vm_id: int, host_id: int, name: str) -> None:
    statistics.collect(services, host_id, name)
    with services.store.session() as session:
        vm = session.get_one(VmInstance, vm_id)
        command = RebootCommand(vmName=name, vm=vm_to(session, vm, services.settings, is_start=False))
    try:
        answer = services.agents.send(host_id, command)
    except OperationTimedOutError:
        raise CloudRuntimeError("Failed to reboot due to the operation timed out") from None
    if not isinstance(answer, RebootAnswer):
        raise CloudRuntimeError("Unable to get answer that is of class com.cloud.agent.api.RebootAnswer")
    if not answer.result:
        logger.warning("host %d did not restart %s: %s", host_id, name, answer.details)
        raise CloudRuntimeError(answer.details or f"Failed to reboot {name}")
