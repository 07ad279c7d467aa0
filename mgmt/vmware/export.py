"""Export of a stopped VM by the management server: a lease, downloads over HTTPS, an OVF descriptor.

Upstream: vmware-base/.../mo/VirtualMachineMO.exportVm and HttpNfcLeaseMO. Two differences that callers cannot see: the
lease of a failed export is aborted (upstream calls it complete), and downloads are compared with the sums that vCenter
knows (upstream trusts them).
"""

from __future__ import annotations

import contextvars
import hashlib
import ipaddress
import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from mgmt.clock import Hold, current_hold, hold, is_automatic, new_event, working
from mgmt.errors import CloudError
from mgmt.vmware.collector import Collector
from mgmt.vmware.download import DownloadError, download
from mgmt.vmware.errors import VcenterError, VcenterFaultError
from mgmt.vmware.link import VcenterLink, fault_text, split_address
from mgmt.vmware.sdk import type_name, vim

log = logging.getLogger(__name__)

FAILED_TEXT = "Unable to finish the whole process to package as a OVA file"
MANAGEMENT_PORTGROUP = "Management Network"
PROGRESS_INTERVAL_S = 1.0
REPORTS_OF_A_LEASE = 3  # within its time-out, on a clock that jumps
MAX_THREADS = 10
_DISK_EXTENSION = ".vmdk"


@dataclass(frozen=True)
class ExportRules:
    """How exports are done. `threads` is setting `threads.on.ms.to.import.vmware.vm.files`.

    With `hide_errors` a failed export says what upstream says and not why; with `lose_disks` a disk that could not be
    downloaded in parallel with others is left out of the export without an error.
    """

    threads: int = 0
    hide_errors: bool = False
    lose_disks: bool = False
    on_disk: Callable[[int, int, int, int | None], None] | None = None
    """Told of the downloads: a disk's number from 1, how many disks there are, bytes that came, and how many come."""


def thread_count(setting: int, files: int) -> int:
    """How many downloads run at a time: 0 is one per file, more than 1 that many, 10 at most; else one."""
    if setting == 0:
        return max(1, min(files, MAX_THREADS))
    return max(1, min(setting, MAX_THREADS))


@dataclass(frozen=True)
class _Source:
    """One URL of a lease: the device's key, the address to ask, the local file's name."""

    key: str
    url: str
    file_name: str
    disk: int  # its number from 1; 0 for what is no disk


