"""An import from VMware from the choice of its hosts to its records (import-vm 2.1, rows 21-34).

The vCenter password lives in the credentials object and in the two agent commands only. Upstream:
UnmanagedVMsManagerImpl.importUnmanagedInstanceFromVmwareToKvm.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

from mgmt.imports.checks import Plan
from mgmt.imports.control import ImportControl
from mgmt.imports.conversion import Conversion, sanitise
from mgmt.imports.disks import DiskRules, check_mappings
from mgmt.imports.facts import ImageStoreFacts, PoolFacts
from mgmt.imports.hostfiles import HostFiles
from mgmt.imports.networks import NicRules
from mgmt.imports.ovfexport import OvfExport
from mgmt.imports.placement import choose_hosts, place
from mgmt.imports.pools import pools_for_disks
from mgmt.imports.ports import ImportServices
from mgmt.imports.preflight import check_networks, reserve_vm
from mgmt.imports.registration import Registration
from mgmt.imports.request import ImportRequest
from mgmt.imports.source import Minimum, Source, is_windows
from mgmt.imports.sourcing import SourceFinder
from mgmt.imports.tasks import TaskRecorder
from mgmt.imports.trace import Trace
from mgmt.imports.undo import UndoList
from mgmt.imports.vmwarechecks import VmwarePlan
from mgmt.jobs.waiting import Work
from mgmt.protocol.commands import UnmanagedInstanceTO
from mgmt.quirks import IMPORT_WITHOUT_WAIT, LATE_DISK_MAPPING_CHECK

TIMEOUT_SETTING = "convert.vmware.instance.to.kvm.timeout"  # hours
THREADS_SETTING = "threads.on.kvm.host.to.import.vmware.vm.files"


@dataclass(frozen=True)
class _Route:
    """How the disks travel: who converts and imports them, over which place, into which pools."""

    conversion: Conversion
    host_exports: bool
    location: PoolFacts | ImageStoreFacts
    pools: tuple[PoolFacts, ...]


@dataclass(frozen=True)
class VmwareImport:
    """One import from VMware: its request and what the checks made of it, its clean-up list, its task.

    `step` makes a named journal entry of what is done inside it; `control` is how the import is told to end, and
    where it waits; `claims` takes up the claims on limits, which the caller releases.
    """

    services: ImportServices
    request: ImportRequest
    plan: Plan
    vmware: VmwarePlan
    undo: UndoList
    task: TaskRecorder
    claims: list[tuple[int, ...]]
    step: Callable[[str], AbstractContextManager[None]]
    trace: Trace
    control: ImportControl

    def work(self) -> Work[int]:
        """Import the VM and return its internal number; yields when it has to wait for its turn."""
        route = self._route()
        conversion = route.conversion
        self._create_task(conversion)
        finder = SourceFinder(
            self.services, self.request.name, self.vmware.credentials, self.undo, self.control, self.trace, self.step
        )
        hosts = (conversion.convert_host, conversion.import_host)
        source = yield from finder.run(Minimum.of(self.plan.offering), hosts)
        rules = self._check(source, conversion)
        self.task.converting(conversion.convert_host)
        ovf_directory = None if route.host_exports else self._export(source, route)
        convert_uuid = self._convert(source, route, ovf_directory)
        instance = self._take_in(source, route, convert_uuid, ovf_directory)
        return self._register(rules, instance)

    def _route(self) -> _Route:
        """Rows 21 to 24."""
        with self.step("choose hosts"):
            hosts = choose_hosts(self.services, self.request, self.plan.cluster, self.trace)
        conversion = Conversion(
            agents=self.services.agents,
            convert_host=hosts[0],
            import_host=hosts[1],
            vm_name=self.request.name,
            use_vddk=self.request.usevddk,
            details=self.plan.details,
            trace=self.trace,
        )
        with self.step("check host"):
            checked = conversion.check_host(windows=False)
        host_exports = self.request.usevddk or (checked.ovfExportSupported and not self.request.forcemstoimportvmfiles)
        with self.step("place"):
            location, pools = place(self.services, self.request, self.plan.cluster, self.vmware, hosts, self.trace)
        return _Route(conversion, host_exports, location, pools)

    def _create_task(self, conversion: Conversion) -> None:
        plan, credentials = self.plan, self.vmware.credentials
        self.control.task_uuid = self.task.create(
            zone_id=plan.zone_id,
            account_id=plan.owner.account_id,
            user_id=plan.owner.user_id,
            display_name=plan.display_name,
            vcenter=credentials.host,
            datacenter=credentials.datacenter,
            source_vm_name=self.request.name,
            convert_host=conversion.convert_host,
            import_host=conversion.import_host,
        )

    def _check(self, source: Source, conversion: Conversion) -> NicRules:
        """Rows 27 to 29, with what the source is."""
        store = self.services.store
        with self.step("reserve limits"), store.session() as session:
            self.claims.append(reserve_vm(session, self.plan, source.vm, self.trace))
        with self.step("check guest"):
            if is_windows(source.vm):
                conversion.check_host(windows=True)
        with self.step("network checks"):
            with store.session() as session:
                rules = check_networks(session, self.plan, source.vm, self.trace, forced=self.request.forced)
            if not self.services.quirks.is_faithful(LATE_DISK_MAPPING_CHECK):
                check_mappings(source.disk_ids(), self._disk_rules())
        return rules

    def _disk_rules(self) -> DiskRules:
        plan = self.plan
        return DiskRules(plan.display_name, plan.zone_uuid, plan.cluster, self.vmware.offerings, self.trace)

    def _export(self, source: Source, route: _Route) -> str:
        """Row 30 where the management server exports: the directory of the OVF in the temporary location."""
        with self.step("export"), self.trace.rule("30", location=route.location.name):
            export = OvfExport(self.services, self.undo, self.vmware.credentials, route.location, self.control.progress)
            return export.run(source.name)

    @property
    def _timeout_s(self) -> int:
        return self.services.settings.get_int(TIMEOUT_SETTING) * 3600

    def _convert(self, source: Source, route: _Route, ovf_directory: str | None) -> str:
        """The prefix of the converted files in the temporary location."""
        conversion, location = route.conversion, route.location
        with self.step("convert"), self.trace.rule("3.4", host=conversion.convert_host.name, location=location.name):
            convert_uuid = conversion.convert(
                source,
                self.vmware.credentials,
                location,
                timeout_s=self._timeout_s,
                threads=self.services.settings.get_int(THREADS_SETTING),
                extra_params=self.request.extraparams,
                ovf_directory=ovf_directory,
            )
        files = HostFiles(self.services, self.undo)
        files.converted(conversion.convert_host, location, convert_uuid, len(source.vm.disks))
        return convert_uuid

    def _take_in(
        self, source: Source, route: _Route, convert_uuid: str, ovf_directory: str | None
    ) -> UnmanagedInstanceTO:
        """The instance with its disks in their pools, completed with what the source says."""
        conversion = route.conversion
        import_host = conversion.import_host
        is_unbounded = self.services.quirks.is_faithful(IMPORT_WITHOUT_WAIT)
        with self.step("import"), self.trace.rule("3.5", host=import_host.name):
            converted = conversion.import_converted(
                source,
                self.vmware.credentials,
                route.location,
                pools=pools_for_disks(source.disk_ids(), route.pools, self.vmware.offerings),
                convert_uuid=convert_uuid,
                force_to_pool=self.request.forceconverttopool,
                ovf_directory=ovf_directory,
                timeout_s=None if is_unbounded else self._timeout_s,
            )
        HostFiles(self.services, self.undo).imported(import_host, converted.disks or [])
        with self.step("sanitise"):
            with self.trace.rule("3.7", disks=len(converted.disks or [])):
                instance = sanitise(converted, source)
            self.task.importing(import_host)
        return instance

    def _register(self, rules: NicRules, instance: UnmanagedInstanceTO) -> int:
        with self.step("register"):
            registration = Registration(
                self.services, self.plan, self.vmware.offerings, rules, instance, self.claims, self.control.commit
            )
            vm_id = registration.register(self.undo)
            self.task.completed(vm_id)
        return vm_id
