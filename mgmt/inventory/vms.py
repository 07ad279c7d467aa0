"""User VMs: the view that `listVirtualMachines` and every VM job result show.

Upstream: server/.../api/query/dao/UserVmJoinDaoImpl.java (which field comes under which level of `details`), with the
field order of recorded answers.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import Select, bindparam, select
from sqlalchemy.orm import Session, joinedload, selectinload
from sqlalchemy.orm.interfaces import ORMOption

from mgmt.inventory.nics import nic_view
from mgmt.inventory.scope import ROOT_ADMIN, CallerLike, domain_fields, owner_names
from mgmt.store.models import (
    Account,
    AffinityGroup,
    AsyncJob,
    DiskOffering,
    Domain,
    GuestOs,
    Host,
    InstanceGroup,
    Network,
    Nic,
    ServiceOffering,
    StoragePool,
    Template,
    User,
    VmInstance,
    Volume,
    Zone,
)
from mgmt.store.rows import run, table_of

# The levels of detail of listVirtualMachines (ApiConstants.VMDetails), in the order in which error texts name them.
VM_DETAILS = (
    "all",
    "group",
    "nics",
    "stats",
    "secgrp",
    "tmpl",
    "servoff",
    "diskoff",
    "backoff",
    "iso",
    "volume",
    "min",
    "affgrp",
    "vnfnics",
)

# The default of setting user.vm.denied.details: hidden from everybody but the root admin.
DENIED_DETAILS = frozenset(
    {"rootdisksize", "cpuOvercommitRatio", "memoryOvercommitRatio", "Message.ReservedCapacityFreed.Flag"}
)
# The default of setting user.vm.readonly.details: shown to everybody but the root admin, who may change all.
READONLY_DETAILS = "dataDiskController, rootDiskController"

# Templates have no architecture of their own here: what CloudStack stamps on them.
TEMPLATE_ARCH = "x86_64"

_LOST_STATUSES = frozenset({"Disconnected", "Down", "Alert", "Removed", "Error"})
_MAINTENANCE_STATES = frozenset(
    {
        "Maintenance",
        "ErrorInMaintenance",
        "PrepareForMaintenance",
        "ErrorInPrepareForMaintenance",
    }
)


@dataclass(frozen=True)
class PendingJob:
    """The job under way for an entity, which its list entry carries."""

    uuid: str
    status: int


@cache
def vm_load_options() -> tuple[ORMOption, ...]:
    """Loader options with which a list of VMs is read in a fixed number of queries, and no more than is shown."""
    return (
        joinedload(VmInstance.account).load_only(Account.name, Account.type),
        joinedload(VmInstance.domain).load_only(Domain.uuid, Domain.name, Domain.path),
        joinedload(VmInstance.user).load_only(User.uuid, User.username),
        joinedload(VmInstance.zone).load_only(Zone.uuid, Zone.name),
        joinedload(VmInstance.host).load_only(Host.uuid, Host.name, Host.status, Host.resource_state),
        joinedload(VmInstance.template).load_only(
            Template.uuid,
            Template.name,
            Template.template_type,
            Template.format,
            Template.display_text,
            Template.password_enabled,
        ),
        joinedload(VmInstance.iso).load_only(Template.uuid, Template.name, Template.display_text),
        joinedload(VmInstance.guest_os).load_only(GuestOs.uuid, GuestOs.display_name),
        joinedload(VmInstance.service_offering).load_only(
            ServiceOffering.uuid, ServiceOffering.name, ServiceOffering.offer_ha
        ),
        joinedload(VmInstance.group).load_only(InstanceGroup.uuid, InstanceGroup.name),
        selectinload(VmInstance.affinity_groups),
        selectinload(VmInstance.details),
        selectinload(VmInstance.nics).options(
            joinedload(Nic.network).load_only(Network.uuid, Network.name, Network.traffic_type, Network.guest_type),
            selectinload(Nic.secondary_ips),
        ),
        selectinload(VmInstance.volumes).options(
            joinedload(Volume.pool).load_only(StoragePool.pool_type),
            joinedload(Volume.disk_offering).load_only(DiskOffering.uuid, DiskOffering.name, DiskOffering.compute_only),
        ),
    )


def vm_view(
    session: Session, vm: VmInstance, caller: CallerLike, details: Collection[str] = ("all",)
) -> dict[str, Any]:
    """The user VM response for `caller`, with the parts that the levels of `details` ask for."""
    return vm_views(session, [vm], caller, details)[0]


def vm_views(
    session: Session, vms: Sequence[VmInstance], caller: CallerLike, details: Collection[str] = ("all",)
) -> list[dict[str, Any]]:
    """The user VM responses of `vms` in their order; read them with `vm_load_options()`."""
    jobs = pending_jobs(session, "VirtualMachine", [vm.uuid for vm in vms])
    return [shown_vm(vm, caller.account_type == ROOT_ADMIN, frozenset(details), jobs.get(vm.uuid)) for vm in vms]


def pending_jobs(session: Session, instance_type: str, uuids: Sequence[str]) -> dict[str, PendingJob]:
    """The newest job in progress of each of the entities that have one."""
    if not uuids:
        return {}
    rows = run(session, _pending_jobs(), {"type": instance_type, "uuids": list(uuids)})
    return {row.instance_uuid: PendingJob(row.uuid, row.status) for row in rows}


@cache
def _pending_jobs() -> Select[Any]:
    job = table_of(AsyncJob).c
    wanted = (
        job.instance_type == bindparam("type"),
        job.status == 0,
        job.instance_uuid.in_(bindparam("uuids", expanding=True)),
    )
    return select(job.instance_uuid, job.uuid, job.status).where(*wanted).order_by(job.id)


def control_state(host: Host) -> str:
    """A host's state as VM and host answers show it in `hostcontrolstate` (com.cloud.host.ControlState)."""
    if host.status == "Unknown":
        return "Unknown"
    if host.status in _LOST_STATUSES:
        return "Offline"
    if host.resource_state in _MAINTENANCE_STATES:
        return "Maintenance"
    return "Enabled" if host.resource_state == "Enabled" else "Disabled"


