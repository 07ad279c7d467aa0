"""Finding user VMs by the filters of `listVirtualMachines`.

Upstream: server/.../api/query/QueryManagerImpl.java, searchForUserVMs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, false, literal, or_, select
from sqlalchemy.orm import Session

from mgmt.errors import CloudRuntimeError, InvalidParameterValueError
from mgmt.inventory.listing import Window, any_like_keyword, equals_ignoring_case, like_keyword, page
from mgmt.inventory.scope import ROOT_ADMIN, CallerLike, is_admin, resolve_scope
from mgmt.inventory.tags import has_tags
from mgmt.inventory.vms import TEMPLATE_ARCH, vm_load_options
from mgmt.store.models import Host, Nic, VmDetail, VmInstance, Volume, affinity_group_vms

HYPERVISORS = (
    "XenServer",
    "KVM",
    "VMware",
    "Hyperv",
    "VirtualBox",
    "Parralels",
    "BareMetal",
    "Simulator",
    "Ovm",
    "Ovm3",
    "LXC",
    "Custom",
    "External",
    "Any",
)
ARCHITECTURES = ("i686", "x86_64", "aarch64", "s390x")

_GONE_STATES = ("Destroyed", "Expunging")

# Filters on things that no VM of this world has.
_NEVER_MATCHING = (
    "autoscalevmgroupid",
    "backupofferingid",
    "extensionid",
    "securitygroupid",
    "vpcid",
)
_NEVER_TRUE = ("gpuenabled", "isvnf", "leased")


def find_vms(
    session: Session, caller: CallerLike, params: Mapping[str, Any], ids: Sequence[int] | None, paging: Window
) -> tuple[list[VmInstance], int]:
    """The page of VMs that match `params` and that `caller` may see, oldest first, and the number of all of them.

    `params` are the bound parameters of listVirtualMachines by name; those that are missing do not filter.
    """
    scope = resolve_scope(session, caller, params, has_id=params.get("id") is not None)
    conditions = [VmInstance.removed.is_(None), scope.clause(VmInstance.account_id, VmInstance.domain_id)]
    if ids is not None:
        conditions.append(VmInstance.id.in_(ids))
    conditions += _plain_filters(params)
    conditions += _related_filters(params)
    conditions += _visibility(caller, params.get("state"))
    if params.get("keyword") is not None:
        conditions.append(_keyword(params["keyword"], caller.account_type == ROOT_ADMIN))
    if caller.account_type == ROOT_ADMIN:
        conditions += _placement_filters(params)
    statement = select(VmInstance).where(*conditions).order_by(VmInstance.id).options(*vm_load_options())
    return page(session, statement, paging)


def _plain_filters(params: Mapping[str, Any]) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    for name, column in (
        ("zoneid", VmInstance.zone_id),
        ("templateid", VmInstance.template_id),
        ("serviceofferingid", VmInstance.service_offering_id),
        ("userid", VmInstance.user_id),
        ("displayvm", VmInstance.display_vm),
    ):
        if params.get(name) is not None:
            conditions.append(column == params[name])
    if params.get("name") is not None:
        conditions.append(equals_ignoring_case(VmInstance.name, params["name"]))
    hypervisor = params.get("hypervisor")
    if hypervisor is not None:
        if hypervisor.lower() not in {known.lower() for known in HYPERVISORS}:
            raise InvalidParameterValueError(f"Invalid HypervisorType {hypervisor}")
        conditions.append(equals_ignoring_case(VmInstance.hypervisor_type, hypervisor))
    arch = params.get("arch")
    if arch:
        if arch not in ARCHITECTURES:
            raise CloudRuntimeError(f"Unsupported arch type: {arch}")
        if arch != TEMPLATE_ARCH:
            conditions.append(false())
    return conditions


def _related_filters(params: Mapping[str, Any]) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if params.get("networkid") is not None:
        attached = select(Nic.vm_id).where(Nic.network_id == params["networkid"], Nic.removed.is_(None))
        conditions.append(VmInstance.id.in_(attached))
    if params.get("keypair") is not None:
        names = literal(",") + VmDetail.value + ","
        named = VmDetail.name == "SSH.KeyPairNames", names.contains(f",{params['keypair']},", autoescape=True)
        conditions.append(VmInstance.id.in_(select(VmDetail.vm_id).where(*named)))
    for name, column in (("isoid", VmInstance.iso_id), ("userdataid", VmInstance.user_data_id)):
        if params.get(name) is not None:
            conditions.append(column == params[name])
    if params.get("haenable") is not None:
        conditions.append(VmInstance.service_offering.has(offer_ha=params["haenable"]))
    conditions += has_tags(VmInstance.uuid, "UserVm", params.get("tags"))
    if params.get("affinitygroupid") is not None:
        members = select(affinity_group_vms.c.vm_id).where(
            affinity_group_vms.c.affinity_group_id == params["affinitygroupid"]
        )
        conditions.append(VmInstance.id.in_(members))
    if params.get("groupid") not in (None, -1):
        conditions.append(VmInstance.group_id == params["groupid"])
    if any(params.get(name) for name in (*_NEVER_MATCHING, *_NEVER_TRUE)):
        conditions.append(false())
    return conditions


def _visibility(caller: CallerLike, state: str | None) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if state is not None and state.lower() != "present":
        conditions.append(equals_ignoring_case(VmInstance.state, state))
    if (state is not None and state.lower() == "present") or not is_admin(caller):
        conditions.append(VmInstance.state.not_in(_GONE_STATES))
    if caller.account_type != ROOT_ADMIN:
        conditions.append(VmInstance.display_vm.is_(True))
    return conditions


def _keyword(keyword: str, is_root_admin: bool) -> ColumnElement[bool]:
    columns = (VmInstance.display_name, VmInstance.name)
    addressed = select(Nic.vm_id).where(like_keyword(Nic.ip4_address, keyword), Nic.removed.is_(None))
    conditions = [
        any_like_keyword((*columns, VmInstance.instance_name) if is_root_admin else columns, keyword),
        equals_ignoring_case(VmInstance.state, keyword),
        VmInstance.id.in_(addressed),
    ]
    return or_(*conditions)


def _placement_filters(params: Mapping[str, Any]) -> list[ColumnElement[bool]]:
    """What only root admins may filter by; the server ignores these parameters from others."""
    conditions: list[ColumnElement[bool]] = []
    if params.get("hostid") is not None:
        conditions.append(VmInstance.host_id == params["hostid"])
    for name, column in (("podid", Host.pod_id), ("clusterid", Host.cluster_id)):
        if params.get(name) is not None:
            hosts = select(Host.id).where(column == params[name])
            conditions.append(or_(VmInstance.host_id.in_(hosts), VmInstance.last_host_id.in_(hosts)))
    if params.get("podid") is not None and params.get("state") is None:
        conditions.append(VmInstance.state != "Destroyed")
    if params.get("storageid") is not None:
        stored = select(Volume.vm_id).where(Volume.pool_id == params["storageid"], Volume.removed.is_(None))
        conditions.append(VmInstance.id.in_(stored))
    return conditions
