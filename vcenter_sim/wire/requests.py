"""SOAP text to calls, on pyvmomi's reader."""

from __future__ import annotations

import binascii
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from xml.parsers.expat import ExpatError, ParserCreate

if TYPE_CHECKING:
    SoapAdapter: Any
    VmomiSupport: Any

    class _SoapDeserializer:
        """pyvmomi's reader of one typed XML element."""

        stack: list[Any]
        Deserialize: Any

        def StartElementHandler(self, tag: str, attr: dict[str, str]) -> None: ...
else:
    from pyVmomi import SoapAdapter, VmomiSupport
    from pyVmomi.SoapAdapter import SoapDeserializer as _SoapDeserializer

from vcenter_sim.types import Reference
from vcenter_sim.wire.tables import (
    NAMESPACE,
    DataObjectBase,
    MethodInfo,
    PropertyInfo,
    declared_field,
    method_info,
    version_of,
)

MAX_DEPTH = 64
_BODY = f"{SoapAdapter.XMLNS_SOAPENV} Body"
_ENVELOPE = f"{SoapAdapter.XMLNS_SOAPENV} Envelope"


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


class _Arguments(DataObjectBase):
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
        fields = {"_this": declared_field("_this", VmomiSupport.ManagedObject)}
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
    except (AttributeError, LookupError, TypeError, ValueError, binascii.Error) as error:
        # pyvmomi's reader raises these for unknown elements, unknown types and values of the wrong type, expat a
        # LookupError for an unknown encoding.
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
    missing = _missingdeclared_field(info.name, value)
    if missing is not None:
        raise WireError(f"{method}: {missing} is missing")
    return value


def _missingdeclared_field(place: str, value: Any) -> str | None:
    """The place of the first required field that is unset anywhere in an argument."""
    if isinstance(value, list):
        return next(
            filter(None, (_missingdeclared_field(f"{place}[{index}]", item) for index, item in enumerate(value))), None
        )
    if not isinstance(value, DataObjectBase):
        return None
    for info in value._GetPropertyList():
        below = getattr(value, info.name)
        if below is None and not info.flags & VmomiSupport.F_OPTIONAL and info.type is not object:
            return f"{place}.{info.name}"
        missing = _missingdeclared_field(f"{place}.{info.name}", below)
        if missing is not None:
            return missing
    return None
