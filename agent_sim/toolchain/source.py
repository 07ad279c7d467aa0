"""The machine that is converted, as the tools see it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class SourceDisk:
    label: str
    capacity_bytes: int
    allocated_bytes: int
    file: str = ""
    """Where vCenter has it, as `[datastore] folder/name.vmdk`; empty where nobody tells."""


@dataclass(frozen=True)
class SourceNic:
    network: str | None
    mac: str | None = None


@dataclass(frozen=True)
class SourceMachine:
    """A VM in vCenter or in an OVF directory. `memory_mb` is in MiB."""

    name: str
    guest_os: str
    cpus: int
    memory_mb: int
    uefi: bool
    secure_boot: bool
    disks: tuple[SourceDisk, ...]
    nics: tuple[SourceNic, ...]
    esxi_host: str = ""
    powered_on: bool = False
    isos: tuple[str, ...] = ()
    """The images in its CD-ROM drives, as `[datastore] path`."""
    lost_iso: str | None = None
    """The one of them that vCenter cannot deliver, for whoever exports the VM."""

    @property
    def is_windows(self) -> bool:
        return "windows" in self.guest_os.lower()