class Export:
    """One export under one lease; `run` may be called once."""

    def __init__(self, link: VcenterLink, collector: Collector, vcenter: str, rules: ExportRules) -> None:
        self._link = link
        self._collector = collector
        self._vcenter_host = split_address(vcenter)[0]
        self._rules = rules
        self._lock = threading.Lock()
        self._bytes_done = 0
        self._disk_count = 0
        self._bytes_of: dict[int, int] = {}
        self._total_bytes = 1
        self._broken = threading.Event()

    def run(self, vm: Any, host: Any, directory: Path, stem: str) -> None:
        """Write `<stem>-disk<i>.vmdk` and `<stem>.ovf` of `vm`, which runs on `host`, into `directory`.

        What was written of a failed export is removed. Raises VcenterError.
        """
        lease = self._link.call(vm.ExportVm)
        written: list[Path] = []
        try:
            self._await_ready(lease)
            self._download_all(lease, vm, host, directory, stem, written)
            self._link.call(lease.HttpNfcLeaseProgress, 100)
            self._link.call(lease.HttpNfcLeaseComplete)
        except BaseException as error:
            for path in written:
                path.unlink(missing_ok=True)
            self._abort(lease)
            if self._rules.hide_errors and isinstance(error, _HiddenError):
                log.error("exporting VM %s failed: %s", vm, error.text)
                raise VcenterError(error.shown) from error
            raise

    def _abort(self, lease: Any) -> None:
        try:
            self._link.call(lease.HttpNfcLeaseAbort)
        except VcenterError as error:
            log.info("the export lease could not be aborted: %s", error.text)

    def _await_ready(self, lease: Any) -> None:
        ended = self._collector.wait_until(
            lease, vim.HttpNfcLease, ["state", "error"], lambda seen: seen.get("state") != "initializing"
        )
        if ended.get("state") == "ready":
            return
        fault = ended.get("error")
        reason = "The export lease failed" if fault is None else fault_text(fault)
        try:  # what upstream does with a lease in error, and whose fault its callers see
            self._link.call(lease.HttpNfcLeaseProgress, 100)
        except VcenterFaultError as error:
            raise _HiddenError(reason, shown=error.text) from error
        raise _HiddenError(reason, shown=reason)

    # Downloading --------------------------------------------------------------------------------------------------

    def _download_all(self, lease: Any, vm: Any, host: Any, directory: Path, stem: str, written: list[Path]) -> None:
        info = self._collector.read([lease], vim.HttpNfcLease, ["info"])[0].get("info")
        if info is None:
            raise _HiddenError("The export lease names no files", shown=FAILED_TEXT)
        self._total_bytes = max(1, info.totalDiskCapacityInKB * 1024)
        address = self._management_address(host)
        sources: list[_Source] = []
        for index, item in enumerate(info.deviceUrl or ()):
            file_name = f"{stem}-disk{index}{_extension(item.url)}"
            if item.disk:
                self._disk_count += 1
            number = self._disk_count if item.disk else 0
            sources.append(_Source(item.key, item.url.replace("*", address, 1), file_name, number))
        written.extend(directory / source.file_name for source in sources)
        stop = new_event(self._link.clock)
        interval_s = PROGRESS_INTERVAL_S
        if is_automatic(self._link.clock):  # it would jump from second to second, and nobody can look in between
            interval_s = max(interval_s, info.leaseTimeout / REPORTS_OF_A_LEASE)
        context = contextvars.copy_context()  # the journal's entries belong to the import
        in_hand = hold(self._link.clock, "a report of an export's progress")
        keeper = threading.Thread(
            target=context.run,
            args=(self._keep_alive, lease, stop, interval_s, in_hand),
            name="vcenter-lease-progress",
            daemon=True,
        )
        keeper.start()
        try:
            with self._link.cancellation.ending_with(lambda: self._abort(lease)):
                sizes = self._download(sources, directory)
            self._check_sums(lease, sources, directory)
            text = self._descriptor(vm, sources, sizes)
            path = directory / f"{stem}.ovf"
            written.append(path)
            path.write_text(text, encoding="utf-8")
        except _HiddenError:
            raise
        except CloudError as error:
            raise _HiddenError(error.text, shown=FAILED_TEXT) from error
        except OSError as error:
            raise _HiddenError(f"{error.strerror or error}", shown=FAILED_TEXT) from error
        finally:
            stop.set()
            keeper.join()

    def _keep_alive(self, lease: Any, stop: threading.Event, interval_s: float, in_hand: Hold | None) -> None:
        """Report progress again and again until the downloads end, so that vCenter keeps the lease."""
        with working(self._link.clock, "", in_hand):
            while not self._link.clock.wait(stop, interval_s) and not stop.is_set():
                with self._lock:
                    percent = min(100, max(0, self._bytes_done * 100 // self._total_bytes))
                try:
                    self._link.call(lease.HttpNfcLeaseProgress, percent)
                except VcenterError as error:
                    log.warning("reporting progress to the export lease failed: %s", error.text)
                    return

    def _management_address(self, host: Any) -> str:
        """Where the ESXi host delivers its files: its management address, else where vCenter is."""
        found = self._collector.read([host], vim.HostSystem, ["name", "config.network.vnic"])
        name = str(found[0].get("name", "")) if found else ""
        if _is_ipv4(name):
            return name
        vnics = sorted(
            found[0].get("config.network.vnic", ()) if found else (),
            key=lambda vnic: vnic.portgroup != MANAGEMENT_PORTGROUP,
        )
        addresses = (getattr(vnic.spec.ip, "ipAddress", None) for vnic in vnics)
        address = next((str(each) for each in addresses if each), self._vcenter_host)
        return f"[{address}]" if ":" in address else address

    def _download(self, sources: Sequence[_Source], directory: Path) -> list[int]:
        """The sizes of the files, in their order; 0 for one that was lost."""
        threads = thread_count(self._rules.threads, len(sources))
        if threads == 1:
            return [self._fetch(source, directory) for source in sources]
        found = self._fetch_in_threads(threads, sources, directory)
        errors = [each if isinstance(each, BaseException) else None for each in found]
        fatal = [error for error in errors if error is not None and not self._may_lose(error)]
        if fatal:
            raise next((error for error in fatal if not isinstance(error, _NotBegunError)), fatal[0])
        sizes = []
        for source, size in zip(sources, found, strict=True):
            if isinstance(size, BaseException):
                log.error("downloading %s failed, the export goes on without it: %s", source.file_name, size)
                (directory / source.file_name).unlink(missing_ok=True)
                size = 0
            sizes.append(size)
        return sizes

    def _fetch_in_threads(
        self, count: int, sources: Sequence[_Source], directory: Path
    ) -> Sequence[int | BaseException]:
        """Size or error of each file. On a virtual clock each thread is work in hand, and ours waits for them."""
        clock, mine = self._link.clock, current_hold()
        found: list[int | BaseException] = [0] * len(sources)
        to_do, working_now = deque(enumerate(sources)), [count]

        def work(in_hand: Hold | None) -> None:
            with working(clock, "", in_hand):
                while True:
                    try:
                        index, source = to_do.popleft()
                    except IndexError:
                        break
                    try:
                        found[index] = self._fetch(source, directory)
                    except BaseException as error:  # it belongs to the import's thread
                        found[index] = error
                with self._lock:
                    working_now[0] -= 1
                    is_last = not working_now[0]
                if is_last and mine is not None:
                    mine.resume()

        threads = [
            threading.Thread(
                target=contextvars.copy_context().run,
                args=(work, hold(clock, "a download of an export")),
                name=f"vcenter-download-{number}",
                daemon=True,
            )
            for number in range(count)
        ]
        if mine is not None:
            mine.park()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return found

    def _may_lose(self, error: BaseException) -> bool:
        return self._rules.lose_disks and isinstance(error, DownloadError | OSError)

    def _fetch(self, source: _Source, directory: Path) -> int:
        cancellation = self._link.cancellation
        cancellation.check()
        if self._broken.is_set() and not self._rules.lose_disks:
            raise _NotBegunError(f"{source.file_name} was not downloaded, as another file failed")
        try:
            size = download(self._link, source.url, directory / source.file_name, partial(self._count, source.disk))
            cancellation.check()
            return size
        except BaseException:
            self._broken.set()
            cancellation.check()  # else the disk might pass for a lost one
            raise

    def _count(self, disk: int, size_bytes: int, expected_bytes: int | None = None) -> None:
        with self._lock:
            self._bytes_done += size_bytes
            done = self._bytes_of[disk] = self._bytes_of.get(disk, 0) + size_bytes
        if self._rules.on_disk is not None and disk:
            self._rules.on_disk(disk, self._disk_count, done, expected_bytes)

    def _check_sums(self, lease: Any, sources: Sequence[_Source], directory: Path) -> None:
        """Compare the files with the sums that vCenter gives; a vCenter without a manifest is believed."""
        try:
            entries = self._link.call(lease.HttpNfcLeaseGetManifest) or ()
        except VcenterFaultError as error:
            log.info("vCenter gives no manifest of the export: %s", error.text)
            return
        names = {source.key: source.file_name for source in sources}
        for entry in entries:
            path = directory / names.get(entry.key, "")
            if entry.key not in names or not path.is_file():
                continue
            algorithm, expected = _expected_sum(entry)
            if not expected:
                continue
            with path.open("rb") as file:
                actual = hashlib.file_digest(file, algorithm).hexdigest()
            if actual != expected.lower():
                raise VcenterError(
                    f"The {algorithm.upper()} sum of {path.name} is {actual}, but vCenter says {expected.lower()}"
                )

    def _descriptor(self, vm: Any, sources: Sequence[_Source], sizes: Sequence[int]) -> str:
        manager = self._link.content.ovfManager
        if manager is None:
            raise VcenterError("This vCenter has no OVF manager")
        files = [
            vim.OvfManager.OvfFile(deviceId=source.key, path=source.file_name, size=size)
            for source, size in zip(sources, sizes, strict=True)
        ]
        params = vim.OvfManager.CreateDescriptorParams(ovfFiles=files)
        result = self._link.call(manager.CreateDescriptor, vm, params)
        if not result.ovfDescriptor:
            faults = [fault_text(fault) for fault in result.error or ()]
            raise VcenterError("; ".join(faults) or f"vCenter wrote no descriptor ({type_name(result)})")
        return str(result.ovfDescriptor)


class _NotBegunError(DownloadError):
    """A file that was not asked for any more."""


class _HiddenError(VcenterError):
    """A failure whose reason upstream does not tell: it says `shown`."""

    def __init__(self, text: str, *, shown: str) -> None:
        super().__init__(text)
        self.shown = shown


def _expected_sum(entry: Any) -> tuple[str, str]:
    if (entry.checksumType or "").lower() == "sha256" and entry.checksum:
        return "sha256", str(entry.checksum)
    return "sha1", str(entry.sha1 or "")


def _extension(url: str) -> str:
    """The extension of the URL's last part (VmwareHelper.getFileExtension)."""
    return Path(url.rpartition("/")[2]).suffix or _DISK_EXTENSION


def _is_ipv4(text: str) -> bool:
    try:
        ipaddress.IPv4Address(text)
    except ValueError:
        return False
    return True
