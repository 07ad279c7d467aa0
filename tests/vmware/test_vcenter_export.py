"""Exports by the management server against the stand-in, over real sockets."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from agent_sim.toolchain.ovf import read_ovf_directory
from mgmt.observe.journal import Journal
from mgmt.observe.redaction import Redactor
from mgmt.providers import Providers, RealClock
from mgmt.vmware import export as export_module
from mgmt.vmware.connector import VcenterConnector
from mgmt.vmware.download import DownloadError, OnBytes, download
from mgmt.vmware.errors import VcenterError, VmNotFoundError
from mgmt.vmware.export import FAILED_TEXT, ExportRules, thread_count
from mgmt.vmware.sdk import vim
from vcenter_sim.entries import ExportFaults
from vcenter_sim.exports import files_of

HIDING = ExportRules(hide_errors=True, lose_disks=True)


@pytest.fixture(autouse=True)
def healthy_exports(shared_sim: Any) -> Iterator[None]:
    """Exports go well again after each test."""
    yield
    shared_sim.exports.faults.clear()


def export(lab: Any, name: str, directory: Path, rules: ExportRules | None = None, stem: str = "x") -> list[str]:
    """Export a VM and give the names of what is in the directory."""
    with lab.connector.connect(lab.credentials()) as session:
        session.export_vm(name, lambda: directory, stem, rules or ExportRules())
    return sorted(path.name for path in directory.iterdir())


def refused(lab: Any, name: str, directory: Path, rules: ExportRules | None = None) -> str:
    """The text of an export that fails; it leaves neither files nor a lease."""
    with pytest.raises(VcenterError) as caught:
        export(lab, name, directory, rules)
    assert list(directory.iterdir()) == []
    assert lab.sim.exports.leases_open() == []
    return caught.value.text


def calls(lab: Any) -> list[str]:
    return [entry.name for entry in lab.journal.entries(kind="vcenter")]


@pytest.mark.parametrize("threads", [0, 1])
def test_a_stopped_vm_is_exported(lab: Any, tmp_path: Path, threads: int) -> None:
    """Disks and descriptor are written as vCenter has them, the lease is given back, and virt-v2v can read it."""
    managed = lab.sim.inventory.find_vm("web01")
    wanted = [file.content for file in files_of(managed)]
    names = export(lab, "WEB01", tmp_path, ExportRules(threads=threads))
    assert names == [*(f"x-disk{number}.vmdk" for number in range(len(wanted))), "x.ovf"]
    assert [(tmp_path / f"x-disk{number}.vmdk").read_bytes() for number in range(len(wanted))] == wanted
    machine = read_ovf_directory(tmp_path, "/mnt/x")
    config = managed["config"].hardware
    assert (machine.name, machine.cpus, machine.memory_mb) == ("web01", config.numCPU, config.memoryMB)
    assert [disk.capacity_bytes for disk in machine.disks] == [file.capacity_bytes for file in files_of(managed)]
    made = calls(lab)
    assert made.count("GET") == len(wanted)
    assert made.index("ExportVm") < made.index("GET") < made.index("CreateDescriptor") < made.index("Logout")
    assert made.count("HttpNfcLeaseComplete") == 1 and "HttpNfcLeaseAbort" not in made
    assert lab.sim.exports.leases_open() == []


def test_uefi_variables_are_downloaded_like_a_disk(lab: Any, tmp_path: Path) -> None:
    """The nvram file keeps its extension and the number behind the disks."""
    names = export(lab, "secure-uefi", tmp_path)
    assert names[-1] == "x.ovf"
    assert [name for name in names if name.endswith(".nvram")] == [f"x-disk{len(names) - 2}.nvram"]
    assert read_ovf_directory(tmp_path, "/mnt/x").uefi


def test_a_vm_without_disks_gives_a_descriptor_only(lab: Any, tmp_path: Path) -> None:
    """No file to download is no failure."""
    assert export(lab, "diskless-pxe", tmp_path) == ["x.ovf"]


@pytest.mark.parametrize(
    ("setting", "files", "expected"),
    [(0, 1, 1), (0, 4, 4), (0, 40, 10), (0, 0, 1), (-1, 4, 1), (1, 4, 1), (3, 4, 3), (50, 4, 10), (-7, 4, 1)],
)
def test_threads_follow_the_setting(setting: int, files: int, expected: int) -> None:
    """0 is one for each file, more than 1 that many, 10 at most, anything else one after the other."""
    assert thread_count(setting, files) == expected


def test_vm_not_found(lab: Any, tmp_path: Path) -> None:
    """An unknown VM is told before a directory is asked for."""

    def never() -> Path:
        raise AssertionError("the directory was asked for")

    with pytest.raises(VmNotFoundError) as caught, lab.connector.connect(lab.credentials()) as session:
        session.export_vm("nope", never, "x", ExportRules())
    assert (
        caught.value.text == f"Cannot find VM with name nope on vCenter {lab.vcenter}/lab-dc, to create template file"
    )


def test_a_running_vm(lab: Any, tmp_path: Path) -> None:
    """A VM that is on is refused with CloudStack's spelling."""
    assert refused(lab, "app01", tmp_path) == (
        "Unable to export VM because it is not at powerdOff state. vmName: app01, host: esx1.lab.example"
    )


