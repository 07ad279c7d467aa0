"""importUnmanagedInstance: a VM of a cluster's host becomes CloudStack's, in place (import-vm 5.5).

Upstream: UnmanagedVMsManagerImpl.importUnmanagedInstance, importUnmanagedInstanceFromHypervisor, migrateImportedVM.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial

from sqlalchemy.orm import Session

from mgmt.errors import (
    INTERNAL_ERROR,
    CloudError,
    CloudRuntimeError,
    ResourceAllocationError,
    ServerApiError,
    ServerStoppingError,
)
from mgmt.imports.adoptedrecords import POWER_OFF, AdoptedRegistration
from mgmt.imports.checks import Plan, offerings_of, resolve
from mgmt.imports.control import ImportCancelledError, ImportControl, Phase
from mgmt.imports.controlled import controlled
from mgmt.imports.kvmsource import reading
from mgmt.imports.ports import ImportServices
from mgmt.imports.request import ImportRequest, Requester
from mgmt.imports.trace import Trace
from mgmt.imports.undo import UndoList
from mgmt.imports.unmanaged import find_unmanaged
from mgmt.inventory.events import record_event
from mgmt.inventory.limits import CPU, MEMORY, USER_VM, release, reserve
from mgmt.observe.redaction import Redactor
from mgmt.protocol.commands import UnmanagedInstanceTO
from mgmt.quirks import STOP_LEAVES_IMPORT
from mgmt.store.models import Host, VmInstance

EVENT_TYPE = "VM.IMPORT"


def _cannot_move(vm_id: int) -> None:
    raise CloudRuntimeError(f"nothing here moves VM {vm_id}")


@dataclass
class AdoptedImport:
    """One run of importUnmanagedInstance. `run` returns the VM's internal number; it may be called once.

    `move` takes an imported VM to a host that its offering fits (`mgmt.life.migrate.move_imported`).
    """

    services: ImportServices
    request: ImportRequest
    requester: Requester
    trace: Trace = field(default_factory=Trace)
    control: ImportControl = field(default_factory=ImportControl)
    move: Callable[[int], None] = _cannot_move
    undo: UndoList = field(init=False)

    def __post_init__(self) -> None:
        self.undo = UndoList(self.services.journal, Redactor())
        self.services = controlled(self.services, self.control)

    def run(self) -> int:
        """Import the VM; raises a CloudError with CloudStack's text and row."""
        ended = Phase.FAILED
        claims: list[tuple[int, ...]] = []
        failed = True
        try:
            vm_id = self._run(claims)
            failed, ended = False, Phase.COMPLETED
            return vm_id
        except ServerStoppingError:
            if self.services.quirks.is_faithful(STOP_LEAVES_IMPORT):
                self.undo.forget()
            raise
        except CloudError as error:
            if self.control.fail():
                ended = Phase.CANCELLED
                raise self._cancelled() from error
            raise
        finally:
            self.control.fail()
            self.undo.run(failed=failed)
            with self.services.store.session() as session:
                for claim in claims:
                    release(session, claim)
            self.control.end(ended)

    def preview(self) -> dict[str, object]:
        """What `run` would do, as an importplan; hosts are asked, nothing is written."""
        with reading(self.services) as session:
            plan = resolve(session, self.request, self.requester, self.services, self.trace)
        instance, host_id = self._find(plan)
        with reading(self.services) as session:
            self._claim(session, plan, instance)
        checked = self._registration(plan, instance, host_id, []).check(partial(reading, self.services))
        with self.services.store.session() as session:
            host = session.get_one(Host, host_id).name
        pools = [placed.pool.name for placed in checked.disks]
        moves = ["PrepareForMigrationCommand", "MigrateCommand"] if instance.powerState != POWER_OFF else []
        return {
            "importhost": host,
            "pools": ",".join(dict.fromkeys(pools)),
            "diskpools": ",".join(pools),
            "commands": ",".join(moves if checked.must_move else []),
            "predictedseconds": 0,
        }

    def _run(self, claims: list[tuple[int, ...]]) -> int:
        self.control.begin("resolve")
        with self.services.store.session() as session:
            plan = resolve(session, self.request, self.requester, self.services, self.trace)
        self._event(plan, "Started", "INFO")
        self.control.begin("find unmanaged VM")
        try:
            instance, host_id = self._find(plan)
        except ServerApiError:
            self._event(plan, "Completed", "ERROR")
            raise
        self.control.begin("reserve limits")
        with self.services.store.session() as session:
            claims.append(self._claim(session, plan, instance))
        self.control.begin("register")
        registration = self._registration(plan, instance, host_id, claims)
        checked = registration.check(self.services.store.session)
        self.control.check()
        vm_id = registration.record(checked, self.undo)
        if checked.must_move:
            with self.trace.rule("5.5-4", vm=vm_id, host=host_id):
                self.move(vm_id)
        with self.services.store.session() as session:
            registration.charge(session, vm_id, checked.size)
        self._event(plan, "Completed", "INFO", vm_id)
        return vm_id

    def _find(self, plan: Plan) -> tuple[UnmanagedInstanceTO, int]:
        with self.services.store.session() as session:
            found = find_unmanaged(session, self.services.agents, plan.cluster.id, self.request.name)
        with self.trace.rule("5.5-1", name=self.request.name, host=found[1] if found else None):
            if found is None:
                raise ServerApiError(
                    INTERNAL_ERROR,
                    f"Failed to find unmanaged vm with name: {self.request.name} in cluster: {plan.cluster.uuid}",
                    row="5.5-1",
                )
        return found

    def _cancelled(self) -> ImportCancelledError:
        left = self.undo.run(failed=True, cancelled=True)
        return ImportCancelledError(". ".join((self.control.cancelled_text, *self.control.notes, *left)))

    def _claim(self, session: Session, plan: Plan, instance: UnmanagedInstanceTO) -> tuple[int, ...]:
        offering = plan.offering
        numbers = (offering.cpu_number, offering.memory_mb)
        if offering.is_dynamic or instance.powerState != POWER_OFF:
            numbers = (instance.cpuCores, instance.memory)
        cpus, memory_mb = numbers
        owner = plan.owner
        # Missing numbers are refused with the offering (row 5.5-2), whose text wraps them.
        amounts = {USER_VM: 1, CPU: cpus or 0, MEMORY: memory_mb or 0}
        with self.trace.rule("5.5-12", account=owner.account_uuid, amounts=amounts):
            try:
                return reserve(session, owner.account_id, amounts)
            except ResourceAllocationError as error:
                raise ServerApiError(
                    INTERNAL_ERROR,
                    f"VM resource allocation error for account: {owner.account_uuid}. {error.text}",
                    row="5.5-12",
                ) from error

    def _registration(
        self, plan: Plan, instance: UnmanagedInstanceTO, host_id: int, claims: list[tuple[int, ...]]
    ) -> AdoptedRegistration:
        rules = plan.nic_rules(self.trace, forced=self.request.forced)
        with self.services.store.session() as session:
            offerings = offerings_of(session, plan)
        return AdoptedRegistration(
            self.services,
            plan,
            offerings,
            rules,
            instance,
            claims,
            self.control.commit,
            host_id=host_id,
            migrate_allowed=self.request.migrateallowed,
        )

    def _event(self, plan: Plan, state: str, level: str, vm_id: int | None = None) -> None:
        with self.services.store.session() as session:
            vm = session.get(VmInstance, vm_id) if vm_id is not None else None
            record_event(
                session,
                self.services.providers,
                type=EVENT_TYPE,
                level=level,
                state=state,
                description=event_description(self.request.name),
                caller=replace(plan.owner, user_id=self.requester.user_id) if state == "Started" else plan.owner,
                resource_type=None if level == "ERROR" else "VirtualMachine",
                resource_uuid=vm.uuid if vm else None,
            )


def event_description(name: str) -> str:
    """The text of every event of this import."""
    return f"Importing unmanaged VM: {name}"


RULES: Mapping[str, str] = {
    "5.5-1": "importUnmanagedInstance: no Up host of the cluster names an unmanaged VM like that",
    "5.5-4": "importUnmanagedInstance with migrateallowed: no other host takes the VM -> 530 `VM import failed "
    "for Unmanaged VM: <instance name> during VM migration, no deployment destination found`, its records go",
    "5.5-12": "importUnmanagedInstance: a resource limit of the owner would be passed",
}
