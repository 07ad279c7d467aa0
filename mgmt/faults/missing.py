"""Rows of the catalogue that cannot be had by name yet: what each would be, and what it waits for."""

from __future__ import annotations

from collections.abc import Mapping

WARM = "the warm import, which this server does not have"
OLD = "the behaviour of a release before 4.22"
BOOT = "guests that boot"

MISSING: Mapping[str, tuple[str, str]] = {
    "F-11": ("pool.local_host_mismatch", "a proof on a pool of one host"),
    "F-17": ("vcenter.list_slow", "a proof with a client's time-out"),
    "F-18": ("vcenter.standalone_host", OLD),
    "F-29": ("ovf.tool_missing_npe", OLD),
    "F-31": ("ovf.ms_mkdir", "a point in the server's own export"),
    "F-34": ("ovf.export_lease_timeout", "a point in the lease of an export"),
    "F-74": ("manager.restart", "a proof on a database that is kept"),
    "F-78": ("copy.pool_not_on_host", "a point at the look-up of a pool"),
    "F-81": ("disk.order_by_unit", OLD),
    "F-82": ("disk.wrong_root", "a proof with disks detached and attached again"),
    "F-87": ("template.dummy_removed", OLD),
    "F-88": ("vm.error_undeletable", "a point in the registration"),
    "F-89": ("vm.no_nics", "a proof with an empty list of NICs"),
    "F-92": ("boot.no_device", BOOT),
    "F-93": ("boot.machine_type", BOOT),
    "F-94": ("boot.firmware_lost", BOOT),
    "F-95": ("boot.tpm_bitlocker", BOOT),
    "F-96": ("boot.os_type_default", BOOT),
    "F-97": ("boot.static_ip_lost", BOOT),
    "F-98": ("boot.crash_consistent", BOOT),
    "F-99": ("boot.stale_base_disk", BOOT),
    "F-101": ("cbt.not_enabled", WARM),
    "F-102": ("cbt.bad_change_id", WARM),
    "F-103": ("cbt.snapshot_limit", WARM),
    "F-104": ("cbt.vss_off", WARM),
    "F-105": ("cbt.foreign_snapshot", WARM),
    "F-106": ("cbt.never_converges", WARM),
    "F-107": ("cbt.no_vddk", WARM),
    "F-108": ("cbt.privileges", WARM),
}
