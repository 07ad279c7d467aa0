"""The records of a VM imported by the sources external, shared and local (import-vm 5.3, 5.4).

VM and volumes are written before a destination is planned, and what follows takes them back when it fails, but for one
case: a VM for which no destination is found stays, Stopped, with its volumes. Upstream:
UnmanagedVMsManagerImpl.importExternalKvmVirtualMachine, importKvmVirtualMachineFromDisk.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from mgmt.errors import InvalidParameterValueError, ResourceAllocationError
from mgmt.imports.checks import Plan
from mgmt.imports.diskimages import Image
from mgmt.imports.facts import DiskOfferingFacts, PoolFacts
from mgmt.imports.numbers import whole_number
from mgmt.imports.offerings import CPU_SPEED_DETAIL, Size
from mgmt.imports.planner import Demand
from mgmt.imports.ports import ImportServices
from mgmt.imports.registration import INSTANCE_NAME_SETTING
from mgmt.imports.trace import Trace
from mgmt.inventory.limits import CPU, MEMORY, PRIMARY_STORAGE, USER_VM, VOLUME, release, reserve
from mgmt.inventory.scope import ROOT_ADMIN
from mgmt.store.models import Nic, UsageEvent, VmDetail, VmInstance, Volume

CPU_DETAIL = "cpuNumber"
MEMORY_DETAIL = "memory"


@dataclass(frozen=True)
class NewDisk:
    """A disk to be recorded: its size, its number in the VM, its offering; `disk_id` is a data disk's own."""

    size_bytes: int
    device_id: int
    offering: DiskOfferingFacts | None
    disk_id: str | None = None


