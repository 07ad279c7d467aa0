"""Affinity groups and instance groups.

Upstream: api/.../command/user/affinitygroup and command/user/vmgroup.
"""

from __future__ import annotations

from mgmt.commands.catalogued import done, job, listed
from mgmt.commands.declaration import Bound, Call, Item, Listing, Success, events_of
from mgmt.commands.life_calls import created, created_record, vm_item
from mgmt.inventory import groups
from mgmt.inventory.owner import finalize_owner
from mgmt.inventory.scope import resolve_scope
from mgmt.store.models import AffinityGroup

GROUP = "AffinityGroup"
_event = events_of(GROUP)


def _create(call: Call, bound: Bound) -> str:
    providers = call.services.providers
    group = groups.create_affinity_group(call.db, providers, call.caller, bound)
    created(call, "AG.CREATE", "Creating Affinity Group", GROUP, group.uuid)
    return group.uuid


@job(
    "createAffinityGroup",
    "affinitygroup",
    event=_event("AG.CREATE", "Creating Affinity Group", lambda bound: "creating Affinity Group"),
    instance_type=GROUP,
    create=_create,
)
def create_affinity_group(call: Call, bound: Bound) -> Item:
    """Show the group that `_create` recorded."""
    with call.services.store.session() as session:
        group = created_record(session, AffinityGroup, bound)
        return Item(groups.affinity_group_view(session, group))


@job(
    "deleteAffinityGroup",
    event=_event("AG.DELETE", "Deleting affinity group", lambda bound: "Deleting Affinity Group"),
    instance_type=GROUP,
    instance_param="id",
)
def delete_affinity_group(call: Call, bound: Bound) -> Success:
    """Take a group away, named by its id or by its name and owner."""
    with call.services.store.session() as session:
        groups.delete_affinity_group(session, groups.named_affinity_group(session, call.caller, bound))
    return Success()


@listed("listAffinityGroups", "affinitygroup")
def list_affinity_groups(call: Call, bound: Bound) -> Listing:
    scope = resolve_scope(call.db, call.caller, bound, has_id=bound["id"] is not None)
    found, count = groups.find_affinity_groups(call.db, scope, bound, bound.paging)
    return Listing([groups.affinity_group_view(call.db, group) for group in found], count)


@job(
    "updateVMAffinityGroup",
    "virtualmachine",
    event=events_of("VirtualMachine")(
        "VM.AG.UPDATE", "updating VM Affinity Group", lambda bound: "updating VM Affinity Group"
    ),
    instance_type="VirtualMachine",
    instance_param="id",
)
def update_vm_affinity_group(call: Call, bound: Bound) -> Item:
    """Put a stopped VM into other groups."""
    with call.services.store.session() as session:
        groups.set_affinity_groups(session, call.caller, bound)
    return vm_item(call, bound["id"])


@done("createInstanceGroup", "instancegroup")
def create_instance_group(call: Call, bound: Bound) -> Item:
    """A group of an account's VMs."""
    owner = finalize_owner(call.db, call.caller, bound)
    group = groups.create_instance_group(call.db, call.services.providers, owner, bound["name"])
    return Item(groups.instance_group_view(group))


@done("updateInstanceGroup", "instancegroup")
def update_instance_group(call: Call, bound: Bound) -> Item:
    """Rename a group."""
    group = groups.instance_group_to_change(call.db, call.caller, bound["id"])
    groups.rename_instance_group(call.db, group, bound["name"])
    return Item(groups.instance_group_view(group))


@done("deleteInstanceGroup")
def delete_instance_group(call: Call, bound: Bound) -> Success:
    """Take a group away; its VMs stay."""
    group = groups.instance_group_to_change(call.db, call.caller, bound["id"])
    groups.delete_instance_group(call.db, call.services.providers, group)
    return Success()


@listed("listInstanceGroups", "instancegroup")
def list_instance_groups(call: Call, bound: Bound) -> Listing:
    scope = resolve_scope(call.db, call.caller, bound, has_id=bound["id"] is not None)
    found, count = groups.find_instance_groups(call.db, scope, bound, bound.paging)
    return Listing([groups.instance_group_view(group) for group in found], count)


COMMANDS = (
    create_affinity_group,
    delete_affinity_group,
    list_affinity_groups,
    update_vm_affinity_group,
    create_instance_group,
    update_instance_group,
    delete_instance_group,
    list_instance_groups,
)
