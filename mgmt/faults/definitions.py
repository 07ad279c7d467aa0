"""Faults as data: read from YAML, checked with file, path in the document and reason."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from marshmallow import Schema, ValidationError, fields, post_load, validate, validates_schema

from mgmt.faults.points import POINTS, effect_schema
from mgmt.fixtures import fixtures_dir

STAGES = (
    "before",
    "validate",
    "select",
    "source",
    "recheck",
    "export",
    "convert",
    "copy",
    "register",
    "boot",
    "warm",
    "any",
)
STEPS = ("CloningInstance", "ConvertingInstance", "Importing", "Completed")
TIMES_ALWAYS = "always"


class FaultFileError(ValueError):
    """A file of faults that cannot be used: names the file, the path inside the document and the reason."""


@dataclass(frozen=True)
class Effect:
    """Something to do at a point."""

    kind: str
    args: Mapping[str, Any]


@dataclass(frozen=True)
class Argument:
    """What a user of a fault may choose; `choices` empty: any value of the default's type."""

    default: Any
    choices: tuple[Any, ...] = ()


@dataclass(frozen=True)
class Rule:
    """Where (`at`), for what (`where`), for which choices (`given`) and at which position effects are to be done."""

    at: str
    effects: tuple[Effect, ...]
    where: Mapping[str, str] = field(default_factory=dict)
    given: Mapping[str, Any] = field(default_factory=dict)
    at_percent: str | None = None
    after_bytes: str | None = None
    times: int | str = 1


@dataclass(frozen=True)
class Seen:
    """What is seen of a fault: the task's step (None: no task is listed), the answer, log lines.

    `code` is None where the import succeeds. `text` is the whole answer, `log` holds parts of lines of hosts or server.
    """

    step: str | None = None
    code: int | None = None
    text: str | None = None
    log: tuple[str, ...] = ()
    vm: Mapping[str, Any] = field(default_factory=dict)
    """Fields of the imported VM, and `root_gib`, the size of its root disk."""
    takes_s: float = 0.0
    """How long it takes at least, on the world's clock."""


@dataclass(frozen=True)
class Proof:
    """How a fault is provoked and shown: the choices made, the import that meets it."""

    vm: str = "web01"
    choices: Mapping[str, Any] = field(default_factory=dict)
    request: Mapping[str, Any] = field(default_factory=dict)
    twice: bool = False
    """Whether the VM has been imported before."""
    boots: bool = False
    """Whether the imported VM is started, and looked at two minutes later."""
    call: Mapping[str, Any] = field(default_factory=dict)
    """An API call instead of an import: `command` and its parameters."""
    test: str | None = None
    """A test that shows it in a world of its own, as `file::function`; nothing else is then said."""
    seen: Seen | None = None
    left: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Fault:
    """One row of the catalogue."""

    id: str
    name: str
    text: str
    stage: str
    upstream: str
    rules: tuple[Rule, ...]
    seen: Seen
    left: tuple[str, ...] = ()
    args: Mapping[str, Argument] = field(default_factory=dict)
    proofs: tuple[Proof, ...] = ()


class _Record(Schema):
    record_class: type[Any]

    @post_load
    def _make(self, data: dict[str, Any], **_: object) -> object:
        values = {key: tuple(value) if isinstance(value, list) else value for key, value in data.items()}
        return self.record_class(**values)


class _ArgumentSchema(_Record):
    record_class = Argument
    default = fields.Raw(required=True, allow_none=True)
    choices = fields.List(fields.Raw(), load_default=list)


class _SeenSchema(_Record):
    record_class = Seen
    step = fields.String(allow_none=True, validate=validate.OneOf(STEPS))
    code = fields.Integer(allow_none=True)
    text = fields.String(allow_none=True)
    log = fields.List(fields.String(), load_default=list)
    vm = fields.Dict(keys=fields.String(), values=fields.Raw(allow_none=True), load_default=dict)
    takes_s = fields.Float(load_default=0.0)


