"""The queue of imports: how many may be under way at a time for a vCenter, an ESXi host and a KVM host.

First come, first served: nobody overtakes an import that waits for something it wants as well, so none waits for ever;
an import that wants other things does not wait for it. CloudStack has no such limits; they are settings of ours.
"""

from __future__ import annotations

import threading
from bisect import insort
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from mgmt.inventory.settings import GlobalSettings


class Kind(Enum):
    """What an import uses."""

    VCENTER = "vCenter"
    ESXI_HOST = "ESXi host"
    KVM_HOST = "KVM host"


@dataclass(frozen=True)
class Resource:
    """One vCenter or host by its name."""

    kind: Kind
    name: str

    def __str__(self) -> str:
        return f"{self.kind.value} {self.name}"


@dataclass(frozen=True)
class Demand:
    """What one import uses from its start to its end; the KVM hosts are those that convert, import or copy it."""

    vcenter: str | None
    esxi_host: str | None
    kvm_hosts: frozenset[str]

    @property
    def resources(self) -> frozenset[Resource]:
        """All of it; one place is taken of each."""
        found = {Resource(Kind.KVM_HOST, name) for name in self.kvm_hosts}
        if self.vcenter is not None:
            found.add(Resource(Kind.VCENTER, self.vcenter))
        if self.esxi_host is not None:
            found.add(Resource(Kind.ESXI_HOST, f"{self.esxi_host} of {self.vcenter}"))
        return frozenset(found)


LIMIT_SETTINGS = {
    Kind.VCENTER: "cloudstackmock.import.limit.per.vcenter",
    Kind.ESXI_HOST: "cloudstackmock.import.limit.per.esxi.host",
    Kind.KVM_HOST: "cloudstackmock.import.limit.per.kvm.host",
}


def import_limits(settings: GlobalSettings) -> Callable[[Kind], int | None]:
    """The limits that the settings hold now; none on a server without extensions."""

    def limit(kind: Kind) -> int | None:
        name = LIMIT_SETTINGS[kind]
        return settings.get_int(name) if name in settings.definitions else None

    return limit


class Ticket:
    """An import's place in the queue. Ready once it is granted or withdrawn."""

    def __init__(self, demand: Demand, queue: ImportQueue, order: float) -> None:
        self.demand = demand
        self.order = order
        self.is_granted = False
        self._queue = queue
        self._is_withdrawn = False
        self._callbacks: list[Callable[[], None]] = []

    @property
    def is_waiting(self) -> bool:
        """True while it is neither granted nor withdrawn."""
        return not (self.is_granted or self._is_withdrawn)

    def on_ready(self, callback: Callable[[], None]) -> None:
        """See `mgmt.jobs.waiting.Wait`."""
        with self._queue.lock:
            if self.is_waiting:
                self._callbacks.append(callback)
                return
        callback()

    def withdraw(self) -> None:
        """Leave the queue, or give the place back; does nothing the second time."""
        self._queue.leave(self)


class ImportQueue:
    """The imports that are under way or wait; safe from many threads.

    `limit` tells how many may be under way for a vCenter or host; None, 0 and less: any number.
    """

    def __init__(self, limit: Callable[[Kind], int | None]) -> None:
        self.lock = threading.RLock()
        self._limit = limit
        self._used: Counter[Resource] = Counter()
        self._waiting: list[Ticket] = []

    def enter(self, demand: Demand, order: float = 0.0) -> Ticket:
        """A ticket for an import; it is granted already when there is room.

        `order` is when the import was asked for: it goes before those that wait and were asked for later.
        """
        with self.lock:
            ticket = Ticket(demand, self, order)
            insort(self._waiting, ticket, key=lambda each: each.order)
        self.refresh()
        return ticket

    def leave(self, ticket: Ticket) -> None:
        """The import of this ticket has ended or does not wait any more."""
        with self.lock:
            if ticket._is_withdrawn:
                return
            if ticket.is_granted:
                self._used -= Counter(ticket.demand.resources)
            else:
                self._waiting.remove(ticket)
            was_waiting = ticket.is_waiting
            ticket._is_withdrawn = True
            callbacks = ticket._callbacks if was_waiting else []
            ticket._callbacks = []
        for callback in callbacks:
            callback()
        self.refresh()

    def refresh(self) -> None:
        """Grant what can be granted now; call it when a limit has changed."""
        with self.lock:
            granted = self._grant()
            callbacks = [callback for ticket in granted for callback in ticket._callbacks]
            for ticket in granted:
                ticket._callbacks = []
        for callback in callbacks:
            callback()

    def is_limited(self, kind: Kind) -> bool:
        """True while there is a limit for resources of that kind."""
        return bool(self._limit(kind))

    def place(self, ticket: Ticket) -> int | None:
        """How many imports that want something of the same came earlier and wait too; None when it does not wait."""
        with self.lock:
            if ticket not in self._waiting:
                return None
            ahead = self._waiting[: self._waiting.index(ticket)]
            return sum(not ticket.demand.resources.isdisjoint(other.demand.resources) for other in ahead)

    def waits_for(self, ticket: Ticket) -> list[Resource]:
        """The full vCenters and hosts that keep a ticket waiting, or those that an earlier one waits for."""
        with self.lock:
            if ticket not in self._waiting:
                return []
            reserved: set[Resource] = set()
            for other in self._waiting[: self._waiting.index(ticket)]:
                reserved |= self._limited(other)
            wanted = self._limited(ticket)
            return sorted((item for item in wanted if item in reserved or self._is_full(item)), key=str)

    def _grant(self) -> list[Ticket]:
        granted: list[Ticket] = []
        reserved: set[Resource] = set()
        for ticket in self._waiting:
            wanted = self._limited(ticket)
            if wanted & reserved or any(self._is_full(item) for item in wanted):
                reserved |= wanted
                continue
            ticket.is_granted = True
            self._used.update(ticket.demand.resources)
            granted.append(ticket)
        if granted:
            self._waiting = [ticket for ticket in self._waiting if not ticket.is_granted]
        return granted

    def _limited(self, ticket: Ticket) -> frozenset[Resource]:
        return frozenset(item for item in ticket.demand.resources if self._places(item) is not None)

    def _is_full(self, resource: Resource) -> bool:
        places = self._places(resource)
        return places is not None and self._used[resource] >= places

    def _places(self, resource: Resource) -> int | None:
        limit = self._limit(resource.kind)
        return limit if limit is not None and limit > 0 else None