@dataclass(frozen=True)
class KvmRecords:
    """Writes the records of one VM."""

    services: ImportServices
    plan: Plan
    trace: Trace

    # Numbers --------------------------------------------------------------------------------------------------------

    def numbers(self) -> tuple[int | None, int | None, int | None]:
        """CPU cores, MHz and MB: the offering's, or for a custom one what the details say."""
        offering, details = self.plan.offering, self.plan.details
        speed = offering.cpu_speed_mhz
        return (
            _first(offering.cpu_number, details.get(CPU_DETAIL)),
            _first(speed, details.get(CPU_SPEED_DETAIL)),
            _first(offering.memory_mb, details.get(MEMORY_DETAIL)),
        )

    def demand(self, disks: Sequence[NewDisk]) -> Demand:
        """What the planner is asked for."""
        return Demand(self.plan.zone_id, *self.numbers(), [disk.offering for disk in disks])

    def claim(self, session: Session, disks: Sequence[NewDisk]) -> tuple[int, ...]:
        """Rows 5.3-7, 5.3-8 and the limits; a root administrator's VM is under none, so nothing is looked at."""
        owner = self.plan.owner
        if owner.account_type == ROOT_ADMIN:
            return ()
        cpus = self._needed(self.plan.offering.cpu_number, CPU_DETAIL)
        memory_mb = self._needed(self.plan.offering.memory_mb, MEMORY_DETAIL)
        amounts = {USER_VM: 1, CPU: cpus, MEMORY: memory_mb, VOLUME: len(disks)}
        amounts[PRIMARY_STORAGE] = sum(disk.size_bytes for disk in disks)
        with self.trace.rule("5.3-9", account=owner.account_uuid, amounts=amounts):
            try:
                return reserve(session, owner.account_id, amounts)
            except ResourceAllocationError as error:
                raise ResourceAllocationError(
                    f"VM resource allocation error for account: {owner.account_uuid}. {error.text}", row="5.3-9"
                ) from error

    def _needed(self, number: int | None, key: str) -> int:
        if number is not None:
            return number
        text = self.plan.details.get(key)
        with self.trace.rule("5.3-7", detail=key, value=text):
            if not text:
                raise InvalidParameterValueError(f"Detail '{key}' must be provided.", row="5.3-7")
        with self.trace.rule("5.3-8", detail=key, value=text):
            number = whole_number(text)
            if number is None:
                raise InvalidParameterValueError(
                    f"Please provide a valid integer value for detail '{key}'.", row="5.3-8"
                )
        return number

    def release(self, claim: tuple[int, ...]) -> None:
        """Give a claim back."""
        with self.services.store.session() as session:
            release(session, claim)

    # VM and volumes --------------------------------------------------------------------------------------------------

    def add_vm(self, more_details: Mapping[str, str]) -> tuple[int, str]:
        """Write the VM; its internal number and its instance name."""
        plan, providers = self.plan, self.services.providers
        cpus, speed, memory_mb = self.numbers()
        details = {**plan.details, "deployvm": "true", **more_details}
        if plan.offering.is_dynamic and speed is not None and plan.offering.cpu_speed_mhz is None:
            details[CPU_SPEED_DETAIL] = str(speed)
        with self.services.store.session() as session:
            vm = VmInstance(
                uuid=providers.ids.uuid(),
                name=plan.host_name,
                display_name=plan.display_name,
                instance_name="",
                state="Stopped",
                power_state="PowerOff",
                hypervisor_type="KVM",
                account_id=plan.owner.account_id,
                domain_id=plan.owner.domain_id,
                user_id=plan.owner.user_id,
                zone_id=plan.zone_id,
                template_id=plan.template_id,
                guest_os_id=plan.guest_os_id,
                service_offering_id=plan.offering.id,
                cpu_number=cpus or 0,
                cpu_speed_mhz=speed or 0,
                memory_mb=memory_mb or 0,
                created=providers.utcnow(),
                details=[VmDetail(name=name, value=value) for name, value in details.items()],
            )
            session.add(vm)
            session.flush()
            vm.instance_name = self._instance_name(vm.id)
            return vm.id, vm.instance_name

    def next_instance_name(self) -> str:
        """The instance name that the next VM gets."""
        with self.services.store.session() as session:
            return self._instance_name((session.scalar(select(func.max(VmInstance.id))) or 0) + 1)

    def _instance_name(self, vm_id: int) -> str:
        suffix = self.services.settings.get_text(INSTANCE_NAME_SETTING) or "VM"
        return f"i-{self.plan.owner.account_id}-{vm_id}-{suffix}"

    def add_volumes(self, vm_id: int, disks: Sequence[NewDisk]) -> list[int]:
        """Write the volumes, allocated: without pool and file. Their numbers, in the order of `disks`."""
        plan, now = self.plan, self.services.providers.utcnow()
        rows = [
            Volume(
                uuid=self.services.providers.ids.uuid(),
                name=f"ROOT-{vm_id}" if disk.disk_id is None else f"DATA-{vm_id}-{disk.disk_id}",
                volume_type="ROOT" if disk.disk_id is None else "DATADISK",
                state="Allocated",
                account_id=plan.owner.account_id,
                domain_id=plan.owner.domain_id,
                zone_id=plan.zone_id,
                vm_id=vm_id,
                disk_offering_id=disk.offering.id if disk.offering else None,
                template_id=plan.template_id if disk.disk_id is None else None,
                device_id=disk.device_id,
                size_bytes=disk.size_bytes,
                format="QCOW2",
                provisioning_type=disk.offering.provisioning_type if disk.offering else "thin",
                created=now,
                attached=now,
            )
            for disk in disks
        ]
        with self.services.store.session() as session:
            session.add_all(rows)
            session.flush()
            for row in rows:
                session.add(self._usage(row))
            return [row.id for row in rows]

    def fill_volume(self, volume_id: int, pool: PoolFacts, image: Image, *, counted: bool) -> None:
        """The volume is the image; `counted` writes one more usage event, with the size."""
        with self.services.store.session() as session:
            volume = session.get_one(Volume, volume_id)
            volume.pool_id, volume.path, volume.size_bytes = pool.id, image.file_name, image.size_bytes
            volume.state = "Ready"
            if counted:
                session.add(self._usage(volume))

    def _usage(self, volume: Volume) -> UsageEvent:
        return UsageEvent(
            type="VOLUME.CREATE",
            account_id=volume.account_id,
            zone_id=volume.zone_id,
            resource_id=volume.id,
            resource_name=volume.name,
            offering_id=volume.disk_offering_id,
            size_bytes=volume.size_bytes,
            created=self.services.providers.utcnow(),
        )

    def remove(self, vm_id: int) -> None:
        """Take every record of the VM back."""
        with self.services.store.session() as session:
            volumes = session.scalars(select(Volume.id).where(Volume.vm_id == vm_id)).all()
            session.execute(
                delete(UsageEvent).where(UsageEvent.type == "VOLUME.CREATE", UsageEvent.resource_id.in_(volumes))
            )
            for model in (Nic, Volume, VmDetail):
                session.execute(delete(model).where(model.vm_id == vm_id))
            session.execute(delete(VmInstance).where(VmInstance.id == vm_id))


def size_of(records: KvmRecords) -> Size:
    """The VM's numbers as the usage records want them."""
    cpus, speed, memory_mb = records.numbers()
    details = (
        {CPU_DETAIL: str(cpus), CPU_SPEED_DETAIL: str(speed), MEMORY_DETAIL: str(memory_mb)}
        if records.plan.offering.is_dynamic
        else {}
    )
    return Size(cpus or 0, speed or 0, memory_mb or 0, details)


def _first(number: int | None, text: str | None) -> int | None:
    if number is not None:
        return number
    return whole_number(text)


RULES: Mapping[str, str] = {
    "5.3-7": "a custom offering, an owner with limits, and no cpuNumber or memory in the details",
    "5.3-8": "cpuNumber or memory of the details is no number",
    "5.3-9": "a resource limit of the owner would be passed",
}
