"""Affinity groups and instance groups: records of accounts that VMs are put into.

Upstream: server/.../affinity/AffinityGroupServiceImpl.java, server/.../vm/UserVmManagerImpl.java (createVmGroup,
deleteVmGroup, addInstanceToGroup), server/.../server/ManagementServerImpl.java (updateVmGroup). The texts of instance
groups were compared with older sources only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, select, update
from sqlalchemy.orm import Session

from mgmt.errors import InvalidParameterValueError, PermissionDeniedError
from mgmt.inventory.listing import Window, equals_ignoring_case, like_keyword, page
from mgmt.inventory.lookup import get_live
from mgmt.inventory.owner import finalize_owner
from mgmt.inventory.scope import CallerLike, Scope, check_owner_access, owner_fields
from mgmt.inventory.vm_states import VmState
from mgmt.providers import Providers
from mgmt.store.models import Account, AffinityGroup, InstanceGroup, VmInstance, affinity_group_vms

ANTI_AFFINITY, AFFINITY = "host anti-affinity", "host affinity"
SOFT_ANTI_AFFINITY, SOFT_AFFINITY = "non-strict host anti-affinity", "non-strict host affinity"
AFFINITY_TYPES = (ANTI_AFFINITY, AFFINITY, SOFT_ANTI_AFFINITY, SOFT_AFFINITY)


# Affinity groups -----------------------------------------------------------------------------------------------------


def create_affinity_group(
    session: Session, providers: Providers, caller: CallerLike, params: Mapping[str, Any]
) -> AffinityGroup:
    """Record a group of one of the known types; its name is taken once in an account."""
    kind, name = params["type"], params["name"]
    if kind not in AFFINITY_TYPES:
        raise InvalidParameterValueError(
            f"Unable to create affinity group, invalid affinity group type: {kind}. Valid values are"
            f" {','.join(AFFINITY_TYPES)}"
        )
    if params["domainid"] is not None and params["account"] is None and params["projectid"] is None:
        raise InvalidParameterValueError(
            f"Unable to create affinity group, account name is needed. Affinity group type {kind} cannot be shared"
            " domain wide"
        )
    owner = finalize_owner(session, caller, params)
    if _affinity_group(session, owner.id, name) is not None:
        raise InvalidParameterValueError(f"Unable to create affinity group, a group with name {name} already exists.")
    group = AffinityGroup(
        uuid=providers.ids.uuid(),
        name=name,
        type=kind,
        description=params["description"],
        account=owner,
        domain_id=owner.domain_id,
    )
    session.add(group)
    session.flush()
    return group


def _affinity_group(session: Session, account_id: int, name: str) -> AffinityGroup | None:
    named = equals_ignoring_case(AffinityGroup.name, name)
    return session.scalar(select(AffinityGroup).where(AffinityGroup.account_id == account_id, named).limit(1))


def named_affinity_group(session: Session, caller: CallerLike, params: Mapping[str, Any]) -> AffinityGroup:
    """The group that `id`, or `name` and its owner, name, if the caller may change it."""
    group_id, name = params["id"], params["name"]
    if group_id is not None:
        group = session.get(AffinityGroup, group_id)
    elif name is not None:
        group = _affinity_group(session, finalize_owner(session, caller, params).id, name)
    else:
        raise InvalidParameterValueError(
            "Either the affinity group Id or group name must be specified to delete the group"
        )
    if group is None:
        raise InvalidParameterValueError(f"Unable to find affinity group {name if group_id is None else group_id}")
    check_owner_access(caller, group.account_id, group.account.domain.path)
    return group


def delete_affinity_group(session: Session, group: AffinityGroup) -> None:
    """Take a group away, and its VMs out of it."""
    session.execute(affinity_group_vms.delete().where(affinity_group_vms.c.affinity_group_id == group.id))
    session.delete(group)


def affinity_groups_of(
    session: Session,
    caller: CallerLike,
    owner: Account,
    ids: Sequence[int] | None,
    names: Sequence[str] | None,
) -> list[AffinityGroup]:
    """The groups that a request names for a VM of `owner`, by ids or by names, never both."""
    if ids and names:
        raise InvalidParameterValueError(
            "affinitygroupids parameter is mutually exclusive with affinitygroupnames parameter"
        )
    groups = []
    for wanted in ids or names or ():
        group = session.get(AffinityGroup, wanted) if ids else _affinity_group(session, owner.id, str(wanted))
        if group is None:
            by = f"by id {wanted}" if ids else f"by name {wanted}"
            raise InvalidParameterValueError(f"Unable to find affinity group {by}")
        check_owner_access(caller, group.account_id, group.account.domain.path)
        if group.account_id != owner.id:
            raise PermissionDeniedError(f"Affinity Group {group.name} does not belong to the VM's account")
        groups.append(group)
    return groups


def set_affinity_groups(session: Session, caller: CallerLike, params: Mapping[str, Any]) -> VmInstance:
    """Put a stopped VM into just these groups (updateVMAffinityGroup)."""
    vm = get_live(session, VmInstance, params["id"])
    if vm is None:
        raise InvalidParameterValueError(f"Unable to find a virtual machine with id {params['id']}")
    if vm.state != VmState.STOPPED:
        raise InvalidParameterValueError(
            f"Unable update affinity groups of the virtual machine {vm.name} in state {vm.state}; make sure the virtual"
            " machine is stopped and not in an error state before updating."
        )
    check_owner_access(caller, vm.account_id, vm.domain.path)
    ids, names = params["affinitygroupids"], params["affinitygroupnames"]
    vm.affinity_groups = affinity_groups_of(session, caller, vm.account, ids, names)
    session.flush()
    return vm


def find_affinity_groups(
    session: Session, scope: Scope, params: Mapping[str, Any], window: Window
) -> tuple[list[AffinityGroup], int]:
    """The page of groups that the bound parameters of listAffinityGroups ask for."""
    conditions: list[ColumnElement[bool]] = [scope.clause(AffinityGroup.account_id, AffinityGroup.domain_id)]
    if params["id"] is not None:
        conditions.append(AffinityGroup.id == params["id"])
    for name, column in (("name", AffinityGroup.name), ("type", AffinityGroup.type)):
        if params[name] is not None:
            conditions.append(equals_ignoring_case(column, params[name]))
    if params["virtualmachineid"] is not None:
        of_vm = select(affinity_group_vms.c.affinity_group_id).where(
            affinity_group_vms.c.vm_id == params["virtualmachineid"]
        )
        conditions.append(AffinityGroup.id.in_(of_vm))
    if params["keyword"] is not None:
        conditions.append(like_keyword(AffinityGroup.name, params["keyword"]))
    return page(session, select(AffinityGroup).where(*conditions).order_by(AffinityGroup.id), window)


def affinity_group_view(session: Session, group: AffinityGroup) -> dict[str, Any]:
    """A group's answer, with the VMs that are in it."""
    members = (
        select(VmInstance.uuid)
        .join(affinity_group_vms, affinity_group_vms.c.vm_id == VmInstance.id)
        .where(affinity_group_vms.c.affinity_group_id == group.id, VmInstance.removed.is_(None))
        .order_by(VmInstance.id)
    )
    return {
        "id": group.uuid,
        "name": group.name,
        "description": group.description,
        **owner_fields(group.account, group.domain),
        "type": group.type,
        "virtualmachineIds": list(session.scalars(members)),
    }