def test_a_lease_in_error(lab: Any, tmp_path: Path) -> None:
    """The reason is vCenter's; upstream's callers see the complaint about the spent lease instead."""
    lab.sim.exports.faults["web01"] = ExportFaults(lease_error="no snapshot")
    assert refused(lab, "web01", tmp_path) == "A general system error occurred: no snapshot"
    assert refused(lab, "web01", tmp_path, HIDING) == "The operation is not allowed in the current state."
    assert "GET" not in calls(lab)


def test_a_vm_that_is_leased_already(lab: Any, tmp_path: Path) -> None:
    """Two exports of one VM do not run at a time."""
    with lab.connector.connect(lab.credentials()) as session:
        session._link.call(session._find_reference("web01").ExportVm)
        with pytest.raises(VcenterError) as caught:
            export(lab, "web01", tmp_path)
    assert (caught.value.text, caught.value.fault) == (  # type: ignore[attr-defined]
        "The operation is not allowed in the current state.",
        "TaskInProgress",
    )


@pytest.mark.parametrize(
    ("faults", "reason"),
    [
        (ExportFaults(cut=frozenset({1})), "Premature EOF: "),
        (ExportFaults(missing=frozenset({1})), "Server returned HTTP response code: 404 for URL: https://127.0.0.1:"),
        (ExportFaults(wrong_sum=frozenset({1})), "The SHA256 sum of x-disk1.vmdk is "),
    ],
)
@pytest.mark.parametrize("threads", [0, 1])
def test_a_download_that_fails(
    lab: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture, faults: ExportFaults, reason: str, threads: int
) -> None:
    """What was written goes, the lease is aborted, and upstream's callers are not told why."""
    lab.sim.exports.faults["web01"] = faults
    assert refused(lab, "web01", tmp_path, ExportRules(threads=threads)).startswith(reason)
    assert calls(lab).count("HttpNfcLeaseAbort") == 1
    assert "HttpNfcLeaseComplete" not in calls(lab)
    assert refused(lab, "web01", tmp_path, ExportRules(threads=threads, hide_errors=True)) == FAILED_TEXT
    assert reason in caplog.text


@pytest.mark.parametrize("faults", [ExportFaults(cut=frozenset({1})), ExportFaults(missing=frozenset({1}))])
def test_a_disk_that_is_lost_in_parallel(
    lab: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture, faults: ExportFaults
) -> None:
    """Upstream only logs it: the descriptor refers to a file of size 0 that is not there."""
    lab.sim.exports.faults["web01"] = faults
    names = export(lab, "web01", tmp_path, HIDING)
    assert "x-disk1.vmdk" not in names and "x-disk0.vmdk" in names
    assert 'ovf:href="x-disk1.vmdk" ovf:id="file2" ovf:size="0"' in (tmp_path / "x.ovf").read_text()
    assert "downloading x-disk1.vmdk failed" in caplog.text
    assert "HttpNfcLeaseComplete" in calls(lab)


def test_one_after_the_other_loses_no_disk(lab: Any, tmp_path: Path) -> None:
    """Without threads a lost disk ends the export, as upstream."""
    lab.sim.exports.faults["web01"] = ExportFaults(missing=frozenset({1}))
    assert refused(lab, "web01", tmp_path, ExportRules(threads=1, lose_disks=True)).startswith("Server returned")


