"""Results and faults to SOAP text, on pyvmomi's serialiser."""

from __future__ import annotations

from io import StringIO
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    SoapAdapter: Any
    VmomiSupport: Any

    class _SoapSerializer:
        """pyvmomi's writer of one value."""

        outermostAttrs: str
        Serialize: Any
        SerializeFaultDetail: Any

        def __init__(self, writer: Any, version: str, nsMap: dict[str, str]) -> None: ...

        def _QName(self, typ: Any, defNS: str) -> tuple[str, str]: ...
else:
    from pyVmomi import SoapAdapter, VmomiSupport
    from pyVmomi.SoapAdapter import SoapSerializer as _SoapSerializer

from vcenter_sim.types import Fault
from vcenter_sim.wire.requests import Call
from vcenter_sim.wire.tables import NAMESPACE, NEWEST_VERSION, MethodInfo, PropertyInfo, declared_field, property_info
from vcenter_sim.wire.values import typed


class _Writer(_SoapSerializer):
    """pyvmomi's serialiser with the names that vCenter, and so every other client, uses."""

    def _QName(self, typ: Any, defNS: str) -> tuple[str, str]:
        attribute, name = super()._QName(typ, defNS)
        # A reference in a value of type Any: pyvmomi writes (and reads) ManagedObject, Go and Java know only this.
        return attribute, name + "Reference" if typ is VmomiSupport.ManagedObject else name


def serialise(value: Any, info: PropertyInfo, version: str) -> str:
    writer = StringIO()
    serialiser = _Writer(writer, version, _namespace_prefixes())
    serialiser.outermostAttrs = ""  # pyvmomi adds a versionId attribute that no vCenter sends
    serialiser.Serialize(value, info)
    return writer.getvalue()


def _namespace_prefixes() -> dict[str, str]:
    return {**SoapAdapter.SOAP_NSMAP, NAMESPACE: ""}


def _envelope(content: str) -> bytes:
    return "".join((SoapAdapter.XML_HEADER, "\n", SoapAdapter.SOAP_START, content, SoapAdapter.SOAP_END)).encode()


def render_result(call: Call, result: Any) -> bytes:
    """The response envelope of a call that returned `result`; raises TypeError when a required field is unset."""
    name = call.method
    content = ""
    info = call.info
    if info is not None and result is not None:
        returned = declared_field("returnval", property_type(call, info), VmomiSupport.F_OPTIONAL)
        content = serialise(typed(returned, result), returned, call.version)
    return _envelope(f'<{name}Response xmlns="{NAMESPACE}">{content}</{name}Response>')


def property_type(call: Call, info: MethodInfo) -> Any:
    """The declared type of the call's result; for `Fetch` that of the property asked for."""
    if call.method != "Fetch":
        return info.result
    found = property_info(type(call.this), call.arguments["prop"])
    return found.type if found is not None else object


def render_fault(fault: Fault, version: str) -> bytes:
    """The fault envelope, without the wrapper that faults wear inside of data objects."""
    ns, name = VmomiSupport.GetQualifiedWsdlName(type(fault))
    text = SoapAdapter.XmlEscape(fault.msg or "")
    bare = type(fault)(**{info.name: getattr(fault, info.name) for info in fault._GetPropertyList()})
    bare.msg = None  # the text stands in faultstring
    writer = StringIO()
    serialiser = _Writer(writer, version, _namespace_prefixes())
    serialiser.outermostAttrs = f' xmlns="{ns}"'
    serialiser.SerializeFaultDetail(bare, declared_field(f"{name}Fault", object))
    return _envelope(
        f"<{SoapAdapter.SOAP_FAULT_TAG}><faultcode>ServerFaultCode</faultcode><faultstring>{text}</faultstring>"
        f"<detail>{writer.getvalue()}</detail></{SoapAdapter.SOAP_FAULT_TAG}>"
    )


def text_of(value: Any, version: str = NEWEST_VERSION) -> str:
    """The value as XML text: what two values are compared by, and what proves that a value can be sent."""
    return serialise(value, declared_field("value", object, VmomiSupport.F_OPTIONAL), version)
