"""listNetworks."""

from __future__ import annotations

from mgmt.commands.declaration import ALL_ROLES, Bound, Call, Listing, command
from mgmt.commands.fields import Boolean, ListOf, MapParam, Str, Uuid
from mgmt.commands.owned import ProjectListParams, window
from mgmt.commands.responses.network import NetworkResponse
from mgmt.inventory.networks import find_networks, network_view
from mgmt.inventory.scope import resolve_scope
from mgmt.inventory.tags import with_tags


class ListNetworksParams(ProjectListParams):
    """Parameters of listNetworks; `vlan` is one of its variant for root admins."""

    id = Uuid("show this network", entity="network")
    name = Str("show networks with this name", since="4.22.0")
    zoneid = Uuid("show networks of this zone", entity="zone")
    type = Str("show networks of this type: Isolated, Shared or L2")
    issystem = Boolean("show networks of the system instead")
    acltype = Str("show networks with this access: Account or Domain")
    traffictype = Str("show networks with this traffic, such as Guest")
    physicalnetworkid = Uuid("show networks on this physical network", entity="physicalnetwork")
    supportedservices = ListOf("show networks with these services", Str("a service"))
    restartrequired = Boolean("show networks whose changes wait for a restart")
    specifyipranges = Boolean("show networks whose ranges of addresses are given")
    vpcid = Uuid("show networks of this VPC", entity="vpc")
    canusefordeploy = Boolean("show networks that instances may be put into")
    tags = MapParam("show networks with these tags")
    forvpc = Boolean("show networks of VPCs, or the others")
    displaynetwork = Boolean("show networks that users see, or those that they do not", since="4.4")
    networkofferingid = Uuid("show networks of this network offering", entity="networkoffering")
    associatednetworkid = Uuid("show networks associated with this one", entity="network", since="4.17.0")
    networkfilter = Str("show networks by owner: account, domain, accountdomain, shared or all", since="4.17.0")
    showicon = Boolean("show icons too")
    retrieveonlyresourcecount = Boolean("answer with the number of networks alone")
    vlan = Str("show networks with this VLAN")


@command(
    "listNetworks",
    params=ListNetworksParams,
    response=NetworkResponse,
    description="Lists the networks that the caller owns or may use.",
    object_name="network",
    is_list=True,
    roles=ALL_ROLES,
    java_class="org.apache.cloudstack.api.command.user.network.ListNetworksCmd",
)
def list_networks(call: Call, bound: Bound) -> Listing:
    scope = resolve_scope(call.db, call.caller, bound, has_id=bound["id"] is not None)
    networks, count = find_networks(call.db, call.caller, scope, bound, window(bound))
    views = [network_view(network, call.caller) for network in networks]
    return Listing(with_tags(call.db, "Network", views), count)


COMMANDS = (list_networks,)
