"""The checks of NICs and networks, before the conversion and again when the records are made (import-vm 2.7).

Upstream: UnmanagedVMsManagerImpl.checkNetworkingBeforeConvertingVmwareInstance, getUnmanagedNicNetworkMap;
NetworkModelImpl.checkNetworkPermissions, getAvailableIps.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from sqlalchemy import Select, bindparam, collate, func, select
from sqlalchemy.orm import Session

from mgmt.errors import CloudRuntimeError, InvalidParameterValueError, PermissionDeniedError
from mgmt.imports.facts import NetworkFacts
from mgmt.imports.owners import Owner
from mgmt.imports.request import AUTO_ADDRESS, is_ipv4
from mgmt.imports.trace import Trace
from mgmt.store.models import Domain, Network, Nic, NicSecondaryIp, VmInstance
from mgmt.store.rows import live_row, run, table_of

L2 = "L2"


@dataclass(frozen=True)
class GuestNic:
    """A NIC of the guest, as the source or the converted instance has it."""

    nic_id: str | None
    mac_address: str | None
    adapter_type: str | None
    addresses: tuple[str, ...] = ()


@dataclass(frozen=True)
class NicRules:
    """What the checks compare NICs with: the request's maps, the destination and the owner."""

    zone_id: int
    owner: Owner
    host_name: str
    networks: Mapping[str, int]
    addresses: Mapping[str, str]
    forced: bool
    trace: Trace = field(default_factory=Trace, compare=False)


def check_before_conversion(session: Session, name: str, nics: Sequence[GuestNic], rules: NicRules) -> None:
    """The checks of step 29: `name` is the source instance's."""
    trace = rules.trace
    with trace.rule("2.7-1", nics=len(nics), mapped=len(rules.networks)):
        if len(nics) != len(rules.networks):
            raise CloudRuntimeError(
                f"Different number of nics found on instance {name}: {len(nics)} vs {len(rules.networks)} nics "
                "provided",
                row="2.7-1",
            )
    for nic in nics:
        network_id = rules.networks.get(nic.nic_id or "")
        with trace.rule("2.7-2", nic=nic.nic_id, network=network_id):
            row = live_row(session, Network, network_id)
            if row is None:
                shown = "null" if network_id is None else network_id
                raise CloudRuntimeError(f"Cannot find a network with id = {shown}", row="2.7-2")
        network = NetworkFacts.of(row)
        with trace.rule("2.7-3", nic=nic.nic_id, mac=nic.mac_address, forced=rules.forced):
            if not rules.forced and mac_is_used(session, network.id, nic.mac_address):
                raise CloudRuntimeError(
                    f"NIC {nic.nic_id} with MAC address {nic.mac_address} already exists on network {network.shown} "
                    "and forced flag is disabled. Retry with forced flag enabled if a new MAC address to be generated.",
                    row="2.7-3",
                )
        _check_nic(session, nic, network, rules.addresses.get(nic.nic_id or ""), rules)


def place_nics(
    session: Session, nics: Sequence[GuestNic], rules: NicRules
) -> list[tuple[GuestNic, NetworkFacts, str | None]]:
    """The checks of step 33: each NIC with its network and the address asked for (IPv4, `auto`, or None)."""
    trace = rules.trace
    with trace.rule("2.7-33", nics=len(nics)):
        addresses = [_address(nic, rules.addresses.get(nic.nic_id or "")) for nic in nics]
    placed = []
    for nic, address in zip(nics, addresses, strict=True):
        with trace.rule("2.7-33", nic=nic.nic_id, adapter_type=nic.adapter_type, address=address):
            if nic.adapter_type != nics[0].adapter_type:
                raise InvalidParameterValueError(
                    f"Multiple network adapter of different type ({nics[0].adapter_type}, {nic.adapter_type}) are not "
                    "supported for import. Please make sure that all network adapters are of the same type",
                    row="2.7-33",
                )
            row = live_row(session, Network, rules.networks.get(nic.nic_id or ""))
            if row is None:
                raise InvalidParameterValueError(
                    f"Suitable network for nic(ID: {nic.nic_id}) not found during VM import", row="2.7-33"
                )
        network = NetworkFacts.of(row)
        _check_nic(session, nic, network, address, rules)
        placed.append((nic, network, address))
    return placed


def _address(nic: GuestNic, asked: str | None) -> str | None:
    if asked != AUTO_ADDRESS or not nic.addresses:
        return asked
    if len(nic.addresses) > 1:
        raise InvalidParameterValueError(
            f"Multiple IP addresses ({nic.addresses[0]}, {nic.addresses[1]}) present for nic ID: {nic.nic_id}. "
            "IP address cannot be assigned automatically, only single IP address auto-assigning supported",
            row="2.7-33",
        )
    return nic.addresses[0] if is_ipv4(nic.addresses[0]) else asked


def _check_nic(session: Session, nic: GuestNic, network: NetworkFacts, address: str | None, rules: NicRules) -> None:
    trace = rules.trace
    with trace.rule("2.7-4", nic=nic.nic_id, network=network.name, zone=network.zone_id):
        if network.zone_id != rules.zone_id:
            raise InvalidParameterValueError(
                f"Network(ID: {network.uuid}) for nic(ID: {nic.nic_id}) belongs to a different zone than VM to be "
                "imported",
                row="2.7-4",
            )
        check_permission(session, network, rules.owner)
    with trace.rule("2.7-6", network=network.name, host_name=rules.host_name):
        check_host_name(session, network, rules.host_name)
    with trace.rule("2.7-7", nic=nic.nic_id, guest_type=network.guest_type, address=address):
        if network.guest_type == L2:
            return
        if not address:
            raise InvalidParameterValueError(
                f"NIC(ID: {nic.nic_id}) needs a valid IP address for it to be associated with network(ID: "
                f"{network.uuid}). nicipaddresslist parameter of API can be used for this",
                row="2.7-7",
            )
    with trace.rule("2.7-8", nic=nic.nic_id, address=address):
        if address != AUTO_ADDRESS and not is_free(session, network, address):
            raise InvalidParameterValueError(
                f"IP address {address} for NIC(ID: {nic.nic_id}) is not available in network(ID: {network.uuid})",
                row="2.7-8",
            )


