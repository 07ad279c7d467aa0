"""What an import would do: the decisions, hosts, pools and commands, without changing anything.

Records are only read (what the checks write on their way is rolled back), vCenter is only asked, and no host gets a
command: whether the conversion host says that it can convert is the one rule that a dry run does not know.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy.orm import Session

from mgmt.errors import INTERNAL_ERROR, CloudError, ServerApiError
from mgmt.imports.checks import VMWARE, Plan, VmwarePlan, check_source, resolve, resolve_vmware
from mgmt.imports.networks import check_before_conversion
from mgmt.imports.pipeline import THREADS_SETTING
from mgmt.imports.placement import choose_hosts, place
from mgmt.imports.pools import pools_for_disks
from mgmt.imports.ports import ImportServices
from mgmt.imports.prediction import predicted_s
from mgmt.imports.preflight import guest_nics, needed, nic_rules
from mgmt.imports.request import ImportRequest, Requester
from mgmt.imports.source import Minimum, decide_source, is_windows, wrapped
from mgmt.imports.trace import Trace
from mgmt.inventory.limits import CPU, MEMORY, USER_VM, reserve
from mgmt.observe.redaction import Redactor
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
        redactor = Redactor()
        redactor.register(self.request.password)
        self.services.redactor.register(self.request.password)
        found: dict[str, object] = {"possible": True}
        try:
            self._look(found, redactor)
        except CloudError as error:
            text = redactor.text(error.text)
            if not self.trace.decisions or self.trace.decisions[-1].row != error.row:
                self.trace.note("check", error.row or "-", {}, f"refused: {text}")
            found |= {"possible": False, "errortext": text, "row": error.row}
        return found | {"trace": [decision.as_fields() for decision in self.trace.decisions]}

    def _look(self, found: dict[str, object], redactor: Redactor) -> None:
        source = check_source(self.request, self.services, self.trace)
        if source != VMWARE:
            raise ServerApiError(INTERNAL_ERROR, f"A dry run of import source {source} is not possible")
        with self._reading() as session:
            plan = resolve(session, self.request, self.requester, self.services)
            vmware = resolve_vmware(session, plan, self.request, self.services, self.trace)
        redactor.register(vmware.credentials.password)
        self.services.redactor.register(vmware.credentials.password)
        hosts = choose_hosts(self.services, self.request, plan.cluster, self.trace)
        found |= {"converthost": hosts[0].name, "importhost": hosts[1].name}
        location, pools = place(self.services, self.request, plan.cluster, vmware, hosts, self.trace)
        found |= {"temporarylocation": location.name, "pools": ",".join(pool.name for pool in pools)}
        vm, is_cloned = self._find_source(plan, vmware)
        found |= {"clone": is_cloned}
        self._check_source(plan, vm)
        chosen = pools_for_disks([disk.disk_id or "" for disk in vm.disks], pools, vmware.offerings)
        found |= {
            "diskpools": ",".join(chosen),
            "commands": ",".join(self._commands(vm, hosts[0].name, hosts[1].name)),
            "predictedseconds": round(self._predicted_s(vm)),
        }

    @contextmanager
    def _reading(self) -> Iterator[Session]:
        """A session whose changes are undone."""
        with self.services.store.session() as session:
            try:
                yield session
            finally:
                session.rollback()

    def _find_source(self, plan: Plan, vmware: VmwarePlan) -> tuple[SourceVm, bool]:
        name, credentials = self.request.name, vmware.credentials
        try:
            with self.services.vcenters.connect(credentials) as session:
                return decide_source(session, name, credentials, Minimum.of(plan.offering), self.trace)
        except VcenterError as error:
            raise wrapped(error, name, credentials) from error

    def _check_source(self, plan: Plan, vm: SourceVm) -> None:
        """The limits and the network checks of steps 27 and 29."""
        cpus, memory_mb = needed(plan, vm)
        rules = nic_rules(plan, forced=self.request.forced)
        with self._reading() as session:
            reserve(session, plan.owner.account_id, {USER_VM: 1, CPU: cpus, MEMORY: memory_mb})
            check_before_conversion(session, vm.name or "", guest_nics(vm), rules)

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
