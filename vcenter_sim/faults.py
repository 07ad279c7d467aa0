"""The faults the stand-in raises, with the texts vCenter gives them."""

from __future__ import annotations

from vcenter_sim.types import Fault, Reference, vim, vmodl


def not_authenticated(this: Reference, privilege: str = "System.View") -> Fault:
    """The answer to a call without a live session."""
    return vim.fault.NotAuthenticated(object=this, privilegeId=privilege, msg="The session is not authenticated.")


def invalid_login() -> Fault:
    """The answer to a wrong user name or password."""
    return vim.fault.InvalidLogin(msg="Cannot complete login due to an incorrect user name or password.")


def not_found(reference: Reference) -> Fault:
    """The answer to a reference that names no object (any more)."""
    kind = type(reference).__name__
    return vmodl.fault.ManagedObjectNotFound(
        obj=reference,
        msg=f"The object '{kind}:{reference._GetMoId()}' has already been deleted or has not been completely created",
    )


def duplicate_name(name: str, holder: Reference) -> Fault:
    """The fault of a task that would make a second object of one name in one folder."""
    return vim.fault.DuplicateName(name=name, object=holder, msg=f"The name '{name}' already exists.")


_STATE_TEXTS = {"poweredOn": "Powered on", "poweredOff": "Powered off", "suspended": "Suspended"}


def invalid_power_state(existing: str, requested: str | None = None) -> Fault:
    """The fault of an operation that the VM's power state does not allow."""
    return vim.fault.InvalidPowerState(
        existingState=existing,
        requestedState=requested,
        msg=f"The attempted operation cannot be performed in the current state ({_STATE_TEXTS[existing]}).",
    )


def invalid_argument(name: str) -> Fault:
    """The answer to a parameter whose value makes no sense here."""
    return vmodl.fault.InvalidArgument(invalidProperty=name, msg=f"A specified parameter was not correct: {name}")


def invalid_property(path: str) -> Fault:
    """The answer to a property path that the object's type does not have."""
    return vmodl.query.InvalidProperty(name=path, msg=f"The property path is not valid: {path}")


def invalid_request(reason: str) -> Fault:
    """The answer to a message that is no valid request."""
    return vmodl.fault.InvalidRequest(msg=reason)


def method_not_found(receiver: Reference | None, method: str) -> Fault:
    """The answer to a method that the receiver (or the stand-in) does not have."""
    return vmodl.fault.MethodNotFound(
        receiver=receiver if receiver is not None else vim.ServiceInstance("ServiceInstance"),
        method=method,
        msg=f"The method {method} is not implemented by this server.",
    )


def system_error(reason: str) -> Fault:
    """The answer when the stand-in itself failed; the log has the traceback."""
    return vmodl.fault.SystemError(reason=reason, msg=f"A general system error occurred: {reason}")


def tools_unavailable() -> Fault:
    """The answer to a guest operation on a VM whose VMware Tools do not run."""
    return vim.fault.ToolsUnavailable(
        msg="Cannot complete operation because VMware Tools is not running in this virtual machine."
    )


def nothing_found(reason: str) -> Fault:
    """The answer to a key that names nothing."""
    return vim.fault.NotFound(msg=reason)


def file_not_found(file: str) -> Fault:
    """The answer to an operation that needs a file of a datastore, `[ds] path`, which is not there."""
    return vim.fault.FileNotFound(file=file, msg=f"File {path_on_host(file)} was not found")


def path_on_host(file: str) -> str:
    """Where an ESXi host has a file of a datastore: `/vmfs/volumes/ds/path` for `[ds] path`."""
    name, _, path = file.removeprefix("[").partition("] ")
    return f"/vmfs/volumes/{name}/{path}"


def request_canceled() -> Fault:
    """The answer to a wait that was cancelled, or that the server's stop ended."""
    return vmodl.fault.RequestCanceled(msg="The task was canceled by a user.")


def task_in_progress(task: Reference) -> Fault:
    """The answer to an operation on an object that another one holds."""
    return vim.fault.TaskInProgress(task=task, msg="The operation is not allowed in the current state.")


def invalid_state() -> Fault:
    """The answer to a call that the object's state does not allow."""
    return vim.fault.InvalidState(msg="The operation is not allowed in the current state.")


def not_cancelable() -> Fault:
    """The answer to the cancellation of a task that cannot be cancelled."""
    return vmodl.fault.NotSupported(msg="The operation is not supported on the object.")


def timed_out() -> Fault:
    """The fault of a lease whose client was not heard of for too long."""
    return vim.fault.Timedout(msg="Operation timed out.")
