"""The ISO in a VM's drive.

A record only: image stores hold no files here that a host could mount. Upstream: TemplateManagerImpl (attachIso,
detachIso). No recording shows their texts; they were compared with that source as it was
before it called VMs instances, but the one about zones.
"""

from __future__ import annotations

from sqlalchemy.orm import Session

from mgmt.errors import InvalidParameterValueError
from mgmt.inventory.lookup import get_live
from mgmt.inventory.scope import CallerLike
from mgmt.inventory.templates import ISO, check_use
from mgmt.inventory.vm_states import VmState
from mgmt.life.ports import LifeServices
from mgmt.life.records import check_vm_access, live_vm
from mgmt.store.models import Template, VmInstance

_MISSING_VM = "Unable to find a virtual machine with id {id}"


def attach_iso(services: LifeServices, caller: CallerLike, vm_id: int, iso_id: int) -> None:
    """Put an ISO into the drive, in place of the one that is there; raises InvalidParameterValueError and others."""
    with services.work.on(vm_id), services.store.session() as session:
        vm = live_vm(session, vm_id, _MISSING_VM)
        iso = get_live(session, Template, iso_id)
        if iso is None or iso.format != ISO:
            raise InvalidParameterValueError(f"Unable to find an ISO with id {iso_id}")
        if not iso.is_in(vm.zone_id):
            raise InvalidParameterValueError("ISO is not available in the zone the instance is in.")
        check_use(session, caller, iso)
        _check(session, caller, vm)
        vm.iso_id = iso.id


def detach_iso(services: LifeServices, caller: CallerLike, vm_id: int) -> None:
    """Take the ISO out of the drive; InvalidParameterValueError when there is none."""
    with services.work.on(vm_id), services.store.session() as session:
        vm = live_vm(session, vm_id, _MISSING_VM)
        check_vm_access(caller, vm)
        if vm.iso_id is None:
            raise InvalidParameterValueError("The specified VM has no ISO attached to it.")
        _check(session, caller, vm)
        vm.iso_id = None


def _check(session: Session, caller: CallerLike, vm: VmInstance) -> None:
    check_vm_access(caller, vm)
    if vm.state not in (VmState.RUNNING, VmState.STOPPED):
        raise InvalidParameterValueError("Please specify a VM that is either Stopped or Running.")
