"""Primary and secondary storage."""

from __future__ import annotations

from mgmt.commands.fields import Out, Response


class StoragePoolResponse(Response):
    """A primary storage pool."""

    catalogue = "StoragePoolResponse"

    allocatediops = Out("long", "IOPS promised to volumes")
    capacitybytes = Out("long", "bytes of the pool")
    capacityiops = Out("long", "IOPS of the pool")
    clusterid = Out("string", "UUID of the cluster")
    clustername = Out("string", "name of the cluster")
    created = Out("date", "when it was created")
    details = Out("map", "details of the pool")
    disksizeallocated = Out("long", "bytes promised to volumes")
    disksizetotal = Out("long", "bytes of the pool")
    disksizeused = Out("long", "bytes in use")
    hasannotations = Out("boolean", "whether notes are attached to it")
    hypervisor = Out("string", "hypervisor of the pool")
    id = Out("string", "UUID of the pool")
    ipaddress = Out("string", "address of the pool")
    istagarule = Out("boolean", "whether the tags are a rule in JavaScript")
    jobid = Out("string", "UUID of the job under way for it")
    jobstatus = Out("integer", "state of that job: 0 while it runs")
    managed = Out("boolean", "whether the storage itself manages the volumes")
    name = Out("string", "name of the pool")
    nfsmountopts = Out("string", "mount options of NFS")
    overprovisionfactor = Out("string", "factor by which space is promised beyond what is there")
    path = Out("string", "path on the server")
    podid = Out("string", "UUID of the pod")
    podname = Out("string", "name of the pod")
    provider = Out("string", "storage provider")
    scope = Out("string", "CLUSTER, ZONE, HOST or REGION")
    state = Out("storagepoolstatus", "Up, Maintenance, Disabled ...")
    storageaccessgroups = Out("string", "storage access groups, separated by commas")
    storagecapabilities = Out("map", "what the storage can do")
    storagecustomstats = Out("map", "figures of the provider")
    suitableformigration = Out("boolean", "whether it suits the move in question")
    tags = Out("string", "storage tags, separated by commas")
    type = Out("string", "kind of storage, such as NetworkFilesystem")
    usediops = Out("long", "IOPS in use")
    zoneid = Out("string", "UUID of the zone")
    zonename = Out("string", "name of the zone")


class ImageStoreResponse(Response):
    """A secondary storage."""

    catalogue = "ImageStoreResponse"

    disksizetotal = Out("long", "bytes of the store")
    disksizeused = Out("long", "bytes in use")
    hasannotations = Out("boolean", "whether notes are attached to it")
    id = Out("string", "UUID of the store")
    jobid = Out("string", "UUID of the job under way for it")
    jobstatus = Out("integer", "state of that job: 0 while it runs")
    name = Out("string", "name of the store")
    protocol = Out("string", "nfs, s3 ...")
    providername = Out("string", "storage provider")
    readonly = Out("boolean", "whether nothing new is written to it")
    scope = Out("scopetype", "CLUSTER, ZONE, HOST or REGION")
    url = Out("string", "where the store is")
    zoneid = Out("string", "UUID of the zone")
    zonename = Out("string", "name of the zone")
