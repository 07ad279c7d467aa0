"""pyvmomi's type names for the rest of the room, and what a reference looks like.

pyvmomi makes its classes at run time and the published stubs trail behind the library, so the type checker sees the
two roots as `Any`; the library itself checks every field on assignment.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    vim: Any
    vmodl: Any
else:
    from pyVmomi import vim, vmodl

Reference: TypeAlias = Any  # a pyvmomi managed object without a stub: type and moid
DataObject: TypeAlias = Any  # a pyvmomi data object
Fault: TypeAlias = Any  # a pyvmomi fault, an exception
ManagedType: TypeAlias = Any  # a pyvmomi managed object class

__all__ = ["DataObject", "Fault", "ManagedType", "Reference", "vim", "vmodl"]
