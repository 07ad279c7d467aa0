"""The VM list."""

from __future__ import annotations

from mgmt.commands.declaration import ALL_ROLES, Bound, Call, Listing, command
from mgmt.commands.fields import Boolean, ListOf, MapParam, Str, Uuid
from mgmt.commands.owned import ProjectListParams, checked_details, wanted_ids, window
from mgmt.commands.responses.user_vm import UserVmResponse
from mgmt.inventory.tags import with_tags
from mgmt.inventory.vm_search import find_vms
from mgmt.inventory.vms import VM_DETAILS, vm_views


class ListVirtualMachinesParams(ProjectListParams):
    """Parameters of listVirtualMachines; the last four are those of its variant for root admins."""

    id = Uuid("show this VM", entity="vm")
    ids = ListOf("show these VMs", Uuid("a VM", entity="vm"), since="4.4")
    name = Str("show VMs with this name")
    state = Str("show VMs in this state; present stands for all but destroyed and expunging ones")
    zoneid = Uuid("show VMs of this zone", entity="zone")
    groupid = Uuid("show VMs of this instance group", entity="instancegroup")
    forvirtualnetwork = Boolean("kept for old clients; it filters nothing")
    hypervisor = Str("show VMs on this hypervisor")
    networkid = Uuid("show VMs with a NIC in this network", entity="network")
    details = ListOf("which parts of the VMs to show: " + ", ".join(VM_DETAILS), Str("a level of detail"))
    templateid = Uuid("show VMs of this template", entity="template")
    isoid = Uuid("show VMs with this ISO attached", entity="iso")
    vpcid = Uuid("show VMs in this VPC", entity="vpc")
    affinitygroupid = Uuid("show VMs of this affinity group", entity="affinitygroup")
    keypair = Str("show VMs with this SSH key pair")
    serviceofferingid = Uuid("show VMs of this compute offering", entity="serviceoffering", since="4.4")
    displayvm = Boolean("show VMs that users see, or those that they do not", since="4.4")
    userid = Uuid("show VMs that this user created", entity="user")
    securitygroupid = Uuid("show VMs of this security group", entity="securitygroup", since="4.15")
    haenable = Boolean("show VMs with, or without, high availability", since="4.15")
    showicon = Boolean("show icons too", since="4.16.0.0")
    accumulate = Boolean("add up the statistics instead of showing the latest", since="4.17.0")
    backupofferingid = Uuid("show VMs of this backup offering", entity="backupoffering", since="4.17")
    userdata = Boolean("show user data too", since="4.18.0.0")
    autoscalevmgroupid = Uuid("show VMs of this autoscale group", entity="autoscalevmgroup", since="4.18.0")
    isvnf = Boolean("show network appliances, or other VMs", since="4.19.0")
    arch = Str("show VMs with this CPU architecture", since="4.20.1")
    userdataid = Uuid("show VMs with this user data", entity="userdata", since="4.20.1")
    extensionid = Uuid("show VMs of this extension", entity="extension", since="4.21.0")
    gpuenabled = Boolean("show VMs with a GPU", since="4.21.0")
    leased = Boolean("show VMs with a lease", since="4.21.0")
    retrieveonlyresourcecount = Boolean("answer with the number of VMs alone")
    tags = MapParam("show VMs with these tags")
    podid = Uuid("show VMs on hosts of this pod", entity="pod")
    clusterid = Uuid("show VMs on hosts of this cluster", entity="cluster")
    hostid = Uuid("show VMs on this host", entity="host")
    storageid = Uuid("show VMs with a volume in this pool", entity="storagepool")


@command(
    "listVirtualMachines",
    params=ListVirtualMachinesParams,
    response=UserVmResponse,
    description="Lists the VMs that the caller owns or may see.",
    object_name="virtualmachine",
    is_list=True,
    roles=ALL_ROLES,
    java_class="org.apache.cloudstack.api.command.user.vm.ListVMsCmd",
)
def list_virtual_machines(call: Call, bound: Bound) -> Listing:
    details = checked_details(bound["details"], VM_DETAILS)
    vms, count = find_vms(call.db, call.caller, bound, wanted_ids(bound), window(bound))
    views = vm_views(call.db, vms, call.caller, details)
    return Listing(with_tags(call.db, "UserVm", views), count)


COMMANDS = (list_virtual_machines,)
