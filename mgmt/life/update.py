"""Changing what is recorded of a VM (upstream: UserVmManagerImpl.updateVirtualMachine)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from mgmt.errors import CloudRuntimeError, InvalidParameterValueError
from mgmt.inventory.groups import put_into_group
from mgmt.inventory.lookup import get_live
from mgmt.inventory.scope import ROOT_ADMIN, CallerLike
from mgmt.inventory.user_data import set_user_data
from mgmt.inventory.vm_states import VmState
from mgmt.inventory.vms import DENIED_DETAILS, READONLY_DETAILS
from mgmt.life.records import check_vm_access, drop_detail, set_detail
from mgmt.providers import Providers
from mgmt.store.models import GuestOs, Nic, VmInstance

_HOST_NAME = re.compile(r"(?!-)[A-Za-z0-9-]{1,63}(?<!-)")
_READONLY = frozenset(name.strip() for name in READONLY_DETAILS.split(","))


@dataclass(frozen=True)
class UpdateRequest:
    """The parameters of updateVirtualMachine that this world knows; None: leave it."""

    vm_id: int
    display_name: str | None = None
    host_name: str | None = None
    instance_name: str | None = None
    guest_os_id: int | None = None
    details: Mapping[str, str] | None = None
    cleanup_details: bool = False
    display: bool | None = None
    ha_enabled: bool | None = None
    delete_protection: bool | None = None
    dynamically_scalable: bool | None = None
    extra_config: str | None = None
    custom_uuid: str | None = None
    group: str | None = None
    user_data: str | None = None
    user_data_id: int | None = None


def update_vm(session: Session, providers: Providers, caller: CallerLike, request: UpdateRequest) -> VmInstance:
    """Change the VM's record and return it.

    Raises InvalidParameterValueError, PermissionDeniedError and CloudRuntimeError with CloudStack's texts.
    """
    vm = get_live(session, VmInstance, request.vm_id)
    if vm is None:
        raise InvalidParameterValueError(f"unable to find virtual machine with id: {request.vm_id}")
    if request.guest_os_id is not None and session.get(GuestOs, request.guest_os_id) is None:
        raise InvalidParameterValueError("Please specify a valid guest OS ID.")
    check_vm_access(caller, vm)
    _change_details(vm, caller, request)
    _check(session, vm, request)
    _check_host_name(session, vm, request.host_name)
    for attribute, value in (
        ("display_name", request.display_name),
        ("name", request.host_name),
        ("instance_name", request.instance_name),
        ("guest_os_id", request.guest_os_id),
        ("display_vm", request.display),
        ("ha_enabled", request.ha_enabled),
        ("delete_protection", request.delete_protection),
        ("uuid", request.custom_uuid),
    ):
        if value is not None:
            setattr(vm, attribute, value)
    if request.group is not None:
        put_into_group(session, providers, vm, request.group)
    if request.user_data is not None or request.user_data_id is not None:
        set_user_data(session, caller, vm, request.user_data, request.user_data_id)
    session.flush()
    session.expire(vm, ["guest_os"])
    return vm


def _change_details(vm: VmInstance, caller: CallerLike, request: UpdateRequest) -> None:
    """Replace the details: a root admin's request replaces all of them, a user's leaves the hidden and fixed ones."""
    is_root_admin = caller.account_type == ROOT_ADMIN
    kept = frozenset() if is_root_admin else DENIED_DETAILS | _READONLY
    details = request.details
    if not request.cleanup_details and details:
        if "extraconfig" in details:
            raise InvalidParameterValueError("'extraconfig' should not be included in details as key")
        for name in details:
            if not is_root_admin and name in DENIED_DETAILS:
                raise InvalidParameterValueError(f"You're not allowed to add or edit the restricted setting: {name}")
            if name in kept:
                raise InvalidParameterValueError(f"You're not allowed to add or edit the read-only setting: {name}")
    if request.cleanup_details or details:
        for name in [detail.name for detail in vm.details if detail.name not in kept]:
            drop_detail(vm, name)
    if not request.cleanup_details:
        for name, value in (details or {}).items():
            set_detail(vm, name, value)
        if (request.extra_config or "").strip():
            raise InvalidParameterValueError(
                "attempted setting extraconfig but enable.additional.vm.configuration is disabled"
            )


def _check(session: Session, vm: VmInstance, request: UpdateRequest) -> None:
    name = request.instance_name
    if name is not None:
        other = session.scalar(
            select(VmInstance.id).where(VmInstance.instance_name == name, VmInstance.removed.is_(None))
        )
        if other not in (None, vm.id):
            raise CloudRuntimeError(f"Instance name : {name} is not unique")
    if vm.state in (VmState.ERROR, VmState.EXPUNGING):
        raise InvalidParameterValueError(f"Vm with id {vm.id} is not in the right state")
    if request.ha_enabled and not vm.service_offering.offer_ha:
        raise InvalidParameterValueError(
            "Can't enable ha for the vm as it's created from the Service offering having HA disabled"
        )
    if request.dynamically_scalable:  # no template of this world has it on
        raise InvalidParameterValueError(
            "Dynamic Scaling cannot be enabled for the VM since its template does not have dynamic scaling enabled"
        )
    custom = request.custom_uuid
    if custom is not None and session.scalar(select(VmInstance.id).where(VmInstance.uuid == custom)) not in (
        None,
        vm.id,
    ):
        raise InvalidParameterValueError(f"UUID: {custom} already exists so can't create/update with custom id")


def _check_host_name(session: Session, vm: VmInstance, name: str | None) -> None:
    if name is None or name == vm.name:
        return
    if not _HOST_NAME.fullmatch(name) or name.isdigit():
        raise InvalidParameterValueError(
            "Invalid name. Vm name can contain ASCII letters 'a' through 'z', the digits '0' through '9', and the"
            " hyphen ('-'), must be between 1 and 63 characters long, and can't start or end with \"-\" and can't"
            " start with digit"
        )
    networks = [nic.network_id for nic in vm.nics if nic.removed is None]
    taken = session.scalar(
        select(VmInstance.id)
        .join(Nic, Nic.vm_id == VmInstance.id)
        .where(
            Nic.network_id.in_(networks),
            Nic.removed.is_(None),
            VmInstance.removed.is_(None),
            VmInstance.name == name,
            VmInstance.id != vm.id,
        )
        .limit(1)
    )
    if taken is not None:
        raise InvalidParameterValueError(
            f"The vm with hostName {name} already exists in the network domain: {_network_domain(vm)}"
        )


def _network_domain(vm: VmInstance) -> str:
    return next((nic.network.network_domain for nic in vm.nics if nic.network.network_domain), "null")
