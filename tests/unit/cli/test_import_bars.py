"""What `cloudstack-mock api importVm` shows on a terminal."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from mgmt.cli.api import _run_import
from mgmt.cli.client import ApiCallError
from mgmt.cli.import_bars import ImportBars

JOB = "0f0c2f5e-2b38-4a2b-9c1e-0f6c4f4c7d10"
RUNNING = {
    "id": JOB,
    "state": "Running",
    "step": "convert",
    "stage": "convert",
    "bytesdone": 1500,
    "totalbytes": 4000,
    "rate": 50_000_000,
    "eta": 50,
    "disk": [
        {"number": 1, "bytesdone": 1000, "totalbytes": 1000, "rate": 60_000_000, "eta": 0},
        {"number": 2, "bytesdone": 500, "totalbytes": 3000},
    ],
}


class Client:
    """A server with the given answers to getImportProgress; the last one interrupts."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.asked = self.tasks_shown = 0

    def call(self, command: str, **parameters: object) -> Any:
        if command == "listImportVmTasks":
            task = {"sourcevmname": "web01", "step": "[2/5] CloningInstance", "description": "Cloning"}
            self.tasks_shown += 1
            return {"importvmtask": [task]}
        assert (command, parameters) == ("getImportProgress", {"id": JOB})
        self.asked += 1
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return {"importprogress": answer}

    def run(self, command: str, parameters: Any, *, on_poll: Any, on_job: Any) -> Any:
        on_job(JOB)
        while self.answers:
            on_poll(JOB)
        if self.tasks_shown:
            on_poll(JOB)
        raise KeyboardInterrupt


def terminal() -> Console:
    return Console(file=io.StringIO(), force_terminal=True, width=150, color_system=None)


def lines(*answers: Any) -> list[str]:
    """What is on the terminal after these answers."""
    console = terminal()
    bars = ImportBars(Client(), {}, console)  # type: ignore[arg-type]
    for answer in answers:
        bars.show(answer)
    with console.capture() as capture:
        console.print(bars._progress.get_renderable())
    return [" ".join(line.split()) for line in capture.get().splitlines()]


def test_a_bar_for_each_disk() -> None:
    """Step, percentage, rate and time left, in all and for each disk; what is not known is not shown."""
    whole, first, second = lines(RUNNING)
    assert whole.startswith("importVm: convert")
    assert "38% 50.0 MB/s, 50 s left" in whole
    assert first.startswith("disk 1") and "100% 60.0 MB/s, 0 s left" in first
    assert second.startswith("disk 2") and "17%" in second and "left" not in second


def test_bars_of_an_earlier_stage_go() -> None:
    """The import of the converted disks begins with bars of its own."""
    shown = lines(RUNNING, {**RUNNING, "stage": "import", "step": "import", "disk": []})
    assert len(shown) == 1


def test_an_import_that_waits() -> None:
    """The line says for what, and how many are ahead."""
    waiting = {
        "id": JOB,
        "state": "Waiting",
        "step": "wait in the queue",
        "waitsfor": ["KVM host kvm1"],
        "queueplace": 2,
    }
    assert lines(waiting)[0].startswith("importVm: wait in the queue - 2 ahead for KVM host kvm1")


def test_a_host_that_tells_nothing() -> None:
    """The line says so."""
    shown = lines(
        {"id": JOB, "state": "Running", "step": "convert", "remark": "host kvm1 does not report its progress"}
    )
    assert shown[0].startswith("importVm: convert - host kvm1 does not report its progress")


@pytest.mark.parametrize(
    ("answers", "told"),
    [
        ((RUNNING, RUNNING), f" api cancelImportVm id={JOB}"),
        (
            (ApiCallError("401: no such command"),),
            "CloudStack cannot cancel an import; a server with --extensions can.",
        ),
    ],
)
def test_an_interrupt_tells_how_to_go_on(
    answers: tuple[Any, ...], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Ctrl-C leaves the import running; a server without extensions is asked for its progress once only."""
    client = Client(*answers)
    with pytest.raises(SystemExit) as ended:
        _run_import(client, {"name": "web01"}, terminal())  # type: ignore[arg-type]
    assert ended.value.code == 130
    said = capsys.readouterr().err
    assert f"queryAsyncJobResult jobid={JOB}" in said
    assert told in said
    assert client.asked == len(answers)
    assert client.tasks_shown == (0 if answers[0] is RUNNING else 2)
