"""What the imports from the KVM sources share: external, shared, local (import-vm 5.2-5.4)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Protocol

from sqlalchemy.orm import Session

from mgmt.errors import INTERNAL_ERROR, CloudError, InvalidParameterValueError, ServerApiError
from mgmt.imports import planner
from mgmt.imports.checks import Plan, offerings_of
from mgmt.imports.control import ImportControl
from mgmt.imports.kvmrecords import KvmRecords, NewDisk, size_of
from mgmt.imports.planner import Destination
from mgmt.imports.pools import Offerings
from mgmt.imports.ports import ImportServices
from mgmt.imports.registration import PlacedNic, Registration
from mgmt.imports.request import ImportRequest
from mgmt.imports.trace import Trace
from mgmt.imports.undo import UndoList
from mgmt.jobs.waiting import Work
from mgmt.protocol.commands import UnmanagedInstanceTO
from mgmt.quirks import UNPLANNED_VM_LEFT
from mgmt.store.models import Host

NO_DESTINATION_ROW = "5.3-11"


@dataclass(frozen=True)
class KvmImport:
    """One import from a KVM source: its request, the plan that the common checks made, and its clean-up list.

    `step` makes a named journal entry of what is done inside it; `control` is how the import is told
    to end, and where it waits.
    """

    services: ImportServices
    request: ImportRequest
    plan: Plan
    undo: UndoList
    step: Callable[[str], AbstractContextManager[None]]
    trace: Trace
    control: ImportControl

    @property
    def records(self) -> KvmRecords:
        return KvmRecords(self.services, self.plan, self.trace)

    def offerings(self) -> Offerings:
        """The disk offerings of the disks."""
        with self.services.store.session() as session:
            return offerings_of(session, self.plan)

    def registration(self, offerings: Offerings, instance: UnmanagedInstanceTO) -> Registration:
        """What writes the NICs; on these paths a MAC address in use is always replaced (forced)."""
        rules = self.plan.nic_rules(self.trace, forced=True)
        return Registration(self.services, self.plan, offerings, rules, instance, [])

    def check_limits(self, disks: Sequence[NewDisk]) -> None:
        """Look whether the owner's limits allow the import, without a claim."""
        with reading(self.services) as session:
            self.records.claim(session, disks)

    def reserve(self, disks: Sequence[NewDisk]) -> None:
        """Claim the owner's limits until the end of the import."""
        records = self.records
        with self.services.store.session() as session:
            claim = records.claim(session, disks)
        self.undo.add("release the claims on the limits", lambda: records.release(claim), always=True)

    def begin(self, disks: Sequence[NewDisk], details: dict[str, str]) -> tuple[int, str, list[int]]:
        """Write the VM and its allocated volumes: the VM's number, its instance name, the volumes' numbers."""
        records = self.records
        vm_id, instance_name = records.add_vm(details)
        self.undo.add(f"remove the records of VM {vm_id}", lambda: records.remove(vm_id))
        return vm_id, instance_name, records.add_volumes(vm_id, disks)

    def destination(self, disks: Sequence[NewDisk], instance_name: str) -> Destination:
        """Where the planner puts the VM; without any destination the records stay (row 5.3-11)."""
        try:
            with self.services.store.session() as session:
                return planner.plan(session, self.records.demand(disks), instance_name, self.trace)
        except CloudError as error:
            if error.row == NO_DESTINATION_ROW and self.services.quirks.is_faithful(UNPLANNED_VM_LEFT):
                self.undo.keep()
            raise

    def finish(self, registration: Registration, vm_id: int, nics: Sequence[PlacedNic]) -> None:
        """Write NICs and usage."""
        try:
            with self.services.store.session() as session:
                with self.trace.rule("3.8-8", nics=len(nics)):
                    registration.add_nics(session, vm_id, nics)
                self.control.commit()
                registration.add_vm_usage(session, vm_id, size_of(self.records))
                registration.add_nic_usage(session, vm_id)
        except CloudError as error:
            raise ServerApiError(
                INTERNAL_ERROR,
                f"Failed to import NICs while importing vm: {self.request.name}. {error.text}",
                row=error.row,
            ) from error


@dataclass(frozen=True)
class Preview:
    """What an import would do: where, with which commands, in how many seconds."""

    host: str
    pools: Sequence[str]
    commands: Sequence[str]
    seconds: float

    @classmethod
    def of(cls, services: ImportServices, destination: Destination, commands: Sequence[str], seconds: float) -> Preview:
        """`commands` go to the host of `destination`."""
        with services.store.session() as session:
            name = session.get_one(Host, destination.host_id).name
        pools = [pool.name for pool in destination.pools]
        return cls(name, pools, [f"{command} {name}" for command in commands], seconds)


@contextmanager
def reading(services: ImportServices) -> Iterator[Session]:
    """A session whose changes are undone."""
    with services.store.session() as session:
        try:
            yield session
        finally:
            session.rollback()


class KvmSource(Protocol):
    """An import from one source."""

    def __init__(self, job: KvmImport) -> None: ...

    def wait(self) -> Work[None]:
        """Wait until there is room for the import; what would refuse it is left to `run`."""
        ...

    def run(self) -> int:
        """Import the VM and return its internal number."""
        ...

    def preview(self) -> Preview:
        """Look at everything that can be looked at without a change; raises what the import would be refused with."""
        ...


def as_internal(error: InvalidParameterValueError) -> ServerApiError:
    """A refusal that these paths answer with 530 (recorded from the real server)."""
    return ServerApiError(INTERNAL_ERROR, error.text, row=error.row)
