"""SOAP text to calls and results to SOAP text, on pyvmomi's type tables and serialiser.

The only module that touches what pyvmomi keeps private; `tests/vcenter_sim/test_pyvmomi_surface.py` fails loudly
when a release changes that surface. Nothing here knows sockets.
"""

from __future__ import annotations

import binascii
from collections.abc import Iterable
from dataclasses import dataclass
from io import StringIO
from typing import TYPE_CHECKING, Any, TypeAlias
from xml.parsers.expat import ExpatError, ParserCreate

if TYPE_CHECKING:
    SoapAdapter: Any
    VmomiSupport: Any

    class _DataObject:
        """pyvmomi's base of data objects."""

        _GetPropertyList: Any

    class _SoapSerializer:
        """pyvmomi's writer of one value."""

        outermostAttrs: str
        Serialize: Any
        SerializeFaultDetail: Any

        def __init__(self, writer: Any, version: str, nsMap: dict[str, str]) -> None: ...

        def _QName(self, typ: Any, defNS: str) -> tuple[str, str]: ...

    class _SoapDeserializer:
        """pyvmomi's reader of one typed XML element."""

        stack: list[Any]
        Deserialize: Any

        def StartElementHandler(self, tag: str, attr: dict[str, str]) -> None: ...
else:
    from pyVmomi import SoapAdapter, VmomiSupport
    from pyVmomi.SoapAdapter import SoapDeserializer as _SoapDeserializer
    from pyVmomi.SoapAdapter import SoapSerializer as _SoapSerializer
    from pyVmomi.VmomiSupport import DataObject as _DataObject

from vcenter_sim.types import DataObject, Fault, ManagedType, Reference, vim

NAMESPACE = "urn:vim25"
NEWEST_VERSION = "vim.version.v8_0_2_0"
MAX_DEPTH = 64
_BODY = f"{SoapAdapter.XMLNS_SOAPENV} Body"
_ENVELOPE = f"{SoapAdapter.XMLNS_SOAPENV} Envelope"

MethodInfo: TypeAlias = Any  # pyvmomi's description of a method: params, result, type, privId
PropertyInfo: TypeAlias = Any  # pyvmomi's description of a property: name, type, flags, version


class WireError(ValueError):
    """The bytes are no request that can be understood; the text says why."""


@dataclass(frozen=True)
class Call:
    """One request: the WSDL name of its method, the receiver, the arguments by parameter name.

    `info` is None for a method that the type tables do not know; such a call carries no arguments.
    """

    method: str
    this: Reference | None
    arguments: dict[str, Any]
    info: MethodInfo | None
    version: str


class _Arguments(_DataObject):
    """The children of the method element, taken for the fields of one data object."""

    _fields: dict[str, Any]
    _this: Reference | None

    def __init__(self, fields: dict[str, Any]) -> None:
        object.__setattr__(self, "_fields", fields)
        for name, info in fields.items():
            object.__setattr__(self, name, info.type() if issubclass(info.type, list) else None)

    def _GetPropertyInfo(self, name: str) -> Any:
        try:
            return self._fields[name]
        except KeyError:
            raise AttributeError(f"unexpected element {name}") from None


class _ArgumentReader(_SoapDeserializer):
    """pyvmomi's reader with a cap on nesting."""

    def StartElementHandler(self, tag: str, attr: dict[str, str]) -> None:
        if len(self.stack) > MAX_DEPTH:
            raise WireError(f"elements are nested deeper than {MAX_DEPTH}")
        super().StartElementHandler(tag, attr)


def _field(name: str, type_: Any, flags: int = 0) -> Any:
    return VmomiSupport.Object(name=name, type=type_, version=VmomiSupport.BASE_VERSION, flags=flags)


