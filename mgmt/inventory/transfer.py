"""VMs, volumes and NICs as hosts get them, from the records: what every command that carries them has in common.

Upstream: server/.../hypervisor/HypervisorGuruBase.java and KVMGuru.java (toVirtualMachineTO, toNicTO), VolumeObjectTO's
constructor, PrimaryDataStoreTO. Field values as recorded from a real server.
"""

from __future__ import annotations

from typing import Protocol

from mgmt.protocol.commands import NicTO, PrimaryDataStoreTO, StorageFilerTO, VirtualMachineTO, VolumeObjectTO
from mgmt.store.models import Nic, StoragePool, VmInstance, Volume

MIB = 1024 * 1024
NETWORK_RATE_MBPS = 200  # the default of setting network.throttling.rate
# The defaults of the settings network.promiscuous.mode and its like, which every NIC carries.
MAC_POLICIES = {
    "ForgedTransmits": "true",
    "PromiscuousMode": "false",
    "MacLearning": "false",
    "MacAddressChanges": "true",
}


class PoolLike(Protocol):
    """A storage pool: its record, or what an import knows of it."""

    @property
    def id(self) -> int: ...
    @property
    def uuid(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def pool_type(self) -> str: ...
    @property
    def host_address(self) -> str: ...
    @property
    def path(self) -> str: ...
    @property
    def port(self) -> int: ...
    @property
    def managed(self) -> bool: ...


def pool_to(pool: PoolLike) -> PrimaryDataStoreTO:
    """A pool as the place of a volume."""
    path = pool.path.lstrip("/")
    return PrimaryDataStoreTO(
        uuid=pool.uuid,
        name=pool.name,
        id=pool.id,
        poolType=pool.pool_type,
        host=pool.host_address,
        path=pool.path,
        port=pool.port,
        url=f"{pool.pool_type}://{pool.host_address}/{path}/?ROLE=Primary&STOREUUID={pool.uuid}",
        isManaged=pool.managed,
    )


def filer_to(pool: StoragePool) -> StorageFilerTO:
    """A pool as the commands carry it that know files by their names in it."""
    return StorageFilerTO(
        id=pool.id,
        uuid=pool.uuid,
        host=pool.host_address,
        path=pool.path,
        userInfo=pool.user_info,
        port=pool.port,
        type=pool.pool_type,
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


def machine_to(vm: VmInstance, *, is_start: bool) -> VirtualMachineTO:
    """A VM with its NICs and without disks; memory in bytes, speeds in MHz, the boot mode as its detail has it."""
    memory_bytes = vm.memory_mb * MIB
    details = {detail.name: detail.value for detail in vm.details}
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
        details=details,
        uuid=vm.uuid,
        bootType="UEFI" if "UEFI" in details else None,
        bootMode=details.get("UEFI"),
        disks=[],
        nics=[nic_to(nic, is_start=is_start) for nic in vm.nics if nic.removed is None],
        vcpuMaxLimit=vm.cpu_number,
        configDriveLocation="SECONDARY",
        guestOsDetails={},
        extraConfig={},
        networkIdToNetworkNameMap={},
    )
