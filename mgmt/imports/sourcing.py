"""Finding the source VM, waiting for the import's turn, and cloning a source that runs (import-vm 2.5).

The wait is ours (settings cloudstackmock.import.limit.*); without limits no import waits.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

from mgmt.errors import CloudRuntimeError
from mgmt.imports.control import ImportControl
from mgmt.imports.facts import HostFacts
from mgmt.imports.ports import ImportServices, VcenterSession
from mgmt.imports.queue import Demand, Ticket
from mgmt.imports.source import Minimum, Source, decide_source, wrapped
from mgmt.imports.trace import Trace
from mgmt.imports.undo import UndoList
from mgmt.jobs.waiting import Work
from mgmt.vmware.connector import VcenterCredentials
from mgmt.vmware.errors import VcenterError, VmNotFoundError
from mgmt.vmware.records import SourceVm

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class SourceFinder:
    """The source of one import. `step` makes a named journal entry of what is done inside it."""

    services: ImportServices
    name: str
    credentials: VcenterCredentials
    undo: UndoList
    control: ImportControl
    trace: Trace
    step: Callable[[str], AbstractContextManager[None]]

    def run(self, minimum: Minimum, hosts: Sequence[HostFacts]) -> Work[Source]:
        """The VM that `hosts` are to convert and import; raises the errors of table C.

        No session with vCenter is kept while the import waits; the VM is looked at again afterwards.
        """
        while True:
            try:
                with self.services.vcenters.connect(self.credentials) as session:
                    with self.step("find source"):
                        vm, must_clone = decide_source(session, self.name, self.credentials, minimum, self.trace)
                    ticket = self._ticket(vm, hosts)
                    if ticket.is_granted:
                        return self._cloned(session, vm) if must_clone else Source(vm, is_clone=False)
            except VcenterError as error:
                raise wrapped(error, self.name, self.credentials, self.trace) from error
            with self.step("wait in the queue"), self.control.interruptible(ticket.withdraw):
                yield ticket

    def _ticket(self, vm: SourceVm, hosts: Sequence[HostFacts]) -> Ticket:
        names = frozenset(host.name for host in hosts)
        return self.control.enter(
            self.services.import_queue, Demand(self.credentials.host.lower(), vm.host_name, names)
        )

    def _cloned(self, session: VcenterSession, vm: SourceVm) -> Source:
        with self.step("clone"):
            clone_name = self.services.providers.ids.uuid()
            # Recorded before the work: a clone that was made but could not be placed must go as well.
            self.undo.add(
                f"destroy clone {clone_name} in VMware datacenter "
                f"{self.credentials.host}:{self.credentials.datacenter}",
                lambda: self._destroy(clone_name),
                always=True,
            )
            return Source(session.clone_vm(vm, clone_name), is_clone=True)

    def _destroy(self, clone_name: str) -> None:
        try:
            with self.services.vcenters.connect(self.credentials) as session:
                session.destroy_vm(clone_name)
        except VcenterError as error:
            if isinstance(error, VmNotFoundError) and self.control.was_cancelled:
                return  # its making was cancelled
            logger.warning(
                "Could not properly remove the cloned instance %s from VMware datacenter %s:%s",
                clone_name,
                self.credentials.host,
                self.credentials.datacenter,
            )
            raise CloudRuntimeError(error.text) from error
