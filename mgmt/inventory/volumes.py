"""Volumes: the search of `listVolumes` and the view it shows.

Upstream: server/.../api/query/QueryManagerImpl.java (searchForVolumes), dao/VolumeJoinDaoImpl.java; field order of
recorded answers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, false, or_, select
from sqlalchemy.orm import Session, aliased, joinedload
from sqlalchemy.orm.interfaces import ORMOption

from mgmt.inventory.listing import Window, any_like_keyword, equals_ignoring_case, like_keyword, page
from mgmt.inventory.scope import CallerLike, is_admin, owner_fields, resolve_scope
from mgmt.inventory.tags import has_tags
from mgmt.inventory.vms import PendingJob, pending_jobs
from mgmt.store.models import ServiceOffering, StoragePool, Template, VmInstance, Volume


def volume_load_options() -> tuple[ORMOption, ...]:
    """Loader options with which a list of volumes is read in one query."""
    return (
        joinedload(Volume.account),
        joinedload(Volume.domain),
        joinedload(Volume.zone),
        joinedload(Volume.disk_offering),
        joinedload(Volume.pool).options(joinedload(StoragePool.cluster), joinedload(StoragePool.pod)),
        joinedload(Volume.vm),
    )


def find_volumes(
    session: Session, caller: CallerLike, params: Mapping[str, Any], ids: Sequence[int] | None, paging: Window
) -> tuple[list[Volume], int]:
    """The page of volumes that match `params` and that `caller` may see, oldest first, and the number of all of them.

    `params` are the bound parameters of listVolumes by name; those that are missing do not filter.
    """
    scope = resolve_scope(session, caller, params, has_id=params.get("id") is not None)
    conditions = [Volume.removed.is_(None), scope.clause(Volume.account_id, Volume.domain_id)]
    if ids is not None:
        conditions.append(Volume.id.in_(ids))
    conditions += _plain_filters(params)
    conditions += _placement_filters(params)
    if params.get("state") is not None:
        conditions.append(equals_ignoring_case(Volume.state, params["state"]))
    elif not is_admin(caller):
        conditions.append(Volume.state != "Expunged")
    if params.get("keyword") is not None:
        conditions.append(any_like_keyword((Volume.name, Volume.volume_type, Volume.state), params["keyword"]))
    statement = select(Volume).where(*conditions).order_by(Volume.id).options(*volume_load_options())
    return page(session, statement, paging)


def _plain_filters(params: Mapping[str, Any]) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    for name, column in (
        ("virtualmachineid", Volume.vm_id),
        ("zoneid", Volume.zone_id),
        ("diskofferingid", Volume.disk_offering_id),
    ):
        if params.get(name) is not None:
            conditions.append(column == params[name])
    if params.get("name") is not None:
        conditions.append(equals_ignoring_case(Volume.name, params["name"]))
    if params.get("type") is not None:
        conditions.append(like_keyword(Volume.volume_type, params["type"]))
    if params.get("serviceofferingid") is not None:
        own = select(ServiceOffering.disk_offering_id).where(ServiceOffering.id == params["serviceofferingid"])
        conditions.append(Volume.disk_offering_id.in_(own))
    conditions += has_tags(Volume.uuid, "Volume", params.get("tags"))
    # No volume is hidden from users or encrypted here.
    if params.get("displayvolume") is False or params.get("isencrypted"):
        conditions.append(false())
    return conditions


def _placement_filters(params: Mapping[str, Any]) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if params.get("storageid") is not None:
        conditions.append(Volume.pool.has(uuid=params["storageid"]))
    if params.get("podid") is not None:
        conditions.append(Volume.pool.has(pod_id=params["podid"]))
    if params.get("clusterid") is not None:
        conditions.append(Volume.pool.has(cluster_id=params["clusterid"]))
    if params.get("hostid") is not None:
        vm = aliased(VmInstance)
        on_host = select(vm.id).where(vm.host_id == params["hostid"])
        conditions.append(or_(Volume.vm_id.in_(on_host), Volume.pool.has(host_id=params["hostid"])))
    return conditions


def volume_views(session: Session, volumes: Sequence[Volume], caller: CallerLike) -> list[dict[str, Any]]:
    """The volumes as `listVolumes` shows them, in the given order."""
    jobs = pending_jobs(session, "Volume", [volume.uuid for volume in volumes])
    template_ids = {volume.template_id for volume in volumes if volume.template_id is not None}
    templates = {
        template.id: template for template in session.scalars(select(Template).where(Template.id.in_(template_ids)))
    }
    hidden_offerings = {
        volume.disk_offering.id
        for volume in volumes
        if volume.disk_offering is not None and volume.disk_offering.compute_only
    }
    offerings = {
        offering.disk_offering_id: offering
        for offering in session.scalars(
            select(ServiceOffering).where(ServiceOffering.disk_offering_id.in_(hidden_offerings))
        )
    }
    return [
        _view(
            volume,
            is_admin(caller),
            templates.get(volume.template_id or 0),
            offerings.get(volume.disk_offering_id),
            jobs.get(volume.uuid),
        )
        for volume in volumes
    ]


def _view(
    volume: Volume,
    sees_storage: bool,
    template: Template | None,
    service_offering: ServiceOffering | None,
    job: PendingJob | None,
) -> dict[str, Any]:
    pool = volume.pool if sees_storage else None
    return {
        "id": volume.uuid,
        "name": volume.name,
        "zoneid": volume.zone.uuid,
        "zonename": volume.zone.name,
        "type": volume.volume_type,
        "deviceid": volume.device_id,
        **_vm_and_template(volume, template),
        "provisioningtype": volume.provisioning_type,
        "size": volume.size_bytes,
        "miniops": volume.min_iops,
        "maxiops": volume.max_iops,
        "created": volume.created,
        "state": volume.state,
        **owner_fields(volume.account, volume.domain),
        "storagetype": _storage_type(volume) if sees_storage else None,
        "hypervisor": _hypervisor(volume) if sees_storage else None,
        **_disk_offering(volume),
        "storage": pool.name if pool else None,
        "attached": volume.attached,
        "destroyed": volume.state == "Destroy",
        **_service_offering(service_offering),
        "isextractable": _is_extractable(volume, template),
        "displayvolume": True,
        "path": volume.path if sees_storage else None,
        "storageid": pool.uuid if pool else None,
        "chaininfo": volume.chain_info,
        "quiescevm": False,
        "supportsstoragesnapshot": False,
        "deleteprotection": False,
        "clusterid": pool.cluster.uuid if pool and pool.cluster else None,
        "clustername": pool.cluster.name if pool and pool.cluster else None,
        "podid": pool.pod.uuid if pool and pool.pod else None,
        "podname": pool.pod.name if pool and pool.pod else None,
        "tags": [],
        "hasannotations": False,
        "jobid": job.uuid if job else None,
        "jobstatus": job.status if job else None,
    }


def _vm_and_template(volume: Volume, template: Template | None) -> dict[str, Any]:
    """The VM, and the template of a root volume: one made for an ISO counts as the ISO's."""
    fields: dict[str, Any] = {}
    vm = volume.vm
    if vm is not None:
        fields["virtualmachineid"] = vm.uuid
    if template is not None:
        kind = "iso" if template.format == "ISO" else "template"
        fields |= {
            f"{kind}id": template.uuid,
            f"{kind}name": template.name,
            f"{kind}displaytext": template.display_text,
        }
    if vm is not None:
        fields |= {
            "vmname": vm.name,
            "vmdisplayname": vm.display_name or vm.name,
            "vmstate": vm.state,
            "vmtype": "User",
        }
    return fields


