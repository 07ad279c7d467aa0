"""Watching and cancelling imports: extensions, which CloudStack does not have (`--extensions`)."""

from __future__ import annotations

from sqlalchemy import select

from mgmt.commands.declaration import Bound, Call, Item, command
from mgmt.commands.fields import Out, Params, Response, Str
from mgmt.errors import InvalidParameterValueError
from mgmt.imports.control import ImportControl, Phase, TooLateError
from mgmt.jobs.states import JobState
from mgmt.store.models import AsyncJob, ImportVmTask

IMPORT_COMMAND = "importVm"


class CancelImportVmParams(Params):
    """Parameters of cancelImportVm."""

    id = Str("UUID of the import's job or of its task", required=True)


class ImportCancellationResponse(Response):
    """What cancelImportVm began."""

    id = Out("string", "UUID of the import's job")
    taskid = Out("string", "UUID of the import's task, once it has one")
    virtualmachinename = Out("string", "name of the VM that was being imported")
    state = Out("string", "Cancelling: the job ends as failed once everything is undone")
    step = Out("string", "step that was under way")
    first = Out("boolean", "false when it was being cancelled already")
    remarks = Out("list", "what cannot be undone or stopped, and why")


@command(
    "cancelImportVm",
    params=CancelImportVmParams,
    response=ImportCancellationResponse,
    description="Cancels an import: its tool is ended and all that it made is undone",
    object_name="importcancellation",
    extension=True,
)
def cancel_import_vm(call: Call, bound: Bound) -> Item:
    """Begin to cancel an import and answer at once; the job then ends as failed, with a text that says so.

    Cancelling twice is no error. An import that has ended, or is just ending, cannot be cancelled (431).
    """
    uuid, by = bound["id"], call.caller.username
    control = call.services.imports.find(uuid)
    if control is None:
        _check_pending(call, uuid)
        found = call.services.imports.doom(uuid, by)
        if isinstance(found, bool):  # no worker has taken it yet
            return Item({"id": uuid, "state": Phase.CANCELLING.value, "first": found})
        control = found
    return Item(_cancel(control, by))


def _cancel(control: ImportControl, by: str) -> dict[str, object]:
    try:
        is_first = control.cancel(by)
    except TooLateError as error:
        state = "is ending" if error.phase is Phase.ENDING else f"has ended: {error.phase.value}"
        raise InvalidParameterValueError(
            f"The import of VM {control.vm_name} (job ID: {control.job_uuid}) cannot be cancelled, it {state}"
        ) from error
    return {
        "id": control.job_uuid,
        "taskid": control.task_uuid,
        "virtualmachinename": control.vm_name,
        "state": Phase.CANCELLING.value,
        "step": control.step,
        "first": is_first,
        "remarks": list(control.notes) or None,
    }


def _check_pending(call: Call, uuid: str) -> None:
    """Raise InvalidParameterValueError unless `uuid` is the job of an import that has not begun."""
    job = call.db.scalar(select(AsyncJob).where(AsyncJob.uuid == uuid, AsyncJob.command == IMPORT_COMMAND))
    if job is None:
        task = call.db.scalar(select(ImportVmTask).where(ImportVmTask.uuid == uuid))
        if task is None:
            raise InvalidParameterValueError(f"There is no import with job or task ID: {uuid}")
        raise InvalidParameterValueError(f"The import of VM {task.source_vm_name} (task ID: {uuid}) is not under way")
    if job.status != int(JobState.IN_PROGRESS):
        raise InvalidParameterValueError(f"The import with job ID: {uuid} has ended")


COMMANDS = (cancel_import_vm,)
