"""Networks."""

from __future__ import annotations

from mgmt.commands.fields import Out, Response
from mgmt.commands.responses.user_vm import ResourceTagResponse


class CapabilityResponse(Response):
    """What a network service can do."""

    catalogue = "CapabilityResponse"

    canchooseservicecapability = Out("boolean", "whether an offering may choose it")
    jobid = Out("string", "UUID of the job under way for it")
    jobstatus = Out("integer", "state of that job: 0 while it runs")
    name = Out("string", "name of the capability")
    value = Out("string", "value of the capability")


class ProviderResponse(Response):
    """A provider of network services."""

    catalogue = "ProviderResponse"

    canenableindividualservice = Out("boolean", "whether its services can be switched on one by one")
    destinationphysicalnetworkid = Out("string", "UUID of the physical network that traffic goes to")
    id = Out("string", "UUID of the provider")
    jobid = Out("string", "UUID of the job under way for it")
    jobstatus = Out("integer", "state of that job: 0 while it runs")
    name = Out("string", "name of the provider")
    physicalnetworkid = Out("string", "UUID of the physical network")
    servicelist = Out("list", "services it provides")
    state = Out("string", "state of the provider")


class ServiceResponse(Response):
    """A service of a network."""

    catalogue = "ServiceResponse"

    capability = Out("list", "what it can do", nested=CapabilityResponse)
    jobid = Out("string", "UUID of the job under way for it")
    jobstatus = Out("integer", "state of that job: 0 while it runs")
    name = Out("string", "name of the service")
    provider = Out("list", "who provides it", nested=ProviderResponse)


class BgpPeerResponse(Response):
    """A BGP peer."""

    catalogue = "BgpPeerResponse"

    account = Out("string", "name of the owning account")
    asnumber = Out("long", "AS number of the peer")
    created = Out("date", "when it was created")
    details = Out("map", "details of the peer")
    domain = Out("string", "name of the domain")
    domainid = Out("string", "UUID of the domain")
    id = Out("string", "UUID of the peer")
    ip6address = Out("string", "IPv6 address of the peer")
    ipaddress = Out("string", "IPv4 address of the peer")
    jobid = Out("string", "UUID of the job under way for it")
    jobstatus = Out("integer", "state of that job: 0 while it runs")
    password = Out("string", "password of the link")
    project = Out("string", "name of the owning project")
    projectid = Out("string", "UUID of the owning project")
    zoneid = Out("string", "UUID of the zone")
    zonename = Out("string", "name of the zone")


class Ipv4RouteResponse(Response):
    """An IPv4 route."""

    catalogue = "Ipv4RouteResponse"

    gateway = Out("string", "address that the route goes through")
    jobid = Out("string", "UUID of the job under way for it")
    jobstatus = Out("integer", "state of that job: 0 while it runs")
    subnet = Out("string", "network reached by the route")


class Ipv6RouteResponse(Response):
    """An IPv6 route."""

    catalogue = "Ipv6RouteResponse"

    gateway = Out("string", "address that the route goes through")
    jobid = Out("string", "UUID of the job under way for it")
    jobstatus = Out("integer", "state of that job: 0 while it runs")
    subnet = Out("string", "network reached by the route")


