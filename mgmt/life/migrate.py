"""Moving a running VM to another host of its cluster.

Upstream: MigrateVMCmd.java, UserVmManagerImpl.migrateVirtualMachine, VirtualMachineManagerImpl.migrate.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

from sqlalchemy.orm import Session

from mgmt.errors import (
    INTERNAL_ERROR,
    RESOURCE_UNAVAILABLE_ERROR,
    AgentUnavailableError,
    CloudRuntimeError,
    InvalidParameterValueError,
    OperationTimedOutError,
    PermissionDeniedError,
    ServerApiError,
)
from mgmt.inventory.lookup import get_live
from mgmt.inventory.scope import ROOT_ADMIN, CallerLike
from mgmt.inventory.vm_resources import release_nics
from mgmt.inventory.vm_states import VmEvent, VmState, transit
from mgmt.life import statistics
from mgmt.life.hosts import candidates
from mgmt.life.ports import LifeServices
from mgmt.life.records import live_vm, live_volumes
from mgmt.life.stop import stop_command
from mgmt.life.texts import vm_text
from mgmt.life.transfer import vlan_persistence, vm_to
from mgmt.protocol.commands import CheckVirtualMachineCommand, MigrateCommand, PrepareForMigrationCommand
from mgmt.store.models import Host, VmInstance

logger = logging.getLogger(__name__)

CHECK_WAIT_S = 20


@dataclass(frozen=True)
class _Move:
    """One move, with what is said to the two hosts."""

    vm_id: int
    name: str
    source_id: int
    target_id: int
    prepare: PrepareForMigrationCommand
    migrate: MigrateCommand


def migrate_vm(
    services: LifeServices, caller: CallerLike, vm_id: int, *, host_id: int | None, autoselect: bool = False
) -> None:
    """Move a running VM to `host_id`, or to a host that the server chooses.

    Raises InvalidParameterValueError, PermissionDeniedError, CloudRuntimeError and ServerApiError with CloudStack's
    texts; the VM then runs on where it was.
    """
    with services.work.on(vm_id):
        with services.store.session() as session:
            vm = live_vm(session, vm_id, "Unable to find the VM by id={id}")
            wanted = _wanted_host(session, host_id, autoselect=autoselect)
            target = _target(session, caller, vm, wanted)
            move = _plan(session, services, vm, target)
        _carry_out(services, move)


def _carry_out(services: LifeServices, move: _Move) -> None:
    statistics.collect(services, move.source_id, move.name)
    _prepare_target(services, move)
    with services.store.session() as session:
        vm = session.get_one(VmInstance, move.vm_id)
        vm.last_host_id = move.source_id
        transit(session, services.providers, vm, VmEvent.MIGRATION_REQUESTED, move.target_id)
    _move(services, move)
    _check_arrival(services, move)


def migrate_away(services: LifeServices, vm_id: int) -> None:
    """Move a VM, which the caller has locked, off its host, to one of its cluster that the server chooses.

    Raises CloudRuntimeError and ServerApiError; the VM then runs on where it was. Upstream:
    VirtualMachineManagerImpl.migrateAway.
    """
    with services.store.session() as session:
        vm = session.get_one(VmInstance, vm_id)
        if vm.state != VmState.RUNNING or vm.host_id is None:
            raise CloudRuntimeError(f"{vm_text(vm)} is not Running, it is {vm.state}")
        source = session.get_one(Host, vm.host_id)
        hosts = candidates(session, vm, avoid={source.id}, cluster_id=source.cluster_id)
        if not hosts:
            raise CloudRuntimeError(f"Unable to find a host to migrate {vm_text(vm)} to")
        move = _plan(session, services, vm, hosts[0])
    _carry_out(services, move)


def move_imported(services: LifeServices, vm_id: int) -> None:
    """Take a VM that was imported where it is to a host of its cluster with its offering's tags: row 5.5-4.

    A stopped one is only recorded there. Raises ServerApiError; upstream: UnmanagedVMsManagerImpl.migrateImportedVM.
    """
    with services.work.on(vm_id):
        with services.store.session() as session:
            vm = session.get_one(VmInstance, vm_id)
            failed = f"VM import failed for Unmanaged VM: {vm.instance_name} during VM migration"
            source_id = vm.host_id or 0
            cluster_id = session.get_one(Host, source_id).cluster_id
            hosts = candidates(session, vm, avoid={source_id}, cluster_id=cluster_id)
            if not hosts:
                raise ServerApiError(INTERNAL_ERROR, f"{failed}, no deployment destination found", row="5.5-4")
            if vm.state != VmState.RUNNING:
                vm.host_id = vm.last_host_id = hosts[0].id
                return
            move = _plan(session, services, vm, hosts[0])
        try:
            _carry_out(services, move)
        except (CloudRuntimeError, ServerApiError) as error:
            raise ServerApiError(INTERNAL_ERROR, f"{failed} due to [{error.text}].", row="5.5-4") from error


def _wanted_host(session: Session, host_id: int | None, *, autoselect: bool) -> Host | None:
    if host_id is None:
        if not autoselect:
            raise InvalidParameterValueError(
                "Please specify a host or storage as destination, or pass 'autoselect=true' to automatically select a"
                " destination host which do not require storage migration"
            )
        return None
    host = get_live(session, Host, host_id)
    if host is None:
        raise InvalidParameterValueError(f"Unable to find the host to migrate the VM, host id={host_id}")
    if host.type != "Routing":
        raise InvalidParameterValueError(
            f"The specified host({host.name}) is not suitable to migrate the VM, please specify another one"
        )
    return host


def _target(session: Session, caller: CallerLike, vm: VmInstance, wanted: Host | None) -> Host:
    if caller.account_type != ROOT_ADMIN:
        raise PermissionDeniedError("No permission to migrate VM, Only Root Admin can migrate a VM!")
    if vm.state != VmState.RUNNING or vm.host_id is None:
        raise InvalidParameterValueError(
            "VM is not Running, unable to migrate the vm with specified id", uuid_list=({"uuid": vm.uuid},)
        )
    source = session.get_one(Host, vm.host_id)
    if source.resource_state == "PrepareForMaintenance":
        raise InvalidParameterValueError(
            f"Migrate VM operation on the VM id: {vm.id} is not allowed as host is preparing for maintenance mode"
        )
    pools = [volume.pool for volume in live_volumes(session, vm.id) if volume.pool is not None]
    if any(pool.scope == "HOST" for pool in pools):
        raise InvalidParameterValueError("Unsupported operation, VM uses Local storage, cannot migrate")
    if wanted is None:
        hosts = candidates(session, vm, avoid={source.id}, cluster_id=source.cluster_id)
        if not hosts:
            raise CloudRuntimeError("Unable to find a server to migrate the vm to")
        return hosts[0]
    if wanted.id == source.id:
        raise InvalidParameterValueError(
            "Cannot migrate VM, VM is already present on this host, please specify valid destination host to migrate"
            " the VM"
        )
    if wanted.status != "Up" or wanted.resource_state != "Enabled":
        raise InvalidParameterValueError(
            f"Cannot migrate VM, destination host is not in correct state, has status: {wanted.status}, state:"
            f" {wanted.resource_state}"
        )
    if wanted.cluster_id != source.cluster_id and any(pool.scope != "ZONE" for pool in pools):
        raise CloudRuntimeError(
            "Source and destination host are not in same cluster and all volumes are not on zone wide primary store,"
            f" unable to migrate to host: {wanted.id}"
        )
    return wanted


def _plan(session: Session, services: LifeServices, vm: VmInstance, target: Host) -> _Move:
    to = vm_to(session, vm, services.settings, is_start=True)
    assert vm.host_id is not None
    return _Move(
        vm_id=vm.id,
        name=vm.instance_name,
        source_id=vm.host_id,
        target_id=target.id,
        prepare=PrepareForMigrationCommand(vm=to),
        migrate=MigrateCommand(
            vmName=vm.instance_name,
            destinationIp=target.private_ip_address,
            hostGuid=target.guid,
            windows=vm.guest_os.category.name.lower() == "windows",
            virtualMachine=to,
            vlanToPersistenceMap=vlan_persistence(vm),
        ),
    )


def _prepare_target(services: LifeServices, move: _Move) -> None:
    try:
        answer = services.agents.send(move.target_id, move.prepare)
        reason = None if answer.result else f"Unable to prepare for migration due to {answer.details}"
    except OperationTimedOutError:
        reason = "Operation timed out"
    except AgentUnavailableError as error:
        raise ServerApiError(RESOURCE_UNAVAILABLE_ERROR, error.text) from None
    if reason is not None:
        host = move.target_id
        text = f"Resource [Host:{host}] is unreachable: Host {host}: {reason}"
        raise ServerApiError(RESOURCE_UNAVAILABLE_ERROR, text)


def _move(services: LifeServices, move: _Move) -> None:
    error: ServerApiError | CloudRuntimeError
    try:
        answer = services.agents.send(move.source_id, move.migrate)
        if answer.result:
            with services.store.session() as session:
                vm = session.get_one(VmInstance, move.vm_id)
                transit(session, services.providers, vm, VmEvent.OPERATION_SUCCEEDED, move.target_id)
                vm.power_state, vm.power_host_id, vm.power_state_count = "PowerOn", move.target_id, 1
                vm.power_state_updated = services.providers.utcnow()
            return
        error = CloudRuntimeError(answer.details or "null")
    except (AgentUnavailableError, OperationTimedOutError) as failure:
        error = ServerApiError(RESOURCE_UNAVAILABLE_ERROR, failure.text)
    _clean_up(services, move, move.target_id)
    with services.store.session() as session:
        vm = session.get_one(VmInstance, move.vm_id)
        transit(session, services.providers, vm, VmEvent.OPERATION_FAILED, move.source_id)
    raise error


def _check_arrival(services: LifeServices, move: _Move) -> None:
    """Make sure that the VM runs on its new host; one that does not is cleaned up everywhere and Stopped."""
    try:
        answer = services.agents.send(
            move.target_id, CheckVirtualMachineCommand(vmName=move.name, wait=CHECK_WAIT_S), wait_s=CHECK_WAIT_S
        )
    except (AgentUnavailableError, OperationTimedOutError) as error:
        logger.warning("whether %s has arrived is not known: %s", move.name, error.text)
        return
    if answer.result and getattr(answer, "state", None) != "PowerOff":
        return
    for host_id in (move.source_id, move.target_id):
        _clean_up(services, move, host_id)
    with services.store.session() as session:
        vm = session.get_one(VmInstance, move.vm_id)
        text = f"Unable to complete migration for {vm_text(vm)}"
        release_nics(vm)
        transit(session, services.providers, vm, VmEvent.AGENT_REPORT_STOPPED, None)
    raise ServerApiError(INTERNAL_ERROR, text)


def _clean_up(services: LifeServices, move: _Move, host_id: int) -> None:
    with services.store.session() as session:
        command = stop_command(session.get_one(VmInstance, move.vm_id))
    try:
        services.agents.send(host_id, command)
    except (AgentUnavailableError, OperationTimedOutError) as error:
        logger.warning("host %d did not clean up after a failed move of %s: %s", host_id, move.name, error.text)
