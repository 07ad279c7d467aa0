"""Values in the types that pyvmomi's tables declare."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    VmomiSupport: Any
else:
    from pyVmomi import VmomiSupport

from vcenter_sim.types import DataObject, ManagedType
from vcenter_sim.wire.tables import DataObjectBase, PropertyInfo, property_info


def is_data_object(value: Any) -> bool:
    """Whether the value has fields of its own that a property path may lead into."""
    return isinstance(value, DataObjectBase)


def managed_type(value: Any) -> bool:
    """Whether the value is a reference to a managed object."""
    return isinstance(value, VmomiSupport.ManagedObject)


def is_set(value: Any) -> bool:
    """Whether a field holds something: neither None nor an empty list (a reference cannot be compared with a list)."""
    return value is not None and not (isinstance(value, list) and not value)


def typed(info: PropertyInfo, value: Any) -> Any:
    """The value in the very type that the property declares.

    A plain list becomes the declared array, a text the declared enumeration, a number the declared width: in a value
    of type Any they would travel as something else (`xsd:string`, `xsd:int`) that Java and Go clients cannot take.
    """
    if isinstance(value, VmomiSupport.Array) or value is None:
        return value
    declared = info.type
    if isinstance(value, list):
        if not issubclass(declared, VmomiSupport.Array):
            raise TypeError(f'"{info.name}" is no array')
        return declared(value)
    narrowed = issubclass(declared, VmomiSupport.Enum) or (issubclass(declared, int) and type(value) is int)
    return declared(value) if narrowed and type(value) is not declared else value


def checked_value(holder: ManagedType, name: str, value: Any) -> Any:
    """The value as it may stand in the property; raises TypeError when the type forbids it or it cannot be sent."""
    info = property_info(holder, name)
    if info is None:
        raise TypeError(f"{holder.__name__} has no property {name}")
    if value is None:
        return None
    if isinstance(value, list) and issubclass(info.type, list) and info.type.Item is str:
        # pyvmomi clients in the same process turn `type[]` properties into `string[]` ones when they read them.
        value = [VmomiSupport.GetWsdlName(item) if isinstance(item, type) else item for item in value]
    VmomiSupport.CheckField(info, value)
    return typed(info, value)


def array(item_type: str, values: Iterable[Any]) -> Any:
    """A typed array, e.g. `array("vim.VirtualMachine", refs)`."""
    return VmomiSupport.GetVmodlType(item_type + "[]")(values)


def twin_of(value: Any) -> Any:
    """A deep copy of a value that has its types already: nothing is checked again, and references stay references."""
    if isinstance(value, list):
        twins = type(value)()
        twins.extend(map(twin_of, value))
        return twins
    if isinstance(value, DataObjectBase):
        twin = type(value).__new__(type(value))
        fields: dict[str, Any] = vars(twin)
        for name, field in vars(value).items():
            fields[name] = twin_of(field) if isinstance(field, list | DataObjectBase) else field
        return twin
    return value


def copy_of(value: DataObject) -> DataObject:
    """A deep copy of a data object; references stay references."""
    if isinstance(value, VmomiSupport.Array):
        return type(value)(copy_of(item) for item in value)
    if isinstance(value, list):
        return [copy_of(item) for item in value]
    if isinstance(value, DataObjectBase):
        fields = {info.name: copy_of(getattr(value, info.name)) for info in value._GetPropertyList()}
        kept = {name: field for name, field in fields.items() if is_set(field)}
        return type(value)(**kept)
    return value