class _RuleSchema(_Record):
    record_class = Rule
    at = fields.String(required=True, validate=validate.OneOf(list(POINTS)))
    where = fields.Dict(keys=fields.String(), values=fields.Raw(), load_default=dict)
    given = fields.Dict(keys=fields.String(), values=fields.Raw(), load_default=dict)
    at_percent = fields.Raw()
    after_bytes = fields.Raw()
    times = fields.Raw(load_default=1)
    effects = fields.List(
        fields.Dict(keys=fields.String(), values=fields.Raw()),
        required=True,
        data_key="do",
        validate=validate.Length(min=1),
    )

    @validates_schema
    def _fits_its_point(self, data: dict[str, Any], **_: object) -> None:
        point = POINTS[data["at"]]
        unknown = sorted(data["where"].keys() - point.facts)
        if unknown:
            known = ", ".join(sorted(point.facts)) or "nothing"
            raise ValidationError(f"{unknown[0]!r} is not known at {data['at']}: {known}", "where")
        if not point.positions and (data.get("at_percent") is not None or data.get("after_bytes") is not None):
            raise ValidationError(f"nothing is counted at {data['at']}", "at_percent")
        if data["times"] != TIMES_ALWAYS and not (isinstance(data["times"], int) and data["times"] > 0):
            raise ValidationError("expected a number above 0 or 'always'", "times")

    @post_load
    def _make(self, data: dict[str, Any], **_: object) -> object:
        effects = []
        for index, entry in enumerate(data["effects"]):
            if len(entry) != 1:
                raise ValidationError({"do": {index: ["expected one effect with its arguments"]}})
            ((kind, given),) = entry.items()
            schema = effect_schema(data["at"], kind)
            if schema is None:
                raise ValidationError({"do": {index: [f"{kind!r} cannot be done at {data['at']}"]}})
            try:
                effects.append(Effect(kind, schema.load(_without_templates(given or {}, schema))))
            except ValidationError as error:
                raise ValidationError({"do": {index: {kind: error.messages}}}) from None
            effects[-1] = Effect(kind, {**effects[-1].args, **(given or {})})
        data["where"] = {key: str(value) for key, value in data["where"].items()}
        for key in ("at_percent", "after_bytes"):
            if data.get(key) is not None:
                data[key] = str(data[key])
        return Rule(**(data | {"effects": tuple(effects)}))


def _without_templates(given: Mapping[str, Any], schema: Schema) -> dict[str, Any]:
    """`given` with a number where one is chosen by the user of the fault (`{after_s}`)."""
    numbers = (fields.Integer, fields.Float)
    return {
        key: 1 if isinstance(value, str) and "{" in value and isinstance(schema.fields.get(key), numbers) else value
        for key, value in given.items()
    }


class _ProofSchema(_Record):
    record_class = Proof
    vm = fields.String(load_default="web01")
    choices = fields.Dict(load_default=dict)
    request = fields.Dict(load_default=dict)
    twice = fields.Boolean(load_default=False)
    boots = fields.Boolean(load_default=False)
    call = fields.Dict(keys=fields.String(), values=fields.Raw(), load_default=dict)
    test = fields.String()
    seen = fields.Nested(_SeenSchema)
    left = fields.List(fields.String())


class _FaultSchema(_Record):
    record_class = Fault
    id = fields.String(required=True, validate=validate.Regexp(r"^F-\d{2,3}[a-z]?$"))
    name = fields.String(required=True, validate=validate.Regexp(r"^[a-z0-9_]+\.[a-z0-9_]+$"))
    text = fields.String(required=True)
    stage = fields.String(required=True, validate=validate.OneOf(STAGES))
    upstream = fields.String(required=True)
    args = fields.Dict(keys=fields.String(), values=fields.Nested(_ArgumentSchema), load_default=dict)
    rules = fields.List(fields.Nested(_RuleSchema), load_default=list)
    seen = fields.Nested(_SeenSchema, required=True)
    left = fields.List(fields.String(), load_default=list)
    proofs = fields.List(fields.Nested(_ProofSchema), required=True, validate=validate.Length(min=1))


class _DocumentSchema(Schema):
    faults = fields.List(fields.Nested(_FaultSchema), required=True)


def load_faults(path: Path) -> list[Fault]:
    """The faults of one YAML file; raises FaultFileError with file, path in the document and reason."""
    try:
        document = yaml.load(path.read_text(encoding="utf-8"), Loader=_loader())
    except OSError as error:
        raise FaultFileError(f"{path}: cannot be read: {error.strerror or error}") from None
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise FaultFileError(f"{path}: cannot be read: {error}") from None
    if isinstance(document, dict):  # keys that begin with `x-` hold YAML anchors
        document = {key: value for key, value in document.items() if not str(key).startswith("x-")}
    try:
        found: list[Fault] = _DocumentSchema().load(document)["faults"]
    except ValidationError as error:
        raise FaultFileError(f"{path}: " + "; ".join(_flatten(error.messages))) from None
    return found


def _loader() -> Any:
    return getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def _flatten(messages: Any, where: str = "") -> list[str]:
    if isinstance(messages, dict):
        found: list[str] = []
        for key, value in messages.items():
            deeper = where if key == "_schema" else f"{where}.{key}" if where else str(key)
            found.extend(_flatten(value, deeper))
        return found
    return [f"{where or 'document'}: {' '.join(map(str, messages))}"]


@cache
def shipped_faults() -> Mapping[str, Fault]:
    """All faults of `fixtures/faults`, by name, in the order of their numbers."""
    faults: dict[str, Fault] = {}
    for path in sorted((fixtures_dir() / "faults").glob("*.yaml")):
        for fault in load_faults(path):
            if fault.name in faults:
                raise FaultFileError(f"{path}: {fault.name} is there twice")
            faults[fault.name] = fault
    return dict(sorted(faults.items(), key=lambda item: (int(item[1].id[2:].rstrip("ab")), item[1].id)))
