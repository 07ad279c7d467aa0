"""Making, changing and deleting zones, pods, clusters and physical networks."""

from __future__ import annotations

from sqlalchemy import select

from mgmt.commands.catalogued import DoneEvent, done, job, listed
from mgmt.commands.declaration import Bound, Call, EventSpec, Item, Listing, Paging, Success, events_of
from mgmt.commands.life_calls import created_record
from mgmt.inventory import physical_networks, place_admin
from mgmt.inventory.installation import physical_network_view
from mgmt.inventory.zones import cluster_view, find_zones, pod_view, zone_view
from mgmt.store.models import NetworkServiceProvider, PhysicalNetwork, TrafficType, Zone

ZONE, POD, CLUSTER, PHYSICAL = "Zone", "Pod", "Cluster", "PhysicalNetwork"
_physical_event = events_of(PHYSICAL)


def _zone_item(call: Call, zone: Zone) -> Item:
    call.db.flush()
    everything = dict.fromkeys(
        ("name", "keyword", "networktype", "domainid", "storageaccessgroup", "tags", "available")
    )
    (row,), _ = find_zones(call.db, call.caller, everything, [zone.id], Paging(0, None))
    return Item(zone_view(row, call.caller))


@done("createZone", "zone", event=DoneEvent(ZONE, "ZONE.CREATE", "creating zone"))
def create_zone(call: Call, bound: Bound) -> Item:
    """A zone, which is Disabled at first."""
    return _zone_item(call, place_admin.create_zone(call.db, call.services.providers, bound))


@done("updateZone", "zone", event=DoneEvent(ZONE, "ZONE.EDIT", "editing zone"))
def update_zone(call: Call, bound: Bound) -> Item:
    """Change a zone, such as its allocation state."""
    return _zone_item(call, place_admin.update_zone(call.db, bound))


@done("deleteZone", event=DoneEvent(ZONE, "ZONE.DELETE", "deleting zone"))
def delete_zone(call: Call, bound: Bound) -> Success:
    """Take an empty zone away."""
    place_admin.delete_zone(call.db, call.services.providers, bound["id"])
    return Success()


@done("createPod", "pod", event=DoneEvent(POD, "POD.CREATE", "creating pod"))
def create_pod(call: Call, bound: Bound) -> Item:
    """A pod with its range of addresses."""
    return Item(pod_view(place_admin.create_pod(call.db, call.services.providers, bound)))


@done("updatePod", "pod", event=DoneEvent(POD, "POD.EDIT", "updating pod"))
def update_pod(call: Call, bound: Bound) -> Item:
    """Change a pod."""
    return Item(pod_view(place_admin.update_pod(call.db, bound)))


@done("deletePod", event=DoneEvent(POD, "POD.DELETE", "deleting pod"))
def delete_pod(call: Call, bound: Bound) -> Success:
    """Take an empty pod away."""
    place_admin.delete_pod(call.db, call.services.providers, bound["id"])
    return Success()


@done("addCluster", "cluster", event=DoneEvent(CLUSTER, "CLUSTER.CREATE", "creating cluster"))
def add_cluster(call: Call, bound: Bound) -> Listing:
    """A cluster without hosts."""
    return Listing([cluster_view(place_admin.add_cluster(call.db, call.services.providers, bound))], 1)


@done("updateCluster", "cluster", event=DoneEvent(CLUSTER, "CLUSTER.EDIT", "updating cluster"))
def update_cluster(call: Call, bound: Bound) -> Item:
    """Change a cluster, such as its allocation state."""
    return Item(cluster_view(place_admin.update_cluster(call.db, bound)))


@done("deleteCluster", event=DoneEvent(CLUSTER, "CLUSTER.DELETE", "deleting cluster"))
def delete_cluster(call: Call, bound: Bound) -> Success:
    """Take an empty cluster away."""
    place_admin.delete_cluster(call.db, call.services.providers, bound["id"])
    return Success()


# Physical networks ---------------------------------------------------------------------------------------------------


def _physical_item(call: Call, network_id: int) -> Item:
    with call.services.store.session() as session:
        network = session.get_one(PhysicalNetwork, network_id)
        return Item(physical_network_view(network, session.get_one(Zone, network.zone_id)))


