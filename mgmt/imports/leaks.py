"""What imports leave behind: the world before an import compared with the world after it.

Comparisons are made at rest: what is there when the first of some overlapping imports begins, against what is there
when the last of them has ended, so that no import's work under way counts as left. Records are asked by their numbers
(only rows that are new), everything else by its owners (`Surroundings`), so a comparison costs the same in a large
world. A leak is looked at again whenever it is shown: it goes once the thing is gone or belongs to somebody.
"""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple, Protocol

from sqlalchemy import select

from mgmt.imports.leakrecords import RECORDS, records_left
from mgmt.imports.undo import NotUndone
from mgmt.providers import Providers
from mgmt.store.database import Store
from mgmt.store.models import Host, ImportVmTask

logger = logging.getLogger(__name__)

KEPT_IMPORTS = 1000
SERVER = "management server"
EARLIER_IMPORT = "an import of an earlier server"
THREAD = "thread"
UNSEEN_HOSTS = "files, mounts, password files and programs cannot be seen, for its agent is a process of its own"
UNSEEN_VCENTERS = (
    "clones and leases cannot be seen, for nothing there says who made them; of its own clones this server knows those "
    "that it could not destroy"
)
OWN_THREADS = ("vcenter-lease-progress", "vcenter-download")


class Thing(NamedTuple):
    """Something that can be left: its kind (`clone`, `file`, `mount`, `vm`, ...), where it is, and its name there."""

    kind: str
    place: str
    name: str


class Surroundings(Protocol):
    """The vCenter and the hosts as their owners know them."""

    def mark(self) -> object:
        """What is there now, for `since`."""
        ...

    def since(self, mark: object) -> list[Thing]:
        """What is there now and was not at `mark`."""
        ...

    def still_there(self, things: Collection[Thing]) -> set[Thing]:
        """Those of `things` that are there now."""
        ...

    def settle(self, file_names: Collection[str]) -> None:
        """Files with these names belong to volumes."""
        ...

    def sees_host(self, name: str) -> bool:
        """Whether what is on that host is told by `since`."""
        ...

    def sees_vcenter(self, address: str) -> bool:
        """Whether what is in that vCenter is told by `since`."""
        ...


class NoSurroundings:
    """A server whose hosts and vCenters are other processes: it knows what it could not undo itself, no more."""

    def mark(self) -> object:
        return None

    def since(self, mark: object) -> list[Thing]:
        return []

    def still_there(self, things: Collection[Thing]) -> set[Thing]:
        return set()

    def settle(self, file_names: Collection[str]) -> None:
        return None

    def sees_host(self, name: str) -> bool:
        return False

    def sees_vcenter(self, address: str) -> bool:
        return False


@dataclass
class WatchedImport:
    """An import that is watched; the one who runs it says what came of it."""

    job_uuid: str
    vm_name: str
    vm_id: int | None = None
    not_undone: Sequence[NotUndone] = ()


@dataclass(frozen=True)
class Leak:
    """A thing that one of the imports `job_uuids` left; `reason` says why where that is known."""

    thing: Thing
    job_uuids: tuple[str, ...]
    vm_names: tuple[str, ...]
    found: datetime
    reason: str | None = None
    is_told: bool = False  # known by what could not be undone, not by looking


@dataclass(frozen=True)
class Report:
    """The leaks that are there, how many imports were compared, and what nobody could look at."""

    leaks: Sequence[Leak]
    compared: int
    running: int
    unseen: Sequence[str]


@dataclass
class _Window:
    """The time from the first of some overlapping imports to the end of the last."""

    marks: Mapping[str, int]
    surroundings_mark: object
    threads: frozenset[str]
    imports: list[WatchedImport] = field(default_factory=list)


@dataclass(frozen=True)
class SavedLeaks:
    """What a watch knew at some time."""

    compared: int
    leaks: tuple[Leak, ...]


