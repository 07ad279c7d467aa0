"""What the leak report sees of an embedded world: the simulators are asked for their live objects."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING

from mgmt.imports.leaks import Thing

if TYPE_CHECKING:
    from agent_sim.fleet import Fleet
    from vcenter_sim.server import VcenterSim

CLONE = "clone"
LEASE = "lease"

# What was there at some time: moids of VMs, names of VMs under an export lease, things on hosts.
_Mark = tuple[frozenset[str], frozenset[str], frozenset[Thing]]


class EmbeddedSurroundings:
    """The embedded hosts and vCenter of one world; `fleet` and `vcenter` give None while they do not run."""

    def __init__(self, fleet: Callable[[], Fleet | None], vcenter: Callable[[], VcenterSim | None]) -> None:
        self._fleet = fleet
        self._vcenter = vcenter

    def mark(self) -> object:
        """What is there now."""
        mark: _Mark = (frozenset(self._vms()), frozenset(self._leases()), frozenset(self._on_hosts()))
        return mark

    def since(self, mark: object) -> list[Thing]:
        """What is there now and was not at `mark`."""
        assert isinstance(mark, tuple)
        vms, leases, on_hosts = mark
        place = self._vcenter_name
        found = [Thing(CLONE, place, name) for moid, name in self._vms().items() if moid not in vms]
        found += [Thing(LEASE, place, name) for name in self._leases() if name not in leases]
        return found + [thing for thing in self._on_hosts() if thing not in on_hosts]

    def still_there(self, things: Collection[Thing]) -> set[Thing]:
        """Those of `things` that are there now."""
        place = self._vcenter_name
        there = {Thing(CLONE, place, name) for name in self._vms().values()}
        there |= {Thing(LEASE, place, name) for name in self._leases()}
        there.update(self._on_hosts())
        return there.intersection(things)

    def settle(self, file_names: Collection[str]) -> None:
        """Files with these names belong to volumes."""
        fleet = self._fleet()
        if fleet is not None and file_names:
            fleet.settle(file_names)

    def sees_host(self, name: str) -> bool:
        """Whether the host is one of the embedded ones."""
        fleet = self._fleet()
        return fleet is not None and any(member.name == name for member in fleet.agents)

    def sees_vcenter(self, address: str) -> bool:
        """Whether the vCenter is the embedded one."""
        vcenter = self._vcenter()
        return vcenter is not None and address == "{}:{}".format(*vcenter.address)

    @property
    def _vcenter_name(self) -> str:
        vcenter = self._vcenter()
        return "vCenter {}:{}".format(*vcenter.address) if vcenter is not None else "vCenter"

    def _vms(self) -> dict[str, str]:
        vcenter = self._vcenter()
        if vcenter is None:
            return {}
        with vcenter.inventory.lock:
            return {vm.moid: vm.name for vm in vcenter.inventory.vms}

    def _leases(self) -> list[str]:
        vcenter = self._vcenter()
        return vcenter.exports.leases_open() if vcenter is not None else []

    def _on_hosts(self) -> list[Thing]:
        fleet = self._fleet()
        if fleet is None:
            return []
        return [Thing(item.kind, f"host {item.host}", item.name) for item in fleet.holdings()]
