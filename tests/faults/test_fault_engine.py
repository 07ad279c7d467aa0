"""The engine, its data files and its line, without a world."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mgmt.faults import FaultEngine, FaultFileError, FaultRefusedError, fault_of_line, shipped_faults
from mgmt.faults.definitions import load_faults

CATALOGUE = [f"F-{number:02d}" for number in range(1, 117)]


class StillClock:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def now(self) -> float:
        return self.now_s

    def monotonic(self) -> float:
        return self.now_s

    def sleep(self, duration_s: float) -> None:
        self.now_s += duration_s

    def wait(self, event: Any, timeout_s: float | None) -> bool:
        return False


@pytest.fixture
def clock() -> StillClock:
    return StillClock()


@pytest.fixture
def engine(clock: StillClock) -> FaultEngine:
    return FaultEngine(clock, seed=7)


OPENING = {"tool": "virt-v2v", "source": "vddk", "line": "Opening the source", "vm": "web01", "host": "kvm1"}


def kinds(engine: FaultEngine, point: str = "tool", **changes: object) -> list[str]:
    return [effect.kind for effect in engine.hit(point, {**OPENING, **changes})]


def test_a_fault_happens_as_often_as_asked(engine: FaultEngine) -> None:
    """Once by default, n times with `times`, and for ever with 'always'; facts fill the lines."""
    engine.arm("vddk.authd_unavailable")
    (effect,) = engine.hit("tool", {**OPENING, "vmdk": "[ds] a/a.vmdk"})
    assert "VixDiskLib_Open: [ds] a/a.vmdk: Unknown error" in effect.args["lines"][1]
    assert kinds(engine) == []
    engine.clear()
    engine.arm("vddk.authd_unavailable", times=2)
    assert [kinds(engine) for _ in range(3)] == [["exit"], ["exit"], []]
    engine.clear()
    engine.arm("vddk.authd_unavailable", times="always")
    assert [kinds(engine) for _ in range(3)] == [["exit"]] * 3


def test_a_fault_is_narrowed(engine: FaultEngine) -> None:
    """`vm` and `host` narrow it, with wildcards; `attempt` counts the jobs of a VM."""
    engine.arm("vddk.authd_unavailable", vm="db*", host="kvm1", times="always")
    assert kinds(engine) == []
    assert kinds(engine, vm="db01", host="kvm2") == []
    assert kinds(engine, vm="db01") == ["exit"]
    engine.clear()
    engine.arm("vddk.authd_unavailable", attempt=2)
    engine.hit("job", {"command": "importVm", "vm": "web01"})
    assert kinds(engine) == []
    engine.hit("job", {"command": "importVm", "vm": "web01"})
    assert kinds(engine) == ["exit"]


def test_a_fault_waits_for_its_time_and_for_another(engine: FaultEngine, clock: StillClock) -> None:
    """`delay_s` is on the clock, `after` waits until another one has happened."""
    first = engine.arm("vddk.authd_unavailable", delay_s=60)
    engine.arm("guest.no_root", after=first)
    inspecting = {"line": "Inspecting the source"}
    assert kinds(engine) == kinds(engine, **inspecting) == []
    clock.now_s = 60
    assert kinds(engine, **inspecting) == []
    assert kinds(engine) == ["exit"]
    assert kinds(engine, **inspecting) == ["exit"]


def test_chance_is_repeated_by_its_seed(clock: StillClock) -> None:
    """The same seed gives the same faults, another one others."""

    def drawn(seed: int) -> list[bool]:
        engine = FaultEngine(clock, seed=seed)
        engine.arm("vddk.authd_unavailable", probability=0.5, times="always")
        return [bool(kinds(engine)) for _ in range(40)]

    assert drawn(1) == drawn(1) != drawn(2)
    assert 5 < sum(drawn(1)) < 35


def test_chance_does_not_depend_on_who_is_first(clock: StillClock) -> None:
    """What happens to a VM is the same whether another one is looked at in between or not."""

    def drawn(order: str) -> dict[str, list[bool]]:
        engine = FaultEngine(clock, seed=1)
        engine.arm("vddk.authd_unavailable", probability=0.5, times="always")
        found: dict[str, list[bool]] = {"a": [], "b": []}
        for vm in order:
            found[vm].append(bool(kinds(engine, vm=vm)))
        return found

    assert drawn("a" * 20 + "b" * 20) == drawn("ab" * 20) == drawn("ba" * 20)


def test_positions_are_met_once(engine: FaultEngine) -> None:
    """A percent position is named beforehand and met by the step that crosses it, not by lines."""
    engine.arm("vddk.query_blocks_bug", percent=98)
    facts = {**OPENING, "disk_gib": 2048.0, "bytes_total": 1000}
    assert list(engine.positions("tool", facts)) == [98.0]
    assert list(engine.positions("tool", {**facts, "disk_gib": 100.0})) == []
    assert kinds(engine, **facts, percent=90.0, percent_before=80.0) == []
    assert kinds(engine, **facts) == []
    assert kinds(engine, **facts, percent=98.0, percent_before=90.0) == ["exit"]
    assert kinds(engine, **facts, percent=98.0, percent_before=90.0) == []


def test_byte_positions(tmp_path: Path, clock: StillClock) -> None:
    """`after_bytes` is met at that byte of a copy."""
    (fault,) = load_faults(written(tmp_path, after_bytes="{bytes_done}", args="bytes_done: {default: 250}"))
    engine = FaultEngine(clock, faults={fault.name: fault})
    engine.arm(fault.name)
    assert list(engine.positions("tool", {"tool": "virt-v2v", "bytes_total": 1000})) == [25.0]
    assert kinds(engine, bytes_total=1000, percent=25.0, percent_before=20.0) == ["hang"]


@pytest.mark.parametrize(
    ("name", "choices", "text"),
    [
        ("vddk.thumbprint_mismatched", {}, "near it are vddk.thumbprint_mismatch"),
        ("vdk.port_902_blocked", {}, "near it are vddk.port_902_blocked"),
        ("host.not_up", {"status": "Gone"}, "expected one of Disconnected, Down, Alert, Connecting"),
        (
            "vddk.query_blocks_bug",
            {"percnt": 3},
            "near it are percent, vcenter; expected one of disk_gib, percent, ",
        ),
        (
            "vddk.crash",
            {"colour": 3},
            "expected one of signal, vm, host, vcenter, pool, disk, command, attempt, ",
        ),
        ("vddk.query_blocks_bug", {"percent": "many"}, "expected a number"),
        ("source.clone_failed", {"host": "kvm1"}, "cannot be narrowed by host"),
        ("vddk.crash", {"times": 0}, "expected a number above 0 or 'always'"),
        ("vddk.crash", {"probability": 1.5}, "expected a number above 0 and not above 1"),
        ("vddk.crash", {"delay_s": -1}, "not negative"),
        ("agent.restart", {}, "needs a world that can do 'agent'"),
        ("pool.ambiguous", {}, "is nothing to arm"),
    ],
)
def test_what_cannot_be_had_is_refused(engine: FaultEngine, name: str, choices: dict[str, Any], text: str) -> None:
    """Unknown names, arguments, values and combinations are refused, the nearest names told."""
    with pytest.raises(FaultRefusedError) as raised:
        engine.arm(name, **choices)
    assert text in str(raised.value)
    assert engine.armed == []


def test_what_is_not_there_is_refused(engine: FaultEngine, caplog: pytest.LogCaptureFixture) -> None:
    """A host that is not there is refused with the nearest; a pattern that nothing fits yet is armed with a warning."""
    engine.knows("host", lambda: ["kvm1", "kvm2"])
    with pytest.raises(FaultRefusedError, match=r"^vddk\.crash: there is no host 'kmv1': near it are kvm1, kvm2;"):
        engine.arm("vddk.crash", host="kmv1")
    assert engine.arm("vddk.crash", host="kvm*").warnings == ()
    assert caplog.messages == []
    armed = engine.arm("vddk.crash", host="new*", vm="unknown")
    assert armed.warnings == ("vddk.crash: nothing fits host = 'new*' yet",)
    assert caplog.messages == ["fault vddk.crash: nothing fits host = 'new*' yet"]


def test_lines_of_the_command_line() -> None:
    """NAME[,argument=value...] is read, and what is none is refused."""
    assert fault_of_line("vddk.crash") == ("vddk.crash", {})
    assert fault_of_line("vddk.crash,vm=web01,times=2,probability=0.5,signal=11") == (
        "vddk.crash",
        {"vm": "web01", "times": 2, "probability": 0.5, "signal": "11"},
    )
    assert fault_of_line("vddk.crash,times=always") == ("vddk.crash", {"times": "always"})
    for line in ("vddk.crash,vm", "vddk.crash,times=often", "vddk.crash,after=x", "vddk.crash,vm=a,vm=b"):
        with pytest.raises(FaultRefusedError):
            fault_of_line(line)


def written(
    folder: Path, *, at: str = "tool", do: str = "hang: {}", where: str = "", args: str = "", **more: str
) -> Path:
    path = folder / "faults.yaml"
    extra = "".join(f", {key}: '{value}'" for key, value in more.items())
    path.write_text(
        f"faults:\n  - id: F-01\n    name: a.b\n    text: t\n    stage: convert\n"
        f"    upstream: '-'\n    args: {{{args}}}\n"
        f"    rules: [{{at: {at}, where: {{{where}}}, do: [{{{do}}}]{extra}}}]\n    seen: {{}}\n    proofs: [{{}}]\n"
    )
    return path


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"at": "nowhere"}, "faults.0.rules.0.at: Must be one of"),
        ({"do": "explode: {}"}, "faults.0.rules.0.do.0: 'explode' cannot be done at tool"),
        ({"do": "delay: {}"}, "faults.0.rules.0.do.0.delay.for_s: Missing data"),
        ({"where": "colour: red"}, "faults.0.rules.0.where: 'colour' is not known at tool"),
        ({"at": "job", "do": "delay: {for_s: 1}", "at_percent": "5"}, "nothing is counted at job"),
        ({"times": "0"}, "expected a number above 0 or 'always'"),
    ],
)
def test_bad_files_are_refused(tmp_path: Path, changes: dict[str, str], text: str) -> None:
    """A file of faults that cannot be used is refused with its name, the path in the document and the reason."""
    path = written(tmp_path, **changes)
    with pytest.raises(FaultFileError) as raised:
        load_faults(path)
    assert str(raised.value).startswith(f"{path}: ")
    assert text in str(raised.value)


def test_every_row_of_the_catalogue_is_there() -> None:
    """The data are the whole catalogue, and each row has a proof."""
    there = {fault.id.rstrip("b") for fault in shipped_faults().values()}
    assert sorted(there, key=lambda row: int(row[2:])) == CATALOGUE
    assert all(fault.proofs for fault in shipped_faults().values())


def test_every_proof_is_a_test() -> None:
    """A proof without a test of its own is one of the catalogue's, and a test that one names is there."""
    root = Path(__file__).resolve().parents[2]
    for fault in shipped_faults().values():
        for proof in fault.proofs:
            file, _, name = (proof.test or "tests/faults/test_fault_catalogue.py::test_fault").partition("::")
            assert f"\ndef {name}(" in (root / file).read_text(encoding="utf-8"), (fault.name, proof.test)