def _create_physical(call: Call, bound: Bound) -> str:
    return physical_networks.create(call.db, call.services.providers, bound).uuid


@job(
    "createPhysicalNetwork",
    "physicalnetwork",
    since="3.0.0",
    event=_physical_event(
        "PHYSICAL.NETWORK.CREATE",
        "creating Physical Network",
        lambda bound: f"creating Physical Network. Id: {bound.created_uuid}",
    ),
    instance_type=PHYSICAL,
    create=_create_physical,
)
def create_physical_network(call: Call, bound: Bound) -> Item:
    """A physical network, which is Disabled at first, with its service providers."""
    with call.services.store.session() as session:
        number = session.scalars(select(PhysicalNetwork.id).where(PhysicalNetwork.uuid == bound.created_uuid)).one()
    return _physical_item(call, number)


@job(
    "updatePhysicalNetwork",
    "physicalnetwork",
    since="3.0.0",
    event=EventSpec("PHYSICAL.NETWORK.UPDATE", lambda bound: "Updating Physical network", "updating physical network"),
)
def update_physical_network(call: Call, bound: Bound) -> Item:
    """Change state, VLANs or tags of a physical network."""
    with call.services.store.session() as session:
        physical_networks.update(session, bound)
    return _physical_item(call, bound["id"])


@job(
    "deletePhysicalNetwork",
    since="3.0.0",
    event=EventSpec("PHYSICAL.NETWORK.DELETE", lambda bound: "Deleting Physical network", "deleting physical network"),
)
def delete_physical_network(call: Call, bound: Bound) -> Success:
    """Take a physical network away that no network is on."""
    with call.services.store.session() as session:
        physical_networks.delete(session, call.services.providers, bound["id"])
    return Success()


def _create_traffic(call: Call, bound: Bound) -> str:
    return physical_networks.add_traffic_type(call.db, call.services.providers, bound).uuid


@job(
    "addTrafficType",
    "traffictype",
    since="3.0.0",
    event=EventSpec(
        "TRAFFIC.TYPE.CREATE",
        lambda bound: f"Adding physical network traffic type: {bound.created_uuid}",
        "creating Physical Network TrafficType",
    ),
    instance_type="TrafficType",
    create=_create_traffic,
)
def add_traffic_type(call: Call, bound: Bound) -> Item:
    """A kind of traffic on a physical network."""
    with call.services.store.session() as session:
        row = created_record(session, TrafficType, bound)
        return Item(physical_networks.traffic_view(session, row))


@listed("listTrafficTypes", "traffictype", since="3.0.0")
def list_traffic_types(call: Call, bound: Bound) -> Listing:
    found = select(TrafficType).where(TrafficType.physical_network_id == bound["physicalnetworkid"])
    views = [physical_networks.traffic_view(call.db, row) for row in call.db.scalars(found.order_by(TrafficType.id))]
    return Listing(views, len(views))


@listed("listNetworkServiceProviders", "networkserviceprovider", since="3.0.0")
def list_network_service_providers(call: Call, bound: Bound) -> Listing:
    found, count = physical_networks.find_providers(call.db, bound, bound.paging)
    return Listing([physical_networks.provider_view(call.db, row) for row in found], count)


@job(
    "updateNetworkServiceProvider",
    "networkserviceprovider",
    since="3.0.0",
    event=EventSpec(
        "SERVICE.PROVIDER.UPDATE",
        lambda bound: f"Updating physical network ServiceProvider: {bound['id']}",
        "updating physical network service provider",
    ),
)
def update_network_service_provider(call: Call, bound: Bound) -> Item:
    """Enable, disable or shut down a provider of network services."""
    with call.services.store.session() as session:
        row = session.get(NetworkServiceProvider, bound["id"])
        return Item(physical_networks.provider_view(session, physical_networks.set_provider(row, bound)))


COMMANDS = (
    create_zone,
    update_zone,
    delete_zone,
    create_pod,
    update_pod,
    delete_pod,
    add_cluster,
    update_cluster,
    delete_cluster,
    create_physical_network,
    update_physical_network,
    delete_physical_network,
    add_traffic_type,
    list_traffic_types,
    list_network_service_providers,
    update_network_service_provider,
)
