"""The one place where pyvmomi comes in.

Its types are made at run time and its published stubs stop at release 8, so they are `Any` to the type checker. Nothing
outside `mgmt.vmware` sees them.
"""

from __future__ import annotations

from typing import Any

from pyVmomi import SoapAdapter as _soap_adapter
from pyVmomi import VmomiSupport as _support
from pyVmomi import vim as _vim
from pyVmomi import vmodl as _vmodl

vim: Any = _vim
vmodl: Any = _vmodl
SoapStubAdapter: Any = _soap_adapter.SoapStubAdapter
SoapResponseDeserializer: Any = _soap_adapter.SoapResponseDeserializer
ManagedObject: Any = _support.ManagedObject
_vmomi_support: Any = _support

NAMESPACE = "urn:vim25"
# What a server that publishes no version file is spoken to in: vSphere 6.5, the oldest that CloudStack 4.22 supports.
OLDEST_VERSION = "vim.version.version12"


def known_versions() -> list[tuple[str, str]]:
    """The vim25 versions pyvmomi can speak, newest first: (pyvmomi's name, the name in a server's version file)."""
    return [(version, _vmomi_support.versionIdMap[version]) for version in _vmomi_support.GetServiceVersions("vim25")]


def moref(reference: Any) -> str:
    """The value of a managed object reference, such as `vm-42`."""
    return str(reference._GetMoId())


def type_name(value: Any) -> str:
    """The vim25 name of a fault or object's type without its name space, such as `InvalidLogin`."""
    return type(value).__name__.rsplit(".", 1)[-1]
