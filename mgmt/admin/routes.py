"""The admin endpoints: one row each, with what it takes, what it gives and who does it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from marshmallow import Schema

from mgmt.admin import schemas


class Handler(Protocol):
    """Does what an endpoint is for; `place` holds the variables of the path, `given` what the schema has loaded."""

    def __call__(self, place: Mapping[str, str], given: Mapping[str, Any]) -> Mapping[str, Any]: ...


@dataclass(frozen=True)
class Route:
    """One endpoint. `does` is the name of the method of `Actions` that does it."""

    method: str
    path: str
    does: str
    summary: str
    gives: type[Schema]
    takes: type[Schema] | None = None
    query: type[Schema] | None = None
    status: int = 200
    refuses: tuple[int, ...] = ()
    pattern: re.Pattern[str] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "pattern", re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", self.path)))


ROUTES: tuple[Route, ...] = (
    Route("GET", "/worlds", "worlds", "The worlds of this server", schemas.Worlds),
    Route(
        "POST",
        "/worlds",
        "create_world",
        "Start another world, at /worlds/NAME/",
        schemas.Seed,
        takes=schemas.WorldWanted,
        status=201,
        refuses=(409,),
    ),
    Route("GET", "/worlds/{name}", "world", "The addresses and keys of a world beside", schemas.Seed, refuses=(404,)),
    Route("DELETE", "/worlds/{name}", "delete_world", "End a world beside", schemas.Done, refuses=(404,)),
    Route("POST", "/save", "save", "The world as it is now as a seed", schemas.SavedWorld, refuses=(409,)),
    Route("GET", "/seed", "seed", "What the world began with, and its addresses and keys", schemas.Seed),
    Route("POST", "/reset", "reset", "Take the world back to its start", schemas.Done, refuses=(409,)),
    Route("GET", "/snapshots", "snapshots", "The snapshots that are kept", schemas.Snapshots),
    Route(
        "POST",
        "/snapshot",
        "snapshot",
        "Keep the world as it is, under a name",
        schemas.Done,
        takes=schemas.Name,
        refuses=(409,),
    ),
    Route(
        "POST",
        "/restore",
        "restore",
        "Take the world back to a snapshot",
        schemas.Done,
        takes=schemas.Name,
        refuses=(404, 409),
    ),
    Route("GET", "/clock", "clock", "What the time is", schemas.Clock),
    Route(
        "POST",
        "/clock",
        "move_clock",
        "Move the clock by a time, or until a job has ended",
        schemas.Clock,
        takes=schemas.ClockMove,
        refuses=(404, 409),
    ),
    Route("GET", "/faults", "faults", "The armed failures", schemas.ArmedFaults),
    Route(
        "POST", "/faults", "arm", "Arm a failure by its name", schemas.ArmedFault, takes=schemas.FaultWanted, status=201
    ),
    Route("DELETE", "/faults", "clear", "Take all failures back", schemas.Done),
    Route("DELETE", "/faults/{id}", "disarm", "Take one failure back", schemas.Done, refuses=(404,)),
    Route("GET", "/faults/known", "known_faults", "The failures that can be had by name", schemas.KnownFaults),
    Route("GET", "/journal", "journal", "What has happened", schemas.Journal, query=schemas.JournalQuery),
    Route("GET", "/leaks", "leaks", "What imports left behind", schemas.Leaks, query=schemas.LeaksQuery),
)
