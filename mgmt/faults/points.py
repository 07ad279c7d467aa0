"""The points at which edges ask, what is known at each, and what each can do.

A rule may compare only what is known at its point, and ask only for what can be done there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from marshmallow import Schema, fields, validate

Fields: TypeAlias = Mapping[str, fields.Field[Any]]

_LINES = {"lines": fields.List(fields.String(), load_default=list)}
_FOR = {"for_s": fields.Float(required=True, validate=validate.Range(min=0))}
_CHANGES = fields.Dict(keys=fields.String(), values=fields.Raw(allow_none=True), required=True)


def _text(**options: object) -> fields.String:
    return fields.String(required=True, **options)  # type: ignore[arg-type]


# What changes the world around the edge, at whatever point: the engine has it done by whom the world named for it.
WORLD_EFFECTS: Mapping[str, Fields] = {
    "defect": {"name": _text(), "there": fields.Boolean(load_default=True)},
    "setting": {"name": _text(), "value": _text()},
    "rows": {"table": _text(), "where": fields.Dict(load_default=dict), "set": _CHANGES},
    "host": {"name": _text(), "set": _CHANGES},
    "machine": {
        "vm": _text(),
        "power": fields.String(validate=validate.OneOf(["poweredOn", "poweredOff", "suspended"])),
        "rename": fields.String(),
        "untracked_disk": fields.Integer(),
        "changes_per_s": fields.Float(),
        "snapshot": fields.String(),
        "without_nics": fields.Boolean(load_default=False),
        "iso": fields.String(),
        "lost_iso": fields.String(),
        "host": fields.String(),
    },
    "agent": {
        "does": _text(validate=validate.OneOf(["loses its link", "dies", "freezes"])),
        "for_s": fields.Float(load_default=0.0),
    },
    "vcenter_password": {"value": _text()},
}

_TOOL_EFFECTS: Mapping[str, Fields] = {
    "exit": {**_LINES, "status": fields.Integer(load_default=1)},
    "die": {**_LINES, "signal": fields.Integer(load_default=9)},
    "print": {"lines": fields.List(fields.String(), required=True)},
    "hang": {},
    "delay": dict(_FOR),
    "slow_down": {"factor": fields.Float(required=True, validate=validate.Range(min=0, min_inclusive=False))},
    "not_found": {},
    "remove": {"files": _text()},
    "overwrite": {"files": _text(), "text": _text()},
}
_AGENT_EFFECTS: Mapping[str, Fields] = {
    "answer": {"details": _text()},
    "amend": {"set": _CHANGES},
    "hang": {},
    "delay": dict(_FOR),
    "host_as": {"set": _CHANGES},
    "cut_answer": {"at_byte": fields.Integer(required=True, validate=validate.Range(min=0))},
    "console": {"lines": fields.List(fields.String(), required=True)},
    "guest_off": dict(_FOR),
    "corrupt_answer": {"at_byte": fields.Integer(required=True, validate=validate.Range(min=0))},
}
_VCENTER_EFFECTS: Mapping[str, Fields] = {
    "fault": {"type": _text(), "text": _text()},
    "delay": dict(_FOR),
    "delay_per_vm": dict(_FOR),
    "end_session": {},
    "drop": {},
}
_LEASE_EFFECTS: Mapping[str, Fields] = {
    "fault": {"type": _text(), "text": _text()},
    "task_fault": {"type": _text(), "text": _text()},
}
_TASK_EFFECTS: Mapping[str, Fields] = {
    "fault": {"type": _text(), "text": _text(), "leave": fields.Boolean(load_default=False)},
}
_ERROR: Fields = {
    "code": fields.Integer(load_default=530, validate=validate.Range(min=400, max=599)),
    "text": _text(),
}


_SERVER_EFFECTS: Mapping[str, Fields] = {
    "error": {"text": _text()},
    "java_error": {"text": _text()},
    "delay": dict(_FOR),
}


@dataclass(frozen=True)
class Point:
    """One place where an edge asks. `facts` is what it tells; `positions` says whether it counts bytes and percent."""

    text: str
    facts: frozenset[str]
    effects: Mapping[str, Fields]
    positions: bool = False


POINTS: Mapping[str, Point] = {
    "arming": Point("at once, when the fault is armed", frozenset(), {}),
    "api": Point(
        "an API call, once its caller is known",
        frozenset({"command", "account", "vm", "attempt"}),
        {"error": _ERROR, "delay": dict(_FOR)},
    ),
    "job": Point(
        "an async job begins", frozenset({"command", "vm", "attempt"}), {"error": _ERROR, "delay": dict(_FOR)}
    ),
    "job.step": Point(
        "an import begins or ends a step", frozenset({"step", "state", "vm", "attempt"}), _SERVER_EFFECTS
    ),
    "job.undo": Point(
        "an import unmakes what it made", frozenset({"what", "number", "vm", "attempt"}), {"error": {"text": _text()}}
    ),
    "server.mount": Point(
        "the server reaches for NFS storage", frozenset({"server", "path"}), {"error": {"text": _text()}}
    ),
    "store": Point(
        "a statement goes to the database",
        frozenset({"statement", "table"}),
        {"error": {"text": _text()}, "delay": dict(_FOR)},
    ),
    "agent.pool": Point("a host looks for a pool", frozenset({"host", "pool"}), {"not_found": {}}),
    "agent.command": Point(
        "an agent gets a command", frozenset({"command", "host", "vm", "pool", "attempt"}), _AGENT_EFFECTS
    ),
    "tool": Point(
        "a program begins, prints a line or has copied a part",
        frozenset({"tool", "host", "vm", "line", "source", "disk", "esxi", "guest", "disk_gib", "attempt"}),
        _TOOL_EFFECTS,
        positions=True,
    ),
    "vcenter.call": Point(
        "vCenter gets a call", frozenset({"method", "vm", "user", "vcenter", "attempt"}), _VCENTER_EFFECTS
    ),
    "vcenter.lease": Point(
        "vCenter opens or completes the lease of an export", frozenset({"action", "vm", "attempt"}), _LEASE_EFFECTS
    ),
    "vcenter.task": Point(
        "vCenter begins a task", frozenset({"method", "vm", "vcenter", "attempt"}), _TASK_EFFECTS, positions=True
    ),
}


def effect_schema(point: str, kind: str) -> Schema | None:
    """How the arguments of an effect at a point are read; None for one that cannot be done there."""
    found = POINTS[point].effects.get(kind, WORLD_EFFECTS.get(kind))
    return Schema.from_dict(dict(found))() if found is not None else None
