"""Lists of what an installation consists of, and the keys of users; parameters and fields from the catalogue."""

from __future__ import annotations

from sqlalchemy import select

from mgmt.commands.catalogued import listed as catalogued
from mgmt.commands.declaration import Bound, Call, Item, Listing
from mgmt.commands.owned import DOMAIN_DETAILS, checked_details
from mgmt.inventory import installation
from mgmt.inventory.capacity import capacities
from mgmt.inventory.domains import domain_views, find_children, find_domains
from mgmt.inventory.lookup import get_live
from mgmt.inventory.network_offerings import find_network_offerings, network_offering_view
from mgmt.inventory.roles import role_view
from mgmt.store.models import Cluster, Pod, Zone

CLOUDIAN_URL = "https://cmc.cloudian.com:8443/Cloudian/"
REGION = {
    "id": 1,
    "name": "Local",
    "endpoint": "http://localhost:8080/client/",
    "gslbserviceenabled": True,
    "portableipserviceenabled": False,
}


@catalogued("listDomains", "domain")
def list_domains(call: Call, bound: Bound) -> Listing:
    details = checked_details(bound["details"], DOMAIN_DETAILS)
    found, count = find_domains(call.db, call.caller, bound, bound.paging)
    return Listing(domain_views(call.db, found, with_resources="min" not in details), count)


@catalogued("listDomainChildren", "domain")
def list_domain_children(call: Call, bound: Bound) -> Listing:
    found, count = find_children(call.db, call.caller, bound, bound.paging)
    return Listing(domain_views(call.db, found, with_resources=False), count)


@catalogued("listRoles", "role", since="4.9.0")
def list_roles(call: Call, bound: Bound) -> Listing:
    found, count = installation.find_roles(call.db, call.caller, bound, bound.paging)
    return Listing([role_view(role) for role in found], count)


@catalogued("listOsCategories", "oscategory")
def list_os_categories(call: Call, bound: Bound) -> Listing:
    found, count = installation.find_os_categories(call.db, bound, bound.paging)
    return Listing([{"id": each.uuid, "name": each.name, "isfeatured": True} for each in found], count)


@catalogued("listManagementServers", "managementserver")
def list_management_servers(call: Call, bound: Bound) -> Listing:
    found, count = installation.find_management_servers(call.db, bound, bound.paging)
    version, state = call.services.cloudstack_version, call.services.server_shutdown.state.value
    return Listing([installation.management_server_view(call.db, each, version, state) for each in found], count)


@catalogued("listInfrastructure", "infrastructure", is_list=False, since="4.9.3")
def list_infrastructure(call: Call, bound: Bound) -> Item:
    return Item(installation.infrastructure(call.db))


@catalogued("listRegions", "region")
def list_regions(call: Call, bound: Bound) -> Listing:
    is_wanted = bound["id"] in (None, REGION["id"]) and bound["name"] in (None, REGION["name"])
    return Listing([REGION] if is_wanted else [], int(is_wanted))


@catalogued("listPhysicalNetworks", "physicalnetwork", since="3.0.0")
def list_physical_networks(call: Call, bound: Bound) -> Listing:
    found, count = installation.find_physical_networks(call.db, bound, bound.paging)
    return Listing([installation.physical_network_view(network, zone) for network, zone in found], count)


@catalogued("listHypervisors", "hypervisor", is_list=False)
def list_hypervisors(call: Call, bound: Bound) -> Listing:
    names = installation.hypervisors(call.db, bound["zoneid"])
    return Listing([{"name": name} for name in names], len(names))


@catalogued("listCapacity", "capacity")
def list_capacity(call: Call, bound: Bound) -> Listing:
    """The capacities of a cluster, a pod, a zone or each zone. The real server cuts no page of them either."""
    found = []
    statement = select(Zone).where(Zone.removed.is_(None)).order_by(Zone.id)
    place: dict[str, str] = {}
    within: Cluster | Pod | None = None
    if bound["clusterid"] is not None:
        within = get_live(call.db, Cluster, bound["clusterid"])
    elif bound["podid"] is not None:
        within = get_live(call.db, Pod, bound["podid"])
    if within is not None:
        kind = "cluster" if isinstance(within, Cluster) else "pod"
        place = {f"{kind}id": within.uuid, f"{kind}name": within.name}
        statement = statement.where(Zone.id == within.zone_id)
    elif bound["clusterid"] is not None or bound["podid"] is not None:
        return Listing([], 0)
    if bound["zoneid"] is not None:
        statement = statement.where(Zone.id == bound["zoneid"])
    for zone in call.db.scalars(statement):
        for each in capacities(
            call.db, call.services.settings, zone_id=zone.id, pod_id=bound["podid"], cluster_id=bound["clusterid"]
        ):
            if bound["type"] in (None, each["type"]):
                shown = {"zoneid": zone.uuid, "zonename": zone.name, **place}
                found.append({"type": each["type"], "name": each["name"], **shown, **each})
    return Listing(found, len(found))


@catalogued("listNetworkOfferings", "networkoffering")
def list_network_offerings(call: Call, bound: Bound) -> Listing:
    found, count = find_network_offerings(call.db, bound, bound.paging)
    return Listing([network_offering_view(each) for each in found], count)


@catalogued("cloudianIsEnabled", "cloudianisenabled", is_list=False, since="4.11.0")
def cloudian_is_enabled(call: Call, bound: Bound) -> Item:
    """The connector of Cloudian's object store is off, as after an installation."""
    return Item({"enabled": False, "url": CLOUDIAN_URL})


@catalogued("quotaIsEnabled", "isenabled", is_list=False, since="4.7.0")
def quota_is_enabled(call: Call, bound: Bound) -> Item:
    """The quota service is off, as after an installation."""
    return Item({"isenabled": False})


COMMANDS = (
    list_domains,
    list_domain_children,
    list_roles,
    list_os_categories,
    list_management_servers,
    list_infrastructure,
    list_regions,
    list_physical_networks,
    list_hypervisors,
    list_capacity,
    list_network_offerings,
    cloudian_is_enabled,
    quota_is_enabled,
)
