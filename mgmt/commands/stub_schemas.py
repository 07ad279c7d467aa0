"""The form of a file of stubs: unknown keys are refused."""

from __future__ import annotations

from typing import Any

from marshmallow import Schema, ValidationError, fields, validate, validates_schema

# The kinds of answer: their names in stubs, and in the file
ANSWERS = {"list": "list", "object": "object", "bare": "fields", "error": "error"}


class _Named(fields.Dict):
    """A map with one key, the name that stands in the answer."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> dict[str, Any]:
        named: dict[str, Any] = super()._deserialize(value, attr, data, **kwargs)  # type: ignore[no-untyped-call]
        if len(named) != 1:
            raise ValidationError("expected one key, the name of the object in the answer")
        return named


class ErrorSchema(Schema):
    """The error that a stub answers."""

    errorcode = fields.Integer(required=True, strict=True, validate=validate.Range(400, 599))
    cserrorcode = fields.Integer(load_default=9999, strict=True)
    text = fields.String(required=True)


class StubSchema(Schema):
    """One stub."""

    command = fields.String(required=True)
    match = fields.Dict(
        keys=fields.String(),
        values=fields.Raw(validate=lambda value: isinstance(value, str | int | float | bool)),
        load_default=dict,
    )
    is_async = fields.Boolean(data_key="async", truthy={True}, falsy={False}, load_default=None)
    list = _Named(keys=fields.String(), values=fields.List(fields.Dict(keys=fields.String())))
    object = _Named(keys=fields.String(), values=fields.Dict(keys=fields.String()))
    bare = fields.Dict(keys=fields.String(), data_key="fields")
    error = fields.Nested(ErrorSchema)

    @validates_schema
    def _one_answer(self, data: dict[str, Any], **kwargs: Any) -> None:
        if sum(name in data for name in ANSWERS) != 1:
            raise ValidationError(f"expected one of {', '.join(ANSWERS.values())}", "answer")


class StubsSchema(Schema):
    """A file of stubs."""

    stubs = fields.List(fields.Nested(StubSchema), required=True)
