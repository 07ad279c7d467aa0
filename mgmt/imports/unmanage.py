"""unmanageVirtualMachine: CloudStack forgets a VM, which stays on its host (import-vm 1.5).

Upstream: UnmanagedVMsManagerImpl.unmanageVMInstance, UserVmManagerImpl.unmanageUserVM,
VirtualMachineManagerImpl.unmanage.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from mgmt.errors import (
    INTERNAL_ERROR,
    AgentUnavailableError,
    CloudError,
    CloudRuntimeError,
    OperationTimedOutError,
    ServerApiError,
)
from mgmt.imports import planner
from mgmt.imports.domainspec import vm_spec
from mgmt.imports.ports import ImportServices
from mgmt.imports.request import Requester
from mgmt.inventory.events import record_event
from mgmt.inventory.lookup import get_live
from mgmt.protocol.commands import (
    PrepareUnmanageVMInstanceAnswer,
    PrepareUnmanageVMInstanceCommand,
    UnmanageInstanceAnswer,
    UnmanageInstanceCommand,
    VirtualMachineTO,
)
from mgmt.protocol.records import Answer, Command
from mgmt.store.models import Host, Snapshot, UsageEvent, VmInstance, Volume

EVENT_TYPE = "VM.UNMANAGE"
PRESERVE_NICS_SETTING = "unmanage.vm.preserve.nics"
CONFIG_DRIVE_DETAIL = "configDriveLocation"
KVM = "KVM"


@dataclass(frozen=True)
class Candidate:
    """A VM to unmanage as the checks see it, and what the request says about it."""

    id: int
    uuid: str
    instance_name: str
    state: str
    hypervisor_type: str
    zone_id: int
    host_id: int | None
    last_host_id: int | None
    has_config_drive: bool
    has_snapshots: bool
    has_iso: bool
    given_host_id: int | None
    forced: bool

    @property
    def is_stopped_on_kvm(self) -> bool:
        return self.hypervisor_type == KVM and self.state == "Stopped"

    @property
    def shown(self) -> str:
        fields = {
            "id": self.id,
            "instanceName": self.instance_name,
            "state": self.state,
            "type": "User",
            "uuid": self.uuid,
        }
        return "VM instance " + json.dumps(fields, separators=(",", ":"))


@dataclass(frozen=True)
class _Row:
    id: str
    holds: Callable[[Candidate], bool]
    text: Callable[[Candidate], str]


# The checks in their order. Rows about system VMs, CKS clusters and shared file systems have nothing to look at here:
# this world does not have those.
CHECKS = (
    _Row(
        "1.5-2",
        lambda vm: vm.state not in ("Running", "Stopped"),
        lambda vm: f"VM with id = {vm.uuid} must be running or stopped to be unmanaged",
    ),
    _Row(
        "1.5-3",
        lambda vm: vm.hypervisor_type not in ("VMware", KVM),
        lambda vm: f"Unmanage VM is currently not allowed for hypervisor {vm.hypervisor_type}",
    ),
    _Row(
        "1.5-5",
        lambda vm: vm.given_host_id is not None and not vm.is_stopped_on_kvm,
        lambda vm: "Param hostid is only supported for KVM hypervisor for stopped Instances.",
    ),
    _Row(
        "1.5-6",
        lambda vm: vm.hypervisor_type == KVM and not vm.forced and vm.has_config_drive,
        lambda vm: "Config drive is attached to Instance, use forced param true from API to unmanage it.",
    ),
    _Row(
        "1.5-8",
        lambda vm: vm.has_snapshots,
        lambda vm: (
            f"Cannot unmanage VM with id = {vm.uuid} as there are volume snapshots for its volume(s). Please remove "
            "snapshots before unmanaging."
        ),
    ),
    _Row(
        "1.5-9",
        lambda vm: vm.has_iso,
        lambda vm: (
            f"Cannot unmanage VM with id = {vm.uuid} as there is an ISO attached. Please detach ISO before unmanaging."
        ),
    ),
)


@dataclass(frozen=True)
class Unmanaged:
    """What came of it; `host_uuid` is the host that keeps the VM, where one was used."""

    host_uuid: str | None


def unmanage(
    services: ImportServices, requester: Requester, vm_id: int, *, host_id: int | None, forced: bool
) -> Unmanaged:
    """Forget a VM. Every failure is a ServerApiError (530) with CloudStack's text and the row that fired."""
    try:
        return _unmanage(services, requester, vm_id, host_id, forced)
    except CloudError as error:
        _event(services, requester, "Completed", "ERROR", f"Error while unmanaging VM. VM ID = {vm_id}")
        raise ServerApiError(INTERNAL_ERROR, error.text, row=error.row) from error