def hosts_by_affinity(session: Session, vm: VmInstance) -> tuple[set[int], set[int], set[int], set[int]]:
    """Hosts that a VM's groups forbid, demand (where any is), would rather not, and would rather have."""
    found: dict[str, set[int]] = {kind: set() for kind in AFFINITY_TYPES}
    for group in vm.affinity_groups:
        hosts = (
            select(VmInstance.host_id)
            .join(affinity_group_vms, affinity_group_vms.c.vm_id == VmInstance.id)
            .where(
                affinity_group_vms.c.affinity_group_id == group.id,
                VmInstance.id != vm.id,
                VmInstance.removed.is_(None),
                VmInstance.host_id.is_not(None),
            )
        )
        found[group.type] |= {host for host in session.scalars(hosts) if host is not None}
    return found[ANTI_AFFINITY], found[AFFINITY], found[SOFT_ANTI_AFFINITY], found[SOFT_AFFINITY]


# Instance groups -----------------------------------------------------------------------------------------------------


def create_instance_group(session: Session, providers: Providers, owner: Account, name: str) -> InstanceGroup:
    """Record a group; its name is taken once in an account."""
    if _instance_group(session, owner.id, name) is not None:
        raise InvalidParameterValueError(
            f"Unable to create vm group, a group with name {name} already exists for account {owner.id}"
        )
    return _add_instance_group(session, providers, owner.id, name)