def shown_vm(vm: VmInstance, is_root_admin: bool, details: frozenset[str], job: PendingJob | None) -> dict[str, Any]:
    """The response made of a VM and what belongs to it; reads nothing more."""

    def wants(level: str) -> bool:
        return "all" in details or level in details

    volumes = [volume for volume in vm.volumes if volume.removed is None]
    nics = [nic for nic in vm.nics if nic.removed is None]
    root = next((volume for volume in volumes if volume.volume_type == "ROOT"), None)
    default_nic = next((nic for nic in nics if nic.is_default), None)
    view = _identity(vm)
    view |= _placement(vm, is_root_admin)
    if wants("group") and vm.group is not None:
        view |= {"group": vm.group.name, "groupid": vm.group.uuid}
    if wants("tmpl"):
        view |= _template(vm)
    if vm.iso is not None and wants("iso"):
        view |= {"isoid": vm.iso.uuid, "isoname": vm.iso.name, "isodisplaytext": vm.iso.display_text}
    if wants("servoff"):
        view |= {"serviceofferingid": vm.service_offering.uuid, "serviceofferingname": vm.service_offering.name}
    if wants("diskoff"):
        view |= _disk_offering(volumes)
    if wants("servoff"):
        view |= {"cpunumber": vm.cpu_number, "cpuspeed": vm.cpu_speed_mhz, "memory": vm.memory_mb}
    view["guestosid"] = vm.guest_os.uuid
    if wants("volume") and root is not None:
        view |= {"rootdeviceid": root.device_id, "rootdevicetype": root.volume_type}
    view |= {
        "securitygroup": [],  # zones with security groups are not in this world
        "nic": [nic_view(nic, is_root_admin=is_root_admin) for nic in nics] if wants("nics") else [],
        "hypervisor": vm.hypervisor_type,
        "ipaddress": default_nic.ip4_address if wants("nics") and default_nic is not None else None,
        "instancename": vm.instance_name if is_root_admin else None,
    }
    view |= _settings(vm, is_root_admin, vm.affinity_groups if wants("affgrp") else ())
    view |= {
        "pooltype": root.pool.pool_type if root is not None and root.pool is not None else None,
        "receivedbytes": 0,  # no network usage server counts traffic here
        "sentbytes": 0,
        "arch": TEMPLATE_ARCH,
        "tags": [],
        "hasannotations": False,
        "jobid": job.uuid if job else None,
        "jobstatus": job.status if job else None,
    }
    return view