class LeakWatch:
    """The comparisons of one server; safe from many threads. Set `surroundings` where hosts or vCenter are embedded."""

    def __init__(self, store: Store, providers: Providers) -> None:
        self.surroundings: Surroundings = NoSurroundings()
        self._store = store
        self._providers = providers
        self._lock = threading.Lock()
        self._window: _Window | None = None
        self._running = 0
        self._marks: Mapping[str, int] | None = None
        self._compared = 0
        self._leaks: OrderedDict[Thing, Leak] = OrderedDict()

    @contextmanager
    def watching(self, job_uuid: str, vm_name: str) -> Iterator[WatchedImport]:
        """Watch the import that runs in the block, from before its first step to after its clean-up."""
        watched = WatchedImport(job_uuid, vm_name)
        with self._lock:
            if self._window is None:
                self._window = self._open_window()
            self._window.imports.append(watched)
            self._running += 1
        try:
            yield watched
        except GeneratorExit:  # the server has stopped while the import waited for its turn
            raise
        except BaseException:
            self._end()
            raise
        else:
            self._end()

    def take_stock(self, mark: object = None) -> None:
        """At a start: what imports of an earlier server left in the records, and since `mark` around them.

        VMs are not looked at: whether an import that was cut short wanted one cannot be told any more.
        """
        with self._lock:
            with self._store.session() as session:
                found = records_left(session, {})
            self._marks = found.marks
            self.surroundings.settle(found.file_names)
            things = [Thing(row.kind, RECORDS, row.name) for row in found.rows if row.kind != "vm"]
            if mark is not None:
                things += self.surroundings.since(mark)
            for thing in things:
                self._add(thing, [WatchedImport("", EARLIER_IMPORT)])

    def save(self) -> SavedLeaks:
        """What is known now, for `restore`."""
        with self._lock:
            return SavedLeaks(self._compared, tuple(self._leaks.values()))

    def restore(self, saved: SavedLeaks) -> None:
        """Know that again, and nothing of the imports since; for a world at rest."""
        with self._lock:
            self._marks = None
            self._compared = saved.compared
            self._leaks = OrderedDict((leak.thing, leak) for leak in saved.leaks)

    def report(self, job_uuid: str | None = None) -> Report:
        """The leaks that are there now, those of one import with `job_uuid`, the oldest first."""
        with self._lock:
            unseen = self._unseen()
            self._look_again(all_is_seen=not unseen)
            leaks = [leak for leak in self._leaks.values() if job_uuid is None or job_uuid in leak.job_uuids]
            return Report(leaks, self._compared, self._running, unseen)

    def _unseen(self) -> list[str]:
        """What cannot be looked at of the hosts that are there and of the vCenters that imports came from."""
        around = self.surroundings
        with self._store.session() as session:
            hosts = session.scalars(select(Host.name).where(Host.removed.is_(None), Host.status == "Up"))
            notes = [f"host {name}: {UNSEEN_HOSTS}" for name in sorted(hosts) if not around.sees_host(name)]
            vcenters = session.scalars(select(ImportVmTask.vcenter).distinct())
            for address in sorted(address for address in vcenters if address is not None):
                if not around.sees_vcenter(address):
                    notes.append(f"vCenter {address}: {UNSEEN_VCENTERS}")
        return notes

    # Comparing ----------------------------------------------------------------------------------------------------

    def _open_window(self) -> _Window:
        if self._marks is None:
            with self._store.session() as session:
                self._marks = records_left(session, {}).marks
        return _Window(self._marks, self.surroundings.mark(), frozenset(_own_threads()))

    def _end(self) -> None:
        with self._lock:
            self._running -= 1
            window = self._window
            if self._running or window is None:
                return
            self._window = None
            try:
                self._compare(window)
            except Exception:  # an import must not fail because nobody could look behind it
                logger.exception("what %d imports left could not be looked at", len(window.imports))

    def _compare(self, window: _Window) -> None:
        with self._store.session() as session:
            found = records_left(session, window.marks)
        self._marks = found.marks
        self.surroundings.settle(found.file_names)
        self._compared += len(window.imports)
        made = {item.vm_id for item in window.imports if item.vm_id is not None}
        things = [Thing(row.kind, RECORDS, row.name) for row in found.rows if row.kind != "vm" or row.id not in made]
        things += self.surroundings.since(window.surroundings_mark)
        things += [Thing(THREAD, SERVER, name) for name in _own_threads() if name not in window.threads]
        for thing in things:
            self._add(thing, window.imports)
        for item in window.imports:
            for entry in item.not_undone:
                self._add(Thing("not undone", SERVER, entry.what), [item], entry.reason, is_told=True)

    def _add(
        self, thing: Thing, imports: Sequence[WatchedImport], reason: str | None = None, *, is_told: bool = False
    ) -> None:
        jobs = tuple(item.job_uuid for item in imports[:KEPT_IMPORTS])
        names = tuple(dict.fromkeys(item.vm_name for item in imports[:KEPT_IMPORTS]))
        leak = Leak(thing, jobs, names, self._providers.utcnow(), reason, is_told)
        self._leaks.setdefault(thing, leak)
        while len(self._leaks) > KEPT_IMPORTS:
            self._leaks.popitem(last=False)
        logger.info("import of %s left %s %s on %s", ", ".join(names), thing.kind, thing.name, thing.place)

    # Looking again ------------------------------------------------------------------------------------------------

    def _look_again(self, *, all_is_seen: bool) -> None:
        if not self._leaks:
            return
        with self._store.session() as session:
            found = records_left(session, {})
        self.surroundings.settle(found.file_names)
        left: set[Thing] = {Thing(row.kind, RECORDS, row.name) for row in found.rows}
        left |= {Thing(THREAD, SERVER, name) for name in _own_threads()}
        outside = [thing for thing in self._leaks if thing.place not in (RECORDS, SERVER)]
        left |= self.surroundings.still_there(outside)
        for thing in [thing for thing, leak in self._leaks.items() if thing not in left and not leak.is_told]:
            del self._leaks[thing]
        if all_is_seen:  # what was told and is not there has gone by itself
            jobs = {job for leak in self._leaks.values() if not leak.is_told for job in leak.job_uuids}
            for thing, leak in list(self._leaks.items()):
                if leak.is_told and not jobs.intersection(leak.job_uuids):
                    del self._leaks[thing]

    def done_later(self, what: str) -> None:
        """Something that an import could not undo at its end is undone now."""
        with self._lock:
            self._leaks.pop(Thing("not undone", SERVER, what), None)


def _own_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith(OWN_THREADS)]


def leak_view(leak: Leak) -> Mapping[str, object]:
    """A leak as listImportLeaks shows it."""
    return {
        "kind": leak.thing.kind,
        "place": leak.thing.place,
        "name": leak.thing.name,
        "reason": leak.reason,
        "jobids": ",".join(leak.job_uuids),
        "virtualmachines": ",".join(leak.vm_names),
        "found": leak.found,
    }