def _add_instance_group(session: Session, providers: Providers, account_id: int, name: str) -> InstanceGroup:
    group = InstanceGroup(uuid=providers.ids.uuid(), name=name, account_id=account_id, created=providers.utcnow())
    session.add(group)
    session.flush()
    return group


def _instance_group(session: Session, account_id: int, name: str) -> InstanceGroup | None:
    return session.scalar(
        select(InstanceGroup)
        .where(
            InstanceGroup.account_id == account_id,
            equals_ignoring_case(InstanceGroup.name, name),
            InstanceGroup.removed.is_(None),
        )
        .limit(1)
    )


def instance_group_to_change(session: Session, caller: CallerLike, group_id: int) -> InstanceGroup:
    """The group if the caller may change it."""
    group = get_live(session, InstanceGroup, group_id)
    if group is None:
        raise InvalidParameterValueError(f"unable to find a vm group with id {group_id}")
    check_owner_access(caller, group.account_id, group.account.domain.path)
    return group


def rename_instance_group(session: Session, group: InstanceGroup, name: str | None) -> None:
    """Give a group another name that its account has not used yet."""
    if name is None:
        return
    if _instance_group(session, group.account_id, name) is not None:
        raise InvalidParameterValueError(
            f"Unable to update vm group, a group with name {name} already exists for account {group.account_id}"
        )
    group.name = name


def delete_instance_group(session: Session, providers: Providers, group: InstanceGroup) -> None:
    """Take a group away, and its VMs out of it."""
    session.execute(update(VmInstance).where(VmInstance.group_id == group.id).values(group_id=None))
    group.removed = providers.utcnow()


def put_into_group(session: Session, providers: Providers, vm: VmInstance, name: str | None) -> None:
    """Put a VM into its account's group of that name, which is made if it is not there; no name takes it out."""
    if not name:
        vm.group = None
        return
    found = _instance_group(session, vm.account_id, name)
    vm.group = found or _add_instance_group(session, providers, vm.account_id, name)


def find_instance_groups(
    session: Session, scope: Scope, params: Mapping[str, Any], window: Window
) -> tuple[list[InstanceGroup], int]:
    """The page of groups that the bound parameters of listInstanceGroups ask for."""
    conditions: list[ColumnElement[bool]] = [
        InstanceGroup.removed.is_(None),
        scope.clause(InstanceGroup.account_id, Account.domain_id),
    ]
    if params["id"] is not None:
        conditions.append(InstanceGroup.id == params["id"])
    if params["name"] is not None:
        conditions.append(like_keyword(InstanceGroup.name, params["name"]))
    if params["keyword"] is not None:
        conditions.append(like_keyword(InstanceGroup.name, params["keyword"]))
    statement = select(InstanceGroup).join(InstanceGroup.account).where(*conditions).order_by(InstanceGroup.id)
    return page(session, statement, window)


def instance_group_view(group: InstanceGroup) -> dict[str, Any]:
    """A group's answer."""
    return {
        "id": group.uuid,
        "name": group.name,
        "created": group.created,
        **owner_fields(group.account, group.account.domain),
        "hasannotations": False,
    }
