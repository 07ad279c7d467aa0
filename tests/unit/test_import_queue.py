"""The queue of imports: never over a limit, first come first served, and no import is forgotten."""

from __future__ import annotations

from collections import Counter

from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from mgmt.imports.queue import Demand, ImportQueue, Kind, Resource, Ticket

A = Demand("vc-a", "esx1", frozenset({"kvm1"}))
B = Demand("vc-b", "esx2", frozenset({"kvm2"}))


def queue_with(**limits: int) -> tuple[ImportQueue, dict[Kind, int]]:
    table = {Kind[name]: limit for name, limit in limits.items()}
    return ImportQueue(table.get), table


def test_without_limits_nothing_waits() -> None:
    """No limit, 0 and negative numbers let any number in."""
    for limits in ({}, {"VCENTER": 0}, {"KVM_HOST": -1}):
        queue, _ = queue_with(**limits)
        assert all(queue.enter(A).is_granted for _ in range(50))


def test_each_kind_limits() -> None:
    """A full vCenter, ESXi host or KVM host lets the next import wait, and tells what it waits for."""
    for kind, name in ((Kind.VCENTER, "vCenter vc-a"), (Kind.ESXI_HOST, "ESXi host esx1 of vc-a")):
        queue, _ = queue_with(**{kind.name: 1})
        first, second = queue.enter(A), queue.enter(A)
        assert (first.is_granted, second.is_granted) == (True, False)
        assert [str(item) for item in queue.waits_for(second)] == [name]
        assert queue.waits_for(first) == []
        assert queue.enter(B).is_granted
        first.withdraw()
        assert second.is_granted


def test_both_kvm_hosts_count() -> None:
    """The host that converts and the one that imports have a place taken each."""
    queue, _ = queue_with(KVM_HOST=1)
    both = queue.enter(Demand("vc", None, frozenset({"kvm1", "kvm2"})))
    assert not queue.enter(A).is_granted
    assert not queue.enter(B).is_granted
    both.withdraw()
    assert queue._waiting == []


def test_nobody_overtakes_what_wants_the_same() -> None:
    """An import that needs two things is not passed by a stream of imports that need one of them."""
    queue, _ = queue_with(VCENTER=1, KVM_HOST=1)
    holder = queue.enter(Demand("vc-a", None, frozenset({"kvm1"})))
    wide = queue.enter(Demand("vc-a", None, frozenset({"kvm2"})))
    late = queue.enter(Demand("vc-b", None, frozenset({"kvm2"})))
    other = queue.enter(Demand("vc-c", None, frozenset({"kvm3"})))
    assert (wide.is_granted, late.is_granted, other.is_granted) == (False, False, True)
    assert queue.place(late) == 1
    assert queue.place(wide) == 0
    holder.withdraw()
    assert (wide.is_granted, late.is_granted) == (True, False)


def test_a_higher_limit_holds_at_once() -> None:
    """After `refresh` as many go as the new limit lets; a lower one ends nothing that is under way."""
    queue, table = queue_with(VCENTER=1)
    tickets = [queue.enter(A) for _ in range(5)]
    ready: list[int] = []
    for number, ticket in enumerate(tickets):
        ticket.on_ready(lambda number=number: ready.append(number))
    table[Kind.VCENTER] = 3
    queue.refresh()
    assert ready == [0, 1, 2]
    table[Kind.VCENTER] = 1
    queue.refresh()
    tickets[0].withdraw()
    tickets[1].withdraw()
    assert ready == [0, 1, 2]
    tickets[2].withdraw()
    assert ready == [0, 1, 2, 3]
    del table[Kind.VCENTER]
    queue.refresh()
    assert ready == [0, 1, 2, 3, 4]


def test_the_order_of_the_requests_counts() -> None:
    """An import that comes late to the queue goes before those that were asked for after it."""
    queue, _ = queue_with(VCENTER=1)
    holder, third, second = queue.enter(A, 1.0), queue.enter(A, 3.0), queue.enter(A, 2.0)
    assert (queue.place(second), queue.place(third)) == (0, 1)
    holder.withdraw()
    assert (second.is_granted, third.is_granted) == (True, False)


class QueueMachine(RuleBasedStateMachine):
    """Imports come, wait, give up and end, and limits change, in any order."""

    tickets = Bundle("tickets")

    def __init__(self) -> None:
        super().__init__()
        self.limits: dict[Kind, int] = {}
        self.queue = ImportQueue(self.limits.get)
        self.entered: list[Ticket] = []
        self.ready: Counter[int] = Counter()
        self.used_at_most: dict[Resource, int] = {}

    @rule(
        target=tickets,
        vcenter=st.sampled_from("ab"),
        esxi=st.sampled_from([None, "x", "y"]),
        kvm=st.sets(st.sampled_from("123"), min_size=1, max_size=2),
    )
    def enter(self, vcenter: str, esxi: str | None, kvm: set[str]) -> Ticket:
        ticket = self.queue.enter(Demand(vcenter, esxi, frozenset(kvm)))
        self.entered.append(ticket)
        ticket.on_ready(lambda: self.ready.update([id(ticket)]))
        return ticket

    @rule(ticket=consumes(tickets))
    def leave(self, ticket: Ticket) -> None:
        ticket.withdraw()
        self.entered.remove(ticket)
        ticket.withdraw()

    @rule(kind=st.sampled_from(Kind), limit=st.integers(0, 3))
    def change_limit(self, kind: Kind, limit: int) -> None:
        self.limits[kind] = limit
        self.queue.refresh()

    @invariant()
    def places_are_counted(self) -> None:
        """What is under way is what was granted and has not left."""
        used: Counter[Resource] = Counter()
        for ticket in self.entered:
            if ticket.is_granted:
                used.update(ticket.demand.resources)
        assert used == self.queue._used
        grew = {item for item, count in used.items() if count > self.used_at_most.get(item, 0)}
        for item in grew:  # a limit that was lowered may be passed by what is under way, not by what comes
            limit = self.limits.get(item.kind, 0)
            assert limit == 0 or used[item] <= limit
        self.used_at_most = dict(used)

    @invariant()
    def nobody_waits_without_reason(self) -> None:
        """A waiting import misses a place, or an earlier one that waits wants the same; the first of all misses one."""
        waiting = [ticket for ticket in self.entered if not ticket.is_granted]
        assert waiting == self.queue._waiting
        for ticket in waiting:
            assert self.queue.waits_for(ticket)
        if waiting:
            assert any(self.queue._is_full(item) for item in waiting[0].demand.resources)

    @invariant()
    def everybody_is_called_once(self) -> None:
        """A ticket is told once that it is ready, and not before."""
        for ticket in self.entered:
            assert self.ready[id(ticket)] == (1 if ticket.is_granted else 0)


TestQueueMachine = QueueMachine.TestCase