class NetworkResponse(Response):
    """A guest network."""

    catalogue = "NetworkResponse"

    account = Out("string", "name of the owning account")
    aclid = Out("string", "UUID of the access list")
    aclname = Out("string", "name of the access list")
    acltype = Out("string", "Account, or Domain when a whole domain may use it")
    asnumber = Out("long", "AS number")
    asnumberid = Out("string", "UUID of the AS number")
    associatednetwork = Out("string", "name of the associated network")
    associatednetworkid = Out("string", "UUID of the associated network")
    bgppeers = Out("set", "BGP peers", nested=BgpPeerResponse)
    broadcastdomaintype = Out("string", "how traffic is kept apart: Vlan, Vxlan ...")
    broadcasturi = Out("string", "VLAN or the like as a URI; seen by administrators")
    canusefordeploy = Out("boolean", "whether instances may be put into it")
    cidr = Out("string", "network in CIDR form")
    created = Out("date", "when it was created")
    details = Out("map", "details of the network")
    displaynetwork = Out("boolean", "whether users see it")
    displaytext = Out("string", "text shown for the network")
    dns1 = Out("string", "first DNS server")
    dns2 = Out("string", "second DNS server")
    domain = Out("string", "name of the domain")
    domainid = Out("string", "UUID of the domain")
    domainpath = Out("string", "path of the domain, such as ROOT/D1")
    egressdefaultpolicy = Out("boolean", "whether traffic out is allowed unless a rule denies it")
    externalid = Out("string", "number in an external system")
    gateway = Out("string", "gateway")
    hasannotations = Out("boolean", "whether notes are attached to it")
    icon = Out("resourceiconresponse", "icon of the network")
    id = Out("string", "UUID of the network")
    internetprotocol = Out("string", "IPv4 or DualStack")
    ip4routes = Out("set", "IPv4 routes to it", nested=Ipv4RouteResponse)
    ip4routing = Out("string", "how IPv4 is routed")
    ip6cidr = Out("string", "IPv6 network")
    ip6dns1 = Out("string", "first IPv6 DNS server")
    ip6dns2 = Out("string", "second IPv6 DNS server")
    ip6gateway = Out("string", "IPv6 gateway")
    ip6routes = Out("set", "IPv6 routes to it", nested=Ipv6RouteResponse)
    ip6routing = Out("string", "how IPv6 is routed")
    isdefault = Out("boolean", "whether it is the default network")
    ispersistent = Out("boolean", "whether it stays without instances")
    issystem = Out("boolean", "whether the system owns it")
    jobid = Out("string", "UUID of the job under way for it")
    jobstatus = Out("integer", "state of that job: 0 while it runs")
    name = Out("string", "name of the network")
    netmask = Out("string", "netmask")
    networkcidr = Out("string", "network including the reserved addresses")
    networkdomain = Out("string", "DNS domain of its instances")
    networkofferingavailability = Out("string", "Required, Optional or Unavailable")
    networkofferingconservemode = Out("boolean", "whether services may share an address")
    networkofferingdisplaytext = Out("string", "text shown for the network offering")
    networkofferingid = Out("string", "UUID of the network offering")
    networkofferingname = Out("string", "name of the network offering")
    physicalnetworkid = Out("string", "UUID of the physical network")
    privatemtu = Out("integer", "MTU of the guest side")
    project = Out("string", "name of the owning project")
    projectid = Out("string", "UUID of the owning project")
    publicmtu = Out("integer", "MTU of the public side")
    receivedbytes = Out("long", "bytes received")
    redundantrouter = Out("boolean", "whether it has two routers")
    related = Out("string", "UUID of the network it belongs with")
    reservediprange = Out("string", "addresses that instances do not get")
    restartrequired = Out("boolean", "whether changes wait for a restart")
    sentbytes = Out("long", "bytes sent")
    service = Out("list", "services of the network", nested=ServiceResponse)
    specifyipranges = Out("boolean", "whether its ranges of addresses are given")
    specifyvlan = Out("boolean", "whether its VLAN is given")
    state = Out("string", "Allocated, Implemented, Setup, Shutdown or Destroy")
    strechedl2subnet = Out("boolean", "whether it spans several zones")
    subdomainaccess = Out("boolean", "whether domains below may use it")
    supportsvmautoscaling = Out("boolean", "whether scaling groups are possible")
    tags = Out("list", "tags of the network", nested=ResourceTagResponse)
    traffictype = Out("string", "Guest, Public, Management, Storage or Control")
    tungstenvirtualrouteruuid = Out("string", "UUID of the Tungsten router")
    type = Out("string", "Isolated, Shared or L2")
    vlan = Out("string", "VLAN number; seen by administrators")
    vpcid = Out("string", "UUID of the VPC")
    vpcname = Out("string", "name of the VPC")
    zoneid = Out("string", "UUID of the zone")
    zonename = Out("string", "name of the zone")
    zonesnetworkspans = Out("set", "UUIDs of the zones it spans")
