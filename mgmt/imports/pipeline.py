"""One import as a pipeline of named steps (import-vm 2.1).

Each step is a journal entry and records how to undo what it made; the undo list runs in reverse at the end. Upstream:
UnmanagedVMsManagerImpl.importVm.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from mgmt.errors import (
    INTERNAL_ERROR,
    CloudError,
    CloudRuntimeError,
    InvalidParameterValueError,
    JavaError,
    PermissionDeniedError,
    ServerApiError,
    ServerStoppingError,
)
from mgmt.faults.meeting import meet
from mgmt.imports.checks import (
    KVM_SOURCES,
    UNMANAGED,
    Plan,
    check_kvm_source,
    check_source,
    resolve,
)
from mgmt.imports.control import ImportCancelledError, ImportControl, Phase
from mgmt.imports.controlled import controlled
from mgmt.imports.external import ExternalImport
from mgmt.imports.images import LocalImport, SharedImport
from mgmt.imports.kvmsource import KvmImport, KvmSource
from mgmt.imports.ports import ImportServices
from mgmt.imports.request import ImportRequest, Requester
from mgmt.imports.tasks import TaskRecorder
from mgmt.imports.trace import SINGLE, Trace
from mgmt.imports.undo import UndoList
from mgmt.imports.vmwarechecks import VmwarePlan, resolve_vmware
from mgmt.imports.vmwareimport import VmwareImport
from mgmt.inventory.events import record_event
from mgmt.inventory.limits import release
from mgmt.jobs.waiting import Work, run_blocking
from mgmt.quirks import (
    NULL_TASK_ERROR_TEXT,
    STOP_LEAVES_IMPORT,
    TASK_LEFT_RUNNING,
)
from mgmt.store import models
from mgmt.store.rows import find_row

logger = logging.getLogger(__name__)

EVENT_TYPE = "VM.IMPORT"
STOPPED_TEXT = "The management server was stopped during the import"
NULL_TASK_TEXT = (
    'Cannot invoke "com.cloud.vm.ImportVMTaskVO.setUpdated(java.util.Date)" because "importVMTaskVO" is null'
)

KVM_IMPORTS: Mapping[str, type[KvmSource]] = {
    "EXTERNAL": ExternalImport,
    "SHARED": SharedImport,
    "LOCAL": LocalImport,
}

# What is a CloudRuntimeException upstream: the failure handler of the try block catches these and nothing else.
CLOUD_RUNTIME_ERRORS = (CloudRuntimeError, InvalidParameterValueError, PermissionDeniedError, ServerApiError)


@dataclass
class ImportPipeline:
    """One run of importVm; `work` or `run` may be called once. `control` is how others watch and cancel it."""

    services: ImportServices
    request: ImportRequest
    requester: Requester
    trace: Trace = field(default_factory=Trace)
    control: ImportControl = field(default_factory=ImportControl)

    def __post_init__(self) -> None:
        self.services = controlled(self.services, self.control)
        self.task = TaskRecorder(self.services.store, self.services.providers)
        # Texts for callers lose this import's own secrets only. The server's redactor knows every secret, a login's
        # password like `password` among them, and would tear holes into CloudStack's sentences.
        self._redactor = self.trace.redactor
        self.undo = UndoList(self.services.journal, self._redactor, self._meet_undo)
        self._claims: list[tuple[int, ...]] = []

    # The frame ----------------------------------------------------------------------------------------------------

    def run(self) -> int:
        """As `work`, in one go: the calling thread waits when the import has to."""
        return run_blocking(self.work())

    def work(self) -> Work[int]:
        """Import the VM and return its internal number; yields when it has to wait for its turn.

        Raises a CloudError with CloudStack's text and, where a table row fired, its id.
        """
        self._keep_secret(self.request.password)
        ended = Phase.FAILED
        try:
            vm_id = yield from self._run()
            ended = Phase.COMPLETED
            return vm_id
        except ImportCancelledError:
            ended = Phase.CANCELLED
            raise
        except CloudError as error:
            error.text = self._redactor.text(error.text)
            error.args = (error.text,)
            raise
        finally:
            self.control.end(ended)
            self.control.leave_queue()

    def _keep_secret(self, secret: str | None) -> None:
        self.services.redactor.register(secret)
        self._redactor.register(secret)

    def _run(self) -> Work[int]:
        with self._step("check source"):
            source = check_source(self.request, self.services, self.trace)
        if source in KVM_SOURCES:
            return (yield from self._import_from_kvm(source))
        with self._step("resolve"):
            with self.services.store.session() as session:
                plan = resolve(session, self.request, self.requester, self.services, self.trace)
            self._event(plan, "Started", "INFO")
            if source == UNMANAGED:
                self._fail_unmanaged(plan)
            with self.services.store.session() as session:
                vmware = resolve_vmware(session, plan, self.request, self.services, self.trace)
            self._keep_secret(vmware.credentials.password)
        vm_id = yield from self._import_from_vmware(plan, vmware)
        self._event(plan, "Completed", "INFO", vm_id)
        return vm_id

    def _import_from_kvm(self, source: str) -> Work[int]:
        with self._step("resolve"), self.services.store.session() as session:
            plan = check_kvm_source(session, self.request, self.requester, self.services, self.trace)
        failed = True
        try:
            job = KvmImport(self.services, self.request, plan, self.undo, self._step, self.trace, self.control)
            work = KVM_IMPORTS[source](job)
            yield from work.wait()
            vm_id = work.run()
            failed = False
            return vm_id
        except ServerStoppingError:
            self._stopped()
            raise
        except CloudError as error:
            if self.control.fail():
                raise self._cancelled() from error
            raise
        finally:
            self.control.fail()
            self.undo.run(failed=failed)

    def _stopped(self) -> None:
        """The server stops: upstream's import just ends, with all that it made."""
        if self.services.quirks.is_faithful(STOP_LEAVES_IMPORT):
            self.undo.forget()
        elif self.task.exists:
            self.task.failed(STOPPED_TEXT)

    def _fail_unmanaged(self, plan: Plan) -> None:
        # importVm has no branch for this source upstream: no host is even asked (import-vm 5.1).
        self._event(plan, "Completed", "ERROR")
        raise no_branch_for_unmanaged(self.request, plan, self.trace)

    @contextmanager
    def _step(self, name: str) -> Iterator[None]:
        journal = self.services.journal
        self.control.begin(name)
        journal.record("import", name, state="started")
        seen = len(self.trace.decisions)

        def decisions() -> list[dict[str, object]]:
            return [decision.as_fields() for decision in self.trace.decisions[seen:]]

        try:
            self._meet("job.step", {"step": name, "state": "begins"})
            yield
            self._meet("job.step", {"step": name, "state": "ends"})
        except CloudError as error:
            journal.record("import", name, state="failed", reason=error.text, row=error.row, decisions=decisions())
            raise
        except Exception as error:
            journal.record("import", name, state="failed", reason=f"{type(error).__name__}: {error}")
            raise
        journal.record("import", name, state="done", decisions=decisions())

    def _meet(self, point: str, facts: Mapping[str, object]) -> None:
        if self.services.faults is not None:
            clock = self.services.providers.clock
            meet(self.services.faults, clock, point, {**facts, "vm": self.request.name})

    def _meet_undo(self, what: str) -> None:
        number = what.rpartition(" ")[2]
        self._meet("job.undo", {"what": what, "number": int(number) if number.isdecimal() else None})

    def _import_from_vmware(self, plan: Plan, vmware: VmwarePlan) -> Work[int]:
        failed = True
        try:
            work = VmwareImport(
                self.services,
                self.request,
                plan,
                vmware,
                self.undo,
                self.task,
                self._claims,
                self._step,
                self.trace,
                self.control,
            )
            vm_id = yield from work.work()
            failed = False
            return vm_id
        except ServerStoppingError:
            self._stopped()
            raise
        except CloudError as error:
            if self.control.fail():
                raise self._cancelled(plan) from error
            if isinstance(error, CLOUD_RUNTIME_ERRORS):
                raise self._handled(plan, error) from error
            # Upstream's handler lets other failures pass (import-vm 4.1): the task stays Running.
            if self.task.exists and not self.services.quirks.is_faithful(TASK_LEFT_RUNNING):
                self.task.failed(self._redactor.text(error.text))
            raise
        finally:
            self.control.fail()
            self.undo.run(failed=failed)
            self._release_claims()

    def _cancelled(self, plan: Plan | None = None) -> ImportCancelledError:
        """Unmake all that a cancelled import made, then say so in its task and events; returns the job's error."""
        left = self.undo.run(failed=True, cancelled=True)
        self._release_claims()
        text = self._redactor.text(". ".join((self.control.cancelled_text, *self.control.notes, *left)))
        logger.warning("%s", text)
        if self.task.exists:
            self.task.failed(text)
        if plan is not None:
            self._event(plan, "Completed", "ERROR")
        return ImportCancelledError(text)

    def _handled(self, plan: Plan, error: CloudError) -> CloudError:
        """What the failure handler makes of a CloudRuntimeException of the try block."""
        text = self._redactor.text(error.text)
        logger.error("importing VM %s failed: %s (row %s)", self.request.name, text, error.row)
        if self.task.exists:
            self.task.failed(text)
        elif self.services.quirks.is_faithful(NULL_TASK_ERROR_TEXT):
            # Upstream's handler trips over the missing task: the caller sees Java's words and no event is written.
            self.services.journal.record("import", "failure handler", state="failed", reason=text, shown=NULL_TASK_TEXT)
            return JavaError(NULL_TASK_TEXT, row=error.row)
        self._event(plan, "Completed", "ERROR")
        return ServerApiError(INTERNAL_ERROR, text, row=error.row)

    def _release_claims(self) -> None:
        if not any(self._claims):  # a root admin needs none
            return
        with self.services.store.session() as session:
            while self._claims:
                release(session, self._claims.pop())

    def _event(self, plan: Plan, state: str, level: str, vm_id: int | None = None) -> None:
        with self.services.store.session() as session:
            vm = find_row(session, models.VmInstance, vm_id, "uuid")
            is_failure = level == "ERROR"
            record_event(
                session,
                self.services.providers,
                type=EVENT_TYPE,
                level=level,
                state=state,
                description=self._redactor.text(self.request.event_description),
                caller=replace(plan.owner, user_id=self.requester.user_id) if state == "Started" else plan.owner,
                resource_type=None if is_failure else "VirtualMachine",
                resource_uuid=vm.uuid if vm else None,
            )


def no_branch_for_unmanaged(request: ImportRequest, plan: Plan, trace: Trace) -> ServerApiError:
    """How importVm ends for the source unmanaged (row 5.1)."""
    text = f"Failed to find unmanaged vm with name: {request.name} in cluster: {plan.cluster.uuid}"
    error = ServerApiError(INTERNAL_ERROR, text, row="5.1")
    trace.refused(error, SINGLE, "5.1", {"importsource": request.importsource})
    return error


# What stands in docs/import-rules.md: when each row holds, and what it gives where it refuses nothing.
RULES: Mapping[str, str] = {
    "5.1": "importsource is unmanaged, for which importVm has no branch (importUnmanagedInstance has)",
}
