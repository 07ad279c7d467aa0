"""How long an import will take, by the time model of the simulated hosts (fault-catalogue 4): rates in MiB/s.

vCenter does not tell how much of a disk is allocated, so whole disks are counted: the numbers are upper bounds.
"""

from __future__ import annotations

from collections.abc import Sequence

MIB = 1024**2
TIB = 1024**4
DISK_STREAM_MIB_S = 100.0
ESXI_LIMIT_MIB_S = 284.0
HTTPS_STREAM_MIB_S = 53.0
COPY_MIB_S = 200.0
FIXED_LINUX_S = 60.0
FIXED_WINDOWS_S = 120.0
EXTENT_S_PER_TIB = 30.0


def copy_s(size_bytes: int) -> float:
    """Seconds until a disk of another KVM host is converted there and copied into its pool."""
    return 2 * size_bytes / (COPY_MIB_S * MIB)


def predicted_s(disks: Sequence[int], *, use_vddk: bool, windows: bool, threads: int, force_to_pool: bool) -> float:
    """Seconds until disks of these sizes (bytes) are converted and in their pools, with the ESXi host to themselves."""
    total = sum(disks)
    move_s = total / (COPY_MIB_S * MIB)
    fixed_s = FIXED_WINDOWS_S if windows else FIXED_LINUX_S
    if use_vddk:
        convert_s = fixed_s + total / TIB * EXTENT_S_PER_TIB + total / (DISK_STREAM_MIB_S * MIB)
    else:
        export_rate = min(HTTPS_STREAM_MIB_S * max(1, threads), ESXI_LIMIT_MIB_S) * MIB
        convert_s = total / export_rate + fixed_s + 2 * move_s
    return convert_s + (0.0 if force_to_pool else move_s)
