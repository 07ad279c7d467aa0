"""cancelImportVm inside the pipeline: at every step and in every wait, and what is left."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from mgmt.errors import CommandAbandonedError
from mgmt.imports.control import ImportCancelledError, ImportControl, Phase, TooLateError
from mgmt.imports.leftovers import remove_late
from mgmt.imports.pipeline import ImportPipeline
from mgmt.imports.ports import Ending
from mgmt.protocol.commands import (
    CheckConvertInstanceCommand,
    CleanupConvertedInstanceDisksCommand,
    ConvertInstanceAnswer,
    ConvertInstanceCommand,
    CopyRemoteVolumeAnswer,
    CopyRemoteVolumeCommand,
    DeleteCommand,
    ImportConvertedInstanceAnswer,
    ImportConvertedInstanceCommand,
    NfsTO,
    PrimaryDataStoreTO,
    StorageFilerTO,
    UnmanagedDisk,
    UnmanagedInstanceTO,
)
from mgmt.protocol.records import Answer, Command
from mgmt.store import models
from mgmt.vmware.errors import VcenterTaskError
from mgmt.vmware.records import POWER_ON

STEPS = (
    "check source",
    "resolve",
    "choose hosts",
    "check host",
    "place",
    "find source",
    "clone",
    "reserve limits",
    "check guest",
    "network checks",
    "export",
    "convert",
    "import",
    "sanitise",
    "register",
)
TASK_FROM = STEPS.index("find source")


class CancellingControl(ImportControl):
    """Is cancelled by `root` as soon as step `at` is about to begin."""

    def __init__(self, at: str) -> None:
        super().__init__("web01", "job-1")
        self.at = at

    def begin(self, step: str) -> None:
        if step == self.at:
            assert self.cancel("root")
        super().begin(step)


@dataclass
class Hosts:
    """Embedded hosts, or external ones that cannot be told."""

    ending: Ending = "ends"
    ended: list[tuple[str, str]] = field(default_factory=list)

    def end_command(self, guid: str, log_id: str, command: str) -> Ending:
        self.ended.append((guid, command))
        return self.ending

    def reports_progress(self, guid: str) -> bool:
        return False


@dataclass
class Staging:
    """The directories of the exports, below `root`."""

    root: Path

    def directory(self, nfs_host: str, path: str) -> Path:
        found = self.root / path.lstrip("/")
        found.mkdir(parents=True, exist_ok=True)
        return found


@pytest.fixture
def cancel_world(world: Any, tmp_path: Path, make_source: Any) -> Any:
    """A running source that has to be cloned and exported, and hosts that can be told to end a command."""
    world.vcenter.vms["web01"] = make_source(power_state=POWER_ON)
    world.agents.defaults[DeleteCommand] = lambda _: Answer(result=True)
    world.services = replace(world.services, host_control=Hosts(), staging=Staging(tmp_path))
    return world


def run(world: Any, control: ImportControl, **changes: Any) -> str:
    """Run an import that is cancelled on its way; the error's text."""
    request = world.request(usevddk=False, forcemstoimportvmfiles=True, **changes)
    pipeline = ImportPipeline(world.services, request, world.requester(), control=control)
    with pytest.raises(ImportCancelledError) as caught:
        pipeline.run()
    assert control.phase is Phase.CANCELLED
    assert caught.value.job_errorcode() == 530
    return caught.value.text


def assert_nothing_left(world: Any, tmp_path: Path) -> None:
    world.assert_no_records()
    assert world.vcenter.destroyed == world.vcenter.clones
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("step", STEPS)
def test_cancel_before_each_step(cancel_world: Any, tmp_path: Path, step: str) -> None:
    """Whatever step comes next, the job ends with a text that says so, the task is Failed and nothing is left."""
    text = run(cancel_world, CancellingControl(step))
    assert text.startswith("The import of VM web01 was cancelled by root")
    assert_nothing_left(cancel_world, tmp_path)
    tasks = cancel_world.rows(models.ImportVmTask)
    if STEPS.index(step) < TASK_FROM:
        assert tasks == []
    else:
        assert [(task.state, task.description) for task in tasks] == [("Failed", text)]
    files = [command.data.path for command in cancel_world.agents.commands(DeleteCommand)]
    assert files == (["file-0"] if step in ("sanitise", "register") else [])


