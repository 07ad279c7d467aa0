"""Templates made of volumes and snapshots, as records: no image is copied.

Upstream: server/.../template/TemplateManagerImpl.java (createPrivateTemplateRecord, createPrivateTemplate), with whose
source the texts were compared; no recording shows them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from mgmt.errors import CloudRuntimeError, InvalidParameterValueError, PermissionDeniedError
from mgmt.inventory import usage
from mgmt.inventory.image_stores import writable_store
from mgmt.inventory.limits import TEMPLATE, release, reserve
from mgmt.inventory.lookup import get_live
from mgmt.inventory.owner import finalize_owner
from mgmt.inventory.scope import ROOT_ADMIN, CallerLike, check_owner_access
from mgmt.inventory.settings import GlobalSettings
from mgmt.inventory.template_registration import allows_public, template_details
from mgmt.inventory.vm_states import VmState
from mgmt.inventory.volume_states import VolumeState
from mgmt.providers import Providers
from mgmt.store.models import GuestOs, Snapshot, Template, VmInstance, Volume

LONGEST_NAME = 32
NO_RECORD = "Failed to create private template record, "


@dataclass(frozen=True)
class _Source:
    zone_id: int
    size_bytes: int


def allocate_template(
    session: Session, providers: Providers, settings: GlobalSettings, caller: CallerLike, params: Mapping[str, Any]
) -> Template:
    """Record a template that is not ready yet, from the bound parameters of createTemplate.

    Raises InvalidParameterValueError, PermissionDeniedError, CloudRuntimeError and ResourceAllocationError.
    """
    owner = finalize_owner(session, caller, params)
    name, is_root_admin = params["name"], caller.account_type == ROOT_ADMIN
    if len(name) > LONGEST_NAME:
        raise InvalidParameterValueError("Template name cannot be null and should be less than 32 characters")
    if params["templatetag"] is not None and not is_root_admin:
        raise PermissionDeniedError("Parameter templatetag can only be specified by a Root Admin, permission denied")
    if params["ispublic"] and not is_root_admin and not allows_public(settings, owner):
        raise PermissionDeniedError(f"Failed to create template {name}, only private templates can be created.")
    source = _source(session, caller, params["volumeid"], params["snapshotid"])
    guest_os = get_live(session, GuestOs, params["ostypeid"])
    if guest_os is None:
        raise InvalidParameterValueError(f"GuestOS with ID: {params['ostypeid']} does not exist.")
    claims = reserve(session, owner.id, {TEMPLATE: 1})
    template = Template(
        uuid=providers.ids.uuid(),
        name=name,
        display_text=params["displaytext"] or name,
        format="QCOW2",
        hypervisor_type="KVM",
        guest_os=guest_os,
        account=owner,
        zone_id=source.zone_id,
        size_bytes=source.size_bytes,
        is_public=bool(params["ispublic"]),
        is_featured=bool(params["isfeatured"]) and is_root_admin,
        is_extractable=is_root_admin,
        is_ready=False,
        password_enabled=bool(params["passwordenabled"]),
        ssh_key_enabled=bool(params["sshkeyenabled"]),
        requires_hvm=params["requireshvm"] is not False,
        dynamically_scalable=bool(params["isdynamicallyscalable"]),
        bits=params["bits"] or 64,
        arch=params["arch"] or "x86_64",
        template_tag=params["templatetag"],
        details=template_details(params["details"]),
        created=providers.utcnow(),
    )
    session.add(template)
    session.flush()
    release(session, claims)  # the record counts from now on
    return template


def _source(session: Session, caller: CallerLike, volume_id: int | None, snapshot_id: int | None) -> _Source:
    if volume_id is not None and snapshot_id is not None:
        raise InvalidParameterValueError(
            f"{NO_RECORD}please specify only one of volume ID ({volume_id}) and snapshot ID ({snapshot_id})"
        )
    if volume_id is not None:
        return _of_volume(session, caller, volume_id)
    if snapshot_id is not None:
        return _of_snapshot(session, caller, snapshot_id)
    raise InvalidParameterValueError(f"{NO_RECORD}neither volume ID nor snapshot ID were specified.")


def _of_volume(session: Session, caller: CallerLike, volume_id: int) -> _Source:
    volume = get_live(session, Volume, volume_id)
    if volume is None:
        raise InvalidParameterValueError(f"{NO_RECORD}unable to find volume {volume_id}")
    check_owner_access(caller, volume.account_id, volume.domain.path)
    vm = get_live(session, VmInstance, volume.vm_id)
    if vm is not None and vm.state != VmState.STOPPED:
        raise CloudRuntimeError(
            f"Unable to create private template for volume: {volume.name}; volume is attached to a non-stopped VM,"
            " please stop the VM first"
        )
    if volume.state != VolumeState.READY:  # own words: upstream fails later, in the copy
        raise CloudRuntimeError(
            f"Unable to create private template for volume: {volume.name}; it is in state {volume.state}"
        )
    return _Source(volume.zone_id, volume.size_bytes)


def _of_snapshot(session: Session, caller: CallerLike, snapshot_id: int) -> _Source:
    snapshot = get_live(session, Snapshot, snapshot_id)
    if snapshot is None:
        raise InvalidParameterValueError(f"{NO_RECORD}unable to find snapshot {snapshot_id}")
    check_owner_access(caller, snapshot.account_id, snapshot.domain.path)
    if snapshot.state != "BackedUp":
        raise InvalidParameterValueError(
            f"Snapshot id={snapshot_id} is not in BackedUp state yet and can't be used for template creation"
        )
    return _Source(snapshot.zone_id, snapshot.size_bytes)


def finish_template(session: Session, providers: Providers, template: Template) -> None:
    """Have an image store of its zone hold it; without one it goes again, with CloudRuntimeError for the job."""
    if writable_store(session, template.zone_id) is None:
        template.removed = providers.utcnow()
        session.commit()
        raise CloudRuntimeError(f"cannot find an image store for zone {template.zone_id}")
    template.is_ready = True
    usage.template_event(session, providers, template, created=True)
