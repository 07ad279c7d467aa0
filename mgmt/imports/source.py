"""Table C: the source VM in vCenter - find it, refuse it, use it as it is or clone it (import-vm 2.5).

Upstream: plugins/hypervisors/vmware/.../guru/VMwareGuru.getHypervisorVMOutOfBandAndCloneIfRequired.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mgmt.errors import CloudRuntimeError
from mgmt.imports.facts import ServiceOfferingFacts
from mgmt.imports.numbers import whole_number
from mgmt.imports.ports import VcenterSession
from mgmt.imports.trace import Row, Table, Trace
from mgmt.vmware.connector import VcenterCredentials
from mgmt.vmware.errors import CloneError, VcenterError
from mgmt.vmware.records import POWER_OFF, POWER_ON, SourceVm


@dataclass(frozen=True)
class Minimum:
    """The least that the offering needs of the source; None where it does not say. Speed in MHz, memory in MB."""

    cpu_number: int | None = None
    cpu_speed_mhz: int | None = None
    memory_mb: int | None = None

    @classmethod
    def of(cls, offering: ServiceOfferingFacts) -> Minimum:
        """An offering's own numbers, or a custom offering's lower limits."""
        return cls(
            cpu_number=_first(offering.cpu_number, offering.details.get("mincpunumber")),
            cpu_speed_mhz=offering.cpu_speed_mhz,
            memory_mb=_first(offering.memory_mb, offering.details.get("minmemory")),
        )


def _first(number: int | None, text: str | None) -> int | None:
    if number is not None:
        return number
    return whole_number(text)


def is_windows(vm: SourceVm) -> bool:
    """True when the guest's name contains "windows" in any case."""
    return "windows" in (vm.os or "").lower()


@dataclass(frozen=True)
class SourceFacts:
    """The facts of table C: the VM that was asked for, and its record or None when there is none."""

    name: str
    credentials: VcenterCredentials
    vm: SourceVm | None
    minimum: Minimum

    @property
    def found(self) -> SourceVm:
        assert self.vm is not None, "row C2 comes first"
        return self.vm

    @property
    def shortage(self) -> str | None:
        """The first number of the offering that is below the source's, in the words of the error."""
        vm = self.found
        for label, requested, actual in (
            ("CPU number", self.minimum.cpu_number, vm.cpu_cores),
            ("CPU speed", self.minimum.cpu_speed_mhz, vm.cpu_reservation_mhz),
            ("Memory", self.minimum.memory_mb, vm.memory_mb),
        ):
            if requested is not None and actual is not None and requested < actual:
                return f"The requested {label} ({requested}) is less than the source VM {label} ({actual})"
        return None

    @property
    def is_on(self) -> bool:
        return self.found.power_state == POWER_ON

    def seen(self) -> dict[str, object]:
        return {
            "vm": self.name,
            "found": self.vm is not None,
            "power_state": self.vm.power_state if self.vm else None,
            "os": self.vm.os if self.vm else None,
            "cluster": self.vm.cluster_name if self.vm else None,
        }


USE_AS_IS = "use as is"
CLONE = "clone"

SOURCE_VM: Table[SourceFacts, str] = Table(
    "C",
    (
        Row(
            "C2",
            lambda f: f.vm is None,
            lambda f: CloudRuntimeError(
                f"Cannot find VM with name {f.name} on vCenter {f.credentials.host}/{f.credentials.datacenter}"
            ),
        ),
        Row("C3", lambda f: f.shortage is not None, lambda f: CloudRuntimeError(f.shortage or "")),
        Row("C4", lambda f: f.found.power_state == POWER_OFF, lambda f: USE_AS_IS),
        Row(
            "C5",
            lambda f: f.is_on and is_windows(f.found),
            lambda f: CloudRuntimeError(
                f"VM {f.name} is a Windows VM and its Running, cannot be imported. Please gracefully shut it down "
                "before attempting the import"
            ),
        ),
        Row(
            "C6",
            lambda f: f.is_on and not f.found.cluster_name,
            lambda f: CloudRuntimeError(
                f"VM {f.name} might be on standalone host and is Running, cannot be imported. Please shut it down "
                "before attempting the import"
            ),
        ),
        Row("C7", lambda f: True, lambda f: CLONE),
    ),
)


@dataclass(frozen=True)
class Source:
    """The VM that the conversion reads: the source itself, or its clone."""

    vm: SourceVm
    is_clone: bool

    @property
    def name(self) -> str:
        return self.vm.name or ""

    def disk_ids(self) -> list[str]:
        """The ids of the source's disks, in their order."""
        return [disk.disk_id or "" for disk in self.vm.disks]


def wrapped(error: VcenterError, name: str, credentials: VcenterCredentials, trace: Trace) -> CloudRuntimeError:
    """Row C1: a failure while talking to vCenter, with CloudStack's words around the reason."""
    if isinstance(error, CloneError):  # its text is whole
        refusal = CloudRuntimeError(error.text, row="C7")
    else:
        refusal = CloudRuntimeError(
            f"Error while finding or cloning VM: {name} from vCenter {credentials.host}: {error.text}", row="C1"
        )
    trace.refused(refusal, SOURCE_VM.name, refusal.row or "C1", {"vm": name, "vcenter": credentials.host})
    return refusal


def decide_source(
    session: VcenterSession, name: str, credentials: VcenterCredentials, minimum: Minimum, trace: Trace
) -> tuple[SourceVm, bool]:
    """The source VM and whether it has to be cloned; raises the errors of rows C2-C6 and VcenterError."""
    vm = session.find_vm(name)
    trace.passed("C1", vcenter=credentials.host, datacenter=credentials.datacenter)
    facts = SourceFacts(name=name, credentials=credentials, vm=vm, minimum=minimum)
    decision = trace.decide(SOURCE_VM, facts)
    return facts.found, decision == CLONE


# What stands in docs/import-rules.md: when each row holds, and what it gives where it refuses nothing.
RULES: Mapping[str, str] = {
    "C1": "vCenter cannot be reached or refuses",
    "C2": "the datacenter has no VM of that name",
    "C3": "the offering has less CPUs, speed (against the reservation) or memory than the source",
    "C4": "the source is powered off -> it is converted as it is",
    "C5": "the source is powered on, and its guest is Windows",
    "C6": "the source is powered on, on a host without a cluster",
    "C7": "the source is powered on or suspended otherwise -> a full clone is converted, and destroyed at the end",
}
