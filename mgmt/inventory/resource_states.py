"""What administrators and maintenance did to a host, and what moves it from one such state to another, as a table.

Upstream: api/src/main/java/com/cloud/resource/ResourceState.java.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from mgmt.store.models import Host


class ResourceState(StrEnum):
    """A host's resource state, as the API shows it."""

    CREATING = "Creating"
    ENABLED = "Enabled"
    DISABLED = "Disabled"
    ERROR_IN_PREPARE_FOR_MAINTENANCE = "ErrorInPrepareForMaintenance"
    PREPARE_FOR_MAINTENANCE = "PrepareForMaintenance"
    ERROR_IN_MAINTENANCE = "ErrorInMaintenance"
    MAINTENANCE = "Maintenance"
    ERROR = "Error"
    DEGRADED = "Degraded"


class ResourceEvent(StrEnum):
    """What happens to a host's resource state."""

    INTERNAL_CREATED = "InternalCreated"
    ENABLE = "Enable"
    DISABLE = "Disable"
    ADMIN_ASK_MAINTENANCE = "AdminAskMaintenance"
    ADMIN_CANCEL_MAINTENANCE = "AdminCancelMaintenance"
    INTERNAL_ENTER_MAINTENANCE = "InternalEnterMaintenance"
    UNABLE_TO_MIGRATE = "UnableToMigrate"
    UNABLE_TO_MAINTAIN = "UnableToMaintain"
    ERRORS_CORRECTED = "ErrorsCorrected"
    ERROR = "Error"
    DELETE_HOST = "DeleteHost"
    DECLARE_HOST_DEGRADED = "DeclareHostDegraded"
    ENABLE_DEGRADED_HOST = "EnableDegradedHost"


_S, _E = ResourceState, ResourceEvent
TRANSITIONS: Mapping[ResourceState | None, Mapping[ResourceEvent, ResourceState]] = {
    None: {_E.INTERNAL_CREATED: _S.ENABLED},
    _S.CREATING: {_E.INTERNAL_CREATED: _S.ENABLED, _E.ERROR: _S.ERROR},
    _S.ENABLED: {
        _E.ENABLE: _S.ENABLED,
        _E.INTERNAL_CREATED: _S.ENABLED,
        _E.DISABLE: _S.DISABLED,
        _E.ADMIN_ASK_MAINTENANCE: _S.PREPARE_FOR_MAINTENANCE,
        _E.DECLARE_HOST_DEGRADED: _S.DEGRADED,
        _E.INTERNAL_ENTER_MAINTENANCE: _S.MAINTENANCE,
    },
    _S.DISABLED: {
        _E.ENABLE: _S.ENABLED,
        _E.DISABLE: _S.DISABLED,
        _E.INTERNAL_CREATED: _S.DISABLED,
        _E.DECLARE_HOST_DEGRADED: _S.DEGRADED,
        _E.DELETE_HOST: _S.DISABLED,
    },
    _S.PREPARE_FOR_MAINTENANCE: {
        _E.INTERNAL_ENTER_MAINTENANCE: _S.MAINTENANCE,
        _E.ADMIN_CANCEL_MAINTENANCE: _S.ENABLED,
        _E.UNABLE_TO_MIGRATE: _S.ERROR_IN_PREPARE_FOR_MAINTENANCE,
        _E.UNABLE_TO_MAINTAIN: _S.ERROR_IN_MAINTENANCE,
        _E.INTERNAL_CREATED: _S.PREPARE_FOR_MAINTENANCE,
    },
    _S.MAINTENANCE: {
        _E.ADMIN_CANCEL_MAINTENANCE: _S.ENABLED,
        _E.INTERNAL_CREATED: _S.MAINTENANCE,
        _E.DELETE_HOST: _S.DISABLED,
        _E.DECLARE_HOST_DEGRADED: _S.DEGRADED,
    },
    _S.ERROR_IN_PREPARE_FOR_MAINTENANCE: {
        _E.INTERNAL_CREATED: _S.ERROR_IN_PREPARE_FOR_MAINTENANCE,
        _E.DISABLE: _S.DISABLED,
        _E.DELETE_HOST: _S.DISABLED,
        _E.INTERNAL_ENTER_MAINTENANCE: _S.MAINTENANCE,
        _E.ADMIN_CANCEL_MAINTENANCE: _S.ENABLED,
        _E.UNABLE_TO_MIGRATE: _S.ERROR_IN_PREPARE_FOR_MAINTENANCE,
        _E.UNABLE_TO_MAINTAIN: _S.ERROR_IN_MAINTENANCE,
        _E.ERRORS_CORRECTED: _S.PREPARE_FOR_MAINTENANCE,
    },
    _S.ERROR_IN_MAINTENANCE: {
        _E.INTERNAL_CREATED: _S.ERROR_IN_MAINTENANCE,
        _E.ADMIN_ASK_MAINTENANCE: _S.PREPARE_FOR_MAINTENANCE,
        _E.DISABLE: _S.DISABLED,
        _E.DELETE_HOST: _S.DISABLED,
        _E.ADMIN_CANCEL_MAINTENANCE: _S.ENABLED,
    },
    _S.ERROR: {_E.INTERNAL_CREATED: _S.ERROR},
    _S.DEGRADED: {
        _E.DELETE_HOST: _S.DISABLED,
        _E.ENABLE_DEGRADED_HOST: _S.ENABLED,
        _E.ADMIN_ASK_MAINTENANCE: _S.MAINTENANCE,
    },
}

MAINTENANCE_STATES = frozenset(
    {_S.MAINTENANCE, _S.ERROR_IN_MAINTENANCE, _S.PREPARE_FOR_MAINTENANCE, _S.ERROR_IN_PREPARE_FOR_MAINTENANCE}
)
NO_MAINTENANCE_AGAIN = frozenset({_S.MAINTENANCE, _S.PREPARE_FOR_MAINTENANCE, _S.ERROR_IN_PREPARE_FOR_MAINTENANCE})


class NoTransitionError(Exception):
    """A change of resource state that the host's present one does not allow; the text is CloudStack's."""


def next_resource_state(state: ResourceState | None, event: ResourceEvent) -> ResourceState:
    """The state after `event`; None stands for a host that has none yet. Raises NoTransitionError."""
    try:
        return TRANSITIONS[state][event]
    except KeyError:
        raise NoTransitionError(f"No next resource state found for current state = {state} event = {event}") from None


def move_resource(host: Host, event: ResourceEvent) -> None:
    """Move a host's resource state by the table; raises NoTransitionError."""
    host.resource_state = next_resource_state(ResourceState(host.resource_state), event).value
