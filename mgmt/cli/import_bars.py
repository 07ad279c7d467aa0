"""What a terminal shows of an import that runs: its step, and a bar for each disk where the server tells of them."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.filesize import decimal
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeElapsedColumn

from mgmt.cli.client import ApiCallError, ApiClient


class ImportBars:
    """The bars of one job; a context manager. `follow` is to be called at each look at the job."""

    def __init__(self, client: ApiClient, parameters: Mapping[str, str], console: Console) -> None:
        self._client = client
        self._parameters = parameters
        self._has_progress = True
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("{task.fields[figures]}"),
            TimeElapsedColumn(),
            console=console,
            transient=True,
        )
        self._main = self._progress.add_task("importVm", total=None, figures="")
        self._disks: dict[int, TaskID] = {}
        self._stage: str | None = None

    def __enter__(self) -> ImportBars:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    @property
    def can_cancel(self) -> bool:
        """Whether the server has the extensions, as far as is known."""
        return self._has_progress

    def follow(self, job_id: str) -> None:
        """Show how the import stands: a server without extensions tells the step of its task only."""
        if self._has_progress:
            try:
                self.show(self._client.call("getImportProgress", id=job_id)["importprogress"])
                return
            except ApiCallError:
                self._has_progress = False
        self._show_task()

    def _show_task(self) -> None:
        try:
            answer = self._client.call(
                "listImportVmTasks", zoneid=self._parameters.get("zoneid"), tasksfilter="running"
            )
        except ApiCallError:
            return  # an older server: the bar then just moves
        wanted = self._parameters.get("name")
        task = next((task for task in answer.get("importvmtask", ()) if task.get("sourcevmname") == wanted), None)
        if task is not None:
            done, _, total = task["step"].removeprefix("[").partition("]")[0].partition("/")
            self._progress.update(
                self._main, completed=int(done) - 1, total=int(total), description=task["description"]
            )

    def show(self, shown: Mapping[str, Any]) -> None:
        """Show an answer of getImportProgress."""
        words = [f"importVm: {shown.get('step', shown['state'])}"]
        if shown.get("waitsfor"):
            words.append(f"{shown.get('queueplace', 0)} ahead for {', '.join(shown['waitsfor'])}")
        elif shown.get("remark"):
            words.append(str(shown["remark"]))
        self._update(self._main, " - ".join(words), shown)
        if shown.get("stage") != self._stage:
            for task in self._disks.values():
                self._progress.remove_task(task)
            self._disks, self._stage = {}, shown.get("stage")
        for disk in shown.get("disk", ()):
            number = int(disk["number"])
            if number not in self._disks:
                self._disks[number] = self._progress.add_task("", total=None, figures="")
            self._update(self._disks[number], f"  disk {number}", disk)

    def _update(self, task: TaskID, description: str, measure: Mapping[str, Any]) -> None:
        figures = []
        if "rate" in measure:
            figures.append(f"{decimal(measure['rate'])}/s")
        if "eta" in measure:
            figures.append(f"{measure['eta']} s left")
        self._progress.update(
            task,
            description=description,
            total=measure.get("totalbytes"),
            completed=measure.get("bytesdone", 0),
            figures=", ".join(figures),
        )
