"""What the agent finds out about its host: the probes of the conversion's tools.

Upstream: LibvirtComputingResource.hostSupportsInstanceConversion and its neighbours; LibvirtReadyCommandWrapper.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from agent_sim.host import HostDescription
from agent_sim.storage import HostFiles
from agent_sim.toolchain.options import help_text, password_options

_VDDK_DIRECTORY_NAME = "vmware-vix-disklib-distrib"


@dataclass(frozen=True)
class Capabilities:
    """The findings of one start of the agent. `vddk_lib_dir` is the valid directory, None without one."""

    instance_conversion: bool
    virt_v2v_version: str
    ovf_export: bool
    ovftool_version: str
    windows_conversion: bool
    uefi: bool
    vddk_lib_dir: str | None
    vddk_version: str | None
    password_option: str | None

    def supports_vddk(self, lib_dir: str | None) -> bool:
        """Whether VDDK works with this (valid) library directory."""
        return self.instance_conversion and lib_dir is not None and bool(self.vddk_version)

    def startup_details(self) -> dict[str, str]:
        """The conversion keys of the Startup's `hostDetails`."""
        details = {"host.instance.conversion": _text(self.instance_conversion)}
        return {**details, **self._versions()}

    def ready_details(self) -> dict[str, str]:
        """The ReadyAnswer's details, as 4.22.1 sends them."""
        details = self._versions()
        if self.uefi:
            details["host.uefi.enable"] = "true"
        details["host.vddk.support"] = _text(self.supports_vddk(self.vddk_lib_dir))
        if self.vddk_lib_dir:
            details["vddk.lib.dir"] = self.vddk_lib_dir
        if self.vddk_version:
            details["host.vddk.version"] = self.vddk_version
        return details

    def _versions(self) -> dict[str, str]:
        details = {}
        if self.instance_conversion:
            details["host.virtv2v.version"] = self.virt_v2v_version
        if self.ovf_export:
            details["host.ovftool.version"] = self.ovftool_version
        return details


def _text(value: bool) -> str:
    return "true" if value else "false"


def probe(host: HostDescription, files: HostFiles) -> Capabilities:
    """What an agent that starts now finds. Walks the host's tree when no library directory is configured."""
    tools = host.tools
    conversion = tools.virt_v2v is not None and not (host.os.is_debian_family and tools.nbdkit is None)
    options = tools.password_options
    if options is None:
        options = password_options(tools.virt_v2v) if tools.virt_v2v else ()
    lib_dir = host.properties.vddk_lib_dir
    if lib_dir is None or not is_vddk_directory(files, lib_dir):
        # a configured directory that is not valid counts as not configured
        lib_dir = _detect_vddk_directory(files)
    has_plugin = tools.nbdkit is not None and tools.nbdkit_vddk_plugin is not None
    return Capabilities(
        instance_conversion=conversion,
        virt_v2v_version=(tools.virt_v2v or "").split(",")[0],
        ovf_export=tools.ovftool is not None,
        ovftool_version=tools.ovftool or "",
        windows_conversion=tools.virtio_win,
        uefi=tools.ovmf,
        vddk_lib_dir=lib_dir,
        vddk_version=tools.nbdkit_vddk_plugin if has_plugin else None,
        password_option=_password_option(help_text(options)),
    )


def probe_tools(known: Capabilities, host: HostDescription) -> Capabilities:
    """The findings after another look at the tools; what has to do with VDDK was found once, at the agent's start."""
    tools = host.tools
    return replace(
        known,
        instance_conversion=tools.virt_v2v is not None and not (host.os.is_debian_family and tools.nbdkit is None),
        virt_v2v_version=(tools.virt_v2v or "").split(",")[0],
        ovf_export=tools.ovftool is not None,
        ovftool_version=tools.ovftool or "",
        windows_conversion=tools.virtio_win,
        uefi=tools.ovmf,
    )


def _password_option(text: str) -> str | None:
    if "-ip <filename>" in text:
        return "-ip"
    return "--password-file" if "--password-file" in text else None


def is_vddk_directory(files: HostFiles, path: str) -> bool:
    """Whether `lib64` below the directory holds a file whose name begins with `libvixDiskLib.so`."""
    if not PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts:
        return False
    lib64 = files.real(path) / "lib64"
    return lib64.is_dir() and any(entry.name.startswith("libvixDiskLib.so") for entry in lib64.iterdir())


def _detect_vddk_directory(files: HostFiles) -> str | None:
    """`find / -type d -name vmware-vix-disklib-distrib | head -n 1`: only the first hit counts, and only if valid."""
    for folder, names, _ in os.walk(files.root):
        names.sort()
        if _VDDK_DIRECTORY_NAME in names:
            found = f"/{(Path(folder) / _VDDK_DIRECTORY_NAME).relative_to(files.root)}"
            return found if is_vddk_directory(files, found) else None
    return None
