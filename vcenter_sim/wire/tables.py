"""pyvmomi's type tables: methods, properties, classes and API versions by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    VmomiSupport: Any

    class DataObjectBase:
        """pyvmomi's base of data objects."""

        _GetPropertyList: Any

else:
    from pyVmomi import VmomiSupport

    DataObjectBase = VmomiSupport.DataObject

from vcenter_sim.types import ManagedType, Reference, vim

NAMESPACE = "urn:vim25"
NEWEST_VERSION = "vim.version.v8_0_2_0"

MethodInfo: TypeAlias = Any  # pyvmomi's description of a method: params, result, type, privId
PropertyInfo: TypeAlias = Any  # pyvmomi's description of a property: name, type, flags, version


def declared_field(name: str, type_: Any, flags: int = 0) -> PropertyInfo:
    """The description of a value that no type table declares."""
    return VmomiSupport.Object(name=name, type=type_, version=VmomiSupport.BASE_VERSION, flags=flags)


def _fetch_info() -> MethodInfo:
    """`Fetch(prop)`: what attribute access in pyvmomi sends. No type table has it."""
    return VmomiSupport.Object(
        name="Fetch",
        wsdlName="Fetch",
        params=(declared_field("prop", str),),
        type=vim.ManagedObject if hasattr(vim, "ManagedObject") else VmomiSupport.ManagedObject,
        result=object,
        resultFlags=VmomiSupport.F_OPTIONAL,
        privId="System.Anonymous",
        version=VmomiSupport.BASE_VERSION,
    )


def method_info(name: str) -> MethodInfo | None:
    """The description of the vim25 method with this WSDL name; None when there is none."""
    if name == "Fetch":
        return _fetch_info()
    try:
        return VmomiSupport.GetWsdlMethod(NAMESPACE, name).info
    except KeyError:
        return None


def managed_method(name: str) -> Any:
    """The method as a value, the form that `TaskInfo.name` has."""
    return VmomiSupport.GetWsdlMethod(NAMESPACE, name)


def property_info(holder: Any, name: str) -> PropertyInfo | None:
    """The declared property of a managed or data object class; None when the class has no such property."""
    try:
        return holder._GetPropertyInfo(name)
    except AttributeError:
        return None


def property_names(holder: ManagedType) -> list[str]:
    """The names of all declared properties, inherited ones first."""
    return [info.name for info in holder._GetPropertyList()]


def version_of(soap_action: str | None) -> str:
    """The API version that a SOAPAction header asks for; the newest on offer when it names none we know."""
    wanted = (soap_action or "").strip().strip('"').removeprefix("urn:")
    version = VmomiSupport.versionMap.get(wanted) if "/" in wanted else None
    if version is None or not VmomiSupport.IsChildVersion(NEWEST_VERSION, version):
        return NEWEST_VERSION
    return str(version)


def offered_versions() -> list[str]:
    """The version numbers on offer, newest first: those that the installed pyvmomi knows, up to 8.0.2.0."""
    ids = {
        VmomiSupport.versionIdMap[version]
        for version in VmomiSupport.GetVersionParents(NEWEST_VERSION)
        if VmomiSupport.serviceNsMap.get(version) == "vim25" and version.startswith("vim.version.")
    }
    numbers = {text for text in ids if text and text.replace(".", "").isdigit()}  # not 2.5u2
    return sorted(numbers, key=lambda text: [int(part) for part in text.split(".")], reverse=True)


def vmodl_type(name: str) -> Any:
    """The pyvmomi class with this VMODL name, e.g. `vim.VirtualMachine`."""
    return VmomiSupport.GetVmodlType(name)


def wsdl_name(kind: Any) -> str:
    """The vim25 name of a class, such as `ParaVirtualSCSIController`."""
    return str(VmomiSupport.GetWsdlName(kind))


def reference(kind: ManagedType, moid: str) -> Reference:
    """A reference to the object of that class and moid."""
    return kind(moid)


def reference_base() -> ManagedType:
    """The class that all managed objects have in common."""
    return VmomiSupport.ManagedObject
