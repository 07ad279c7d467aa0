"""Answers of commands that are not simulated, as a user gives them in YAML files (docs/stubs.md).

All files of a folder are read and checked at start; a stub that cannot be used is refused with file, path and reason.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from marshmallow import ValidationError

from mgmt.commands.catalogue import CatalogueDeclaration, catalogue
from mgmt.commands.declaration import (
    Bound,
    Call,
    Declaration,
    Fields,
    Handler,
    Item,
    Listing,
    Precheck,
    Result,
    at_once,
)
from mgmt.commands.empty import is_empty_by_truth
from mgmt.commands.stub_schemas import ANSWERS, StubsSchema
from mgmt.errors import UNSUPPORTED_ACTION_ERROR, ServerApiError
from mgmt.inventory.listing import in_window

# Fields that every answer may have, whatever its response class.
_COMMON_FIELDS = frozenset({"success", "displaytext", "jobid", "jobstatus"})
_NAMED_ANSWERS = frozenset({"list", "object"})


class StubError(Exception):
    """A stub that cannot be used: `file`, `path` in the document (empty: all of it) and `reason`."""

    def __init__(self, file: Path, path: str, reason: str) -> None:
        super().__init__(f"stubs {file}{f', {path}' if path else ''}: {reason}")
        self.file = file
        self.path = path
        self.reason = reason


@dataclass(frozen=True)
class Stub:
    """One answer: for which calls of `command`, and what they get (one of `ANSWERS` and its value)."""

    command: str
    match: Mapping[str, str]
    is_async: bool | None
    kind: str
    value: Any

    def fits(self, bound: Bound) -> bool:
        """True when the call sent every value of `match`."""
        return all(bound.sent.get(name) == value for name, value in self.match.items())

    def result(self, bound: Bound) -> Result:
        """The answer; raises ServerApiError where that is an error."""
        if self.kind == "error":
            error = self.value
            raise ServerApiError(error["errorcode"], error["text"], cserrorcode=error["cserrorcode"])
        if self.kind == "bare":
            return Fields(self.value)
        ((name, value),) = self.value.items()
        if self.kind == "object":
            return Item(value, name)
        return Listing(in_window(value, bound.paging), len(value), name)


class _Loader(yaml.SafeLoader):
    """YAML in which times stay the texts that they are."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def load_stubs(folder: Path, declarations: Mapping[str, Declaration]) -> dict[str, list[Stub]]:
    """The stubs of all `*.yaml` files of `folder` by command, in the order of file names and entries.

    `declarations` are the server's own. Raises StubError.
    """
    if not folder.is_dir():
        raise StubError(folder, "", "no such folder")
    stubs: dict[str, list[Stub]] = {}
    for file in sorted(folder.glob("*.yaml")):
        for number, entry in enumerate(_entries(file)):
            path = f"stubs[{number}]"
            stub = _stub(entry)
            earlier = stubs.setdefault(stub.command, [])
            for place, reason in _faults(stub, declarations, earlier):
                raise StubError(file, f"{path}.{place}", reason)
            earlier.append(stub)
    return stubs


def with_stubs(declarations: Mapping[str, Declaration], stubs: Mapping[str, Sequence[Stub]]) -> dict[str, Declaration]:
    """`declarations` and those of the stubbed commands, which take the place of empty lists."""
    return {**declarations, **{name: _declaration(name, each, declarations) for name, each in stubs.items()}}


