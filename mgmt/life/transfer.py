"""VMs, disks and NICs as hosts get them, from the records.

Upstream: server/.../hypervisor/HypervisorGuruBase.java and KVMGuru.java (toVirtualMachineTO, toNicTO), VolumeObjectTO's
constructor, PrimaryDataStoreTO. Field values as recorded from a real server.
"""

from __future__ import annotations

from sqlalchemy.orm import Session

from mgmt.inventory.settings import GlobalSettings
from mgmt.life.records import details_of, live_volumes
from mgmt.protocol.commands import DiskTO, NicTO, PrimaryDataStoreTO, TemplateObjectTO, VirtualMachineTO, VolumeObjectTO
from mgmt.store.models import Nic, StoragePool, VmInstance, Volume

MIB = 1024 * 1024
CDROM_SEQUENCE = 3
DISK_WAIT_SETTING = "storage.pool.disk.wait"
NETWORK_RATE_MBPS = 200  # the default of setting network.throttling.rate
MANUFACTURER = "Apache Software Foundation"
PRODUCT_NAME = "CloudStack KVM Hypervisor"
# The defaults of the settings network.promiscuous.mode and its like, which every NIC carries.
MAC_POLICIES = {
    "ForgedTransmits": "true",
    "PromiscuousMode": "false",
    "MacLearning": "false",
    "MacAddressChanges": "true",
}


def pool_to(pool: StoragePool) -> PrimaryDataStoreTO:
    """A pool as the place of a volume."""
    return PrimaryDataStoreTO(
        uuid=pool.uuid,
        name=pool.name,
        id=pool.id,
        poolType=pool.pool_type,
        host=pool.host_address,
        path=pool.path,
        port=pool.port,
        url=f"{pool.pool_type}://{pool.host_address}{pool.path}/?ROLE=Primary&STOREUUID={pool.uuid}",
        isManaged=pool.managed,
    )


def volume_to(volume: Volume, vm: VmInstance | None, *, with_limits: bool = False) -> VolumeObjectTO:
    """A volume; `with_limits` writes the I/O limits (0: none), which go along when a VM starts."""
    limit = 0 if with_limits else None
    return VolumeObjectTO(
        uuid=volume.uuid,
        volumeType=volume.volume_type,
        dataStore=pool_to(volume.pool) if volume.pool is not None else None,
        name=volume.name,
        size=volume.size_bytes,
        path=volume.path,
        volumeId=volume.id,
        vmName=vm.instance_name if vm is not None else None,
        accountId=volume.account_id,
        chainInfo=volume.chain_info,
        format=volume.format,
        provisioningType=volume.provisioning_type.upper(),
        poolId=volume.pool_id,
        id=volume.id,
        deviceId=volume.device_id,
        bytesReadRate=limit,
        bytesWriteRate=limit,
        iopsReadRate=limit,
        iopsWriteRate=limit,
        hypervisorType="KVM",
        passphrase=[],
        checkpointPaths=[],
        checkpointImageStoreUrls=[],
    )


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


def segment_name(nic: Nic) -> str:
    """The name of the NIC's network segment: `D1-A2-Z1-S209`."""
    network = nic.network
    return f"D{network.domain_id}-A{network.account_id}-Z{network.zone_id}-S{network.id}"


def nic_to(nic: Nic, *, is_start: bool) -> NicTO:
    """A NIC; rate and name servers go along at a start only."""
    network = nic.network
    uri = f"vlan://{network.vlan}" if network.vlan else None
    return NicTO(
        deviceId=nic.device_id,
        networkRateMbps=NETWORK_RATE_MBPS if is_start else None,
        defaultNic=nic.is_default,
        nicUuid=nic.uuid,
        details=dict(MAC_POLICIES),
        networkId=network.id,
        networkSegmentName=segment_name(nic),
        uuid=network.uuid,
        ip=nic.ip4_address,
        netmask=nic.netmask,
        gateway=nic.gateway,
        mac=nic.mac_address,
        dns1=(network.dns1 or network.zone.dns1) if is_start else None,
        dns2=network.zone.dns2 if is_start and not network.dns1 else None,
        broadcastType="Vlan" if uri else "Native",
        type=network.traffic_type,
        broadcastUri=nic.broadcast_uri or uri,
        isolationUri=nic.isolation_uri or uri,
    )


def vm_to(session: Session, vm: VmInstance, settings: GlobalSettings, *, is_start: bool) -> VirtualMachineTO:
    """A VM: at a start (and a move) with its disks and all about its networks, for a reboot without them."""
    nics = [nic for nic in vm.nics if nic.removed is None]
    disks = [disk_to(volume, vm, settings) for volume in live_volumes(session, vm.id)] if is_start else []
    details = details_of(vm)
    speed_mhz, memory_bytes = vm.cpu_speed_mhz, vm.memory_mb * MIB
    is_uefi = "UEFI" in details
    return VirtualMachineTO(
        id=vm.id,
        name=vm.instance_name,
        state=vm.state,
        type="User",
        cpus=vm.cpu_number,
        minSpeed=speed_mhz,
        maxSpeed=speed_mhz,
        minRam=memory_bytes,
        maxRam=memory_bytes,
        arch="x86_64",
        os=vm.guest_os.display_name,
        platformEmulator=vm.guest_os.display_name,
        bootArgs="",
        enableHA=bool(vm.service_offering.offer_ha if vm.ha_enabled is None else vm.ha_enabled),
        limitCpuUse=vm.service_offering.limit_cpu_use,
        vncPassword=vm.vnc_password,
        details=details,
        uuid=vm.uuid,
        bootType="UEFI" if is_uefi else None,
        bootMode=details["UEFI"].upper() if is_uefi else None,
        disks=[*disks, empty_cdrom()] if is_start else [],
        nics=[nic_to(nic, is_start=is_start) for nic in nics],
        vcpuMaxLimit=vm.cpu_number,
        configDriveLocation="SECONDARY",
        guestOsDetails={},
        extraConfig={},
        networkIdToNetworkNameMap={nic.network_id: segment_name(nic) for nic in nics} if is_start else {},
        metadataManufacturer=MANUFACTURER if is_start else None,
        metadataProductName=PRODUCT_NAME if is_start else None,
    )


def vlan_persistence(vm: VmInstance) -> dict[str, bool] | None:
    """For each VLAN of the VM whether its bridge may go when no VM is left on it: no offering here is persistent."""
    vlans = {nic.network.vlan: True for nic in vm.nics if nic.removed is None and nic.network.vlan}
    return vlans or None
