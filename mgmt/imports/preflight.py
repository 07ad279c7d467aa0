"""What is looked at between the source's look-up and the conversion: limits and networks (import-vm 2.1, rows 27, 29).

Upstream: UnmanagedVMsManagerImpl.importUnmanagedInstanceFromVmwareToKvm,
checkNetworkingBeforeConvertingVmwareInstance.
"""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy.orm import Session

from mgmt.errors import CloudError, ResourceAllocationError
from mgmt.imports.checks import Plan
from mgmt.imports.networks import GuestNic, NicRules, check_before_conversion
from mgmt.imports.offerings import check_numbers
from mgmt.imports.trace import Trace
from mgmt.inventory.limits import CPU, MEMORY, USER_VM, reserve
from mgmt.vmware.records import POWER_OFF, SourceVm


class ImportLimitError(CloudError):
    """A limit that the import would exceed: 530 in the job, and no CloudRuntimeException inside the pipeline."""


def reserve_vm(session: Session, plan: Plan, vm: SourceVm, trace: Trace) -> tuple[int, ...]:
    """Row 27: claim one VM with its CPU cores and memory for the owner."""
    offering, owner = plan.offering, plan.owner
    if offering.is_dynamic or vm.power_state != POWER_OFF:
        numbers = (vm.cpu_cores, vm.memory_mb)
    else:
        numbers = (offering.cpu_number, offering.memory_mb)
    with trace.rule("27", account=owner.account_uuid, cpus=numbers[0], memory_mb=numbers[1]):
        cpus, memory_mb = check_numbers(*numbers, vm.name or "")
        try:
            return reserve(session, owner.account_id, {USER_VM: 1, CPU: cpus, MEMORY: memory_mb})
        except ResourceAllocationError as error:
            # A checked exception upstream: it goes past the failure handler, so the task stays Running (import-vm 4.1).
            raise ImportLimitError(
                f"VM resource allocation error for account: {owner.account_uuid}. {error.text}", row="27"
            ) from error


def check_networks(session: Session, plan: Plan, vm: SourceVm, trace: Trace, *, forced: bool) -> NicRules:
    """Row 29: the checks of the source's NICs; returns what the NICs are checked with again at the end."""
    rules = plan.nic_rules(trace, forced=forced)
    nics = [GuestNic(nic.nic_id, nic.mac_address, nic.adapter_type, nic.ip_addresses) for nic in vm.nics]
    check_before_conversion(session, vm.name or "", nics, rules)
    return rules


# What stands in docs/import-rules.md: when each row holds, and what it gives where it refuses nothing.
RULES: Mapping[str, str] = {
    "27": "a resource limit of the owner would be passed; the task stays Running",
}
