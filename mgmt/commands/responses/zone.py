"""Zones, pods and clusters."""

from __future__ import annotations

from mgmt.commands.fields import Out, Response
from mgmt.commands.responses.user_vm import ResourceTagResponse


class CapacityResponse(Response):
    """How much there is of something and how much is taken."""

    catalogue = "CapacityResponse"

    capacityallocated = Out("long", "how much is promised")
    capacitytotal = Out("long", "how much there is")
    capacityused = Out("long", "how much is in use")
    clusterid = Out("string", "UUID of the cluster")
    clustername = Out("string", "name of the cluster")
    jobid = Out("string", "UUID of the job under way for it")
    jobstatus = Out("integer", "state of that job: 0 while it runs")
    name = Out("string", "name of the capacity")
    percentused = Out("string", "how much is in use, in percent")
    podid = Out("string", "UUID of the pod")
    podname = Out("string", "name of the pod")
    tag = Out("string", "tag that the figures are for")
    type = Out("short", "number of the kind of capacity")
    zoneid = Out("string", "UUID of the zone")
    zonename = Out("string", "name of the zone")


class IpRangeResponse(Response):
    """A range of addresses of a pod."""

    catalogue = "IpRangeResponse"

    cidr = Out("string", "network in CIDR form")
    endip = Out("string", "last address")
    forsystemvms = Out("string", "1 when it is for system VMs only")
    gateway = Out("string", "gateway")
    jobid = Out("string", "UUID of the job under way for it")
    jobstatus = Out("integer", "state of that job: 0 while it runs")
    startip = Out("string", "first address")
    vlanid = Out("string", "VLAN")


class ZoneResponse(Response):
    """A zone."""

    catalogue = "ZoneResponse"

    allocationstate = Out("string", "Enabled, or Disabled when nothing new is placed there")
    allowuserspecifyvrmtu = Out("boolean", "whether users may choose the MTU of their routers")
    asnrange = Out("string", "AS numbers of the zone")
    capacity = Out("list", "capacities, when showcapacities asked for them", nested=CapacityResponse)
    description = Out("string", "description of the zone")
    dhcpprovider = Out("string", "who answers DHCP in the zone")
    displaytext = Out("string", "text shown for the zone")
    dns1 = Out("string", "first DNS server")
    dns2 = Out("string", "second DNS server")
    domain = Out("string", "network domain of the zone")
    domainid = Out("string", "UUID of the domain that the zone is dedicated to")
    domainname = Out("string", "name of the domain that the zone is dedicated to")
    gputotal = Out("long", "number of GPU devices")
    gpuused = Out("long", "number of GPU devices in use")
    guestcidraddress = Out("string", "network from which guest networks are taken")
    hasannotations = Out("boolean", "whether notes are attached to it")
    icon = Out("resourceiconresponse", "icon of the zone")
    id = Out("string", "UUID of the zone")
    internaldns1 = Out("string", "first DNS server for the system")
    internaldns2 = Out("string", "second DNS server for the system")
    ip6dns1 = Out("string", "first IPv6 DNS server")
    ip6dns2 = Out("string", "second IPv6 DNS server")
    ismultiarch = Out("boolean", "whether the clusters have different CPU architectures")
    isnsxenabled = Out("boolean", "whether NSX is the network provider")
    jobid = Out("string", "UUID of the job under way for it")
    jobstatus = Out("integer", "state of that job: 0 while it runs")
    localstorageenabled = Out("boolean", "whether instances may use the disks of hosts")
    name = Out("string", "name of the zone")
    networktype = Out("string", "Basic or Advanced")
    provider = Out("string", "external network provider")
    resourcedetails = Out("map", "details set for the zone")
    routedmodeenabled = Out("boolean", "whether routed networks are possible")
    routerprivateinterfacemaxmtu = Out("integer", "largest MTU of a router's guest side")
    routerpublicinterfacemaxmtu = Out("integer", "largest MTU of a router's public side")
    securitygroupsenabled = Out("boolean", "whether the zone has security groups")
    storageaccessgroups = Out("string", "storage access groups, separated by commas")
    tags = Out("set", "tags of the zone", nested=ResourceTagResponse)
    type = Out("string", "Core or Edge")
    zonetoken = Out("string", "token of the zone")


class PodResponse(Response):
    """A pod."""

    catalogue = "PodResponse"

    allocationstate = Out("string", "Enabled, or Disabled when nothing new is placed there")
    capacity = Out("list", "capacities, when showcapacities asked for them", nested=CapacityResponse)
    endip = Out("list", "last addresses for the system")
    forsystemvms = Out("list", "for each range: 1 when it is for system VMs only")
    gateway = Out("string", "gateway")
    hasannotations = Out("boolean", "whether notes are attached to it")
    id = Out("string", "UUID of the pod")
    ipranges = Out("list", "ranges of addresses for the system", nested=IpRangeResponse)
    jobid = Out("string", "UUID of the job under way for it")
    jobstatus = Out("integer", "state of that job: 0 while it runs")
    name = Out("string", "name of the pod")
    netmask = Out("string", "netmask")
    startip = Out("list", "first addresses for the system")
    storageaccessgroups = Out("string", "storage access groups, separated by commas")
    vlanid = Out("list", "VLAN of each range")
    zoneid = Out("string", "UUID of the zone")
    zonename = Out("string", "name of the zone")
    zonestorageaccessgroups = Out("string", "storage access groups of the zone")


class ClusterResponse(Response):
    """A cluster."""

    catalogue = "ClusterResponse"

    allocationstate = Out("string", "Enabled, or Disabled when nothing new is placed there")
    arch = Out("string", "CPU architecture: x86_64 or aarch64")
    capacity = Out("list", "capacities, when showcapacities asked for them", nested=CapacityResponse)
    clustertype = Out("string", "CloudManaged or ExternalManaged")
    cpuovercommitratio = Out("string", "factor by which CPU is promised beyond what is there")
    extensionid = Out("string", "UUID of the extension")
    extensionname = Out("string", "name of the extension")
    hasannotations = Out("boolean", "whether notes are attached to it")
    hypervisortype = Out("string", "hypervisor of the cluster")
    id = Out("string", "UUID of the cluster")
    jobid = Out("string", "UUID of the job under way for it")
    jobstatus = Out("integer", "state of that job: 0 while it runs")
    managedstate = Out("string", "Managed, Unmanaged and the steps between")
    memoryovercommitratio = Out("string", "factor by which memory is promised beyond what is there")
    name = Out("string", "name of the cluster")
    ovm3vip = Out("string", "virtual address of an OVM3 pool")
    podid = Out("string", "UUID of the pod")
    podname = Out("string", "name of the pod")
    podstorageaccessgroups = Out("string", "storage access groups of the pod")
    resourcedetails = Out("map", "details set for the cluster")
    storageaccessgroups = Out("string", "storage access groups, separated by commas")
    zoneid = Out("string", "UUID of the zone")
    zonename = Out("string", "name of the zone")
    zonestorageaccessgroups = Out("string", "storage access groups of the zone")
