"""NICs as the API shows them, inside a VM and in `listNics`.

Upstream: server/.../api/query/dao/UserVmJoinDaoImpl.java, ApiResponseHelper.createNicResponse.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session, joinedload, selectinload

from mgmt.errors import InvalidParameterValueError
from mgmt.inventory.scope import ROOT_ADMIN, CallerLike, check_owner_access
from mgmt.store.models import Nic, VmInstance


def nic_view(nic: Nic, *, is_root_admin: bool, vm_uuid: str | None = None) -> dict[str, Any]:
    """A NIC inside a VM; with `vm_uuid` as an entry of `listNics`, which names the VM.

    Only a root admin sees the VLAN (broadcast and isolation URI).
    """
    network = nic.network
    view: dict[str, Any] = {
        "id": nic.uuid,
        "networkid": network.uuid,
        "networkname": network.name,
        "netmask": nic.netmask,
        "gateway": nic.gateway,
        "ipaddress": nic.ip4_address,
        "isolationuri": nic.isolation_uri if is_root_admin else None,
        "broadcasturi": nic.broadcast_uri if is_root_admin else None,
        "traffictype": network.traffic_type,
        "type": network.guest_type,
        "isdefault": nic.is_default,
        "macaddress": nic.mac_address,
    }
    further = [{"id": each.uuid, "ipaddress": each.ip4_address} for each in nic.secondary_ips]
    if vm_uuid is None:
        view["secondaryip"] = further
    view["extradhcpoption"] = []
    view["deviceid"] = str(nic.device_id)
    if vm_uuid is not None and further:
        view["secondaryip"] = further
    view["virtualmachineid"] = vm_uuid
    return view


def find_nics(
    session: Session, caller: CallerLike, *, vm_id: int, nic_id: int | None, network_id: int | None
) -> list[dict[str, Any]]:
    """The NICs of a VM by device, narrowed by NIC and network.

    Raises InvalidParameterValueError for a VM that is gone or hidden from the caller, PermissionDeniedError for one of
    somebody else. Upstream: NetworkServiceImpl.listNics.
    """
    vm = session.get(
        VmInstance,
        vm_id,
        options=(
            joinedload(VmInstance.domain),
            selectinload(VmInstance.nics).joinedload(Nic.network),
        ),
    )
    is_root_admin = caller.account_type == ROOT_ADMIN
    if vm is None or vm.removed is not None or not (vm.display_vm or is_root_admin):
        raise InvalidParameterValueError("Virtual machine id does not exist")
    check_owner_access(caller, vm.account_id, vm.domain.path)
    return [
        nic_view(nic, is_root_admin=is_root_admin, vm_uuid=vm.uuid)
        for nic in vm.nics
        if nic.removed is None and nic_id in (None, nic.id) and network_id in (None, nic.network_id)
    ]
