"""NICs as the API shows them, inside a VM and in `listNics`.

Upstream: server/.../api/query/dao/UserVmJoinDaoImpl.java, ApiResponseHelper.createNicResponse.
"""

from __future__ import annotations

from typing import Any

from mgmt.store.models import Nic


def nic_view(nic: Nic, *, is_root_admin: bool, vm_uuid: str | None = None) -> dict[str, Any]:
    """A NIC inside a VM; with `vm_uuid` as an entry of `listNics`, which names the VM and has no secondary addresses.

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
    if vm_uuid is None:
        view["secondaryip"] = []  # no NIC of this world has any
    view["extradhcpoption"] = []
    view["deviceid"] = str(nic.device_id)
    view["virtualmachineid"] = vm_uuid
    return view
