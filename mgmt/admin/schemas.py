"""What the admin endpoints take and give, as marshmallow schemas; the OpenAPI document is made of them."""

from __future__ import annotations

from typing import Any

from marshmallow import Schema, fields, validate

from mgmt.config import WORLD_NAME
from mgmt.observe.journal import KINDS


def _text(description: str, **options: Any) -> fields.String:
    return fields.String(metadata={"description": description}, **options)


def _number(description: str, **options: Any) -> fields.Float:
    return fields.Float(metadata={"description": description}, **options)


def _whole(description: str, **options: Any) -> fields.Integer:
    return fields.Integer(metadata={"description": description}, **options)


class Error(Schema):
    """Why a request was refused."""

    status = _whole("the HTTP status", required=True)
    text = _text("what stood in the way, and what there is instead", required=True)


class World(Schema):
    """A world of this server."""

    name = _text("its name, empty for the first one, which is the server's own", required=True)
    seed = _text("the seed that it began with", required=True)
    api = _text("the address of its API", required=True)
    admin = _text("the address of its admin endpoints", required=True)
    clock = _text("real, scaled, manual or automatic", required=True)
    profile = _text("the CloudStack release that it behaves as", required=True)


class Worlds(Schema):
    """The worlds of this server."""

    worlds = fields.List(fields.Nested(World), required=True)


class WorldWanted(Schema):
    """Another world behind the port of this server."""

    name = _text("letters, digits, '_' and '-'", required=True, validate=validate.Regexp(rf"{WORLD_NAME}\Z"))
    seed = _text("a shipped seed by name, or the path of a YAML file on the server's machine")
    document = _text("the YAML text of a seed in its place, such as POST /mock/save gives")
    settings = fields.Dict(
        keys=fields.String(),
        load_default=dict,
        metadata={"description": "other settings by their names: clock, profile, time_scale, extensions, fault, ..."},
    )


class SavedWorld(Schema):
    """A world as the text of a seed."""

    document = _text("YAML, for POST /mock/worlds or serve --seed; it holds keys", required=True)
    masked = fields.List(
        fields.String(), required=True, metadata={"description": "VMware datacenters whose passwords are not in it"}
    )


class Seed(Schema):
    """What the world began with, and what a caller needs to use it. Holds secrets."""

    seed = _text("the seed that it began with", required=True)
    ready = fields.Dict(
        keys=fields.String(), required=True, metadata={"description": "addresses and keys, as in the ready file"}
    )


class Done(Schema):
    """It was done."""

    done = fields.Boolean(required=True)


class Name(Schema):
    """Which snapshot is meant."""

    name = _text("the snapshot's name", load_default="default", validate=validate.Length(min=1, max=100))


class Snapshots(Schema):
    """The snapshots that are kept."""

    snapshots = fields.List(fields.String(), required=True)


class Clock(Schema):
    """What the time is in the world."""

    mode = _text("real, scaled, manual or automatic", required=True)
    now = _number("seconds since the epoch", required=True)
    monotonic = _number("seconds from an arbitrary start that never go back", required=True)


class ClockMove(Schema):
    """How the clock is to be moved: by a time, or until a job has ended."""

    advance_s = _number("seconds to move on by", validate=validate.Range(min=0))
    run_until_job = _text("a job's UUID: until it has ended")


class FaultWanted(Schema):
    """A failure to arm."""

    name = _text("the fault's dotted name, see docs/faults.md", required=True)
    times = fields.Raw(metadata={"description": "how often: a number, or 'always'"})
    probability = _number("how probable it is each time, above 0 and up to 1")
    delay_s = _number("from when on, in seconds of the world's clock")
    after = _whole("the id of an armed fault that has to happen before")
    choices = fields.Dict(
        keys=fields.String(),
        load_default=dict,
        metadata={"description": "the fault's arguments, and what it is narrowed to: vm, host, ..."},
    )


class ArmedFault(Schema):
    """A failure that waits for its moment, or has had it."""

    id = _whole("its number", required=True)
    name = _text("the fault's dotted name", required=True)
    fired = _whole("how often it happened", required=True)
    choices = fields.Dict(keys=fields.String(), required=True)
    warnings = fields.List(fields.String(), required=True, metadata={"description": "what may keep it from happening"})


class ArmedFaults(Schema):
    """The armed failures, in the order in which they were armed."""

    faults = fields.List(fields.Nested(ArmedFault), required=True)


class KnownFault(Schema):
    """A failure that can be had by name."""

    id = _text("its number in the catalogue", required=True)
    name = _text("its dotted name", required=True)
    text = _text("what happens", required=True)
    stage = _text("where an import fails", required=True)
    arguments = fields.Dict(keys=fields.String(), required=True, metadata={"description": "arguments and defaults"})
    armable = fields.Boolean(required=True, metadata={"description": "false: the request alone brings it about"})


class KnownFaults(Schema):
    """The failures that can be had by name."""

    faults = fields.List(fields.Nested(KnownFault), required=True)


class JournalQuery(Schema):
    """Which entries are wanted."""

    kind = _text("of which kind", validate=validate.OneOf(KINDS))
    name = _text("the entries' name: a command's, a step's, a fault's")
    correlationid = _text("those of one call or job")
    after = _whole("those with greater numbers only", load_default=0)
    limit = _whole("the latest so many only", load_default=1000, validate=validate.Range(min=1, max=10_000))


class Entry(Schema):
    """One thing that crossed an edge of the server."""

    number = _whole("counts up", required=True)
    at = _number("seconds since the epoch, on the world's clock", required=True)
    kind = _text("the edge", required=True)
    name = _text("a command's, a step's, a fault's name", required=True)
    correlationid = _text("the call or job that it belongs to", required=True, allow_none=True)
    fields_ = fields.Dict(keys=fields.String(), required=True, data_key="fields")


class Journal(Schema):
    """Entries, oldest first."""

    entries = fields.List(fields.Nested(Entry), required=True)


class LeaksQuery(Schema):
    """Which leaks are wanted."""

    job = _text("the UUID of an import's job: what that one left")


class Leaks(Schema):
    """What imports left behind."""

    leaks = fields.List(fields.Dict(keys=fields.String()), required=True)
    compared = _whole("imports that were compared", required=True)
    running = _whole("imports under way, which are compared later", required=True)
    unseen = fields.List(fields.String(), required=True, metadata={"description": "what cannot be looked at"})
