"""Making, changing and deleting guest networks and network offerings."""

from __future__ import annotations

from mgmt.commands.catalogued import DoneEvent, done, job
from mgmt.commands.declaration import Bound, Call, Item, Success, events_of
from mgmt.commands.fields import Str
from mgmt.commands.life_calls import refuse_unknown
from mgmt.inventory import network_admin
from mgmt.inventory.network_offerings import network_offering_view
from mgmt.inventory.networks import network_view
from mgmt.inventory.public_ips import free_of_network
from mgmt.store.models import Network

NETWORK, OFFERING = "Network", "NetworkOffering"
_event = events_of(NETWORK)
_NOT_HERE = ("vpcid", "aclid", "associatednetworkid", "isolatedpvlan", "ip6cidr", "ip6gateway", "startipv6")


@done(
    "createNetwork",
    "network",
    event=DoneEvent(NETWORK, "NETWORK.CREATE", "creating network"),
    admin_params={"vlan": Str("the VLAN of the network; root admins only")},
)
def create_network(call: Call, bound: Bound) -> Item:
    """A guest network, without a VLAN until its first VM starts unless one is chosen."""
    refuse_unknown(bound, *_NOT_HERE)
    network = network_admin.create_network(call.db, call.services.providers, call.caller, bound)
    return Item(network_view(network, call.caller))


@job(
    "updateNetwork",
    "network",
    event=_event("NETWORK.UPDATE", "updating network", lambda bound: f"Updating network: {bound.instance_uuid}"),
    instance_type=NETWORK,
    instance_param="id",
)
def update_network(call: Call, bound: Bound) -> Item:
    """Change a network."""
    with call.services.store.session() as session:
        return Item(network_view(network_admin.update_network(session, call.caller, bound), call.caller))


@job(
    "deleteNetwork",
    event=_event("NETWORK.DELETE", "deleting network", lambda bound: f"Deleting network: {bound.instance_uuid}"),
    instance_type=NETWORK,
    instance_param="id",
)
def delete_network(call: Call, bound: Bound) -> Success:
    """Take a network away that no VM is in."""
    with call.services.store.session() as session:
        network = network_admin.check_deletable(session, call.caller, bound["id"])
        free_of_network(session, network)
        network.removed, network.state = call.services.providers.utcnow(), "Destroy"
    return Success()


@job(
    "restartNetwork",
    event=_event("NETWORK.RESTART", "restarting network", lambda bound: f"Restarting network: {bound.instance_uuid}"),
    instance_type=NETWORK,
    instance_param="id",
)
def restart_network(call: Call, bound: Bound) -> Success:
    """Set a network up anew; no virtual router is behind one here."""
    missing = f"Network with id={bound['id']} doesn't exist"
    with call.services.store.session() as session:
        network: Network = network_admin.live_network(session, call.caller, bound["id"], missing)
        network.restart_required = False
    return Success()


@done(
    "createNetworkOffering",
    "networkoffering",
    since="3.0.0",
    event=DoneEvent(OFFERING, "NETWORK.OFFERING.CREATE", "creating network offering"),
)
def create_network_offering(call: Call, bound: Bound) -> Item:
    """An offering of guest networks, which is Disabled at first."""
    refuse_unknown(bound, "fornsx", "fortungsten", "forvpc")
    return Item(network_offering_view(network_admin.create_offering(call.db, call.services.providers, bound)))


@done(
    "updateNetworkOffering",
    "networkoffering",
    event=DoneEvent(OFFERING, "NETWORK.OFFERING.EDIT", "updating network offering"),
)
def update_network_offering(call: Call, bound: Bound) -> Item:
    """Change an offering, such as its state."""
    return Item(network_offering_view(network_admin.update_offering(call.db, bound)))


@done(
    "deleteNetworkOffering",
    since="3.0.0",
    event=DoneEvent(OFFERING, "NETWORK.OFFERING.DELETE", "deleting network offering"),
)
def delete_network_offering(call: Call, bound: Bound) -> Success:
    """Take an offering away that no network has."""
    network_admin.delete_offering(call.db, call.services.providers, bound["id"])
    return Success()


COMMANDS = (
    create_network,
    update_network,
    delete_network,
    restart_network,
    create_network_offering,
    update_network_offering,
    delete_network_offering,
)
