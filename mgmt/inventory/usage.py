"""Usage events: what an account is charged for, and when it began and ended.

Upstream: server/.../vm/UserVmManagerImpl.generateUsageEvent, event/UsageEventUtils.java.
"""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from mgmt.providers import Providers
from mgmt.store.models import Snapshot, Template, UsageEvent, VmInstance, Volume, Zone


def vm_event(session: Session, providers: Providers, vm: VmInstance, type_: str) -> None:
    """Record VM.CREATE, VM.START, VM.STOP or VM.DESTROY; a custom offering's values go along."""
    details: dict[str, str] = {}
    if vm.service_offering.is_dynamic:
        details = {"cpuNumber": str(vm.cpu_number), "cpuSpeed": str(vm.cpu_speed_mhz), "memory": str(vm.memory_mb)}
    session.add(
        UsageEvent(
            type=type_,
            account_id=vm.account_id,
            zone_id=vm.zone_id,
            resource_id=vm.id,
            resource_name=vm.name,
            offering_id=vm.service_offering_id,
            template_id=vm.template_id,
            details=details,
            created=providers.utcnow(),
        )
    )


def network_events(session: Session, providers: Providers, vm: VmInstance, type_: str) -> None:
    """Record NETWORK.OFFERING.ASSIGN or NETWORK.OFFERING.REMOVE for every NIC; the size is 1 for the default one."""
    for nic in vm.nics:
        if nic.removed is None:
            session.add(
                UsageEvent(
                    type=type_,
                    account_id=vm.account_id,
                    zone_id=vm.zone_id,
                    resource_id=vm.id,
                    resource_name=str(nic.id),
                    offering_id=nic.network.network_offering_id,
                    size_bytes=int(nic.is_default),
                    created=providers.utcnow(),
                )
            )


def volume_event(session: Session, providers: Providers, volume: Volume, type_: str) -> None:
    """Record VOLUME.CREATE or VOLUME.RESIZE (with offering, template and size) or VOLUME.DELETE."""
    is_create = type_ != "VOLUME.DELETE"
    offering = volume.disk_offering
    session.add(
        UsageEvent(
            type=type_,
            account_id=volume.account_id,
            zone_id=volume.zone_id,
            resource_id=volume.id,
            resource_name=volume.name,
            offering_id=offering.id if is_create and offering is not None and not offering.compute_only else None,
            template_id=volume.template_id if is_create else None,
            size_bytes=volume.size_bytes if is_create else None,
            created=providers.utcnow(),
        )
    )


def snapshot_event(session: Session, providers: Providers, snapshot: Snapshot, *, created: bool) -> None:
    """Record SNAPSHOT.CREATE (with its size) or SNAPSHOT.DELETE."""
    session.add(
        UsageEvent(
            type=f"SNAPSHOT.{'CREATE' if created else 'DELETE'}",
            account_id=snapshot.account_id,
            zone_id=snapshot.zone_id,
            resource_id=snapshot.id,
            resource_name=snapshot.name,
            size_bytes=snapshot.size_bytes if created else None,
            created=providers.utcnow(),
        )
    )


def template_event(session: Session, providers: Providers, template: Template, *, created: bool) -> None:
    """Record TEMPLATE.CREATE or TEMPLATE.DELETE, of an ISO ISO.CREATE or ISO.DELETE, in each of its zones."""
    kind = "ISO" if template.format == "ISO" else "TEMPLATE"
    for zone_id in session.scalars(select(Zone.id).where(Zone.removed.is_(None)).order_by(Zone.id)):
        if template.is_in(zone_id):
            session.add(
                UsageEvent(
                    type=f"{kind}.{'CREATE' if created else 'DELETE'}",
                    account_id=template.account_id,
                    zone_id=zone_id,
                    resource_id=template.id,
                    resource_name=template.name,
                    size_bytes=template.size_bytes if created else None,
                    created=providers.utcnow(),
                )
            )
