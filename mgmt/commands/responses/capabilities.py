"""What the server can do."""

from __future__ import annotations

from mgmt.commands.fields import Out, Response


class CapabilitiesResponse(Response):
    """The capabilities of the server for the caller."""

    catalogue = "CapabilitiesResponse"

    additionalconfigenabled = Out("boolean", "whether VMs may have extra configuration")
    allowusercreateprojects = Out("boolean", "whether users may create projects")
    allowuserexpungerecovervm = Out("boolean", "whether the caller may expunge and recover VMs")
    allowuserexpungerecovervolume = Out("boolean", "whether the caller may expunge and recover volumes")
    allowuserforcestopvm = Out("boolean", "whether the caller may stop VMs by force")
    allowuserviewalldomainaccounts = Out("boolean", "whether users see all accounts of their domain")
    allowuserviewdestroyedvm = Out("boolean", "whether the caller sees destroyed VMs")
    apilimitinterval = Out("integer", "seconds of the request limit, while it is on")
    apilimitmax = Out("integer", "most requests in that time, while it is on")
    cloudstackversion = Out("string", "version of the server")
    customdiskofferingmaxsize = Out("long", "largest custom disk in GiB")
    customdiskofferingminsize = Out("long", "smallest custom disk in GiB")
    customhypervisordisplayname = Out("string", "shown name of the custom hypervisor")
    defaultuipagesize = Out("long", "entries of a page in the UI")
    dynamicrolesenabled = Out("boolean", "whether roles can be changed")
    dynamicscalingenabled = Out("boolean", "whether VMs may grow while they run")
    extensionspath = Out("string", "folder of the extensions on the server")
    instanceleaseenabled = Out("boolean", "whether VMs may have leases")
    instancesdisksstatsretentionenabled = Out("boolean", "whether statistics of disks are kept")
    instancesdisksstatsretentiontime = Out("integer", "minutes for which they are kept")
    instancesstatsretentiontime = Out("integer", "minutes for which statistics of VMs are kept")
    instancesstatsuseronly = Out("boolean", "whether statistics are kept for user VMs only")
    jobid = Out("string", "UUID of the job under way for it")
    jobstatus = Out("integer", "state of that job: 0 while it runs")
    kubernetesclusterexperimentalfeaturesenabled = Out("boolean", "whether experimental Kubernetes features are on")
    kubernetesserviceenabled = Out("boolean", "whether Kubernetes clusters can be made")
    kvmsnapshotenabled = Out("boolean", "whether KVM volumes can be snapshot")
    projectinviterequired = Out("boolean", "whether joining a project needs an invitation")
    regionsecondaryenabled = Out("boolean", "whether secondary storage covers the region")
    securitygroupsenabled = Out("boolean", "whether some zone has security groups")
    sharedfsvmmincpucount = Out("integer", "least CPUs of a shared file system VM")
    sharedfsvmminramsize = Out("integer", "least MB of a shared file system VM")
    supportELB = Out("string", "whether elastic load balancing is there")
    userpublictemplateenabled = Out("boolean", "whether the caller may make templates public")
