"""The states of a host and what moves it from one to another, as a table.

Upstream: api/src/main/java/com/cloud/host/Status.java.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class Status(StrEnum):
    """A host's state, as the API shows it."""

    CREATING = "Creating"
    CONNECTING = "Connecting"
    UP = "Up"
    DOWN = "Down"
    DISCONNECTED = "Disconnected"
    ALERT = "Alert"
    REMOVED = "Removed"
    ERROR = "Error"
    REBALANCING = "Rebalancing"
    UNKNOWN = "Unknown"


class Event(StrEnum):
    """What happens to a host."""

    AGENT_CONNECTED = "AgentConnected"
    PING_TIMEOUT = "PingTimeout"
    SHUTDOWN_REQUESTED = "ShutdownRequested"
    AGENT_DISCONNECTED = "AgentDisconnected"
    HOST_DOWN = "HostDown"
    PING = "Ping"
    MANAGEMENT_SERVER_DOWN = "ManagementServerDown"
    WAITED_TOO_LONG = "WaitedTooLong"
    REMOVE = "Remove"
    READY = "Ready"
    ERROR = "Error"
    START_AGENT_REBALANCE = "StartAgentRebalance"
    REBALANCE_FAILED = "RebalanceFailed"
    REBALANCE_COMPLETED = "RebalanceCompleted"


TRANSITIONS: Mapping[Status | None, Mapping[Event, Status]] = {
    None: {Event.AGENT_CONNECTED: Status.CONNECTING},
    Status.CREATING: {Event.AGENT_CONNECTED: Status.CONNECTING, Event.ERROR: Status.ERROR},
    Status.CONNECTING: {
        Event.AGENT_CONNECTED: Status.CONNECTING,
        Event.READY: Status.UP,
        Event.PING_TIMEOUT: Status.ALERT,
        Event.SHUTDOWN_REQUESTED: Status.DISCONNECTED,
        Event.HOST_DOWN: Status.DOWN,
        Event.PING: Status.CONNECTING,
        Event.MANAGEMENT_SERVER_DOWN: Status.DISCONNECTED,
        Event.START_AGENT_REBALANCE: Status.REBALANCING,
        Event.AGENT_DISCONNECTED: Status.ALERT,
    },
    Status.UP: {
        Event.PING_TIMEOUT: Status.ALERT,
        Event.AGENT_DISCONNECTED: Status.ALERT,
        Event.SHUTDOWN_REQUESTED: Status.DISCONNECTED,
        Event.HOST_DOWN: Status.DOWN,
        Event.PING: Status.UP,
        Event.AGENT_CONNECTED: Status.CONNECTING,
        Event.MANAGEMENT_SERVER_DOWN: Status.DISCONNECTED,
        Event.START_AGENT_REBALANCE: Status.REBALANCING,
        Event.REMOVE: Status.REMOVED,
    },
    Status.DISCONNECTED: {
        Event.PING_TIMEOUT: Status.ALERT,
        Event.AGENT_CONNECTED: Status.CONNECTING,
        Event.PING: Status.UP,
        Event.HOST_DOWN: Status.DOWN,
        Event.MANAGEMENT_SERVER_DOWN: Status.DISCONNECTED,
        Event.AGENT_DISCONNECTED: Status.DISCONNECTED,
        Event.SHUTDOWN_REQUESTED: Status.DISCONNECTED,
        Event.WAITED_TOO_LONG: Status.ALERT,
        Event.REMOVE: Status.REMOVED,
    },
    Status.DOWN: {
        Event.AGENT_CONNECTED: Status.CONNECTING,
        Event.SHUTDOWN_REQUESTED: Status.DISCONNECTED,
        Event.REMOVE: Status.REMOVED,
        Event.MANAGEMENT_SERVER_DOWN: Status.DOWN,
        Event.AGENT_DISCONNECTED: Status.DOWN,
        Event.PING_TIMEOUT: Status.DOWN,
        Event.HOST_DOWN: Status.DOWN,
    },
    Status.ALERT: {
        Event.AGENT_CONNECTED: Status.CONNECTING,
        Event.PING: Status.UP,
        Event.REMOVE: Status.REMOVED,
        Event.MANAGEMENT_SERVER_DOWN: Status.ALERT,
        Event.AGENT_DISCONNECTED: Status.ALERT,
        Event.SHUTDOWN_REQUESTED: Status.DISCONNECTED,
        Event.HOST_DOWN: Status.DOWN,
    },
    Status.REBALANCING: {
        Event.REBALANCE_FAILED: Status.DISCONNECTED,
        Event.REBALANCE_COMPLETED: Status.CONNECTING,
        Event.AGENT_CONNECTED: Status.CONNECTING,
        Event.MANAGEMENT_SERVER_DOWN: Status.DISCONNECTED,
        Event.AGENT_DISCONNECTED: Status.REBALANCING,
        Event.SHUTDOWN_REQUESTED: Status.DISCONNECTED,
    },
    Status.ERROR: {Event.AGENT_CONNECTED: Status.CONNECTING},
}


class NoTransitionError(Exception):
    """The table has no row for this state and event."""


def next_status(status: Status | None, event: Event) -> Status:
    """The state after `event`; None stands for a host that has no record yet. Raises NoTransitionError."""
    try:
        return TRANSITIONS[status][event]
    except KeyError:
        raise NoTransitionError(f"a host in state {status} knows no event {event}") from None
