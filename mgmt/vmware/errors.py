"""What can go wrong with a vCenter, as errors whose text CloudStack's callers see inside its wrappers.

No text holds a password. The wrappers ("Error retrieving VMs from ...", "Error while finding or cloning VM: ...") are
put around by the callers.
"""

from __future__ import annotations

import socket

from mgmt.errors import CloudRuntimeError


class VcenterError(CloudRuntimeError):
    """Base of all: something about a vCenter failed. `text` is the reason."""


class VcenterUnreachableError(VcenterError):
    """No usable answer: no connection, no TLS, a time-out, or an answer that is no vSphere SOAP."""


class VcenterFaultError(VcenterError):
    """vCenter refused a call; `fault` is the fault's vim25 name, such as `NoPermission`."""

    def __init__(self, text: str, fault: str) -> None:
        super().__init__(text)
        self.fault = fault


class VcenterLoginError(VcenterFaultError):
    """vCenter did not let the user in (`InvalidLogin`, `NoPermission` and the like at login)."""


class VcenterTaskError(VcenterFaultError):
    """A task ended in error; the text is the fault's localised message."""


class DatacenterNotFoundError(VcenterError):
    """The vCenter has no datacenter of that name."""

    def __init__(self, datacenter: str, vcenter: str) -> None:
        super().__init__(f"Unable to find VMware datacenter {datacenter} in vCenter {vcenter}")


class HostNotFoundError(VcenterError):
    """The datacenter has no ESXi host of that name."""

    def __init__(self, host: str, vcenter: str) -> None:
        super().__init__(f"Cannot find a host with name {host} on vcenter {vcenter}")


class VmNotFoundError(VcenterError):
    """The datacenter has no VM of that name, or the VM is gone."""

    def __init__(self, vm: str, vcenter: str, datacenter: str, *, purpose: str | None = None) -> None:
        end = f", {purpose}" if purpose else ""
        super().__init__(f"Cannot find VM with name {vm} on vCenter {vcenter}/{datacenter}{end}")


class CloneError(VcenterError):
    """A clone could not be made or placed. The text is CloudStack's own and whole: it takes no wrapper (VMwareGuru)."""


def transport_error(error: BaseException) -> VcenterUnreachableError:
    """The error for a failed HTTP exchange, in the words of CloudStack's SOAP client (JAX-WS)."""
    if isinstance(error, TimeoutError):
        reason = "java.net.SocketTimeoutException: Read timed out"
    elif isinstance(error, ConnectionRefusedError):
        reason = "java.net.ConnectException: Connection refused"
    elif isinstance(error, socket.gaierror):
        reason = "java.net.UnknownHostException"
    elif isinstance(error, OSError):
        reason = f"java.io.IOException: {error.strerror or type(error).__name__}"
    else:
        reason = f"java.io.IOException: {type(error).__name__}"
    return VcenterUnreachableError(f"HTTP transport error: {reason}")
