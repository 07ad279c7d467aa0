"""Hosts."""

from __future__ import annotations

from mgmt.commands.fields import Out, Response


class VgpuResponse(Response):
    """A kind of virtual GPU."""

    catalogue = "VgpuResponse"

    jobid = Out("string", "UUID of the job under way for it")
    jobstatus = Out("integer", "state of that job: 0 while it runs")
    maxcapacity = Out("long", "how many fit at most")
    maxheads = Out("long", "monitors at most")
    maxresolutionx = Out("long", "widest picture")
    maxresolutiony = Out("long", "highest picture")
    maxvgpuperpgpu = Out("long", "virtual GPUs of a device at most")
    remainingcapacity = Out("long", "how many still fit")
    vgputype = Out("string", "kind of virtual GPU")
    videoram = Out("long", "MB of video memory")


class GpuResponse(Response):
    """A group of GPU devices."""

    catalogue = "GpuResponse"

    gpugroupname = Out("string", "name of the GPU group")
    jobid = Out("string", "UUID of the job under way for it")
    jobstatus = Out("integer", "state of that job: 0 while it runs")
    vgpu = Out("list", "kinds of virtual GPU", nested=VgpuResponse)


class HostResponse(Response):
    """A host."""

    catalogue = "HostResponse"

    annotation = Out("string", "note on the host")
    arch = Out("string", "CPU architecture: x86_64 or aarch64")
    capabilities = Out("string", "what the host can do")
    clusterid = Out("string", "UUID of the cluster")
    clustername = Out("string", "name of the cluster")
    clusterstorageaccessgroups = Out("string", "storage access groups of the cluster")
    clustertype = Out("string", "CloudManaged or ExternalManaged")
    cpuallocated = Out("string", "CPU promised to instances, in percent")
    cpuallocatedpercentage = Out("string", "CPU promised to instances, in percent")
    cpuallocatedvalue = Out("long", "CPU promised to instances, in MHz")
    cpuallocatedwithoverprovisioning = Out("string", "CPU promised to instances, in percent of the overprovisioned CPU")
    cpuloadaverage = Out("double", "load average")
    cpunumber = Out("integer", "number of CPUs")
    cpusockets = Out("integer", "number of CPU sockets")
    cpuspeed = Out("long", "speed of a CPU in MHz")
    cpuused = Out("string", "CPU in use, in percent")
    cpuwithoverprovisioning = Out("string", "CPU in MHz after overprovisioning")
    created = Out("date", "when it was created")
    details = Out("map", "details of the host")
    disconnected = Out("date", "when its agent was lost")
    disksizeallocated = Out("long", "bytes of its disks promised to volumes")
    disksizetotal = Out("long", "bytes of its disks")
    encryptionsupported = Out("boolean", "whether it can encrypt volumes")
    events = Out("string", "agent events that are possible in its state")
    explicithosttags = Out("string", "tags set by an administrator")
    extensionid = Out("string", "UUID of the extension")
    extensionname = Out("string", "name of the extension")
    gpugroup = Out("list", "its GPU devices by group", nested=GpuResponse)
    gputotal = Out("long", "number of GPU devices")
    gpuused = Out("long", "number of GPU devices in use")
    hahost = Out("boolean", "whether it is kept for high availability")
    hasannotations = Out("boolean", "whether notes are attached to it")
    hasenoughcapacity = Out("boolean", "whether the instance in question fits on it")
    hostha = Out("hostharesponse", "state of host high availability")
    hosttags = Out("string", "tags of the host")
    hypervisor = Out("string", "hypervisor of the host")
    hypervisorversion = Out("string", "version of the hypervisor")
    id = Out("string", "UUID of the host")
    implicithosttags = Out("string", "tags that the agent reported")
    instanceconversionsupported = Out("boolean", "whether it can convert instances from VMware")
    ipaddress = Out("string", "address of the host")
    islocalstorageactive = Out("boolean", "whether a pool on its own disks is in use")
    istagarule = Out("boolean", "whether the tags are a rule in JavaScript")
    jobid = Out("string", "UUID of the job under way for it")
    jobstatus = Out("integer", "state of that job: 0 while it runs")
    lastannotated = Out("date", "when the note was written")
    lastpinged = Out("date", "when its agent last pinged")
    managementserverid = Out("string", "UUID of the management server that holds the agent's link")
    managementservername = Out("string", "name of the management server that holds the agent's link")
    memoryallocated = Out("long", "bytes of memory promised to instances")
    memoryallocatedbytes = Out("long", "bytes of memory promised to instances")
    memoryallocatedpercentage = Out("string", "memory promised to instances, in percent")
    memorytotal = Out("long", "bytes of memory")
    memoryused = Out("long", "bytes of memory in use")
    memorywithoverprovisioning = Out("string", "bytes of memory after overprovisioning")
    name = Out("string", "name of the host")
    networkkbsread = Out("long", "KB received")
    networkkbswrite = Out("long", "KB sent")
    oscategoryid = Out("string", "UUID of the preferred OS category")
    oscategoryname = Out("string", "name of the preferred OS category")
    outofbandmanagement = Out("outofbandmanagementresponse", "state of out-of-band management")
    podid = Out("string", "UUID of the pod")
    podname = Out("string", "name of the pod")
    podstorageaccessgroups = Out("string", "storage access groups of the pod")
    removed = Out("date", "when it was removed")
    resourcestate = Out("string", "what administrators did to it: Enabled, Disabled, Maintenance ...")
    state = Out("status", "state of the agent's link: Up, Disconnected, Alert ...")
    storageaccessgroups = Out("string", "storage access groups, separated by commas")
    suitableformigration = Out("boolean", "whether it suits the move in question")
    type = Out("type", "Routing, SecondaryStorageVM ...")
    ueficapability = Out("boolean", "whether instances may boot by UEFI")
    username = Out("string", "user who wrote the note")
    version = Out("string", "version of the agent")
    virtualmachineid = Out("string", "UUID of the instance that it stands for")
    zoneid = Out("string", "UUID of the zone")
    zonename = Out("string", "name of the zone")
    zonestorageaccessgroups = Out("string", "storage access groups of the zone")


