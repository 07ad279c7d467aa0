"""Further addresses of NICs.

Upstream: server/.../network/NetworkServiceImpl.java (allocateSecondaryGuestIP, releaseSecondaryIpFromNic).
"""

from __future__ import annotations

import ipaddress
from typing import Any

from sqlalchemy.orm import Session

from mgmt.errors import INTERNAL_ERROR, InsufficientCapacityError, InvalidParameterValueError, ServerApiError
from mgmt.inventory.lookup import get_live
from mgmt.inventory.scope import CallerLike, check_owner_access
from mgmt.inventory.settings import GlobalSettings
from mgmt.inventory.vm_resources import addresses_in_use, free_address
from mgmt.providers import Providers
from mgmt.store.models import Network, Nic, NicSecondaryIp, VmInstance

MAXIMUM_SETTING = "vm.network.nic.max.secondary.ipaddresses"


def add_address(
    session: Session,
    providers: Providers,
    settings: GlobalSettings,
    caller: CallerLike,
    nic_id: int,
    wanted: str | None,
) -> NicSecondaryIp:
    """Give a NIC one more address of its network: the wanted one, or the first that is free.

    Raises InvalidParameterValueError, PermissionDeniedError and ServerApiError with CloudStack's texts.
    """
    nic = get_live(session, Nic, nic_id)
    if nic is None:
        raise InvalidParameterValueError(f"There is no NIC with the ID:  {nic_id}")
    vm = get_live(session, VmInstance, nic.vm_id)
    if vm is None:
        raise InvalidParameterValueError(f"There is no VM with the NIC [{nic.uuid}]")
    check_owner_access(caller, vm.account_id, vm.domain.path)
    network = nic.network
    if len(nic.secondary_ips) >= settings.get_int(MAXIMUM_SETTING):
        raise _failed("Maximum Number of Ips per Nic has been crossed.")
    if network.guest_type == "L2" or not network.cidr:
        raise ServerApiError(INTERNAL_ERROR, "Failed to assign secondary IP to NIC")
    address = _checked(session, network, wanted) if wanted else _first_free(session, network)
    found = NicSecondaryIp(
        uuid=providers.ids.uuid(), network_id=network.id, ip4_address=address, created=providers.utcnow()
    )
    nic.secondary_ips.append(found)
    session.flush()
    return found


def _failed(reason: str) -> InvalidParameterValueError:
    return InvalidParameterValueError(f"Allocating guest IP for NIC failed : {reason}")


def _first_free(session: Session, network: Network) -> str:
    try:
        return free_address(session, network)
    except InsufficientCapacityError as error:
        raise _failed(error.text) from None


def _checked(session: Session, network: Network, wanted: str) -> str:
    """The wanted address if it is one of the network's that nobody has."""
    try:
        address = ipaddress.IPv4Address(wanted)
    except ValueError:
        raise InvalidParameterValueError(f"The IPv4 address {wanted} is not valid") from None
    subnet = ipaddress.IPv4Network(network.cidr or "", strict=False)
    is_usable = address in subnet and address not in (subnet.network_address, subnet.broadcast_address)
    if not is_usable or str(address) in addresses_in_use(session, network):
        raise _failed(f"Unable to acquire Guest IP address for network {network.name}")
    return str(address)


def remove_address(session: Session, caller: CallerLike, address_id: int) -> None:
    """Take a further address from its NIC."""
    found = session.get(NicSecondaryIp, address_id)
    if found is None:
        raise InvalidParameterValueError("Unable to find secondary ip address by id")
    vm = get_live(session, VmInstance, found.nic.vm_id)
    if vm is None:
        raise InvalidParameterValueError("There is no vm with the given secondary ip")
    check_owner_access(caller, vm.account_id, vm.domain.path)
    found.nic.secondary_ips.remove(found)


def address_view(session: Session, found: NicSecondaryIp) -> dict[str, Any]:
    """The answer of addIpToNic."""
    nic = found.nic
    return {
        "id": found.uuid,
        "ipaddress": found.ip4_address,
        "nicid": nic.uuid,
        "networkid": nic.network.uuid,
        "virtualmachineid": session.get_one(VmInstance, nic.vm_id).uuid,
    }