def _unmanage(
    services: ImportServices, requester: Requester, vm_id: int, host_id: int | None, forced: bool
) -> Unmanaged:
    with services.store.session() as session:
        vm = _candidate(session, vm_id, host_id, forced)
    _event(services, requester, "Started", "INFO", f"Unmanaging VM. VM ID = {vm_id}", vm.uuid)
    for row in CHECKS:
        if row.holds(vm):
            raise CloudRuntimeError(row.text(vm), row=row.id)
    if not vm.is_stopped_on_kvm:
        _check_on_host(services, vm)
    keeper = _persist(services, vm) if vm.hypervisor_type == KVM else None
    with services.store.session() as session:
        host = session.get(Host, keeper) if keeper is not None else None
        host_uuid = host.uuid if host else None
        name = _forget(services, session, _live_vm(session, vm_id))
    if host_uuid is not None:
        text = f"Successfully unmanaged Instance: {name} (ID: {vm.uuid}) on host ID: {host_uuid}"
        _event(services, requester, "Completed", "INFO", text, vm.uuid)
    text = f"Successfully completed unmanaging VM. VM ID = {vm_id}"
    _event(services, requester, "Completed", "INFO", text, vm.uuid)
    return Unmanaged(host_uuid)


def _live_vm(session: Session, vm_id: int) -> VmInstance:
    """The VM; it may go while its host is asked: a failing import takes its records back."""
    vm = get_live(session, VmInstance, vm_id)
    if vm is None:
        raise CloudRuntimeError("Could not find VM to unmanage, it is either removed or not existing VM", row="1.5-1")
    return vm


def _candidate(session: Session, vm_id: int, host_id: int | None, forced: bool) -> Candidate:
    vm = _live_vm(session, vm_id)
    return Candidate(
        id=vm.id,
        uuid=vm.uuid,
        instance_name=vm.instance_name,
        state=vm.state,
        hypervisor_type=vm.hypervisor_type,
        zone_id=vm.zone_id,
        host_id=vm.host_id,
        last_host_id=vm.last_host_id,
        has_config_drive=any(detail.name == CONFIG_DRIVE_DETAIL for detail in vm.details),
        has_snapshots=_has_snapshots(session, vm_id),
        has_iso=vm.iso_id is not None,
        given_host_id=host_id,
        forced=forced,
    )


def _has_snapshots(session: Session, vm_id: int) -> bool:
    """Whether a volume of the VM has a snapshot; one that failed or is being deleted is none."""
    living = (Snapshot.removed.is_(None), Snapshot.state.not_in(("Error", "Destroyed")))
    of_vm = select(Snapshot.id).join(Volume, Volume.id == Snapshot.volume_id).where(Volume.vm_id == vm_id, *living)
    return session.scalar(of_vm.limit(1)) is not None


def _check_on_host(services: ImportServices, vm: Candidate) -> None:
    host_id = vm.host_id if vm.host_id is not None else _any_host(services, vm)
    answer = _send(services, host_id, PrepareUnmanageVMInstanceCommand(instanceName=vm.instance_name))
    if not isinstance(answer, PrepareUnmanageVMInstanceAnswer) or not answer.result:
        raise CloudRuntimeError(f"VM {vm.shown} is not found in the hypervisor", row="1.5-11")


