"""The table of host states."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mgmt.agents.states import TRANSITIONS, Event, NoTransitionError, Status, next_status

# The rows of Status.java, as text: state, then event -> state.
ROWS = """
(none): AgentConnected Connecting
Creating: AgentConnected Connecting, Error Error
Connecting: AgentConnected Connecting, Ready Up, PingTimeout Alert, ShutdownRequested Disconnected, HostDown Down
Connecting: Ping Connecting, ManagementServerDown Disconnected, StartAgentRebalance Rebalancing, AgentDisconnected Alert
Up: PingTimeout Alert, AgentDisconnected Alert, ShutdownRequested Disconnected, HostDown Down, Ping Up
Up: AgentConnected Connecting, ManagementServerDown Disconnected, StartAgentRebalance Rebalancing, Remove Removed
Disconnected: PingTimeout Alert, AgentConnected Connecting, Ping Up, HostDown Down, ManagementServerDown Disconnected
Disconnected: AgentDisconnected Disconnected, ShutdownRequested Disconnected, WaitedTooLong Alert, Remove Removed
Down: AgentConnected Connecting, ShutdownRequested Disconnected, Remove Removed, ManagementServerDown Down
Down: AgentDisconnected Down, PingTimeout Down, HostDown Down
Alert: AgentConnected Connecting, Ping Up, Remove Removed, ManagementServerDown Alert, AgentDisconnected Alert
Alert: ShutdownRequested Disconnected, HostDown Down
Rebalancing: RebalanceFailed Disconnected, RebalanceCompleted Connecting, AgentConnected Connecting
Rebalancing: ManagementServerDown Disconnected, AgentDisconnected Rebalancing, ShutdownRequested Disconnected
Error: AgentConnected Connecting
"""
EXPECTED = [
    (None if state == "(none)" else Status(state), Event(move.split()[0]), Status(move.split()[1]))
    for row in ROWS.strip().splitlines()
    for state, _, moves in [row.partition(": ")]
    for move in moves.split(", ")
]


@pytest.mark.parametrize(("before", "event", "after"), EXPECTED)
def test_transition(before: Status | None, event: Event, after: Status) -> None:
    """Each row of CloudStack's table."""
    assert next_status(before, event) is after


def test_there_are_no_other_rows() -> None:
    """Nothing but the expected rows is in the table."""
    assert sum(map(len, TRANSITIONS.values())) == len(EXPECTED)


@given(st.sampled_from([None, *Status]), st.lists(st.sampled_from(list(Event)), max_size=20))
def test_any_events_lead_to_a_known_state_or_are_refused(status: Status | None, events: list[Event]) -> None:
    """A host is always in a state of the list; an event without a row is refused and changes nothing."""
    for event in events:
        try:
            status = next_status(status, event)
        except NoTransitionError as error:
            assert str(event) in str(error)
        assert status is None or status in list(Status)


def test_a_removed_host_knows_no_event() -> None:
    """Removed is the end."""
    with pytest.raises(NoTransitionError, match="a host in state Removed knows no event AgentConnected"):
        next_status(Status.REMOVED, Event.AGENT_CONNECTED)
