"""One import as a pipeline of named steps (import-vm 2.1).

Each step is a journal entry and records how to undo what it made; the undo list runs in reverse at the end. The vCenter
password lives in the credentials object and in the two agent commands only. Upstream:
UnmanagedVMsManagerImpl.importVm, importUnmanagedInstanceFromVmwareToKvm.
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
from mgmt.imports.conversion import Conversion, sanitise
from mgmt.imports.disks import DiskRules, check_mappings
from mgmt.imports.external import ExternalImport
from mgmt.imports.facts import HostFacts
from mgmt.imports.hostfiles import HostFiles
from mgmt.imports.images import LocalImport, SharedImport
from mgmt.imports.kvmsource import KvmImport, KvmSource
from mgmt.imports.networks import NicRules
from mgmt.imports.ovfexport import OvfExport
from mgmt.imports.placement import choose_hosts, place
from mgmt.imports.pools import pools_for_disks
from mgmt.imports.ports import ImportServices
from mgmt.imports.preflight import check_networks, reserve_vm
from mgmt.imports.registration import Registration
from mgmt.imports.request import ImportRequest, Requester
from mgmt.imports.source import Minimum, Source, is_windows
from mgmt.imports.sourcing import SourceFinder
from mgmt.imports.tasks import TaskRecorder
from mgmt.imports.trace import SINGLE, Trace
from mgmt.imports.undo import UndoList
from mgmt.imports.vmwarechecks import VmwarePlan, resolve_vmware
from mgmt.inventory.events import record_event
from mgmt.inventory.limits import release
from mgmt.jobs.waiting import Work, run_blocking
from mgmt.protocol.commands import UnmanagedInstanceTO
from mgmt.quirks import (
    IMPORT_WITHOUT_WAIT,
    LATE_DISK_MAPPING_CHECK,
    NULL_TASK_ERROR_TEXT,
    STOP_LEAVES_IMPORT,
    TASK_LEFT_RUNNING,
)
from mgmt.store import models
from mgmt.store.rows import find_row
from mgmt.vmware.connector import VcenterCredentials

logger = logging.getLogger(__name__)

EVENT_TYPE = "VM.IMPORT"
TIMEOUT_SETTING = "convert.vmware.instance.to.kvm.timeout"  # hours
THREADS_SETTING = "threads.on.kvm.host.to.import.vmware.vm.files"
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
            vm_id = yield from self._try_block(plan, vmware)
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

    # The try block ------------------------------------------------------------------------------------------------

    def _try_block(self, plan: Plan, vmware: VmwarePlan) -> Work[int]:
        with self._step("choose hosts"):
            convert_host, import_host = choose_hosts(self.services, self.request, plan.cluster, self.trace)
        conversion = Conversion(
            agents=self.services.agents,
            convert_host=convert_host,
            import_host=import_host,
            vm_name=self.request.name,
            use_vddk=self.request.usevddk,
            details=plan.details,
            trace=self.trace,
        )
        with self._step("check host"):
            checked = conversion.check_host(windows=False)
            export_on_host = self.request.usevddk or (
                checked.ovfExportSupported and not self.request.forcemstoimportvmfiles
            )
        with self._step("place"):
            location, pools = place(
                self.services, self.request, plan.cluster, vmware, (convert_host, import_host), self.trace
            )
        self._create_task(plan, vmware.credentials, convert_host, import_host)
        finder = SourceFinder(
            self.services, self.request.name, vmware.credentials, self.undo, self.control, self.trace, self._step
        )
        source = yield from finder.run(Minimum.of(plan.offering), (convert_host, import_host))
        with self._step("reserve limits"):
            self._reserve(plan, source)
        with self._step("check guest"):
            if is_windows(source.vm):
                conversion.check_host(windows=True)
        with self._step("network checks"):
            rules = self._check_networks(plan, source)
            if not self.services.quirks.is_faithful(LATE_DISK_MAPPING_CHECK):
                check_mappings(source.disk_ids(), self._disk_rules(plan, vmware))
        self.task.converting(convert_host)
        ovf_directory = None
        if not export_on_host:
            with self._step("export"), self.trace.rule("30", location=location.name):
                export = OvfExport(self.services, self.undo, vmware.credentials, location, self.control.progress)
                ovf_directory = export.run(source.name)
        timeout_s = self.services.settings.get_int(TIMEOUT_SETTING) * 3600
        with self._step("convert"), self.trace.rule("3.4", host=convert_host.name, location=location.name):
            convert_uuid = conversion.convert(
                source,
                vmware.credentials,
                location,
                timeout_s=timeout_s,
                threads=self.services.settings.get_int(THREADS_SETTING),
                extra_params=self.request.extraparams,
                ovf_directory=ovf_directory,
            )
        host_files = HostFiles(self.services, self.undo)
        host_files.converted(convert_host, location, convert_uuid, len(source.vm.disks))
        with self._step("import"), self.trace.rule("3.5", host=import_host.name):
            converted = conversion.import_converted(
                source,
                vmware.credentials,
                location,
                pools=pools_for_disks(source.disk_ids(), pools, vmware.offerings),
                convert_uuid=convert_uuid,
                force_to_pool=self.request.forceconverttopool,
                ovf_directory=ovf_directory,
                timeout_s=None if self.services.quirks.is_faithful(IMPORT_WITHOUT_WAIT) else timeout_s,
            )
        host_files.imported(import_host, converted.disks or [])
        with self._step("sanitise"):
            with self.trace.rule("3.7", disks=len(converted.disks or [])):
                instance = sanitise(converted, source)
            self.task.importing(import_host)
        return self._register(plan, vmware, rules, instance)

    def _disk_rules(self, plan: Plan, vmware: VmwarePlan) -> DiskRules:
        return DiskRules(plan.display_name, plan.zone_uuid, plan.cluster, vmware.offerings, self.trace)

    def _create_task(
        self, plan: Plan, credentials: VcenterCredentials, convert_host: HostFacts, import_host: HostFacts
    ) -> None:
        self.control.task_uuid = self.task.create(
            zone_id=plan.zone_id,
            account_id=plan.owner.account_id,
            user_id=plan.owner.user_id,
            display_name=plan.display_name,
            vcenter=credentials.host,
            datacenter=credentials.datacenter,
            source_vm_name=self.request.name,
            convert_host=convert_host,
            import_host=import_host,
        )

    def _reserve(self, plan: Plan, source: Source) -> None:
        with self.services.store.session() as session:
            self._claims.append(reserve_vm(session, plan, source.vm, self.trace))

    def _check_networks(self, plan: Plan, source: Source) -> NicRules:
        with self.services.store.session() as session:
            return check_networks(session, plan, source.vm, self.trace, forced=self.request.forced)

    def _register(self, plan: Plan, vmware: VmwarePlan, rules: NicRules, instance: UnmanagedInstanceTO) -> int:
        with self._step("register"):
            registration = Registration(
                self.services, plan, vmware.offerings, rules, instance, self._claims, self.control.commit
            )
            vm_id = registration.register(self.undo)
            self.task.completed(vm_id)
        return vm_id


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
