"""What the server knows about a source VM: plain records, no pyvmomi.

The field names follow org.apache.cloudstack.vm.UnmanagedInstanceTO; a field that vCenter left out is None.
"""

from __future__ import annotations

from dataclasses import dataclass

POWER_ON = "PowerOn"
POWER_OFF = "PowerOff"
POWER_UNKNOWN = "PowerUnknown"

BIOS = "BIOS"
UEFI = "UEFI"
LEGACY = "LEGACY"
SECURE = "SECURE"

HYPERVISOR_TYPE = "VMware"


@dataclass(frozen=True, kw_only=True)
class SourceDisk:
    """A virtual disk. `image_path` is `[datastore] folder/file.vmdk`; `chain_info` is the disk chain as JSON text."""

    disk_id: str | None
    label: str | None
    capacity_bytes: int | None
    position: int | None = None
    image_path: str | None = None
    file_base_name: str | None = None
    chain_info: str | None = None
    controller: str = "none"
    controller_unit: int | None = None
    datastore_name: str | None = None
    datastore_host: str | None = None
    datastore_path: str | None = None
    datastore_type: str | None = None
    datastore_port: int = 0


@dataclass(frozen=True, kw_only=True)
class SourceNic:
    """A network adapter. `nic_id` is its label, such as `Network adapter 1`."""

    nic_id: str | None
    adapter_type: str
    mac_address: str | None
    network: str | None = None
    vlan: int | None = None
    pvlan: int | None = None
    pvlan_type: str | None = None
    ip_addresses: tuple[str, ...] = ()
    pci_slot: str | None = None


@dataclass(frozen=True, kw_only=True)
class SourceVm:
    """A VM of a vCenter, or (from the thin list) the part of it that the list shows.

    `path` is the folder path below the datacenter (`vm`, `vm/Prod/Web`), None inside a vApp. `cpu_speed_mhz` is the
    reservation of a stopped VM and the share of one core of a running one. `suspended` tells a suspended VM from other
    unknown power states. `clone_source_power_state` is set on clones only.
    """

    name: str | None = None
    internal_cs_name: str | None = None
    path: str | None = None
    moref: str | None = None
    power_state: str = POWER_UNKNOWN
    suspended: bool = False
    clone_source_power_state: str | None = None
    cpu_cores: int | None = None
    cpu_cores_per_socket: int | None = None
    cpu_speed_mhz: int | None = None
    cpu_reservation_mhz: int | None = None
    memory_mb: int | None = None
    os_id: str | None = None
    os: str | None = None
    boot_type: str | None = None
    boot_mode: str | None = None
    cluster_name: str | None = None
    host_name: str | None = None
    host_hypervisor_version: str | None = None
    hypervisor_type: str = HYPERVISOR_TYPE
    disks: tuple[SourceDisk, ...] = ()
    nics: tuple[SourceNic, ...] = ()


@dataclass(frozen=True, kw_only=True)
class SourceHost:
    """An ESXi host; `cluster_name` is None for a standalone one."""

    name: str
    moref: str
    cluster_name: str | None = None
    hypervisor_version: str | None = None
