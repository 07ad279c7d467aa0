"""Changing and recovering VMs (upstream: command/user/vm/UpdateVMCmd.java, command/admin/vm/RecoverVMCmd.java)."""

from __future__ import annotations

from mgmt.commands.declaration import ALL_ROLES, Bound, Call, Item, command
from mgmt.commands.fields import Boolean, Integer, ListOf, MapParam, Params, Str, Uuid
from mgmt.commands.life_calls import completed, refuse_unknown
from mgmt.commands.responses.user_vm import UserVmResponse
from mgmt.inventory.vms import vm_view
from mgmt.life.destroy import recover_vm
from mgmt.life.update import UpdateRequest, update_vm


class RecoverVirtualMachineParams(Params):
    """Parameters of recoverVirtualMachine."""

    id = Uuid("the destroyed VM", entity="vm", required=True)


class UpdateVirtualMachineParams(Params):
    """Parameters of updateVirtualMachine."""

    displayname = Str("new display name")
    group = Str("instance group to put it into")
    haenable = Boolean("whether it is restarted when its host fails")
    id = Uuid("the VM", entity="vm", required=True)
    ostypeid = Uuid("its guest system", entity="ostype")
    userdata = Str("data for its guest, in base64", since="4.16.0", max_length=1048576)
    userdataid = Uuid("registered user data", entity="userdata", since="4.18")
    userdatadetails = MapParam("values of variables in the user data", since="4.18")
    displayvm = Boolean("whether users see it")
    isdynamicallyscalable = Boolean("whether CPU and memory may grow while it runs")
    customid = Str("new UUID", since="4.4")
    name = Str("new host name of its guest; takes effect at the next start", since="4.4")
    instancename = Str("new name on its hypervisor", since="4.4")
    details = MapParam("its details, all under index 0; they replace those that it has")
    securitygroupids = ListOf("security groups to put it into", Uuid("a security group", entity="securitygroup"))
    securitygroupnames = ListOf("names of these groups", Str("a security group"))
    cleanupdetails = Boolean("remove its details")
    dhcpoptionsnetworklist = MapParam("DHCP options of its NICs")
    extraconfig = Str("further configuration for its hypervisor", since="4.12", max_length=5120)
    deleteprotection = Boolean("whether it is safe from being destroyed", since="4.20.0")
    leaseduration = Integer("days until its lease ends", since="4.21.0")
    leaseexpiryaction = Str("what happens then", since="4.21.0")


@command(
    "recoverVirtualMachine",
    params=RecoverVirtualMachineParams,
    response=UserVmResponse,
    description="Brings a destroyed VM back as a stopped one",
    object_name="virtualmachine",
    roles=ALL_ROLES,
    java_class="org.apache.cloudstack.api.command.admin.vm.RecoverVMCmd",
)
def recover_virtual_machine(call: Call, bound: Bound) -> Item:
    """Recover it and show it."""
    vm = recover_vm(call.db, call.services.providers, call.services.settings, call.caller, bound["id"])
    completed(call.db, call, "VM.RECOVER", "Recovering VM", "VirtualMachine", vm.uuid)
    return Item(vm_view(call.db, vm, call.caller))


@command(
    "updateVirtualMachine",
    params=UpdateVirtualMachineParams,
    response=UserVmResponse,
    description="Changes what is recorded of a VM; most of it takes effect at the next start",
    object_name="virtualmachine",
    roles=ALL_ROLES,
    java_class="org.apache.cloudstack.api.command.user.vm.UpdateVMCmd",
)
def update_virtual_machine(call: Call, bound: Bound) -> Item:
    """Change it and show it. Security groups and leases are switched off here and are not looked at."""
    refuse_unknown(bound, "userdatadetails", "dhcpoptionsnetworklist")
    details = next(iter((bound["details"] or {}).values()), None)  # only the first index counts, as recorded
    request = UpdateRequest(
        vm_id=bound["id"],
        display_name=bound["displayname"],
        host_name=bound["name"],
        instance_name=bound["instancename"],
        guest_os_id=bound["ostypeid"],
        details=details,
        cleanup_details=bool(bound["cleanupdetails"]),
        display=bound["displayvm"],
        ha_enabled=bound["haenable"],
        delete_protection=bound["deleteprotection"],
        dynamically_scalable=bound["isdynamicallyscalable"],
        extra_config=bound["extraconfig"],
        custom_uuid=bound["customid"],
        group=bound["group"],
        user_data=bound["userdata"],
        user_data_id=bound["userdataid"],
    )
    vm = update_vm(call.db, call.services.providers, call.caller, request)
    completed(call.db, call, "VM.UPDATE", "updating Vm", "VirtualMachine", vm.uuid)
    return Item(vm_view(call.db, vm, call.caller))


COMMANDS = (recover_virtual_machine, update_virtual_machine)