def test_no_room(lab: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that cannot be written ends the export with the system's words."""

    def full(*_: Any) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(export_module, "download", full)
    assert refused(lab, "web01", tmp_path) == "No space left on device"


def test_a_vcenter_without_manifest_is_believed(lab: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sums are compared where there are any."""
    lab.sim.exports.faults["web01"] = ExportFaults(wrong_sum=frozenset({0}))
    monkeypatch.delitem(lab.sim._service._table.methods, "HttpNfcLeaseGetManifest")
    assert "x.ovf" in export(lab, "web01", tmp_path)


def test_without_management_address_the_vcenter_is_asked(own_lab: Any, tmp_path: Path) -> None:
    """Where the host does not say where it is managed, the file is looked for at the vCenter."""
    for host in own_lab.sim.inventory.of_kind(vim.HostSystem):
        host["config"].network.vnic = []
    assert "x.ovf" in export(own_lab, "web01", tmp_path)


@pytest.mark.parametrize(
    ("name", "vnics", "expected"),
    [
        ("10.0.0.9", [("Management Network", "10.0.0.1")], "10.0.0.9"),
        ("esx", [("vMotion", "10.0.0.2"), ("Management Network", "10.0.0.1")], "10.0.0.1"),
        ("esx", [("vMotion", None), ("Storage", "10.0.0.3")], "10.0.0.3"),
        ("esx", [("Management Network", "fe80::1")], "[fe80::1]"),
        ("esx", [], "vc.example"),
    ],
)
def test_where_a_host_delivers(name: str, vnics: list[tuple[str, str | None]], expected: str) -> None:
    """A host goes by its name if that is an address, by its management network, any network, or by its vCenter."""
    from mgmt.vmware.collector import Found

    class OneHost:
        def read(self, *_: Any) -> list[Found]:
            adapters = [
                vim.host.VirtualNic(
                    portgroup=group,
                    spec=vim.host.VirtualNic.Specification(ip=vim.host.IpConfig(dhcp=False, ipAddress=address)),
                )
                for group, address in vnics
            ]
            return [Found(None, {"name": name, "config.network.vnic": adapters})]

    made: Any = export_module.Export(None, OneHost(), "vc.example:8443", ExportRules())  # type: ignore[arg-type]
    assert made._management_address(None) == expected


def test_progress_keeps_the_lease_while_files_come(
    lab: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wait_until: Callable[..., Any]
) -> None:
    """While a download takes its time, vCenter hears of its progress every second of the clock."""

    class QuickClock(RealClock):
        waits: list[float | None]

        def wait(self, event: threading.Event, timeout_s: float | None) -> bool:
            self.waits.append(timeout_s)
            return event.wait(0.001)

    clock = QuickClock()
    clock.waits = []
    journal = Journal(clock, Redactor())
    settings: Any = type("Settings", (), {"get_int": lambda self, name: 30})()
    connector = VcenterConnector(Providers(clock=clock), settings, journal, Redactor())

    def slow(link: Any, url: str, path: Path, on_bytes: OnBytes) -> int:
        on_bytes(10**18)
        wait_until(
            lambda: [entry.name for entry in journal.entries()].count("HttpNfcLeaseProgress") >= 3, "progress is told"
        )
        return download(link, url, path, on_bytes)

    monkeypatch.setattr(export_module, "download", slow)
    with connector.connect(lab.credentials()) as session:
        session.export_vm("web01", lambda: tmp_path, "x", ExportRules(threads=1))
        lease = next(lab.sim.inventory.of_kind(vim.HttpNfcLease))
        assert (lease["state"], lease["transferProgress"]) == ("done", 100)
    assert set(clock.waits) == {1.0}


def test_a_lease_that_ends_under_the_download(
    lab: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """When vCenter takes the lease back the export fails, and the refused abort is no second failure."""

    def ending(link: Any, url: str, path: Path, on_bytes: OnBytes) -> int:
        lease = next(lab.sim.inventory.of_kind(vim.HttpNfcLease))
        with lab.sim.inventory.lock:
            lab.sim.exports.abort(lease, None)
        return download(link, url, path, on_bytes)

    monkeypatch.setattr(export_module, "download", ending)
    text = refused(lab, "edge-stopped", tmp_path, ExportRules(threads=1))
    assert text.startswith("Server returned HTTP response code: 403")


def test_an_address_that_is_no_https(tmp_path: Path) -> None:
    """Only HTTPS is downloaded from."""
    with pytest.raises(DownloadError, match="no HTTPS address: http://esx/nfc/disk"):
        download(None, "http://esx/nfc/disk", tmp_path / "x", print)  # type: ignore[arg-type]


def test_a_host_that_does_not_answer(lab: Any, tmp_path: Path) -> None:
    """A refused connection is told in the words of Java's client."""
    with lab.connector.connect(lab.credentials()) as session, pytest.raises(DownloadError) as caught:
        download(
            session._link, "https://127.0.0.1:1/nfc/disk", tmp_path / "x", lambda size_bytes, expected_bytes=None: None
        )
    assert caught.value.text == "HTTP transport error: java.net.ConnectException: Connection refused"


def test_the_session_cookie_is_not_in_the_journal(lab: Any, tmp_path: Path) -> None:
    """The journal shows downloads without what would let others download."""
    with lab.connector.connect(lab.credentials()) as session:
        cookie = session._link.cookie.partition("=")[2].strip('"')
        session.export_vm("web01", lambda: tmp_path, "x", ExportRules())
    assert cookie and cookie not in str(lab.journal.entries())


def with_method(lab: Any, monkeypatch: pytest.MonkeyPatch, name: str, method: Callable[[Any], Any]) -> None:
    monkeypatch.setitem(lab.sim._service._table.methods, name, method)


def test_sha1_alone_is_enough(lab: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An older vCenter gives SHA-1 sums only; entries of other devices and without sums say nothing."""

    def entry(key: str, sha1: str) -> Any:
        return vim.HttpNfcLease.ManifestEntry(key=key, sha1=sha1, size=1, disk=True)

    def manifest(context: Any) -> list[Any]:
        key = context.this["info"].deviceUrl[0].key
        return [entry("/vm-1/other", "00"), entry(key, ""), entry(key, "AB" * 20)]

    with_method(lab, monkeypatch, "HttpNfcLeaseGetManifest", manifest)
    text = refused(lab, "web01", tmp_path)
    assert text.startswith("The SHA1 sum of x-disk0.vmdk is ") and text.endswith(f"but vCenter says {'ab' * 20}")


def test_a_descriptor_that_is_refused(lab: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What vCenter has against the descriptor is the reason; without words its answer is named."""
    faults = [vim.fault.OvfExport(msg="a disk is in use")]

    def describe(context: Any) -> Any:
        return vim.OvfManager.CreateDescriptorResult(ovfDescriptor="", error=faults)

    with_method(lab, monkeypatch, "CreateDescriptor", describe)
    assert refused(lab, "web01", tmp_path) == "a disk is in use"
    faults.clear()
    assert refused(lab, "web01", tmp_path) == "vCenter wrote no descriptor (CreateDescriptorResult)"


def test_a_vcenter_without_ovf_manager(lab: Any, tmp_path: Path) -> None:
    """Some servers have none (ESXi before 5, simulators): that is said."""
    with pytest.raises(VcenterError) as caught, lab.connector.connect(lab.credentials()) as session:
        session._link.content.ovfManager = None
        session.export_vm("web01", lambda: tmp_path, "x", ExportRules())
    assert caught.value.text == "This vCenter has no OVF manager"
    assert list(tmp_path.iterdir()) == []


def test_progress_that_is_refused_ends_the_reports_only(
    lab: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wait_until: Callable[..., Any]
) -> None:
    """A vCenter that takes no progress is asked once; the export goes on to its end."""
    told: list[int] = []
    refuse = lab.sim._service._table.methods["HttpNfcLeaseProgress"]

    def progress(context: Any) -> None:
        told.append(context.arguments["percent"])
        if context.arguments["percent"] != 100:
            raise vim.fault.InvalidState(msg="not now")
        refuse(context)

    with_method(lab, monkeypatch, "HttpNfcLeaseProgress", progress)
    monkeypatch.setattr(export_module, "PROGRESS_INTERVAL_S", 0.001)

    def slow(link: Any, url: str, path: Path, on_bytes: OnBytes) -> int:
        wait_until(lambda: told, "progress is told")
        return download(link, url, path, on_bytes)

    monkeypatch.setattr(export_module, "download", slow)
    assert "x.ovf" in export(lab, "web01", tmp_path, ExportRules(threads=1))
    assert told == [0, 100]


def test_a_failed_file_stops_the_others(lab: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files whose download has not begun are not begun any more once one failed."""
    asked: list[str] = []

    def failing(link: Any, url: str, path: Path, on_bytes: OnBytes) -> int:
        asked.append(path.name)
        raise DownloadError("it is gone")

    monkeypatch.setattr(export_module, "download", failing)
    monkeypatch.setattr(export_module, "MAX_THREADS", 2)
    text = refused(lab, "store-4disk", tmp_path, ExportRules(threads=2))
    assert text == "it is gone"
    assert len(asked) <= 3
