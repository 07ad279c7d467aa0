"""One VM with all that its view shows, read as plain rows: what the result of a VM's job is made of.

`mgmt.inventory.vms` reads lists of VMs as objects; for a single one, making the objects takes most of the time.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from types import SimpleNamespace
from typing import Any

from sqlalchemy import ColumnElement, FromClause, Select, bindparam, select
from sqlalchemy.orm import Session

from mgmt.inventory.scope import PROJECT, ROOT_ADMIN, CallerLike
from mgmt.inventory.vms import pending_jobs, shown_vm
from mgmt.store.models import (
    Account,
    AffinityGroup,
    Base,
    DiskOffering,
    Domain,
    GuestOs,
    Host,
    InstanceGroup,
    Network,
    Nic,
    NicSecondaryIp,
    ServiceOffering,
    StoragePool,
    Template,
    User,
    VmDetail,
    VmInstance,
    Volume,
    Zone,
    affinity_group_vms,
)
from mgmt.store.rows import run, table_of

# What belongs to a row: its name there, its model, the column that names it, and what is shown of it.
Part = tuple[str, type[Base], str, tuple[str, ...]]

_VM_PARTS: tuple[Part, ...] = (
    ("account", Account, "account_id", ("name", "type", "id")),
    ("domain", Domain, "domain_id", ("uuid", "name", "path")),
    ("user", User, "user_id", ("uuid", "username")),
    ("zone", Zone, "zone_id", ("uuid", "name")),
    ("host", Host, "host_id", ("uuid", "name", "status", "resource_state")),
    (
        "template",
        Template,
        "template_id",
        ("uuid", "name", "template_type", "format", "display_text", "password_enabled"),
    ),
    ("iso", Template, "iso_id", ("uuid", "name", "display_text")),
    ("guest_os", GuestOs, "guest_os_id", ("uuid", "display_name")),
    ("group", InstanceGroup, "group_id", ("uuid", "name")),
    ("service_offering", ServiceOffering, "service_offering_id", ("uuid", "name", "offer_ha")),
)
_NIC_PARTS: tuple[Part, ...] = (("network", Network, "network_id", ("uuid", "name", "traffic_type", "guest_type")),)
_VOLUME_PARTS: tuple[Part, ...] = (
    ("pool", StoragePool, "pool_id", ("pool_type",)),
    ("disk_offering", DiskOffering, "disk_offering_id", ("uuid", "name", "compute_only")),
)


def vm_result(session: Session, vm_id: int, caller: CallerLike) -> dict[str, Any]:
    """The user VM response of the VM with that internal number for `caller`, as `mgmt.inventory.vms.vm_view` gives it.

    Raises NoResultFound when there is no such VM.
    """
    wanted = {"vm": vm_id}
    vm = _record(run(session, _vm(), wanted).one(), VmInstance, _VM_PARTS)
    vm.account.project = None
    if vm.account.type == PROJECT:
        vm.account.project = session.get_one(Account, vm.account.id).project
    vm.details = run(session, _details(), wanted).all()
    vm.affinity_groups = run(session, _affinity_groups(), wanted).all()
    vm.nics = [_record(row, Nic, _NIC_PARTS) for row in run(session, _nics(), wanted)]
    further = run(session, _further_addresses(), wanted).all()
    for nic in vm.nics:
        nic.secondary_ips = [address for address in further if address.nic_id == nic.id]
    vm.volumes = [_record(row, Volume, _VOLUME_PARTS) for row in run(session, _volumes(), wanted)]
    job = pending_jobs(session, "VirtualMachine", [vm.uuid]).get(vm.uuid)
    return shown_vm(vm, caller.account_type == ROOT_ADMIN, frozenset(("all",)), job)


def _record(row: Sequence[Any], model: type[Base], parts: Sequence[Part]) -> Any:
    """The row as an object with the attributes that the model's have, as far as a view looks at them."""
    own = table_of(model).c.keys()
    record = SimpleNamespace(**dict(zip(own, row, strict=False)))
    at = len(own)
    for name, _, key, shown in parts:
        end = at + len(shown)
        is_there = getattr(record, key) is not None
        setattr(record, name, SimpleNamespace(**dict(zip(shown, row[at:end], strict=True))) if is_there else None)
        at = end
    return record


def _with_parts(model: type[Base], parts: Sequence[Part]) -> Select[Any]:
    table = table_of(model)
    columns: list[ColumnElement[Any]] = list(table.c)
    joined: FromClause = table
    for name, other_model, key, shown in parts:
        other = table_of(other_model).alias(name)
        joined = joined.outerjoin(other, other.c.id == table.c[key])
        columns += [other.c[column].label(f"{name}_{column}") for column in shown]
    return select(*columns).select_from(joined)


@cache
def _vm() -> Select[Any]:
    return _with_parts(VmInstance, _VM_PARTS).where(table_of(VmInstance).c.id == bindparam("vm"))


@cache
def _nics() -> Select[Any]:
    nic = table_of(Nic).c
    return _with_parts(Nic, _NIC_PARTS).where(nic.vm_id == bindparam("vm")).order_by(nic.device_id)


@cache
def _further_addresses() -> Select[Any]:
    nic, further = table_of(Nic), table_of(NicSecondaryIp)
    joined = further.join(nic, nic.c.id == further.c.nic_id)
    return select(further).select_from(joined).where(nic.c.vm_id == bindparam("vm")).order_by(further.c.id)


@cache
def _volumes() -> Select[Any]:
    volume = table_of(Volume).c
    return _with_parts(Volume, _VOLUME_PARTS).where(volume.vm_id == bindparam("vm")).order_by(volume.device_id)


@cache
def _affinity_groups() -> Select[Any]:
    group, of_vm = table_of(AffinityGroup), affinity_group_vms
    joined = group.join(of_vm, of_vm.c.affinity_group_id == group.c.id)
    return select(group).select_from(joined).where(of_vm.c.vm_id == bindparam("vm")).order_by(group.c.id)


@cache
def _details() -> Select[Any]:
    detail = table_of(VmDetail).c
    return select(detail.name, detail.value, detail.display).where(detail.vm_id == bindparam("vm")).order_by(detail.id)