def _persist(services: ImportServices, vm: Candidate) -> int:
    """Have a host keep the VM as a domain of its own; returns the host's number."""
    used = vm.given_host_id if vm.given_host_id is not None else (vm.host_id or vm.last_host_id)
    host_id = used if used is not None else _any_host(services, vm)
    spec: VirtualMachineTO | None = None
    if vm.is_stopped_on_kvm:
        with services.store.session() as session:
            spec = vm_spec(session, _live_vm(session, vm.id))
    command = UnmanageInstanceCommand(instanceName=vm.instance_name, vm=spec, isConfigDriveAttached=vm.has_config_drive)
    answer = _send(services, host_id, command)
    if host_id is None or not isinstance(answer, UnmanageInstanceAnswer) or not answer.result:
        raise CloudRuntimeError(
            f"Failed to persist domain XML for Instance: {vm.instance_name} on host ID: {host_id}", row="1.5-12"
        )
    return host_id


def _any_host(services: ImportServices, vm: Candidate) -> int | None:
    with services.store.session() as session:
        host = planner.first_host(session, vm.zone_id)
        return host.id if host else None


def _send(services: ImportServices, host_id: int | None, command: Command) -> Answer:
    if host_id is None:
        return Answer(result=False)
    try:
        return services.agents.send(host_id, command)
    except (AgentUnavailableError, OperationTimedOutError) as error:
        return Answer(result=False, details=error.text)


def _forget(services: ImportServices, session: Session, vm: VmInstance) -> str | None:
    """Remove the VM's records; its display name."""
    now = services.providers.utcnow()
    keep_nics = services.settings.get_bool(PRESERVE_NICS_SETTING, scope="Zone", scope_id=vm.zone_id)
    for nic in vm.nics:
        if not keep_nics:
            nic.removed = nic.removed or now
    for volume in session.scalars(select(Volume).where(Volume.vm_id == vm.id, Volume.removed.is_(None))):
        volume.state, volume.removed = "Expunged", now
        session.add(_usage(vm, "VOLUME.DELETE", volume.id, volume.name, services))
    vm.state, vm.removed = "Expunging", now
    session.add(_usage(vm, "VM.DESTROY", vm.id, vm.name, services))
    return vm.display_name


def _usage(vm: VmInstance, type_: str, resource_id: int, name: str, services: ImportServices) -> UsageEvent:
    return UsageEvent(
        type=type_,
        account_id=vm.account_id,
        zone_id=vm.zone_id,
        resource_id=resource_id,
        resource_name=name,
        created=services.providers.utcnow(),
    )


def _event(
    services: ImportServices,
    requester: Requester,
    state: str,
    level: str,
    description: str,
    vm_uuid: str | None = None,
) -> None:
    with services.store.session() as session:
        record_event(
            session,
            services.providers,
            type=EVENT_TYPE,
            level=level,
            state=state,
            description=description,
            caller=requester,
            resource_type="VirtualMachine",
            resource_uuid=vm_uuid,
        )


RULES: Mapping[str, str] = {
    "1.5-1": "unmanageVirtualMachine: the VM was removed",
    "1.5-2": "unmanageVirtualMachine: the VM is neither Running nor Stopped",
    "1.5-3": "unmanageVirtualMachine: the VM's hypervisor is neither VMware nor KVM",
    "1.5-5": "unmanageVirtualMachine: hostid for a VM that is not a stopped one on KVM",
    "1.5-6": "unmanageVirtualMachine: KVM, a config drive, and forced is not true",
    "1.5-8": "unmanageVirtualMachine: a volume of the VM has a snapshot",
    "1.5-9": "unmanageVirtualMachine: an ISO is attached to the VM",
    "1.5-11": "unmanageVirtualMachine: the host of a running VM does not confirm it",
    "1.5-12": "unmanageVirtualMachine: the host did not make a persistent domain of the VM",
}
