"""VMs and their disks as hosts get them to run them.

Upstream: server/.../hypervisor/HypervisorGuruBase.java and KVMGuru.java (toVirtualMachineTO). Field values as recorded
from a real server.
"""

from __future__ import annotations

from sqlalchemy.orm import Session

from mgmt.inventory.settings import GlobalSettings
from mgmt.inventory.transfer import machine_to, segment_name, volume_to
from mgmt.life.records import live_volumes
from mgmt.protocol.commands import DiskTO, TemplateObjectTO, VirtualMachineTO
from mgmt.store.models import VmInstance, Volume

CDROM_SEQUENCE = 3
DISK_WAIT_SETTING = "storage.pool.disk.wait"
MANUFACTURER = "Apache Software Foundation"
PRODUCT_NAME = "CloudStack KVM Hypervisor"


def disk_to(volume: Volume, vm: VmInstance, settings: GlobalSettings) -> DiskTO:
    """A volume as a disk of `vm`, with what a host must know to reach its pool."""
    pool = volume.pool
    details = {"volumeSize": str(volume.size_bytes)}
    if pool is not None:
        details = {
            "storageHost": pool.host_address,
            "managed": str(pool.managed).lower(),
            "storagePort": str(pool.port),
            "protocoltype": pool.pool_type,
            "storage.pool.disk.wait": str(settings.get_int(DISK_WAIT_SETTING, scope="StoragePool", scope_id=pool.id)),
        } | details
    return DiskTO(
        data=volume_to(volume, vm, with_limits=True),
        diskSeq=volume.device_id,
        path=volume.path,
        type=volume.volume_type,
        details=details,
    )


def empty_cdrom() -> DiskTO:
    """The empty CD-ROM drive that every VM starts with."""
    return DiskTO(data=TemplateObjectTO(format="ISO"), diskSeq=CDROM_SEQUENCE, type="ISO")


def vm_to(session: Session, vm: VmInstance, settings: GlobalSettings, *, is_start: bool) -> VirtualMachineTO:
    """A VM: at a start (and a move) with its disks and all about its networks, for a reboot without them."""
    machine = machine_to(vm, is_start=is_start)
    machine.enableHA = bool(vm.service_offering.offer_ha if vm.ha_enabled is None else vm.ha_enabled)
    machine.vncPassword = vm.vnc_password
    machine.bootMode = machine.bootMode.upper() if machine.bootMode is not None else None
    if is_start:
        disks = [disk_to(volume, vm, settings) for volume in live_volumes(session, vm.id)]
        machine.disks = [*disks, empty_cdrom()]
        machine.networkIdToNetworkNameMap = {
            nic.network_id: segment_name(nic) for nic in vm.nics if nic.removed is None
        }
        machine.metadataManufacturer, machine.metadataProductName = MANUFACTURER, PRODUCT_NAME
    return machine


def vlan_persistence(vm: VmInstance) -> dict[str, bool] | None:
    """For each VLAN of the VM whether its bridge may go when no VM is left on it: no offering here is persistent."""
    vlans = {nic.network.vlan: True for nic in vm.nics if nic.removed is None and nic.network.vlan}
    return vlans or None