def test_cancelled_at_the_very_end(cancel_world: Any, tmp_path: Path) -> None:
    """A cancellation that comes while the records are written undoes them; one that comes later is refused."""
    control = ImportControl("web01", "job-1")
    commit = control.commit

    def late() -> None:
        control.cancel("root")
        commit()

    control.commit = late  # type: ignore[method-assign]
    run(cancel_world, control)
    assert_nothing_left(cancel_world, tmp_path)


def test_a_finished_import_cannot_be_cancelled(cancel_world: Any) -> None:
    """After the end, and from the moment on at which it is certain, it is too late."""
    control = ImportControl("web01", "job-1")
    ImportPipeline(cancel_world.services, cancel_world.request(), cancel_world.requester(), control=control).run()
    assert control.phase is Phase.COMPLETED
    with pytest.raises(TooLateError) as caught:
        control.cancel("root")
    assert caught.value.phase is Phase.COMPLETED
    assert cancel_world.task.state == "Completed"


def test_a_failing_import_cannot_be_cancelled(cancel_world: Any) -> None:
    """While it undoes what it made it is too late, and its own reason stays."""
    control = ImportControl("web01", "job-1")
    refused: list[Phase] = []
    destroy = cancel_world.vcenter.destroy_vm

    def destroy_vm(name: str) -> None:
        try:
            control.cancel("root")
        except TooLateError as error:
            refused.append(error.phase)
        destroy(name)

    cancel_world.vcenter.destroy_vm = destroy_vm
    cancel_world.agents.script(ConvertInstanceCommand, Answer(result=False, details="no space"))
    pipeline = ImportPipeline(cancel_world.services, cancel_world.request(), cancel_world.requester(), control=control)
    with pytest.raises(Exception, match="no space"):
        pipeline.run()
    assert refused == [Phase.ENDING]
    assert cancel_world.vcenter.destroyed == cancel_world.vcenter.clones
    assert control.phase is Phase.FAILED


def test_cancelling_twice(cancel_world: Any) -> None:
    """The second cancellation changes nothing."""
    control = CancellingControl("convert")
    begin = control.begin

    def twice(step: str) -> None:
        if step == "convert":
            assert control.cancel("root")
            assert not control.cancel("somebody else")
        begin(step)

    control.at = "-"
    control.begin = twice  # type: ignore[method-assign]
    assert "was cancelled by root at step: export" in run(cancel_world, control)


# In the middle of a wait


@pytest.mark.parametrize(
    "command", [CheckConvertInstanceCommand, ConvertInstanceCommand, ImportConvertedInstanceCommand]
)
def test_cancel_while_a_host_works(cancel_world: Any, tmp_path: Path, command: type[Command]) -> None:
    """A host that can be told ends its tool; the answer that it then gives is not what the caller reads."""
    control = ImportControl("web01", "job-1")

    def answer(sent: Command) -> Answer:
        control.cancel("root")
        return Answer(result=False, details="The command was ended before it was done")

    cancel_world.agents.script(command, answer)
    text = run(cancel_world, control)
    assert text == f"The import of VM web01 was cancelled by root at step: {control.step}"
    assert [name for _, name in cancel_world.services.host_control.ended] == [command.__name__]
    assert cancel_world.agents.abandoned == []
    assert_nothing_left(cancel_world, tmp_path)


REMARK = (
    ". host K1 goes on with ConvertInstanceCommand: CloudStack's agents cannot be told to stop it; what it writes is "
    "removed when it answers"
)


