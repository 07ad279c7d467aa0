"""Bytes, rates and times of an import's copies."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mgmt.imports.control import ImportControl, Phase
from mgmt.imports.progress import ProgressBoard, Stage
from mgmt.imports.running import KEPT_ENDED, RunningImports


class Clock:
    def __init__(self) -> None:
        self.at_s = 100.0

    def __call__(self) -> float:
        return self.at_s


def test_nothing_is_invented() -> None:
    """Without a report there is nothing; with one there is no rate; a total needs every disk's."""
    clock = Clock()
    board = ProgressBoard(clock)
    assert board.latest() is None
    board.report(Stage.CONVERT, 1, 2, 0, 1000)
    latest = board.latest()
    assert latest is not None and latest.total is not None
    assert (latest.disks[1].rate_bytes_s, latest.disks[1].eta_s) == (None, None)
    assert (latest.total.total_bytes, latest.total.eta_s) == (None, None)


def test_rates_and_times() -> None:
    """A rate is measured from a copy's first report; the time left follows from it, for a disk and for all."""
    clock = Clock()
    board = ProgressBoard(clock)
    board.report(Stage.CONVERT, 1, 2, 0, 1000)
    board.report(Stage.CONVERT, 2, 2, 0, 3000)
    clock.at_s += 10
    board.report(Stage.CONVERT, 1, 2, 500, 1000)
    latest = board.latest()
    assert latest is not None and latest.total is not None
    assert (latest.disks[1].rate_bytes_s, latest.disks[1].eta_s) == (50, 10)
    assert (latest.disks[2].rate_bytes_s, latest.disks[2].eta_s) == (None, None)
    assert (latest.total.bytes_done, latest.total.total_bytes) == (500, 4000)
    assert (latest.total.rate_bytes_s, latest.total.eta_s) == (50, 70)
    clock.at_s += 1000
    board.report(Stage.CONVERT, 2, 2, 0, 3000)  # its copy begins only now
    clock.at_s += 10
    board.report(Stage.CONVERT, 2, 2, 3000, 3000)
    latest = board.latest()
    assert latest is not None
    assert (latest.disks[2].rate_bytes_s, latest.disks[2].eta_s) == (300, 0)


def test_a_disk_that_is_copied_by_a_command_of_its_own() -> None:
    """What the host calls its only disk is the one that was announced, of as many as there are."""
    board = ProgressBoard(Clock())
    for disk in (1, 2):
        board.copying(disk, 2)
        board.report(Stage.IMPORT, 1, 1, 10 * disk, 100)
    latest = board.latest()
    assert latest is not None and latest.total is not None
    assert {number: measure.bytes_done for number, measure in latest.disks.items()} == {1: 10, 2: 20}
    assert (latest.total.bytes_done, latest.total.total_bytes) == (30, 200)


def test_a_new_stage_begins_anew() -> None:
    """What virt-v2v wrote is no part of what is copied afterwards."""
    board = ProgressBoard(Clock())
    board.report(Stage.CONVERT, 1, 1, 900, 1000)
    board.report(Stage.IMPORT, 1, 2, 10, 900)
    latest = board.latest()
    assert latest is not None
    assert (latest.stage, latest.disk_count, {n: d.bytes_done for n, d in latest.disks.items()}) == (
        Stage.IMPORT,
        2,
        {1: 10},
    )


@given(st.lists(st.tuples(st.integers(1, 3), st.integers(0, 10**15), st.floats(0, 1e6)), min_size=1))
def test_figures_stay_sane(reports: list[tuple[int, int, float]]) -> None:
    """Whatever hosts report, rates and times are positive or absent, and the sum is that of the disks."""
    clock = Clock()
    board = ProgressBoard(clock)
    for disk, done, pause_s in reports:
        clock.at_s += pause_s
        board.report(Stage.IMPORT, disk, 3, done, 10**15)
    latest = board.latest()
    assert latest is not None and latest.total is not None
    assert latest.total.bytes_done == sum(each.bytes_done for each in latest.disks.values())
    for each in (*latest.disks.values(), latest.total):
        assert each.rate_bytes_s is None or each.rate_bytes_s > 0
        assert each.eta_s is None or each.eta_s >= 0


def test_reports_find_their_import() -> None:
    """The log id of a command says whose report it is; one that two imports could own is nobody's."""
    running = RunningImports()
    one, two, three = (ImportControl("a", f"job-{n}", log_id=log_id) for n, log_id in enumerate(("x", "y", "y")))
    for control in (one, two, three):
        running.begin(control)
    for log_id, tool, disk in (("x", "virt-v2v", 1), ("x", "openssl", 1), ("x", "ovftool", 0), ("y", "qemu-img", 1)):
        running.reported(log_id, tool, disk, 1, 5, 10)
    assert [control.progress.latest() is not None for control in (one, two, three)] == [True, False, False]
    three.end(Phase.FAILED)
    running.reported("y", "qemu-img", 1, 1, 5, 10)
    assert two.progress.latest() is not None


def test_ended_imports_are_forgotten_in_time() -> None:
    """The last ones stay, and every one that runs."""
    running = RunningImports()
    first = ImportControl("first", "first")
    running.begin(first)
    for number in range(KEPT_ENDED + 50):
        control = ImportControl("vm", f"job-{number}")
        running.begin(control)
        control.end(Phase.COMPLETED)
    running.begin(ImportControl("last", "last"))
    assert running.find("first") is first
    assert running.find("job-0") is None
    assert len(running._by_job) == KEPT_ENDED + 2


def test_a_job_that_no_worker_has_taken() -> None:
    """Its import is cancelled as soon as it begins."""
    running = RunningImports()
    assert running.doom("job", "root") is True
    assert running.doom("job", "root") is False
    control = ImportControl("vm", "job")
    running.begin(control)
    assert control.phase is Phase.CANCELLING
    assert running.doom("job", "root") is control
    control.end(Phase.CANCELLED)
