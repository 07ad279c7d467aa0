"""Ending from another thread what a vCenter session does: clones and exports."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pyVmomi import vim

from mgmt.vmware import export as export_module
from mgmt.vmware.cancelling import Cancellation
from mgmt.vmware.download import OnBytes, download
from mgmt.vmware.errors import VcenterError, VcenterTaskError
from mgmt.vmware.export import ExportRules
from vcenter_sim.server import VcenterSim
from vcenter_sim.service import Timings
from vcenter_sim.transfers import TransferModel

LAB = Path(__file__).resolve().parents[2] / "fixtures" / "vcenters" / "lab.yaml"


@pytest.fixture(scope="module")
def slow_sim() -> Iterator[VcenterSim]:
    """A vCenter whose clones take an hour, and whose disks come at the rates of real ones."""
    sim = VcenterSim(LAB, timings=Timings(clone_s=3600.0), transfers=TransferModel(time_scale=1.0))
    sim.start()
    yield sim
    sim.stop()


@contextmanager
def at_the_same_time(work: Callable[[], None]) -> Iterator[None]:
    thread = threading.Thread(target=work)
    thread.start()
    yield
    thread.join()


def test_cancel_of_a_clone(lab: Any, slow_sim: VcenterSim, wait_until: Callable[..., Any]) -> None:
    """vCenter's task is cancelled: the clone fails with vCenter's words, and there is none."""
    slow = replace(lab, sim=slow_sim)

    def running() -> bool:
        with slow_sim.inventory.lock:
            return any(task["info"].state == "running" for task in slow_sim.inventory.of_kind(vim.Task))

    with slow.connector.connect(slow.credentials()) as session:
        source = session.find_vm("app01")

        def cancel() -> None:
            wait_until(running, "the clone is being made")
            session.cancel()

        with at_the_same_time(cancel), pytest.raises(VcenterTaskError, match="canceled by a user") as caught:
            session.clone_vm(source, "never")
        assert caught.value.fault == "RequestCanceled"
        assert session.find_vm("never") is None
        with pytest.raises(VcenterTaskError, match="canceled by a user"):  # one that begins later ends at once
            session.clone_vm(source, "never")
    assert "never" not in slow_sim.inventory.vm_names


def test_what_cannot_be_cancelled(lab: Any) -> None:
    """A task that has ended, or that is no clone, goes its way; the session's cancellation is no error."""
    with lab.connector.connect(lab.credentials()) as session:
        session.cancel()
        vm = next(lab.sim.inventory.of_kind(vim.VirtualMachine))
        task = lab.sim._tasks.start("Destroy_Task", vm, "u", int, duration_s=0.1)
        session._collector.wait_for_task(vim.Task(task._GetMoId(), session._link.stub))


@pytest.mark.parametrize("lose_disks", [False, True])
def test_cancel_of_an_export(lab: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lose_disks: bool) -> None:
    """The downloads end, the lease is aborted and no file stays; a cancelled disk is none that was lost."""
    with lab.connector.connect(lab.credentials()) as session:

        def cancelling(link: Any, url: str, path: Path, on_bytes: OnBytes) -> int:
            def first_bytes(size_bytes: int, expected_bytes: int | None = None) -> None:
                on_bytes(size_bytes, expected_bytes)
                session.cancel()

            return download(link, url, path, first_bytes)

        monkeypatch.setattr(export_module, "download", cancelling)
        with pytest.raises(VcenterError, match="cancelled"):
            session.export_vm("web01", lambda: tmp_path, "x", ExportRules(lose_disks=lose_disks))
    assert lab.sim.exports.leases_open() == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("threads", [1, 2])
def test_cancel_while_disks_come(
    lab: Any, slow_sim: VcenterSim, tmp_path: Path, wait_until: Callable[..., Any], threads: int
) -> None:
    """Downloads that take minutes end with the lease, which is aborted; no file stays."""
    slow = replace(lab, sim=slow_sim)

    def coming() -> bool:
        return slow_sim.exports.streams_from("esx1.lab.example") == threads

    with slow.connector.connect(slow.credentials()) as session:

        def cancel() -> None:
            wait_until(coming, "the disks come", 60)
            session.cancel()

        rules = ExportRules(threads=threads, lose_disks=True)
        with at_the_same_time(cancel), pytest.raises(VcenterError, match="cancelled"):
            session.export_vm("web01", lambda: tmp_path, "x", rules)
    assert slow_sim.exports.leases_open() == []
    assert list(tmp_path.iterdir()) == []
    wait_until(lambda: slow_sim.exports.streams_from("esx1.lab.example") == 0, "the stand-in has let go", 60)


def test_downloads_tell_how_far_they_are(lab: Any, tmp_path: Path) -> None:
    """Each disk's bytes and their number; a VM's other files are no disks."""
    seen: dict[int, list[tuple[int, int | None]]] = {}
    rules = ExportRules(on_disk=lambda disk, count, done, total: seen.setdefault(disk, []).append((done, total)))
    with lab.connector.connect(lab.credentials()) as session:
        session.export_vm("secure-uefi", lambda: tmp_path, "x", rules)
    sizes = [path.stat().st_size for path in sorted(tmp_path.glob("*.vmdk"))]
    assert [(figures[0], figures[-1]) for _, figures in sorted(seen.items())] == [
        ((0, size), (size, size)) for size in sizes
    ]
    assert len(list(tmp_path.glob("x-disk*"))) == len(seen) + 1


def test_an_end_that_fails_is_no_failure() -> None:
    """What vCenter refuses to cancel goes on; later waits end as soon as they begin."""
    cancellation, ends = Cancellation(), []

    def refused() -> None:
        ends.append("refused")
        raise VcenterError("The operation is not supported on the object.")

    with cancellation.ending_with(refused):
        cancellation.cancel()
    with cancellation.ending_with(refused):
        pass
    assert ends == ["refused", "refused"]
    with pytest.raises(VcenterError, match="cancelled"):
        cancellation.check()
