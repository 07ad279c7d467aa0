"""What a VM holds while it runs: its NICs' places in their networks.

Upstream: engine/.../network/orchestration/NetworkOrchestrator (prepareNic, releaseNic), guru/GuestNetworkGuru.
"""

from __future__ import annotations

import ipaddress

from sqlalchemy import select
from sqlalchemy.orm import Session

from mgmt.errors import InsufficientCapacityError
from mgmt.inventory.public_ips import give_source_nat
from mgmt.providers import Providers
from mgmt.store.models import Network, Nic, NicSecondaryIp, VmInstance

L2 = "L2"
FIRST_VLAN = 1000


def prepare_nics(session: Session, providers: Providers, vm: VmInstance) -> None:
    """Give every NIC its VLAN and, in a network with addresses, an address if it has none.

    Raises InsufficientCapacityError when a network has no free address.
    """
    for nic in vm.nics:
        if nic.removed is not None:
            continue
        network = nic.network
        _implement(session, providers, network)
        if network.guest_type != L2 and nic.ip4_address is None and network.cidr:
            nic.ip4_address = free_address(session, network)
            nic.gateway, nic.netmask = network.gateway, network.netmask
        nic.broadcast_uri = nic.isolation_uri = f"vlan://{network.vlan}" if network.vlan else None
        nic.state = "Reserved"
        nic.reservation_id = nic.reservation_id or providers.ids.uuid()
        session.flush()


def _implement(session: Session, providers: Providers, network: Network) -> None:
    """Give a network that was only allocated its VLAN and, for source NAT, a public address.

    The VLAN is from the range of its physical network, else from 1000 on.
    """
    if network.state != "Allocated":
        return
    network.state = "Implemented"
    give_source_nat(session, providers, network)
    if network.vlan is not None:
        return
    physical = network.physical_network
    low, _, high = (physical.vlan if physical is not None and physical.vlan else f"{FIRST_VLAN}-4094").partition("-")
    taken = set(
        session.scalars(select(Network.vlan).where(Network.removed.is_(None), Network.zone_id == network.zone_id))
    )
    for number in range(int(low), int(high or low) + 1):
        if str(number) not in taken:
            network.vlan = str(number)
            return
    raise InsufficientCapacityError(f"Unable to allocate vnet as a part of network {network.name} implement ")


def release_nics(vm: VmInstance) -> None:
    """Take the VLANs back from the NICs of a VM that has stopped; their addresses stay."""
    for nic in vm.nics:
        if nic.removed is None:
            nic.broadcast_uri = nic.isolation_uri = None
            nic.state = "Allocated"
            nic.reservation_id = None


def remove_nics(providers: Providers, vm: VmInstance) -> None:
    """Give up the NICs of a VM that is expunged, with their addresses."""
    for nic in vm.nics:
        if nic.removed is None:
            nic.secondary_ips.clear()
            nic.removed = providers.utcnow()
            nic.state = "Deallocating"


def addresses_in_use(session: Session, network: Network) -> set[str | None]:
    """The addresses of a network that its gateway and NICs have, also as further ones."""
    further = select(NicSecondaryIp.ip4_address).where(NicSecondaryIp.network_id == network.id)
    first = select(Nic.ip4_address).where(Nic.network_id == network.id, Nic.removed.is_(None))
    return {network.gateway, *session.scalars(first), *session.scalars(further)}


def free_address(session: Session, network: Network) -> str:
    """The first address of a network that nobody has; raises InsufficientCapacityError when there is none."""
    taken = addresses_in_use(session, network)
    subnet = ipaddress.IPv4Network(network.cidr or "", strict=False)
    first = ipaddress.IPv4Address(network.start_ip) if network.start_ip else subnet.network_address + 1
    last = ipaddress.IPv4Address(network.end_ip) if network.end_ip else subnet.broadcast_address - 1
    for number in range(int(first), int(last) + 1):
        address = str(ipaddress.IPv4Address(number))
        if address not in taken:
            return address
    raise InsufficientCapacityError(f"Unable to acquire Guest IP address for network {network.name}")
