"""A VM's root disk made anew, and another compute offering for a stopped VM.

Upstream: UserVmManagerImpl (restoreVM), VirtualMachineManagerImpl (checkIfCanUpgrade), with whose source the texts were
compared, but for those on the size of the root disk and on scaling a running VM; no recording shows them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy.orm import Session

from mgmt.errors import CloudRuntimeError, InvalidParameterValueError, PermissionDeniedError
from mgmt.inventory import usage
from mgmt.inventory.limits import CPU, MEMORY, release, reserve
from mgmt.inventory.lookup import get_live
from mgmt.inventory.scope import CallerLike
from mgmt.inventory.templates import ISO, check_use
from mgmt.inventory.vm_states import VmState
from mgmt.life import disks
from mgmt.life.deploy import DEFAULT_DISK_GIB, GIB, make_volumes, vm_size
from mgmt.life.ports import LifeServices
from mgmt.life.records import check_vm_access, live_vm, live_volumes
from mgmt.life.start import Place, start_locked
from mgmt.life.stop import stop_locked
from mgmt.life.texts import vm_text
from mgmt.store.models import ServiceOffering, Template, VmInstance, Volume


def restore_vm(
    services: LifeServices, caller: CallerLike, vm_id: int, *, template_id: int | None, size_gib: int | None
) -> None:
    """Give a VM a new root disk of its template, or of another one; a running one is stopped and started again.

    Raises InvalidParameterValueError, PermissionDeniedError and CloudRuntimeError.
    """
    with services.work.on(vm_id):
        with services.store.session() as session:
            vm = live_vm(session, vm_id, "Cannot find VM with ID {id}")
            check_vm_access(caller, vm)
            if vm.account.state == "disabled":
                raise PermissionDeniedError(f"The owner of {vm_text(vm)} is disabled: {vm.account_id}")
            if vm.state not in (VmState.RUNNING, VmState.STOPPED):
                raise CloudRuntimeError(
                    f"Vm {vm.uuid} currently in {vm.state} state, restore vm can only execute when VM in Running or"
                    " Stopped"
                )
            was_running = vm.state == VmState.RUNNING
            _root(session, vm)
            _template(session, caller, vm, template_id)
        if was_running:
            stop_locked(services, vm_id, forced=False)
        old_id = _replace_root(services, caller, vm_id, template_id, size_gib)
        disks.expunge_volume(services, old_id)  # a failure leaves the old volume behind, not the VM without one
        if was_running:
            make_volumes(services, vm_id)
            start_locked(services, vm_id, Place())


def _root(session: Session, vm: VmInstance) -> Volume:
    root = next((each for each in live_volumes(session, vm.id) if each.volume_type == "ROOT"), None)
    if root is None:
        raise InvalidParameterValueError(f"Can not find root volume for VM {vm.uuid}")
    return root


def _template(session: Session, caller: CallerLike, vm: VmInstance, template_id: int | None) -> Template:
    template = get_live(session, Template, vm.template_id if template_id is None else template_id)
    if template is None:
        raise InvalidParameterValueError("Cannot find template/ISO for specified volumeid and vmId")
    check_use(session, caller, template)
    if template.format == ISO:
        raise InvalidParameterValueError("Invalid template id provided to restore the VM ")
    if not template.is_ready or not template.is_in(vm.zone_id):
        raise InvalidParameterValueError(
            f"Cannot restore the vm as the template {template.uuid} isn't available in the zone"
        )
    return template


def _replace_root(
    services: LifeServices, caller: CallerLike, vm_id: int, template_id: int | None, size_gib: int | None
) -> int:
    with services.store.session() as session:
        vm = session.get_one(VmInstance, vm_id)
        old, template = _root(session, vm), _template(session, caller, vm, template_id)
        least = template.size_bytes or DEFAULT_DISK_GIB * GIB
        size_bytes = size_gib * GIB if size_gib else max(least, old.size_bytes)
        if size_bytes < least:
            raise InvalidParameterValueError(
                f"rootdisksize override ({size_gib} GB) is smaller than template size {least / GIB:.2f} GB"
            )
        root = Volume(
            uuid=services.providers.ids.uuid(),
            name=f"ROOT-{vm.id}",
            volume_type="ROOT",
            state="Allocated",
            account_id=vm.account_id,
            domain_id=vm.domain_id,
            zone_id=vm.zone_id,
            vm_id=vm.id,
            disk_offering_id=old.disk_offering_id,
            template_id=template.id,
            device_id=0,
            size_bytes=size_bytes,
            provisioning_type=old.provisioning_type,
            created=services.providers.utcnow(),
        )
        session.add(root)
        vm.template_id, vm.guest_os_id = template.id, template.guest_os_id
        old.vm_id, old.device_id, old.attached = None, None, None
        session.flush()
        usage.volume_event(session, services.providers, old, "VOLUME.DELETE")
        usage.volume_event(session, services.providers, root, "VOLUME.CREATE")
        return old.id


def change_offering(
    session: Session, caller: CallerLike, vm_id: int, offering_id: int, details: Mapping[str, Any] | None
) -> VmInstance:
    """Give a stopped VM another compute offering."""
    vm = live_vm(session, vm_id, "unable to find a virtual machine with id {id}")
    check_vm_access(caller, vm)
    offering = get_live(session, ServiceOffering, offering_id)
    if offering is None:
        raise InvalidParameterValueError(f"Unable to find a service offering with id {offering_id}")
    if offering.state != "Active":
        raise InvalidParameterValueError(f"New service offering is inactive: [{offering.uuid}].")
    if vm.state == VmState.RUNNING:
        raise PermissionDeniedError(
            "Dynamically scaling virtual machines is disabled for this zone, please contact your admin"
        )
    if vm.state != VmState.STOPPED:
        raise InvalidParameterValueError(
            f"Unable to upgrade virtual machine {vm_text(vm)}  in state {vm.state}; make sure the virtual machine is"
            " stopped/running"
        )
    if vm.service_offering_id == offering.id and not offering.is_dynamic:
        raise InvalidParameterValueError(
            f"Not upgrading vm {vm_text(vm)} since it already has the requested service offering ({offering.name})"
        )
    given: dict[str, str] = {}
    for entry in (details or {}).values():
        given |= entry
    cpus, mhz, memory_mb = vm_size(offering, given)
    more = {CPU: max(0, cpus - vm.cpu_number), MEMORY: max(0, memory_mb - vm.memory_mb)}
    release(session, reserve(session, vm.account_id, more))  # a check only: the record counts from now on
    vm.service_offering = offering
    vm.cpu_number, vm.cpu_speed_mhz, vm.memory_mb = cpus, mhz, memory_mb
    session.flush()
    return vm
