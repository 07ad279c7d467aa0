"""VMs that CloudStack does not manage, as listUnmanagedInstances and listVmwareDcVms show them.

Upstream: server/.../api/ApiResponseHelper.createUnmanagedInstanceResponse.
"""

from __future__ import annotations

from typing import Any

from mgmt.commands.fields import Out, Response
from mgmt.commands.responses.user_vm import NicResponse
from mgmt.protocol.commands.unmanaged import UnmanagedDisk, UnmanagedInstanceTO, UnmanagedNic
from mgmt.store.models import Cluster, Host
from mgmt.vmware.records import POWER_UNKNOWN


class UnmanagedInstanceDiskResponse(Response):
    """A disk of a VM that is not managed."""

    catalogue = "UnmanagedInstanceDiskResponse"

    id = Out("string", "the hypervisor's id of the disk")
    label = Out("string", "what the hypervisor calls the disk")
    capacity = Out("long", "virtual size in bytes")
    imagepath = Out("string", "path of the disk file, as the hypervisor writes it")
    controller = Out("string", "kind of controller that the disk hangs on")
    controllerunit = Out("integer", "number of that controller")
    position = Out("integer", "place of the disk on its controller")
    datastorename = Out("string", "name of the storage that holds the file")
    datastorehost = Out("string", "server of that storage, for NFS")
    datastorepath = Out("string", "path on that server, for NFS")
    datastoretype = Out("string", "kind of that storage")
    jobid = Out("string", "UUID of the job under way for it")
    jobstatus = Out("integer", "state of that job: 0 while it runs")


class UnmanagedInstanceResponse(Response):
    """A VM that is not managed."""

    catalogue = "UnmanagedInstanceResponse"

    name = Out("string", "name of the VM")
    clusterid = Out("string", "UUID of the CloudStack cluster; not for a VM of another vCenter")
    clustername = Out("string", "name of the cluster that the VM is in")
    hostid = Out("string", "UUID of the CloudStack host; not for a VM of another vCenter")
    hostname = Out("string", "name of the host that the VM is on")
    powerstate = Out("string", "PowerOn, PowerOff or PowerUnknown")
    cpunumber = Out("integer", "number of virtual CPUs")
    cpucorepersocket = Out("integer", "cores that each CPU socket has")
    cpuspeed = Out("integer", "speed of a CPU in MHz")
    memory = Out("integer", "memory in MB")
    osid = Out("string", "the hypervisor's id of the guest system")
    osdisplayname = Out("string", "name of the guest system")
    disk = Out("set", "disks of the VM", nested=UnmanagedInstanceDiskResponse)
    nic = Out("set", "NICs of the VM", nested=NicResponse)
    bootmode = Out("string", "LEGACY, or SECURE with secure boot")
    boottype = Out("string", "BIOS or UEFI")
    jobid = Out("string", "UUID of the job under way for it")
    jobstatus = Out("integer", "state of that job: 0 while it runs")


def unmanaged_instance_view(
    instance: UnmanagedInstanceTO, *, cluster: Cluster | None = None, host: Host | None = None
) -> dict[str, Any]:
    """The response fields of `instance`; `cluster` and `host` are CloudStack's own, when it is on one of them.

    Source VMs of a vCenter come as `mgmt.vmware.transfer.transfer_object(vm)`.
    """
    return {
        "name": instance.name,
        "clusterid": None if cluster is None else cluster.uuid,
        "clustername": instance.clusterName if cluster is None else cluster.name,
        "hostid": None if host is None else host.uuid,
        "hostname": instance.hostName if host is None else host.name,
        "powerstate": instance.powerState or POWER_UNKNOWN,
        "cpunumber": instance.cpuCores,
        "cpucorepersocket": instance.cpuCoresPerSocket,
        "cpuspeed": instance.cpuSpeed,
        "memory": instance.memory,
        "osid": instance.operatingSystemId,
        "osdisplayname": instance.operatingSystem,
        "disk": [_disk_view(disk) for disk in instance.disks or ()],
        "nic": [_nic_view(nic) for nic in instance.nics or ()],
        "bootmode": instance.bootMode,
        "boottype": instance.bootType,
    }


def _disk_view(disk: UnmanagedDisk) -> dict[str, Any]:
    return {
        "id": disk.diskId,
        "label": disk.label or None,
        "capacity": disk.capacity,
        "imagepath": disk.imagePath,
        "controller": disk.controller,
        "controllerunit": disk.controllerUnit,
        "position": disk.position,
        "datastorename": disk.datastoreName,
        "datastorehost": disk.datastoreHost,
        "datastorepath": disk.datastorePath,
        "datastoretype": disk.datastoreType,
    }


def _nic_view(nic: UnmanagedNic) -> dict[str, Any]:
    return {
        "id": nic.nicId,
        "networkname": nic.network,
        "macaddress": nic.macAddress,
        "adaptertype": nic.adapterType or None,
        "ipaddresses": list(nic.ipAddress) if nic.ipAddress else None,
        "vlanid": nic.vlan,
        "isolatedpvlan": nic.pvlan,
        "isolatedpvlantype": nic.pvlanType,
    }
