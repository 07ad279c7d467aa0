"""A stopped VM as the host gets it that shall keep it as a domain (agent-commands 6.2b, as recorded).

Upstream: server/.../hypervisor/HypervisorGuruBase.toVirtualMachineTO, UnmanagedVMsManagerImpl.
"""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from mgmt.protocol.commands import DiskTO, NicTO, PrimaryDataStoreTO, VirtualMachineTO, VolumeObjectTO
from mgmt.store.models import Nic, StoragePool, VmInstance, Volume

MIB = 1024 * 1024
VNC_PASSWORD_DETAIL = "kvm.vnc.password"
# The defaults of the settings network.promiscuous.mode and its like, which every NIC carries.
MAC_POLICIES = {
    "ForgedTransmits": "true",
    "PromiscuousMode": "false",
    "MacLearning": "false",
    "MacAddressChanges": "true",
}


def vm_spec(session: Session, vm_id: int) -> VirtualMachineTO:
    """The VM with its disks and NICs; memory in bytes, speeds in MHz."""
    vm = session.get_one(VmInstance, vm_id)
    details = {detail.name: detail.value for detail in vm.details}
    volumes = session.scalars(
        select(Volume).where(Volume.vm_id == vm_id, Volume.removed.is_(None)).order_by(Volume.device_id)
    )
    memory_bytes = vm.memory_mb * MIB
    return VirtualMachineTO(
        id=vm.id,
        name=vm.instance_name,
        state=vm.state,
        type="User",
        cpus=vm.cpu_number,
        minSpeed=vm.cpu_speed_mhz,
        maxSpeed=vm.cpu_speed_mhz,
        minRam=memory_bytes,
        maxRam=memory_bytes,
        arch="x86_64",
        os=vm.guest_os.display_name,
        platformEmulator=vm.guest_os.display_name,
        bootArgs="",
        enableHA=vm.service_offering.offer_ha,
        limitCpuUse=vm.service_offering.limit_cpu_use,
        vncPassword=details.get(VNC_PASSWORD_DETAIL),
        details=details,
        uuid=vm.uuid,
        bootType="UEFI" if "UEFI" in details else None,
        bootMode=details.get("UEFI"),
        disks=[_disk(volume, vm) for volume in volumes],
        nics=[_nic(nic) for nic in vm.nics if nic.removed is None],
        vcpuMaxLimit=vm.cpu_number,
        configDriveLocation="SECONDARY",
        guestOsDetails={},
        extraConfig={},
        networkIdToNetworkNameMap={},
    )


def _disk(volume: Volume, vm: VmInstance) -> DiskTO:
    data = VolumeObjectTO(
        uuid=volume.uuid,
        volumeType=volume.volume_type,
        dataStore=_store(volume.pool) if volume.pool is not None else None,
        name=volume.name,
        size=volume.size_bytes,
        path=volume.path,
        volumeId=volume.id,
        vmName=vm.instance_name,
        accountId=volume.account_id,
        chainInfo=volume.chain_info,
        format=volume.format,
        provisioningType=volume.provisioning_type.upper(),
        poolId=volume.pool_id,
        id=volume.id,
        deviceId=volume.device_id,
        bytesReadRate=0,
        bytesWriteRate=0,
        iopsReadRate=0,
        iopsWriteRate=0,
        hypervisorType="KVM",
        passphrase=[],
        checkpointPaths=[],
        checkpointImageStoreUrls=[],
    )
    return DiskTO(data=data, diskSeq=volume.device_id, path=volume.path, type=volume.volume_type)


def _store(pool: StoragePool) -> PrimaryDataStoreTO:
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


def _nic(nic: Nic) -> NicTO:
    network = nic.network
    uri = f"vlan://{network.vlan}" if network.vlan else None
    return NicTO(
        deviceId=nic.device_id,
        defaultNic=nic.is_default,
        nicUuid=nic.uuid,
        details=dict(MAC_POLICIES),
        networkId=network.id,
        networkSegmentName=f"D{network.domain_id}-A{network.account_id}-Z{network.zone_id}-S{network.id}",
        uuid=network.uuid,
        ip=nic.ip4_address,
        netmask=nic.netmask,
        gateway=nic.gateway,
        mac=nic.mac_address,
        broadcastType="Vlan" if uri else "Native",
        type=network.traffic_type,
        broadcastUri=nic.broadcast_uri or uri,
        isolationUri=nic.isolation_uri or uri,
    )
