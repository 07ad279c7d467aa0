"""Usage events: what an account is charged for, and when it began and ended.

Upstream: server/.../vm/UserVmManagerImpl.generateUsageEvent, event/UsageEventUtils.java.
"""

from __future__ import annotations

from sqlalchemy.orm import Session

from mgmt.providers import Providers
from mgmt.store.models import UsageEvent, VmInstance, Volume


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
    """Record VOLUME.CREATE (with offering, template and size) or VOLUME.DELETE."""
    is_create = type_ == "VOLUME.CREATE"
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
