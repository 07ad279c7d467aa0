"""SearchIndex and ViewManager: finding objects by path, UUID, name or address, and views over a part of the tree."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote

from vcenter_sim import faults, wire
from vcenter_sim.inventory import Managed
from vcenter_sim.service import Context
from vcenter_sim.types import Reference, vim


def find_by_inventory_path(context: Context) -> Reference | None:
    """The object at `datacenter/vm/folder/name`; None when there is none. Slashes in names are written %2f."""
    current = context.inventory.find(vim.Folder("group-d1"))
    for part in context.arguments["inventoryPath"].strip("/").split("/"):
        child = context.inventory.child_named(current, unquote(part)) if part else None
        if child is None:
            return None
        current = child
    return current.ref


def find_child(context: Context) -> Reference | None:
    """The direct child of that name; None when there is none."""
    child = context.inventory.child_named(_entity(context), context.arguments["name"])
    return child.ref if child is not None else None


def _entity(context: Context) -> Managed:
    return context.inventory.find(context.arguments["entity"])


def find_by_uuid(context: Context) -> Reference | None:
    """The first VM or host with that UUID; None when there is none."""
    return next(iter(_by_uuid(context)), None)


def find_all_by_uuid(context: Context) -> Any:
    """All VMs or hosts with that UUID."""
    return _by_uuid(context)


def _by_uuid(context: Context) -> list[Reference]:
    wanted = context.arguments["uuid"].lower()
    if not context.arguments["vmSearch"]:
        return [host.ref for host in _within(context, vim.HostSystem) if host["hardware"].systemInfo.uuid == wanted]
    name = "instanceUuid" if context.arguments["instanceUuid"] else "uuid"
    return [vm.ref for vm in _within(context, vim.VirtualMachine) if getattr(vm["config"], name) == wanted]


def _within(context: Context, kind: Any) -> list[Managed]:
    """All objects of a class, of one datacenter only when the call names one."""
    datacenter = context.arguments["datacenter"]
    found = list(context.inventory.of_kind(kind))
    if datacenter is None:
        return found
    inside = context.inventory.find(datacenter)
    return [managed for managed in found if context.inventory.ancestor(managed, vim.Datacenter) is inside]


def find_by_dns_name(context: Context) -> Reference | None:
    """The first VM or host that goes by that DNS name; None when there is none."""
    wanted = context.arguments["dnsName"].lower()
    if not context.arguments["vmSearch"]:
        return next((host.ref for host in _within(context, vim.HostSystem) if host.name.lower() == wanted), None)
    named = (vm for vm in _within(context, vim.VirtualMachine) if (vm["guest"].hostName or "").lower() == wanted)
    return next((vm.ref for vm in named), None)


def find_by_ip(context: Context) -> Reference | None:
    """The first VM whose guest has that address; None when there is none (hosts have no address here)."""
    if not context.arguments["vmSearch"]:
        return None
    wanted = context.arguments["ip"]
    for vm in _within(context, vim.VirtualMachine):
        if any(wanted in nic.ipAddress for nic in vm["guest"].net):
            return vm.ref
    return None


def find_by_datastore_path(context: Context) -> Reference | None:
    """The VM whose configuration file is at `[datastore] dir/name.vmx`; None when there is none."""
    wanted = context.arguments["path"]
    found = (vm for vm in _within(context, vim.VirtualMachine) if vm["config"].files.vmPathName == wanted)
    return next((vm.ref for vm in found), None)


def create_container_view(context: Context) -> Reference:
    """A view of the objects of some types in or below a container, for the caller's session."""
    container = context.inventory.find(context.arguments["container"])
    types = tuple(context.arguments["type"]) or (vim.ManagedEntity,)
    recursive = context.arguments["recursive"]
    if not issubclass(
        container.kind, (vim.Folder, vim.Datacenter, vim.ComputeResource, vim.ResourcePool, vim.HostSystem)
    ):
        raise faults.invalid_argument("container")
    inventory = context.inventory
    moid = f"session[{context.session.key}]{inventory.ids.uuid()}"
    view = inventory.add(
        vim.view.ContainerView,
        moid,
        container=container.ref,
        type=list(context.arguments["type"]),
        recursive=recursive,
    )
    view.compute(view=lambda: _viewed(context, container, types, recursive))
    context.session.objects.append(view)
    return view.ref


def _viewed(context: Context, container: Managed, types: tuple[Any, ...], recursive: bool) -> Any:
    found: dict[str, Managed] = {}
    seen: set[str] = set()
    ahead = list(reversed(context.inventory.children(container)))
    while ahead:
        managed = ahead.pop()
        if managed.moid in seen:
            continue
        seen.add(managed.moid)
        if issubclass(managed.kind, types):
            found[managed.moid] = managed
        if recursive:
            ahead.extend(reversed(context.inventory.children(managed)))
    return wire.array("vim.ManagedEntity", [managed.ref for managed in found.values()])


def destroy_view(context: Context) -> None:
    """Take a view away."""
    context.inventory.remove(context.this)


METHODS = {
    "FindByInventoryPath": find_by_inventory_path,
    "FindChild": find_child,
    "FindByUuid": find_by_uuid,
    "FindAllByUuid": find_all_by_uuid,
    "FindByDnsName": find_by_dns_name,
    "FindByIp": find_by_ip,
    "FindByDatastorePath": find_by_datastore_path,
    "CreateContainerView": create_container_view,
    "DestroyView": destroy_view,
}