def _disk_offering(volume: Volume) -> dict[str, Any]:
    offering = volume.disk_offering
    if offering is None or offering.compute_only:
        return {}
    return {
        "diskofferingid": offering.uuid,
        "diskofferingname": offering.name,
        "diskofferingdisplaytext": offering.display_text,
    }


def _service_offering(offering: ServiceOffering | None) -> dict[str, Any]:
    if offering is None:
        return {}
    return {
        "serviceofferingid": str(offering.id),  # the internal number: the real server leaks it here (api-gateway 2.7)
        "serviceofferingname": offering.name,
        "serviceofferingdisplaytext": offering.display_text,
    }


def _storage_type(volume: Volume) -> str:
    if volume.disk_offering is not None:
        return "local" if volume.disk_offering.use_local_storage else "shared"
    return "local" if volume.pool is not None and volume.pool.scope == "HOST" else "shared"


def _hypervisor(volume: Volume) -> str | None:
    if volume.vm is not None:
        return volume.vm.hypervisor_type
    by_format = {"QCOW2": "KVM", "RAW": "KVM", "OVA": "VMware", "VMDK": "VMware", "VHD": "XenServer"}
    return by_format.get(volume.format)


def _is_extractable(volume: Volume, template: Template | None) -> bool:
    if volume.volume_type == "DATADISK" or template is None or template.format == "ISO":
        return True
    return template.is_extractable and template.template_type != "SYSTEM"
