"""Does the compute offering take the VM, and with which CPU and memory (import-vm 2.9, 3.8 item 1)?

Upstream: UnmanagedVMsManagerImpl.getUnmanagedInstanceServiceOffering, UserVmManagerImpl.validateCustomParameters.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mgmt.errors import INTERNAL_ERROR, CloudError, InvalidParameterValueError, ServerApiError
from mgmt.imports.facts import ServiceOfferingFacts
from mgmt.imports.numbers import MAX_INT, whole_number

CPU_SPEED_DETAIL = "cpuSpeed"


@dataclass(frozen=True)
class Size:
    """What the VM gets: cores, MHz, MB. `details` are the VM details that a custom offering adds."""

    cpu_number: int
    cpu_speed_mhz: int
    memory_mb: int
    details: Mapping[str, str]


def check_numbers(cpu_number: int | None, memory_mb: int | None, name: str) -> tuple[int, int]:
    """The two numbers when both are there and not 0; raises ServerApiError (530)."""
    if not cpu_number:
        shown = "null" if cpu_number is None else cpu_number
        raise ServerApiError(INTERNAL_ERROR, f"CPU cores [{shown}] is not valid for importing VM [{name}].", row="27")
    if not memory_mb:
        shown = "null" if memory_mb is None else memory_mb
        raise ServerApiError(INTERNAL_ERROR, f"Memory [{shown}] is not valid for importing VM [{name}].", row="27")
    return cpu_number, memory_mb


def fit_offering(
    offering: ServiceOfferingFacts,
    details: Mapping[str, str],
    *,
    cpu_number: int | None,
    cpu_speed_mhz: int | None,
    memory_mb: int | None,
    name: str,
) -> Size:
    """The size of the VM under `offering`; the numbers are the source's.

    A fixed offering's own numbers count, because the converted VM is powered off. Every refusal comes wrapped in one
    text that names the VM and the offering.
    """
    try:
        return fit(offering, details, cpu_number, cpu_speed_mhz, memory_mb, name)
    except CloudError as error:
        raise ServerApiError(
            INTERNAL_ERROR,
            f"Failed to import Unmanaged VM [{name}] because the service offering [{offering.uuid}] is not compatible "
            f"due to [{error.text}].",
            row="3.8-1",
        ) from error


def fit(
    offering: ServiceOfferingFacts,
    details: Mapping[str, str],
    cpu_number: int | None,
    cpu_speed_mhz: int | None,
    memory_mb: int | None,
    name: str,
) -> Size:
    """The size of the VM under `offering`; what refuses it comes without the wrapping of `fit_offering`."""
    cpus, memory = check_numbers(cpu_number, memory_mb, name)
    if offering.cpu_number is not None and offering.cpu_speed_mhz is not None and offering.memory_mb is not None:
        return Size(offering.cpu_number, offering.cpu_speed_mhz, offering.memory_mb, {})
    speed = _number(details.get(CPU_SPEED_DETAIL), cpu_speed_mhz or 0)
    _check_custom_cpus(offering, cpus)
    if offering.cpu_speed_mhz is None and speed <= 0:
        raise InvalidParameterValueError(f"Invalid CPU speed value, specify a value between 1 and {MAX_INT}")
    _check_custom_memory(offering, memory)
    custom = {"cpuNumber": str(cpus), "memory": str(memory)}
    if offering.cpu_speed_mhz is None:
        custom[CPU_SPEED_DETAIL] = str(speed)
    return Size(cpus, speed if offering.cpu_speed_mhz is None else offering.cpu_speed_mhz, memory, custom)


def _number(text: str | None, default: int) -> int:
    number = whole_number(text)
    return default if number is None else number


def _check_custom_cpus(offering: ServiceOfferingFacts, cpus: int) -> None:
    if offering.cpu_number is not None:
        raise InvalidParameterValueError(
            f"The CPU cores of this offering id:{offering.uuid} is not customizable. This is predefined in the "
            "Template."
        )
    least = _number(offering.details.get("mincpunumber"), 1)
    most = _number(offering.details.get("maxcpunumber"), MAX_INT)
    if not least <= cpus <= most:
        raise InvalidParameterValueError(f"Invalid CPU cores value, specify a value between {least} and {most}")


def _check_custom_memory(offering: ServiceOfferingFacts, memory_mb: int) -> None:
    if offering.memory_mb is not None:
        raise InvalidParameterValueError(
            f"The memory of this offering id:{offering.uuid} is not customizable. This is predefined in the Template."
        )
    least = _number(offering.details.get("minmemory"), 32)
    most = _number(offering.details.get("maxmemory"), MAX_INT)
    if not least <= memory_mb <= most:
        raise InvalidParameterValueError(f"Invalid memory value, specify a value between {least} and {most}")


# What stands in docs/import-rules.md: when each row holds, and what it gives where it refuses nothing.
RULES: Mapping[str, str] = {
    "27": "the source has no CPU or no memory",
    "3.8-1": "the numbers of the VM are outside the limits of the custom offering",
}
