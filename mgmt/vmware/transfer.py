"""A source VM as the transfer object that agents and API answers know: UnmanagedInstanceTO."""

from __future__ import annotations

from mgmt.protocol.commands.unmanaged import UnmanagedDisk, UnmanagedInstanceTO, UnmanagedNic
from mgmt.vmware.records import SourceDisk, SourceNic, SourceVm


def transfer_object(vm: SourceVm) -> UnmanagedInstanceTO:
    """The transfer object of `vm`; a thin record gives one without disks and NICs, not with empty lists."""
    return UnmanagedInstanceTO(
        name=vm.name,
        internalCSName=vm.internal_cs_name,
        path=vm.path,
        powerState=vm.power_state,
        cloneSourcePowerState=vm.clone_source_power_state,
        cpuCores=vm.cpu_cores,
        cpuCoresPerSocket=vm.cpu_cores_per_socket,
        memory=vm.memory_mb,
        cpuSpeed=vm.cpu_speed_mhz,
        operatingSystemId=vm.os_id,
        operatingSystem=vm.os,
        clusterName=vm.cluster_name,
        hostName=vm.host_name,
        disks=[_disk(disk) for disk in vm.disks] or None,
        nics=[_nic(nic) for nic in vm.nics] or None,
        bootType=vm.boot_type,
        bootMode=vm.boot_mode,
    )


def _disk(disk: SourceDisk) -> UnmanagedDisk:
    return UnmanagedDisk(
        diskId=disk.disk_id,
        label=disk.label,
        capacity=disk.capacity_bytes,
        fileBaseName=disk.file_base_name,
        imagePath=disk.image_path,
        controller=disk.controller,
        controllerUnit=disk.controller_unit,
        position=disk.position,
        chainInfo=disk.chain_info,
        datastoreName=disk.datastore_name,
        datastoreHost=disk.datastore_host,
        datastorePath=disk.datastore_path,
        datastorePort=disk.datastore_port,
        datastoreType=disk.datastore_type,
    )


def _nic(nic: SourceNic) -> UnmanagedNic:
    return UnmanagedNic(
        nicId=nic.nic_id,
        adapterType=nic.adapter_type,
        macAddress=nic.mac_address,
        network=nic.network,
        vlan=nic.vlan,
        pvlan=nic.pvlan,
        pvlanType=nic.pvlan_type,
        ipAddress=list(nic.ip_addresses) or None,
        pciSlot=nic.pci_slot,
    )
