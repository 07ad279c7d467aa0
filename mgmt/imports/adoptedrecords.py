"""The records of a VM that importUnmanagedInstance takes in where it is, and what is checked of them (import-vm 5.5).

Upstream: UnmanagedVMsManagerImpl.importVirtualMachineInternal, UserVmManagerImpl.commitUserVm.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from mgmt.errors import INTERNAL_ERROR, CloudError, InvalidParameterValueError, JavaError, ServerApiError
from mgmt.imports.disks import PlacedDisk
from mgmt.imports.facts import NetworkFacts
from mgmt.imports.kvmsource import as_internal
from mgmt.imports.networks import check_host_name, place_nics
from mgmt.imports.offerings import Size, check_numbers, fit
from mgmt.imports.registration import PlacedNic, Registration
from mgmt.imports.undo import UndoList
from mgmt.inventory.lookup import get_live
from mgmt.store.models import Host, Network, Nic, ServiceOffering, Template, VmInstance

STRICT_HOST_TAGS_SETTING = "vm.strict.host.tags"
POWER_ON = "PowerOn"
POWER_OFF = "PowerOff"
GIB = 1024**3


@dataclass(frozen=True)
class CheckedVm:
    """A VM after all checks; `must_move` when its offering does not fit its host and it may be moved."""

    size: Size
    disks: Sequence[PlacedDisk]
    nics: Sequence[PlacedNic]
    must_move: bool


@dataclass(frozen=True)
class AdoptedRegistration(Registration):
    """The records of a VM that stays on its host."""

    host_id: int = 0
    migrate_allowed: bool = False

    def check(self, sessions: Callable[[], AbstractContextManager[Session]]) -> CheckedVm:
        """Everything that is looked at before the first record, in the order of import-vm 5.5.

        The claims on limits are written in one of `sessions`.
        """
        instance = self.instance
        with self.trace.rule("5.5-2", cpus=instance.cpuCores, memory_mb=instance.memory, power=instance.powerState):
            size = self._size()
        with self.trace.rule("5.5-3", host=self.host_id, migrateallowed=self.migrate_allowed):
            must_move = not self._fits_host()
        try:
            with sessions() as session:
                disks = self._place_disks(session)
        except InvalidParameterValueError as error:
            raise as_internal(error) from error
        nics = self._placed_nics()
        self._check_template(disks[0].size_bytes)
        return CheckedVm(size, disks, nics, must_move)

    def record(self, checked: CheckedVm, undo: UndoList) -> int:
        """Write all records but those of usage; returns the VM's internal number."""
        with self.services.store.session() as session:
            vm_id = self.add_vm(session, checked.size, checked.disks, checked.nics)
            self._keep_on_host(session, vm_id)
            self.add_parts(session, vm_id, checked.disks, checked.nics)
        undo.add(f"remove the records of VM {vm_id}", lambda: self._remove(vm_id))
        return vm_id

    def charge(self, session: Session, vm_id: int, size: Size) -> None:
        """As for a converted VM; one that runs has been started, too."""
        super().charge(session, vm_id, size)
        if self.instance.powerState == POWER_ON:
            self.add_vm_usage(session, vm_id, size, "VM.START")

    # Checks -----------------------------------------------------------------------------------------------------------

    def _size(self) -> Size:
        offering, instance = self.plan.offering, self.instance
        try:
            size = fit(
                offering,
                self.plan.details,
                instance.cpuCores,
                instance.cpuSpeed,
                instance.memory,
                instance.name or "",
            )
            if not offering.is_dynamic and instance.powerState != POWER_OFF:
                self._check_running(size)
        except CloudError as error:
            offering_shown = json.dumps(
                {"id": offering.id, "name": offering.name, "uuid": offering.uuid}, separators=(",", ":")
            )
            shown = json.dumps(
                {
                    "clusterName": instance.clusterName,
                    "hostName": instance.hostName,
                    "internalCSName": instance.internalCSName,
                    "name": instance.name,
                },
                separators=(",", ":"),
            )
            raise ServerApiError(
                INTERNAL_ERROR,
                f"Failed to import Unmanaged VM [UnmanagedInstanceTO {shown}] because the service offering "
                f"[Service offering {offering_shown}.] is not compatible due to [{error.text}].",
                row="5.5-2",
            ) from error
        return size

    def _check_running(self, size: Size) -> None:
        # CPU speed is compared for VMware only.
        offering, instance = self.plan.offering, self.instance
        cpus, memory_mb = check_numbers(instance.cpuCores, instance.memory, instance.name or "")
        state = f"and VM is not in powered off state (Power state: {instance.powerState})"
        if cpus != size.cpu_number:
            raise InvalidParameterValueError(
                f"Service offering ({offering.uuid}) {size.cpu_number} CPU cores do not match VM CPU cores {cpus} "
                f"{state}"
            )
        if memory_mb != size.memory_mb:
            raise InvalidParameterValueError(
                f"Service offering ({offering.uuid}) {size.memory_mb}MB memory does not match VM memory {memory_mb}MB "
                f"{state}"
            )

    def _fits_host(self) -> bool:
        """False for a VM that may be moved and must be; raises InvalidParameterValueError when it may not."""
        with self.services.store.session() as session:
            offering = session.get_one(ServiceOffering, self.plan.offering.id)
            host = session.get_one(Host, self.host_id)
            strict = _tags(self.services.settings.get_text(STRICT_HOST_TAGS_SETTING))
            missing = (_tags(offering.host_tag) & strict) - _tags(host.host_tags)
            template = session.get(Template, self.plan.template_id)
            if missing and not self.migrate_allowed:
                raise InvalidParameterValueError(
                    f"Service offering: {offering.uuid} or template: {template.uuid if template else None} is not "
                    f"compatible with host: {host.uuid} of unmanaged VM: {self.plan.display_name}",
                    row="5.5-3",
                )
            return not missing

    def _placed_nics(self) -> list[PlacedNic]:
        try:
            with self.services.store.session() as session:
                self._check_host_name(session)
                return place_nics(session, self._guest_nics(), self.nic_rules)
        except InvalidParameterValueError as error:
            if error.row == "2.7-6":
                raise
            raise as_internal(error) from error

    def _check_host_name(self, session: Session) -> None:
        for network_id in self.nic_rules.networks.values():
            row = get_live(session, Network, network_id)
            if row is not None:
                with self.trace.rule("2.7-6", network=row.name, host_name=self.nic_rules.host_name):
                    check_host_name(session, NetworkFacts.of(row), self.nic_rules.host_name)

    def _check_template(self, root_bytes: int) -> None:
        # UserVmManagerImpl.commitUserVm: the root disk, in whole GiB, must hold the template.
        root_gib = -(-root_bytes // GIB)
        with self.services.store.session() as session:
            template = get_live(session, Template, self.plan.template_id)
            with self.trace.rule("5.5-8", template=self.plan.template_id):
                if template is None:
                    # The default template is a removed row, so an import without templateid always ends here.
                    raise InvalidParameterValueError(
                        f"Unable to look up template by id {self.plan.template_id}", row="5.5-8"
                    )
            size = template.size_bytes
        with self.trace.rule("5.5-9", size=size):
            if size is None:
                raise JavaError(
                    'Cannot invoke "java.lang.Long.longValue()" because the return value of '
                    '"com.cloud.storage.VMTemplateVO.getSize()" is null',
                    row="5.5-9",
                )
        with self.trace.rule("5.5-10", size=size, root_gib=root_gib):
            if root_gib * GIB < size:
                raise InvalidParameterValueError(
                    f"Unsupported: rootdisksize override ({root_gib} GB) is smaller than template size "
                    f"({size / GIB:.2f} GB) {size}",
                    row="5.5-10",
                )

    # Records ----------------------------------------------------------------------------------------------------------

    def _details(self, size: Size, disks: Sequence[PlacedDisk], nics: Sequence[PlacedNic]) -> dict[str, str]:
        root_gib = -(-disks[0].size_bytes // GIB)
        return {**super()._details(size, disks, nics), "rootdisksize": str(root_gib)}

    def _keep_on_host(self, session: Session, vm_id: int) -> None:
        is_on = self.instance.powerState == POWER_ON
        vm = session.get_one(VmInstance, vm_id)
        vm.instance_name = self.instance.internalCSName or self.instance.name or ""
        vm.state, vm.power_state = ("Running", POWER_ON) if is_on else ("Stopped", POWER_OFF)
        vm.host_id = vm.last_host_id = self.host_id

    def add_nics(self, session: Session, vm_id: int, nics: Sequence[PlacedNic]) -> None:
        """As for a converted VM, but the NIC of an L2 network has no broadcast address."""
        super().add_nics(session, vm_id, nics)
        for row in session.scalars(select(Nic).where(Nic.vm_id == vm_id)):
            if row.network.guest_type == "L2":
                row.broadcast_uri = row.isolation_uri = None


def _tags(text: str | None) -> set[str]:
    return {tag.strip() for tag in (text or "").split(",") if tag.strip()}


RULES: Mapping[str, str] = {
    "5.5-2": "importUnmanagedInstance: the compute offering does not take the VM, or not its numbers while it runs",
    "5.5-3": "importUnmanagedInstance: the host lacks a tag of the offering that vm.strict.host.tags names",
    "5.5-8": "importUnmanagedInstance: the template is no live one (always so without templateid)",
    "5.5-9": "importUnmanagedInstance: the template has no size",
    "5.5-10": "importUnmanagedInstance: the template is larger than the root disk",
}