class HostMetricsResponse(HostResponse):
    """A host with its load in readable units."""

    catalogue = "HostMetricsResponse"

    cpuallocateddisablethreshold = Out("boolean", "whether so much CPU is promised that no more instances come")
    cpuallocatedghz = Out("string", "CPU promised to instances, in GHz")
    cpuallocatedthreshold = Out("boolean", "whether more CPU is promised than the threshold of alerts")
    cpudisablethreshold = Out("boolean", "whether so much CPU is in use that no more instances come")
    cputhreshold = Out("boolean", "whether more CPU is in use than the threshold of alerts")
    cputotalghz = Out("string", "all CPU, in GHz")
    cpuusedghz = Out("string", "CPU in use, in GHz")
    instances = Out("string", "running and all instances on the host")
    memoryallocateddisablethreshold = Out("boolean", "whether so much memory is promised that no more instances come")
    memoryallocatedgb = Out("string", "memory promised to instances, in GiB")
    memoryallocatedthreshold = Out("boolean", "whether more memory is promised than the threshold of alerts")
    memorydisablethreshold = Out("boolean", "whether so much memory is in use that no more instances come")
    memorythreshold = Out("boolean", "whether more memory is in use than the threshold of alerts")
    memorytotalgb = Out("string", "all memory, in GiB")
    memoryusedgb = Out("string", "memory in use, in GiB")
    networkread = Out("string", "received, in GiB")
    networkwrite = Out("string", "sent, in GiB")
    powerstate = Out("powerstate", "power state of out-of-band management")
    systeminstances = Out("string", "running and all system instances on the host")


class HostTagResponse(Response):
    """A tag of a host."""

    catalogue = "HostTagResponse"

    hostid = Out("long", "internal number of the host")
    id = Out("string", "UUID of the tag")
    isimplicit = Out("boolean", "whether the agent reported it")
    jobid = Out("string", "UUID of the job under way for it")
    jobstatus = Out("integer", "state of that job: 0 while it runs")
    name = Out("string", "the tag")
