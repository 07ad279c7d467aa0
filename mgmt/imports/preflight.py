"""What is asked of the source before the conversion: the owner's limits and the networks (import-vm 2.1, 27 and 29)."""

from __future__ import annotations

from mgmt.imports.checks import Plan
from mgmt.imports.networks import GuestNic, NicRules
from mgmt.imports.offerings import check_numbers
from mgmt.vmware.records import POWER_OFF, SourceVm


def needed(plan: Plan, vm: SourceVm) -> tuple[int, int]:
    """CPUs and memory (MB) that the import claims; raises when they cannot be told (mgmt.imports.offerings)."""
    offering = plan.offering
    if offering.is_dynamic or vm.power_state != POWER_OFF:
        return check_numbers(vm.cpu_cores, vm.memory_mb, vm.name or "")
    return check_numbers(offering.cpu_number, offering.memory_mb, vm.name or "")


def nic_rules(plan: Plan, *, forced: bool) -> NicRules:
    """How the NICs are placed."""
    return NicRules(
        zone_id=plan.zone_id,
        owner=plan.owner,
        host_name=plan.host_name,
        networks=plan.nic_networks,
        addresses=plan.nic_addresses,
        forced=forced,
    )


def guest_nics(vm: SourceVm) -> list[GuestNic]:
    """The source's NICs as the network checks see them."""
    return [GuestNic(nic.nic_id, nic.mac_address, nic.adapter_type, nic.ip_addresses) for nic in vm.nics]
