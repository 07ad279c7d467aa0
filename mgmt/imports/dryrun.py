"""What an import would do: the decisions, hosts, pools and commands, without changing anything.

Records are only read (what the checks write on their way is rolled back), vCenter is only asked, and hosts get only
the commands that look at something: CheckConvertInstanceCommand, GetRemoteVmsCommand, CheckVolumeCommand.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from mgmt.errors import CloudError
from mgmt.imports.adopted import AdoptedImport
from mgmt.imports.checks import KVM_SOURCES, UNMANAGED, Plan, check_kvm_source, check_source, resolve
from mgmt.imports.control import ImportControl
from mgmt.imports.conversion import Conversion
from mgmt.imports.disks import DiskRules, check_mappings
from mgmt.imports.kvmsource import KvmImport, reading
from mgmt.imports.pipeline import KVM_IMPORTS, no_branch_for_unmanaged
from mgmt.imports.placement import choose_hosts, place
from mgmt.imports.pools import pools_for_disks
from mgmt.imports.ports import ImportServices
from mgmt.imports.prediction import predicted_s
from mgmt.imports.preflight import check_networks, reserve_vm
from mgmt.imports.request import ImportRequest, Requester
from mgmt.imports.source import Minimum, decide_source, is_windows, wrapped
from mgmt.imports.trace import SINGLE, Trace
from mgmt.imports.undo import UndoList
from mgmt.imports.vmwarechecks import VmwarePlan, resolve_vmware
from mgmt.imports.vmwareimport import THREADS_SETTING
from mgmt.vmware.errors import VcenterError
from mgmt.vmware.records import SourceVm


@dataclass
class DryRun:
    """One look at what importVm would do with a request. `run` may be called once."""

    services: ImportServices
    request: ImportRequest
    requester: Requester
    trace: Trace

    def run(self) -> dict[str, object]:
        """The plan as plain values; a refusal is part of it: `possible` is false, with the text and its row."""
        self._keep_secret(self.request.password)
        found: dict[str, object] = {"possible": True}
        try:
            self._look(found)
        except CloudError as error:
            self.trace.refused(error, SINGLE, error.row or "-", {})
            found |= {"possible": False, "errortext": self.trace.redactor.text(error.text), "row": error.row}
        self.trace.forget_secrets()
        return found | {"trace": [decision.as_fields() for decision in self.trace.decisions]}

    def _keep_secret(self, secret: str | None) -> None:
        self.trace.redactor.register(secret)
        self.services.redactor.register(secret)

    def _look(self, found: dict[str, object]) -> None:
        source = check_source(self.request, self.services, self.trace)
        if source in KVM_SOURCES:
            self._look_at_kvm_source(source, found)
            return
        with reading(self.services) as session:
            plan = resolve(session, self.request, self.requester, self.services, self.trace)
            if source == UNMANAGED:
                raise no_branch_for_unmanaged(self.request, plan, self.trace)
            vmware = resolve_vmware(session, plan, self.request, self.services, self.trace)
        self._keep_secret(vmware.credentials.password)
        self._look_at_vmware(plan, vmware, found)

    def _look_at_kvm_source(self, source: str, found: dict[str, object]) -> None:
        with reading(self.services) as session:
            plan = check_kvm_source(session, self.request, self.requester, self.services, self.trace)
        nothing_to_undo = UndoList(self.services.journal, self.trace.redactor)
        job = KvmImport(self.services, self.request, plan, nothing_to_undo, _silent, self.trace, ImportControl())
        preview = KVM_IMPORTS[source](job).preview()
        found |= {
            "importhost": preview.host,
            "pools": ",".join(dict.fromkeys(preview.pools)),
            "diskpools": ",".join(preview.pools),
            "commands": ",".join(preview.commands),
            "predictedseconds": round(preview.seconds),
        }

    def _look_at_vmware(self, plan: Plan, vmware: VmwarePlan, found: dict[str, object]) -> None:
        hosts = choose_hosts(self.services, self.request, plan.cluster, self.trace)
        found |= {"converthost": hosts[0].name, "importhost": hosts[1].name}
        conversion = Conversion(
            self.services.agents, *hosts, self.request.name, self.request.usevddk, plan.details, self.trace
        )
        conversion.check_host(windows=False)
        location, pools = place(self.services, self.request, plan.cluster, vmware, hosts, self.trace)
        found |= {"temporarylocation": location.name, "pools": ",".join(pool.name for pool in pools)}
        vm, is_cloned = self._find_source(plan, vmware)
        found |= {"clone": is_cloned}
        with reading(self.services) as session:
            reserve_vm(session, plan, vm, self.trace)
        if is_windows(vm):
            conversion.check_host(windows=True)
        with reading(self.services) as session:
            check_networks(session, plan, vm, self.trace, forced=self.request.forced)
        disk_ids = [disk.disk_id or "" for disk in vm.disks]
        found |= {
            "diskpools": ",".join(pools_for_disks(disk_ids, pools, vmware.offerings)),
            "commands": ",".join(self._commands(vm, hosts[0].name, hosts[1].name)),
            "predictedseconds": round(self._predicted_s(vm)),
        }
        # The import finds this out after the conversion only; a plan that ends there is none.
        check_mappings(
            disk_ids, DiskRules(plan.display_name, plan.zone_uuid, plan.cluster, vmware.offerings, self.trace)
        )

    def _find_source(self, plan: Plan, vmware: VmwarePlan) -> tuple[SourceVm, bool]:
        name, credentials = self.request.name, vmware.credentials
        try:
            with self.services.vcenters.connect(credentials) as session:
                return decide_source(session, name, credentials, Minimum.of(plan.offering), self.trace)
        except VcenterError as error:
            raise wrapped(error, name, credentials, self.trace) from error

    def _commands(self, vm: SourceVm, convert_host: str, import_host: str) -> list[str]:
        checks = ["CheckConvertInstanceCommand"] * (2 if is_windows(vm) else 1)
        return [
            *(f"{check} {convert_host}" for check in checks),
            f"ConvertInstanceCommand {convert_host}",
            f"ImportConvertedInstanceCommand {import_host}",
        ]

    def _predicted_s(self, vm: SourceVm) -> float:
        return predicted_s(
            [disk.capacity_bytes or 0 for disk in vm.disks],
            use_vddk=self.request.usevddk,
            windows=is_windows(vm),
            threads=self.services.settings.get_int(THREADS_SETTING) or len(vm.disks),
            force_to_pool=self.request.forceconverttopool,
        )


class AdoptedDryRun(DryRun):
    """One look at what importUnmanagedInstance would do with a request."""

    def _look(self, found: dict[str, object]) -> None:
        found |= AdoptedImport(self.services, self.request, self.requester, self.trace).preview()


@contextmanager
def _silent(_: str) -> Iterator[None]:
    """A step of an import that only looks."""
    yield