@pytest.mark.parametrize(("ending", "remark"), [("goes on", REMARK), ("never begins", "")])
def test_a_host_that_gives_no_answer(cancel_world: Any, tmp_path: Path, ending: Ending, remark: str) -> None:
    """Nobody waits for an answer that nobody can hurry, or for one that never comes; the text says what goes on."""
    cancel_world.services = replace(cancel_world.services, host_control=Hosts(ending))
    control = ImportControl("web01", "job-1")

    def answer(sent: Command) -> Answer:
        control.cancel("root")
        assert cancel_world.agents.abandoned == [sent]
        raise CommandAbandonedError("nobody waits")

    cancel_world.agents.script(ConvertInstanceCommand, answer)
    text = run(cancel_world, control, convertinstancehostid="K1", importinstancehostid="K1")
    assert text == f"The import of VM web01 was cancelled by root at step: convert{remark}"
    assert_nothing_left(cancel_world, tmp_path)


def _disk(name: str) -> UnmanagedDisk:
    return UnmanagedDisk(datastoreName="pool-N1", fileBaseName=name)


POOL = PrimaryDataStoreTO(uuid="pool-N1")
LATE = {
    "converted": (
        ConvertInstanceCommand(conversionTemporaryLocation=POOL),
        ConvertInstanceAnswer(result=True, temporaryConvertUuid="u"),
        ["u"],
    ),
    "imported": (
        ImportConvertedInstanceCommand(),
        ImportConvertedInstanceAnswer(result=True, convertedInstance=UnmanagedInstanceTO(disks=[_disk("a")])),
        ["a"],
    ),
    "copied": (
        CopyRemoteVolumeCommand(storageFilerTO=StorageFilerTO(uuid="pool-N1")),
        CopyRemoteVolumeAnswer(result=True, filename="c"),
        ["c"],
    ),
    "failed": (ConvertInstanceCommand(), Answer(result=False), []),
    "nowhere": (ConvertInstanceCommand(), ConvertInstanceAnswer(result=True, temporaryConvertUuid="u"), []),
}


@pytest.mark.parametrize("case", LATE)
def test_what_a_host_writes_after_the_cancellation(cancel_world: Any, case: str) -> None:
    """A host that could not be told to stop deletes what it wrote once its answer tells of it."""
    command, answer, names = LATE[case]
    cancel_world.agents.defaults[CleanupConvertedInstanceDisksCommand] = lambda _: Answer(result=True)
    remove_late(cancel_world.services, cancel_world.id_of("K1"), command, answer)
    assert _deleted(cancel_world) == names


def test_an_older_host_deletes_file_by_file(cancel_world: Any) -> None:
    """Where the host does not know CleanupConvertedInstanceDisksCommand, and where it deletes nothing at all."""
    cancel_world.agents.defaults[CleanupConvertedInstanceDisksCommand] = lambda _: Answer(result=False)
    cancel_world.agents.script(DeleteCommand, *[Answer(result=True)] * 3, Answer(result=False, details="no such file"))
    command, answer, _ = LATE["converted"]
    remove_late(cancel_world.services, cancel_world.id_of("K1"), command, answer)
    assert _deleted(cancel_world) == ["u", "u.xml", "u-sda", "u-sdb", "u-sdc"]
    store = NfsTO(_url="nfs://192.0.2.20/export/secondary")
    remove_late(
        cancel_world.services,
        cancel_world.id_of("K1"),
        ConvertInstanceCommand(conversionTemporaryLocation=store),
        answer,
    )
    assert _deleted(cancel_world)[5:] == ["u"]


def _deleted(world: Any) -> list[str]:
    return [
        command.vmVolumesPrefix if isinstance(command, CleanupConvertedInstanceDisksCommand) else command.data.path
        for _, command in world.agents.sent
    ]


