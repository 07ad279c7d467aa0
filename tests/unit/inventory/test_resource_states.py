"""The table of hosts' resource states."""

from __future__ import annotations

import pytest

from mgmt.inventory.resource_states import (
    TRANSITIONS,
    NoTransitionError,
    ResourceEvent,
    ResourceState,
    next_resource_state,
)

# The rows of ResourceState.java, as text: state, then event -> state.
ROWS = """
(none): InternalCreated Enabled
Creating: InternalCreated Enabled, Error Error
Enabled: Enable Enabled, InternalCreated Enabled, Disable Disabled, AdminAskMaintenance PrepareForMaintenance
Enabled: DeclareHostDegraded Degraded, InternalEnterMaintenance Maintenance
Disabled: Enable Enabled, Disable Disabled, InternalCreated Disabled, DeclareHostDegraded Degraded, DeleteHost Disabled
PrepareForMaintenance: InternalEnterMaintenance Maintenance, AdminCancelMaintenance Enabled
PrepareForMaintenance: UnableToMigrate ErrorInPrepareForMaintenance, UnableToMaintain ErrorInMaintenance
PrepareForMaintenance: InternalCreated PrepareForMaintenance
Maintenance: AdminCancelMaintenance Enabled, InternalCreated Maintenance, DeleteHost Disabled
Maintenance: DeclareHostDegraded Degraded
ErrorInPrepareForMaintenance: InternalCreated ErrorInPrepareForMaintenance, Disable Disabled, DeleteHost Disabled
ErrorInPrepareForMaintenance: InternalEnterMaintenance Maintenance, AdminCancelMaintenance Enabled
ErrorInPrepareForMaintenance: UnableToMigrate ErrorInPrepareForMaintenance, UnableToMaintain ErrorInMaintenance
ErrorInPrepareForMaintenance: ErrorsCorrected PrepareForMaintenance
ErrorInMaintenance: InternalCreated ErrorInMaintenance, AdminAskMaintenance PrepareForMaintenance, Disable Disabled
ErrorInMaintenance: DeleteHost Disabled, AdminCancelMaintenance Enabled
Error: InternalCreated Error
Degraded: DeleteHost Disabled, EnableDegradedHost Enabled, AdminAskMaintenance Maintenance
"""
EXPECTED = [
    (
        None if state == "(none)" else ResourceState(state),
        ResourceEvent(move.split()[0]),
        ResourceState(move.split()[1]),
    )
    for row in ROWS.strip().splitlines()
    for state, _, moves in [row.partition(": ")]
    for move in moves.split(", ")
]


@pytest.mark.parametrize(("before", "event", "after"), EXPECTED)
def test_resource_transition(before: ResourceState | None, event: ResourceEvent, after: ResourceState) -> None:
    """Each row of CloudStack's table."""
    assert next_resource_state(before, event) is after


def test_there_are_no_other_resource_transitions() -> None:
    """Nothing but the expected rows is in the table; a move without a row is refused in CloudStack's words."""
    assert sum(map(len, TRANSITIONS.values())) == len(EXPECTED)
    with pytest.raises(NoTransitionError) as raised:
        next_resource_state(ResourceState.DISABLED, ResourceEvent.ADMIN_ASK_MAINTENANCE)
    assert str(raised.value) == (
        "No next resource state found for current state = Disabled event = AdminAskMaintenance"
    )