def _entries(file: Path) -> list[dict[str, Any]]:
    try:
        document = yaml.load(file.read_text(encoding="utf-8"), Loader=_Loader)
    except OSError as error:
        raise StubError(file, "", f"cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError as error:
        raise StubError(file, "", f"cannot be read: {error}") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f"line {mark.line + 1}: " if mark is not None else ""
        raise StubError(file, "", f"no YAML: {line}{getattr(error, 'problem', error)}") from None
    if not isinstance(document, dict):
        raise StubError(file, "", "the document must be a map with the key stubs")
    try:
        entries: list[dict[str, Any]] = StubsSchema().load(document)["stubs"]
    except ValidationError as error:
        path, reason = next(_flattened(error.messages))
        raise StubError(file, path, reason) from None
    return entries


def _flattened(messages: Any, path: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(messages, Mapping):
        for key, value in messages.items():
            inner = f"{path}[{key}]" if isinstance(key, int) else f"{path}.{key}".lstrip(".")
            yield from _flattened(value, inner)
    else:
        yield path, str(messages[0] if isinstance(messages, list) else messages)


def _stub(entry: Mapping[str, Any]) -> Stub:
    (kind,) = (name for name in ANSWERS if name in entry)
    match = {name.lower(): _text(value) for name, value in entry["match"].items()}
    return Stub(entry["command"], match, entry["is_async"], kind, entry[kind])


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _faults(stub: Stub, declarations: Mapping[str, Declaration], earlier: list[Stub]) -> Iterator[tuple[str, str]]:
    """Where and why a well-formed stub cannot be used."""
    known = catalogue().commands.get(stub.command)
    declared = declarations.get(stub.command)
    if known is None:
        yield "command", f"CloudStack has no API command {stub.command}"
        return
    if declared is not None and not is_empty_by_truth(declared):
        yield "command", f"{stub.command} is simulated and cannot be a stub"
    parameters = {each["name"]: each["type"] for each in known["params"]}
    for name in stub.match:
        if name not in parameters:
            yield f"match.{name}", f"{stub.command} has no parameter {name}"
        elif parameters[name] == "map":
            yield f"match.{name}", "a map parameter cannot be matched"
    if earlier and _runs_async(earlier[0]) != _runs_async(stub):
        yield "async", f"the stubs of {stub.command} must all run in a job, or none"
    yield from _unknown_fields(stub, known["response"])


def _unknown_fields(stub: Stub, response: str) -> Iterator[tuple[str, str]]:
    schema = catalogue().response(stub.command)
    known = _COMMON_FIELDS | (set() if schema is None else set(schema._declared_fields))
    objects: list[tuple[str, Mapping[str, Any]]] = []
    if stub.kind == "bare":
        objects = [("fields", stub.value)]
    elif stub.kind in _NAMED_ANSWERS:
        ((name, value),) = stub.value.items()
        place = f"{stub.kind}.{name}"
        objects = (
            [(place, value)] if stub.kind == "object" else [(f"{place}[{n}]", each) for n, each in enumerate(value)]
        )
    for place, shown in objects:
        for name in shown:
            if name not in known:
                yield f"{place}.{name}", f"{response} has no field {name}"


def _runs_async(stub: Stub) -> bool:
    return bool(catalogue().commands[stub.command].get("async")) if stub.is_async is None else stub.is_async


def _declaration(name: str, stubs: Sequence[Stub], declarations: Mapping[str, Declaration]) -> Declaration:
    known = catalogue().commands[name]
    names = [next(iter(stub.value)) for stub in stubs if stub.kind in _NAMED_ANSWERS]
    is_async = _runs_async(stubs[0])
    own = declarations.get(name)
    return CatalogueDeclaration(
        name,
        _handler(name, stubs, own),
        object_name=names[0] if names else None,
        is_list=known.get("list", False),
        is_async=is_async,
        since=known.get("since"),
        precheck=_precheck(name, stubs) if is_async else None,
    )


def _first(name: str, stubs: Sequence[Stub], bound: Bound) -> Stub | None:
    found = next((stub for stub in stubs if stub.fits(bound)), None)
    if found is None and not name.startswith("list"):
        raise ServerApiError(UNSUPPORTED_ACTION_ERROR, f"None of the stubs of {name} fits the parameters of this call")
    return found


def _precheck(name: str, stubs: Sequence[Stub]) -> Precheck:
    def check(call: Call, bound: Bound) -> None:
        _first(name, stubs, bound)

    return check


def _handler(name: str, stubs: Sequence[Stub], own: Declaration | None) -> Handler:
    def handle(call: Call, bound: Bound) -> Result:
        stub = _first(name, stubs, bound)
        if stub is not None:
            return stub.result(bound)
        return Listing([], 0) if own is None else at_once(own.handler(call, bound))

    return handle