def _fetch_info() -> MethodInfo:
    """`Fetch(prop)`: what attribute access in pyvmomi sends. No type table has it."""
    return VmomiSupport.Object(
        name="Fetch",
        wsdlName="Fetch",
        params=(_field("prop", str),),
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


class _Writer(_SoapSerializer):
    """pyvmomi's serialiser with the names that vCenter, and so every other client, uses."""

    def _QName(self, typ: Any, defNS: str) -> tuple[str, str]:
        attribute, name = super()._QName(typ, defNS)
        # A reference in a value of type Any: pyvmomi writes (and reads) ManagedObject, Go and Java know only this.
        return attribute, name + "Reference" if typ is VmomiSupport.ManagedObject else name


class _EnvelopeReader:
    """Finds the method element in Envelope/Body and hands its children to pyvmomi's reader."""

    def __init__(self, parser: Any) -> None:
        self.parser = parser
        self.path: list[str] = []
        self.method: str | None = None
        self.info: MethodInfo | None = None
        self.arguments: _Arguments | None = None
        self.this: Reference | None = None
        self._reader = _ArgumentReader()
        self._namespaces: dict[str | None, list[str]] = {}
        self._this_type: str | None = None
        self._text = ""
        parser.StartElementHandler = self.start
        parser.EndElementHandler = self.end
        parser.CharacterDataHandler = self.text
        parser.StartNamespaceDeclHandler = self._reader_namespace
        parser.EndNamespaceDeclHandler = self._reader_namespace_end
        parser.StartDoctypeDeclHandler = _refuse_doctype

    def _reader_namespace(self, prefix: str | None, uri: str) -> None:
        self._namespaces.setdefault(prefix, []).append(uri)

    def _reader_namespace_end(self, prefix: str | None) -> None:
        self._namespaces[prefix].pop()

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        self.path.append(tag)
        if len(self.path) > MAX_DEPTH:
            raise WireError(f"elements are nested deeper than {MAX_DEPTH}")
        if self.path[:1] != [_ENVELOPE]:
            raise WireError("the document is no SOAP envelope")
        self._text = ""
        if len(self.path) == 3 and self.path[1] == _BODY:
            if self.method is not None:
                raise WireError("the body holds more than one request")
            self._begin_method(tag)
        elif len(self.path) == 4 and self.path[1] == _BODY and tag.rpartition(" ")[2] == "_this":
            self._this_type = attributes.get("type")

    def _begin_method(self, tag: str) -> None:
        self.method = tag.rpartition(" ")[2]
        self.info = method_info(self.method)
        if self.info is None:
            return
        fields = {"_this": _field("_this", VmomiSupport.ManagedObject)}
        fields.update((info.name, info) for info in self.info.params)
        self.arguments = _Arguments(fields)
        self._reader.Deserialize(self.parser, object, False, self._namespaces)
        self._reader.stack.append(self.arguments)
        self.path.pop()  # the reader swallows the method's end tag

    def text(self, data: str) -> None:
        self._text += data

    def end(self, tag: str) -> None:
        if self._this_type is not None and tag.rpartition(" ")[2] == "_this":
            self.this = _reference(self._this_type, self._text)
            self._this_type = None
        self.path.pop()


def _reference(type_name: str, moid: str) -> Reference | None:
    try:
        return VmomiSupport.GetWsdlType(NAMESPACE, type_name.rpartition(":")[2])(moid)
    except KeyError:
        return None


def _refuse_doctype(*_: object) -> None:
    raise WireError("document type declarations are not accepted")


def parse_call(body: bytes, soap_action: str | None = None) -> Call:
    """The call in one request body; raises WireError for anything else."""
    parser = ParserCreate(namespace_separator=SoapAdapter.NS_SEP)
    parser.buffer_text = True
    envelope = _EnvelopeReader(parser)
    try:
        parser.Parse(body, True)
    except WireError:
        raise
    except ExpatError as error:
        raise WireError(f"not well-formed XML: {error}") from error
    except (AttributeError, KeyError, TypeError, ValueError, binascii.Error) as error:
        # pyvmomi's reader raises these for unknown elements, unknown types and values of the wrong type.
        raise WireError(f"{envelope.method or 'request'}: {error}") from error
    if envelope.method is None:
        raise WireError("the envelope has no request in its body")
    version = version_of(soap_action)
    if envelope.info is None or envelope.arguments is None:
        return Call(envelope.method, envelope.this, {}, None, version)
    bag = envelope.arguments
    if bag._this is None:
        raise WireError(f"{envelope.method}: the request names no receiver (_this)")
    return Call(
        envelope.method,
        bag._this,
        {info.name: _checked(envelope.method, info, getattr(bag, info.name)) for info in envelope.info.params},
        envelope.info,
        version,
    )


def _checked(method: str, info: PropertyInfo, value: Any) -> Any:
    """The argument, with the items of an array checked too (pyvmomi's reader appends them unseen)."""
    if isinstance(value, list):
        for item in value:
            if not isinstance(item, info.type.Item):
                raise WireError(f"{method}: {info.name} holds a {type(item).__name__}")
    elif value is None and not info.flags & VmomiSupport.F_OPTIONAL:
        raise WireError(f"{method}: the parameter {info.name} is missing")
    missing = _missing_field(info.name, value)
    if missing is not None:
        raise WireError(f"{method}: {missing} is missing")
    return value


def _missing_field(place: str, value: Any) -> str | None:
    """The place of the first required field that is unset anywhere in an argument."""
    if isinstance(value, list):
        return next(filter(None, (_missing_field(f"{place}[{index}]", item) for index, item in enumerate(value))), None)
    if not isinstance(value, _DataObject):
        return None
    for info in value._GetPropertyList():
        below = getattr(value, info.name)
        if below is None and not info.flags & VmomiSupport.F_OPTIONAL and info.type is not object:
            return f"{place}.{info.name}"
        missing = _missing_field(f"{place}.{info.name}", below)
        if missing is not None:
            return missing
    return None


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


def _serialise(value: Any, info: PropertyInfo, version: str) -> str:
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
        returned = _field("returnval", property_type(call, info), VmomiSupport.F_OPTIONAL)
        content = _serialise(typed(returned, result), returned, call.version)
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
    serialiser.SerializeFaultDetail(bare, _field(f"{name}Fault", object))
    return _envelope(
        f"<{SoapAdapter.SOAP_FAULT_TAG}><faultcode>ServerFaultCode</faultcode><faultstring>{text}</faultstring>"
        f"<detail>{writer.getvalue()}</detail></{SoapAdapter.SOAP_FAULT_TAG}>"
    )


def text_of(value: Any, version: str = NEWEST_VERSION) -> str:
    """The value as XML text: what two values are compared by, and what proves that a value can be sent."""
    return _serialise(value, _field("value", object, VmomiSupport.F_OPTIONAL), version)


def property_info(holder: Any, name: str) -> PropertyInfo | None:
    """The declared property of a managed or data object class; None when the class has no such property."""
    try:
        return holder._GetPropertyInfo(name)
    except AttributeError:
        return None


def property_names(holder: ManagedType) -> list[str]:
    """The names of all declared properties, inherited ones first."""
    return [info.name for info in holder._GetPropertyList()]


def is_data_object(value: Any) -> bool:
    """Whether the value has fields of its own that a property path may lead into."""
    return isinstance(value, _DataObject)


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


def vmodl_type(name: str) -> Any:
    """The pyvmomi class with this VMODL name, e.g. `vim.VirtualMachine`."""
    return VmomiSupport.GetVmodlType(name)


def reference(kind: ManagedType, moid: str) -> Reference:
    """A reference to the object of that class and moid."""
    return kind(moid)


def wsdl_name(kind: Any) -> str:
    """The vim25 name of a class, such as `ParaVirtualSCSIController`."""
    return str(VmomiSupport.GetWsdlName(kind))


def managed_type(value: Any) -> bool:
    """Whether the value is a reference to a managed object."""
    return isinstance(value, VmomiSupport.ManagedObject)


def copy_of(value: DataObject) -> DataObject:
    """A deep copy of a data object; references stay references."""
    if isinstance(value, VmomiSupport.Array):
        return type(value)(copy_of(item) for item in value)
    if isinstance(value, list):
        return [copy_of(item) for item in value]
    if isinstance(value, _DataObject):
        fields = {info.name: copy_of(getattr(value, info.name)) for info in value._GetPropertyList()}
        kept = {name: field for name, field in fields.items() if is_set(field)}
        return type(value)(**kept)
    return value


def is_set(value: Any) -> bool:
    """Whether a field holds something: neither None nor an empty list (a reference cannot be compared with a list)."""
    return value is not None and not (isinstance(value, list) and not value)


def reference_base() -> ManagedType:
    """The class that all managed objects have in common."""
    return VmomiSupport.ManagedObject
