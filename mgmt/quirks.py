"""Upstream defects that a caller can see, as named switches.

The server is faithful by default: each defect of its release is there. `--fix NAME` (or `--fix all`) gives the repaired
behaviour. Code asks `quirks.is_faithful(NULL_TASK_ERROR_TEXT)`; the true reason is always written to the log and the
journal. docs/profiles.md lists them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from mgmt.profiles import DEFAULT_PROFILE, PROFILES, Profile

NULL_TASK_ERROR_TEXT = "null-task-error-text"
LAST_PINGED_UNIT = "last-pinged-unit"
TASK_LEFT_RUNNING = "task-left-running"
TASK_ID_MISSING = "task-id-missing"
LATE_DISK_MAPPING_CHECK = "late-disk-mapping-check"
IMPORT_WITHOUT_WAIT = "import-without-wait"
VDDK_DETAILS_STORED = "vddk-details-stored"
USAGE_ZONE_OF_ACCOUNT = "usage-zone-of-account"
DUMMY_TEMPLATE_ROWS = "dummy-template-rows"
UNQUOTED_VDDK_LINE = "unquoted-vddk-line"
VDDK_READS_ORIGINAL = "vddk-reads-original"
PASSWORD_FILE_MODE = "password-file-mode"
EXPORT_FOLDER_LEFT = "export-folder-left"
BLANK_IN_VPX_URL = "blank-in-vpx-url"
EXPORT_ERROR_TEXT = "export-error-text"
EXPORT_LOST_DISK = "export-lost-disk"
CONVERTED_FILES_LEFT = "converted-files-left"
IMPORTED_DISKS_LEFT = "imported-disks-left"
UNPLANNED_VM_LEFT = "unplanned-vm-left"
HALF_CONVERTED_LEFT = "half-converted-left"
TEMPORARY_MOUNT_LEFT = "temporary-mount-left"
DOMAIN_XML_LEFT = "domain-xml-left"
REMOTE_COPY_LEFT = "remote-copy-left"
LOST_ANSWER_FILES_LEFT = "lost-answer-files-left"
POOL_STAYS_UNMOUNTED = "pool-stays-unmounted"
STOP_LEAVES_IMPORT = "stop-leaves-import"


@dataclass(frozen=True)
class Defect:
    """One defect: what is seen, its number upstream (`-`: not reported), and the releases that have it."""

    text: str
    repaired: str
    upstream: str
    since: str | None = None
    fixed_in: str | None = None

    def is_in(self, profile: Profile) -> bool:
        """True when that release has the defect."""
        return profile.has(self.since) and not (self.fixed_in is not None and profile.has(self.fixed_in))


KNOWN: Mapping[str, Defect] = {
    NULL_TASK_ERROR_TEXT: Defect(
        "an import that fails before its task exists ends with a Java null-pointer text instead of the reason",
        "the job ends with the reason, and the event of the failure is written",
        "#12432, #13007, #13263",
        since="4.22",
    ),
    LAST_PINGED_UNIT: Defect(
        "listHosts shows `lastpinged` as a date in January 1970: units of 1024 ms are read as milliseconds",
        "`lastpinged` is the time of the last ping",
        "-",
    ),
    TASK_LEFT_RUNNING: Defect(
        "an import that ends with a Java failure (a limit, an index, a class cast) leaves its task Running for ever",
        "the task is Failed with the text of the job",
        "-",
        since="4.22",
    ),
    TASK_ID_MISSING: Defect("listImportVmTasks never fills `id`", "`id` is the UUID of the task", "-", since="4.22"),
    LATE_DISK_MAPPING_CHECK: Defect(
        "a wrong number of entries in datadiskofferinglist is refused after the whole conversion",
        "it is refused before the conversion, with the same text",
        "-",
    ),
    IMPORT_WITHOUT_WAIT: Defect(
        "taking the converted disks in has no time limit of its own: `wait` (1800 s) ends large copies",
        "the limit of the conversion holds for it too",
        "#11208",
    ),
    VDDK_DETAILS_STORED: Defect(
        "vddk.lib.dir, vddk.transports and vddk.thumbprint of the request stay among the details of the VM",
        "they are not stored",
        "#12970",
    ),
    USAGE_ZONE_OF_ACCOUNT: Defect(
        "the usage record VM.CREATE of a custom offering has the number of the account as its zone",
        "it has the number of the zone",
        "-",
    ),
    DUMMY_TEMPLATE_ROWS: Defect(
        "each import without templateid adds one more removed row of the dummy template",
        "the row that is there is taken",
        "-",
    ),
    UNQUOTED_VDDK_LINE: Defect(
        "the shell line of a VDDK conversion holds the VM's name without quotes: a blank splits it, `;` would end it "
        "(a simulated host reports `shell_splice` and runs nothing)",
        "the name is quoted",
        "#12970",
        since="4.22.1",
    ),
    VDDK_READS_ORIGINAL: Defect(
        "a VDDK conversion names the source VM although a running one was cloned: the clone is useless",
        "the clone is named",
        "#12970",
        since="4.22.1",
        fixed_in="4.23",
    ),
    PASSWORD_FILE_MODE: Defect(
        "the host writes vCenter's password into a file that everybody there may read (reported as mode 0644; the "
        "file that a simulated host writes is 0600 always)",
        "the file has mode 0600 from its creation",
        "#12970",
        since="4.22.1",
    ),
    EXPORT_FOLDER_LEFT: Defect(
        "an export by ovftool that fails leaves its folder on the temporary storage",
        "the folder is removed",
        "-",
    ),
    BLANK_IN_VPX_URL: Defect(
        "a blank in the name of the user, the datacenter, the cluster or the ESXi host makes the conversion fail",
        "names are written into the address as a URI wants it",
        "#13920",
    ),
    EXPORT_ERROR_TEXT: Defect(
        "a failed OVF export by the management server says `Unable to finish the whole process to package as a OVA "
        "file` and not why",
        "the text ends with the reason",
        "-",
    ),
    EXPORT_LOST_DISK: Defect(
        "a disk that the management server loses while it downloads several is missed by virt-v2v only, later",
        "the export fails at once",
        "-",
    ),
    CONVERTED_FILES_LEFT: Defect(
        "an import that fails after its conversion leaves the converted disks and the domain XML in the temporary "
        "location",
        "the conversion host gets CleanupConvertedInstanceDisksCommand and deletes them; when it is not there, once it "
        "is Up again",
        "#13151, #13569",
        fixed_in="4.23",
    ),
    IMPORTED_DISKS_LEFT: Defect(
        "an import whose records cannot be written leaves the disks that were copied into their pools",
        "the host deletes them",
        "-",
    ),
    UNPLANNED_VM_LEFT: Defect(
        "an import from external, shared or local that finds no host with room leaves its VM, Stopped, with volumes "
        "that were never made",
        "the records are taken back",
        "-",
    ),
    HALF_CONVERTED_LEFT: Defect(
        "a virt-v2v that fails or is killed leaves what it had written",
        "the host deletes it",
        "-",
    ),
    TEMPORARY_MOUNT_LEFT: Defect(
        "the secondary storage stays mounted on the conversion host; after an exception of one conversion it is "
        "unmounted, whoever else uses it",
        "it is unmounted when the last conversion that needs it ends",
        "-",
    ),
    DOMAIN_XML_LEFT: Defect(
        "with forceconverttopool the XML of the conversion stays in the pool",
        "the host deletes it",
        "-",
    ),
    REMOTE_COPY_LEFT: Defect(
        "an import from external leaves the temporary copy of each disk on the remote host",
        "the copy is deleted",
        "-",
    ),
    LOST_ANSWER_FILES_LEFT: Defect(
        "a host that loses its link during a conversion or a copy goes on, and nobody ever knows its files",
        "the host deletes what an answer that it cannot deliver tells of",
        "-",
    ),
    POOL_STAYS_UNMOUNTED: Defect(
        "a pool on NFS that its maintenance unmounted cannot be mounted again when that ends: the host forgets it only "
        "after DeleteStoragePoolCommand, and cannot connect again",
        "the host mounts it again",
        "-",
    ),
    STOP_LEAVES_IMPORT: Defect(
        "an import that a stop of the server cuts short leaves its clone, its files and its records, and its task "
        "stays Running",
        "the stopping server undoes what it can, the next one has the hosts do the rest, and the task is Failed",
        "-",
    ),
}


class UnknownQuirkError(ValueError):
    """A `--fix` name that is no known defect."""


class Quirks:
    """Which known upstream defects one server has: those of its release that are not repaired."""

    def __init__(self, fixes: Iterable[str] = (), profile: Profile = PROFILES[DEFAULT_PROFILE]) -> None:
        names = set(fixes)
        if "all" in names:
            names = (names - {"all"}) | set(KNOWN)
        unknown = sorted(names - set(KNOWN))
        if unknown:
            raise UnknownQuirkError(f"unknown fix {unknown[0]!r}: expected 'all' or one of {', '.join(sorted(KNOWN))}")
        self.fixes = frozenset(names)
        self._profile = profile
        self._switched: dict[str, bool] = {}

    def is_faithful(self, name: str) -> bool:
        """True while defect `name` behaves as upstream; raises KeyError for a name that is not in `KNOWN`."""
        if name in self._switched:
            return self._switched[name]
        return KNOWN[name].is_in(self._profile) and name not in self.fixes

    def switch(self, name: str, *, is_faithful: bool | None) -> None:
        """Have a defect whatever release and repairs say, or not have it; None goes back to what they say."""
        if is_faithful is None:
            self._switched.pop(name, None)
        else:
            self._switched[name] = is_faithful

    @property
    def absent(self) -> frozenset[str]:
        """The names of all defects that this server does not have."""
        return frozenset(name for name in KNOWN if not self.is_faithful(name))