def _affinity_group(group: AffinityGroup) -> dict[str, Any]:
    return {"id": group.uuid, "name": group.name, "type": group.type, "description": group.description}


def _identity(vm: VmInstance) -> dict[str, Any]:
    return {
        "id": vm.uuid,
        "name": vm.name,
        "displayname": vm.display_name or vm.name,
        **owner_names(vm.account),
        "userid": vm.user.uuid,
        "username": vm.user.username,
        **domain_fields(vm.domain),
        "created": vm.created,
        "lastupdated": vm.updated,
        "state": vm.state,
        "haenable": vm.service_offering.offer_ha if vm.ha_enabled is None else vm.ha_enabled,
        "zoneid": vm.zone.uuid,
        "zonename": vm.zone.name,
    }


def _placement(vm: VmInstance, is_root_admin: bool) -> dict[str, Any]:
    if vm.host is None or not is_root_admin:
        return {}
    return {"hostid": vm.host.uuid, "hostname": vm.host.name, "hostcontrolstate": control_state(vm.host)}


def _template(vm: VmInstance) -> dict[str, Any]:
    template = vm.template
    if template is None:
        return {"passwordenabled": False}
    return {
        "templateid": template.uuid,
        "templatename": template.name,
        "templatetype": template.template_type,
        "templateformat": template.format,
        "templatedisplaytext": template.display_text,
        "passwordenabled": template.password_enabled,
    }


def _disk_offering(volumes: Sequence[Volume]) -> dict[str, Any]:
    """The first disk offering proper among the VM's volumes: the one of the compute offering does not count."""
    for volume in volumes:
        offering = volume.disk_offering
        if offering is not None and not offering.compute_only:
            return {"diskofferingid": offering.uuid, "diskofferingname": offering.name}
    return {}


def _settings(vm: VmInstance, is_root_admin: bool, groups: Sequence[AffinityGroup]) -> dict[str, Any]:
    stored = {detail.name: detail.value for detail in vm.details if detail.display}
    shown = stored if is_root_admin else {name: stored[name] for name in stored if name not in DENIED_DETAILS}
    fields: dict[str, Any] = {
        "details": shown,
        "readonlydetails": None if is_root_admin else READONLY_DETAILS,
        "keypairs": stored.get("SSH.KeyPairNames"),
        "affinitygroup": [_affinity_group(group) for group in groups],
        "displayvm": vm.display_vm,
        "isdynamicallyscalable": False,  # setting enable.dynamic.scale.vm is off
        "deleteprotection": vm.delete_protection,
        "ostypeid": vm.guest_os.uuid,
        "osdisplayname": vm.guest_os.display_name,
    }
    return fields | _boot(stored)


def _boot(stored: Mapping[str, str]) -> dict[str, Any]:
    """Boot mode and type: of a UEFI VM from its detail, else only while the VM has no detail at all (as recorded)."""
    if "UEFI" in stored:
        return {"bootmode": stored["UEFI"].lower(), "boottype": "Uefi"}
    return {} if stored else {"bootmode": "legacy", "boottype": "Bios"}
