"""Watching and cancelling imports: extensions, which CloudStack does not have (`--extensions`)."""

from __future__ import annotations

from sqlalchemy import select

from mgmt.commands.declaration import Bound, Call, Item, command
from mgmt.commands.fields import Out, Params, Response, Str
from mgmt.errors import InvalidParameterValueError
from mgmt.imports.control import ImportControl, Phase, TooLateError
from mgmt.imports.progress import Measure
from mgmt.jobs.states import JobState
from mgmt.store.models import AsyncJob, Host, ImportVmTask

IMPORT_COMMANDS = ("importVm", "importUnmanagedInstance")


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


class GetImportProgressParams(Params):
    """Parameters of getImportProgress."""

    id = Str("UUID of the import's job or of its task", required=True)


class DiskProgressResponse(Response):
    """One disk."""

    number = Out("integer", "the disk's number, from 1")
    bytesdone = Out("long", "bytes that were copied")
    totalbytes = Out("long", "bytes that will be copied")
    rate = Out("long", "bytes a second since the copy began")
    eta = Out("long", "seconds that the rest takes at this rate")


class ImportProgressResponse(Response):
    """How far an import is. Fields that nobody can tell are absent."""

    id = Out("string", "UUID of the import's job")
    taskid = Out("string", "UUID of the import's task, once it has one")
    virtualmachinename = Out("string", "name of the VM that is imported")
    state = Out("string", "Queued, Waiting, Running, Cancelling, Ending, Completed, Failed or Cancelled")
    step = Out("string", "step under way")
    stage = Out("string", "what copies disks, or did last: download, export, convert or import")
    host = Out("string", "KVM host that copies, or did last")
    isreported = Out("boolean", "whether anything is known of the copies")
    remark = Out("string", "why nothing is known")
    waitsfor = Out("list", "vCenters and hosts without a place for it, see the settings cloudstackmock.import.limit.*")
    queueplace = Out("integer", "how many imports that want something of the same are ahead of it")
    diskcount = Out("integer", "how many disks are copied")
    bytesdone = Out("long", "bytes of all disks that were copied")
    totalbytes = Out("long", "bytes of all disks, once all are known")
    rate = Out("long", "bytes a second since the stage began")
    eta = Out("long", "seconds that the rest of the stage takes at this rate")
    disk = Out("list", "each disk", nested=DiskProgressResponse)


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
    job = call.db.scalar(select(AsyncJob).where(AsyncJob.uuid == uuid, AsyncJob.command.in_(IMPORT_COMMANDS)))
    if job is None:
        task = call.db.scalar(select(ImportVmTask).where(ImportVmTask.uuid == uuid))
        if task is None:
            raise InvalidParameterValueError(f"There is no import with job or task ID: {uuid}")
        raise InvalidParameterValueError(f"The import of VM {task.source_vm_name} (task ID: {uuid}) is not under way")
    if job.status != int(JobState.IN_PROGRESS):
        raise InvalidParameterValueError(f"The import with job ID: {uuid} has ended")


@command(
    "getImportProgress",
    params=GetImportProgressParams,
    response=ImportProgressResponse,
    description="Shows how far the copies of an import are, for each disk and in all",
    object_name="importprogress",
    extension=True,
)
def get_import_progress(call: Call, bound: Bound) -> Item:
    """The latest copies of an import that runs, waits or has ended not long ago; what nobody told is absent.

    Raises InvalidParameterValueError for an import that this server does not know (any more).
    """
    control = call.services.imports.find(bound["id"])
    if control is None:
        _check_pending(call, bound["id"])
        return Item(
            {"id": bound["id"], "state": "Queued", "isreported": False, "remark": "no worker is free for it yet"}
        )
    return Item(progress_view(call, control))


def progress_view(call: Call, control: ImportControl) -> dict[str, object]:
    """An import as getImportProgress shows it."""
    latest = control.progress.latest()
    ticket, is_running = control.ticket, control.phase is Phase.RUNNING
    waits_for = call.services.import_queue.waits_for(ticket) if ticket is not None else []
    host_name, reports = _copying_host(call, control)
    remark = f"host {host_name} does not report its progress" if host_name and not reports else None
    if latest is None and not remark:
        remark = "nothing has been copied yet" if is_running else None
    view: dict[str, object] = {
        "id": control.job_uuid,
        "taskid": control.task_uuid,
        "virtualmachinename": control.vm_name,
        "state": "Waiting" if waits_for else control.phase.value,
        "step": control.step,
        "host": host_name,
        "isreported": latest is not None and remark is None,
        "remark": remark,
        "waitsfor": [str(item) for item in waits_for] or None,
        "queueplace": call.services.import_queue.place(ticket) if ticket is not None else None,
    }
    if latest is None:
        return view
    view |= {"stage": latest.stage.value, "diskcount": latest.disk_count}
    if latest.total is not None:
        view |= _measure_view(latest.total, is_running)
    disks = sorted(latest.disks.items())
    return view | {"disk": [{"number": number, **_measure_view(each, is_running)} for number, each in disks]}


def _measure_view(measure: Measure, is_running: bool) -> dict[str, object]:
    rate, eta_s = measure.rate_bytes_s, measure.eta_s
    return {
        "bytesdone": measure.bytes_done,
        "totalbytes": measure.total_bytes,
        "rate": round(rate) if rate is not None else None,
        "eta": round(eta_s) if eta_s is not None and is_running else None,
    }


def _copying_host(call: Call, control: ImportControl) -> tuple[str | None, bool]:
    """The KVM host that copies for the import, and whether it tells how far it is."""
    host = call.db.get(Host, control.host_id) if control.host_id is not None else None
    if host is None:
        return None, False
    return host.name, host.guid is not None and call.services.host_control.reports_progress(host.guid)


COMMANDS = (cancel_import_vm, get_import_progress)
