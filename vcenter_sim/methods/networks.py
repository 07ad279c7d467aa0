"""Distributed switches: how a client learns the VLAN of an adapter on a distributed portgroup."""

from __future__ import annotations

from vcenter_sim import devices, wiring
from vcenter_sim.providers import utc
from vcenter_sim.service import Context
from vcenter_sim.types import DataObject, Reference, vim
from vcenter_sim.wiring import Portgroup


def query_dvs_by_uuid(context: Context) -> Reference | None:
    """The switch with that UUID; None when there is none."""
    switches = context.inventory.of_kind(vim.DistributedVirtualSwitch)
    return next((switch.ref for switch in switches if switch["uuid"] == context.arguments["uuid"]), None)


def fetch_dv_ports(context: Context) -> list[DataObject]:
    """The switch's ports that adapters are on, restricted by the criteria's portgroup and port keys."""
    criteria = context.arguments["criteria"]
    wanted_groups = set(criteria.portgroupKey) if criteria is not None else set()
    wanted_ports = set(criteria.portKey) if criteria is not None else set()
    inside = criteria.inside if criteria is not None else None
    ports = []
    for vm in context.inventory.vms:
        for nic in devices.nics_of(vm["config"].hardware.device):
            port = getattr(nic.backing, "port", None)
            if port is None or port.switchUuid != context.this["uuid"]:
                continue
            # `inside` false asks for the ports outside of the portgroups named.
            if wanted_groups and (port.portgroupKey in wanted_groups) == (inside is False):
                continue
            if not wanted_ports or port.portKey in wanted_ports:
                ports.append(_port(context, port))
    return ports


def _port(context: Context, connection: DataObject) -> DataObject:
    portgroup = context.inventory.get(connection.portgroupKey)
    vlan = portgroup.memo.vlan if portgroup is not None and isinstance(portgroup.memo, Portgroup) else 0
    return vim.dvs.DistributedVirtualPort(
        key=connection.portKey,
        portgroupKey=connection.portgroupKey,
        dvsUuid=connection.switchUuid,
        config=vim.dvs.DistributedVirtualPort.ConfigInfo(configVersion="0", setting=wiring.port_setting(vlan)),
        conflict=False,
        lastStatusChange=utc(context.inventory.clock),
    )


METHODS = {
    "QueryDvsByUuid": query_dvs_by_uuid,
    "FetchDVPorts": fetch_dv_ports,
}
