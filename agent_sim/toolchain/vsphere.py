"""Looking up a source VM in vCenter, as libvirt's esx driver and ovftool do: really, over SOAP.

`VcenterReader` blocks: use it in a worker thread, but for `abort`, which may be called from any.
"""

from __future__ import annotations

from typing import Protocol

from agent_sim.toolchain.source import SourceMachine


class VcenterLookupError(Exception):
    """Base of what can go wrong; the text holds no secret."""


class VcenterUnreachableError(VcenterLookupError):
    """No TLS connection, or the peer is no vCenter."""


class LoginRefusedError(VcenterLookupError):
    """vCenter refused user and password."""


class NotFoundError(VcenterLookupError):
    """`kind` (`datacenter`, `compute resource`, `host system`, `vm`) of that name is not there."""

    def __init__(self, kind: str, name: str) -> None:
        super().__init__(f"{kind} {name} not found")
        self.kind = kind
        self.name = name


class VcenterFaultError(VcenterLookupError):
    """Any other fault that vCenter answered with."""


def split_address(vcenter: str, default_port: int = 443) -> tuple[str, int]:
    """`name[:port]` as name and port; raises VcenterUnreachableError for a port that is no number."""
    name, separator, port = vcenter.rpartition(":")
    if not separator or name.endswith(":") or (":" in name and not name.endswith("]")):
        return vcenter, default_port
    if not port.isdigit() or not 0 < int(port) < 65536:
        raise VcenterUnreachableError(f"invalid port in {vcenter}")
    return name, int(port)


class VcenterReader(Protocol):
    """One login to one vCenter, for a look-up or two."""

    @property
    def certificate_der(self) -> bytes:
        """The certificate that vCenter showed in the last look-up; empty before one."""
        ...

    def abort(self) -> None:
        """Close the sockets, so that a look-up that runs in another thread ends soon."""
        ...

    def find_on_host(self, datacenter: str, compute: str, host: str | None, vm_name: str) -> SourceMachine:
        """The VM of that exact name on one ESXi host, as `vpx://.../datacenter/compute[/host]` sees it.

        Raises NotFoundError and the other errors of this module.
        """
        ...

    def find_by_path(self, inventory_path: str) -> SourceMachine:
        """The VM at `datacenter/vm/folder/name`, to export it; raises NotFoundError and the other errors here."""
        ...


def vcenter_reader(vcenter: str, username: str, password: str) -> VcenterReader:
    """A reader; nothing is sent before its first look-up.

    The reader is imported here and not before: few agents ever need it.
    """
    from agent_sim.toolchain.soap import SoapReader

    return SoapReader(vcenter, username, password)
