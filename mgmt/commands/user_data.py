"""User data of guests.

Upstream: api/.../command/user/userdata, command/admin/vm/ResetVMUserDataCmd.java.
"""

from __future__ import annotations

from mgmt.commands.catalogued import done, listed
from mgmt.commands.declaration import Bound, Call, Item, Listing, Success
from mgmt.commands.life_calls import completed, refuse_unknown
from mgmt.errors import InvalidParameterValueError
from mgmt.inventory import user_data
from mgmt.inventory.lookup import get_live
from mgmt.inventory.owner import finalize_owner
from mgmt.inventory.scope import resolve_scope
from mgmt.inventory.vm_states import VmState
from mgmt.inventory.vms import vm_view
from mgmt.life.records import check_vm_access, live_vm
from mgmt.store.models import VmInstance

VM = "VirtualMachine"


@done("registerUserData", "userdata", since="4.18")
def register_user_data(call: Call, bound: Bound) -> Item:
    """Keep user data under a name."""
    owner = finalize_owner(call.db, call.caller, bound)
    found = user_data.register(call.db, call.services.providers, owner, bound)
    completed(call.db, call, "REGISTER.USER.DATA", "registering userdata", None, None)
    return Item(user_data.user_data_view(found))


@done("deleteUserData", since="4.18")
def delete_user_data(call: Call, bound: Bound) -> Success:
    """Forget user data."""
    user_data.delete(call.db, user_data.owned_user_data(call.db, call.caller, bound["id"]))
    return Success()


@listed("listUserData", "userdata", since="4.18")
def list_user_data(call: Call, bound: Bound) -> Listing:
    scope = resolve_scope(call.db, call.caller, bound, has_id=bound["id"] is not None)
    found, count = user_data.find_user_data(call.db, scope, bound, bound.paging)
    return Listing([user_data.user_data_view(each) for each in found], count)


@done("resetUserDataForVirtualMachine", "virtualmachine", since="4.18.0")
def reset_user_data(call: Call, bound: Bound) -> Item:
    """Give a stopped VM other user data."""
    refuse_unknown(bound, "userdatadetails")
    vm = live_vm(call.db, bound["id"], "unable to find a virtual machine by id {id}")
    check_vm_access(call.caller, vm)
    if vm.state != VmState.STOPPED:
        raise InvalidParameterValueError(f"VM {vm.uuid} should be stopped to do UserData reset")
    user_data.set_user_data(call.db, call.caller, vm, bound["userdata"], bound["userdataid"])
    completed(call.db, call, "VM.RESETUSERDATA", "resetting VM userdata", VM, vm.uuid)
    return Item(vm_view(call.db, vm, call.caller))


@done("getVirtualMachineUserData", "virtualmachineuserdata", since="4.4")
def get_virtual_machine_user_data(call: Call, bound: Bound) -> Item:
    """The user data of a VM."""
    vm = get_live(call.db, VmInstance, bound["virtualmachineid"])
    if vm is None:
        raise InvalidParameterValueError(f"unable to find a virtual machine with id {bound['virtualmachineid']}")
    check_vm_access(call.caller, vm)
    return Item({"virtualmachineid": vm.uuid, "userdata": vm.user_data})


COMMANDS = (
    register_user_data,
    delete_user_data,
    list_user_data,
    reset_user_data,
    get_virtual_machine_user_data,
)
