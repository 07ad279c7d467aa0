"""A VM's properties as a `SourceVm`: the thin record of the list and the full one of an import."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mgmt.vmware.collector import Found
from mgmt.vmware.records import (
    BIOS,
    LEGACY,
    POWER_OFF,
    POWER_ON,
    POWER_UNKNOWN,
    SECURE,
    UEFI,
    SourceDisk,
    SourceHost,
    SourceNic,
    SourceVm,
)
from mgmt.vmware.sdk import moref

THIN_PATHS = (
    "name",
    "config.template",
    "runtime.powerState",
    "config.guestId",
    "config.guestFullName",
    "runtime.host",
    "config.bootOptions",
    "config.firmware",
)

FULL_PATHS = (
    "name",
    "parent",
    "datastore",
    "runtime.powerState",
    "runtime.host",
    "runtime.maxCpuUsage",
    "config.hardware.numCoresPerSocket",
    "config.hardware.device",
    "config.firmware",
    "config.bootOptions",
    "guest.guestId",
    "guest.guestFullName",
    "guest.toolsStatus",
    "guest.net",
    "summary.config.guestId",
    "summary.config.guestFullName",
    "summary.config.numCpu",
    "summary.config.memorySizeMB",
    "summary.config.cpuReservation",
)

_POWER_STATES: Mapping[str, str] = {"poweredOn": POWER_ON, "poweredOff": POWER_OFF}


def power_state(value: Any) -> str:
    """`PowerOn`, `PowerOff`, or `PowerUnknown` for a suspended VM and for no value."""
    return _POWER_STATES.get(str(value), POWER_UNKNOWN)


def boot_mode(boot_options: Any) -> str:
    """`SECURE` only when secure boot is on; an absent flag means `LEGACY`, also for UEFI."""
    return SECURE if getattr(boot_options, "efiSecureBootEnabled", None) is True else LEGACY


def boot_type(firmware: str | None) -> str:
    """`UEFI` for firmware `efi` in any case, else `BIOS`."""
    return UEFI if (firmware or "").lower() == "efi" else BIOS


def thin_record(vm: Found, hosts: Mapping[str, SourceHost]) -> SourceVm:
    """What the list shows of a VM; properties that vCenter left out stay None."""
    values = vm.values
    host_reference = vm.get("runtime.host")
    host = None if host_reference is None else hosts.get(moref(host_reference))
    return SourceVm(
        name=vm.get("name"),
        moref=moref(vm.reference),
        power_state=power_state(values.get("runtime.powerState")),
        suspended=str(values.get("runtime.powerState")) == "suspended",
        os_id=vm.get("config.guestId"),
        os=vm.get("config.guestFullName"),
        boot_type=boot_type(values["config.firmware"]) if vm.get("config.firmware") else None,
        boot_mode=boot_mode(values["config.bootOptions"]) if vm.get("config.bootOptions") else None,
        host_name=None if host is None else host.name,
        cluster_name=None if host is None else host.cluster_name,
    )


def full_record(
    vm: Found,
    *,
    host: SourceHost | None,
    path: str | None,
    internal_cs_name: str | None,
    disks: tuple[SourceDisk, ...],
    nics: tuple[SourceNic, ...],
) -> SourceVm:
    """Everything an import needs to know of a VM (upstream: VmwareHelper.getUnmanagedInstance)."""
    state = power_state(vm.get("runtime.powerState"))
    cores: int | None = vm.get("summary.config.numCpu")
    reservation: int | None = vm.get("summary.config.cpuReservation")
    max_usage_mhz: int | None = vm.get("runtime.maxCpuUsage")
    speed = reservation
    if state == POWER_ON and max_usage_mhz is not None and cores:
        speed = max_usage_mhz // cores
    return SourceVm(
        name=vm.get("name"),
        internal_cs_name=internal_cs_name,
        path=path,
        moref=moref(vm.reference),
        power_state=state,
        suspended=str(vm.get("runtime.powerState")) == "suspended",
        cpu_cores=cores,
        cpu_cores_per_socket=vm.get("config.hardware.numCoresPerSocket") or 1,
        cpu_speed_mhz=speed,
        cpu_reservation_mhz=reservation,
        memory_mb=vm.get("summary.config.memorySizeMB"),
        os_id=vm.get("guest.guestId") or vm.get("summary.config.guestId"),
        os=vm.get("guest.guestFullName") or vm.get("summary.config.guestFullName"),
        boot_type=boot_type(vm.get("config.firmware")),
        boot_mode=boot_mode(vm.get("config.bootOptions")),
        cluster_name=None if host is None else host.cluster_name,
        host_name=None if host is None else host.name,
        host_hypervisor_version=None if host is None else host.hypervisor_version,
        disks=disks,
        nics=nics,
    )
