"""A stopped VM as the host gets it that shall keep it as a domain (agent-commands 6.2b, as recorded).

Upstream: server/.../hypervisor/HypervisorGuruBase.toVirtualMachineTO, UnmanagedVMsManagerImpl.
"""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from mgmt.inventory.transfer import machine_to, volume_to
from mgmt.protocol.commands import DiskTO, VirtualMachineTO
from mgmt.store.models import VmInstance, Volume

VNC_PASSWORD_DETAIL = "kvm.vnc.password"


def vm_spec(session: Session, vm: VmInstance) -> VirtualMachineTO:
    """The VM with its disks and NICs; memory in bytes, speeds in MHz."""
    machine = machine_to(vm, is_start=False)
    machine.vncPassword = machine.details.get(VNC_PASSWORD_DETAIL) if machine.details else None
    volumes = session.scalars(
        select(Volume).where(Volume.vm_id == vm.id, Volume.removed.is_(None)).order_by(Volume.device_id)
    )
    machine.disks = [
        DiskTO(
            data=volume_to(volume, vm, with_limits=True),
            diskSeq=volume.device_id,
            path=volume.path,
            type=volume.volume_type,
        )
        for volume in volumes
    ]
    return machine