def check_host_name(session: Session, network: NetworkFacts, host_name: str) -> None:
    """Raise InvalidParameterValueError when a VM of `network` has that host name."""
    if _has_host_name(session, network.id, host_name):
        raise InvalidParameterValueError(
            f"VM with Name [{host_name}] already exists in the network [{network.shown}] domain "
            f"[{network.network_domain or 'null'}]. Cannot import another VM with the same name. Please try again with "
            "a different name.",
            row="2.7-6",
        )


def check_permission(session: Session, network: NetworkFacts, owner: Owner) -> None:
    """Raise PermissionDeniedError when `owner` may not use `network`."""
    if network.guest_type == "Isolated" or network.acl_type == "Account":
        if network.account_id != owner.account_id:
            raise PermissionDeniedError(
                f"Unable to use network with id= {network.uuid}, permission denied", row="2.7-4"
            )
        return
    domain = session.get_one(Domain, owner.domain_id)
    network_domain = session.get_one(Domain, network.domain_id)
    if not domain.path.startswith(network_domain.path):
        raise PermissionDeniedError(
            f"Shared network id={network.uuid} is not available in domain id={domain.uuid}", row="2.7-4"
        )


def _has_host_name(session: Session, network_id: int, host_name: str) -> bool:
    return run(session, _vm_by_name(), {"network": network_id, "host": host_name}).first() is not None


@cache
def _vm_by_name() -> Select[tuple[int]]:
    # From the name to its NICs, not from the network's NICs to their names: there may be thousands of those.
    vm, nics = table_of(VmInstance), table_of(Nic)
    nic = select(nics.c.id).where(
        nics.c.vm_id == vm.c.id, nics.c.network_id == bindparam("network"), nics.c.removed.is_(None)
    )
    return (
        select(vm.c.id)
        .where(vm.c.name == bindparam("host"), vm.c.removed.is_(None), nic.correlate(vm).exists())
        .limit(1)
    )


def mac_is_used(session: Session, network_id: int, mac_address: str | None) -> bool:
    """True when a NIC of the network has that MAC address (any case)."""
    if not mac_address:
        return False
    statement = _nic_by_mac(session.get_bind().dialect.name == "sqlite")
    return run(session, statement, {"network": network_id, "mac": mac_address.lower()}).first() is not None


@cache
def _nic_by_mac(is_sqlite: bool) -> Select[tuple[int]]:
    nic = table_of(Nic).c
    # for which SQLite has an index
    address: Any = collate(nic.mac_address, "NOCASE") if is_sqlite else func.lower(nic.mac_address)
    return (
        select(nic.id)
        .where(nic.network_id == bindparam("network"), nic.removed.is_(None), address == bindparam("mac"))
        .limit(1)
    )


def is_free(session: Session, network: NetworkFacts, address: str) -> bool:
    """True when `address` lies in the network's guest range and no NIC and no gateway has it."""
    if not is_ipv4(address) or not network.cidr:
        return False
    wanted = ipaddress.IPv4Address(address)
    return _in_range(network, wanted) and address not in _used(session, network)


def next_free(session: Session, network: NetworkFacts) -> str | None:
    """The lowest free address of the network, None when there is none."""
    if not network.cidr:
        return None
    used = _used(session, network)
    hosts = ipaddress.IPv4Network(network.cidr, strict=False).hosts()
    return next((str(host) for host in hosts if _in_range(network, host) and str(host) not in used), None)


def _in_range(network: NetworkFacts, address: ipaddress.IPv4Address) -> bool:
    cidr = ipaddress.IPv4Network(network.cidr or "0.0.0.0/32", strict=False)
    if address not in cidr or address in (cidr.network_address, cidr.broadcast_address):
        return False
    if network.start_ip and address < ipaddress.IPv4Address(network.start_ip):
        return False
    return not (network.end_ip and address > ipaddress.IPv4Address(network.end_ip))


def _used(session: Session, network: NetworkFacts) -> set[str]:
    used = set(
        session.scalars(
            select(Nic.ip4_address).where(
                Nic.network_id == network.id, Nic.removed.is_(None), Nic.ip4_address.is_not(None)
            )
        )
    )
    further = session.scalars(select(NicSecondaryIp.ip4_address).where(NicSecondaryIp.network_id == network.id))
    return {address for address in (*used, *further, network.gateway) if address}


# What stands in docs/import-rules.md: when each row holds, and what it gives where it refuses nothing.
RULES: Mapping[str, str] = {
    "2.7-1": "the source has another number of NICs than nicnetworklist has entries",
    "2.7-2": "a NIC of the source is not in nicnetworklist, or its network was removed",
    "2.7-3": "a NIC's MAC address is in use on its network, and forced is false",
    "2.7-4": "the network is in another zone, or the owner may not use it",
    "2.7-6": "a VM of the network has that host name",
    "2.7-7": "the network is no L2 network and the NIC has no address",
    "2.7-8": "the address asked for is taken, or outside the network",
    "2.7-33": "after the conversion: NICs of several types, without network, or with several addresses and `auto`",
}