def test_the_abandoned_command_has_its_late_answer_looked_at(cancel_world: Any) -> None:
    """What is handed in with an abandoned command removes what its answer tells of."""
    cancel_world.services = replace(cancel_world.services, host_control=Hosts("goes on"))
    cancel_world.agents.defaults[CleanupConvertedInstanceDisksCommand] = lambda _: Answer(result=True)
    control = ImportControl("web01", "job-1")

    def answer(sent: Command) -> Answer:
        control.cancel("root")
        raise CommandAbandonedError("nobody waits")

    cancel_world.agents.script(ConvertInstanceCommand, answer)
    run(cancel_world, control)
    cancel_world.agents.late(ConvertInstanceAnswer(result=True, temporaryConvertUuid="late"))
    assert cancel_world.agents.commands(CleanupConvertedInstanceDisksCommand)[-1].vmVolumesPrefix == "late"


def test_cancel_while_the_clone_is_made(cancel_world: Any, tmp_path: Path) -> None:
    """vCenter's task is cancelled; a clone that was never made is not missed."""
    control = ImportControl("web01", "job-1")

    def clone_vm(vm: Any, name: str) -> Any:
        control.cancel("root")
        raise VcenterTaskError("The task was canceled by a user.", "RequestCanceled")

    cancel_world.vcenter.clone_vm = clone_vm
    text = run(cancel_world, control)
    assert text == "The import of VM web01 was cancelled by root at step: clone"
    assert cancel_world.vcenter.cancels == 1
    assert_nothing_left(cancel_world, tmp_path)


def test_converted_files_of_a_pool_are_deleted_by_the_host(cancel_world: Any) -> None:
    """What was converted into a primary pool goes with DeleteCommand, the domain XML too."""
    run(
        cancel_world,
        CancellingControl("import"),
        convertinstancepoolid="pool-N1",
        convertinstancehostid="K1",
        importinstancehostid="K1",
    )
    deleted = [command.data.path.rpartition("-")[2] for command in cancel_world.agents.commands(DeleteCommand)]
    assert [name.rpartition(".")[2] for name in deleted] == ["sda", "xml"]


def test_converted_files_of_secondary_storage_are_removed(cancel_world: Any, tmp_path: Path) -> None:
    """What was converted into secondary storage goes by the management server's own hand, and nothing else there."""
    place = cancel_world.services.staging.directory("192.0.2.20", "/export/secondary")
    uuid = "0f0c2f5e-2b38-4a2b-9c1e-0f6c4f4c7d10"
    for name in (f"{uuid}-sda", f"{uuid}.xml", "other-sda"):
        (place / name).touch()
    run(cancel_world, CancellingControl("import"))
    assert [path.name for path in place.iterdir()] == ["other-sda"]


def test_what_cannot_be_undone_is_told(cancel_world: Any) -> None:
    """The task says what stays behind and why."""
    cancel_world.vcenter.failures["destroy_vm"] = VcenterTaskError("No permission", "NoPermission")
    text = run(cancel_world, CancellingControl("convert"))
    assert "could not destroy clone" in text
    assert text.endswith("No permission")
    assert cancel_world.task.description == text


def test_cancel_of_an_import_from_a_kvm_host(world: Any) -> None:
    """The other sources end in the same way, before whatever step comes next."""
    control = CancellingControl("check disk")
    control.at = "resolve"
    pipeline = ImportPipeline(
        world.services, world.request(importsource="shared", name="x"), world.requester(), control=control
    )
    with pytest.raises(ImportCancelledError, match="was cancelled by root at step: check source"):
        pipeline.run()
    world.assert_no_records()


def test_an_interrupt_is_called_once_and_only_inside(world: Any) -> None:
    """A wait is interrupted while it lasts; one that begins after the cancellation does not begin."""
    control = ImportControl("web01")
    calls: list[str] = []
    with control.interruptible(lambda: calls.append("before")):
        pass
    with control.interruptible(lambda: calls.append("inside")):
        thread = threading.Thread(target=control.cancel, args=("root",))
        thread.start()
        thread.join()
    assert calls == ["inside"]
    with pytest.raises(ImportCancelledError), control.interruptible(lambda: calls.append("after")):
        raise AssertionError("the block must not begin")
