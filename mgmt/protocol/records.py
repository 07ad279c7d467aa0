"""The records that travel as JSON: base classes, the registry by Java class name, and the array codec.

A record's attributes carry the wire names (Java field names, leading underscore included). Upstream:
core/.../agent/transport/ArrayTypeAdaptor.java, InterfaceTypeAdaptor.java; api/.../agent/api/Command.java, Answer.java.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar, TypeVar

import msgspec

from mgmt.protocol import gson

JsonObject = dict[str, Any]  # a Java object that nobody here looks into

MASK = "*****"
SECRET_FIELDS = frozenset(
    {"vcenterPassword", "vncPassword", "password", "_prvKey", "privateKey", "keystorePassword", "userInfo"}
)


class ContentError(ValueError):
    """A message content that a Java end could not read either: no JSON array, or a field of the wrong type."""


class Record(msgspec.Struct, kw_only=True):
    """What every wire record has: a `repr` without nulls and without secrets."""

    def __repr__(self) -> str:
        shown = []
        for attribute, _, _ in gson.field_plan(type(self)):
            value = getattr(self, attribute)
            if value is not None:
                shown.append(f"{attribute}={MASK if attribute in SECRET_FIELDS else repr(value)}")
        return f"{type(self).__name__}({', '.join(shown)})"


class Command(Record, kw_only=True):
    """`com.cloud.agent.api.Command`: what every command and every answer has. `wait` is in seconds."""

    contextMap: dict[str, str] = msgspec.field(default_factory=dict)
    wait: int = 0
    bypassHostMaintenance: bool = False
    externalDetails: dict[str, dict[str, str]] | None = None

    in_sequence: ClassVar[bool] = False  # Java's executeInSequence(): sets flag 0x04


class Answer(Command, kw_only=True):
    """`com.cloud.agent.api.Answer`: `result`, and `details` (often the reason of a failure)."""

    result: bool = False
    details: str | None = None


class UnknownCommand(Command, kw_only=True):
    """A command of a class that is not declared here; `java_class` names it and is never written as a field."""

    java_class: str = ""
    fields: JsonObject = msgspec.field(default_factory=dict)


class UnknownAnswer(Answer, kw_only=True):
    """An answer of a class that is not declared here."""

    java_class: str = ""
    fields: JsonObject = msgspec.field(default_factory=dict)


class DataStoreTO:
    """Mark of the records that fill a Java field of the interface type `DataStoreTO`: they travel wrapped."""

    __slots__ = ()


class DataTO:
    """Mark of the records that fill a Java field of the interface type `DataTO`: they travel wrapped."""

    __slots__ = ()


_BY_NAME: dict[str, type[Record]] = {}
_NAME_OF: dict[type[Record], str] = {}

R = TypeVar("R", bound=Record)


def wire(java_package: str, java_name: str | None = None) -> Callable[[type[R]], type[R]]:
    """Declare a record class under its full Java class name: the package and, by default, the Python name."""

    def register(record_class: type[R]) -> type[R]:
        name = f"{java_package}.{java_name or record_class.__name__}"
        if name in _BY_NAME:
            raise ValueError(f"{name} is declared twice")
        _BY_NAME[name] = record_class
        _NAME_OF[record_class] = name
        return record_class

    return register


wire("com.cloud.agent.api")(Command)
wire("com.cloud.agent.api")(Answer)


def declared() -> Mapping[str, type[Record]]:
    """Every declared record class by its full Java class name."""
    return dict(_BY_NAME)


def java_class(record: Record | type[Record]) -> str:
    """The full Java class name of a record or record class; raises KeyError when the class is not declared."""
    if isinstance(record, UnknownCommand | UnknownAnswer):
        return record.java_class
    return _NAME_OF[record if isinstance(record, type) else type(record)]


def simple_name(record: Command) -> str:
    """The Java class name without its package, for journals and logs."""
    return java_class(record).rpartition(".")[2]


def as_wire_mapping(record: Command) -> JsonObject:
    """The record as plain values with nulls left out: what the JSON text holds, for journals."""
    plain = msgspec.json.decode(_body(record))
    assert isinstance(plain, dict)
    return plain


def encode_array(records: Iterable[Command]) -> str:
    """The JSON text of a request's or response's content."""
    return "[" + ",".join(f"{{{gson.text_literal(java_class(record))}:{_body(record)}}}" for record in records) + "]"


def _body(record: Command) -> str:
    if isinstance(record, UnknownCommand | UnknownAnswer):
        return gson.write(record.fields)
    return gson.write(record)


def decode_commands(content: bytes) -> list[Command]:
    """The commands of a request's content; raises ContentError."""
    return [_decode(name, fields, UnknownCommand) for name, fields in _elements(content)]


def decode_answers(content: bytes) -> list[Answer]:
    """The answers of a response's content; raises ContentError."""
    answers = []
    for name, fields in _elements(content):
        answer = _decode(name, fields, UnknownAnswer)
        if not isinstance(answer, Answer):
            raise ContentError(f"{name} is no answer")
        answers.append(answer)
    return answers


def _elements(content: bytes) -> list[tuple[str, JsonObject]]:
    try:
        array = gson.read(content)
    except gson.JsonTextError as error:
        raise ContentError(str(error)) from None
    if not isinstance(array, list):
        raise ContentError(f"an array was expected, not {type(array).__name__}")
    elements = []
    for element in array:
        if not isinstance(element, dict) or not element:
            raise ContentError("an element must be an object with one key, the class name")
        name, fields = next(iter(element.items()))  # the first key counts, as in ArrayTypeAdaptor
        if not isinstance(fields, dict):
            raise ContentError(f"the fields of {name} must be an object")
        elements.append((name, fields))
    return elements


def _decode(name: str, fields: JsonObject, fallback: type[UnknownCommand] | type[UnknownAnswer]) -> Command:
    record_class = _BY_NAME.get(name)
    if record_class is None or not issubclass(record_class, Command):
        known = {key: fields[key] for key in fallback.__struct_fields__ if key in fields}
        known.update(java_class=name, fields=fields)
        return _convert(known, fallback)
    return _convert(fields, record_class)


C = TypeVar("C", bound=Record)


def _convert(fields: JsonObject, record_class: type[C]) -> C:
    try:
        return msgspec.convert(fields, record_class, strict=False, dec_hook=_wrapped)
    except (msgspec.ValidationError, RecursionError):
        pass  # once more without explicit nulls, which Java takes as absent
    try:
        return msgspec.convert(_without_nulls(fields), record_class, strict=False, dec_hook=_wrapped)
    except (msgspec.ValidationError, RecursionError) as error:
        raise ContentError(f"{record_class.__name__}: {error}") from None


def _without_nulls(value: Any) -> Any:  # a JSON value of any shape
    if isinstance(value, dict):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_without_nulls(item) for item in value]
    return value


def _wrapped(expected: type, value: object) -> object:
    """Read a field of the interface type `expected`: an object whose only key names the concrete class."""
    if not isinstance(value, Mapping) or len(value) != 1:
        raise ValueError("an object that names its class was expected")
    name, fields = next(iter(value.items()))
    record_class = _BY_NAME.get(str(name))
    if record_class is None or not issubclass(record_class, expected) or not isinstance(fields, dict):
        raise ValueError(f"{name} is no {expected.__name__}")
    return _convert(fields, record_class)


def all_succeeded(answers: Sequence[Answer]) -> bool:
    """True if every answer has `result` true."""
    return all(answer.result for answer in answers)
