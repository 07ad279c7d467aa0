"""VMs on a host that CloudStack does not manage (yet)."""

from __future__ import annotations

from mgmt.protocol.records import Answer, Command, Record, wire


@wire("org.apache.cloudstack.vm", "UnmanagedInstanceTO$Disk")
class UnmanagedDisk(Record, kw_only=True):
    """A disk, `capacity` in bytes."""

    diskId: str | None = None
    label: str | None = None
    capacity: int | None = None
    fileBaseName: str | None = None
    imagePath: str | None = None
    controller: str | None = None
    controllerUnit: int | None = None
    position: int | None = None
    chainInfo: str | None = None
    datastoreName: str | None = None
    datastoreHost: str | None = None
    datastorePath: str | None = None
    datastorePort: int = 0
    datastoreType: str | None = None


@wire("org.apache.cloudstack.vm", "UnmanagedInstanceTO$Nic")
class UnmanagedNic(Record, kw_only=True):
    """A network card."""

    nicId: str | None = None
    adapterType: str | None = None
    macAddress: str | None = None
    network: str | None = None
    vlan: int | None = None
    pvlan: int | None = None
    pvlanType: str | None = None
    ipAddress: list[str] | None = None
    pciSlot: str | None = None


@wire("org.apache.cloudstack.vm")
class UnmanagedInstanceTO(Record, kw_only=True):
    """A VM as its host describes it: `memory` in MiB, `cpuSpeed` in MHz."""

    name: str | None = None
    internalCSName: str | None = None
    path: str | None = None
    powerState: str | None = None
    cloneSourcePowerState: str | None = None
    cpuCores: int | None = None
    cpuCoresPerSocket: int | None = None
    memory: int | None = None
    cpuSpeed: int | None = None
    operatingSystemId: str | None = None
    operatingSystem: str | None = None
    clusterName: str | None = None
    hostName: str | None = None
    disks: list[UnmanagedDisk] | None = None
    nics: list[UnmanagedNic] | None = None
    vncPassword: str | None = None
    bootType: str | None = None
    bootMode: str | None = None


@wire("com.cloud.agent.api")
class GetUnmanagedInstancesCommand(Command, kw_only=True):
    """List the VMs but the managed ones, or the one of that name."""

    instanceName: str | None = None
    managedInstancesNames: list[str] | None = None


@wire("com.cloud.agent.api")
class GetUnmanagedInstancesAnswer(Answer, kw_only=True):
    """The VMs by name."""

    instanceName: str | None = None
    unmanagedInstances: dict[str, UnmanagedInstanceTO] | None = None
