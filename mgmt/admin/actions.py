"""What the admin endpoints do to a world."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from mgmt.clock import ClockError
from mgmt.commands.stubs import StubError
from mgmt.config import ConfigError
from mgmt.faults import ArmedFault, FaultRefusedError
from mgmt.faults.choices import OPTIONS
from mgmt.imports.leaks import leak_view
from mgmt.snapshots import Snapshot, SnapshotError
from mgmt.starting import StartError
from mgmt.store.database import StoreError
from mgmt.store.models import AsyncJob, VmwareDatacenter
from mgmt.store.seeding import SeedError
from mgmt.worlds import WorldsError

if TYPE_CHECKING:
    from mgmt.embedded import World

DONE: Mapping[str, Any] = {"done": True}
KEPT_SNAPSHOTS = 100


class RefusedError(Exception):
    """A request that cannot be done; `status` is the HTTP status to answer with."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text


class Actions:
    """The endpoints of one world; each method gets the path's variables and the checked body or query."""

    def __init__(self, world: World, prefix: str) -> None:
        self._world = world
        self._prefix = prefix
        self._snapshots: dict[str, Snapshot] = {}

    # The world --------------------------------------------------------------------------------------------------------

    def worlds(self, place: Mapping[str, str], given: Mapping[str, Any]) -> Mapping[str, Any]:
        worlds = self._world.worlds
        return {"worlds": [self._view("", worlds.first), *(self._view(name, worlds[name]) for name in worlds)]}

    def _view(self, name: str, world: World) -> Mapping[str, Any]:
        return {
            "name": name,
            "seed": str(world.settings.seed),
            "api": world.server.api_url,
            "admin": world.server.root_url + self._prefix,
            "clock": world.clock.mode,
            "profile": world.settings.profile,
        }

    def create_world(self, place: Mapping[str, str], given: Mapping[str, Any]) -> Mapping[str, Any]:
        settings = dict(given["settings"])
        if "seed" in settings or {"seed", "document"} <= given.keys():
            raise RefusedError(400, "expected one of seed and document, beside settings")
        if "seed" in given:
            settings["seed"] = given["seed"]
        try:
            with _as_file(given.get("document")) as file:
                made = self._world.worlds.create(given["name"], **settings | ({} if file is None else {"seed": file}))
        except (WorldsError, ConfigError) as error:
            raise RefusedError(400, str(error)) from error
        except (SeedError, StartError, StoreError, StubError, SnapshotError, OSError) as error:
            raise RefusedError(409, str(error)) from error
        return {"seed": str(made.settings.seed), "ready": made.ready()}

    def world(self, place: Mapping[str, str], given: Mapping[str, Any]) -> Mapping[str, Any]:
        world = self._beside(place["name"])
        return {"seed": str(world.settings.seed), "ready": world.ready()}

    def delete_world(self, place: Mapping[str, str], given: Mapping[str, Any]) -> Mapping[str, Any]:
        self._beside(place["name"])
        self._world.worlds.delete(place["name"])
        return DONE

    def _beside(self, name: str) -> World:
        try:
            return self._world.worlds[name]
        except WorldsError as error:
            raise RefusedError(404, str(error)) from error

    def save(self, place: Mapping[str, str], given: Mapping[str, Any]) -> Mapping[str, Any]:
        try:
            document = self._world.saved_as_seed()
        except SnapshotError as error:
            raise RefusedError(409, str(error)) from error
        with self._world.server.services.store.session() as session:
            return {"document": document, "masked": list(session.scalars(select(VmwareDatacenter.name)))}

    def seed(self, place: Mapping[str, str], given: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"seed": str(self._world.settings.seed), "ready": self._world.ready()}

    def reset(self, place: Mapping[str, str], given: Mapping[str, Any]) -> Mapping[str, Any]:
        try:
            self._world.reset()
        except SnapshotError as error:
            raise RefusedError(409, str(error)) from error
        return DONE

    def snapshots(self, place: Mapping[str, str], given: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"snapshots": list(self._snapshots)}

    def snapshot(self, place: Mapping[str, str], given: Mapping[str, Any]) -> Mapping[str, Any]:
        name = given["name"]
        if name not in self._snapshots and len(self._snapshots) >= KEPT_SNAPSHOTS:
            raise RefusedError(409, f"{KEPT_SNAPSHOTS} snapshots are kept: take one of their names")
        try:
            self._snapshots[name] = self._world.snapshot()
        except (SnapshotError, StoreError) as error:
            raise RefusedError(409, str(error)) from error
        return DONE

    def restore(self, place: Mapping[str, str], given: Mapping[str, Any]) -> Mapping[str, Any]:
        kept = self._snapshots.get(given["name"])
        if kept is None:
            there = ", ".join(self._snapshots) or "none"
            raise RefusedError(404, f"there is no snapshot {given['name']!r}: there are {there}")
        try:
            self._world.restore(kept)
        except (SnapshotError, StoreError) as error:
            raise RefusedError(409, str(error)) from error
        return DONE

    # Its clock --------------------------------------------------------------------------------------------------------

    def clock(self, place: Mapping[str, str], given: Mapping[str, Any]) -> Mapping[str, Any]:
        clock = self._world.clock
        return {"mode": clock.mode, "now": clock.now(), "monotonic": clock.monotonic()}

    def move_clock(self, place: Mapping[str, str], given: Mapping[str, Any]) -> Mapping[str, Any]:
        if len(given) != 1:
            raise RefusedError(400, "expected advance_s or run_until_job")
        try:
            if "advance_s" in given:
                self._world.clock.advance(seconds=given["advance_s"])
            else:
                self._require_job(given["run_until_job"])
                self._world.clock.run_until(given["run_until_job"])
        except ClockError as error:
            raise RefusedError(409, str(error)) from error
        return self.clock(place, given)

    def _require_job(self, job_uuid: str) -> None:
        with self._world.server.services.store.session() as session:
            if session.scalar(select(AsyncJob.id).where(AsyncJob.uuid == job_uuid)) is None:
                raise RefusedError(404, f"there is no job {job_uuid!r}")

    # Its failures -----------------------------------------------------------------------------------------------------

    def faults(self, place: Mapping[str, str], given: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"faults": [_armed_view(armed) for armed in self._world.faults.armed]}

    def known_faults(self, place: Mapping[str, str], given: Mapping[str, Any]) -> Mapping[str, Any]:
        return {
            "faults": [
                {
                    "id": fault.id,
                    "name": fault.name,
                    "text": fault.text,
                    "stage": fault.stage,
                    "arguments": {name: argument.default for name, argument in fault.args.items()},
                    "armable": bool(fault.rules),
                }
                for fault in self._world.faults.known.values()
            ]
        }

    def arm(self, place: Mapping[str, str], given: Mapping[str, Any]) -> Mapping[str, Any]:
        choices = dict(given["choices"])
        options = {key: given[key] for key in OPTIONS if key in given}
        for key in choices:
            if key in (*OPTIONS, "after"):
                raise RefusedError(400, f"{key!r} stands beside choices, not in them")
        if "after" in given:
            options["after"] = self._armed(str(given["after"]))
        try:
            return _armed_view(self._world.fault(given["name"], **options, **choices))
        except FaultRefusedError as error:
            raise RefusedError(400, str(error)) from error

    def clear(self, place: Mapping[str, str], given: Mapping[str, Any]) -> Mapping[str, Any]:
        self._world.faults.clear()
        return DONE

    def disarm(self, place: Mapping[str, str], given: Mapping[str, Any]) -> Mapping[str, Any]:
        self._world.faults.disarm(self._armed(place["id"]))
        return DONE

    def _armed(self, number: str) -> ArmedFault:
        armed = self._world.faults.armed
        found = next((each for each in armed if str(each.number) == number), None)
        if found is None:
            there = ", ".join(f"{each.number} ({each.name})" for each in armed) or "none"
            raise RefusedError(404, f"no armed fault has the id {number}: there are {there}")
        return found

    # What happened ----------------------------------------------------------------------------------------------------

    def journal(self, place: Mapping[str, str], given: Mapping[str, Any]) -> Mapping[str, Any]:
        journal = self._world.server.services.journal
        found = journal.entries(
            kind=given.get("kind"),
            correlation_id=given.get("correlationid"),
            name=given.get("name"),
            after=given["after"],
        )
        return {
            "entries": [
                {
                    "number": entry.number,
                    "at": entry.at,
                    "kind": entry.kind,
                    "name": entry.name,
                    "correlationid": entry.correlation_id,
                    "fields": dict(entry.fields),
                }
                for entry in found[-given["limit"] :]
            ]
        }

    def leaks(self, place: Mapping[str, str], given: Mapping[str, Any]) -> Mapping[str, Any]:
        job_uuid = given.get("job")
        if job_uuid is not None:
            self._require_job(job_uuid)
        report = self._world.server.services.leaks.report(job_uuid)
        return {
            "leaks": [leak_view(leak) for leak in report.leaks],
            "compared": report.compared,
            "running": report.running,
            "unseen": list(report.unseen),
        }


@contextmanager
def _as_file(document: str | None) -> Iterator[str | None]:
    """A seed's text as a file during the block."""
    if document is None:
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="cloudstack-mock-seed-") as folder:
        file = Path(folder) / "seed.yaml"
        file.write_text(document, encoding="utf-8")
        yield str(file)


def _armed_view(armed: ArmedFault) -> Mapping[str, Any]:
    return {
        "id": armed.number,
        "name": armed.name,
        "fired": armed.fired,
        "choices": {**armed.values, **armed.matches},
        "warnings": list(armed.warnings),
    }
