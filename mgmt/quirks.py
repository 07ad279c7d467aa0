"""Upstream defects that a caller can see, as named switches.

The server is faithful by default: each defect is there. `--fix NAME` (or `--fix all`) gives the repaired behaviour.
Code asks `quirks.is_faithful(NULL_TASK_ERROR_TEXT)`; the true reason is always written to the log and the journal.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

NULL_TASK_ERROR_TEXT = "null-task-error-text"
LAST_PINGED_UNIT = "last-pinged-unit"
EXPORT_ERROR_TEXT = "export-error-text"
EXPORT_LOST_DISK = "export-lost-disk"

KNOWN: Mapping[str, str] = {
    NULL_TASK_ERROR_TEXT: (
        "importVm failures before the import task exists end with a Java null-pointer text instead of the reason "
        "(UnmanagedVMsManagerImpl, ImportVmTasksManagerImpl.updateImportVMTaskErrorState)"
    ),
    LAST_PINGED_UNIT: (
        "listHosts shows lastpinged as a date of January 1970: the stored number counts units of 1024 ms and is read "
        "as milliseconds (HostVO.lastPinged, HostJoinDaoImpl)"
    ),
    EXPORT_ERROR_TEXT: (
        "a failed OVF export by the management server ends with `Unable to finish the whole process to package as a "
        "OVA file`, or with vCenter's complaint about the spent lease, instead of the reason "
        "(VirtualMachineMO.exportVm)"
    ),
    EXPORT_LOST_DISK: (
        "when the management server downloads the disks of a VM in parallel, one that fails is left out of the OVF and "
        "the import goes on until virt-v2v misses it (VirtualMachineMO.exportVm)"
    ),
}


class UnknownQuirkError(ValueError):
    """A `--fix` name that is no known defect."""


class Quirks:
    """Which known upstream defects are repaired in one server."""

    def __init__(self, fixes: Iterable[str] = ()) -> None:
        names = set(fixes)
        if "all" in names:
            names = (names - {"all"}) | set(KNOWN)
        unknown = sorted(names - set(KNOWN))
        if unknown:
            raise UnknownQuirkError(f"unknown fix {unknown[0]!r}: expected 'all' or one of {', '.join(sorted(KNOWN))}")
        self.fixes = frozenset(names)

    def is_faithful(self, name: str) -> bool:
        """True while defect `name` behaves as upstream; raises KeyError for a name that is not in `KNOWN`."""
        KNOWN[name]
        return name not in self.fixes
